"""Curves, calibration and decisions by group, as a paper shows them: dash, mark and colour tell groups apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subgroup_audit.report.numerals import percent
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.rows import label_rows, mark_line, say
from subgroup_audit.report.paper_figures.style import RULE, SOFT, Layout, head, short, wrapped
from subgroup_audit.report.performance import DotBlock, DotRow, FitPanel, GroupSet, Line, Performance, Plot

COLOURS = ("#0067a5", "#b84300", "#00704f", "#7b3fa0", "#8a6100", "#4a525c")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (9, 2)), (0, (1, 1.5, 1, 1.5, 5, 1.5)))
SHAPES = ("o", "s", "^", "D", "P", "v")
# The height of a row of plots with its legend, and of the words around, mm.
ROW, AROUND = 58.0, 12.0


def curves_by_group_figure(panel: FitPanel, found: Performance, layout: Layout) -> Any:
    """ROC, precision-recall and calibration, a row for each set of groups; always over the full width."""
    layout = layout.widened()
    sets = [one for one in panel.sets if any(plot.lines for plot in one.plots)]
    kept = sets[: max(1, int((layout.height - AROUND) / ROW))]
    figure = layout.figure(AROUND + ROW * len(kept))
    grid = figure.subplots(len(kept), 3, squeeze=False)
    for line, group_set in zip(grid, kept, strict=True):
        for axes, plot in zip(line, group_set.plots, strict=True):
            _draw_plot(axes, plot, layout)
        _name_groups(line[0], group_set, layout)
    level = percent(found.confidence_level)
    seeds = " and seeds" if found.n_seeds > 1 else ""
    left = len(sets) - len(kept)
    rest = f"; {left} more sets of groups in the tables" if left else ""
    words = f"Bands and bars: pointwise {level} limits over persons{seeds}; marks: operating point{rest}"
    head(figure, layout, f"{short(title_of(panel), layout.letters(0.9 * layout.width))}\n{words}")
    return figure


def title_of(panel: FitPanel) -> str:
    """The fit in words."""
    return f"{panel.finding}: {panel.model}, trained on {panel.train_cohort}"


def first_panels(found: Performance) -> list[FitPanel]:
    """The first training cohort's panel of each finding, model and recipe."""
    firsts: dict[tuple[str, str, str], FitPanel] = {}
    for panel in found.panels:
        firsts.setdefault((panel.finding, panel.model, panel.recipe), panel)
    return list(firsts.values())


def _draw_plot(axes: Any, plot: Plot, layout: Layout) -> None:
    if plot.kind.name != "precision_recall":
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.7, linestyle=":")
    for share in plot.shares:
        axes.axhline(share, color=SOFT, linewidth=0.7, linestyle=":")
    for line in plot.lines:
        _draw_line(axes, line)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel(plot.kind.x_title, fontsize=layout.small)
    axes.set_ylabel(plot.kind.y_title, fontsize=layout.small)
    axes.set_title(plot.kind.title, loc="left")
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.grid(color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)


def _draw_line(axes: Any, line: Line) -> None:
    colour, dash, shape = (kinds[line.style % len(COLOURS)] for kinds in (COLOURS, DASHES, SHAPES))
    x, y, low, high = zip(*line.values, strict=True)
    if line.is_binned:
        axes.vlines(x, low, high, color=colour, linewidth=0.8)
        axes.plot(x, y, color=colour, linestyle=dash, marker=shape, linewidth=0.8, markersize=3.2)
        return
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.1)
    if line.operating is not None:
        at_x, at_y = line.operating
        axes.plot([at_x], [at_y], shape, color=colour, markeredgecolor="black", markeredgewidth=0.5, markersize=4)


def _name_groups(axes: Any, group_set: GroupSet, layout: Layout) -> None:
    """A legend with each group's AUC, in the corner that a ROC curve leaves free."""
    from matplotlib.lines import Line2D

    handles = []
    for row in group_set.rows:
        colour, dash, shape = (kinds[row.style % len(COLOURS)] for kinds in (COLOURS, DASHES, SHAPES))
        label = f"{short(row.group, 16)}, AUC {row.text('auc', 3)[0]}"
        handles.append(Line2D([], [], color=colour, linestyle=dash, marker=shape, markersize=3, label=label))
    axes.legend(handles=handles, loc="lower right", frameon=False, fontsize=layout.small - 0.5, handlelength=2.6)


def decisions_figure(panel: FitPanel, layout: Layout) -> Any:
    """Sensitivity, specificity, PPV and NPV of every group at the operating point."""
    drawing, inner = _blocks(panel.rates, layout, is_gap=False)
    _frame(drawing, panel, layout, inner, panel.point)
    return drawing


def decision_gaps_figure(panel: FitPanel, layout: Layout) -> Any:
    """Differences of the four rates between groups at the operating point, descriptive."""
    drawing, inner = _blocks(panel.gaps, layout, is_gap=True)
    _frame(drawing, panel, layout, inner, "First minus second, at one threshold for all groups. Descriptive.")
    return drawing


def _frame(drawing: Any, panel: FitPanel, layout: Layout, inner: Layout, words: str) -> None:
    drawing.suptitle(short(title_of(panel), inner.letters(0.9 * inner.width)))
    width = drawing.get_size_inches()[0] * 25.4
    drawing.supxlabel(wrapped(words, layout, 0.9 * width), fontsize=layout.small)


def _blocks(blocks: Sequence[DotBlock], layout: Layout, *, is_gap: bool) -> tuple[Any, Layout]:
    n_rows = max(sum(len(rows) for _, rows in block.sets) for block in blocks)
    drawing, panels, inner = panel_grid(len(blocks), n_rows, layout)
    for axes, block in zip(panels, blocks, strict=False):
        axes.set_xlim(block.axis.low, block.axis.high)
        rows = [row for _, rows_of in block.sets for row in rows_of]
        if is_gap:
            mark_line(axes, inner, 0.0, len(rows))
        for y, row in enumerate(rows):
            _draw_row(axes, inner, row, block, y, is_gap=is_gap)
        label_rows(axes, inner, [row.label for row in rows])
        axes.set_title(block.title, loc="left", fontweight="bold", fontsize=inner.small)
    return drawing, inner


def _draw_row(axes: Any, layout: Layout, row: DotRow, block: DotBlock, y: int, *, is_gap: bool) -> None:
    if row.at is None:
        say(axes, layout, y, "not estimable")
        return
    colour = SOFT if is_gap else COLOURS[row.style % len(COLOURS)]
    shape = "s" if is_gap else SHAPES[row.style % len(SHAPES)]
    span = block.axis.high - block.axis.low
    at, low, high = (
        None if one is None else block.axis.low + one / 100 * span for one in (row.at, row.low_at, row.high_at)
    )
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.2)
    for is_cut, end, arrow in zip(row.cut, (block.axis.low, block.axis.high), "<>", strict=True):
        if is_cut:
            axes.plot([end], [y], arrow, color=colour, markersize=3, clip_on=False)
    axes.plot([at], [y], shape, color=colour, markersize=4, clip_on=False)
    say(axes, layout, y, f"{row.text} ({row.limits})")
