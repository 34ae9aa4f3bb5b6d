"""Gaps between cells: estimate, interval, p-values, and the verdict against the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.estimates import MeasuredCell, percentile_limits
from subgroup_audit.audit.exchange import Permuted, permuted_gap
from subgroup_audit.audit.pairs import Comparison, GapOfGaps, Pair, in_words
from subgroup_audit.schema import CONTRAST_COLUMNS
from subgroup_audit.stats import GapEstimate, adjust_p_values, auc_contrast, equivalence_verdict, seed_gap
from subgroup_audit.study import Analysis

DESCRIPTIVE = "The model has seen the training images, so their AUC is not an unbiased estimate: a description."


def contrast_rows(
    pairs: Sequence[Comparison], cells: Mapping[CellName, MeasuredCell], analysis: Analysis
) -> pd.DataFrame:
    """`CONTRAST_COLUMNS`, one row per comparison; `p_adjusted` is still empty."""
    rows = [
        _gap_row(pair, cells[pair.minuend], cells[pair.subtrahend], analysis)
        if isinstance(pair, Pair)
        else _gap_of_gaps_row(pair, cells, analysis)
        for pair in pairs
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CONTRAST_COLUMNS])


def with_adjusted_p(frame: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """The rows with `p_adjusted` over all that carry a p-value: the declared family."""
    p_values = [None if pd.isna(p) else float(p) for p in frame["p_value"]]
    adjusted = adjust_p_values(p_values, method=analysis.multiplicity)
    return frame.assign(p_adjusted=pd.Series(adjusted, index=frame.index, dtype="float64"))


def _gap_row(pair: Pair, a: MeasuredCell, b: MeasuredCell, analysis: Analysis) -> dict[str, Any]:
    gap = _gap(pair, a, b, analysis)
    limits = percentile_limits(a.replicates - b.replicates, gap.estimate, analysis.confidence_level)
    terms = (a.estimate.estimate, b.estimate.estimate)
    n_seeds = min(len(a.components), len(b.components))
    return contrast_row(
        pair, gap, terms, limits, analysis, n_seeds=n_seeds, permuted=permuted_gap(pair, a, b, gap, analysis)
    )


def _gap_of_gaps_row(
    pair: GapOfGaps, cells: Mapping[CellName, MeasuredCell], analysis: Analysis
) -> dict[str, Any]:
    terms = [(sign, cells[name]) for sign, name in pair.terms]
    gap = combine_cells(terms, analysis)
    values = [cell.estimate.estimate for _, cell in terms]
    replicates: NDArray[np.float64] = np.sum([sign * cell.replicates for sign, cell in terms], axis=0)
    limits = percentile_limits(replicates, gap.estimate, analysis.confidence_level)
    n_seeds = min(len(cell.components) for _, cell in terms)
    gaps = difference(values[0], values[1]), difference(values[2], values[3])
    return contrast_row(pair, gap, gaps, limits, analysis, n_seeds=n_seeds)


def difference(a: float | None, b: float | None) -> float | None:
    """a - b, or None where one of them is."""
    return None if a is None or b is None else a - b


def combine_cells(
    terms: Sequence[tuple[float, MeasuredCell]],
    analysis: Analysis,
    *,
    names: Sequence[str] | None = None,
) -> GapEstimate:
    """A linear combination of cells over their seeds; cells of the same fits have their seeds paired.

    Where fits failed and one cell has a single seed left, whose variance nobody knows, the others bring one too.
    """
    sides = [list(cell.components.values()) for _, cell in terms]
    if min(map(len, sides)) == 1:
        sides = [side[:1] for side in sides]
    return auc_contrast(
        sides,
        [sign for sign, _ in terms],
        seed_groups=[fits_of(cell) for _, cell in terms],
        names=names or [in_words(cell.name) for _, cell in terms],
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )


def fits_of(cell: MeasuredCell) -> tuple[str, str, str]:
    """What tells which fits a cell's scores come from."""
    return cell.name.train_cohort, cell.name.model, cell.name.recipe


def contrast_row(
    pair: Comparison,
    gap: GapEstimate,
    terms: tuple[float | None, float | None],
    bootstrap: tuple[float | None, float | None],
    analysis: Analysis,
    *,
    n_seeds: int,
    permuted: Permuted | None = None,
) -> dict[str, Any]:
    """One row of `CONTRAST_COLUMNS`, but for `p_adjusted`, which needs the whole family."""
    is_tested = pair.kind != "generalization_gap"
    verdict = equivalence_verdict(gap, margin=analysis.margin, confidence_level=analysis.confidence_level)
    is_described = not is_tested and gap.estimate is not None
    exchanged = permuted or Permuted(None, "made for subgroup gaps of one finding")
    return {
        "kind": pair.kind,
        **{
            key: getattr(pair.minuend, key) for key in ("finding", "model", "recipe", "train_cohort", "test_group")
        },
        "minuend": pair.words[0],
        "subtrahend": pair.words[1],
        "other": pair.other,
        "minuend_estimate": terms[0],
        "subtrahend_estimate": terms[1],
        "estimate": gap.estimate,
        "low": gap.low,
        "high": gap.high,
        "standard_error": gap.standard_error,
        "confidence_level": gap.confidence_level,
        "method": gap.method,
        "bootstrap_low": bootstrap[0],
        "bootstrap_high": bootstrap[1],
        "p_value": gap.p_value if is_tested else None,
        "p_adjusted": None,
        "p_permutation": exchanged.p_value,
        "permutation": exchanged.note,
        "margin": analysis.margin if is_tested else None,
        "minimal_detectable_gap": verdict.minimal_detectable_gap,
        "verdict": "descriptive" if is_described else verdict.name,
        "sentence": DESCRIPTIVE if is_described else verdict.sentence,
        "n_patients": gap.n_patients,
        "n_seeds": n_seeds,
        "status": gap.status,
        "reason": gap.reason,
    }


def _gap(pair: Pair, a: MeasuredCell, b: MeasuredCell, analysis: Analysis) -> GapEstimate:
    """Seeds are paired where both terms come from the same fits; other fits bring all theirs, as their cells do.

    Where fits failed and one side has a single seed left, whose variance nobody knows, the other brings one too.
    """
    first, second = list(a.components.values()), list(b.components.values())
    if min(len(first), len(second)) == 1:
        first, second = first[:1], second[:1]
    return seed_gap(
        first,
        second,
        paired_seeds=pair.kind != "transfer_gap",
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )
