"""More than two groups at once: the worst of an attribute's groups, and how far its groups lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.contrasts import fits_of
from subgroup_audit.audit.estimates import MeasuredCell
from subgroup_audit.audit.macro import MacroCell
from subgroup_audit.audit.pairs import attribute_groups
from subgroup_audit.schema import SPREAD_COLUMNS
from subgroup_audit.stats import pool_sides, range_over_groups, worst_group
from subgroup_audit.study import Analysis, Study

# A group's AUC as a weighted sum of cells: of one cell, or of one for each finding.
Group = tuple[str, Sequence[tuple[float, MeasuredCell]]]


def spread_rows(
    study: Study, cells: Mapping[CellName, MeasuredCell], macros: Mapping[CellName, MacroCell]
) -> pd.DataFrame:
    """`SPREAD_COLUMNS`, one row per finding, model, recipe, training cohort and attribute.

    The attributes are those that tell the study's test cohorts apart, intersections included.
    """
    rows = [
        _spread_row(name, attribute, groups, study.analysis)
        for attribute, names in attribute_groups(study).items()
        for name, groups in _families(study, names, cells, macros)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in SPREAD_COLUMNS])


def _families(
    study: Study,
    names: Sequence[str],
    cells: Mapping[CellName, MeasuredCell],
    macros: Mapping[CellName, MacroCell],
) -> Iterator[tuple[CellName, list[Group]]]:
    """The first group's cell, and all groups, of the same fits and finding; controls are left out."""
    for name in (*cells, *macros):
        if name.split != "test" or name.test_group != names[0] or name.model not in study.models:
            continue
        found = [(group, replace(name, test_group=group)) for group in names]
        groups: list[Group] = [
            (group, _parts(one, cells, macros)) for group, one in found if one in cells or one in macros
        ]
        if len(groups) > 1:
            yield name, groups


def _parts(
    name: CellName, cells: Mapping[CellName, MeasuredCell], macros: Mapping[CellName, MacroCell]
) -> list[tuple[float, MeasuredCell]]:
    if name in cells:
        return [(1.0, cells[name])]
    return list(zip(macros[name].shares, macros[name].parts, strict=True))


def _spread_row(name: CellName, attribute: str, groups: Sequence[Group], analysis: Analysis) -> dict[str, Any]:
    names = [group for group, _ in groups]
    parts = [cell for _, terms in groups for _, cell in terms]
    pool = pool_sides(
        [list(cell.components.values()) for cell in parts],
        seed_groups=[fits_of(cell) for cell in parts],
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )
    weights = _weights(groups, len(parts))
    worst = worst_group(pool, names, groups=weights)
    found = range_over_groups(pool, names, groups=weights)
    return {
        **{key: getattr(name, key) for key in ("finding", "model", "recipe", "train_cohort")},
        "attribute": attribute,
        "groups": ", ".join(names),
        "n_groups": found.n_groups,
        "worst_group": worst.name,
        "worst_estimate": worst.estimate,
        "worst_low": worst.low,
        "worst_high": worst.high,
        "no_group_below": worst.no_group_below,
        "best_group": found.highest,
        "range": found.estimate,
        "range_low": found.low,
        "range_high": found.high,
        "observed_sd": found.observed_sd,
        "corrected_sd": found.corrected_sd,
        "p_equality": found.p_value,
        "confidence_level": analysis.confidence_level,
        "method": found.method,
        "n_seeds": len(parts[0].components),
        "status": found.status,
        "reason": found.reason,
    }


def _weights(groups: Sequence[Group], n_cells: int) -> NDArray[np.float64]:
    """Each group's row of coefficients over all cells."""
    weights = np.zeros((len(groups), n_cells))
    place = 0
    for row, (_, terms) in zip(weights, groups, strict=True):
        for share, _ in terms:
            row[place] = share
            place += 1
    return weights
