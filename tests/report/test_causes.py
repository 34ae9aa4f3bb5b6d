"""What the page says of causes: found ones first, and nothing of what was not asked."""

from __future__ import annotations

import pandas as pd
import pytest

from subgroup_audit.report.causes import causes_sentence, fit_words, named_causes
from subgroup_audit.study import Study

STUDY = Study.model_validate(
    {
        "study": "s",
        "data": {"source": "phantom"},
        "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
        "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": {"small": {"architecture": "small_cnn"}, "large": {"architecture": "resnet18"}},
    }
)


def row(cause: str, verdict: str, cohort: str = "F", size: float | None = None) -> dict[str, object]:
    return {
        "finding": "opacity", "train_cohort": cohort, "model": "small", "recipe": "default", "cause": cause,
        "low": None, "high": None,
        "group": "", "verdict": verdict, "sentence": f"{cause} in {cohort}.", "size": size,
    }  # fmt: skip


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        [
            row("leak", "not found"),
            row("overfitting", "found", "F", -0.1),
            row("overfitting", "found", "M", -0.3),
            row("order", "cannot be told"),
            row("leak", "not found", "M"),
        ]
    )


def test_found_causes_come_first_with_the_strongest_evidence(frame: pd.DataFrame) -> None:
    first, second, third = named_causes(frame, STUDY)
    assert (first.cause, first.verdict, first.n_found) == ("overfitting", "found", 2)
    assert first.sentence == "overfitting in M."
    assert first.where == "trained on F · small, trained on M · small"
    assert (second.cause, third.cause) == ("order", "leak")


def test_the_first_screen_names_what_was_found(frame: pd.DataFrame) -> None:
    assert causes_sentence(frame, STUDY) == "Named as cause: overfitting (in 2 of 2 kinds of fit)."
    none = frame[frame["verdict"] != "found"]
    assert causes_sentence(none, STUDY) == "None of 2 causes that were asked for is to be seen in these data."
    assert causes_sentence(None, STUDY) == ""


def test_names_that_turn_the_direction_of_writing_turn_only_themselves() -> None:
    words = fit_words(row("leak", "found", "\u202eabc"), STUDY)
    assert words == "trained on \u2068\u202eabc\u2069 · small"
