"""Predictions of a run are read fit by fit, whatever the file's row groups are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.schema import Predictions
from subgroup_audit.steps.results import StoredPredictions


def make_predictions(sizes: list[int]) -> Predictions:
    """Fits with so many images each; some ages and views are missing."""
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame(
            {
                "fit_id": f"fit-{place}",
                "train_cohort": "all",
                "model": "net",
                "recipe": "default",
                "seed": place,
                "image_id": [f"00{image}" for image in range(size)],
                "patient_id": [f"p{image // 2}" for image in range(size)],
                "split": "test",
                "finding": "opacity",
                "y_true": rng.integers(0, 2, size),
                "y_score": rng.random(size),
                "view": rng.choice(["AP", None], size),
                "age_years": rng.choice([40.0, np.nan], size),
            }
        )
        for place, size in enumerate(sizes)
    ]
    return Predictions(pd.concat(parts, ignore_index=True))


@pytest.mark.parametrize("row_group_size", [7, 50, 1000])
def test_tables_are_those_of_the_file_fit_by_fit(tmp_path: Path, row_group_size: int) -> None:
    whole = make_predictions([30, 1, 50, 20])
    file = tmp_path / "predictions.parquet"
    whole.frame.to_parquet(file, index=False, row_group_size=row_group_size)
    stored = StoredPredictions(file)
    for _ in range(2):
        tables = [table.frame for table in stored]
        assert [len(table) for table in tables] == [30, 1, 50, 20]
        pd.testing.assert_frame_equal(pd.concat(tables, ignore_index=True), whole.frame, check_exact=True)


def test_a_file_without_rows_has_no_tables(tmp_path: Path) -> None:
    file = tmp_path / "predictions.parquet"
    make_predictions([3]).frame.iloc[:0].to_parquet(file, index=False)
    assert list(StoredPredictions(file)) == []
