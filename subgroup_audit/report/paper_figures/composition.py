"""AUC by the share of a group in training, as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.composition import COLOURS, Composition, Curve
from subgroup_audit.report.paper_figures.style import Layout, new_figure, short


def composition_figure(found: Composition, layout: Layout) -> Any:
    """The paper's figure: a panel per model and recipe, a curve with its band per test group."""
    figure = new_figure(3.6 * len(found.panels) + 0.4, 3.2)
    grid = figure.subplots(1, len(found.panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, found.panels, strict=True):
        for place, curve in enumerate(panel.curves):
            _draw_curve(axes, curve, place)
        axes.set_xlim(-0.03, 1.03)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.set_title(short(f"{panel.model} ({panel.recipe})", 44), fontsize=8)
        axes.legend(frameon=False, fontsize=6.5, loc="best")
    grid[0].set_ylabel(f"AUC, {100 * found.confidence_level:g} % interval")
    figure.supxlabel(short(found.axis_words, 60), fontsize=8)
    return figure


def _draw_curve(axes: Any, curve: Curve, place: int) -> None:
    colour, dash = COLOURS[place % len(COLOURS)], ("-", "--", ":", "-.")[place % 4]
    axes.fill_between(curve.shares, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    label = f"tested on {short(curve.test_group, 24)}"
    axes.plot(
        curve.shares, curve.estimates, dash, marker="o", color=colour, linewidth=1.4, markersize=4, label=label
    )
    if curve.published:
        shares, values = zip(*curve.published, strict=True)
        text = f"{short(curve.test_group, 24)}, reported"
        axes.plot(shares, values, "D", color=colour, markerfacecolor="none", linestyle="none", label=text)
