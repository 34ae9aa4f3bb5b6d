"""The love plot: how far two cohorts that are compared lie apart in everything that is recorded of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from subgroup_audit.audit.pairs import differing_attribute
from subgroup_audit.report.axes import Axis, span_axis
from subgroup_audit.report.cohort_figures import IMBALANCE, variable_words
from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.numerals import decimal, is_number
from subgroup_audit.study import Study

MAX_PAIRS = 12
# The scale ends here at the latest: two cohorts that were chosen to differ must not squeeze the rest.
LONGEST = 1.0


@dataclass(frozen=True)
class LoveRow:
    """One variable: its difference, and where that stands in percent of the scale.

    Attributes
    ----------
    at : None where there is no difference, or where the cohorts were chosen to differ
    note : what is said in place of a mark
    """

    variable: str
    at: float | None
    text: str
    note: str
    is_apart: bool
    is_cut: bool
    reading: str
    smd: float | None = None


@dataclass(frozen=True)
class LovePair:
    """Two cohorts in one split."""

    cohort: str
    other: str
    rows: tuple[LoveRow, ...]


@dataclass(frozen=True)
class LovePanel:
    """All pairs of one split."""

    split: str
    pairs: tuple[LovePair, ...]


@dataclass(frozen=True)
class LovePlot:
    """The panels by split, on one scale; `limit_at` is where an imbalance begins."""

    panels: tuple[LovePanel, ...]
    axis: Axis
    limit_at: float
    n_left_out: int


def love_plot(differences: pd.DataFrame | None, study: Study) -> LovePlot | None:
    """The pairs that the study compares, or all where it compares none; None where the run has stored none."""
    if differences is None or not len(differences):
        return None
    pairs = compared_pairs(study, distinct(differences["cohort"]), distinct(differences["other"]))
    shown = pairs[:MAX_PAIRS]
    rows = [row for row in rows_of(differences) if (row["cohort"], row["other"]) in shown]
    values = [float(row["smd"]) for row in rows if is_number(row["smd"]) and not _is_chosen(row, study)]
    axis = span_axis(0.0, min(LONGEST, max([0.25, *values])))
    panels = tuple(
        LovePanel(
            split, tuple(_pair(pair, [r for r in rows if r["split"] == split], study, axis) for pair in shown)
        )
        for split in distinct(row["split"] for row in rows)
    )
    return LovePlot(panels, axis, axis.place(IMBALANCE), len(pairs) - len(shown)) if panels else None


def compared_pairs(study: Study, first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of cohorts that differ in one attribute alone; all pairs where there is none."""
    present = [name for name in study.cohorts if name in first or name in second]
    pairs = list(combinations(present, 2))
    apart = [(a, b) for a, b in pairs if differing_attribute(study.cohorts[a], study.cohorts[b]) is not None]
    return apart or pairs


def _is_chosen(row: dict[str, Any], study: Study) -> bool:
    """Whether the cohorts were chosen to differ in this variable."""
    one, other = (study.cohorts[str(row[name])] for name in ("cohort", "other"))
    variable = str(row["variable"])
    return one.where.get(variable) != other.where.get(variable) or variable in one.mix or variable in other.mix


def _pair(pair: tuple[str, str], rows: Sequence[dict[str, Any]], study: Study, axis: Axis) -> LovePair:
    mine = [row for row in rows if (row["cohort"], row["other"]) == pair]
    return LovePair(*pair, tuple(_row(row, study, axis) for row in mine))


def _row(row: dict[str, Any], study: Study, axis: Axis) -> LoveRow:
    name, _ = variable_words(str(row["variable"]), "", study)
    if _is_chosen(row, study):
        return LoveRow(
            name, None, "", "chosen to differ", False, False, f"{name}: the cohorts were chosen to differ"
        )
    if not is_number(row["smd"]):
        return LoveRow(name, None, "–", "not estimable", False, False, f"{name}: {row['reason']}")
    smd = float(row["smd"])
    is_apart = smd > IMBALANCE
    reading = f"{isolated(name)}: {decimal(smd, 2)}" + (", an imbalance" if is_apart else "")
    return LoveRow(name, axis.place(smd), decimal(smd, 2), "", is_apart, smd > axis.high, reading, smd)
