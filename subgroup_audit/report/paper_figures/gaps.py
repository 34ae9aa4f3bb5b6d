"""Gaps with their margin, and train against test, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.gaps import Dumbbell, Forest, GapRow
from subgroup_audit.report.numerals import decimal, interval, is_number, signed
from subgroup_audit.report.paper_figures.style import (
    BAND,
    COLOURS,
    INK,
    MARKERS,
    SOFT,
    TRAIN,
    VAL,
    Layout,
    new_figure,
    row_name,
    short,
)
from subgroup_audit.report.sentences import AWAY, KIND_NAMES, VERDICT_WORDS, level_words

MAX_ROWS = 40


def forest_figure(gaps: Forest, layout: Layout) -> Any:
    """The gaps of one kind with their intervals and the margin band; verdict by marker and in words."""
    rows = gaps.rows[:MAX_ROWS]
    figure = new_figure(8.6, 0.9 + 0.24 * len(rows))
    axes = figure.add_subplot()
    axes.axvspan(-gaps.margin, gaps.margin, color=BAND, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    for y, gap in enumerate(rows):
        _forest_row(axes, gap, y)
    axes.set(xlim=(gaps.axis.low, gaps.axis.high), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), [short(row_name(gap.label, gap.context), 60) for gap in rows])
    level = level_words(rows[0].row)
    axes.set_xlabel(
        f"Difference of AUC, first minus second, {level} interval (band: margin ±{decimal(gaps.margin, 2)})"
    )
    axes.set_title(KIND_NAMES.get(gaps.kind, gaps.kind), fontsize=9, loc="left")
    axes.tick_params(axis="y", length=0)
    return figure


def _forest_row(axes: Any, gap: GapRow, y: int) -> None:
    row, key = gap.row, gap.verdict_key
    text = VERDICT_WORDS[key]
    if gap.at is not None:
        numbers = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)})"
        away = AWAY if gap.is_corrected_away else ""
        text = f"{numbers}, {row['n_patients']} persons: {text}{away}"
        interval_mark(axes, row, key, y, has_limits=gap.low_at is not None and gap.high_at is not None)
    place = axes.get_yaxis_transform()
    axes.text(1.02, y, text, transform=place, va="center", fontsize=6.5, color=INK)


def interval_mark(axes: Any, row: dict[str, Any], key: str, y: int, *, has_limits: bool) -> None:
    """The line from limit to limit and the verdict's mark at the estimate."""
    colour = COLOURS[key]
    if has_limits:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.6, clip_on=True)
    face = colour if key in {"gap", "equal"} else "white"
    style = {} if MARKERS[key] == "x" else {"markerfacecolor": face}
    axes.plot([row["estimate"]], [y], MARKERS[key], color=colour, markersize=5, **style)


def dumbbell_figure(pairs: Dumbbell, layout: Layout) -> Any:
    """Train and test AUC of the same fits, joined; published figures as open triangles."""
    rows = pairs.rows[:MAX_ROWS]
    figure = new_figure(6.6, 1.1 + 0.26 * len(rows))
    axes = figure.add_subplot()
    axes.axvline(0.5, color=SOFT, linewidth=0.8)
    for y, pair in enumerate(rows):
        train, test = pair.row["minuend_estimate"], pair.row["subtrahend_estimate"]
        if is_number(train) and is_number(test):
            axes.plot([test, train], [y, y], color=SOFT, linewidth=1.6, zorder=1)
        for reference, _ in pair.references:
            shape = "^" if reference.split == "train" else "v"
            axes.plot([reference.value], [y + 0.3], shape, color=INK, markerfacecolor="none", markersize=4)
    places = range(len(rows))
    trains = [pair.row["minuend_estimate"] for pair in rows]
    axes.scatter(trains, places, marker="s", s=28, color=TRAIN, label="training images", zorder=2)
    tests = [pair.row["subtrahend_estimate"] for pair in rows]
    axes.scatter(tests, places, marker="o", s=28, color=VAL, label="test persons", zorder=2)
    axes.set(xlim=(pairs.axis.low, pairs.axis.high), ylim=(len(rows) - 0.4, -0.6), xlabel="AUC (descriptive)")
    axes.set_yticks(places, [short(row_name(pair.label, pair.context), 60) for pair in rows])
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    return figure
