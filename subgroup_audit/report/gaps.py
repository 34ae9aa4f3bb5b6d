"""The gaps as rows of a forest plot and of a train/test dumbbell plot: order, places and marks, no ink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.axes import Axis, auc_axis, difference_axis
from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.matrix import MACRO_MEAN, matching_references
from subgroup_audit.report.numerals import is_number
from subgroup_audit.study import Reference, Study

MAX_ROWS = 80
DEFAULT_MARGIN = 0.05

# What a verdict is called, from the one that matters most; the key names its mark and its colour.
VERDICT_KEYS: dict[str, str] = {
    "gap": "gap",
    "inconclusive": "inconclusive",
    "no gap beyond the margin": "equal",
    "not estimable": "absent",
    "descriptive": "descriptive",
}
TESTED_KINDS = ("subgroup_gap", "transfer_gap", "gap_of_gaps")


@dataclass(frozen=True)
class GapRow:
    """One gap, with its places on the axis in percent; places are None where there is no estimate.

    Attributes
    ----------
    is_cut : whether the interval reaches beyond the axis
    is_corrected_away : a gap that the correction for the number of comparisons does not leave
    is_below_margin : no gap beyond the margin, though the interval leaves out zero
    """

    row: dict[str, Any]
    label: str
    context: str
    verdict_key: str
    at: float | None
    low_at: float | None
    high_at: float | None
    bootstrap_low_at: float | None
    bootstrap_high_at: float | None
    is_cut: bool
    is_corrected_away: bool
    is_below_margin: bool


@dataclass(frozen=True)
class Forest:
    """The gaps of one kind, the most important first, and how many more are in the table."""

    kind: str
    rows: tuple[GapRow, ...]
    total: int
    axis: Axis
    margin: float
    band: tuple[float, float]


@dataclass(frozen=True)
class DumbbellRow:
    """Train and test AUC of the fits of one cohort, model and recipe, with their places in percent."""

    row: dict[str, Any]
    label: str
    context: str
    train_at: float | None
    test_at: float | None
    references: tuple[tuple[Reference, float], ...]


@dataclass(frozen=True)
class Dumbbell:
    """The train/test gaps, widest first."""

    rows: tuple[DumbbellRow, ...]
    total: int
    axis: Axis


def verdict_key(verdict: str) -> str:
    """The short name of a verdict; a word that is not known counts as not estimable."""
    return VERDICT_KEYS.get(verdict, "absent")


def ranked(contrasts: pd.DataFrame) -> pd.DataFrame:
    """The gaps by importance: verdict, what correction leaves, the macro mean first, size; ties keep order."""
    order = {verdict: place for place, verdict in enumerate(VERDICT_KEYS)}
    keys = pd.DataFrame(
        {
            "verdict": contrasts["verdict"].map(order).fillna(len(order)),
            "away": contrasts["p_adjusted"] >= 1 - contrasts["confidence_level"],
            "single": contrasts["finding"] != MACRO_MEAN,
            "size": -contrasts["estimate"].abs().fillna(-1.0),
        },
        index=contrasts.index,
    )
    return contrasts.loc[keys.sort_values(["verdict", "away", "single", "size"], kind="stable").index]


def is_corrected_away(row: dict[str, Any]) -> bool:
    """Whether the stored adjusted p-value no longer shows a difference at the row's confidence level."""
    return is_number(row["p_adjusted"]) and float(row["p_adjusted"]) >= 1 - float(row["confidence_level"])


def verdict_counts(contrasts: pd.DataFrame, kinds: Sequence[str] = TESTED_KINDS) -> dict[str, int]:
    """How many contrasts of these kinds have each verdict; descriptive ones are not verdicts."""
    counts = contrasts.loc[contrasts["kind"].isin(kinds), "verdict"].value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in VERDICT_KEYS if verdict != "descriptive"}


def margin_of(contrasts: pd.DataFrame, study: Study) -> float:
    """The margin that the contrasts were judged by, as stored; the study's where none is stored."""
    stored = contrasts["margin"].dropna()
    return float(stored.iloc[0]) if len(stored) else study.analysis.margin


def comparison_label(row: dict[str, Any]) -> str:
    """A gap in a few words: the term that is subtracted from, minus the one that is subtracted."""
    train, test, other = (isolated(row[name]) for name in ("train_cohort", "test_group", "other"))
    if row["kind"] == "subgroup_gap":
        return f"Trained on {train}: {test} − {other}"
    if row["kind"] == "transfer_gap":
        return f"Tested on {test}: trained on {train} − {other}"
    if row["kind"] == "gap_of_gaps":
        return f"{test} − {other}: trained on {train} − trained on {other}"
    if row["kind"] == "generalization_gap":
        return f"{train}" if train == test else f"{train}, on {test}"
    return f"{row['minuend']} − {row['subtrahend']}"


def varying(frame: pd.DataFrame) -> list[str]:
    """Which of finding, model and recipe differ between rows, so that labels must name them."""
    return [name for name in ("finding", "model", "recipe") if frame[name].nunique() > 1]


def forest(contrasts: pd.DataFrame, kind: str, study: Study) -> Forest:
    """The rows of one kind of gap, at most `MAX_ROWS`, on a scale shared by all tested kinds."""
    tested = contrasts[contrasts["kind"].isin(TESTED_KINDS)]
    margin = margin_of(tested, study)
    chosen = ranked(contrasts[contrasts["kind"] == kind])
    limits = pd.concat([tested[name].abs() for name in ("estimate", "low", "high")])
    axis = difference_axis(limits.tolist(), margin, tested["estimate"])
    names = varying(contrasts)
    rows = tuple(_gap_row(row, axis, names) for row in rows_of(chosen.head(MAX_ROWS)))
    return Forest(kind, rows, len(chosen), axis, margin, (axis.place(-margin), axis.place(margin)))


def _gap_row(row: dict[str, Any], axis: Axis, names: Sequence[str]) -> GapRow:
    def place(name: str) -> float | None:
        return axis.place(row[name]) if is_number(row[name]) else None

    ends = [float(row[name]) for name in ("low", "high") if is_number(row[name])]
    return GapRow(
        row=row,
        label=comparison_label(row),
        context=" · ".join(str(row[name]) for name in names),
        verdict_key=verdict_key(row["verdict"]),
        at=place("estimate"),
        low_at=place("low"),
        high_at=place("high"),
        bootstrap_low_at=place("bootstrap_low"),
        bootstrap_high_at=place("bootstrap_high"),
        is_cut=any(end < axis.low or end > axis.high for end in ends),
        is_corrected_away=row["verdict"] == "gap" and is_corrected_away(row),
        is_below_margin=verdict_key(row["verdict"]) == "equal" and len(ends) == 2 and ends[0] * ends[1] > 0,
    )


def dumbbell(contrasts: pd.DataFrame, study: Study) -> Dumbbell:
    """Train and test AUC of every fitted cohort, model and recipe, widest gap first."""
    chosen = contrasts[contrasts["kind"] == "generalization_gap"]
    widest = chosen.sort_values("estimate", ascending=False, kind="stable", na_position="last")
    published = [reference.value for reference in study.reference if reference.metric == "auc"]
    terms = [*chosen["minuend_estimate"], *chosen["subtrahend_estimate"]]
    axis = auc_axis([*terms, *published])
    names = varying(contrasts)
    rows = tuple(_dumbbell_row(row, axis, names, study) for row in rows_of(widest.head(MAX_ROWS)))
    return Dumbbell(rows, len(chosen), axis)


def _dumbbell_row(row: dict[str, Any], axis: Axis, names: Sequence[str], study: Study) -> DumbbellRow:
    def place(name: str) -> float | None:
        return axis.place(row[name]) if is_number(row[name]) else None

    where = {name: str(row[name]) for name in ("train_cohort", "test_group", "model", "recipe")}
    found = [r for split in ("train", "test") for r in matching_references(study, split=split, **where)]
    return DumbbellRow(
        row=row,
        label=comparison_label(row),
        context=" · ".join(str(row[name]) for name in names),
        train_at=place("minuend_estimate"),
        test_at=place("subtrahend_estimate"),
        references=tuple((reference, axis.place(reference.value)) for reference in found),
    )
