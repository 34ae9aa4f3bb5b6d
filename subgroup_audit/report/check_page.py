"""The page of a check: one file that opens without a network and shows what the result holds, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.words import measure_words
from subgroup_audit.report import check_methods, check_tables, check_words
from subgroup_audit.report.check_curves import KINDS, CurveFigure, curve_figures
from subgroup_audit.report.check_gaps import check_forests, comparison_label, descriptive_rows
from subgroup_audit.report.check_tables import Subject, TaskTables
from subgroup_audit.report.methods import REFERENCES
from subgroup_audit.report.page import page_environment, plotly_script, resource
from subgroup_audit.report.sentences import card_note

# The script that draws takes 4.7 MB; these keep the whole page below 8 MB.
MAX_SPECS = 900_000
MAX_DATA = 800_000
MAX_ESTIMATES = 2_000
SECTIONS: Mapping[str, str] = {
    "gaps": "Gaps",
    "groups": "Groups",
    "discrimination": "ROC and precision",
    "thresholds": "At a threshold",
    "calibration": "Calibration",
    "benefit": "Net benefit",
    "confusion": "Counts",
    "reading": "How it was read",
}


def write_check_page(result: CheckResult, path: Path | str, *, title: str = "") -> Path:
    """The path of the page, written from the result alone; the same result gives the same bytes.

    Parameters
    ----------
    title : the name of the predictions, shown above the question; '' shows none
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(render_check_page(result, title=title), encoding="utf-8")
    return place


def render_check_page(result: CheckResult, *, title: str = "") -> str:
    """The page as text."""
    environment = page_environment()
    environment.globals.update(
        measure_words=measure_words,
        metric_heading=check_tables.metric_heading,
        comparison_label=comparison_label,
        reading_of_gap=reading_of_gap,
        curve_kinds=KINDS,
    )
    parts = check_parts(result, title)
    figures = parts["figures"]
    environment.globals["downloads"] = downloads(result, figures)
    return environment.get_template("check.html").render(parts)


def check_parts(result: CheckResult, title: str) -> dict[str, Any]:
    """Everything that the templates name."""
    subjects = check_tables.subjects(result)
    tables = [check_tables.task_tables(result, subject) for subject in subjects]
    figures = drawn_figures(result, _most_telling(result, subjects))
    specs = {figure.key: figure.spec for found in figures.values() for figure in found}
    methods, cards = check_methods.methods_paragraphs(result), check_words.cards(result)
    return {
        "result": result,
        "title": title,
        "question": check_words.question(result),
        "headline": check_words.headline(result),
        "cards": cards,
        "card_note": card_note(cards),
        "tallies": check_words.tallies(result),
        "limits": check_words.limits(result),
        "facts": check_words.facts(result),
        "forests": check_forests(result),
        "descriptive": descriptive_rows(result),
        "n_descriptive": int(result.contrasts["margin"].isna().sum()),
        "subjects": subjects,
        "tables": tables,
        "figures": figures,
        "sections": _sections(tables, figures),
        "specs": specs,
        "plotly": plotly_script() if specs else "",
        "style": resource("style.css") + resource("check.css"),
        "script": resource("page.js"),
        "methods": methods,
        "resampled": bool(result.estimates["method"].str.contains("bootstrap").any()),
        "references": check_methods.references_cited(methods, REFERENCES),
        "glossary": check_methods.GLOSSARY,
        "version": _version(),
    }


def _sections(
    tables: Sequence[TaskTables], figures: Mapping[tuple[str, str], list[CurveFigure]]
) -> list[tuple[str, str]]:
    """The sections that have something to show."""
    kinds = {kind for (_, kind), found in figures.items() if found}
    has = {
        "discrimination": bool(kinds & {"roc", "precision_recall"}),
        "thresholds": any(table.at_threshold for table in tables),
        "calibration": "reliability" in kinds or any(table.of_calibration for table in tables),
        "benefit": "net_benefit" in kinds,
        "confusion": any(table.has_counts for table in tables),
    }
    return [(name, words) for name, words in SECTIONS.items() if has.get(name, True)]


def _most_telling(result: CheckResult, subjects: Sequence[Subject]) -> list[Subject]:
    """The subjects with those first whose judged comparisons matter most."""
    order = {"gap": 0, "inconclusive": 1, "not estimable": 2}
    judged = result.judged
    found: dict[tuple[str, str], int] = {}
    for model, finding, verdict in zip(judged["model"], judged["finding"], judged["verdict"], strict=True):
        rank = order.get(verdict, 3)
        found[model, finding] = min(rank, found.get((model, finding), rank))
    return sorted(subjects, key=lambda subject: found.get((subject.model, subject.finding), 9))


def drawn_figures(result: CheckResult, ordered: Sequence[Subject]) -> dict[tuple[str, str], list[CurveFigure]]:
    """The curve panels by subject and kind, of as many subjects as the page's size allows."""
    found: dict[tuple[str, str], list[CurveFigure]] = {}
    size = 0
    for subject in ordered:
        panels = {kind: curve_figures(result, subject, kind) for kind in KINDS}
        size += len(json.dumps([figure.spec for figures in panels.values() for figure in figures]))
        if size > MAX_SPECS and found:
            break
        found |= {(subject.key, kind): figures for kind, figures in panels.items()}
    return found


def downloads(result: CheckResult, figures: Mapping[tuple[str, str], list[CurveFigure]]) -> dict[str, str]:
    """The tables as data URIs: of each what its figure shows, and the whole of those for which there is room."""
    frames = {name: frame for name, frame in result.tables().items() if len(frame)}
    whole = {name: _csv(frame) for name, frame in frames.items()}
    texts: dict[str, str] = {}
    left = MAX_DATA
    for name in sorted(frames, key=_rank):
        text = _csv(_essential(name, frames[name], result, figures))
        if text and len(text) <= left:
            texts[name] = text
            left -= len(text)
    for name in sorted(texts, key=lambda name: len(whole[name])):
        growth = len(whole[name]) - len(texts[name])
        if growth <= left:
            texts[name] = whole[name]
            left -= growth
    return {name: _data_uri(text) for name, text in texts.items()}


def _rank(name: str) -> int:
    """Which table comes first where there is not room for all."""
    first = ("contrasts", "confusion", "estimates", "reliability", "roc", "precision_recall", "net_benefit")
    return first.index(name) if name in first else len(first)


def _csv(frame: pd.DataFrame) -> str:
    """The frame as CSV with eight digits, more than anybody reads off a page; JSON has them all."""
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.8g")) if len(frame) else ""


def _essential(
    name: str, frame: pd.DataFrame, result: CheckResult, figures: Mapping[tuple[str, str], list[CurveFigure]]
) -> pd.DataFrame:
    """The part of a large table that its figure shows."""
    if name == "contrasts":
        return result.judged
    if name == "estimates":
        shared = frame[~frame["threshold_rule"].str.startswith(check_tables.OWN)]
        return shared if len(shared) < MAX_ESTIMATES else shared[shared["metric"] == "auc"]
    if name not in KINDS:
        return frame
    drawn = [figure.points for (_, kind), panels in figures.items() if kind == name for figure in panels]
    return pd.concat(drawn) if drawn else frame.iloc[:0]


def _data_uri(text: str) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text.encode("utf-8")).decode("ascii")


def reading_of_gap(row: Mapping[str, Any]) -> str:
    """Everything about one gap in a sentence, for those who hear the page instead of seeing it."""
    return str(row["sentence"])


def _version() -> str:
    try:
        return version("subgroup-audit")
    except PackageNotFoundError:
        return ""
