"""The judged comparisons of a check as rows of a forest plot, each with its own margin: places, no ink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.words import clearest, measure_words
from subgroup_audit.report.axes import Axis, difference_axis
from subgroup_audit.report.contents import distinct, isolated
from subgroup_audit.report.gaps import verdict_key
from subgroup_audit.report.numerals import is_number

MAX_ROWS = 120
MAX_DESCRIPTIVE = 200


@dataclass(frozen=True)
class CheckGap:
    """One comparison, with its places on the axis in percent; places are None where there is no estimate."""

    row: dict[str, Any]
    label: str
    context: str
    verdict_key: str
    at: float | None
    low_at: float | None
    high_at: float | None
    band: tuple[float, float]
    is_cut: bool


@dataclass(frozen=True)
class CheckForest:
    """The judged comparisons of one measure, gaps first, and how many there are in all."""

    metric: str
    name: str
    rows: tuple[CheckGap, ...]
    total: int
    axis: Axis
    margins: tuple[float, ...]


def check_forests(result: CheckResult) -> list[CheckForest]:
    """A forest for every measure that is judged."""
    judged = result.judged
    return [_forest(judged[judged["metric"] == metric], metric) for metric in distinct(judged["metric"])]


def _forest(rows: pd.DataFrame, metric: str) -> CheckForest:
    margins = tuple(sorted({float(value) for value in rows["margin"]}))
    values = [value for name in ("estimate", "low", "high") for value in rows[name]]
    axis = difference_axis(values, max(margins), rows["estimate"])
    names = [name for name in ("model", "finding", "threshold_rule") if rows[name].nunique() > 1]
    shown = clearest(rows)[:MAX_ROWS]
    gaps = tuple(_gap(row, axis, names) for row in shown)
    return CheckForest(metric, measure_words(metric), gaps, len(rows), axis, margins)


def _gap(row: dict[str, Any], axis: Axis, names: list[str]) -> CheckGap:
    def place(name: str) -> float | None:
        return axis.place(row[name]) if is_number(row[name]) else None

    ends = [float(row[name]) for name in ("low", "high") if is_number(row[name])]
    return CheckGap(
        row=row,
        label=comparison_label(row),
        context=" · ".join([isolated(row["attribute"]), *(isolated(row[name]) for name in names)]),
        verdict_key=verdict_key(row["verdict"]),
        at=place("estimate"),
        low_at=place("low"),
        high_at=place("high"),
        band=(axis.place(-row["margin"]), axis.place(row["margin"])),
        is_cut=any(end < axis.low or end > axis.high for end in ends),
    )


def comparison_label(row: dict[str, Any]) -> str:
    """A comparison in a few words: the first term minus the second."""
    first = {"generalization_gap": "train", "model_gap": row["model"]}.get(row["kind"], row["group"])
    return f"{isolated(first)} − {isolated(row['reference'])}"


def descriptive_rows(result: CheckResult) -> list[dict[str, Any]]:
    """The differences that are shown without a verdict, at most `MAX_DESCRIPTIVE`: train/test and models first."""
    shown = result.contrasts[result.contrasts["margin"].isna()]
    first = shown[shown["kind"] != "subgroup_gap"]
    rest = shown[(shown["kind"] == "subgroup_gap") & ~shown["threshold_rule"].str.startswith("per group")]
    own = shown[(shown["kind"] == "subgroup_gap") & shown["threshold_rule"].str.startswith("per group")]
    ordered = pd.concat([first, rest, own])
    return [
        {str(key): value for key, value in row.items()} for row in ordered.head(MAX_DESCRIPTIVE).to_dict("records")
    ]
