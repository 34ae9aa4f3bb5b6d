"""Static figures of what the features tell."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.encoding import SOURCES, ProbeLine, Probes
from subgroup_audit.report.paper_figures.rows import label_rows, mark_line
from subgroup_audit.report.paper_figures.style import INK, SOFT, TRAIN, VAL, Layout, short

MARKS = {"model": ("s", INK), "fitted": ("o", VAL), "untrained": ("D", TRAIN), "shuffled": ("x", SOFT)}
MAX_BLOCKS = 9


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
