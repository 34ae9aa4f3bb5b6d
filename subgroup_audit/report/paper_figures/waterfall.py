"""The gap waterfall as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.numerals import decimal, is_number, signed
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.rows import label_rows, rest_words, say
from subgroup_audit.report.paper_figures.style import SOFT, TRAIN, VAL, Layout, short
from subgroup_audit.report.sentences import level_words
from subgroup_audit.report.waterfall import Stage, Waterfall, WaterfallPanel, Waterfalls


def waterfall_figure(panel: WaterfallPanel, found: Waterfalls, layout: Layout) -> Any:
    """The gap waterfall, a panel per training cohort: filled bars fall, hollow ones rise."""
    most = max(len(waterfall.stages) for waterfall in panel.waterfalls)
    figure, panels, inner = panel_grid(len(panel.waterfalls), most, layout)
    for axes, waterfall in zip(panels, panel.waterfalls, strict=False):
        axes.set_xlim(found.axis.low, found.axis.high)
        _one_waterfall(axes, waterfall, inner)
    level = level_words({"confidence_level": found.confidence_level})
    rest = rest_words(len(panel.waterfalls), len(panels), "waterfall", "training cohort")
    figure.suptitle(short(panel.name, inner.letters(0.9 * inner.width)) + (f"\n{rest}" if rest else ""))
    figure.supxlabel(
        f"AUC, {level} interval. Squares: training images, a description.\n"
        "Filled bar: fall, hollow: rise; *: the interval of the step leaves out zero",
        fontsize=layout.small,
    )
    return figure


def _one_waterfall(axes: Any, waterfall: Waterfall, layout: Layout) -> None:
    for y, stage in enumerate(waterfall.stages):
        _stage_row(axes, layout, stage, y)
    label_rows(axes, layout, [f"↳ {s.label}" if s.is_branch else s.label for s in waterfall.stages])
    title = short(f"Trained on {waterfall.train_cohort}", layout.letters(0.9 * layout.width))
    axes.set_title(title, loc="left", fontweight="bold", fontsize=layout.small)


def _stage_row(axes: Any, layout: Layout, stage: Stage, y: int) -> None:
    row = stage.row
    if stage.at is None:
        say(axes, layout, y, "not estimable")
        return
    text = decimal(row["auc"])
    if stage.from_at is not None:
        before, change = row["auc"] - row["change"], row["change"]
        face = "#aab0b8" if stage.direction == "fall" else "none"
        axes.barh(y, change, left=before, height=0.36, facecolor=face, edgecolor=SOFT, linewidth=0.7)
        text += f" ({signed(change)}{'*' if stage.is_told else ''})"
    colour, shape = (TRAIN, "s") if stage.is_on_training_images else (VAL, "o")
    level_mark(axes, row, y, colour, shape)
    say(axes, layout, y, text)


def level_mark(axes: Any, row: dict[str, Any], y: float, colour: str, shape: str, face: str | None = None) -> None:
    """An AUC with its interval."""
    if is_number(row["auc_low"]) and is_number(row["auc_high"]):
        axes.plot([row["auc_low"], row["auc_high"]], [y, y], color=colour, linewidth=1.2, clip_on=True)
    axes.plot([row["auc"]], [y], shape, color=colour, markerfacecolor=face or colour, markersize=4)
