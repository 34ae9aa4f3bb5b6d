"""Runs with many cells: the page stays small, and a wide matrix short."""

from __future__ import annotations

import re

import pytest
from made_up import made_up_run

from subgroup_audit.report import RunContents
from subgroup_audit.report.matrix import MAX_CELLS, count_matrices, matrix_panels
from subgroup_audit.report.page import render_page
from subgroup_audit.report.tables import report_tables

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def hospitals() -> RunContents:
    """Five hospitals, two models, three seeds, with probes and heat maps."""
    return made_up_run(groups=5, models=2, seeds=3, is_looked_at=True)


def test_a_study_of_five_hospitals_two_models_and_three_seeds_fits_six_megabytes(hospitals: RunContents) -> None:
    page = render_page(hospitals, report_tables(hospitals))
    assert len(page.encode()) < 6 * MEGABYTE
    sections = set(re.findall(r'<section id="([a-z_]+)"', page))
    assert {"matrix", "gaps", "train_test", "waterfall", "performance", "curves", "flow", "samples"} <= sections
    assert {"encoding", "saliency"} <= sections


def test_a_wide_matrix_shows_its_aucs_alone_until_asked() -> None:
    run = made_up_run(groups=14, models=1, seeds=1, persons=12)
    page = render_page(run, report_tables(run))
    assert '<table class="heat dense"' in page
    assert "Show intervals and persons in the cells" in page
    assert "Every cell in full" not in page
    (panel,) = matrix_panels(run.result.estimates, run.study)
    assert panel.is_dense


def test_matrices_beyond_what_a_page_holds_are_counted(
    hospitals: RunContents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subgroup_audit.report.matrix.MAX_CELLS", 25)
    estimates = hospitals.result.estimates
    assert len(matrix_panels(estimates, hospitals.study)) == 1
    assert count_matrices(estimates) == 2
    assert "1 more matrix: in the CSV file." in render_page(hospitals, report_tables(hospitals))
    assert MAX_CELLS >= 900
