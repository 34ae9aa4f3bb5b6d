"""A cause is named where its numbers say so, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from subgroup_audit.diagnosis import Evidence, name_causes
from subgroup_audit.schema import CASE_MIX_COLUMNS, CONTRAST_COLUMNS, WATERFALL_COLUMNS
from subgroup_audit.study import Study

FIT = {"finding": "opacity", "train_cohort": "F", "model": "small", "recipe": "default"}
STUDY = Study.model_validate(
    {
        "study": "s",
        "data": {"source": "phantom"},
        "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
        "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": {"small": {"architecture": "small_cnn"}},
    }
)


def waterfall(**changes: tuple[float, float, float]) -> pd.DataFrame:
    """A waterfall without a step, but for those named: change, low, high."""
    stages = ["while training", "evaluation mode", "recomputed", "validation", "own test"]
    rows: list[dict[str, Any]] = []
    for position, stage in enumerate(stages):
        change, low, high = changes.get(stage.replace(" ", "_"), (0.0, -0.02, 0.02))
        blank = dict.fromkeys([column.name for column in WATERFALL_COLUMNS])
        rows.append(blank | FIT | {"position": position, "stage": stage, "test_group": "F", "reason": ""})
        level = rows[-2]["auc"] + change if len(rows) > 1 else 0.9
        rows[-1] |= {"auc": level, "change": change, "low": low, "high": high}
    return pd.DataFrame(rows)


def contrast(verdict: str = "inconclusive", estimate: float = -0.1, p_adjusted: float = 0.5) -> pd.DataFrame:
    blank = dict.fromkeys([column.name for column in CONTRAST_COLUMNS])
    row = blank | FIT | {
        "kind": "subgroup_gap", "test_group": "F", "other": "M", "estimate": estimate, "low": estimate - 0.05,
        "high": estimate + 0.05, "confidence_level": 0.95, "p_adjusted": p_adjusted, "verdict": verdict,
        "sentence": "A sentence.",
    }  # fmt: skip
    return pd.DataFrame([row])


def case_mix(*verdicts: str) -> pd.DataFrame:
    blank = dict.fromkeys([column.name for column in CASE_MIX_COLUMNS])
    ways = ["as measured", "matched", "within view", "weighted", "regression"]
    return pd.DataFrame(
        [
            blank | FIT | {"test_group": "F", "other": "M", "adjustment": way, "verdict": verdict, "status": "ok"}
            for way, verdict in zip(ways, verdicts, strict=False)
        ]
    )


def cell(auc: float, flipped: float = 0.0, n: int = 600, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    score = rng.standard_normal(n) + np.sqrt(2.0) * ndtri(auc) * truth
    labels = np.where(rng.random(n) < flipped, 1 - truth, truth)
    return pd.DataFrame({"y_true": labels, "y_score": score, "person": np.arange(n)})


def cells(group: pd.DataFrame, other: pd.DataFrame) -> dict[tuple[str, str, str, str, str], pd.DataFrame]:
    key = tuple(FIT.values())
    return {(*key, "F"): group, (*key, "M"): other}


def evidence(**changes: Any) -> Evidence:
    usual = {"waterfall": waterfall(), "contrasts": contrast(), "cells": cells(cell(0.9), cell(0.9, seed=1))}
    return Evidence(**(usual | changes))


def verdicts(found: pd.DataFrame) -> dict[str, str]:
    return dict(zip(found["cause"], found["verdict"], strict=True))


def named(found: pd.DataFrame) -> list[str]:
    return found.loc[found["verdict"] == "found", "cause"].to_list()


def test_nothing_is_named_where_nothing_is_to_be_seen() -> None:
    assert named(name_causes(STUDY, evidence())) == []


@pytest.mark.parametrize(
    ("step", "change", "cause"),
    [
        ("recomputed", (0.3, 0.2, 0.4), "stored batch statistics do not fit the images"),
        ("validation", (-0.3, -0.4, -0.2), "overfitting: the training persons are known by heart"),
    ],
)
def test_a_step_is_named_where_its_interval_and_its_size_say_so(step, change, cause) -> None:
    assert named(name_causes(STUDY, evidence(waterfall=waterfall(**{step: change})))) == [cause]
    small = tuple(value / 10 for value in change)
    assert named(name_causes(STUDY, evidence(waterfall=waterfall(**{step: small})))) == []
    unsure = (change[0], -0.1 if change[0] > 0 else -0.7, 0.7 if change[0] > 0 else 0.1)
    assert named(name_causes(STUDY, evidence(waterfall=waterfall(**{step: unsure})))) == []


def test_a_fall_to_validation_persons_that_test_persons_do_not_share_is_not_overfitting() -> None:
    cause = "overfitting: the training persons are known by heart"
    bad_draw = waterfall(validation=(-0.06, -0.11, -0.01), own_test=(0.04, -0.01, 0.09))
    found = name_causes(STUDY, evidence(waterfall=bad_draw)).set_index("cause")
    assert found.loc[cause, "verdict"] == "not found"
    assert found.loc[cause, "sentence"] == (
        "From training images to validation persons the AUC changes by -0.060 (-0.110 to -0.010). On the test "
        "persons it is only -0.020."
    )
    lasting = waterfall(validation=(-0.06, -0.11, -0.01), own_test=(0.0, -0.05, 0.05))
    assert named(name_causes(STUDY, evidence(waterfall=lasting))) == [cause]


def test_batch_statistics_hide_overfitting() -> None:
    both = waterfall(recomputed=(0.3, 0.2, 0.4), validation=(-0.3, -0.4, -0.2))
    found = verdicts(name_causes(STUDY, evidence(waterfall=both)))
    assert found["stored batch statistics do not fit the images"] == "found"
    assert found["overfitting: the training persons are known by heart"] == "cannot be told"


def test_scores_that_were_moved_are_named_and_those_not_checked_said_so() -> None:
    rows = [{**FIT, "seed": seed, "n_images": 24, "result": "matches"} for seed in (0, 1)]
    checked = pd.DataFrame(rows).drop(columns="finding")
    cause = "scores and labels do not belong together"
    assert verdicts(name_causes(STUDY, evidence(order_check=checked)))[cause] == "not found"
    moved = checked.assign(result=["matches", "scores belong to other images"])
    found = name_causes(STUDY, evidence(order_check=moved)).set_index("cause").loc[cause]
    assert found["verdict"] == "found"
    assert found["sentence"] == (
        "Of 2 fits scored again, 1 differ from what is stored: scores belong to other images."
    )
    assert verdicts(name_causes(STUDY, evidence()))[cause] == "cannot be told"
    # moved scores look like batch statistics that do not fit: right when scored again, wrong as stored
    hidden = name_causes(STUDY, evidence(order_check=moved, waterfall=waterfall(recomputed=(0.4, 0.3, 0.5))))
    assert named(hidden) == [cause]
    assert verdicts(hidden)["stored batch statistics do not fit the images"] == "cannot be told"


def test_shared_persons_are_named() -> None:
    row = {"train_cohort": "F", "test_cohort": "F", "shared_persons": 0, "shared_files": 0, "shared_pixels": 0}
    clean = pd.DataFrame([{**row, "share_of_test_images_of_seen_persons": 0.0}])
    cause = "test persons or images were seen in training"
    assert verdicts(name_causes(STUDY, evidence(leakage=clean)))[cause] == "not found"
    shared = clean.assign(shared_persons=9, share_of_test_images_of_seen_persons=0.7)
    found = name_causes(STUDY, evidence(leakage=shared)).set_index("cause").loc[cause]
    assert found["sentence"] == "70 % of the test images of F are of persons seen in training."
    gap = {"contrasts": contrast("gap", -0.2, 0.001), "cells": cells(cell(0.7), cell(0.95, seed=1))}
    hidden = name_causes(STUDY, evidence(leakage=shared, **gap))
    assert named(hidden) == [cause]
    difference = hidden.set_index("cause").loc["the finding is told less well in F than in M"]
    assert difference["sentence"] == f"Another cause comes first: {cause}."


def test_an_attribute_that_carries_the_auc_is_named() -> None:
    row = {
        **FIT, "test_group": "F", "attribute": "view", "auc_all": 0.85, "auc_within": 0.6, "share": 0.71,
        "low": 0.5, "high": 0.9, "reason": "",
    }  # fmt: skip
    assert named(name_causes(STUDY, evidence(advantage=pd.DataFrame([row])))) == [
        "shortcut: view stands in for the finding"
    ]
    little = pd.DataFrame([{**row, "auc_within": 0.83}])
    assert named(name_causes(STUDY, evidence(advantage=little))) == []


def test_a_gap_that_stays_at_an_equal_mix_is_a_difference_and_one_that_goes_is_not() -> None:
    gap = contrast("gap", -0.2, 0.001)
    lasting = case_mix("gap", "gap", "gap", "gap", "gap")
    cause = "the finding is told less well in F than in M"
    groups = cells(cell(0.9, n=4000), cell(0.97, n=4000, seed=1))
    assert named(name_causes(STUDY, evidence(contrasts=gap, case_mix=lasting, cells=groups))) == [cause]
    few = name_causes(STUDY, evidence(contrasts=gap, case_mix=lasting, cells=cells(cell(0.7), cell(0.95, seed=1))))
    assert named(few) == [f"{cause}, or labels of F are wrong more often"]
    said = few.loc[few["verdict"] == "found", "sentence"].item()
    assert said.startswith("A sentence. It stays at an equal mix. Wrong labels of F are not excluded: up to ")
    assert said.endswith(" percentage points more.")
    going = case_mix("gap", "gap", "inconclusive", "gap", "gap")
    found = verdicts(name_causes(STUDY, evidence(contrasts=gap, case_mix=going, cells=groups)))
    assert found[cause] == "cannot be told"
    uncorrected = contrast("gap", -0.2, 0.2)
    found = verdicts(name_causes(STUDY, evidence(contrasts=uncorrected, case_mix=lasting, cells=groups)))
    assert found[cause] == "not found"


def test_wrong_labels_are_told_from_a_finding_that_is_hard_to_see() -> None:
    gap, lasting = contrast("gap", -0.2, 0.001), case_mix("gap", "gap", "gap", "gap", "gap")
    wrong = cells(cell(0.98, flipped=0.25), cell(0.98, seed=1))
    found = verdicts(name_causes(STUDY, evidence(contrasts=gap, case_mix=lasting, cells=wrong)))
    assert found["labels of F are wrong more often than those of M"] == "found"
    assert found["the finding is told less well in F than in M"] == "cannot be told"
    hard = cells(cell(0.72), cell(0.98, seed=1))
    found = verdicts(name_causes(STUDY, evidence(contrasts=gap, case_mix=lasting, cells=hard)))
    assert found["labels of F are wrong more often than those of M"] == "not found"
    assert found["the finding is told less well in F than in M, or labels of F are wrong more often"] == "found"


def test_the_group_that_the_fit_does_worse_in_is_asked_for_wrong_labels() -> None:
    gap, lasting = contrast("gap", 0.2, 0.001), case_mix("gap", "gap", "gap", "gap", "gap")
    wrong = cells(cell(0.98, seed=1), cell(0.98, flipped=0.25))
    found = verdicts(name_causes(STUDY, evidence(contrasts=gap, case_mix=lasting, cells=wrong)))
    assert found["labels of M are wrong more often than those of F"] == "found"
    assert found["the finding is told less well in M than in F"] == "cannot be told"


def test_batch_statistics_that_may_cost_as_much_are_not_taken_for_overfitting() -> None:
    unsure = waterfall(recomputed=(0.15, -0.05, 0.33), validation=(-0.16, -0.23, -0.10))
    found = name_causes(STUDY, evidence(waterfall=unsure)).set_index("cause")
    assert (found["verdict"] != "found").all()
    assert found.loc["overfitting: the training persons are known by heart", "sentence"] == (
        "Batch statistics may come first: recomputed, they change the AUC by +0.150."
    )
