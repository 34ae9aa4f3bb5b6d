"""Fits with one thing changed, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.controls import Block, ControlFigure, ControlPart, Dot
from subgroup_audit.report.numerals import interval, is_number, signed
from subgroup_audit.report.paper_figures.matrix import NAMES, NARROWEST, ONE_LINE, draw_grid, draw_words
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.rows import label_rows, mark_line, rest_words, say
from subgroup_audit.report.paper_figures.style import INK, VAL, Layout, head, short, wrapped
from subgroup_audit.report.paper_figures.waterfall import level_mark


def dots_figure(part: ControlPart, figure: ControlFigure, layout: Layout) -> Any:
    """A control's AUC, a panel per training cohort; filled: the study's own fits."""
    blocks = part.blocks
    drawing, panels, inner = panel_grid(len(blocks), max(len(block.dots) for block in blocks), layout)
    for axes, block in zip(panels, blocks, strict=False):
        axes.set_xlim(figure.axis.low, figure.axis.high)
        _dot_panel(axes, block, figure, inner)
    rest = rest_words(len(blocks), len(panels), "controls", "training cohort")
    title = short(f"{figure.title}: {part.finding}", inner.letters(0.9 * inner.width))
    drawing.suptitle(title + (f"\n{rest}" if rest else ""))
    drawing.supxlabel(wrapped(figure.caption, layout, 0.9 * inner.width), fontsize=layout.small)
    return drawing


def _dot_panel(axes: Any, block: Block, figure: ControlFigure, layout: Layout) -> None:
    if figure.chance_at is not None:
        mark_line(axes, layout, 0.5, len(block.dots))
    for y, dot in enumerate(block.dots):
        _dot_row(axes, layout, dot, y)
    label_rows(axes, layout, [dot.label for dot in block.dots])
    title = short(f"Trained on {block.train_cohort}", layout.letters(0.9 * layout.width))
    axes.set_title(title, loc="left", fontweight="bold", fontsize=layout.small)


def _dot_row(axes: Any, layout: Layout, dot: Dot, y: int) -> None:
    if dot.at is None:
        say(axes, layout, y, "not estimable")
        return
    level_mark(axes, dot.row, y, VAL, "o", VAL if dot.is_usual else "white")
    say(axes, layout, y, dot.text)


def inflation_figure(part: ControlPart, figure: ControlFigure, layout: Layout) -> Any:
    """What a split by image adds to the AUC of every cell; framed: trained and tested on the same group."""
    columns = max(1, len(part.groups))
    if (layout.width - NAMES) / columns < NARROWEST:
        layout = layout.widened()
    width = (layout.width - NAMES) / columns
    is_tall = width < ONE_LINE
    drawing = layout.figure(24 + (12 if is_tall else 8) * len(part.cells))
    axes = drawing.add_subplot()
    draw_grid(axes, layout, tuple(train for train, _ in part.cells), part.groups, width)
    for i, (_, cells) in enumerate(part.cells):
        for j, cell in enumerate(cells):
            draw_words(axes, layout, _inflation_lines(cell.row, is_tall=is_tall), i, j)
            if cell.is_same:
                frame = {"facecolor": "none", "edgecolor": INK, "linewidth": 1.0}
                axes.barh(i, 0.94, left=j - 0.47, height=0.9, **frame)
    title = short(f"{figure.title}: {part.finding}", layout.letters(0.8 * layout.width))
    head(drawing, layout, f"{title}\nAUC, split by image minus split by person")
    return drawing


def _inflation_lines(row: dict[str, Any], *, is_tall: bool) -> list[str]:
    if not row or not is_number(row["change"]):
        return ["not", "estimable" if row else "measured"]
    limits = [f"{signed(row['low'])} to", signed(row["high"])]
    whole = [interval(row["low"], row["high"], with_signs=True)]
    return [signed(row["change"]), *(limits if is_tall else whole)]
