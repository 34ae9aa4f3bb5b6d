"""Gaps with their margin, and train against test, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.gaps import Dumbbell, Forest, GapRow
from subgroup_audit.report.numerals import interval, is_number, plural, signed
from subgroup_audit.report.paper_figures.rows import (
    interval_mark,
    label_rows,
    margin_band,
    margin_words,
    mark_line,
    rest_words,
    row_height,
    rows_that_fit,
    say,
    verdict_legend,
)
from subgroup_audit.report.paper_figures.style import INK, SOFT, TRAIN, VAL, Layout, row_name
from subgroup_audit.report.sentences import AWAY, KIND_NAMES, VERDICT_WORDS, level_words

# The height of a title, a scale with two lines of words, and a legend, mm.
AROUND = 27.0


def forest_figure(gaps: Forest, layout: Layout) -> Any:
    """The gaps of one kind with their intervals and the margin band; the mark is the verdict."""
    rows = gaps.rows[: rows_that_fit(layout, AROUND)]
    figure = layout.figure(AROUND + row_height(layout) * len(rows))
    axes = figure.add_subplot()
    axes.set_xlim(gaps.axis.low, gaps.axis.high)
    margin_band(axes, layout, gaps.margin, len(rows))
    label_rows(axes, layout, [row_name(gap.label, gap.context) for gap in rows])
    for y, gap in enumerate(rows):
        _gap_row(axes, layout, gap, y)
    axes.set_xlabel(margin_words(level_words(rows[0].row), gaps.margin, layout), loc="left")
    rest = rest_words(gaps.total, len(rows), "gaps")
    title = KIND_NAMES.get(gaps.kind, gaps.kind)
    axes.set_title(f"{title} ({rest})" if rest else title, loc="left")
    verdict_legend(figure, layout, {_verdict(gap): (gap.verdict_key, gap.is_corrected_away) for gap in rows})
    return figure


def _verdict(gap: GapRow) -> str:
    return VERDICT_WORDS[gap.verdict_key] + (AWAY if gap.is_corrected_away else "")


def _gap_row(axes: Any, layout: Layout, gap: GapRow, y: int) -> None:
    row = gap.row
    if gap.at is None:
        say(axes, layout, y, "not estimable")
        return
    numbers = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)})"
    persons = f", {plural(row['n_patients'], 'person')}" if layout.is_wide else ""
    interval_mark(axes, row, gap.verdict_key, y, is_away=gap.is_corrected_away)
    say(axes, layout, y, numbers + persons)


def dumbbell_figure(pairs: Dumbbell, layout: Layout) -> Any:
    """Train and test AUC of the same fits, joined; published figures as open triangles."""
    rows = pairs.rows[: rows_that_fit(layout, AROUND)]
    figure = layout.figure(AROUND + row_height(layout) * len(rows))
    axes = figure.add_subplot()
    axes.set_xlim(pairs.axis.low, pairs.axis.high)
    mark_line(axes, layout, 0.5, len(rows))
    label_rows(axes, layout, [row_name(pair.label, pair.context) for pair in rows])
    for y, pair in enumerate(rows):
        _pair_row(axes, layout, pair.row, y)
        for reference, _ in pair.references:
            shape = "^" if reference.split == "train" else "v"
            axes.plot([reference.value], [y + 0.25], shape, color=INK, markerfacecolor="none", markersize=3.5)
    axes.set_xlabel("AUC; the gap of each row stands at its right (descriptive)", loc="left")
    rest = rest_words(pairs.total, len(rows), "gaps")
    axes.set_title(f"Train/test gap ({rest})" if rest else "Train/test gap", loc="left")
    has_published = any(pair.references for pair in rows)
    figure.legend(
        handles=_pair_handles(has_published=has_published),
        loc="outside lower left",
        ncols=4 if layout.is_wide else 2,
        frameon=False,
        handletextpad=0.2,
    )
    return figure


def _pair_row(axes: Any, layout: Layout, row: dict[str, Any], y: int) -> None:
    train, test = row["minuend_estimate"], row["subtrahend_estimate"]
    if is_number(train) and is_number(test):
        axes.plot([test, train], [y, y], color=SOFT, linewidth=1.2, zorder=1)
    axes.plot([train], [y], "s", color=TRAIN, markersize=4, zorder=2)
    axes.plot([test], [y], "o", color=VAL, markersize=4, zorder=2)
    numbers = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)})"
    say(axes, layout, y, numbers if is_number(row["estimate"]) else "not estimable")


def _pair_handles(*, has_published: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    plain: dict[str, Any] = {"linestyle": "none", "markersize": 4}
    handles = [
        Line2D([], [], marker="s", color=TRAIN, label="training images", **plain),
        Line2D([], [], marker="o", color=VAL, label="test persons", **plain),
    ]
    open_mark: dict[str, Any] = {**plain, "color": INK, "markerfacecolor": "none"}
    if has_published:
        handles.append(Line2D([], [], marker="^", label="reported, training", **open_mark))
        handles.append(Line2D([], [], marker="v", label="reported, test", **open_mark))
    return handles
