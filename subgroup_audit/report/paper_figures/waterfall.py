"""The gap waterfall as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.numerals import decimal, is_number, signed
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.style import INK, SOFT, TRAIN, VAL, Layout, short
from subgroup_audit.report.sentences import level_words
from subgroup_audit.report.waterfall import Stage, WaterfallPanel, Waterfalls


def waterfall_figure(panel: WaterfallPanel, found: Waterfalls, layout: Layout) -> Any:
    """The gap waterfall, a panel per training cohort: filled bars fall, hollow ones rise."""
    height = 0.5 + 0.25 * max(len(waterfall.stages) for waterfall in panel.waterfalls)
    figure, panels = panel_grid(len(panel.waterfalls), height)
    for axes, waterfall in zip(panels, panel.waterfalls, strict=True):
        for y, stage in enumerate(waterfall.stages):
            _stage_row(axes, stage, y)
        axes.set(xlim=(found.axis.low, found.axis.high), ylim=(len(waterfall.stages) - 0.4, -0.6))
        labels = [short(f"  {stage.label}" if stage.is_branch else stage.label, 28) for stage in waterfall.stages]
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        axes.set_title(short(f"Trained on {waterfall.train_cohort}", 40), fontsize=8, loc="left")
        axes.tick_params(axis="y", length=0)
    level = level_words({"confidence_level": found.confidence_level})
    figure.suptitle(short(panel.name, 100), fontsize=8.5)
    figure.supxlabel(
        f"AUC with {level} interval; squares: training images, a description. Filled: fall, hollow: rise; "
        "*: the interval of the step leaves out zero",
        fontsize=7,
    )
    return figure


def _stage_row(axes: Any, stage: Stage, y: int) -> None:
    row = stage.row
    if stage.at is None:
        axes.text(1.05, y, "not estimable", transform=axes.get_yaxis_transform(), va="center", fontsize=6.5)
        return
    text = decimal(row["auc"])
    if stage.from_at is not None:
        before, change = row["auc"] - row["change"], row["change"]
        face = "#aab0b8" if stage.direction == "fall" else "none"
        axes.barh(y, change, left=before, height=0.5, facecolor=face, edgecolor=SOFT, linewidth=0.8)
        axes.plot([before, before], [y - 1, y], color=SOFT, linewidth=0.7, linestyle=":")
        text += f" ({signed(change)}{'*' if stage.is_told else ''})"
    colour, shape = (TRAIN, "s") if stage.is_on_training_images else (VAL, "o")
    _level_mark(axes, row, y, colour, shape)
    axes.text(1.05, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=INK)


def _level_mark(axes: Any, row: dict[str, Any], y: int, colour: str, shape: str) -> None:
    if is_number(row["auc_low"]) and is_number(row["auc_high"]):
        axes.plot([row["auc_low"], row["auc_high"]], [y, y], color=colour, linewidth=1.3, clip_on=True)
    axes.plot([row["auc"]], [y], shape, color=colour, markersize=4.5)
