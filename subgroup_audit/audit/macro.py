"""The macro mean over findings: its cells and gaps, with the covariance of findings on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.contrasts import combine_cells, contrast_row, difference, fits_of
from subgroup_audit.audit.estimates import MeasuredCell, percentile_limits
from subgroup_audit.audit.pairs import Comparison, Pair
from subgroup_audit.schema import CONTRAST_COLUMNS, ESTIMATE_COLUMNS, FIT_COLUMNS
from subgroup_audit.stats import GapEstimate, SidePool, combine, pool_sides
from subgroup_audit.study import Analysis

MACRO = "macro mean"


@dataclass(frozen=True, eq=False)
class MacroCell:
    """The mean over findings of cells that differ in the finding alone."""

    name: CellName
    parts: Sequence[MeasuredCell]
    replicates: NDArray[np.float64]
    analysis: Analysis

    @property
    def shares(self) -> list[float]:
        """Each finding's weight."""
        return [1.0 / len(self.parts)] * len(self.parts)

    @cached_property
    def pool(self) -> SidePool:
        """The findings' AUCs with their covariance."""
        return pool_sides(
            [list(part.components.values()) for part in self.parts],
            seed_groups=[fits_of(part) for part in self.parts],
            confidence_level=self.analysis.confidence_level,
            min_persons=self.analysis.min_persons,
        )

    @cached_property
    def found(self) -> GapEstimate:
        """The mean with its interval."""
        return combine(self.pool, self.shares, names=[part.name.finding for part in self.parts])

    @property
    def estimate(self) -> float | None:
        """Mean over findings and seeds."""
        return self.found.estimate

    def by_seed(self) -> dict[int, float]:
        """Mean AUC over findings of each training seed."""
        values = [part.components.aucs() for part in self.parts]
        return {seed: float(np.mean([aucs[seed] for aucs in values])) for seed in values[0]}


def macro_cells(cells: Mapping[CellName, MeasuredCell], analysis: Analysis) -> dict[CellName, MacroCell]:
    """Macro means of all cells that exist for two findings or more."""
    groups: dict[CellName, list[MeasuredCell]] = {}
    for name, cell in cells.items():
        groups.setdefault(replace(name, finding=MACRO), []).append(cell)
    return {
        name: MacroCell(name, parts, np.mean([part.replicates for part in parts], axis=0), analysis)
        for name, parts in groups.items()
        if len(parts) > 1
    }


def macro_estimates(macros: Mapping[CellName, MacroCell], analysis: Analysis) -> pd.DataFrame:
    """`ESTIMATE_COLUMNS`, one row per macro cell."""
    rows = [_estimate_row(macro, analysis) for macro in macros.values()]
    return pd.DataFrame(rows, columns=[column.name for column in ESTIMATE_COLUMNS])


def _estimate_row(macro: MacroCell, analysis: Analysis) -> dict[str, Any]:
    found = macro.found
    bootstrap = percentile_limits(macro.replicates, found.estimate, analysis.confidence_level)
    widest = max((part.estimate for part in macro.parts), key=lambda estimate: estimate.n_images)
    values = list(macro.by_seed().values())
    is_known = found.estimate is not None
    return {
        **vars(macro.name),
        "metric": "auc",
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "confidence_level": analysis.confidence_level,
        "method": found.method,
        "bootstrap_low": bootstrap[0],
        "bootstrap_high": bootstrap[1],
        "band_low": None,
        "band_high": None,
        "band_method": "",
        "patient_se": macro.pool.patient_se(macro.shares) if is_known else None,
        "seed_sd": float(np.std(values, ddof=1)) if is_known and len(values) > 1 else None,
        "n_patients": widest.n_patients,
        "n_images": widest.n_images,
        "n_positive": min(part.estimate.n_positive for part in macro.parts),
        "n_negative": min(part.estimate.n_negative for part in macro.parts),
        "n_seeds": len(values),
        "status": found.status,
        "reason": found.reason,
    }


def macro_contrasts(
    pairs: Sequence[Comparison], macros: Mapping[CellName, MacroCell], analysis: Analysis
) -> pd.DataFrame:
    """`CONTRAST_COLUMNS`, one row per comparison of macro cells."""
    wanted = dict.fromkeys(pair.of_finding(MACRO) for pair in pairs)
    rows = [
        _contrast_row(pair, macros, analysis) for pair in wanted if all(name in macros for _, name in pair.terms)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CONTRAST_COLUMNS])


def _contrast_row(pair: Comparison, macros: Mapping[CellName, MacroCell], analysis: Analysis) -> dict[str, Any]:
    terms = [(sign, macros[name]) for sign, name in pair.terms]
    parts = [
        (sign * share, part)
        for sign, macro in terms
        for share, part in zip(macro.shares, macro.parts, strict=True)
    ]
    gap = combine_cells(parts, analysis)
    replicates: NDArray[np.float64] = np.sum([sign * macro.replicates for sign, macro in terms], axis=0)
    limits = percentile_limits(replicates, gap.estimate, analysis.confidence_level)
    values = [macro.estimate for _, macro in terms]
    shown = (
        (values[0], values[1])
        if isinstance(pair, Pair)
        else (
            difference(values[0], values[1]),
            difference(values[2], values[3]),
        )
    )
    n_seeds = min(len(macro.by_seed()) for _, macro in terms)
    return contrast_row(pair, gap, shown, limits, analysis, n_seeds=n_seeds)


def macro_fits(
    macros: Mapping[CellName, MacroCell], fits: Mapping[tuple[str, str, str], Mapping[int, str]]
) -> pd.DataFrame:
    """`FIT_COLUMNS`, one row per fit and macro cell."""
    rows = [
        {
            "fit_id": fits[name.train_cohort, name.model, name.recipe][seed],
            **{key: getattr(name, key) for key in ("train_cohort", "model", "recipe", "finding")},
            "seed": seed,
            "split": name.split,
            "test_group": name.test_group,
            "auc": value if macro.estimate is not None else None,
        }
        for name, macro in macros.items()
        for seed, value in macro.by_seed().items()
    ]
    return pd.DataFrame(rows, columns=[column.name for column in FIT_COLUMNS])
