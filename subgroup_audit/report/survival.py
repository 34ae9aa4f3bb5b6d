"""Does the gap survive? Subgroup gaps as measured beside the same gaps at an equal mix, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.axes import Axis, difference_axis
from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.gaps import VERDICT_KEYS, varying, verdict_key
from subgroup_audit.report.numerals import count, interval, is_number, listed, plural, signed

MAX_COMPARISONS = 24
SHOWN_AT_ONCE = 4
MEASURED, MATCHED, WEIGHTED, REGRESSION, XAUC = "as measured", "matched", "weighted", "regression", "xAUC"
# Which way speaks for all in a sentence: the one with the fewest assumptions that could be had.
SPOKESMEN = (MATCHED, WEIGHTED, REGRESSION)
UNSHOWN = {
    "no gap beyond the margin": "As measured a gap beyond the margin is excluded.",
    "inconclusive": "As measured neither a gap nor its absence is shown.",
}
COMPARISON = ("finding", "model", "recipe", "train_cohort", "test_group", "other")


@dataclass(frozen=True)
class Way:
    """One estimate of the gap, with its places on the axis in percent; None where there is no estimate.

    Attributes
    ----------
    is_cut, is_off_scale : whether the interval, and the estimate itself, lie beyond the axis, as an xAUC gap may
    """

    row: dict[str, Any]
    label: str
    note: str
    verdict_key: str
    at: float | None
    low_at: float | None
    high_at: float | None
    bootstrap_low_at: float | None
    bootstrap_high_at: float | None
    is_cut: bool
    is_off_scale: bool = False

    @property
    def is_another_question(self) -> bool:
        """Whether the row is the xAUC gap, which is no AUC gap within groups."""
        return str(self.row["adjustment"]) == XAUC


@dataclass(frozen=True)
class Comparison:
    """A gap as measured and in every other way, with what changed in words."""

    label: str
    context: str
    sentences: tuple[str, ...]
    ways: tuple[Way, ...]
    measured_at: float | None


@dataclass(frozen=True)
class Survival:
    """All comparisons, the most important first, on one axis, and what can be said of them together."""

    comparisons: tuple[Comparison, ...]
    total: int
    axis: Axis
    margin: float
    band: tuple[float, float]
    sentence: str
    held: str

    @property
    def is_cut(self) -> bool:
        """Whether an interval goes on beyond the scale."""
        return any(way.is_cut for comparison in self.comparisons for way in comparison.ways)


def survival(case_mix: pd.DataFrame | None, margin: float) -> Survival | None:
    """The comparisons ready to be drawn; None where a run holds none."""
    if case_mix is None or not len(case_mix):
        return None
    stored = case_mix["margin"].dropna()
    margin = float(stored.iloc[0]) if len(stored) else margin
    gaps = case_mix[case_mix["adjustment"] != XAUC]
    limits = pd.concat([gaps[name].abs() for name in ("estimate", "low", "high")])
    axis = difference_axis(limits.tolist(), margin, gaps["estimate"])
    groups = by_importance(case_mix)
    names = varying(case_mix)
    drawn = tuple(_comparison(rows, axis, names) for rows in groups[:MAX_COMPARISONS])
    band = (axis.place(-margin), axis.place(margin))
    return Survival(drawn, len(groups), axis, margin, band, overall_sentence(case_mix), _held(groups))


def by_importance(case_mix: pd.DataFrame) -> list[list[dict[str, Any]]]:
    """The rows of each comparison; those whose measured gap is clearest and largest first."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows_of(case_mix):
        groups.setdefault(tuple(str(row[name]) for name in COMPARISON), []).append(row)
    order = {verdict: place for place, verdict in enumerate(VERDICT_KEYS)}

    def importance(rows: list[dict[str, Any]]) -> tuple[int, float]:
        first = rows[0]
        size = abs(float(first["estimate"])) if is_number(first["estimate"]) else 0.0
        return order.get(str(first["verdict"]), len(order)), -size

    return sorted(groups.values(), key=importance)


def overall_sentence(case_mix: pd.DataFrame | None) -> str:
    """How many gaps as measured are still shown at the same mix; '' where none could be asked at one."""
    if case_mix is None or not len(case_mix):
        return ""
    groups = by_importance(case_mix)
    gaps = [rows for rows in groups if rows[0]["verdict"] == "gap"]
    held = _held(groups)
    if not held:
        return ""
    if not gaps:
        new = sum(found["verdict"] == "gap" for rows in groups if (found := _spokesman(rows)) is not None)
        shown = "none is" if not new else "1 is" if new == 1 else f"{count(new)} are"
        return f"As measured no subgroup gap is shown; with {held} made equal, {shown}."
    chosen = [(rows[0], found) for rows in gaps if (found := _spokesman(rows)) is not None]
    still = sum(_is_still_shown(measured, found) for measured, found in chosen)
    if len(gaps) == 1:
        verdict = "is still shown" if still else "is no longer shown, which is not evidence that it is gone"
        return f"With {held} made equal, the gap {verdict}."
    if still == len(gaps):
        return f"With {held} made equal, all {count(still)} subgroup gaps are still shown."
    others = "The others are no longer shown, which is not evidence that they are gone."
    return f"With {held} made equal, {count(still)} of {count(len(gaps))} subgroup gaps are still shown. {others}"


def _held(groups: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """What is made equal in any comparison, in words."""
    names = [name for rows in groups if (found := _spokesman(rows)) is not None for name in _held_names(found)]
    return listed(list(dict.fromkeys(names)))


def _held_names(row: Mapping[str, Any]) -> list[str]:
    parts = str(row["held_equal"]).replace(" x ", ", ").split(", ")
    return [part for part in parts if part and part != "class"]


def _spokesman(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The row of the first way that has an estimate."""
    found = {str(row["adjustment"]): row for row in rows if is_number(row["estimate"])}
    return next((found[name] for name in SPOKESMEN if name in found), None)


def _is_still_shown(measured: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return row["verdict"] == "gap" and float(row["estimate"]) * float(measured["estimate"]) > 0


def _comparison(rows: Sequence[dict[str, Any]], axis: Axis, names: Sequence[str]) -> Comparison:
    first = rows[0]
    train, test, other = (isolated(first[name]) for name in ("train_cohort", "test_group", "other"))
    ways = tuple(_way(row, axis) for row in rows)
    return Comparison(
        label=f"Trained on {train}: {test} − {other}",
        context=" · ".join(str(first[name]) for name in names),
        sentences=comparison_sentences(rows),
        ways=ways,
        measured_at=ways[0].at,
    )


def _way(row: dict[str, Any], axis: Axis) -> Way:
    def place(name: str) -> float | None:
        return axis.place(row[name]) if is_number(row[name]) else None

    ends = [float(row[name]) for name in ("low", "high") if is_number(row[name])]
    label, note = way_words(row)
    return Way(
        row=row,
        label=label,
        note=note,
        verdict_key=verdict_key(str(row["verdict"])),
        at=place("estimate"),
        low_at=place("low"),
        high_at=place("high"),
        bootstrap_low_at=place("bootstrap_low"),
        bootstrap_high_at=place("bootstrap_high"),
        is_cut=any(end < axis.low or end > axis.high for end in ends),
        is_off_scale=any(axis.cuts(row["estimate"], row["estimate"])),
    )


def way_words(row: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a way, and in a few words what it does."""
    name, held = str(row["adjustment"]), str(row["held_equal"])
    words = {
        MEASURED: ("As measured", "each group with its own mix"),
        MATCHED: ("Same mix", f"both groups re-weighted to one mix of {held}" if held else ""),
        WEIGHTED: ("Inverse-probability weighted", f"{held} alike within each class" if held else ""),
        REGRESSION: ("Adjusted by regression", f"of each positive's placement on {held}" if held else ""),
        XAUC: ("Across groups (xAUC)", "another question: positives of one against negatives of the other"),
    }
    if name in words:
        return words[name]
    return name[:1].upper() + name[1:], "pairs of the same kind only"


def comparison_sentences(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What changed when the mix was made equal, never more than the intervals say."""
    measured, found = rows[0], _spokesman(rows)
    if not is_number(measured["estimate"]):
        return (f"The gap could not be measured: {measured['reason']}.",)
    if found is None:
        reasons = [str(row["reason"]) for row in rows[1:] if str(row["adjustment"]) != XAUC and row["reason"]]
        return (f"It could not be asked at an equal mix: {reasons[0]}.",) if reasons else ()
    parts = (_what_changed(measured, found), _agreement(measured, rows), _left_out(found), _crossing(rows))
    return tuple(part for part in parts if part)


def _what_changed(measured: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    held = listed(_held_names(found))
    moved = f"from {signed(measured['estimate'])} to {signed(found['estimate'])}"
    if measured["verdict"] != "gap":
        before = UNSHOWN.get(str(measured["verdict"]), f"As measured: {measured['verdict']}.")
        return f"{before} With {held} made equal the difference goes {moved}: {found['verdict']}."
    movement = _movement(measured, found, moved, held)
    return f"With {held} made equal the gap {movement} {_what_is_left(measured, found)}".rstrip()


def _movement(measured: Mapping[str, Any], found: Mapping[str, Any], moved: str, held: str) -> str:
    """Which way the gap moves, and what the interval of the change lets be said of it."""
    before, after = float(measured["estimate"]), float(found["estimate"])
    low, high = float(found["change_low"]), float(found["change_high"])
    limits = interval(low, high, with_signs=True)
    explain = "explains" if len(_held_names(found)) == 1 else "explain"
    if low > 0 or high < 0:
        if before * after < 0:
            return f"turns {moved} (change {limits}): {held} {explain} more than all of it."
        if abs(after) < abs(before):
            return f"shrinks {moved} (change {limits}): {held} {explain} part of it."
        return f"grows {moved} (change {limits}): {held} hid part of it."
    furthest = max(abs(low), abs(high))
    is_little = furthest < float(measured["margin"]) and furthest < abs(before) / 2
    unknown = f"these data cannot tell how much of it {held} {explain}"
    said = f"{held} {explain} little of it" if is_little else unknown
    return f"goes {moved} (change {limits}, which includes zero): {said}."


def _what_is_left(measured: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if _is_still_shown(measured, found):
        return "A gap is still shown."
    left = {
        "gap": "A gap is shown the other way round.",
        "no gap beyond the margin": "What is left is shown to be smaller than the margin.",
        "inconclusive": "The interval of what is left includes zero, which is not evidence of none.",
    }
    return left.get(str(found["verdict"]), "")


def _agreement(measured: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    ways = [row for row in rows[1:] if str(row["adjustment"]) != XAUC and is_number(row["estimate"])]
    if len(ways) < 2 or measured["verdict"] != "gap":
        return ""
    still = sum(_is_still_shown(measured, row) for row in ways)
    if still == len(ways):
        return f"All {len(ways)} ways of making the mix equal show it."
    return f"{still} of {len(ways)} ways of making the mix equal show it."


def _left_out(found: Mapping[str, Any]) -> str:
    left, kept = round(float(found["n_left_out"])), round(float(found["n_images"]))
    if not left:
        return ""
    images = plural(left + kept, "image")
    return f"{count(left)} of {images} are left out there: one group has too few persons of their kind."


def _crossing(rows: Sequence[Mapping[str, Any]]) -> str:
    found = next((row for row in rows if str(row["adjustment"]) == XAUC and is_number(row["estimate"])), None)
    if found is None or not (float(found["low"]) > 0 or float(found["high"]) < 0):
        return ""
    first, second = isolated(found["test_group"]), isolated(found["other"])
    if float(found["estimate"]) < 0:
        first, second = second, first
    size = signed(abs(float(found["estimate"])))
    return (
        f"Across groups, positives of {first} outrank negatives of {second} more often than the reverse "
        f"({size}): the scores of {first} lie higher, which no AUC within a group shows."
    )


def reading_of_way(comparison: Comparison, way: Way) -> str:
    """Everything about one row in a line, for those who hear the page instead of seeing it."""
    limits = interval(way.row["low"], way.row["high"], with_signs=True)
    return (
        f"{comparison.label}. {way.label}: {signed(way.row['estimate'])}, interval {limits}: {way.row['verdict']}."
    )
