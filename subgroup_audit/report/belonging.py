"""Do scores and labels belong together, and whose images are called wrongly: sentences and rows for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, percent, plural

MATCHES, NOT_CHECKED = "matches", "not checked"
MAX_ERROR_ROWS = 60


def order_sentence(order_check: pd.DataFrame | None) -> str:
    """What scoring a sample of every fit again came to; '' where it was not done."""
    rows = rows_of(order_check)
    if not rows:
        return ""
    wrong = [row for row in rows if row["result"] not in (MATCHES, NOT_CHECKED)]
    if wrong:
        what = "; ".join(_said(row) for row in wrong[:3])
        more = f"; and {count(len(wrong) - 3)} more" if len(wrong) > 3 else ""
        whose = plural(len(wrong), "fit has", "fits have")
        return (
            f"Scores and labels do not belong together: {whose} other scores than its weights give. {what}{more}."
        )
    checked = [row for row in rows if row["result"] == MATCHES]
    left = len(rows) - len(checked)
    rest = f" {plural(left, 'fit was', 'fits were')} not checked." if left else ""
    if not checked:
        return f"Whether scores and labels belong together was not checked: {rows[0]['reason']}."
    largest = max(float(row["largest_difference"]) for row in checked)
    n = max(round(float(row["n_images"])) for row in checked)
    fits = "the fit" if len(checked) == 1 else f"each of {count(len(checked))} fits"
    return (
        f"Scores and labels belong together: {plural(n, 'test image')} of {fits} predicted again from the "
        f"weights, largest difference {small(largest)}.{rest}"
    )


def _said(row: Mapping[str, Any]) -> str:
    """What is wrong with one fit."""
    moved = f"{count(row['n_different'])} of {plural(row['n_images'], 'image')}"
    words = {
        "scores belong to other images": f"{moved} have the score of another image",
        "another model": f"the scores of {moved} are of another model",
        "wrong labels": f"{plural(row['n_wrong_labels'], 'label is', 'labels are')} not those of the cohorts",
    }
    return f"{fit_words(row)}: {words.get(str(row['result']), str(row['result']))}"


def fit_words(row: Mapping[str, Any]) -> str:
    """A fit by its cohort, model, recipe and seed, and the control that it is."""
    name = " / ".join(isolated(row[part]) for part in ("train_cohort", "model", "recipe"))
    control = f", {row['control']}" if row.get("control") else ""
    return f"{name} / seed {count(row['seed'])}{control}"


def small(value: float) -> str:
    """A small number in one figure.

    >>> small(0.0), small(1.19e-7), small(0.25)
    ('0', '1e-7', '0.2')
    """
    return f"{value:.0e}".replace("e-0", "e-") if 0 < value < 0.001 else f"{value:.1g}"


def is_in_order(order_check: pd.DataFrame | None) -> bool:
    """Whether nothing that was checked is wrong."""
    return all(row["result"] in (MATCHES, NOT_CHECKED) for row in rows_of(order_check))


def order_rows(order_check: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Every fit with what its sample came to; those that are wrong first."""
    rows = [
        {
            **row,
            "fit": fit_words(row),
            "difference": small(float(row["largest_difference"])) if is_number(row["largest_difference"]) else "–",
        }
        for row in rows_of(order_check)
    ]
    return sorted(rows, key=lambda row: row["result"] == MATCHES)


def copy_sentences(same_scores: pd.DataFrame | None) -> list[str]:
    """One caution for every two fits that are one."""
    return [
        f"{isolated(row['first'])} and {isolated(row['second'])} have {row['relation']} for {row['finding']} on "
        f"all {plural(row['n_images'], 'image')}: they are one model, and comparing them says nothing."
        for row in rows_of(same_scores)
    ]


def error_rows(error_counts: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The counts of every fit and test group, with the shares in words."""
    rows = rows_of(error_counts)[:MAX_ERROR_ROWS]
    for row in rows:
        row["fit"] = fit_words(row)
        row["held_words"] = _with_limits(row, "held", "held")
        row["share_words"] = _with_limits(row, "share_all_wrong", "share")
        row["expected"] = decimal(row["expected_all_wrong"], 1)
    return rows


def _with_limits(row: Mapping[str, Any], name: str, limits: str) -> str:
    if not is_number(row[name]):
        return "–"
    low, high = 100 * float(row[f"{limits}_low"]), 100 * float(row[f"{limits}_high"])
    return f"{percent(row[name])} ({interval(low, high, 0)})"


def error_sentence(error_counts: pd.DataFrame | None) -> str:
    """The fit and group whose errors gather most in persons with all images wrong; '' where nothing is counted."""
    rows = [row for row in rows_of(error_counts) if row["n_persons_of_several"]]
    if not rows:
        return ""
    gathered = [row for row in rows if row["n_all_wrong"]]
    if not gathered:
        return "No person of several test images has every one called wrongly."
    most = max(gathered, key=lambda row: float(row["held"]))
    names, n = _varying(rows, most), most["n_all_wrong"]
    return (
        f"Of {plural(most['n_persons_of_several'], 'person')} with several test images {count(n)} "
        f"{'has' if n == 1 else 'have'} every image wrong ({decimal(most['expected_all_wrong'], 1)} if errors "
        f"fell on anybody). They hold {percent(most['held'])} of all errors "
        f"({interval(100 * most['held_low'], 100 * most['held_high'], 0)} %){names}."
    )


def _varying(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str:
    """Which fit and group the sentence is about, as far as there are several."""
    parts = {
        "trained on": "train_cohort",
        "tested on": "test_group",
        "model": "model",
        "recipe": "recipe",
        "seed": "seed",
        "finding": "finding",
    }
    said = [
        f"{words} {isolated(row[name])}" for words, name in parts.items() if len({one[name] for one in rows}) > 1
    ]
    highest = f", the highest share of {plural(len(rows), 'fit and group', 'fits and groups')}"
    return f": {listed(said)}{highest}" if said else ""
