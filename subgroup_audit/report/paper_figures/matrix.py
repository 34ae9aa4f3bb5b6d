"""The cross-evaluation matrix as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.matrix import MACRO_MEAN, Cell, MatrixPanel
from subgroup_audit.report.numerals import count, decimal, interval
from subgroup_audit.report.paper_figures.style import INK, RULE, SOFT, Layout, head, short
from subgroup_audit.report.sentences import level_words

NAMES = 22.0
# The narrowest cell whose numbers are legible, and the narrowest that holds an interval on one line, mm.
NARROWEST, ONE_LINE = 11.0, 21.0


def matrix_figure(panel: MatrixPanel, layout: Layout) -> Any:
    """The cross-evaluation matrix as a heat map; hatched where nothing could be estimated.

    Over the full width where one column's cells would be too narrow for their numbers.
    """
    if _cell_width(panel, layout) < NARROWEST:
        layout = layout.widened()
    rows, width = len(panel.train_cohorts), _cell_width(panel, layout)
    is_tall = width < ONE_LINE
    figure = layout.figure(24 + (15 if is_tall else 11) * rows)
    axes = figure.add_subplot()
    draw_grid(axes, layout, panel.train_cohorts, panel.test_groups, width)
    for i, line in enumerate(panel.cells):
        for j, cell in enumerate(line):
            _cell_ground(axes, cell, i, j)
            draw_words(axes, layout, _cell_lines(cell, is_tall=is_tall), i, j, has_box=cell.shade is None)
    title = short(f"{panel.finding}: {panel.model}", layout.letters(0.85 * layout.width))
    levels = [level_words(cell.row) for line in panel.cells for cell in line if cell.row]
    head(figure, layout, f"{title}\nAUC, {levels[0]} interval, {_unit(panel)}")
    return figure


def _cell_width(panel: MatrixPanel, layout: Layout) -> float:
    return (layout.width - NAMES) / max(1, len(panel.test_groups))


def draw_grid(axes: Any, layout: Layout, rows: tuple[str, ...], columns: tuple[str, ...], width: float) -> None:
    """The names and scales of a matrix of training cohorts by test groups; `width` of a cell, mm."""
    is_turned = max((len(short(name, 18)) for name in columns), default=0) > layout.letters(width)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set(xlabel="Tested on", ylabel="Trained on")
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if is_turned else {}
    axes.set_xticks(range(len(columns)), [short(name, 18) for name in columns], **turned)
    axes.set_yticks(range(len(rows)), [short(name, layout.letters(NAMES - 5)) for name in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _cell_ground(axes: Any, cell: Cell, i: int, j: int) -> None:
    """The cell's shade or hatching, and the frame of a model tested on its own group."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"edgecolor": RULE, "linewidth": 0.5}
    look |= {"facecolor": "white", "hatch": "////"} if cell.shade is None else {"facecolor": _blue(cell.shade)}
    axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, **look))
    if cell.is_same:
        frame: dict[str, Any] = {"fill": False, "linewidth": 1.1, "edgecolor": INK}
        axes.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, **frame))


def _blue(shade: float) -> tuple[float, ...]:
    low, high = (1.0, 1.0, 1.0), (0.416, 0.682, 0.871)
    return tuple(a + shade * (b - a) for a, b in zip(low, high, strict=True))


def _cell_lines(cell: Cell, *, is_tall: bool) -> list[str]:
    """The estimate, its interval on one line or two, and what it rests on."""
    row = cell.row
    if cell.shade is None or not row:
        return ["not", "estimable"]
    mark = "" if cell.status == "ok" else "*"
    low, high = decimal(row["low"]), decimal(row["high"])
    limits = [f"{low} to", high] if is_tall else [interval(row["low"], row["high"])]
    if row["finding"] == MACRO_MEAN:
        return [decimal(row["estimate"]) + mark, *limits, count(row["n_images"])]
    return [decimal(row["estimate"]) + mark, *limits, f"{count(row['n_positive'])} / {count(row['n_negative'])}"]


def _unit(panel: MatrixPanel) -> str:
    """What a cell's last line counts, and what its star means."""
    cells = [cell for line in panel.cells for cell in line if cell.row]
    is_mean = any(cell.row and cell.row["finding"] == MACRO_MEAN for cell in cells)
    star = "; *: few" if any(cell.status not in ("ok", "not estimable") for cell in cells) else ""
    return ("images" if is_mean else "images positive / negative") + star


def draw_words(axes: Any, layout: Layout, lines: list[str], i: int, j: int, *, has_box: bool = False) -> None:
    """Lines of words in a cell, the first one larger than the others and the last one grey."""
    step = 1 / (len(lines) + 0.6)
    box = {"bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.0}} if has_box else {}
    for place, text in enumerate(lines):
        y = i + (place - (len(lines) - 1) / 2) * step
        is_first = place == 0 and not has_box
        size, colour = (layout.font + 0.5, INK) if is_first else (6.0, INK if place < len(lines) - 1 else SOFT)
        axes.text(j, y, text, ha="center", va="center", fontsize=size, color=colour, **box)
