"""AUC by the share of a group in training, as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.composition import COLOURS, Composition, Curve
from subgroup_audit.report.paper_figures.style import Layout, short

# The width and height of a panel, and the height of the words around, mm.
PANEL, HEIGHT, AROUND = 84.0, 62.0, 8.0


def composition_figure(found: Composition, layout: Layout) -> Any:
    """A panel per model and recipe, a curve with its band per test group."""
    across = min(len(found.panels), int(layout.width / PANEL))
    down = -(-len(found.panels) // across)
    figure = layout.figure(AROUND + HEIGHT * down)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(found.panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, found.panels, strict=False):
        for place, curve in enumerate(panel.curves):
            _draw_curve(axes, curve, place)
        axes.set_xlim(-0.03, 1.03)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.tick_params(labelbottom=True)
        axes.set_title(short(f"{panel.model} ({panel.recipe})", layout.letters(0.8 * PANEL)), loc="left")
        axes.legend(frameon=False, loc="best")
        axes.set_ylabel(f"AUC, {100 * found.confidence_level:g} % interval")
    figure.supxlabel(short(found.axis_words, layout.letters(0.9 * layout.width)), fontsize=layout.font)
    return figure


def _draw_curve(axes: Any, curve: Curve, place: int) -> None:
    colour, dash = COLOURS[place % len(COLOURS)], ("-", "--", ":", "-.")[place % 4]
    axes.fill_between(curve.shares, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    label = f"tested on {short(curve.test_group, 24)}"
    axes.plot(
        curve.shares, curve.estimates, dash, marker="o", color=colour, linewidth=1.1, markersize=3.5, label=label
    )
    if curve.published:
        shares, values = zip(*curve.published, strict=True)
        text = f"{short(curve.test_group, 24)}, reported"
        axes.plot(shares, values, "D", color=colour, markerfacecolor="none", linestyle="none", label=text)
