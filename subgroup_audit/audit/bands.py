"""Simultaneous limits over a matrix: all its cells are covered together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.estimates import MeasuredCell
from subgroup_audit.stats import max_t
from subgroup_audit.study import Analysis


def matrix_bands(cells: Iterable[MeasuredCell], analysis: Analysis) -> dict[CellName, tuple[float, float]]:
    """Max-T limits of the test cells; one family per finding, model and recipe: one matrix of the report."""
    families: dict[tuple[str, str, str], list[MeasuredCell]] = {}
    for cell in cells:
        if cell.name.split == "test":
            families.setdefault((cell.name.finding, cell.name.model, cell.name.recipe), []).append(cell)
    bands: dict[CellName, tuple[float, float]] = {}
    for family in families.values():
        bands |= _family_bands(family, analysis)
    return bands


def _family_bands(family: list[MeasuredCell], analysis: Analysis) -> dict[CellName, tuple[float, float]]:
    """Bootstrap max-T on the logit scale; a cell without an estimate or a standard error has no band."""
    estimates = np.array([_number(cell.estimate.estimate) for cell in family])
    errors = np.array([_number(cell.estimate.standard_error) for cell in family])
    is_usable = np.isfinite(estimates) & np.isfinite(errors) & (errors > 0) & (estimates > 0) & (estimates < 1)
    if is_usable.sum() == 0:
        return {}
    limits = max_t(
        estimates,
        errors,
        replicates=np.stack([cell.replicates for cell in family]),
        confidence_level=analysis.confidence_level,
    )
    return {
        cell.name: (float(low), float(high))
        for cell, low, high in zip(family, limits.low, limits.high, strict=True)
        if np.isfinite(low)
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
