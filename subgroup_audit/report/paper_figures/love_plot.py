"""The love plot, as a paper shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subgroup_audit.report.cohort_figures import IMBALANCE
from subgroup_audit.report.love_plot import LovePair, LovePlot
from subgroup_audit.report.paper_figures.panels import panel_grid
from subgroup_audit.report.paper_figures.rows import label_rows, mark_line, rest_words
from subgroup_audit.report.paper_figures.style import SOFT, VAL, Layout, short, wrapped

# Splits that stand in one panel, with their mark; whole cohorts only where there is no split.
SPLITS = {"train": ("s", "white"), "test": ("o", VAL)}
WORDS = "Absolute standardised mean difference; dashed: 0.1. Open square: training split, dot: test split"


def love_figure(found: LovePlot, layout: Layout) -> Any:
    """A panel per pair of compared cohorts, a row per variable."""
    by_split = {panel.split: panel.pairs for panel in found.panels}
    shown = {split: by_split[split] for split in SPLITS if split in by_split} or {"all": found.panels[0].pairs}
    first = next(iter(shown.values()))
    drawing, panels, inner = panel_grid(len(first), max(len(pair.rows) for pair in first), layout)
    for place, (axes, pair) in enumerate(zip(panels, first, strict=False)):
        axes.set_xlim(found.axis.low, found.axis.high)
        mark_line(axes, inner, IMBALANCE, len(pair.rows), "--")
        for split, pairs in shown.items():
            _draw_pair(axes, pairs[place], split)
        _say_chosen(axes, pair, inner)
        label_rows(axes, inner, [row.variable for row in pair.rows])
        title = short(f"{pair.cohort} and {pair.other}", inner.letters(0.9 * inner.width))
        axes.set_title(title, loc="left", fontweight="bold", fontsize=inner.small)
    rest = rest_words(len(first), len(panels), "differences")
    words = WORDS + (f". {rest}" if rest else "")
    width = drawing.get_size_inches()[0] * 25.4
    drawing.supxlabel(wrapped(words, layout, 0.9 * width), fontsize=layout.small)
    return drawing


def _draw_pair(axes: Any, pair: LovePair, split: str) -> None:
    shape, face = SPLITS.get(split, ("o", VAL))
    for y, row in enumerate(pair.rows):
        if row.smd is not None:
            at = min(row.smd, axes.get_xlim()[1])
            mark = ">" if row.is_cut else shape
            axes.plot([at], [y], mark, color=VAL, markerfacecolor=face, markersize=4, clip_on=False)


def _say_chosen(axes: Any, pair: LovePair, layout: Layout) -> None:
    for y, row in enumerate(pair.rows):
        if row.note:
            axes.text(IMBALANCE + 0.01, y, row.note, va="center", fontsize=layout.small, color=SOFT)


def drawable(found: LovePlot | None) -> bool:
    """Whether any pair has a row."""
    return found is not None and any(_has_rows(panel.pairs) for panel in found.panels)


def _has_rows(pairs: Sequence[LovePair]) -> bool:
    return any(pair.rows for pair in pairs)
