"""What a paper says of the results: numbers with intervals, what was open, and what could not have been seen."""

from __future__ import annotations

from typing import Any

import pandas as pd

from subgroup_audit.report import belonging
from subgroup_audit.report.contents import RunContents, distinct, isolated, rows_of
from subgroup_audit.report.gaps import TESTED_KINDS, is_corrected_away, margin_of, ranked, verdict_counts
from subgroup_audit.report.matrix import MACRO_MEAN, headline_finding, matrix_cells
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, p_value, plural, signed
from subgroup_audit.report.origins import origin
from subgroup_audit.report.sentences import (
    AWAY,
    KIND_PLURALS,
    gap_sentence,
    headline,
    level_words,
    limits_sentence,
)
from subgroup_audit.report.spreads import worst_group_sentences

# How many cells and gaps a paragraph names; the tables hold all.
MAX_CELLS = 8
MAX_GAPS = 3
NOTHING = "This run holds no audit, so there are no results to write of."


def results_paragraphs(contents: RunContents) -> list[str]:
    """The results in the past tense of a paper; every number is one of the tables."""
    result, study = contents.result, contents.study
    if result is None:
        return [NOTHING]
    verdict = headline(result, study)
    tested = [_kind_paragraph(contents, kind) for kind in TESTED_KINDS]
    found = [
        _data_paragraph(contents),
        _cells_paragraph(contents),
        " ".join([f"Over all comparisons: {_lower(verdict.title)}.", *verdict.sentences]),
        *tested,
        _train_test_paragraph(result.contrasts),
        " ".join(worst_group_sentences(result.spreads)),
        limits_sentence(result.contrasts),
        " ".join(origin(contents).sentences),
        belonging.order_sentence(contents.order_check),
    ]
    return [paragraph for paragraph in found if paragraph]


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]


def _data_paragraph(contents: RunContents) -> str:
    stored = contents.provenance
    if not (is_number(stored.get("n_images")) and is_number(stored.get("n_patients"))):
        return ""
    images, persons = plural(stored["n_images"], "radiograph"), plural(stored["n_patients"], "person")
    fits = f", and {plural(stored['n_fits'], 'model was', 'models were')} trained" if "n_fits" in stored else ""
    return f"The cohorts held {images} of {persons}{fits} (Table 1 and flow in the tables)."


def _cells_paragraph(contents: RunContents) -> str:
    """The AUC of every model in the group that it was trained on, of the finding that speaks for all."""
    result = contents.result
    if result is None:
        return ""
    cells = matrix_cells(result.estimates)
    finding = headline_finding(distinct(cells["finding"]))
    own = rows_of(cells[(cells["finding"] == finding) & (cells["train_cohort"] == cells["test_group"])])
    known = [row for row in own if is_number(row["estimate"])]
    if not known:
        return "No model could be tested on the group that it was trained on."
    has_models = len({row["model"] for row in known}) > 1
    said = [_cell_words(row, names_model=has_models) for row in known[:MAX_CELLS]]
    left = len(known) - len(said)
    more = f" {plural(left, 'further cell is', 'further cells are')} in the table of the matrix." if left else ""
    what = "the mean over the findings" if finding == MACRO_MEAN else isolated(finding)
    lacking = len(own) - len(known)
    lost = f" {plural(lacking, 'such cell', 'such cells')} could not be estimated." if lacking else ""
    return (
        f"AUC for {what} on test persons of the group trained on, with {level_words(known[0])} interval: "
        f"{'; '.join(said)}.{more}{lost}"
    )


def _cell_words(row: dict[str, Any], *, names_model: bool) -> str:
    name = f"{isolated(row['model'])} trained on {isolated(row['train_cohort'])}"
    who = name if names_model else f"trained on {isolated(row['train_cohort'])}"
    limits = interval(row["low"], row["high"])
    return f"{who} {decimal(row['estimate'])} ({limits}; {plural(row['n_patients'], 'person')})"


def _kind_paragraph(contents: RunContents, kind: str) -> str:
    """How many gaps of a kind ended how, and the clearest of them; '' where none was compared."""
    result = contents.result
    if result is None:
        return ""
    rows = ranked(result.contrasts[result.contrasts["kind"] == kind])
    if not len(rows):
        return ""
    margin = decimal(margin_of(result.contrasts, contents.study), 2)
    named = [row for row in rows_of(rows.head(MAX_GAPS)) if is_number(row["estimate"])]
    total = plural(len(rows), "comparison")
    start = f"{KIND_PLURALS[kind]} ({total}): {_verdicts(rows, margin)}."
    clearest = "The clearest: " if len(rows) > len(named) else ""
    return " ".join([start, clearest + " ".join(_gap_words(row) for row in named)]).strip()


def _verdicts(rows: pd.DataFrame, margin: str) -> str:
    """How many comparisons ended how; what is open is never called equal."""
    counts = verdict_counts(rows)
    away = sum(is_corrected_away(row) for row in rows_of(rows[rows["verdict"] == "gap"]))
    corrected = f" ({away} of them not after correction)" if away else ""
    words = {
        "gap": f"{count(counts['gap'])} showed a gap{corrected}",
        "no gap beyond the margin": f"{count(counts['no gap beyond the margin'])} showed a difference within "
        f"±{margin}",
        "inconclusive": f"{count(counts['inconclusive'])} stayed open, neither showing a gap nor excluding one "
        f"beyond ±{margin}",
        "not estimable": f"{count(counts['not estimable'])} could not be estimated",
    }
    return listed([text for verdict, text in words.items() if counts[verdict]]) or "none was judged"


def _gap_words(row: dict[str, Any]) -> str:
    tests = f", p {_p_words(row['p_value'])}" if is_number(row["p_value"]) else ""
    if is_number(row["p_adjusted"]):
        tests += f", adjusted p {_p_words(row['p_adjusted'])}"
    limits = interval(row["low"], row["high"], with_signs=True)
    verdict = str(row["verdict"]) + (AWAY if row["verdict"] == "gap" and is_corrected_away(row) else "")
    return (
        f"{gap_sentence(row)} Difference {signed(row['estimate'])} ({level_words(row)} interval {limits}{tests}): "
        f"{verdict}."
    )


def _p_words(value: Any) -> str:
    text = p_value(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _train_test_paragraph(contrasts: pd.DataFrame) -> str:
    """Train against test AUC of the widest gap and how far the others go; a description."""
    rows = contrasts[(contrasts["kind"] == "generalization_gap") & contrasts["estimate"].notna()]
    if not len(rows):
        return ""
    widest = rows_of(rows.sort_values("estimate", ascending=False, kind="stable").head(1))[0]
    low, high = signed(rows["estimate"].min()), signed(rows["estimate"].max())
    span = f"was {low}" if len(rows) == 1 else f"went from {low} to {high} over {count(len(rows))} fitted settings"
    limits = interval(widest["low"], widest["high"], with_signs=True)
    return (
        f"The train/test gap {span}. The widest: {gap_sentence(widest)} Difference {signed(widest['estimate'])} "
        f"({level_words(widest)} interval {limits}). These gaps are a description, since a model has seen its "
        "training images."
    )
