"""A file in which two models are one says so, and one in which they differ does not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from subgroup_audit.checking.columns import ColumnChoice
from subgroup_audit.checking.reading import read_scored

N = 200


def notes_of(second: np.ndarray, scores: np.ndarray) -> list[str]:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "y_true": rng.integers(0, 2, N),
            "a": scores,
            "b": second,
            "patient_id": range(N),
            "sex": ["F", "M"] * 100,
        }
    )
    read = read_scored(frame, ColumnChoice(score=("old:a", "new:b"), label=("y_true",)))
    return [note for note in read.notes if "says nothing" in note]


def test_a_copy_and_a_function_of_it_are_cautions() -> None:
    scores = np.random.default_rng(0).uniform(size=N)
    assert notes_of(scores.copy(), scores) == [
        "Caution: models 'old' and 'new' have the same scores for 'finding' on all 200 images that both have "
        "scored. They are one model or a copy of its file, and comparing them says nothing."
    ]
    assert "have the same order" in notes_of(scores**3, scores)[0]
    assert "have the opposite order" in notes_of(1 - scores, scores)[0]


def test_two_models_are_no_caution() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=N)
    assert notes_of(np.clip(scores + rng.normal(0, 0.02, N), 0, 1), scores) == []
