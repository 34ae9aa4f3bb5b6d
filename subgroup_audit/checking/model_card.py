"""A check's result in a Hugging Face model card: a section between markers, and `model-index` metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from subgroup_audit.checking import words
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.errors import ReportError

START = "<!-- subgroup_audit:start -->"
END = "<!-- subgroup_audit:end -->"
TASK_TYPE = "image-classification"
# Marks the results that a check wrote, so that the next one replaces them.
DATASET_TYPE = "subgroup"
PARITY = "all groups of "
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)(?:\r?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def write_model_card(result: CheckResult, path: Path | str) -> Path:
    """The card's path, with the section and metadata of this check; what else the card holds stays as it is.

    A card that is there keeps its text: the section replaces the one between the markers, or goes to the end.
    In the metadata, results that an earlier check wrote are replaced, and others stay.

    Raises
    ------
    ReportError
        The card cannot be read, has one marker without the other, or metadata that are not a YAML mapping.
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8") if place.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{place}: the model card cannot be read: {error}") from error
    metadata, body = _taken_apart(text, place)
    metadata["model-index"] = _model_index(metadata.get("model-index"), result)
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"---\n{front}---\n{_with_section(body, card_section(result), place)}", encoding="utf-8")
    return place


def _taken_apart(text: str, place: Path) -> tuple[dict[str, Any], str]:
    """The metadata and the text below them."""
    found = _FRONT.match(text)
    if found is None:
        return {}, text
    try:
        metadata = yaml.safe_load(found.group(1)) or {}
    except yaml.YAMLError as error:
        raise ReportError(f"{place}: the metadata at the top of the card are not valid YAML: {error}") from error
    if not isinstance(metadata, dict):
        raise ReportError(f"{place}: the metadata at the top of the card must be a mapping of keys")
    return metadata, text[found.end() :]


def _with_section(body: str, section: str, place: Path) -> str:
    has_start, has_end = START in body, END in body
    if has_start != has_end or (has_start and body.index(START) > body.index(END)):
        raise ReportError(f"{place}: the card needs both markers, {START} before {END}, or neither")
    whole = f"{START}\n{section}{END}\n"
    if has_start:
        before, rest = body.split(START, 1)
        return before + whole + rest.split(END, 1)[1].removeprefix("\n")
    start = body.rstrip("\n") or "# Model card"
    return f"{start}\n\n{whole}"


def card_section(result: CheckResult) -> str:
    """The section as Markdown: verdict, groups, judged gaps, and how to read them."""
    tables = [_groups_table(result), _gaps_table(result)]
    lines = [
        "## Performance by subgroup",
        "",
        f"**{_text(result.title)}.** {_text(' '.join(result.sentences))}",
        "",
    ]
    lines += [line for table in tables if table for line in (*table, "")]
    lines += [
        "Differences are group minus reference. Intervals treat all images of a person as one draw. "
        "*No gap beyond the margin* means that a difference as large as the margin is excluded. "
        "*Inconclusive* is not evidence of equality."
    ]
    lines += ["", *(f"- {_text(note)}" for note in result.notes)] if result.notes else []
    return "\n".join(lines) + "\n"


def _groups_table(result: CheckResult) -> list[str]:
    """AUC of every group of the judged split, with persons and positives."""
    chosen = _shown_estimates(result, ("auc",))
    if not len(chosen):
        return []
    head = ("Model", "Finding", "Attribute", "Group", "Persons", "Positive", "AUC", "Interval")
    rows = [
        (
            *(_text(row[name]) for name in ("model", "finding", "attribute", "group")),
            _count(row["n_patients"]),
            _count(row["n_positive"]),
            words.number(row["estimate"]) if words.is_present(row["estimate"]) else row["status"],
            words.limits(row),
        )
        for row in _rows(chosen)
    ]
    return _table(head, rows)


def _gaps_table(result: CheckResult) -> list[str]:
    judged = words.clearest(result.judged)
    several = result.judged["model"].nunique() > 1
    if not judged:
        return []
    head = ("Comparison", "Difference", "Interval", "Margin", "Verdict", "Smallest gap shown with 80 %")
    rows = [
        (
            _text(words.subject(row, names_model=several)),
            words.number(row["estimate"], with_sign=True),
            words.limits(row, with_sign=True),
            f"{row['margin']:g}",
            f"**{row['verdict']}**" if row["verdict"] == "gap" else row["verdict"],
            words.number(row["minimal_detectable_gap"]),
        )
        for row in judged
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _shown_estimates(result: CheckResult, metrics: Sequence[str]) -> pd.DataFrame:
    estimates = result.estimates
    is_of_split = estimates["split"] == result.settings.get("judged_split", "test")
    is_parity = estimates["group"].str.startswith(PARITY)
    is_own = estimates["threshold_rule"].str.startswith("per group")
    shown: pd.DataFrame = estimates[is_of_split & ~is_parity & ~is_own & estimates["metric"].isin(list(metrics))]
    return shown


def _count(value: Any) -> str:
    return f"{int(value):,}" if words.is_present(value) else "-"


def _text(text: Any) -> str:
    """A text from outside with Markdown's and HTML's marks made harmless."""
    flat = words.plain(text, 2000)
    for mark in "\\`*_[]|#":
        flat = flat.replace(mark, f"\\{mark}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _model_index(present: Any, result: CheckResult) -> list[dict[str, Any]]:
    """The card's `model-index` with the results of this check; those of an earlier check are replaced."""
    kept = [dict(entry) for entry in present if isinstance(entry, dict)] if isinstance(present, list) else []
    for entry in kept:
        entry["results"] = [found for found in entry.get("results") or () if not _is_ours(found)]
    by_name = {str(entry.get("name")): entry for entry in kept}
    for model, rows in _shown_estimates(result, ("auc", "average_precision")).groupby("model", sort=False):
        name = words.plain(model)
        entry = by_name.setdefault(name, {"name": name, "results": []})
        found = [
            _eval_result(rows_of) for _, rows_of in rows.groupby(["finding", "attribute", "group"], sort=False)
        ]
        entry["results"] = [*entry["results"], *(one for one in found if one["metrics"])]
    return [entry for entry in by_name.values() if entry["results"]] or kept


def _is_ours(found: Any) -> bool:
    dataset = found.get("dataset") if isinstance(found, dict) else None
    return isinstance(dataset, Mapping) and dataset.get("type") == DATASET_TYPE


def _eval_result(rows: pd.DataFrame) -> dict[str, Any]:
    """One group's measures in the layout of the hub's `model-index`."""
    first = _rows(rows)[0]
    group = (
        f"{words.plain(first['attribute'])}: {words.plain(first['group'])}" if first["attribute"] else "everybody"
    )
    return {
        "task": {"type": TASK_TYPE, "name": words.plain(first["finding"])},
        "dataset": {
            "type": DATASET_TYPE,
            "name": group,
            "split": first["split"],
            "args": {"attribute": words.plain(first["attribute"]), "group": words.plain(first["group"])},
        },
        "metrics": [
            {
                "type": "roc_auc" if row["metric"] == "auc" else row["metric"],
                "name": f"{words.measure_words(row['metric'])} ({group})",
                "value": round(float(row["estimate"]), 6),
            }
            for row in _rows(rows)
            if words.is_present(row["estimate"])
        ],
    }
