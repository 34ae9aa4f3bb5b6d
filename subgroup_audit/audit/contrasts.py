"""Gaps between cells: estimate, interval, p-value, and the verdict against the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.estimates import MeasuredCell, percentile_limits
from subgroup_audit.audit.pairs import Pair
from subgroup_audit.schema import CONTRAST_COLUMNS
from subgroup_audit.stats import GapEstimate, adjust_p_values, equivalence_verdict, seed_gap
from subgroup_audit.study import Analysis

DESCRIPTIVE = "The model has seen the training images, so their AUC is not an unbiased estimate: a description."


def contrast_rows(
    pairs: Sequence[Pair], cells: Mapping[CellName, MeasuredCell], analysis: Analysis
) -> pd.DataFrame:
    """`CONTRAST_COLUMNS`, one row per pair; `p_adjusted` is still empty."""
    rows = [_contrast_row(pair, cells[pair.minuend], cells[pair.subtrahend], analysis) for pair in pairs]
    return pd.DataFrame(rows, columns=[column.name for column in CONTRAST_COLUMNS])


def with_adjusted_p(frame: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """The rows with `p_adjusted` over all that carry a p-value: the declared family."""
    p_values = [None if pd.isna(p) else float(p) for p in frame["p_value"]]
    adjusted = adjust_p_values(p_values, method=analysis.multiplicity)
    return frame.assign(p_adjusted=pd.Series(adjusted, index=frame.index, dtype="float64"))


def _contrast_row(pair: Pair, a: MeasuredCell, b: MeasuredCell, analysis: Analysis) -> dict[str, Any]:
    gap = _gap(pair, a, b, analysis)
    limits = percentile_limits(a.replicates - b.replicates, gap.estimate, analysis.confidence_level)
    terms = (a.estimate.estimate, b.estimate.estimate)
    return contrast_row(pair, gap, terms, limits, analysis, n_seeds=min(len(a.components), len(b.components)))


def contrast_row(
    pair: Pair,
    gap: GapEstimate,
    terms: tuple[float | None, float | None],
    bootstrap: tuple[float | None, float | None],
    analysis: Analysis,
    *,
    n_seeds: int,
) -> dict[str, Any]:
    """One row of `CONTRAST_COLUMNS`, but for `p_adjusted`, which needs the whole family."""
    is_tested = pair.kind != "generalization_gap"
    verdict = equivalence_verdict(gap, margin=analysis.margin, confidence_level=analysis.confidence_level)
    is_described = not is_tested and gap.estimate is not None
    return {
        "kind": pair.kind,
        **{
            key: getattr(pair.minuend, key) for key in ("finding", "model", "recipe", "train_cohort", "test_group")
        },
        "minuend": in_words(pair.minuend),
        "subtrahend": in_words(pair.subtrahend),
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
        "margin": analysis.margin if is_tested else None,
        "minimal_detectable_gap": verdict.minimal_detectable_gap,
        "verdict": "descriptive" if is_described else verdict.name,
        "sentence": DESCRIPTIVE if is_described else verdict.sentence,
        "n_patients": gap.n_patients,
        "n_seeds": n_seeds,
        "status": gap.status,
        "reason": gap.reason,
    }


def in_words(name: CellName) -> str:
    """A cell in a few words: what it was trained on and what it was scored on."""
    return f"trained on {name.train_cohort}, {name.split} images of {name.test_group}"


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
