"""A check's result for a terminal: the verdict first, then every group in tables of at most 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

import pandas as pd

from subgroup_audit.checking import words
from subgroup_audit.checking.result import CheckResult

WIDTH = 98
NAME_WIDTH = 22
MAX_TASKS = 12
MAX_GROUPS = 16
PARITY = "all groups of "
RATES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "selection_rate": "flagged",
    "calibration_slope": "cal. slope",
    "calibration_intercept": "intercept",
    "brier_score": "Brier",
}
Row = Mapping[str, Any]


def full_report(result: CheckResult) -> str:
    """The whole result as text: verdict, groups, operating point and calibration in brief, notes."""
    lines = [result.title, ""]
    for sentence in result.sentences:
        lines += wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")
    tasks = result.estimates[["model", "finding"]].drop_duplicates().to_numpy().tolist()
    for model, finding in tasks[:MAX_TASKS]:
        lines += ["", *_task(result, model, finding, names_model=len({m for m, _ in tasks}) > 1)]
    if len(tasks) > MAX_TASKS:
        lines += ["", f"and {len(tasks) - MAX_TASKS} more; --format concise names every finding."]
    return "\n".join([*lines, *_others(result), *_between(result), *_notes(result)]) + "\n"


def _task(result: CheckResult, model: str, finding: str, *, names_model: bool) -> Iterator[str]:
    split = result.settings.get("judged_split", "test")
    chosen = [
        frame[(frame["model"] == model) & (frame["finding"] == finding) & (frame["split"] == split)]
        for frame in (result.estimates, result.contrasts)
    ]
    estimates, contrasts = chosen[0], chosen[1][chosen[1]["kind"] == "subgroup_gap"]
    named = [words.finding_words(finding), words.plain(model) if names_model else ""]
    which = f"{split} images" if result.settings.get("has_split") else "all images"
    subject = ", ".join(filter(None, named))
    yield f"{subject} ({which})" if subject else which.capitalize()
    yield from _auc_table(estimates[estimates["metric"] == "auc"], contrasts[contrasts["metric"] == "auc"])
    yield from _rates_table(estimates)


def _auc_table(estimates: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[str]:
    rows = [row for row in _rows(estimates) if not str(row["group"]).startswith(PARITY)]
    if not rows:
        return
    gaps = {(row["attribute"], row["group"]): row for row in _rows(contrasts)}
    references = {row["attribute"]: row["reference"] for row in gaps.values()}
    level = words.percent_level(rows[0]["confidence_level"])
    heads = ("persons", "pos/neg", f"AUC ({level})", "difference", "")
    yield _line("", heads)
    for attribute, members in _by_attribute(rows):
        if attribute:
            yield f"  {words.plain(attribute)}"
        for row in members[:MAX_GROUPS]:
            gap = gaps.get((attribute, row["group"]))
            yield _line(_name(row, references), (*_counts(row), _value(row), *_gap(row, gap, references)))
        if len(members) > MAX_GROUPS:
            yield f"    and {len(members) - MAX_GROUPS} more groups"


def _by_attribute(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for attribute in dict.fromkeys(row["attribute"] for row in rows):
        yield attribute, [row for row in rows if row["attribute"] == attribute]


def _name(row: Row, references: Mapping[str, str]) -> str:
    indent = "    " if row["attribute"] else "  "
    is_reference = references.get(row["attribute"]) == row["group"]
    return (
        indent
        + words.plain(row["group"], NAME_WIDTH - len(indent) - (6 if is_reference else 0))
        + (" (ref)" if is_reference else "")
    )


def _line(name: str, cells: Sequence[str]) -> str:
    persons, images, value, gap, verdict = cells
    return f"{name:<{NAME_WIDTH}}{persons:>8}{images:>13}  {value:<18} {gap:<20} {verdict}".rstrip()


def _counts(row: Row) -> tuple[str, str]:
    return _count(row["n_patients"]), f"{_count(row['n_positive'])}/{_count(row['n_negative'])}"


def _count(value: Any) -> str:
    return f"{int(value):,}" if words.is_present(value) else "-"


def _value(row: Row) -> str:
    if not words.is_present(row["estimate"]):
        return str(row["status"])
    low, high = words.number(row["low"], 2), words.number(row["high"], 2)
    return f"{words.number(row['estimate'])} ({low}-{high})"


def _gap(row: Row, gap: Row | None, references: Mapping[str, str]) -> tuple[str, str]:
    if gap is None:
        return "", ""
    verdict = words.SHORT_VERDICTS[gap["verdict"]]
    if not words.is_present(gap["estimate"]):
        return "", verdict
    half = f" ({words.number(gap['low'], 2, with_sign=True)},{words.number(gap['high'], 2, with_sign=True)})"
    return words.number(gap["estimate"], 2, with_sign=True) + half, verdict


def _rates_table(estimates: pd.DataFrame) -> Iterator[str]:
    """What each group gets at the common operating point, and how well its scores are calibrated; in brief."""
    chosen = estimates[estimates["metric"].isin(list(RATES)) & ~estimates["group"].str.startswith(PARITY)]
    chosen = chosen[~chosen["threshold_rule"].str.startswith("per group")]
    if not len(chosen):
        return
    yield ""
    yield from _threshold_words(chosen)
    present = [metric for metric in RATES if metric in set(chosen["metric"])]
    yield f"{'':<{NAME_WIDTH}}" + "".join(f"{RATES[metric]:>12}" for metric in present[:6])
    for attribute, members in _by_attribute(_rows(chosen.drop_duplicates(["attribute", "group"]))):
        for row in members[:MAX_GROUPS]:
            found = chosen[(chosen["attribute"] == attribute) & (chosen["group"] == row["group"])]
            values = dict(zip(found["metric"], found["estimate"], strict=True))
            name = f"  {words.plain(row['group'], NAME_WIDTH - 3)}"
            cells = "".join(f"{words.number(values.get(metric), 2):>12}" for metric in present[:6])
            yield f"{name:<{NAME_WIDTH}}{cells}"


def _threshold_words(chosen: pd.DataFrame) -> Iterator[str]:
    ruled = chosen[chosen["threshold_rule"] != ""]
    values = ruled["threshold"].dropna()
    if len(ruled):
        at = f" {values.iloc[0]:.3g}" if values.nunique() == 1 else ""
        yield f"  At one threshold for all{at} ({words.plain(ruled['threshold_rule'].iloc[0])}):"


def _others(result: CheckResult) -> Iterator[str]:
    """Judged comparisons of other measures than AUC, which no table above has."""
    others = result.judged[result.judged["metric"] != "auc"]
    if not len(others):
        return
    yield ""
    yield "Other judged measures"
    for row in words.clearest(others):
        marked = f"{words.SHORT_VERDICTS[row['verdict']]}: {row['sentence']}"
        yield from wrap(marked, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _between(result: CheckResult) -> Iterator[str]:
    """Train minus test, and models on the same images: AUC of everybody, shown and not judged."""
    contrasts = result.contrasts
    rows = contrasts[(contrasts["kind"] != "subgroup_gap") & (contrasts["metric"] == "auc")]
    rows = rows[rows["attribute"] == ""]
    if len(rows):
        yield ""
        yield "Shown, not judged"
    several = contrasts["model"].nunique() > 1
    for row in _rows(rows)[:MAX_TASKS]:
        value = words.number(row["estimate"], with_sign=True)
        line = f"{words.subject(row, names_model=several)} {value} ({words.limits(row, with_sign=True)})"
        yield from wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _notes(result: CheckResult) -> Iterator[str]:
    if result.notes:
        yield ""
        yield "Notes"
    for note in result.notes:
        yield from wrap(words.plain(note, 600), WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
