"""A comparison on the terminal: the verdict, the differences, what changed in the design, who was matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console

from subgroup_audit.checking.words import limits, number, plain
from subgroup_audit.cli.design_tables import print_table
from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.comparison.result import ranked
from subgroup_audit.comparison.words import KIND_TITLES, SHORT_VERDICTS, question_words, same_words

MAX_ROWS = 24
MAX_CHANGES = 20
HEADER = ("comparison", "reference", "compared", "difference (interval)", "verdict", "adjusted p", "persons")


def print_comparison(screen: Console, result: ComparisonResult) -> None:
    """Print everything that decides: verdict, differences by kind, design, matching, notes."""
    others = ", ".join(result.compared)
    screen.print(
        f"{others} compared with {result.reference} (differences: compared minus reference)", soft_wrap=True
    )
    screen.print(f"{result.title}.", soft_wrap=True)
    for sentence in result.sentences:
        screen.print(sentence, soft_wrap=True)
    for label in result.compared:
        _print_side(screen, result, label)
    _print_design(screen, result)
    for note in result.notes:
        screen.print(f"- {note}", soft_wrap=True)


def _print_side(screen: Console, result: ComparisonResult, label: str) -> None:
    rows = result.differences[result.differences["compared"] == label]
    match = result.matching[result.matching["compared"] == label].to_dict("records")[0]
    screen.print("")
    screen.print(
        f"{label}: {match['images_in_both']:,} images of {match['patients_in_both']:,} persons are in both, "
        f"{match['images_tested_in_both']:,} of {match['patients_tested_in_both']:,} tested in both; "
        f"{match['images_in_reference_only']:,} images are in {result.reference} alone, "
        f"{match['images_in_other_only']:,} in {label} alone.",
        soft_wrap=True,
    )
    for kind, title in KIND_TITLES.items():
        chosen = rows[(rows["kind"] == kind) & (rows["verdict"] != "descriptive")]
        shown = ranked(chosen).head(MAX_ROWS)
        if len(shown):
            names = varying(rows)
            lines = [_line({str(k): v for k, v in row.items()}, names) for row in shown.to_dict("records")]
            more = f" (the first {len(shown)} of {len(chosen)})" if len(shown) < len(chosen) else ""
            print_table(screen, f"{title}{more}", HEADER, lines)


def varying(rows: pd.DataFrame) -> list[str]:
    """Which of finding, model and recipe differ between rows, so that labels must name them."""
    return [name for name in ("finding", "model", "recipe") if rows[name].nunique() > 1]


def _line(row: Mapping[str, Any], names: list[str]) -> list[str]:
    context = ", ".join(str(row[name]) for name in names)
    label = question_words(row)
    return [
        plain(f"{label} ({context})" if context else label),
        number(row["reference_estimate"]),
        number(row["compared_estimate"]),
        _difference(row),
        SHORT_VERDICTS[row["verdict"]],
        number(row["p_adjusted"]),
        f"{row['n_patients']:,}",
    ]


def _difference(row: Mapping[str, Any]) -> str:
    if pd.isna(row["estimate"]):
        return str(row["status"])
    if row["verdict"] == "identical":
        return "0"
    return f"{number(row['estimate'], with_sign=True)} ({limits(row, with_sign=True)})"


def _print_design(screen: Console, result: ComparisonResult) -> None:
    if result.settings["is_one_run"]:
        return
    screen.print("")
    for label in dict.fromkeys(result.compared):
        changes = result.changes[result.changes["compared"] == label]
        if not len(changes):
            screen.print(f"Design of {label}: identical to that of {result.reference}.", soft_wrap=True)
        else:
            screen.print(f"What changed in the design of {label}:", soft_wrap=True)
            for sentence in changes["sentence"].head(MAX_CHANGES):
                screen.print(f"- {plain(sentence, 400)}", soft_wrap=True)
            if len(changes) > MAX_CHANGES:
                screen.print(f"- and {len(changes) - MAX_CHANGES} more; --json or --out has all", soft_wrap=True)
        same = result.settings["same_results"].get(label)
        if same:
            screen.print(same_words(same), soft_wrap=True)
