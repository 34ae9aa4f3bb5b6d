"""Scores as columns: from one table or several, in as few bytes as they need, and cells that hold no copies."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.cells import Scores
from subgroup_audit.audit.estimates import measure_cells
from subgroup_audit.errors import TableError
from subgroup_audit.schema import AuditResult, CohortManifest, Predictions
from subgroup_audit.stats import AucComponents, PersonDraws, components_by_model
from subgroup_audit.study import Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]
UNEVEN = {"F": 0.4, "M": 2.0}


def by_fit(predictions: Predictions) -> list[Predictions]:
    """One table a fit."""
    return [Predictions(rows) for _, rows in predictions.frame.groupby("fit_id", sort=False)]


def test_several_tables_give_what_one_gives_to_the_digit(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    whole = audit_predictions(study, manifest, predictions)
    parts = audit_predictions(study, manifest, by_fit(predictions))
    for name in (*AuditResult.FRAMES, *AuditResult.OPTIONAL_FRAMES):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(parts, name), check_exact=True, obj=name)
    assert whole.settings == parts.settings


def test_a_fit_in_two_tables_is_refused(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    first, *rest = by_fit(predictions)
    halves = [Predictions(first.frame.iloc[:50]), Predictions(first.frame.iloc[50:])]
    fit = first.frame["fit_id"].iloc[0]
    message = f"^Predictions: fit '{fit}' is in two tables; all its rows belong into one$"
    with pytest.raises(TableError, match=message):
        audit_predictions(study, manifest, [*halves, *rest])


@pytest.mark.parametrize("is_single", [True, False])
def test_scores_of_32_bits_are_kept_in_32_bits_and_others_as_they_are(synthetic: Make, is_single: bool) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    frame = predictions.frame
    if is_single:
        frame = frame.assign(y_score=frame["y_score"].astype(np.float32).astype(np.float64))
    scores = Scores(manifest, Predictions(frame))
    kinds = {column.dtype for column in scores._columns.columns["opacity"].values()}
    assert kinds == {np.dtype(np.float32 if is_single else np.float64)}
    given = frame.set_index(["fit_id", "image_id"])["y_score"]
    for cell in scores.cells(study.finding_names, study.test_cohorts):
        for seed, found in cell.by_seed.items():
            fit = scores.fits[cell.name.train_cohort, cell.name.model, cell.name.recipe][seed]
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, given[fit].loc[cell.image_id])


def test_cells_of_the_same_images_share_all_but_their_counts(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    scores = Scores(manifest, predictions)
    draws = PersonDraws(np.arange(len(scores.persons)), n_resamples=100, seed=1)
    found = list(scores.cells(study.finding_names, study.test_cohorts))
    cells = measure_cells(found, draws, study.analysis).values()
    owners: dict[tuple[str, str], list[object]] = {}
    for cell in cells:
        packed = cell.components._packed
        owners.setdefault((cell.name.split, cell.name.test_group), []).extend([cell.cell.members, packed.images])
        # Two bytes an image and seed at most, where placements and sums by person take 24.
        held = sum(sys.getsizeof(counts) for pair in packed.counts for counts in pair)
        assert held < 2 * len(cell.cell.y_true) * len(cell.components) + 300 * len(cell.components)
    assert all(len(set(map(id, shared))) == 2 for shared in owners.values())


def test_components_of_a_cell_are_those_of_its_scores(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    scores = Scores(manifest, predictions)
    draws = PersonDraws(np.arange(len(scores.persons)), n_resamples=100, seed=1)
    cell = next(iter(scores.cells(study.finding_names, study.test_cohorts)))
    measured = measure_cells([cell], draws, study.analysis)[cell.name]
    expected = components_by_model(cell.y_true, list(cell.by_seed.values()), person=cell.person)
    assert list(measured.components) == list(cell.by_seed) == [0, 1]
    assert measured.components.aucs() == {seed: one.auc for seed, one in enumerate(expected)}
    for found, one in zip(measured.components.values(), expected, strict=True):
        assert isinstance(found, AucComponents)
        np.testing.assert_array_equal(found.positive_sums, one.positive_sums)
        np.testing.assert_array_equal(found.negative_placements, one.negative_placements)
