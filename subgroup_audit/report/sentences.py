"""What was found, in sentences that a radiologist reads once and understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import RunContents, isolated, rows_of
from subgroup_audit.report.gaps import (
    TESTED_KINDS,
    is_corrected_away,
    margin_of,
    ranked,
    verdict_counts,
    verdict_key,
)
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, plural, signed
from subgroup_audit.schema import AuditResult
from subgroup_audit.study import Study

KIND_NAMES: Mapping[str, str] = {
    "subgroup_gap": "Subgroup gap",
    "transfer_gap": "Transfer gap",
    "generalization_gap": "Train/test gap",
}
KIND_QUESTIONS: Mapping[str, str] = {
    "subgroup_gap": "Same model, two patient groups: does it rank one group's images better?",
    "transfer_gap": "Same test patients, two training groups: does it matter whom the model learned from?",
    "generalization_gap": "Same model, images it learned from and images it has never seen: how much is lost?",
}
VERDICT_WORDS: Mapping[str, str] = {
    "gap": "gap",
    "equal": "no gap beyond the margin",
    "inconclusive": "inconclusive",
    "absent": "not estimable",
    "descriptive": "descriptive",
}

AWAY = ", but not after correction for the number of comparisons"


@dataclass(frozen=True)
class Headline:
    """The verdict of the whole audit: a key for its mark, a short title, and sentences."""

    key: str
    title: str
    sentences: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Card:
    """One of the three gaps on the first screen."""

    kind: str
    name: str
    question: str
    value: str
    interval: str
    verdict_key: str
    verdict: str
    sentence: str
    note: str


@dataclass(frozen=True)
class Fact:
    """One number with what it counts."""

    value: str
    name: str


def overall_verdict(counts: Mapping[str, int]) -> str:
    """The verdict of all tested gaps together, as a key: one gap is a gap; equality needs every one.

    >>> overall_verdict({"gap": 0, "inconclusive": 1, "no gap beyond the margin": 9, "not estimable": 0})
    'inconclusive'
    """
    if counts["gap"]:
        return "gap"
    if counts["inconclusive"]:
        return "inconclusive"
    return "equal" if counts["no gap beyond the margin"] else "absent"


def headline(result: AuditResult, study: Study) -> Headline:
    """The verdict in words, with how many comparisons ended how."""
    counts = verdict_counts(result.contrasts)
    key = overall_verdict(counts)
    margin = decimal(margin_of(result.contrasts, study), 2)
    titles = {
        "gap": "A gap was found",
        "equal": f"No gap beyond the margin of {margin} AUC",
        "inconclusive": "Inconclusive: these data cannot tell",
        "absent": "Not estimable",
    }
    sentences = [_tally(counts, margin)]
    if key == "gap":
        sentences.append(_after_correction(result, study))
    if key == "absent":
        sentences.append(_why_nothing(result.contrasts))
    return Headline(key, titles[key], tuple(filter(None, sentences)), counts)


def _tally(counts: Mapping[str, int], margin: str) -> str:
    total = sum(counts.values())
    if not total:
        return "No subgroup or transfer gap was compared."
    words = {
        "gap": "a gap",
        "no gap beyond the margin": f"no gap beyond the margin of {margin} AUC",
        "inconclusive": "an inconclusive result",
    }
    parts = [f"{count(counts[name])} showed {text}" for name, text in words.items() if counts[name]]
    if counts["not estimable"]:
        parts.append(f"{count(counts['not estimable'])} could not be estimated")
    return f"Of {plural(total, 'comparison')}, {listed(parts)}."


def _after_correction(result: AuditResult, study: Study) -> str:
    """How many gaps stay after the correction, read from the stored adjusted p-values."""
    method = str(result.settings.get("multiplicity", study.analysis.multiplicity))
    level = float(result.settings.get("confidence_level", study.analysis.confidence_level))
    gaps = result.contrasts[(result.contrasts["verdict"] == "gap") & result.contrasts["kind"].isin(TESTED_KINDS)]
    if method == "none" or gaps["p_adjusted"].isna().all():
        return "The p-values are not corrected for the number of comparisons."
    kept = int((gaps["p_adjusted"] < 1 - level).sum())
    name = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}.get(method, method)
    total = int(result.contrasts["p_adjusted"].notna().sum())
    after = f"after correction for {plural(total, 'comparison')} ({name})."
    if len(gaps) == 1:
        return f"It {'remains' if kept else 'does not remain'} {after}"
    if kept == len(gaps):
        return f"All {count(kept)} remain {after}"
    some = f"{count(kept)} of the" if kept else "None of the"
    return f"{some} {count(len(gaps))} {'remain' if kept > 1 else 'remains'} {after}"


def _why_nothing(contrasts: pd.DataFrame) -> str:
    reasons = [str(reason) for reason in contrasts["reason"].dropna().unique() if str(reason)]
    return f"The reason given: {reasons[0]}." if reasons else ""


def cards(result: AuditResult) -> list[Card]:
    """The most important gap of each kind that was compared, in the order of `KIND_NAMES`."""
    found = []
    for kind in KIND_NAMES:
        rows = ranked(result.contrasts[result.contrasts["kind"] == kind])
        if len(rows):
            found.append(_card(rows_of(rows.head(1))[0], len(rows)))
    return found


def _card(row: dict[str, Any], total: int) -> Card:
    key = verdict_key(row["verdict"])
    return Card(
        kind=row["kind"],
        name=KIND_NAMES[row["kind"]],
        question=KIND_QUESTIONS[row["kind"]],
        value=signed(row["estimate"]),
        interval=interval(row["low"], row["high"], with_signs=True),
        verdict_key=key,
        verdict=VERDICT_WORDS[key] + (AWAY if key == "gap" and is_corrected_away(row) else ""),
        sentence=gap_sentence(row),
        note=_card_note(row, key, total),
    )


def _card_note(row: dict[str, Any], key: str, total: int) -> str:
    if key == "absent":
        return str(row["reason"] or "")
    if key == "descriptive":
        return (
            f"Descriptive: the widest of {count(total)}. The model has seen its training images."
            if (total > 1)
            else "Descriptive: the model has seen its training images."
        )
    if total > 1:
        return f"The first of {count(total)} by verdict and size; the largest of many tends to be overstated."
    return ""


def gap_sentence(row: dict[str, Any]) -> str:
    """One gap in plain words: both terms, on whom, and which is higher."""
    if not is_number(row["estimate"]):
        return f"{row['minuend']} against {row['subtrahend']}: not estimable."
    high, low = decimal(row["minuend_estimate"]), decimal(row["subtrahend_estimate"])
    train, test, other, model = (isolated(row[name]) for name in ("train_cohort", "test_group", "other", "model"))
    sentences = {
        "subgroup_gap": f"{model} trained on {train} reaches AUC {high} in {test} and {low} in {other}.",
        "transfer_gap": f"In {test}, {model} reaches AUC {high} when trained on {train} and {low} when trained "
        f"on {other}.",
        "generalization_gap": f"{model} trained on {train} reaches AUC {high} on its training images and {low} "
        "on test persons.",
    }
    return sentences.get(row["kind"], f"{row['minuend']}: {high}; {row['subtrahend']}: {low}.")


def limits_sentence(contrasts: pd.DataFrame) -> str:
    """What these data could not have shown: the range of the minimal detectable gaps, as stored."""
    parts = []
    for kind in TESTED_KINDS:
        values = contrasts.loc[contrasts["kind"] == kind, "minimal_detectable_gap"].dropna()
        if len(values):
            low, high = decimal(values.min(), 2), decimal(values.max(), 2)
            span = low if low == high else f"{low} to {high}"
            parts.append(f"{span} AUC for {KIND_NAMES[kind].lower()}s")
    if not parts:
        return "How small a gap these data could have shown was not estimated."
    return (
        f"The smallest gap that these data would show in 8 of 10 repetitions is {' and '.join(parts)}, depending "
        "on the comparison. A smaller gap can exist and stay unseen."
    )


def facts(contents: RunContents) -> list[Fact]:
    """Persons, images and fits, each with what it counts; a number that the run does not hold is left out."""
    stored = contents.provenance
    persons, images, where = stored.get("n_patients"), stored.get("n_images"), "in the cohorts"
    if not is_number(images) and contents.flow is not None:
        shared = rows_of(contents.flow[contents.flow["cohort"].fillna("") == ""])
        if shared:
            persons, images = shared[-1]["left_patients"], shared[-1]["left_images"]
            where = "eligible"
    found = [
        Fact(count(persons), f"persons {where}") if is_number(persons) else None,
        Fact(count(images), f"radiographs {where}") if is_number(images) else None,
        _fits_fact(contents),
    ]
    return [fact for fact in found if fact is not None]


def _fits_fact(contents: RunContents) -> Fact | None:
    fits = contents.provenance.get("n_fits")
    if not is_number(fits) and contents.result is not None:
        fits = contents.result.fits["fit_id"].nunique()
    if not is_number(fits):
        return None
    seeds = len(contents.study.seeds)
    return Fact(count(fits), "trained models" if seeds == 1 else f"trained models ({seeds} seeds)")


def reading_of_row(row: dict[str, Any]) -> str:
    """Everything about one gap in a line, for those who hear the page instead of seeing it."""
    limits = interval(row["low"], row["high"], with_signs=True)
    difference = f"Difference {signed(row['estimate'])}, interval {limits}."
    return f"{gap_sentence(row)} {difference} {row['sentence'] or ''}".strip()
