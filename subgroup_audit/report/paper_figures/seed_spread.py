"""The spread between training seeds, as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.numerals import decimal
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.rows import label_rows, rest_words, say
from subgroup_audit.report.paper_figures.style import BAND, INK, VAL, Layout, short, wrapped
from subgroup_audit.report.seed_spread import SeedSpread, SpreadRow

WORDS = "AUC of every seed (dots), their mean and its interval over persons and seeds; SD between seeds"


def seed_spread_figure(spread: SeedSpread, layout: Layout) -> Any:
    """A panel per training cohort, a row per test group, a dot per seed."""
    n_rows = max(len(block.rows) for block in spread.blocks)
    drawing, panels, inner = panel_grid(len(spread.blocks), n_rows, layout)
    for axes, block in zip(panels, spread.blocks, strict=False):
        axes.set_xlim(spread.axis.low, spread.axis.high)
        for y, row in enumerate(block.rows):
            _draw_row(axes, inner, spread, row, y)
        label_rows(axes, inner, [row.test_group for row in block.rows])
        title = short(f"Trained on {block.train_cohort}", inner.letters(0.9 * inner.width))
        axes.set_title(title, loc="left", fontweight="bold", fontsize=inner.small)
    rest = rest_words(len(spread.blocks), len(panels), "fits")
    title = short(spread.name, inner.letters(0.9 * inner.width))
    drawing.suptitle(title + (f"\n{rest}" if rest else ""))
    width = drawing.get_size_inches()[0] * 25.4
    drawing.supxlabel(wrapped(WORDS, layout, 0.9 * width), fontsize=layout.small)
    return drawing


def _draw_row(axes: Any, layout: Layout, spread: SeedSpread, row: SpreadRow, y: int) -> None:
    span = spread.axis.high - spread.axis.low
    mean, low, high = (
        None if one is None else spread.axis.low + one / 100 * span
        for one in (row.mean_at, row.low_at, row.high_at)
    )
    if low is not None and high is not None:
        axes.barh(y, high - low, left=low, height=0.42, color=BAND, linewidth=0)
    axes.plot([mean, mean], [y - 0.21, y + 0.21], color=INK, linewidth=1.0)
    n_seeds = len(row.seeds)
    lanes = [y + 0.3 * (place - (n_seeds - 1) / 2) / max(n_seeds - 1, 1) for place in range(n_seeds)]
    axes.plot(row.seeds, lanes, "o", color=VAL, markersize=2.6, markeredgecolor="white", markeredgewidth=0.3)
    say(axes, layout, y, decimal(row.sd))
