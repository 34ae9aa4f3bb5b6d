"""Where the gaps lie and what was ruled out: the first screen's answer to 'where does it come from?'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.diagnosis import METADATA_MODEL
from subgroup_audit.report.causes import causes_sentence
from subgroup_audit.report.contents import RunContents, distinct, isolated, rows_of
from subgroup_audit.report.gaps import is_corrected_away, ranked, verdict_counts
from subgroup_audit.report.matrix import headline_finding, matrix_cells
from subgroup_audit.report.numerals import decimal, is_number, listed, plural
from subgroup_audit.report.survival import overall_sentence

MAX_PAIRS = 4

# The gaps between two groups, a column each; a gap of gaps is about four cells.
PAIR_KINDS = ("subgroup_gap", "transfer_gap")


@dataclass(frozen=True)
class KindTally:
    """The gaps of one kind between two groups: how many ended how, and the largest difference, unsigned."""

    counts: Mapping[str, int]
    largest: str


@dataclass(frozen=True)
class PairTally:
    """Two groups and the gaps between them by kind; None where that kind was not compared."""

    first: str
    second: str
    kinds: Mapping[str, KindTally | None]


@dataclass(frozen=True)
class Origin:
    """What the first screen says of where a gap lies: the pairs, how many more there are, and sentences."""

    pairs: tuple[PairTally, ...]
    more: int
    sentences: tuple[str, ...]


def origin(contents: RunContents) -> Origin:
    """The pairs of groups by importance of their gaps, with what the stored numbers say of the reasons."""
    if contents.result is None:
        return Origin((), 0, ())
    contrasts = contents.result.contrasts
    tested = ranked(contrasts[contrasts["kind"].isin(PAIR_KINDS)])
    by_pair = _rows_by_pair(tested)
    pairs = tuple(_pair_tally(rows) for rows in list(by_pair.values())[:MAX_PAIRS])
    found = (
        _persistence(tested),
        overall_sentence(contents.result.case_mix),
        baseline_sentence(contents.result.estimates),
        causes_sentence(contents.causes, contents.study),
        leakage_sentence(contents.leakage),
    )
    return Origin(pairs, max(0, len(by_pair) - MAX_PAIRS), tuple(text for text in found if text))


def _pair(row: Mapping[str, Any]) -> tuple[str, str]:
    """The groups whose difference the row is, as they are subtracted."""
    first = row["test_group"] if row["kind"] == "subgroup_gap" else row["train_cohort"]
    return str(first), str(row["other"])


def _rows_by_pair(tested: pd.DataFrame) -> dict[frozenset[str], list[dict[str, Any]]]:
    found: dict[frozenset[str], list[dict[str, Any]]] = {}
    for row in rows_of(tested):
        found.setdefault(frozenset(_pair(row)), []).append(row)
    return found


def _pair_tally(rows: list[dict[str, Any]]) -> PairTally:
    """Groups in the order of a subgroup gap where there is one: that order has the reference second."""
    named = next((row for row in rows if row["kind"] == "subgroup_gap"), rows[0])
    first, second = _pair(named)
    kinds = {kind: _kind_tally([row for row in rows if row["kind"] == kind]) for kind in PAIR_KINDS}
    return PairTally(first, second, kinds)


def _kind_tally(rows: list[dict[str, Any]]) -> KindTally | None:
    if not rows:
        return None
    sizes = [abs(float(row["estimate"])) for row in rows if is_number(row["estimate"])]
    counts = verdict_counts(pd.DataFrame(rows)[["kind", "verdict"]])
    return KindTally(
        {name: number for name, number in counts.items() if number}, decimal(max(sizes)) if sizes else ""
    )


def _persistence(tested: pd.DataFrame) -> str:
    """Whether the first pair's subgroup gap is there whatever was trained on; '' where there is no gap."""
    rows = rows_of(tested[tested["kind"] == "subgroup_gap"])
    if not rows or rows[0]["verdict"] != "gap":
        return ""
    first, second = _pair(rows[0])
    same = [row for row in rows if _pair(row) == (first, second)]
    sign = float(rows[0]["estimate"]) > 0
    shown = [
        row
        for row in same
        if row["verdict"] == "gap" and not is_corrected_away(row) and (float(row["estimate"]) > 0) == sign
    ]
    where = f"AUC is {'higher' if sign else 'lower'} in {isolated(first)} than in {isolated(second)}"
    cohorts = distinct(row["train_cohort"] for row in same)
    if len(shown) == len(same) and len(cohorts) > 1:
        return f"{where} whatever the model was trained on: no choice of training cohort removed the gap."
    if not shown:
        return ""
    trained = listed([isolated(name) for name in distinct(row["train_cohort"] for row in shown)])
    return f"{where} in {len(shown)} of {plural(len(same), 'comparison')} (trained on {trained})."


def baseline_sentence(estimates: pd.DataFrame) -> str:
    """What sex, view and age reach without the image, beside what the models reach; '' without a baseline.

    Of the cells that train and test on the same cohort, of the finding that the matrix shows first.
    """
    cells = matrix_cells(estimates)
    cells = cells[cells["finding"] == headline_finding(distinct(cells["finding"]))]
    own = cells[(cells["train_cohort"] == cells["test_group"]) & cells["estimate"].notna()]
    is_baseline = own["model"] == METADATA_MODEL
    if not is_baseline.any() or is_baseline.all():
        return ""
    alone, models = (_span(own.loc[chosen, "estimate"]) for chosen in (is_baseline, ~is_baseline))
    return (
        f"Sex, view and age alone, without the image, reach AUC {alone} in the groups that were trained on; the "
        f"models reach {models}."
    )


def _span(values: pd.Series) -> str:
    low, high = decimal(values.min()), decimal(values.max())
    return low if low == high else f"{low} to {high}"


def leakage_sentence(leakage: pd.DataFrame | None) -> str:
    """Whether training and test share anything; '' where it was not checked."""
    if leakage is None or not len(leakage):
        return ""
    shared = [name for name in leakage.columns if str(name).startswith("shared_")]
    dirty = int((leakage[shared].fillna(0) > 0).any(axis=1).sum())
    if dirty:
        return (
            f"Leakage: {dirty} of {plural(len(leakage), 'pair')} of training and test cohort share persons, files "
            "or pictures, so some AUCs are too high."
        )
    return "Leakage is ruled out: no person, file or picture of a test set was in training."
