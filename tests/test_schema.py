"""Tables: to hold one is to know that it is valid."""

from __future__ import annotations

import pandas as pd
import pytest

from subgroup_audit.errors import TableError
from subgroup_audit.schema import ImageTable, LabelTable, Predictions, age_band

IMAGE = {
    "image_id": ["007"],
    "patient_id": [7],
    "exam_id": [None],
    "path": ["a.dcm"],
    "sex": ["F"],
    "view": ["PA"],
    "age_years": ["61"],
    "photometric": [""],
    "source": ["x"],
    "race": ["n/a"],
}


def test_columns_are_typed_and_keys_stay_text() -> None:
    frame = ImageTable(pd.DataFrame(IMAGE)).frame
    assert frame.loc[0, "image_id"] == "007"
    assert frame.loc[0, "patient_id"] == "7"
    assert frame.loc[0, "age_years"] == 61.0
    assert list(frame.columns)[-1] == "race"


def test_all_problems_are_listed_at_once() -> None:
    frame = pd.DataFrame({**IMAGE, "sex": ["W"], "age_years": ["old"]})
    with pytest.raises(TableError) as caught:
        ImageTable(frame, "x.csv")
    message = str(caught.value)
    assert message.startswith("ImageTable (x.csv): column 'age_years' must be float")
    assert "column 'sex' must be one of ['F', 'M', 'Unknown']; it has 'W'" in message


def test_a_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(TableError, match=r"column 'image_id' is missing \(nearest present: image_idx\)"):
        LabelTable(pd.DataFrame({"image_idx": ["a"], "finding": ["f"], "label": [1], "label_source": ["s"]}))


def test_a_repeated_key_is_refused() -> None:
    frame = pd.DataFrame({"image_id": ["a", "a"], "finding": "f", "label": [1, 0], "label_source": "s"})
    with pytest.raises(TableError, match="1 rows repeat the key"):
        LabelTable(frame)


def test_missing_values_where_none_may_be() -> None:
    columns = {c.name: ["a"] for c in Predictions.COLUMNS}
    frame = pd.DataFrame({**columns, "seed": [0], "split": ["test"], "y_true": [1], "y_score": [None]})
    with pytest.raises(TableError, match="column 'y_score' has 1 missing values"):
        Predictions(frame)


def test_age_bands_are_closed_below_and_open_above() -> None:
    ages = pd.Series([17.9, 18.0, 39.9, 40.0, None])
    assert age_band(ages, [18, 40]).tolist() == ["<18", "18-39", "18-39", "40+", "Unknown"]
