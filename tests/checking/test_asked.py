"""Where thresholds are to come from the validation split, they do or the check ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit import check
from subgroup_audit.errors import AuditError, PolicyError, TableError


def invent() -> pd.DataFrame:
    """240 images, a third of them for validation."""
    rng = np.random.default_rng(0)
    label = np.arange(240) % 2
    return pd.DataFrame(
        {
            "patient_id": np.arange(240),
            "sex": rng.choice(["F", "M"], 240),
            "split": ["val", "test", "test"] * 80,
            "y_true": label,
            "y_score": np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1),
        }
    )


def refuse(frame: pd.DataFrame, split: str = "val") -> AuditError:
    with pytest.raises(AuditError) as caught:
        check(frame, threshold_from=split, measures=["sensitivity"])
    return caught.value


def test_a_validation_split_with_both_classes_is_used() -> None:
    found = check(invent(), threshold_from="val", measures=["sensitivity"])
    rules = set(found.estimates.loc[found.estimates["metric"] == "sensitivity", "threshold_rule"])
    assert "youden, chosen on the validation split" in rules


def test_a_validation_split_without_a_class_ends_the_check_instead_of_being_cross_fitted() -> None:
    frame = invent()
    frame.loc[frame["split"] == "val", "y_true"] = 0
    error = refuse(frame)
    assert isinstance(error, TableError)
    assert str(error) == (
        "the table: --threshold-from val: its images lack a class for 'finding'. "
        "Without it, the threshold is cross-fitted over persons"
    )


def test_a_validation_split_that_is_judged_itself_chooses_no_threshold() -> None:
    assert str(refuse(invent().replace({"split": {"test": "train"}}))) == (
        "the table: --threshold-from val: there are no test images, so that the validation images are judged. "
        "Without it, the threshold is cross-fitted over persons"
    )


def test_thresholds_come_from_no_other_split() -> None:
    error = refuse(invent().replace({"split": {"val": "train"}}), "train")
    assert isinstance(error, PolicyError)
    assert str(error) == "--threshold-from: there is no 'train'; allowed: val"
