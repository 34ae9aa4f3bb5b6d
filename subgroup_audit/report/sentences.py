"""What was found, in sentences that a radiologist reads once and understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from subgroup_audit.report.matrix import MACRO_MEAN, MatrixPanel
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, plural, signed
from subgroup_audit.schema import AuditResult
from subgroup_audit.study import Study

KIND_NAMES: Mapping[str, str] = {
    "subgroup_gap": "Subgroup gap",
    "transfer_gap": "Transfer gap",
    "gap_of_gaps": "Gap of gaps",
    "generalization_gap": "Train/test gap",
}
KIND_PLURALS: Mapping[str, str] = {
    kind: "Gaps of gaps" if kind == "gap_of_gaps" else f"{name}s" for kind, name in KIND_NAMES.items()
}
KIND_QUESTIONS: Mapping[str, str] = {
    "subgroup_gap": "Same model, two patient groups: does it work better in one?",
    "transfer_gap": "Same test patients, two training groups: does it matter who was trained on?",
    "gap_of_gaps": "Does the gap between two groups depend on which of them was trained on?",
    "generalization_gap": "Same model, images it learned from and new ones: how much is lost?",
}
VERDICT_WORDS: Mapping[str, str] = {
    "gap": "gap",
    "equal": "no gap beyond the margin",
    "inconclusive": "inconclusive",
    "absent": "not estimable",
    "descriptive": "descriptive",
}

NOTHING_COMPARED = "No subgroup or transfer gap was compared."
AWAY = " before correction"


@dataclass(frozen=True)
class Headline:
    """The verdict of the whole audit: a key for its mark, a short title, and sentences."""

    key: str
    title: str
    sentences: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Card:
    """One of the gaps on the first screen.

    Attributes
    ----------
    standing : which of how many it is; '' where it is the only one of its kind
    value : the difference; '' where there is none, and then `note` says why
    """

    kind: str
    name: str
    standing: str
    question: str
    value: str
    interval: str
    persons: str
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
    """The verdict in words, what correction leaves of it, and how many comparisons ended how."""
    counts = verdict_counts(result.contrasts)
    key = overall_verdict(counts)
    margin = decimal(margin_of(result.contrasts, study), 2)
    kept = _gaps_kept(result, study)
    titles = {
        "gap": "A gap was found" if kept != 0 else "A gap was found, but not after correction",
        "equal": f"No gap beyond the margin of {margin} AUC",
        "inconclusive": "Inconclusive: these data cannot tell",
        "absent": "Not estimable",
    }
    sentences = {
        "gap": _after_correction(kept, counts["gap"], result, study),
        "equal": "Every comparison that could be made shows a difference smaller than the margin.",
        "inconclusive": _what_is_open(counts, margin),
        "absent": _why_nothing(result.contrasts) if sum(counts.values()) else NOTHING_COMPARED,
    }
    return Headline(key, titles[key], tuple(filter(None, [sentences[key]])), counts)


def _what_is_open(counts: Mapping[str, int], margin: str) -> str:
    left_open, total = counts["inconclusive"], sum(counts.values())
    bound = f"one beyond the margin of {margin} AUC. This is not evidence of equality."
    if left_open == total:
        return f"No comparison shows a gap, and none excludes {bound}"
    verb = "neither shows a gap nor excludes" if left_open == 1 else "neither show a gap nor exclude"
    return f"{count(left_open)} of {plural(total, 'comparison')} {verb} {bound}"


def _gaps_kept(result: AuditResult, study: Study) -> int | None:
    """How many gaps the correction leaves, by the stored adjusted p-values; None where nothing was corrected."""
    level = float(result.settings.get("confidence_level", study.analysis.confidence_level))
    gaps = result.contrasts[(result.contrasts["verdict"] == "gap") & result.contrasts["kind"].isin(TESTED_KINDS)]
    method = result.settings.get("multiplicity", study.analysis.multiplicity)
    if method == "none" or gaps["p_adjusted"].isna().all():
        return None
    return int((gaps["p_adjusted"] < 1 - level).sum())


def _after_correction(kept: int | None, gaps: int, result: AuditResult, study: Study) -> str:
    """How many gaps stay after the correction, and what to make of those that do not."""
    if kept is None:
        return "The p-values are not corrected for the number of comparisons: some gaps can be chance."
    method = str(result.settings.get("multiplicity", study.analysis.multiplicity))
    name = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}.get(method, method)
    total = plural(int(result.contrasts["p_adjusted"].notna().sum()), "comparison")
    after = f"after correction for {total} ({name})"
    if kept == gaps:
        return f"It remains {after}." if gaps == 1 else f"All {count(gaps)} gaps remain {after}."
    if kept:
        return f"{count(kept)} of the {count(gaps)} gaps {'remains' if kept == 1 else 'remain'} {after}."
    shown = "shows a gap" if gaps == 1 else "show a gap"
    return f"{count(gaps)} of {total} {shown} before correction, none after it ({name}). It can be chance."


def _why_nothing(contrasts: pd.DataFrame) -> str:
    reasons = [str(reason) for reason in contrasts["reason"].dropna().unique() if str(reason)]
    return f"The reason given: {reasons[0]}." if reasons else ""


def cards(result: AuditResult) -> list[Card]:
    """The most important gap of each kind that was compared, in the order of `KIND_NAMES`."""
    has_findings = result.contrasts["finding"].nunique() > 1
    found = []
    for kind in KIND_NAMES:
        rows = ranked(result.contrasts[result.contrasts["kind"] == kind])
        if len(rows):
            found.append(_card(rows_of(rows.head(1))[0], len(rows), names_finding=has_findings))
    return found


def _card(row: dict[str, Any], total: int, *, names_finding: bool) -> Card:
    key = verdict_key(row["verdict"])
    finding = _finding_words(row["finding"]) if names_finding else ""
    is_absent = not is_number(row["estimate"])
    return Card(
        kind=row["kind"],
        name=KIND_NAMES[row["kind"]],
        standing=_standing(key, total),
        question=KIND_QUESTIONS[row["kind"]],
        value="" if is_absent else signed(row["estimate"]),
        interval=f"{level_words(row)} interval {interval(row['low'], row['high'], with_signs=True)}",
        persons=plural(row["n_patients"], "person"),
        verdict_key=key,
        verdict=VERDICT_WORDS[key] + (AWAY if key == "gap" and is_corrected_away(row) else ""),
        sentence=finding + gap_sentence(row),
        note=str(row["reason"] or "") if is_absent else "",
    )


def _standing(key: str, total: int) -> str:
    """Which gap of its kind a card shows; one that could not be estimated is the first of those."""
    if total == 1 or key == "absent":
        return ""
    return f"the {'widest' if key == 'descriptive' else 'clearest'} of {count(total)}"


def card_note(cards: Sequence[Card]) -> str:
    """What to bear in mind of the cards, said once for all of them."""
    parts = []
    if any(card.standing and card.verdict_key != "descriptive" for card in cards):
        parts.append("The clearest of many gaps tends to be overstated.")
    if any(card.verdict_key == "descriptive" for card in cards):
        parts.append("A train/test gap is descriptive: the model has seen its training images.")
    return " ".join(parts)


def _finding_words(finding: str) -> str:
    return "Mean over the findings. " if finding == MACRO_MEAN else f"Finding “{isolated(finding)}”. "


def level_words(row: Mapping[str, Any]) -> str:
    """The confidence level of a stored row.

    >>> level_words({"confidence_level": 0.95}), level_words({"confidence_level": 0.975})
    ('95 %', '97.5 %')
    """
    return f"{100 * float(row['confidence_level']):.4g} %"


def gap_sentence(row: dict[str, Any]) -> str:
    """One gap in plain words: both terms, on whom, and which is higher."""
    if not is_number(row["estimate"]):
        return f"{row['minuend']} against {row['subtrahend']}: not estimable."
    shown = signed if row["kind"] == "gap_of_gaps" else decimal
    high, low = shown(row["minuend_estimate"]), shown(row["subtrahend_estimate"])
    train, test, other, model = (isolated(row[name]) for name in ("train_cohort", "test_group", "other", "model"))
    sentences = {
        "subgroup_gap": f"{model} trained on {train} reaches AUC {high} in {test} and {low} in {other}.",
        "transfer_gap": f"In {test}, {model} reaches AUC {high} when trained on {train} and {low} when trained "
        f"on {other}.",
        "gap_of_gaps": f"{test} minus {other}, {model} differs by {high} AUC when trained on {train} and by {low} "
        f"when trained on {other}.",
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
            parts.append(f"{span} AUC for {KIND_PLURALS[kind].lower()}")
    if not parts:
        return "How small a gap these data could have shown was not estimated."
    return (
        f"The smallest gap that these data would show in 8 of 10 repetitions is {listed(parts)}, depending "
        "on the comparison. A smaller gap can exist and stay unseen."
    )


def facts(contents: RunContents) -> list[Fact]:
    """Persons, images and fits, each with what it counts; a number that the run does not hold is left out."""
    stored = contents.provenance
    persons, images, where = stored.get("n_patients"), stored.get("n_images"), "in the cohorts"
    flow = rows_of(contents.flow)
    shared = [row for row in flow if not _text(row["cohort"])]
    if not is_number(images) and shared:
        persons, images, where = shared[-1]["left_patients"], shared[-1]["left_images"], "eligible"
    found = [
        Fact(count(persons), f"persons {where}") if is_number(persons) else None,
        Fact(count(images), f"radiographs {where}") if is_number(images) else None,
        _split_fact(flow, "train", "left_images", "training radiographs per cohort"),
        _split_fact(flow, "test", "left_patients", "test persons per group"),
        _fits_fact(contents),
    ]
    return [fact for fact in found if fact is not None]


def _split_fact(flow: list[dict[str, Any]], split: str, column: str, name: str) -> Fact | None:
    """The smallest and largest number of one split over the cohorts."""
    rows = [row for row in flow if _text(row["cohort"]) and row["step"] == split]
    values = [round(float(row[column])) for row in rows if is_number(row[column])]
    if not values:
        return None
    low, high = count(min(values)), count(max(values))
    return Fact(low if low == high else f"{low}–{high}", name)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _fits_fact(contents: RunContents) -> Fact | None:
    fits = contents.provenance.get("n_fits")
    if not is_number(fits) and contents.result is not None:
        fits = contents.result.fits["fit_id"].nunique()
    if not is_number(fits):
        return None
    seeds = len(contents.study.seeds)
    return Fact(count(fits), "trained models" if seeds == 1 else f"trained models ({seeds} seeds)")


def panel_note(panel: MatrixPanel) -> str:
    """What the full table of a matrix adds: that one seed knows nothing of others, and how the band was had."""
    rows = [cell.row for line in panel.cells for cell in line if cell.row]
    if not rows:
        return ""
    seeds = (
        "One seed was trained: how much another training would change is not known, and the intervals are for "
        "these trained models. "
    )
    methods = [str(row["band_method"]) for row in rows if row["band_method"]]
    band = f"Band: {methods[0]}." if methods else ""
    return f"{seeds if rows[0]['n_seeds'] == 1 else ''}{band}".strip()


def reading_of_row(row: dict[str, Any]) -> str:
    """Everything about one gap in a line, for those who hear the page instead of seeing it."""
    limits = interval(row["low"], row["high"], with_signs=True)
    difference = f"Difference {signed(row['estimate'])}, {level_words(row)} interval {limits}"
    verdict = VERDICT_WORDS[verdict_key(row["verdict"])]
    return f"{gap_sentence(row)} {difference}: {verdict}."
