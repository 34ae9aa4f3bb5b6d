"""The paper's learning curves: a grid where cohorts, models and recipes cross, else a tile for every fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from subgroup_audit.report.contents import distinct
from subgroup_audit.report.curves import MEASURES, CurvePanel
from subgroup_audit.report.paper_figures.style import INK, TRAIN, VAL, Layout, short

PUBLISHED = {"train": TRAIN, "val": VAL, "test": INK}
# The narrowest panel, the lowest one, a tile's width and height, and the height of the words around, mm.
NARROWEST, LOWEST, TILE, TILE_HEIGHT, AROUND = 28.0, 16.0, 34.0, 56.0, 20.0

Tile = tuple[str, str, str]


def curves_figure(panels: Sequence[CurvePanel], layout: Layout) -> Any:
    """AUC, accuracy and loss by epoch, a thin line per seed.

    A row per cohort and a column per model and measure where every cohort has every one of them and the width has
    room for them; otherwise, as in a study that lists its fits, a tile per fit, its score above its loss.
    """
    tiles = list(dict.fromkeys(_tile(panel) for panel in panels))
    n_cohorts = len(distinct(panel.train_cohort for panel in panels))
    n_kinds = len({tile[1:] for tile in tiles})
    n_columns = len({(panel.model, panel.recipe, panel.measure) for panel in panels})
    if len(tiles) < n_cohorts * n_kinds or layout.widened().width / n_columns < NARROWEST:
        return _tiled(panels, tiles, layout)
    return _crossed(panels, layout)


def _tile(panel: CurvePanel) -> Tile:
    return panel.train_cohort, panel.model, panel.recipe


def _crossed(panels: Sequence[CurvePanel], layout: Layout) -> Any:
    rows = distinct(panel.train_cohort for panel in panels)
    columns = list(dict.fromkeys((p.model, p.recipe, p.measure) for p in panels))
    if layout.width / len(columns) < NARROWEST:
        layout = layout.widened()
    height = max(LOWEST, min(26.0, (layout.height - AROUND) / len(rows)))
    figure = layout.figure(AROUND + height * len(rows))
    grid = figure.subplots(len(rows), len(columns), sharex="col", squeeze=False)
    longest = layout.letters(layout.width / len(columns) - 4)
    for panel in panels:
        i, j = rows.index(panel.train_cohort), columns.index((panel.model, panel.recipe, panel.measure))
        _draw(grid[i][j], panel, layout)
        if i == 0:
            title = f"{short(panel.model, longest)}\n{MEASURES[panel.measure]}"
            grid[i][j].set_title(title, fontsize=layout.small)
        if j == 0:
            grid[i][j].set_ylabel(short(panel.train_cohort, layout.letters(height)), fontsize=layout.small)
    _finish(figure, panels, layout)
    return figure


def _tiled(panels: Sequence[CurvePanel], tiles: Sequence[Tile], layout: Layout) -> Any:
    """A tile per fit, in rows as long as the width: the score that was published of it, or AUC, above the loss.

    Over the full width where one column would be longer than a page.
    """
    if len(tiles) > int(layout.width / TILE) * int((layout.height - AROUND) / TILE_HEIGHT):
        layout = layout.widened()
    n_columns = min(int(layout.width / TILE), len(tiles))
    n_rows = math.ceil(len(tiles) / n_columns)
    longest = layout.letters(layout.width / n_columns - 3)
    figure = layout.figure(AROUND + TILE_HEIGHT * n_rows)
    grid = figure.subplots(2 * n_rows, n_columns, squeeze=False, height_ratios=[1.3, 1.0] * n_rows)
    for axes in grid.flat:
        axes.set_visible(False)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, n_columns)
        for place, panel in enumerate(_shown([panel for panel in panels if _tile(panel) == tile])):
            axes = grid[2 * row + place][column]
            _draw(axes, panel, layout)
            axes.set_ylabel(MEASURES[panel.measure], fontsize=layout.small)
            if place == 0:
                axes.tick_params(labelbottom=False)
                axes.set_title("\n".join(short(name, longest) for name in tile), fontsize=layout.small)
    _finish(figure, panels, layout)
    return figure


def _shown(panels: Sequence[CurvePanel]) -> list[CurvePanel]:
    """One score and the loss: accuracy where that alone was published, else AUC before accuracy."""
    by_measure = {panel.measure: panel for panel in panels}
    scores = [by_measure[name] for name in ("auc", "accuracy") if name in by_measure]
    scores.sort(key=lambda panel: not panel.published)
    return [*scores[:1], *(panel for panel in panels if panel.measure == "loss")]


def _finish(figure: Any, panels: Sequence[CurvePanel], layout: Layout) -> None:
    figure.supxlabel("Epoch", fontsize=layout.font)
    handles = [_line(TRAIN, ":", "training, augmented"), _line(VAL, "-", "validation")]
    splits = distinct(found.split for panel in panels for found in panel.published)
    words = {"train": "training", "val": "validation", "test": "test"}
    handles += [_mark(PUBLISHED[split], f"reported, {words[split]}") for split in words if split in splits]
    figure.legend(handles=handles, loc="outside upper left", ncols=5 if layout.is_wide else 2, frameon=False)


def _line(colour: str, dash: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linestyle=dash, label=label)


def _mark(colour: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="<", markerfacecolor="none", linestyle="none", label=label)


def _draw(axes: Any, panel: CurvePanel, layout: Layout) -> None:
    axes.set_visible(True)
    for line in panel.lines:
        colour, dash = (TRAIN, ":") if line.phase == "train" else (VAL, "-")
        values = [float("nan") if value is None else value for value in line.measured]
        # one epoch makes no line
        axes.plot(
            line.epochs, values, color=colour, linestyle=dash, linewidth=0.9, marker="." if len(values) < 2 else ""
        )
        if line.best is not None and line.phase == "val":
            axes.plot([line.epochs[line.best]], [values[line.best]], "o", color=colour, markersize=2.5)
    for found in panel.published:
        place = {"color": PUBLISHED[found.split], "markerfacecolor": "none", "markersize": 4, "clip_on": False}
        axes.plot([panel.x_range[1]], [found.value], "<", **place)
    axes.set(xlim=panel.x_range, ylim=panel.y_range)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=layout.small)
