"""The figures of a comparison as places and marks: forests, matrices and dumbbells of differences, no ink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.comparison.result import ranked
from subgroup_audit.comparison.words import KIND_TITLES, question_words
from subgroup_audit.report.axes import Axis, auc_axis, difference_axis
from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.numerals import is_number, nice_ceiling

MAX_ROWS = 120
# What a verdict is called, and the key that names its mark and its colour.
COMPARISON_KEYS: Mapping[str, str] = {
    "difference": "gap",
    "inconclusive": "inconclusive",
    "no difference beyond the margin": "equal",
    "not estimable": "absent",
    "identical": "equal",
    "descriptive": "descriptive",
}
TESTED_KINDS = ("auc", "subgroup_gap", "transfer_gap", "gap_of_gaps")
PANEL = ["compared", "finding", "model", "recipe"]


@dataclass(frozen=True)
class DifferenceRow:
    """One difference, with its places on the axis in percent; places are None where there is no estimate."""

    row: dict[str, Any]
    label: str
    context: str
    verdict_key: str
    at: float | None
    low_at: float | None
    high_at: float | None
    is_cut: bool


@dataclass(frozen=True)
class DifferenceForest:
    """The differences of one kind, the most important first, and how many there are in all."""

    kind: str
    title: str
    rows: tuple[DifferenceRow, ...]
    total: int
    axis: Axis
    margin: float
    band: tuple[float, float]


@dataclass(frozen=True)
class DifferenceCell:
    """A cell of a matrix: its row, and its shade from -1 (compared lower) to 1; None without an estimate."""

    row: dict[str, Any]
    train_cohort: str
    test_group: str
    shade: float | None
    verdict_key: str
    is_same: bool


@dataclass(frozen=True)
class DifferenceMatrix:
    """Differences of AUC of one model for one finding: training cohorts by test groups."""

    key: str
    name: str
    test_groups: tuple[str, ...]
    lines: tuple[tuple[DifferenceCell, ...], ...]
    largest: float


@dataclass(frozen=True)
class PairRow:
    """The AUCs of both sides in one cell, with their places in percent."""

    row: dict[str, Any]
    label: str
    context: str
    verdict_key: str
    reference_at: float | None
    compared_at: float | None


@dataclass(frozen=True)
class Pairs:
    """Both sides' AUC of every test cell, in the order of the study."""

    rows: tuple[PairRow, ...]
    total: int
    axis: Axis


def varying(frame: pd.DataFrame) -> list[str]:
    """What differs between rows, so that labels must name it."""
    return [name for name in PANEL if frame[name].nunique() > 1]


def context_of(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """What tells a row from others of the same question."""
    return " · ".join(isolated(row[name]) for name in names)


def forests(result: ComparisonResult) -> list[DifferenceForest]:
    """A forest for every kind that is tested, on one scale."""
    tested = result.judged
    margin = float(result.settings["margin"])
    values = [value for name in ("estimate", "low", "high") for value in tested[name]]
    axis = difference_axis(values, margin, tested["estimate"])
    names = varying(result.differences)
    found = []
    for kind in TESTED_KINDS:
        chosen = tested[tested["kind"] == kind]
        rows = tuple(_row(row, axis, names) for row in rows_of(ranked(chosen).head(MAX_ROWS)))
        band = (axis.place(-margin), axis.place(margin))
        found.append(DifferenceForest(kind, KIND_TITLES[kind], rows, len(chosen), axis, margin, band))
    return [forest for forest in found if forest.rows]


def _row(row: dict[str, Any], axis: Axis, names: Sequence[str]) -> DifferenceRow:
    def place(name: str) -> float | None:
        return axis.place(row[name]) if is_number(row[name]) else None

    return DifferenceRow(
        row=row,
        label=label_of(row),
        context=context_of(row, names),
        verdict_key=COMPARISON_KEYS[row["verdict"]],
        at=place("estimate"),
        low_at=place("low"),
        high_at=place("high"),
        is_cut=any(axis.cuts(row["low"], row["high"])),
    )


def label_of(row: Mapping[str, Any]) -> str:
    """What a row asks about, its names held together, with a capital."""
    held = {name: isolated(row[name]) for name in ("train_cohort", "test_group", "other")}
    words = question_words({**row, **held})
    return words[:1].upper() + words[1:]


def matrices(result: ComparisonResult) -> list[DifferenceMatrix]:
    """A matrix of differences of test AUC for every compared side, finding, model and recipe."""
    cells = result.differences[(result.differences["kind"] == "auc") & (result.differences["split"] == "test")]
    largest = nice_ceiling(max([0.1, *cells["estimate"].abs().dropna()]), 0.05)
    names = varying(result.differences)
    return [
        _matrix(str(number), rows, names, largest)
        for number, (_, rows) in enumerate(cells.groupby(PANEL, sort=False))
    ]


def _matrix(key: str, rows: pd.DataFrame, names: Sequence[str], largest: float) -> DifferenceMatrix:
    by_cell = {(row["train_cohort"], row["test_group"]): row for row in rows_of(rows)}
    groups = tuple(distinct(rows["test_group"]))
    lines = tuple(
        tuple(_cell(by_cell.get((cohort, group), {}), cohort, group, largest) for group in groups)
        for cohort in distinct(rows["train_cohort"])
    )
    first = rows_of(rows.head(1))[0]
    return DifferenceMatrix(key, context_of(first, names or ["compared"]), groups, lines, largest)


def _cell(row: dict[str, Any], cohort: str, group: str, largest: float) -> DifferenceCell:
    shade = round(float(row["estimate"]) / largest, 3) if row and is_number(row["estimate"]) else None
    verdict = COMPARISON_KEYS[row["verdict"]] if row else "absent"
    return DifferenceCell(row, cohort, group, shade, verdict, cohort == group)


def pairs(result: ComparisonResult) -> Pairs:
    """Both sides' AUC on the images that both have scored, cell by cell."""
    cells = result.differences[(result.differences["kind"] == "auc") & (result.differences["split"] == "test")]
    axis = auc_axis([*cells["reference_estimate"], *cells["compared_estimate"]])
    names = varying(result.differences)

    def place(value: Any) -> float | None:
        return axis.place(value) if is_number(value) else None

    rows = tuple(
        PairRow(
            row=row,
            label=label_of(row),
            context=context_of(row, names),
            verdict_key=COMPARISON_KEYS[row["verdict"]],
            reference_at=place(row["reference_estimate"]),
            compared_at=place(row["compared_estimate"]),
        )
        for row in rows_of(cells.head(MAX_ROWS))
    )
    return Pairs(rows, len(cells), axis)
