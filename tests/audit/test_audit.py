"""From predictions to cells, gaps and verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.audit import reference_values
from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.pairs import declared_pairs, differing_attribute
from subgroup_audit.errors import TableError
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Cohort, Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]
EVEN = {"F": 1.2, "M": 1.2}
UNEVEN = {"F": 0.4, "M": 2.0}


def _row(frame: pd.DataFrame, **where: Any) -> dict[str, Any]:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.to_dict("records")[0]


def test_every_cell_is_the_mean_over_seeds_of_scikit_learns_auc(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    result = audit_predictions(study, manifest, predictions)
    cells = result.estimates[result.estimates["split"] == "test"]
    assert len(cells) == 9
    for cell in cells.to_dict("records"):
        members = manifest.frame.query("cohort == @cell['test_group'] and split == 'test'")
        scores = predictions.frame.query("train_cohort == @cell['train_cohort']")
        joined = members.merge(scores[["image_id", "seed", "y_score"]], on="image_id")
        values = [roc_auc_score(rows["y_true"], rows["y_score"]) for _, rows in joined.groupby("seed")]
        assert len(values) == len(study.seeds)
        assert cell["estimate"] == pytest.approx(np.mean(values), abs=1e-12)
        assert cell["n_images"] == len(members)
        assert cell["n_patients"] == members["patient_id"].nunique()
        assert cell["low"] < cell["estimate"] < cell["high"]


def test_a_planted_gap_is_found_with_its_sign(synthetic: Make) -> None:
    planted = audit_predictions(*synthetic(UNEVEN)).contrasts
    gap = _row(planted, kind="subgroup_gap", train_cohort="all")
    assert gap["verdict"] == "gap"
    assert gap["high"] < 0
    assert gap["minuend"] == "trained on all, test images of F"


def test_null_studies_find_gaps_no_more_often_than_their_level_allows(synthetic: Make) -> None:
    analysis = {"reference": {"sex": "M"}, "n_resamples": 100, "contrasts": ["subgroup_gap"]}
    verdicts = []
    for seed in range(40):
        study, manifest, predictions = synthetic(EVEN, seed=seed, train_on=["all"], analysis=analysis)
        verdicts += list(audit_predictions(study, manifest, predictions).contrasts["verdict"])
    assert len(verdicts) == 40
    # Of 40 tests at 5 %, 7 or more come out by chance with probability 0.002.
    assert verdicts.count("gap") <= 6


def test_gaps_are_minuend_minus_subtrahend(synthetic: Make) -> None:
    contrasts = audit_predictions(*synthetic(UNEVEN)).contrasts
    difference = contrasts["minuend_estimate"] - contrasts["subtrahend_estimate"]
    np.testing.assert_allclose(contrasts["estimate"], difference, atol=1e-12)
    assert len(contrasts[contrasts["kind"] == "generalization_gap"]) == 3
    assert len(contrasts[contrasts["kind"] == "subgroup_gap"]) == 3
    assert len(contrasts[contrasts["kind"] == "transfer_gap"]) == 2
    transfer = contrasts[contrasts["kind"] == "transfer_gap"]
    assert (transfer["train_cohort"] == transfer["test_group"]).all()


def test_the_train_test_gap_is_descriptive_and_outside_the_family(synthetic: Make) -> None:
    contrasts = audit_predictions(*synthetic(EVEN)).contrasts
    described = contrasts[contrasts["kind"] == "generalization_gap"]
    assert set(described["verdict"]) == {"descriptive"}
    assert described["p_value"].isna().all()
    tested = contrasts[contrasts["kind"] != "generalization_gap"]
    assert (tested["p_adjusted"] >= tested["p_value"]).all()


def test_the_order_of_rows_changes_nothing(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    shuffled = Predictions(predictions.frame.sample(frac=1, random_state=1))
    turned = CohortManifest(manifest.frame.sample(frac=1, random_state=2))
    first = audit_predictions(study, manifest, predictions)
    second = audit_predictions(study, turned, shuffled)
    keys = ["train_cohort", "split", "test_group"]
    a, b = (r.estimates.sort_values(keys).reset_index(drop=True) for r in (first, second))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_one_class_is_not_estimable_and_never_no_gap(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(EVEN)
    women = set(manifest.frame[manifest.frame["sex"] == "F"]["image_id"])
    all_positive = manifest.frame.assign(
        y_true=lambda f: f["y_true"].where(~(f["image_id"].isin(women) & (f["split"] == "test")), 1)
    )
    relabelled = predictions.frame.assign(
        y_true=lambda f: f["y_true"].where(~(f["image_id"].isin(women) & (f["split"] == "test")), 1)
    )
    result = audit_predictions(study, CohortManifest(all_positive), Predictions(relabelled))
    cell = _row(result.estimates, train_cohort="all", split="test", test_group="F")
    assert cell["status"] == "not estimable"
    assert np.isnan(cell["estimate"])
    assert "negative" in cell["reason"]
    gap = _row(result.contrasts, kind="subgroup_gap", train_cohort="all")
    assert gap["verdict"] == "not estimable"


def test_scores_that_lost_their_labels_are_refused(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(EVEN)
    turned = predictions.frame.assign(y_true=1 - predictions.frame["y_true"])
    with pytest.raises(TableError, match="scores and labels do not belong together"):
        audit_predictions(study, manifest, Predictions(turned))


def test_a_missing_prediction_is_refused(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(EVEN)
    fewer = predictions.frame[predictions.frame["image_id"] != "i00004"]
    with pytest.raises(TableError, match="have no score from the fits of"):
        audit_predictions(study, manifest, Predictions(fewer))


def test_a_failed_fit_leaves_a_cell_with_fewer_seeds(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(EVEN)
    kept = predictions.frame[predictions.frame["fit_id"] != "F-net-1"]
    result = audit_predictions(study, manifest, Predictions(kept))
    assert _row(result.estimates, train_cohort="F", split="test", test_group="F")["n_seeds"] == 1
    assert _row(result.estimates, train_cohort="M", split="test", test_group="F")["n_seeds"] == 2


def test_persons_are_resampled_not_images(synthetic: Make) -> None:
    """Negative control: the same images, each called a person of its own, give intervals too narrow."""
    study, manifest, predictions = synthetic(EVEN, n_persons=600)
    label = manifest.frame.groupby("patient_id")["y_true"].transform("first")
    clustered = manifest.frame.assign(y_true=label)
    truth = clustered.drop_duplicates("image_id").set_index("image_id")["y_true"]
    shift = (truth - predictions.frame.drop_duplicates("image_id").set_index("image_id")["y_true"]) * 1.2
    scores = predictions.frame.assign(
        y_true=predictions.frame["image_id"].map(truth),
        y_score=lambda f: 1 / (1 + (1 / f["y_score"] - 1) * np.exp(-f["image_id"].map(shift))),
    )
    widths = []
    for key in ("patient_id", "image_id"):
        cohorts, predicted = (frame.assign(patient_id=frame[key]) for frame in (clustered, scores))
        result = audit_predictions(study, CohortManifest(cohorts), Predictions(predicted))
        cell = _row(result.estimates, train_cohort="all", split="test", test_group="all")
        widths.append(cell["bootstrap_high"] - cell["bootstrap_low"])
    assert widths[0] > 1.15 * widths[1]


@pytest.mark.parametrize(
    ("a", "b", "attribute"),
    [
        ({"sex": "F"}, {"sex": "M"}, "sex"),
        ({"sex": "F", "view": "PA"}, {"sex": "M", "view": "PA"}, "sex"),
        ({"sex": "F", "view": "PA"}, {"sex": "M", "view": "AP"}, None),
        ({"sex": "F"}, {"view": "PA"}, None),
        ({}, {"sex": "F"}, None),
        ({"view": ["AP", "PA"]}, {"view": "AP"}, None),
    ],
)
def test_cohorts_are_compared_where_they_differ_in_one_attribute(a: Any, b: Any, attribute: str | None) -> None:
    assert differing_attribute(Cohort(where=a), Cohort(where=b)) == attribute
    assert differing_attribute(Cohort(where=b), Cohort(where=a)) == attribute


def test_fits_that_failed_leave_gaps_between_the_seeds_that_are_left(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    frame = predictions.frame
    has_failed = ((frame["train_cohort"] == "F") & (frame["seed"] != 0)) | (
        (frame["train_cohort"] == "M") & (frame["seed"] != 1)
    )
    result = audit_predictions(study, manifest, Predictions(frame[~has_failed]))
    gap = _row(result.contrasts, kind="transfer_gap", train_cohort="F", other="M")
    assert gap["n_seeds"] == 1
    assert gap["low"] < gap["estimate"] < gap["high"]
    assert gap["estimate"] == pytest.approx(gap["minuend_estimate"] - gap["subtrahend_estimate"])


@pytest.mark.parametrize("order", [1, -1])
def test_of_groups_of_one_size_the_reference_is_the_first_by_name(order: int) -> None:
    study = Study.model_validate(
        {
            "study": "balanced",
            "data": {"source": "table"},
            "findings": {"opacity": {"positive": ["yes"]}},
            "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}, "AP": {"view": "AP"}, "PA": {"view": "PA"}},
            "models": ["net"],
        }
    )
    images = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(6)],
            "sex": ["M", "F"] * 3,
            "view": ["Unknown"] * 3 + ["AP", "PA", "PA"],
        }
    )
    assert reference_values(study, images.iloc[::order]) == {"sex": "F", "view": "PA"}


def test_groups_of_truth_values_and_numbers_are_compared_like_those_of_words() -> None:
    study = Study.model_validate(
        {
            "study": "smokers",
            "data": {"source": "table"},
            "findings": {"opacity": {"positive": ["yes"]}},
            "cohorts": {
                "yes": {"smoker": True},
                "no": {"smoker": False},
                "third": {"grade": 3.0},
                "fourth": {"grade": 4.0},
            },
            "models": ["net"],
            "analysis": {"contrasts": ["subgroup_gap"]},
        }
    )
    cells = [CellName("opacity", "yes", "net", "default", "test", group) for group in study.cohorts]
    pairs = declared_pairs(study, cells, {"smoker": "false", "grade": "3"})
    assert [(pair.minuend.test_group, pair.other) for pair in pairs] == [("yes", "no"), ("fourth", "third")]
