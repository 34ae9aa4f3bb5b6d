"""Static figures of what the features tell and of where the networks look."""

from __future__ import annotations

from typing import Any

import pandas as pd

from subgroup_audit.report.contents import HeatMaps, distinct
from subgroup_audit.report.encoding import SOURCES, ProbeLine, Probes
from subgroup_audit.report.paper_figures.style import INK, SOFT, TRAIN, VAL, Layout, new_figure, short
from subgroup_audit.report.saliency import most_heat, panel_cells, times_even
from subgroup_audit.study import Study

MARKS = {"model": ("s", INK), "fitted": ("o", VAL), "untrained": ("D", TRAIN), "shuffled": ("x", SOFT)}
MAX_BLOCKS = 9
MAX_COLUMNS = 12


def probes_figure(found: Probes, layout: Layout) -> Any:
    """Probes by training cohort: a row per question, a mark per source with its interval."""
    blocks = found.blocks[:MAX_BLOCKS]
    heights = [len(block.lines) + 1 for block in blocks]
    figure = new_figure(6.8, 0.9 + 0.3 * sum(heights))
    panels = figure.subplots(len(blocks), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, block in zip(panels, blocks, strict=True):
        axes.axvline(0.5, color=SOFT, linewidth=0.8)
        for y, line in enumerate(block.lines):
            _probe_line(axes, line, y)
        axes.set(xlim=(found.axis.low, found.axis.high), ylim=(len(block.lines) - 0.4, -0.6))
        axes.set_yticks(range(len(block.lines)), [short(line.label, 44) for line in block.lines])
        axes.set_title(short(f"Trained on {block.train_cohort} {block.context}", 90), fontsize=8, loc="left")
        axes.tick_params(axis="y", length=0)
    panels[-1].set_xlabel("AUC on test persons")
    figure.legend(handles=_handles(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def _probe_line(axes: Any, line: ProbeLine, y: int) -> None:
    """The marks of one question below each other, so that no interval hides another."""
    for place, mark in enumerate(line.marks):
        shape, colour = MARKS[mark.source]
        row, at = mark.row, y + 0.26 * (place - (len(line.marks) - 1) / 2)
        if mark.low_at is not None and mark.high_at is not None:
            axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=1.1)
        axes.plot([row["auc"]], [at], shape, color=colour, markersize=4, clip_on=False)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker=shape, color=colour, label=SOURCES[source])
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
    figure = new_figure(1.2 + 1.25 * len(columns), 0.8 + 1.4 * len(cohorts))
    grid = figure.subplots(len(cohorts), len(columns), squeeze=False)
    drawn = None
    for i, cohort in enumerate(cohorts):
        for j, (group, label) in enumerate(columns):
            cell = rows[
                (rows["train_cohort"] == cohort) & (rows["test_group"] == group) & (rows["label"] == label)
            ]
            drawn = _heat_cell(grid[i][j], found, cell, most) or drawn
            if i == 0:
                grid[i][j].set_title(f"{short(group, 16)}\n{label}", fontsize=7.5)
            if j == 0:
                grid[i][j].set_ylabel(f"trained on\n{short(cohort, 16)}", fontsize=7.5)
    if drawn is not None:
        figure.colorbar(drawn, ax=grid.ravel().tolist(), label="heat, times an even spread", shrink=0.7)
    return figure


def _heat_cell(axes: Any, found: HeatMaps, cell: pd.DataFrame, most: float) -> Any:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if cell.empty or int(cell["place"].iloc[0]) < 0:
        axes.text(0.5, 0.5, "not\navailable", ha="center", va="center", fontsize=7, transform=axes.transAxes)
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
