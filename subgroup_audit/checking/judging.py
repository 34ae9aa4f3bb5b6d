"""From measured gaps to verdicts: which are judged, by what margin, and what stays after correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import pandas as pd

from subgroup_audit.checking import words
from subgroup_audit.checking.measured import Measured, MeasuredGap
from subgroup_audit.checking.policy import margin_for
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.scored import ScoredTable
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.checking.suppression import suppress
from subgroup_audit.schema import CHECK_CONTRAST_COLUMNS
from subgroup_audit.stats import GapEstimate, Verdict, adjust_p_values, equivalence_verdict
from subgroup_audit.stats.equivalence import detectable_gap

POWER = 0.8


def judge(measured: Measured, table: ScoredTable, settings: CheckSettings) -> CheckResult:
    """The result of the check: every gap with its verdict; small cells withheld where the settings ask for it.

    A subgroup gap of the judged split is judged where a margin of the policy fits it; others are 'descriptive',
    those at a threshold of each group's own among them.
    Each judged gap gets `equivalence_verdict` at the confidence level. P-values are adjusted over all judged
    gaps; a gap that does not stay after that is 'inconclusive', and its sentence says so. The verdict 'no gap
    beyond the margin' needs no correction where all comparisons must show it (an intersection-union test,
    Berger 1982, doi:10.1080/00401706.1982.10487790).
    """
    margins = [_margin(found, measured.judged_split, settings) for found in measured.gaps]
    adjusted = _adjusted(measured.gaps, margins, settings)
    family = sum(p is not None for p in adjusted)
    rows = [
        _row(found, margin, p, family, settings, names_model=len(table.models) > 1)
        for found, margin, p in zip(measured.gaps, margins, adjusted, strict=True)
    ]
    contrasts = pd.DataFrame(rows, columns=[column.name for column in CHECK_CONTRAST_COLUMNS])
    result = CheckResult(
        measured.estimates,
        contrasts,
        settings=_settings(settings, table, measured, family),
        curves=dict(measured.curves),
        notes=(*table.notes, *measured.notes),
    )
    return result if settings.suppress_below is None else suppress(result, table, settings.suppress_below)


def _margin(found: MeasuredGap, judged_split: str, settings: CheckSettings) -> float | None:
    has_own_threshold = found.threshold_rule.startswith("per group")
    if found.kind != "subgroup_gap" or found.split != judged_split or has_own_threshold:
        return None
    return margin_for(settings.margins, found.metric, found.attribute, found.group)


def _adjusted(
    gaps: Sequence[MeasuredGap], margins: Sequence[float | None], settings: CheckSettings
) -> list[float | None]:
    p_values = [
        found.gap.p_value if margin is not None else None for found, margin in zip(gaps, margins, strict=True)
    ]
    return adjust_p_values(p_values, settings.multiplicity)


def _settings(settings: CheckSettings, table: ScoredTable, measured: Measured, n_tested: int) -> dict[str, Any]:
    """What the numbers depend on, as plain values."""
    return {
        **asdict(settings),
        "reference": dict(measured.references),
        "judged_split": measured.judged_split,
        "has_split": table.split is not None,
        "n_tested": n_tested,
        "has_persons": table.has_persons,
        "models": list(table.models),
        "findings": list(table.findings),
    }


def _row(
    found: MeasuredGap,
    margin: float | None,
    adjusted: float | None,
    family: int,
    settings: CheckSettings,
    *,
    names_model: bool,
) -> dict[str, Any]:
    gap = found.gap
    verdict = _verdict(gap, margin, settings)
    row: dict[str, Any] = {
        **{name: getattr(found, name) for name in ("kind", "model", "finding", "split", "attribute", "group")},
        **{name: getattr(found, name) for name in ("reference", "metric", "threshold_rule")},
        "minuend_estimate": found.minuend_estimate,
        "subtrahend_estimate": found.subtrahend_estimate,
        **{name: getattr(gap, name) for name in ("estimate", "low", "high", "standard_error")},
        **{name: getattr(gap, name) for name in ("confidence_level", "method", "p_value", "n_patients")},
        "p_adjusted": adjusted,
        "margin": margin,
        "minimal_detectable_gap": verdict.minimal_detectable_gap,
        "status": gap.status,
        "reason": _named(gap.reason, found),
    }
    name, sentence = _worded(verdict, row, family, settings)
    return {
        **row,
        "verdict": name,
        "sentence": f"{words.subject(row, names_model=names_model)}: {_lowered(sentence)}",
    }


def _verdict(gap: GapEstimate, margin: float | None, settings: CheckSettings) -> Verdict:
    """The verdict by the margin; without one only the gap that the data could have shown."""
    level = settings.confidence_level
    if margin is not None:
        return equivalence_verdict(gap, margin=margin, confidence_level=level, power=POWER)
    name: Literal["inconclusive", "not estimable"] = "not estimable" if gap.estimate is None else "inconclusive"
    return Verdict(name, "", None, detectable_gap(gap, level, POWER), None)


def _named(reason: str, found: MeasuredGap) -> str:
    """The reason with its terms called by their names."""
    return reason.replace("minuend: ", f"{found.group}: ").replace("subtrahend: ", f"{found.reference}: ")


def _worded(verdict: Verdict, row: Mapping[str, Any], family: int, settings: CheckSettings) -> tuple[str, str]:
    """The verdict after correction, and its sentence; 'descriptive' where there is no margin."""
    if verdict.name == "not estimable":
        name = "descriptive" if row["margin"] is None else verdict.name
        return name, f"cannot be estimated: {words.plain(row['reason'])}."
    if row["margin"] is None:
        return "descriptive", f"{_numbers(row)}; shown, not judged."
    adjusted = row["p_adjusted"]
    if verdict.name == "gap" and adjusted is not None and adjusted >= 1.0 - settings.confidence_level:
        method = words.MULTIPLICITY_WORDS[settings.multiplicity]
        sentence = (
            f"A gap of {_numbers(row)} does not stay after correction for {words.counted(family, 'comparison')} "
            f"({method}, p = {adjusted:.3f}): it can be chance."
        )
        return "inconclusive", sentence + _detectable(verdict)
    if verdict.name == "no gap beyond the margin":
        return verdict.name, verdict.sentence + _detectable(verdict)
    return verdict.name, verdict.sentence


def _numbers(row: Mapping[str, Any]) -> str:
    level = words.percent_level(row["confidence_level"])
    return (
        f"{words.number(row['estimate'], with_sign=True)} ({level} interval {words.limits(row, with_sign=True)})"
    )


def _detectable(verdict: Verdict) -> str:
    if verdict.minimal_detectable_gap is None:
        return ""
    share = f"{100 * POWER:.0f} % probability"
    return f" These data would show a gap of {verdict.minimal_detectable_gap:.3f} with {share}."


def _lowered(sentence: str) -> str:
    """The sentence as it goes on after a colon."""
    return sentence[:1].lower() + sentence[1:]
