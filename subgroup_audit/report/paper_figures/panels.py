"""Several panels of rows in one figure, as many beside each other as the width holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from subgroup_audit.report.paper_figures.rows import row_height
from subgroup_audit.report.paper_figures.style import Layout

# The width of a panel, and the height of its title with its scale, mm.
PANEL, TITLE = 86.0, 11.0
# The height of a figure's title and of the words below, mm.
AROUND = 18.0

T = TypeVar("T")


def in_pages(parts: Sequence[T], n_rows: int, layout: Layout) -> list[tuple[T, ...]]:
    """The parts as figures hold them, each a panel of `n_rows` rows: as few figures as it takes, evenly filled."""
    inner = replace(layout, width=PANEL)
    most_down = max(1, int((layout.height - AROUND) / (TITLE + row_height(inner) * n_rows)))
    most = most_down * (int(layout.widened().width / PANEL) if len(parts) > most_down else 1)
    n_pages = -(-len(parts) // most)
    each = -(-len(parts) // max(n_pages, 1))
    return [tuple(parts[start : start + each]) for start in range(0, len(parts), max(each, 1))]


def panel_grid(number: int, n_rows: int, layout: Layout) -> tuple[Any, list[Any], Layout]:
    """A figure, its axes, as many of `n_rows` rows as a page holds, and the layout that each has.

    Over the full width where one column would be longer than a page.
    """
    inner = replace(layout, width=PANEL)
    height = TITLE + row_height(inner) * n_rows
    most_down = max(1, int((layout.height - AROUND) / height))
    if number > most_down:
        layout = layout.widened()
    across = max(1, min(number, int(layout.width / PANEL)))
    down = min(most_down, -(-number // across))
    figure = layout.figure(AROUND + height * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True)
    used = min(number, across * down)
    for axes in grid.flat[used:]:
        axes.set_visible(False)
    for axes in grid.flat:
        axes.tick_params(labelbottom=True)
    return figure, list(grid.flat[:used]), inner
