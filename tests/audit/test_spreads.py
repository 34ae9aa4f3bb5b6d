"""Gaps of gaps, the worst of several groups, permutation p-values, bands, and persons of two sexes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.pairs import attribute_groups
from subgroup_audit.errors import TableError
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Cohort, Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]
EVEN = {"F": 1.2, "M": 1.2}
UNEVEN = {"F": 0.4, "M": 2.0}
INTERACTION = {
    "analysis": {"reference": {"sex": "M"}, "n_resamples": 300, "contrasts": ["subgroup_gap", "gap_of_gaps"]}
}


def _row(frame: pd.DataFrame, **where: Any) -> dict[str, Any]:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.to_dict("records")[0]


def test_a_gap_of_gaps_is_one_gap_minus_the_other(synthetic: Make) -> None:
    result = audit_predictions(*synthetic(UNEVEN, **INTERACTION))
    found = _row(result.contrasts, kind="gap_of_gaps")
    first, second = (
        _row(result.contrasts, kind="subgroup_gap", train_cohort=train)["estimate"] for train in ("F", "M")
    )
    assert found["minuend_estimate"] == pytest.approx(first)
    assert found["subtrahend_estimate"] == pytest.approx(second)
    assert found["estimate"] == pytest.approx(first - second)
    assert found["low"] < found["estimate"] < found["high"]
    assert (found["train_cohort"], found["test_group"], found["other"]) == ("F", "F", "M")
    assert found["minuend"] == "trained on F, test images of F minus those of M"
    assert found["subtrahend"] == "trained on M, test images of F minus those of M"
    assert found["p_adjusted"] >= found["p_value"]
    # The same persons are on both sides: much is common, so it is known better than two gaps of other persons.
    errors = [_row(result.contrasts, kind="subgroup_gap", train_cohort=t)["standard_error"] for t in ("F", "M")]
    assert found["standard_error"] < np.hypot(*errors)


def test_a_gap_of_gaps_is_there_only_where_the_study_lists_it(synthetic: Make) -> None:
    assert "gap_of_gaps" not in set(audit_predictions(*synthetic(EVEN)).contrasts["kind"])


def test_a_training_effect_on_the_gap_is_found(synthetic: Make) -> None:
    """Fits of F see women well and men badly, fits of M the reverse: no gap on average, a gap of gaps."""
    study, manifest, predictions = synthetic(EVEN, **INTERACTION)
    frame = predictions.frame
    logit = np.log(frame["y_score"] / (1 - frame["y_score"]))
    is_own = (frame["train_cohort"] == frame["sex"]) | (frame["train_cohort"] == "all")
    logit = logit + np.where(is_own, 1.5, 0.0) * frame["y_true"]
    result = audit_predictions(study, manifest, Predictions(frame.assign(y_score=1 / (1 + np.exp(-logit)))))
    found = _row(result.contrasts, kind="gap_of_gaps")
    assert found["verdict"] == "gap"
    assert found["low"] > 0.1


def test_the_worst_group_and_the_range_are_shown_by_attribute(synthetic: Make) -> None:
    result = audit_predictions(*synthetic(UNEVEN, n_persons=1600))
    assert result.spreads is not None
    assert set(result.spreads["attribute"]) == {"sex"}
    assert len(result.spreads) == 3
    found = _row(result.spreads, train_cohort="all")
    cells = {g: _row(result.estimates, train_cohort="all", split="test", test_group=g) for g in ("F", "M")}
    assert (found["worst_group"], found["best_group"], found["groups"]) == ("F", "M", "F, M")
    assert found["worst_estimate"] == pytest.approx(cells["F"]["estimate"])
    assert found["worst_low"] < cells["F"]["low"]
    assert found["range"] == pytest.approx(cells["M"]["estimate"] - cells["F"]["estimate"])
    assert 0 < found["range_low"] < found["range"] < found["range_high"]
    assert found["p_equality"] < 0.05
    assert 0 < found["corrected_sd"] < found["observed_sd"]


def test_intersections_count_as_an_attribute(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(
        EVEN,
        cohorts={
            "all": {},
            "F": {"sex": "F"},
            "M": {"sex": "M"},
            "F_PA": {"sex": "F", "view": "PA"},
            "M_PA": {"view": "PA", "sex": "M"},
        },
        train_on=["all"],
    )
    assert attribute_groups(study) == {"sex": ("F", "M"), "sex x view": ("F_PA", "M_PA")}
    wider = study.model_copy(update={"cohorts": {**study.cohorts, "both": Cohort(where={"sex": ("F", "M")})}})
    assert attribute_groups(wider) == attribute_groups(study)
    spreads = audit_predictions(study, manifest, predictions).spreads
    assert spreads is not None
    assert list(spreads["attribute"]) == ["sex", "sex x view"]


def test_no_attribute_with_two_groups_gives_no_row(synthetic: Make) -> None:
    one_group = {"cohorts": {"all": {}, "F": {"sex": "F"}}, "train_on": ["all"], "analysis": {"n_resamples": 200}}
    spreads = audit_predictions(*synthetic(EVEN, **one_group)).spreads
    assert spreads is not None
    assert spreads.empty


def test_permutation_p_values_are_for_groups_of_other_persons(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN, n_persons=800)
    contrasts = audit_predictions(study, manifest, predictions).contrasts
    tested = _row(contrasts, kind="subgroup_gap", train_cohort="all")
    assert tested["p_permutation"] == 0.001
    assert tested["permutation"] == "999 exchanges of persons between the groups, mean over 2 fits as given"
    others = contrasts[contrasts["kind"] != "subgroup_gap"]
    assert others["p_permutation"].isna().all()
    assert set(others["permutation"]) == {"made for subgroup gaps of one finding"}


def test_persons_in_both_groups_cannot_be_exchanged(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(
        EVEN,
        cohorts={"all": {}, "PA": {"view": "PA"}, "AP": {"view": "AP"}},
        train_on=["all"],
        analysis={"reference": {"view": "PA"}, "n_resamples": 200},
    )
    images = manifest.frame[manifest.frame["cohort"] == "all"]
    view = pd.Series(np.where(np.arange(len(images)) % 2, "AP", "PA"), index=images["image_id"])
    frame = images.assign(view=images["image_id"].map(view))
    cohorts = pd.concat([frame, *(frame[frame["view"] == v].assign(cohort=v) for v in ("PA", "AP"))])
    gap = _row(audit_predictions(study, CohortManifest(cohorts), predictions).contrasts, kind="subgroup_gap")
    assert np.isnan(gap["p_permutation"])
    assert gap["permutation"] == "200 persons are in both groups, whose labels cannot be exchanged"


def test_bands_hold_the_intervals_and_say_how_they_were_had(synthetic: Make) -> None:
    cells = audit_predictions(*synthetic(EVEN)).estimates.query("split == 'test'")
    assert (cells["band_low"] < cells["low"]).all()
    assert (cells["band_high"] > cells["high"]).all()
    assert set(cells["band_method"]) == {"bootstrap max-T over 9 cells, seeds as normal"}
    single = audit_predictions(*synthetic(EVEN, seeds=[0])).estimates.query("split == 'test'")
    assert set(single["band_method"]) == {"bootstrap max-T over 9 cells"}


def test_patients_and_seeds_are_told_apart(synthetic: Make) -> None:
    cells = audit_predictions(*synthetic(EVEN)).estimates
    assert (cells["patient_se"] < cells["standard_error"]).all()
    single = audit_predictions(*synthetic(EVEN, seeds=[0])).estimates
    np.testing.assert_allclose(single["patient_se"], single["standard_error"])
    assert single["seed_sd"].isna().all()


def test_a_person_of_two_sexes_is_one_clear_error(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(EVEN)
    frame = manifest.frame
    turned = frame.assign(sex=frame["sex"].where(frame["image_id"] != "i00009", "M"))
    message = (
        "Cohorts: 1 of 400 persons have more than one sex, the first is patient_id '00004' (F, M); either "
        "patient_id does not tell persons apart, or sex is wrong on some of their images"
    )
    turned.loc[turned["image_id"] == "i00008", "sex"] = "F"
    with pytest.raises(TableError) as caught:
        audit_predictions(study, CohortManifest(turned), predictions)
    assert str(caught.value) == message
