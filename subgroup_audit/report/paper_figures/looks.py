"""Static figures of what the features tell and of where the networks look."""

from __future__ import annotations

from typing import Any

import pandas as pd

from subgroup_audit.report.contents import HeatMaps, distinct
from subgroup_audit.report.encoding import SOURCES, ProbeLine, Probes
from subgroup_audit.report.paper_figures.rows import label_rows, mark_line
from subgroup_audit.report.paper_figures.style import INK, SOFT, TRAIN, VAL, Layout, short
from subgroup_audit.report.saliency import most_heat, panel_cells, times_even
from subgroup_audit.study import Study

MARKS = {"model": ("s", INK), "fitted": ("o", VAL), "untrained": ("D", TRAIN), "shuffled": ("x", SOFT)}
MAX_BLOCKS = 9
MAX_COLUMNS = 12
SMALLEST = 18.0


def probes_figure(found: Probes, layout: Layout) -> Any:
    """Probes by training cohort: a row per question, a mark per source with its interval."""
    blocks = found.blocks[:MAX_BLOCKS]
    pitch = 5.0 if layout.is_wide else 8.0
    heights = [6 + pitch * len(block.lines) for block in blocks]
    figure = layout.figure(20 + sum(heights))
    panels = figure.subplots(len(blocks), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, block in zip(panels, blocks, strict=True):
        mark_line(axes, layout, 0.5, len(block.lines))
        axes.set_xlim(found.axis.low, found.axis.high)
        for y, line in enumerate(block.lines):
            _probe_line(axes, line, y, 0.26 if layout.is_wide else 0.14)
        label_rows(axes, layout, [line.label for line in block.lines])
        title = short(f"Trained on {block.train_cohort} {block.context}", layout.letters(0.9 * layout.width))
        axes.set_title(title, loc="left", fontweight="bold", fontsize=layout.small)
    panels[-1].set_xlabel("AUC on test persons")
    columns = 4 if layout.is_wide else 2
    figure.legend(handles=_handles(), loc="outside lower left", ncols=columns, frameon=False, handletextpad=0.2)
    return figure


def _probe_line(axes: Any, line: ProbeLine, y: int, step: float) -> None:
    """The marks of one question below each other, so that no interval hides another."""
    for place, mark in enumerate(line.marks):
        shape, colour = MARKS[mark.source]
        row, at = mark.row, y + step * (place - (len(line.marks) - 1) / 2)
        if mark.low_at is not None and mark.high_at is not None:
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=0.9)
        axes.plot([row["auc"]], [at], shape, color=colour, markersize=3, clip_on=False)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker=shape, markersize=4, color=colour, label=SOURCES[source])
        for source, (shape, colour) in MARKS.items()
    ]


def heat_figure(
    found: HeatMaps,
    key: tuple[str, str, str],
    study: Study,
    layout: Layout,
) -> Any:
    """Mean heat maps over mean radiographs: a row per training cohort, a column per test group and label."""
    rows = panel_cells(found.cells, key)
    cohorts = distinct(rows["train_cohort"])
    columns = [(group, label) for group in study.test_cohorts for label in ("positive", "negative")][:MAX_COLUMNS]
    most = most_heat(found, rows)
    if layout.width / len(columns) < SMALLEST:
        layout = layout.widened()
    side = min(30.0, (layout.width - 24) / len(columns))
    longest = layout.letters(side)
    figure = layout.figure(14 + (side + 7) * len(cohorts))
    grid = figure.subplots(len(cohorts), len(columns), squeeze=False)
    drawn = None
    for i, cohort in enumerate(cohorts):
        for j, (group, label) in enumerate(columns):
            cell = rows[
                (rows["train_cohort"] == cohort) & (rows["test_group"] == group) & (rows["label"] == label)
            ]
            drawn = _heat_cell(grid[i][j], found, cell, most) or drawn
            if i == 0:
                grid[i][j].set_title(f"{short(group, longest)}\n{label}", fontsize=layout.small)
            if j == 0:
                grid[i][j].set_ylabel(
                    f"trained on\n{short(cohort, layout.letters(side + 5))}", fontsize=layout.small
                )
    if drawn is not None:
        figure.colorbar(drawn, ax=grid.ravel().tolist(), label="heat, times an even spread", shrink=0.7, aspect=30)
    return figure


def _heat_cell(axes: Any, found: HeatMaps, cell: pd.DataFrame, most: float) -> Any:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if cell.empty or int(cell["place"].iloc[0]) < 0:
        axes.text(0.5, 0.5, "not\navailable", ha="center", va="center", fontsize=6, transform=axes.transAxes)
        return None
    place, side = int(cell["place"].iloc[0]), found.means.shape[1]
    axes.imshow(found.means[place], cmap="gray", vmin=0, vmax=255)
    heat = times_even(found.maps[place])
    extent = (-0.5, side - 0.5, side - 0.5, -0.5)
    drawn = axes.imshow(
        heat, cmap="YlOrRd", vmin=0, vmax=most, alpha=0.85 * heat / most, extent=extent, interpolation="bilinear"
    )
    axes.set_xlabel(f"n = {int(cell['n_images'].iloc[0])}", fontsize=6.5, color=INK)
    return drawn
