"""Rows of a figure: a name, a mark with its interval, and the numbers in letters.

Over the full width a row's name stands left of its mark; within one column it stands above it, since names and
numbers beside each other would leave the mark no room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from subgroup_audit.report.numerals import decimal, is_number, plural
from subgroup_audit.report.paper_figures.style import BAND, COLOURS, INK, MARKERS, SOFT, Layout, short

WIDE_NAME = 66.0
# The height of a row with its name beside it and above it, mm.
BESIDE, ABOVE = 3.7, 6.6


def row_height(layout: Layout) -> float:
    """The height of one row, mm."""
    return BESIDE if layout.is_wide else ABOVE


def rows_that_fit(layout: Layout, around: float) -> int:
    """How many rows a page holds beside so many mm of title, scale and legend."""
    return int((layout.height - around) / row_height(layout))


def label_rows(axes: Any, layout: Layout, labels: Sequence[str], name_width: float = WIDE_NAME) -> None:
    """Name the rows 0, 1, ... of the axes, and give each its room."""
    axes.tick_params(axis="y", length=0)
    if layout.is_wide:
        longest = layout.letters(name_width)
        axes.set_yticks(range(len(labels)), [short(label, longest) for label in labels])
        axes.set_ylim(len(labels) - 0.4, -0.6)
        return
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(labels) - 0.7, -0.85)
    place = axes.get_yaxis_transform()
    for y, label in enumerate(labels):
        text = short(label, layout.letters(layout.width - 4))
        axes.text(0, y - 0.27, text, transform=place, va="bottom", fontsize=layout.small, color=INK)


def say(axes: Any, layout: Layout, y: float, text: str) -> None:
    """Write a row's numbers at its right."""
    place = axes.get_yaxis_transform()
    axes.text(1.03, y, text, transform=place, va="center", fontsize=layout.small, color=INK)


def margin_band(axes: Any, layout: Layout, margin: float, n_rows: int) -> None:
    """The margin as a band around zero; it leaves out the names above the marks."""
    for bottom, top in _reaches(layout, n_rows):
        axes.fill_between([-margin, margin], bottom, top, color=BAND, linewidth=0, zorder=0)
    mark_line(axes, layout, 0.0, n_rows)


def mark_line(axes: Any, layout: Layout, at: float, n_rows: int, dash: str = "-") -> None:
    """An upright line; it leaves out the names above the marks."""
    reaches = _reaches(layout, n_rows)
    bottoms, tops = [bottom for bottom, _ in reaches], [top for _, top in reaches]
    axes.vlines([at] * len(reaches), bottoms, tops, color=SOFT, linewidth=0.6, linestyle=dash, zorder=1)


def _reaches(layout: Layout, n_rows: int) -> list[tuple[float, float]]:
    """From where to where an upright line is drawn."""
    return [(-0.6, n_rows - 0.4)] if layout.is_wide else [(y - 0.24, y + 0.24) for y in range(n_rows)]


def interval_mark(axes: Any, row: Mapping[str, Any], key: str, y: float, *, is_away: bool = False) -> None:
    """The line from limit to limit, an arrow where it leaves the scale, and the verdict's mark at the estimate."""
    low, high = axes.get_xlim()
    if is_number(row["low"]) and is_number(row["high"]):
        axes.plot([row["low"], row["high"]], [y, y], color=COLOURS[key], linewidth=1.2, clip_on=True)
        for end, is_beyond, arrow in (
            (low, row["low"] < low, "<"),
            (high, row["high"] > high, ">"),
        ):
            if is_beyond:
                axes.plot([end], [y], arrow, color=COLOURS[key], markersize=3, clip_on=False)
    axes.plot([row["estimate"]], [y], **mark_style(key, is_away=is_away))


def mark_style(key: str, *, is_away: bool = False) -> dict[str, Any]:
    """The mark of a verdict; a gap that correction takes away is hollow."""
    is_filled = key in {"gap", "equal"} and not is_away
    face = {} if MARKERS[key] == "x" else {"markerfacecolor": COLOURS[key] if is_filled else "white"}
    style = {"marker": MARKERS[key], "color": COLOURS[key], "linestyle": "none", "markersize": 4}
    return {**style, "markeredgewidth": 0.9, **face}


def verdict_legend(figure: Any, layout: Layout, shown: Mapping[str, tuple[str, bool]]) -> None:
    """What each mark means, below the figure; `shown`: words to the verdict's key and whether it is hollow."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label=words, **mark_style(key, is_away=away)) for words, (key, away) in shown.items()
    ]
    if handles:
        columns = len(handles) if layout.is_wide else 2
        figure.legend(handles=handles, loc="outside lower left", ncols=columns, frameon=False, handletextpad=0.2)


def margin_words(level: str, margin: float, layout: Layout) -> str:
    """The label of a scale of differences, on as many lines as the width needs."""
    end = " " if layout.is_wide else "\n"
    return f"Difference of AUC, first minus second,{end}with {level} interval; band: margin ±{decimal(margin, 2)}"


def rest_words(total: int, drawn: int, table: str, noun: str = "row") -> str:
    """Where the rows are that did not fit; '' where all did.

    >>> rest_words(40, 32, "gaps"), rest_words(3, 3, "gaps")
    ('32 of 40 rows; all are in tables/gaps.csv', '')
    """
    return f"{drawn} of {plural(total, noun)}; all are in tables/{table}.csv" if total > drawn else ""
