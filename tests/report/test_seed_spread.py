"""The spread between seeds: a row per cell of the matrix, a dot per seed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.matrix import matrix_panels, panel_names
from subgroup_audit.report.seed_spread import MAX_ROWS, SeedSpread, seed_spreads
from subgroup_audit.schema import AuditResult


def _spreads(contents: RunContents, result: AuditResult | None = None) -> list[SeedSpread]:
    result = result or contents.result
    assert result is not None
    panels = matrix_panels(result.estimates, contents.study)
    return seed_spreads(panels, panel_names(panels), result)


def test_every_estimable_cell_has_its_seeds(contents: RunContents) -> None:
    spreads = _spreads(contents)
    assert [spread.place for spread in spreads] == [0, 1]
    rows = [row for block in spreads[0].blocks for row in block.rows]
    # 5 training cohorts by 4 groups, one of which cannot be estimated
    assert len(rows) == 19
    assert {len(row.seeds) for row in rows} == {3}


def test_dots_stand_at_the_aucs_of_the_fits(contents: RunContents) -> None:
    assert contents.result is not None
    spread = _spreads(contents)[0]
    row = spread.blocks[0].rows[1]
    fits = contents.result.fits
    mine = fits[
        (fits["model"] == contents.result.estimates["model"].iloc[0])
        & (fits["train_cohort"] == spread.blocks[0].train_cohort)
        & (fits["test_group"] == row.test_group)
        & (fits["split"] == "test")
    ]
    assert list(row.seeds) == pytest.approx(mine.sort_values("seed")["auc"].tolist())
    assert list(row.seeds_at) == [spread.axis.place(value) for value in row.seeds]
    assert row.sd == 0.009


def test_dots_of_one_row_stand_in_lanes_around_its_middle(contents: RunContents) -> None:
    row = _spreads(contents)[0].blocks[0].rows[0]
    assert [row.lane(place) for place in range(3)] == [-6.0, 0.0, 6.0]
    many = replace(row, seeds=tuple([0.8] * 10))
    assert many.lane(9) == 9.0


def test_one_seed_has_no_spread(contents: RunContents) -> None:
    result = contents.result
    assert result is not None
    single = AuditResult(
        result.estimates, result.contrasts, result.fits[result.fits["seed"] == 0], result.settings
    )
    assert _spreads(contents, single) == []


def test_a_large_matrix_leaves_rows_to_the_table(contents: RunContents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subgroup_audit.report.seed_spread.MAX_ROWS", 12)
    assert MAX_ROWS > 12
    first, *others = _spreads(contents)
    assert sum(len(block.rows) for block in first.blocks) == 12
    assert first.n_left_out == 7
    assert others == []
