"""Fits with one thing changed, as a paper shows them."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.controls import Block, ControlFigure, ControlPart, Dot
from subgroup_audit.report.numerals import interval, is_number, signed
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.style import INK, SOFT, VAL, Layout, new_figure, short


def dots_figure(part: ControlPart, figure: ControlFigure, layout: Layout) -> Any:
    """A control's AUC, a panel per training cohort; filled: the study's own fits."""
    blocks = part.blocks
    drawing, panels = panel_grid(len(blocks), 0.5 + 0.24 * max(len(block.dots) for block in blocks))
    for axes, block in zip(panels, blocks, strict=True):
        _dot_panel(axes, block, figure)
    drawing.suptitle(short(f"{figure.title}: {part.finding}", 100), fontsize=8.5)
    drawing.supxlabel(figure.caption, fontsize=7)
    return drawing


def _dot_panel(axes: Any, block: Block, figure: ControlFigure) -> None:
    if figure.chance_at is not None:
        axes.axvline(0.5, color=SOFT, linewidth=0.8)
    for y, dot in enumerate(block.dots):
        _dot_row(axes, dot, y)
    axes.set(xlim=(figure.axis.low, figure.axis.high), ylim=(len(block.dots) - 0.4, -0.6))
    axes.set_yticks(range(len(block.dots)), [short(dot.label, 28) for dot in block.dots], fontsize=7)
    axes.set_title(short(f"Trained on {block.train_cohort}", 40), fontsize=8, loc="left")
    axes.tick_params(axis="y", length=0)


def _dot_row(axes: Any, dot: Dot, y: int) -> None:
    low, high, auc = (dot.row[name] for name in ("auc_low", "auc_high", "auc"))
    if is_number(low) and is_number(high):
        axes.plot([low, high], [y, y], color=VAL, linewidth=1.3, clip_on=True)
    if dot.at is not None:
        face = VAL if dot.is_usual else "white"
        axes.plot([auc], [y], "o", color=VAL, markerfacecolor=face, markersize=4.5)
    text = dot.text if dot.at is not None else "not estimable"
    axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=INK)


def inflation_figure(part: ControlPart, figure: ControlFigure, layout: Layout) -> Any:
    """What a split by image adds to the AUC of every cell; framed: trained and tested on the same group."""
    rows, columns = len(part.cells), len(part.groups)
    drawing = new_figure(1.9 + 1.35 * columns, 1.0 + 0.5 * rows)
    axes = drawing.add_subplot()
    for i, (_, cells) in enumerate(part.cells):
        for j, cell in enumerate(cells):
            axes.text(j, i, _inflation_text(cell.row), ha="center", va="center", fontsize=7, color=INK)
            if cell.is_same:
                frame = {"facecolor": "none", "edgecolor": INK, "linewidth": 1.2}
                axes.barh(i, 0.94, left=j - 0.47, height=0.9, **frame)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel="Tested on", ylabel="Trained on")
    axes.set_xticks(range(columns), [short(name, 18) for name in part.groups])
    axes.set_yticks(range(rows), [short(train, 18) for train, _ in part.cells])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    title = short(f"{figure.title}: {part.finding}", 60)
    axes.set_title(f"{title}\nAUC, split by image minus split by person", fontsize=8.5)
    return drawing


def _inflation_text(row: dict[str, Any]) -> str:
    if not row or not is_number(row["change"]):
        return "not estimable" if row else "not measured"
    return f"{signed(row['change'])}\n{interval(row['low'], row['high'], with_signs=True)}"
