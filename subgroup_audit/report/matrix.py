"""The cross-evaluation matrix: every training cohort against every test group, as numbers ready to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import distinct, rows_of
from subgroup_audit.report.numerals import is_number, nice_ceiling
from subgroup_audit.study import Reference, Study

MACRO_MEAN = "macro mean"
MAX_PANELS = 24
# Cells of all matrices together: more would make the page large and slow. One matrix is always shown.
MAX_CELLS = 2700
# A matrix with more columns shows the AUC alone in its cells until the reader asks for more.
MAX_OPEN_COLUMNS = 12
CHANCE = 0.5
NOT_ESTIMABLE = "not estimable"


@dataclass(frozen=True)
class Cell:
    """One cell as stored, with where it stands on the colour scale.

    Attributes
    ----------
    row : the stored row, by column name; empty where the run has no such cell
    shade : 0 (bottom of the colour scale) to 1 (its top); None where there is no estimate
    is_same : whether the fit is tested on the group that it was trained on
    references : published values that match the cell
    """

    train_cohort: str
    test_group: str
    row: dict[str, Any]
    status: str
    reason: str
    shade: float | None
    is_same: bool
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True)
class MatrixPanel:
    """One matrix: a finding, a model and a recipe; `cells[i][j]` is train cohort i on test group j."""

    finding: str
    model: str
    recipe: str
    train_cohorts: tuple[str, ...]
    test_groups: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    bottom: float
    top: float

    @property
    def key(self) -> str:
        """What tells this panel from the others."""
        return " / ".join((self.finding, self.model, self.recipe))

    @property
    def marks(self) -> tuple[str, ...]:
        """What a legend has to explain: the statuses of the cells, and 'same' where any is of its own cohort."""
        cells = [cell for line in self.cells for cell in line]
        statuses = {NOT_ESTIMABLE if cell.shade is None else cell.status for cell in cells}
        return (*sorted(statuses), *({"same"} if any(cell.is_same for cell in cells) else ()))

    @property
    def is_dense(self) -> bool:
        """Whether the matrix is too wide for cells of several lines."""
        return len(self.test_groups) > MAX_OPEN_COLUMNS


def headline_finding(findings: Sequence[str]) -> str:
    """The finding that speaks for all: the macro mean where there is one, else the first."""
    return MACRO_MEAN if MACRO_MEAN in findings else next(iter(findings), "")


def matrix_cells(estimates: pd.DataFrame) -> pd.DataFrame:
    """The rows of `estimates` that a matrix shows: AUC on the test split."""
    is_auc = estimates["metric"].str.lower() == "auc"
    return estimates[is_auc & (estimates["split"] == "test")]


def in_order(names: Sequence[str], preferred: Sequence[str]) -> tuple[str, ...]:
    """The names in the study's order; names that the study does not know come last.

    >>> in_order(["b", "x", "a"], ["a", "b", "c"])
    ('a', 'b', 'x')
    """
    known = [name for name in preferred if name in names]
    return (*known, *(name for name in names if name not in known))


def matching_references(
    study: Study, *, train_cohort: str, test_group: str, model: str, recipe: str, split: str
) -> tuple[Reference, ...]:
    """The published AUCs that belong to a cell.

    A reference without a test group belongs to the group that was trained on; one without a training cohort to
    every training cohort; one with neither only to a study with a single training cohort.
    """
    return tuple(
        reference
        for reference in study.reference
        if reference.metric == "auc"
        and reference.split == split
        and (reference.model or model) == model
        and (reference.recipe or recipe) == recipe
        and (reference.train_cohort or train_cohort) == train_cohort
        and (reference.test_group or train_cohort) == test_group
        and (reference.train_cohort or reference.test_group or len(study.train_cohorts) == 1)
    )


def matrix_panels(estimates: pd.DataFrame, study: Study) -> list[MatrixPanel]:
    """The matrices, one per finding, model and recipe, the macro mean first; as many as a page can hold."""
    cells = matrix_cells(estimates)
    findings = distinct(cells["finding"])
    first = headline_finding(findings)
    scale = colour_scale(cells["estimate"])
    panels = []
    for finding in (first, *(name for name in findings if name != first)):
        chosen = cells[cells["finding"] == finding]
        for model in in_order(distinct(chosen["model"]), list(study.models)):
            of_model = chosen[chosen["model"] == model]
            for recipe in in_order(distinct(of_model["recipe"]), list(study.recipes)):
                rows = of_model[of_model["recipe"] == recipe]
                panels.append(_panel(rows, study, scale, cites_references=finding == first))
    size = max((len(panel.train_cohorts) * len(panel.test_groups) for panel in panels), default=1)
    return panels[: min(MAX_PANELS, max(1, MAX_CELLS // size))]


def count_matrices(estimates: pd.DataFrame) -> int:
    """How many matrices there are, shown or not."""
    return len(matrix_cells(estimates)[["finding", "model", "recipe"]].drop_duplicates())


def panel_names(panels: Sequence[MatrixPanel]) -> list[str]:
    """What a chooser calls each panel: its finding and model, and its recipe only where that tells two apart."""
    pairs = [(panel.finding, panel.model) for panel in panels]
    return [
        " · ".join((*pair, panel.recipe) if pairs.count(pair) > 1 else pair)
        for panel, pair in zip(panels, pairs, strict=True)
    ]


def colour_scale(estimates: pd.Series) -> tuple[float, float]:
    """Bottom and top of the colour scale of all matrices: round numbers around the values, never below chance.

    >>> colour_scale(pd.Series([0.745, 0.824])), colour_scale(pd.Series([0.45, 0.6])), colour_scale(pd.Series([]))
    ((0.7, 0.85), (0.5, 0.6), (0.5, 1.0))
    """
    found = [float(value) for value in estimates if is_number(value)]
    if not found:
        return CHANCE, 1.0
    bottom = max(CHANCE, -nice_ceiling(-min(found), 0.1))
    return bottom, max(bottom + 0.1, nice_ceiling(max(found)))


def _panel(rows: pd.DataFrame, study: Study, scale: tuple[float, float], *, cites_references: bool) -> MatrixPanel:
    stored = {(str(row["train_cohort"]), str(row["test_group"])): row for row in rows_of(rows)}
    first = next(iter(stored.values()))
    trained = in_order(distinct(rows["train_cohort"]), study.train_cohorts)
    tested = in_order(distinct(rows["test_group"]), study.test_cohorts)
    cells = tuple(
        tuple(_cell(stored.get((train, test), {}), train, test, scale) for test in tested) for train in trained
    )
    panel = MatrixPanel(
        str(first["finding"]), str(first["model"]), str(first["recipe"]), trained, tested, cells, *scale
    )
    return _with_references(panel, study) if cites_references else panel


def _cell(row: dict[str, Any], train_cohort: str, test_group: str, scale: tuple[float, float]) -> Cell:
    estimate = row.get("estimate")
    has_estimate = is_number(estimate)
    return Cell(
        train_cohort=train_cohort,
        test_group=test_group,
        row=row,
        status=str(row.get("status", NOT_ESTIMABLE)) if has_estimate else NOT_ESTIMABLE,
        reason=str(row.get("reason") or "") if row else "this combination was not fitted",
        shade=_shade(float(row["estimate"]), scale) if has_estimate else None,
        is_same=train_cohort == test_group,
    )


def _shade(estimate: float, scale: tuple[float, float]) -> float:
    bottom, top = scale
    return max(0.0, min(1.0, (estimate - bottom) / (top - bottom)))


def _with_references(panel: MatrixPanel, study: Study) -> MatrixPanel:
    def cited(cell: Cell) -> Cell:
        found = matching_references(
            study,
            train_cohort=cell.train_cohort,
            test_group=cell.test_group,
            model=panel.model,
            recipe=panel.recipe,
            split="test",
        )
        return Cell(**{**vars(cell), "references": found})

    cells = tuple(tuple(cited(cell) for cell in line) for line in panel.cells)
    return MatrixPanel(**{**vars(panel), "cells": cells})
