"""What a sample predicted again, copies among fits, and errors by person are said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.report import render_report
from subgroup_audit.report.belonging import (
    copy_sentences,
    error_rows,
    error_sentence,
    is_in_order,
    order_rows,
    order_sentence,
)
from subgroup_audit.report.contents import RunContents

FIT = {"train_cohort": "F", "model": "densenet121", "recipe": "default", "seed": 0}
RIGHT = {
    **FIT,
    "fit_id": "fit-1",
    "control": "",
    "n_images": 24,
    "n_different": 0,
    "n_elsewhere": 0,
    "n_wrong_labels": 0,
    "largest_difference": 1.2e-7,
    "precision": "fp32",
    "tolerance": 1e-4,
    "result": "matches",
    "reason": "",
}
MOVED = {**RIGHT, "result": "scores belong to other images", "n_different": 23, "n_elsewhere": 23}
COUNTS = {
    **FIT,
    "finding": "Lung opacity",
    "test_group": "M",
    "threshold": 0.4,
    "n_patients": 700,
    "n_images": 1500,
    "n_wrong": 300,
    "n_persons_with_errors": 200,
    "n_persons_of_several": 412,
    "n_all_wrong": 9,
    "expected_all_wrong": 2.34,
    "share_all_wrong": 9 / 412,
    "share_low": 0.012,
    "share_high": 0.041,
    "held": 0.31,
    "held_low": 0.2,
    "held_high": 0.44,
    "longest_run": 12,
    "confidence_level": 0.95,
}


def frame(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_fits_that_match_are_said_in_one_sentence() -> None:
    said = order_sentence(frame(*[RIGHT] * 9))
    assert said == (
        "Scores and labels belong together: 24 test images of each of 9 fits predicted again from the weights, "
        "largest difference 1e-7."
    )
    assert order_sentence(None) == ""


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (MOVED, "23 of 24 images have the score of another image"),
        ({**MOVED, "result": "another model"}, "the scores of 23 of 24 images are of another model"),
        ({**RIGHT, "result": "wrong labels", "n_wrong_labels": 2}, "2 labels are not those of the cohorts"),
    ],
)
def test_a_fit_that_is_wrong_is_named(row: dict, words: str) -> None:
    said = order_sentence(frame(RIGHT, row))
    assert said.startswith("Scores and labels do not belong together: 1 fit has other scores")
    assert f"F / densenet121 / default / seed 0: {words}." in said
    assert not is_in_order(frame(RIGHT, row))
    assert order_rows(frame(RIGHT, row))[0]["result"] == row["result"]


def test_what_was_not_checked_is_said() -> None:
    lost = {**RIGHT, "result": "not checked", "largest_difference": None, "reason": "no weights", "n_images": 0}
    assert order_sentence(frame(RIGHT, lost)).endswith("1 fit was not checked.")
    assert order_sentence(frame(lost)) == "Whether scores and labels belong together was not checked: no weights."
    assert order_rows(frame(lost))[0]["difference"] == "–"


def test_copies_are_a_caution() -> None:
    copies = frame({"first": "a", "second": "b", "finding": "x", "n_images": 1200, "relation": "the same order"})
    assert copy_sentences(copies) == [
        "a and b have the same order for x on all 1,200 images: they are one model, and comparing them says "
        "nothing."
    ]
    assert copy_sentences(None) == []


def test_the_group_whose_errors_gather_most_is_named() -> None:
    less = {**COUNTS, "test_group": "F", "held": 0.1}
    said = error_sentence(frame(less, COUNTS))
    assert said == (
        "Of 412 persons with several test images 9 have every image wrong (2.3 if errors fell on anybody). They "
        "hold 31 % of all errors (20 to 44 %): tested on M, the highest share of 2 fits and groups."
    )
    assert error_rows(frame(COUNTS))[0]["held_words"] == "31 % (20 to 44)"


def test_without_such_persons_that_is_said() -> None:
    none = {**COUNTS, "n_all_wrong": 0, "held": 0.0}
    assert error_sentence(frame(none)) == "No person of several test images has every one called wrongly."
    assert error_sentence(frame({**none, "n_persons_of_several": 0})) == ""
    assert error_rows(frame({**COUNTS, "held": None}))[0]["held_words"] == "–"


def test_the_page_shows_them_beside_the_certificate(contents: RunContents, tmp_path: Path) -> None:
    copies = frame({"first": "a", "second": "b", "finding": "x", "n_images": 12, "relation": "the same scores"})
    full = replace(contents, order_check=frame(RIGHT, MOVED), same_scores=copies, error_counts=frame(COUNTS))
    page = render_report(full, tmp_path).read_text(encoding="utf-8")
    for words in ("Scores and labels do not belong together", "Errors by person", "they are one model"):
        assert words in page
    assert {"order_check.csv", "same_scores.csv", "error_counts.csv"} <= {
        p.name for p in (tmp_path / "tables").iterdir()
    }
    assert "Scores and labels</h3>" not in render_report(contents, tmp_path).read_text(encoding="utf-8")
