"""Labels in every published form become one row per image and finding."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.datasets.labels import expand_classes, stack_columns
from subgroup_audit.errors import DataError

IDS = pd.Series(["a", "b", "c"], dtype="str")


def _wide(labels: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {str(key): dict(zip(g["finding"], g["label"], strict=True)) for key, g in labels.groupby("image_id")}


def test_separated_findings() -> None:
    labels = expand_classes(IDS, pd.Series(["Mass|Edema", "Edema", None], dtype="str"), separator="|")
    assert _wide(labels) == {"a": {"Edema": 1, "Mass": 1}, "b": {"Edema": 1, "Mass": 0}}


def test_one_class_keeps_a_slash_or_bar() -> None:
    labels = expand_classes(IDS, pd.Series(["No / Not", "x|y", "x|y"], dtype="str"))
    assert _wide(labels)["b"] == {"No / Not": 0, "x|y": 1}


def test_no_text_at_all_gives_no_rows() -> None:
    labels = expand_classes(IDS, pd.Series([None] * 3, dtype="str"))
    assert list(labels.columns) == ["image_id", "finding", "label"]
    assert labels.empty


@pytest.mark.parametrize(
    ("blank_is_negative", "expected"), [(False, {"b": -1, "a": 1}), (True, {"a": 1, "b": -1, "c": 0})]
)
def test_columns(blank_is_negative: bool, expected: dict[str, int]) -> None:
    frame = pd.DataFrame({"image_id": IDS, "Edema": pd.Series(["1.0", "-1.0", None], dtype="str")})
    labels = stack_columns(frame, ["Edema"], blank_is_negative=blank_is_negative, origin="train.csv")
    assert dict(zip(labels["image_id"], labels["label"], strict=True)) == expected


def test_other_values_are_refused() -> None:
    frame = pd.DataFrame({"image_id": IDS, "Edema": pd.Series(["1", "yes", "no"], dtype="str")})
    with pytest.raises(DataError) as caught:
        stack_columns(frame, ["Edema"], blank_is_negative=False, origin=str(Path("train.csv")))
    assert str(caught.value) == (
        "train.csv: column 'Edema' must hold 1, 0, -1 or nothing; 2 rows hold something else, the first 'yes'"
    )
