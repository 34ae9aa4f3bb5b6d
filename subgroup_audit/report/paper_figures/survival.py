"""Gaps as measured and at an equal mix, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.numerals import interval, signed
from subgroup_audit.report.paper_figures.rows import (
    interval_mark,
    label_rows,
    margin_band,
    margin_words,
    mark_line,
    rest_words,
    row_height,
    say,
    verdict_legend,
)
from subgroup_audit.report.paper_figures.style import Layout, row_name, short
from subgroup_audit.report.sentences import VERDICT_WORDS, level_words
from subgroup_audit.report.survival import Comparison, Survival, Way

MAX_COMPARISONS = 6
# The height of a panel's title and gap, and of scale and legend, mm.
TITLE, AROUND = 7.0, 23.0


def survival_figure(found: Survival, layout: Layout) -> Any:
    """Gaps as measured and at an equal mix: a panel for each of the most important comparisons that fit a page."""
    chosen = that_fit(found, layout)
    heights = [TITLE + row_height(layout) * len(comparison.ways) for comparison in chosen]
    figure = layout.figure(AROUND + sum(heights))
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, comparison in zip(panels, chosen, strict=True):
        _survival_panel(axes, comparison, found, layout)
    words = margin_words(level_words(chosen[0].ways[0].row), found.margin, layout)
    rest = rest_words(len(found.comparisons), len(chosen), "case_mix", "comparison")
    panels[-1].set_xlabel("\n".join(filter(None, [f"{words}; dashed: as measured", rest])), loc="left")
    keys = [way.verdict_key for comparison in chosen for way in comparison.ways if way.at is not None]
    verdict_legend(figure, layout, {VERDICT_WORDS[key]: (key, False) for key in keys})
    return figure


def that_fit(found: Survival, layout: Layout) -> list[Comparison]:
    """The first comparisons, at least one, that a page holds."""
    left, chosen = layout.height - AROUND, list[Comparison]()
    for comparison in found.comparisons[:MAX_COMPARISONS]:
        left -= TITLE + row_height(layout) * len(comparison.ways)
        if left < 0 and chosen:
            break
        chosen.append(comparison)
    return chosen


def _survival_panel(axes: Any, comparison: Comparison, found: Survival, layout: Layout) -> None:
    axes.set_xlim(found.axis.low, found.axis.high)
    margin_band(axes, layout, found.margin, len(comparison.ways))
    if comparison.measured_at is not None:
        mark_line(axes, layout, comparison.ways[0].row["estimate"], len(comparison.ways), "--")
    label_rows(axes, layout, [way.label for way in comparison.ways])
    for y, way in enumerate(comparison.ways):
        _way_row(axes, layout, way, y)
    name = short(row_name(comparison.label, comparison.context), layout.letters(0.9 * layout.width))
    axes.set_title(name, loc="left", fontweight="bold", fontsize=layout.small)


def _way_row(axes: Any, layout: Layout, way: Way, y: int) -> None:
    row = way.row
    if way.at is None:
        say(axes, layout, y, "not estimable")
        return
    interval_mark(axes, row, way.verdict_key, y)
    say(axes, layout, y, f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)})")
