"""Performance by group: operating points from validation images, every cell, descriptive gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from subgroup_audit.audit.performance import NO_THRESHOLD, group_performance
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.stats import average_precision, choose_threshold, rate_interval
from subgroup_audit.study import Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]
UNEVEN = {"F": 0.4, "M": 2.0}
ONE_SEED = {"seeds": [0]}


def _only(frame: pd.DataFrame, **where: Any) -> pd.DataFrame:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def _scored(predictions: Predictions, cohort: str, split: str, sex: str) -> pd.DataFrame:
    return _only(predictions.frame, train_cohort=cohort, split=split, sex=sex, seed=0)


def test_the_operating_point_comes_from_the_validation_images_of_the_training_cohort(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    found = group_performance(study, manifest, predictions)["operating_points"]
    assert len(found) == 6
    validation = _scored(predictions, "F", "val", "F")
    point = _only(found, train_cohort="F", seed=0).iloc[0]
    assert point["threshold"] == choose_threshold(validation["y_true"], validation["y_score"])
    assert point["rule"] == "youden, chosen on the validation split of the training cohort"
    assert point["n_positive"] + point["n_negative"] == len(validation)


def test_one_seeds_numbers_are_those_of_a_check_of_the_same_images(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN, **ONE_SEED)
    found = group_performance(study, manifest, predictions)
    threshold = _only(found["operating_points"], train_cohort="F").iloc[0]["threshold"]
    tested = _scored(predictions, "F", "test", "M")
    y, score, person = (tested[name].to_numpy() for name in ("y_true", "y_score", "patient_id"))
    cell = _only(found["performance"], train_cohort="F", test_group="M").set_index("metric")
    for metric in ("sensitivity", "specificity", "ppv", "npv"):
        ours, theirs = cell.loc[metric], rate_interval(y, score, metric, threshold=threshold, person=person)
        assert (ours["estimate"], ours["low"], ours["high"]) == (theirs.estimate, theirs.low, theirs.high)
    ap = average_precision(y, score, person=person)
    assert cell.loc["average_precision", "estimate"] == ap.estimate


def test_seeds_are_averaged_as_numbers_never_as_scores(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN)
    both = group_performance(study, manifest, predictions)["performance"]
    singles = [
        group_performance(study, manifest, Predictions(rows))["performance"]
        for _, rows in predictions.frame.groupby("seed")
    ]
    means = np.mean([single["estimate"] for single in singles], axis=0)
    assert both["estimate"].to_numpy() == pytest.approx(means)
    assert (both["n_seeds"] == 2).all()
    assert both["seed_sd"].notna().all()


def test_every_cell_has_its_curves_and_the_gaps_are_the_studys(synthetic: Make) -> None:
    found = group_performance(*synthetic(UNEVEN))
    cells = found["performance_curves"].groupby(["train_cohort", "test_group"])["curve"].unique()
    assert len(cells) == 9
    assert all(set(kinds) == {"roc", "precision_recall", "reliability"} for kinds in cells)
    curves = found["performance_curves"]
    assert curves.groupby(["train_cohort", "test_group", "curve"]).size().max() <= 61
    assert ((curves["low"] <= curves["y"] + 1e-12) & (curves["y"] <= curves["high"] + 1e-12)).all()
    gaps = found["performance_gaps"]
    assert set(zip(gaps["test_group"], gaps["other"], strict=True)) == {("F", "M")}
    assert np.allclose(gaps["estimate"], gaps["minuend_estimate"] - gaps["subtrahend_estimate"])
    weak = _only(gaps, metric="average_precision", train_cohort="all").iloc[0]
    assert weak["high"] < 0


def test_without_a_class_in_validation_there_is_no_operating_point_and_it_says_so(synthetic: Make) -> None:
    study, manifest, predictions = synthetic(UNEVEN, **ONE_SEED)
    lacking = manifest.frame["split"].eq("val") & manifest.frame["y_true"].eq(1)
    found = group_performance(study, CohortManifest(manifest.frame[~lacking]), predictions)
    assert found["operating_points"]["threshold"].isna().all()
    sensitivity = _only(found["performance"], metric="sensitivity")
    assert sensitivity["estimate"].isna().all()
    assert set(sensitivity["reason"]) == {NO_THRESHOLD}
    assert _only(found["performance"], metric="brier_score")["estimate"].notna().all()


def test_the_rule_is_the_studys(synthetic: Make) -> None:
    strict = {"analysis": {"reference": {"sex": "M"}, "operating_point": "specificity=0.9"}}
    found = group_performance(*synthetic(UNEVEN, **ONE_SEED, **strict))
    assert set(_only(found["performance"], metric="npv")["threshold_rule"]) == {
        "specificity=0.9, chosen on the validation split of the training cohort"
    }
    own = _only(found["performance"], metric="specificity", train_cohort="M", test_group="M").iloc[0]
    assert own["estimate"] == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("rule", ["accuracy", "sensitivity", "sensitivity=0", "specificity=1.2", "youden=0.5"])
def test_a_rule_that_there_is_not_is_refused(synthetic: Make, rule: str) -> None:
    with pytest.raises(ValidationError, match="operating_point"):
        synthetic(UNEVEN, analysis={"operating_point": rule})
