"""The macro mean over findings: its cells and gaps, from the same draws.

A macro mean is not a plain AUC, so its interval is the percentile bootstrap over persons of the shared draws. The
training seeds are taken as given there; their spread is shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.contrasts import contrast_row
from subgroup_audit.audit.estimates import MeasuredCell, percentile_limits
from subgroup_audit.audit.pairs import Pair
from subgroup_audit.schema import CONTRAST_COLUMNS, ESTIMATE_COLUMNS, FIT_COLUMNS
from subgroup_audit.stats import GapEstimate
from subgroup_audit.study import Analysis

MACRO = "macro mean"
METHOD = "percentile bootstrap over persons, training seeds as given"


@dataclass(frozen=True, eq=False)
class PercentileLimits:
    """Limits of a column of replicates at any level."""

    replicates: NDArray[np.float64]

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper percentile that leave `tail` outside on each side."""
        low, high = np.nanquantile(self.replicates, [tail, 1.0 - tail])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class MacroCell:
    """The mean over findings of cells that differ in the finding alone."""

    name: CellName
    parts: Sequence[MeasuredCell]
    replicates: NDArray[np.float64]

    @property
    def is_estimable(self) -> bool:
        """Whether every finding's AUC could be estimated."""
        return all(part.estimate.estimate is not None for part in self.parts)

    def by_seed(self) -> dict[int, float]:
        """Mean AUC over findings of each training seed."""
        return {
            seed: float(np.mean([part.components[seed].auc for part in self.parts]))
            for seed in self.parts[0].components
        }

    @property
    def estimate(self) -> float | None:
        """Mean over findings and seeds."""
        return float(np.mean(list(self.by_seed().values()))) if self.is_estimable else None

    @property
    def reason(self) -> str:
        """Which findings could not be estimated, and why."""
        return "; ".join(
            f"{p.name.finding}: {p.estimate.reason}" for p in self.parts if p.estimate.estimate is None
        )


def macro_cells(cells: Mapping[CellName, MeasuredCell]) -> dict[CellName, MacroCell]:
    """Macro means of all cells that exist for two findings or more."""
    groups: dict[CellName, list[MeasuredCell]] = {}
    for name, cell in cells.items():
        groups.setdefault(replace(name, finding=MACRO), []).append(cell)
    return {
        name: MacroCell(name, parts, np.mean([part.replicates for part in parts], axis=0))
        for name, parts in groups.items()
        if len(parts) > 1
    }


def macro_estimates(macros: Mapping[CellName, MacroCell], analysis: Analysis) -> pd.DataFrame:
    """`ESTIMATE_COLUMNS`, one row per macro cell."""
    rows = [_estimate_row(macro, analysis) for macro in macros.values()]
    return pd.DataFrame(rows, columns=[column.name for column in ESTIMATE_COLUMNS])


def _estimate_row(macro: MacroCell, analysis: Analysis) -> dict[str, Any]:
    low, high = percentile_limits(macro.replicates, macro.estimate, analysis.confidence_level)
    widest = max((part.estimate for part in macro.parts), key=lambda estimate: estimate.n_images)
    values = list(macro.by_seed().values())
    return {
        **vars(macro.name),
        "metric": "auc",
        "estimate": macro.estimate,
        "low": low,
        "high": high,
        "standard_error": float(np.nanstd(macro.replicates, ddof=1)) if macro.is_estimable else None,
        "confidence_level": analysis.confidence_level,
        "method": METHOD,
        "bootstrap_low": low,
        "bootstrap_high": high,
        "band_low": None,
        "band_high": None,
        "seed_sd": float(np.std(values, ddof=1)) if macro.is_estimable and len(values) > 1 else None,
        "n_patients": widest.n_patients,
        "n_images": widest.n_images,
        "n_positive": min(part.estimate.n_positive for part in macro.parts),
        "n_negative": min(part.estimate.n_negative for part in macro.parts),
        "n_seeds": len(values),
        "status": "ok" if macro.is_estimable else "not estimable",
        "reason": macro.reason,
    }


def macro_contrasts(
    pairs: Sequence[Pair], macros: Mapping[CellName, MacroCell], analysis: Analysis
) -> pd.DataFrame:
    """`CONTRAST_COLUMNS`, one row per gap between macro cells."""
    wanted = {
        replace(
            pair,
            minuend=replace(pair.minuend, finding=MACRO),
            subtrahend=replace(pair.subtrahend, finding=MACRO),
        ): None
        for pair in pairs
    }
    rows = [
        _contrast_row(pair, macros[pair.minuend], macros[pair.subtrahend], analysis)
        for pair in wanted
        if pair.minuend in macros and pair.subtrahend in macros
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CONTRAST_COLUMNS])


def _contrast_row(pair: Pair, a: MacroCell, b: MacroCell, analysis: Analysis) -> dict[str, Any]:
    gap = _macro_gap(a, b, analysis)
    limits = (gap.low, gap.high)
    return contrast_row(pair, gap, (a.estimate, b.estimate), limits, analysis, n_seeds=len(a.by_seed()))


def _macro_gap(a: MacroCell, b: MacroCell, analysis: Analysis) -> GapEstimate:
    differences = a.replicates - b.replicates
    is_estimable = a.estimate is not None and b.estimate is not None
    value = a.estimate - b.estimate if a.estimate is not None and b.estimate is not None else None
    low, high = percentile_limits(differences, value, analysis.confidence_level)
    persons = np.unique(np.concatenate([part.cell.person for macro in (a, b) for part in macro.parts]))
    return GapEstimate(
        estimate=value,
        low=low,
        high=high,
        standard_error=float(np.nanstd(differences, ddof=1)) if is_estimable else None,
        confidence_level=analysis.confidence_level,
        method=METHOD,
        status="ok" if is_estimable else "not estimable",
        reason="; ".join(filter(None, (a.reason, b.reason))),
        n_patients=len(persons),
        n_images=sum(len(macro.parts[0].cell.y_true) for macro in (a, b)),
        n_positive=sum(part.estimate.n_positive for macro in (a, b) for part in macro.parts),
        n_negative=sum(part.estimate.n_negative for macro in (a, b) for part in macro.parts),
        df=None,
        limits=PercentileLimits(differences) if is_estimable else None,
        p_value=_bootstrap_p(differences) if is_estimable else None,
    )


def _bootstrap_p(differences: NDArray[np.float64]) -> float:
    """Twice the smaller share of replicates on one side of 0, never below 2 / (replicates + 1)."""
    known = differences[np.isfinite(differences)]
    tail = min(np.count_nonzero(known <= 0.0), np.count_nonzero(known >= 0.0))
    return float(min(1.0, 2.0 * (tail + 1) / (len(known) + 1)))


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
            "auc": value if macro.is_estimable else None,
        }
        for name, macro in macros.items()
        for seed, value in macro.by_seed().items()
    ]
    return pd.DataFrame(rows, columns=[column.name for column in FIT_COLUMNS])
