"""Several panels in one figure."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.paper_figures.style import new_figure


def panel_grid(number: int, height: float, columns: int = 3) -> tuple[Any, list[Any]]:
    """A figure and its axes: so many panels in rows of three, each `height` inches high."""
    across = min(columns, number)
    down = -(-number // across)
    figure = new_figure(3.7 * across, 0.5 + height * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True)
    for axes in grid.flat[number:]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, number - across) : number]:
        axes.tick_params(labelbottom=True)
    return figure, list(grid.flat[:number])
