"""Gaps as measured and at an equal mix, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.numerals import decimal, interval, signed
from subgroup_audit.report.paper_figures.gaps import interval_mark
from subgroup_audit.report.paper_figures.style import BAND, INK, SOFT, Layout, new_figure, row_name, short
from subgroup_audit.report.sentences import VERDICT_WORDS, level_words
from subgroup_audit.report.survival import Comparison, Survival, Way

MAX_COMPARISONS = 6


def survival_figure(found: Survival, layout: Layout) -> Any:
    """Gaps as measured and at an equal mix: a panel for each of the most important comparisons."""
    chosen = found.comparisons[:MAX_COMPARISONS]
    heights = [len(comparison.ways) + 1 for comparison in chosen]
    figure = new_figure(8.6, 0.8 + 0.26 * sum(heights))
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, comparison in zip(panels, chosen, strict=True):
        _survival_panel(axes, comparison, found)
    level = level_words(chosen[0].ways[0].row)
    margin = decimal(found.margin, 2)
    panels[-1].set_xlabel(
        f"Difference of AUC, first minus second, {level} interval (band: margin ±{margin}; dashed: as measured)"
    )
    return figure


def _survival_panel(axes: Any, comparison: Comparison, found: Survival) -> None:
    axes.axvspan(-found.margin, found.margin, color=BAND, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    if comparison.measured_at is not None:
        axes.axvline(comparison.ways[0].row["estimate"], color=SOFT, linewidth=0.8, linestyle="--")
    for y, way in enumerate(comparison.ways):
        _survival_row(axes, way, y)
    axes.set(xlim=(found.axis.low, found.axis.high), ylim=(len(comparison.ways) - 0.4, -0.6))
    axes.set_yticks(range(len(comparison.ways)), [short(way.label) for way in comparison.ways])
    axes.set_title(short(row_name(comparison.label, comparison.context), 100), fontsize=8, loc="left")
    axes.tick_params(axis="y", length=0)


def _survival_row(axes: Any, way: Way, y: int) -> None:
    row, text = way.row, VERDICT_WORDS[way.verdict_key]
    if way.at is not None:
        text = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)}): {text}"
        interval_mark(axes, row, way.verdict_key, y, has_limits=way.low_at is not None)
    axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=INK)
