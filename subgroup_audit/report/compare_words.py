"""The page of a comparison in words: the question, the verdict, the clearest differences, and the methods."""

from __future__ import annotations

from typing import Any

import pandas as pd

from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.comparison.result import ranked
from subgroup_audit.comparison.words import KIND_TITLES
from subgroup_audit.report.compare_figures import COMPARISON_KEYS, TESTED_KINDS, context_of, label_of, varying
from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, plural, signed
from subgroup_audit.report.sentences import Card, Fact, Headline, level_words

CORRECTIONS = {
    "holm": ("Holm's step-down method", "Holm 1979"),
    "benjamini-hochberg": ("the Benjamini-Hochberg method", "Benjamini and Hochberg 1995"),
}
GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "AUC",
        "Area under the ROC curve: how often the model scores a positive image above a negative one. 0.5 is a "
        "coin's throw, 1 is perfect.",
    ),
    ("Reference", "The run or model named first. Every difference is the compared minus the reference."),
    ("Cell", "Models trained on one cohort, scored on the test images of one group."),
    ("Paired", "Both sides are measured on the same images of the same persons, so that easy cases cancel out."),
    ("Margin", "The largest difference of AUC that counts as none, declared before the comparison."),
    (
        "Detectable difference",
        "The true difference that 8 of 10 data sets like these would show, before correction for the number of "
        "comparisons.",
    ),
    ("Subgroup gap", "AUC of one model in a group minus its AUC in the reference group."),
    ("Transfer gap", "AUC of models trained on the tested group minus AUC of those trained on another."),
    ("Train/test gap", "AUC on the training images minus AUC on test persons of the same cohort."),
    ("Identical", "Every image has the same score on both sides, to the last digit. Nothing is tested then."),
)


def question(result: ComparisonResult) -> str:
    """What the comparison asks."""
    others = listed([isolated(label) for label in result.compared], 3)
    return f"What changed from {isolated(result.reference)} to {others}?"


def headline(result: ComparisonResult) -> Headline:
    """The verdict, what it rests on, and whether the design is the same."""
    said = [sentence for sentence in result.sentences if not sentence.startswith("Of ")]
    return Headline(COMPARISON_KEYS[result.verdict], result.title, (*said, design_sentence(result)), result.counts)


def design_sentence(result: ComparisonResult) -> str:
    """How much of the design changed."""
    if result.settings["is_one_run"]:
        return "The models are of one run: data, cohorts and software are the same."
    if result.is_design_unchanged:
        return "Study, data, software and device are the same."
    return f"{plural(len(result.changes), 'thing')} changed in the design."


def cards(result: ComparisonResult) -> list[Card]:
    """The most important difference of each kind."""
    judged = result.judged
    names = varying(result.differences)
    found = []
    for kind in TESTED_KINDS[:3]:
        chosen = judged[judged["kind"] == kind]
        found += [_card(row, kind, len(chosen), names) for row in rows_of(ranked(chosen).head(1))]
    return found


def _card(row: dict[str, Any], kind: str, total: int, names: list[str]) -> Card:
    is_known = is_number(row["estimate"])
    limits = interval(row["low"], row["high"], with_signs=True)
    context = context_of(row, names)
    reference, compared = decimal(row["reference_estimate"]), decimal(row["compared_estimate"])
    return Card(
        kind=kind,
        name=KIND_TITLES[kind],
        standing=f"1 of {count(total)}" if total > 1 else "",
        question=label_of(row) + (f" · {context}" if context else ""),
        value=signed(row["estimate"]) if is_known else "",
        interval=f"{level_words(row)} interval {limits}",
        persons=plural(row["n_patients"], "person"),
        verdict_key=COMPARISON_KEYS[row["verdict"]],
        verdict=row["verdict"],
        sentence=f"{reference} in the reference, {compared} in the compared." if is_known else "",
        note="" if is_known else str(row["reason"]),
    )


def limits(result: ComparisonResult) -> str:
    """What these data could not have shown."""
    parts = []
    judged = result.judged
    for kind in TESTED_KINDS:
        values = judged.loc[judged["kind"] == kind, "minimal_detectable_difference"].dropna()
        if len(values):
            low, high = decimal(values.min(), 2), decimal(values.max(), 2)
            name = "AUCs" if kind == "auc" else KIND_TITLES[kind].lower()
            parts.append(f"{low if low == high else f'{low} to {high}'} for {name}")
    if not parts:
        return ""
    return (
        f"The smallest change that these data would show in 8 of 10 repetitions is {listed(parts)}. A smaller one "
        "can exist and stay unseen."
    )


def facts(result: ComparisonResult) -> list[Fact]:
    """Persons and images that both sides have."""
    match = result.matching
    return [
        Fact(_span(match["patients_tested_in_both"]), "persons tested on both"),
        Fact(_span(match["images_tested_in_both"]), "radiographs tested on both"),
        Fact(_span(match["images_in_reference_only"]), "in the reference alone"),
        Fact(_span(match["images_in_other_only"]), "in the compared alone"),
        Fact(count(len(result.judged)), "judged comparisons"),
    ]


def _span(values: pd.Series) -> str:
    low, high = count(values.min()), count(values.max())
    return low if low == high else f"{low} to {high}"


def methods_paragraphs(result: ComparisonResult) -> list[str]:
    """How the numbers came about, in the words of a paper, with references in brackets."""
    settings = result.settings
    level = f"{100 * float(settings['confidence_level']):.4g} %"
    method, source = CORRECTIONS.get(settings["multiplicity"], ("no correction", ""))
    several = (result.judged[["n_seeds", "reference_n_seeds"]].min(axis=1) > 1).any()
    seeds = (
        " AUCs are means over training seeds; seeds and persons are crossed random effects, and the seeds of the "
        "two sides are taken as independent, but for the terms of a gap, which share their models."
        if several
        else " One trained model stands for each side, so that the intervals do not hold for another training."
    )
    corrected = f"P-values are corrected over all {count(settings['n_tested'])} tested differences by {method}"
    return [
        "Both sides were compared on the images that both had scored, joined by image and person. The covariance "
        "of AUCs on the same persons is that of DeLong [DeLong 1988], or Obuchowski's where persons have several "
        f"images [Obuchowski 1997].{seeds} Differences, and differences of gaps, have {level} intervals that join "
        "the limits of their terms [Zou and Donner 2008]. Beside them stand percentile limits over "
        f"{count(settings['n_resamples'])} shared draws of persons [Efron and Tibshirani 1993].",
        f"A difference counts as none where two one-sided tests place it within ±{settings['margin']:g} "
        f"[Schuirmann 1987]. {corrected}{f' [{source}]' if source else ''}. Differences on training images are "
        "descriptions and are not tested.",
    ]


def reading(row: dict[str, Any]) -> str:
    """Everything about one difference in a sentence, for those who hear the page instead of seeing it."""
    if not is_number(row["estimate"]):
        return f"{label_of(row)}: not estimable. {row['reason']}"
    return (
        f"{label_of(row)}: {decimal(row['reference_estimate'])} in the reference, "
        f"{decimal(row['compared_estimate'])} in the compared; difference {signed(row['estimate'])}, "
        f"{level_words(row)} interval {interval(row['low'], row['high'], with_signs=True)}: {row['verdict']}."
    )
