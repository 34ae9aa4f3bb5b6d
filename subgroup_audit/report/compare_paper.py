"""The figures of a comparison as SVG, PDF and PNG for a paper, from the same rows as the page."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.report.compare_figures import (
    DifferenceCell,
    DifferenceForest,
    DifferenceMatrix,
    DifferenceRow,
    PairRow,
    Pairs,
    forests,
    matrices,
    pairs,
)
from subgroup_audit.report.numerals import decimal, interval, is_number, plural, signed
from subgroup_audit.report.paper_figures.matrix import draw_grid, draw_words
from subgroup_audit.report.paper_figures.rows import (
    interval_mark,
    label_rows,
    margin_band,
    rest_words,
    row_height,
    rows_that_fit,
    say,
    verdict_legend,
)
from subgroup_audit.report.paper_figures.style import INK, LAYOUTS, RULE, SOFT, VAL, Layout, row_name, style_of
from subgroup_audit.report.sentences import level_words

FORMATS = ("svg", "pdf", "png")
NO_DATE: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
MAX_MATRICES = 8
AROUND, NAMES = 27.0, 22.0
RISE, FALL = (0.416, 0.682, 0.871), (0.941, 0.706, 0.541)


def write_compare_figures(result: ComparisonResult, folder: Path) -> list[Path]:
    """The paths of the figures written: an SVG, PDF and PNG of each forest, matrix and of both sides' AUC."""
    import matplotlib

    layout = LAYOUTS["two-column"]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(style_of(layout)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        for name, draw in _makers(result, layout).items():
            figure = draw()
            figure.get_layout_engine().execute(figure)
            figure.set_layout_engine(None)
            for suffix in FORMATS:
                path = folder / f"{name}.{suffix}"
                figure.savefig(path, dpi=layout.dpi, metadata=NO_DATE[suffix])
                written.append(path)
    return written


def _makers(result: ComparisonResult, layout: Layout) -> dict[str, Callable[[], Any]]:
    makers: dict[str, Callable[[], Any]] = {
        f"differences_{found.kind}": partial(forest_figure, found, layout) for found in forests(result)
    }
    for panel in matrices(result)[:MAX_MATRICES]:
        makers[f"matrix_{panel.key}"] = partial(matrix_figure, panel, layout)
    both = pairs(result)
    if both.rows:
        makers["both_sides"] = partial(pairs_figure, both, layout, result.reference)
    return makers


def forest_figure(found: DifferenceForest, layout: Layout) -> Any:
    """The differences of one kind with their intervals and the margin band; the mark is the verdict."""
    rows = found.rows[: rows_that_fit(layout, AROUND)]
    figure = layout.figure(AROUND + row_height(layout) * len(rows))
    axes = figure.add_subplot()
    axes.set_xlim(found.axis.low, found.axis.high)
    margin_band(axes, layout, found.margin, len(rows))
    label_rows(axes, layout, [row_name(one.label, one.context) for one in rows])
    for y, one in enumerate(rows):
        _difference(axes, layout, one, y)
    level, margin = level_words(rows[0].row), decimal(found.margin, 2)
    axes.set_xlabel(f"Compared minus reference, with {level} interval; band: margin ±{margin}", loc="left")
    rest = rest_words(found.total, len(rows), "differences")
    axes.set_title(f"{found.title} ({rest})" if rest else found.title, loc="left")
    verdict_legend(figure, layout, {one.row["verdict"]: (one.verdict_key, False) for one in rows})
    return figure


def _difference(axes: Any, layout: Layout, one: DifferenceRow, y: int) -> None:
    row = one.row
    if one.at is None:
        say(axes, layout, y, "not estimable")
        return
    interval_mark(axes, row, one.verdict_key, y)
    limits = interval(row["low"], row["high"], with_signs=True)
    say(axes, layout, y, f"{signed(row['estimate'])} ({limits}), {plural(row['n_patients'], 'person')}")


def matrix_figure(panel: DifferenceMatrix, layout: Layout) -> Any:
    """Differences of test AUC by training cohort and test group: blue rises, orange falls, the sign in words."""
    from matplotlib.patches import Rectangle

    cohorts = tuple(line[0].train_cohort for line in panel.lines)
    figure = layout.figure(24 + 11 * len(cohorts))
    axes = figure.add_subplot()
    draw_grid(axes, layout, cohorts, panel.test_groups, (layout.width - NAMES) / max(1, len(panel.test_groups)))
    for i, line in enumerate(panel.lines):
        for j, cell in enumerate(line):
            look = (
                {"hatch": "////", "facecolor": "white"} if cell.shade is None else {"facecolor": _tone(cell.shade)}
            )
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, edgecolor=RULE, linewidth=0.5, **look))
            if cell.is_same:
                axes.add_patch(
                    Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, linewidth=1.1, edgecolor=INK)
                )
            draw_words(axes, layout, _cell_lines(cell), i, j, has_box=cell.shade is None)
    axes.set_title(
        f"{panel.name}\nDifference of AUC, compared minus reference, and AUC of the compared", loc="left"
    )
    return figure


def _tone(shade: float) -> tuple[float, ...]:
    end = RISE if shade > 0 else FALL
    return tuple(1.0 + min(1.0, abs(shade)) * (part - 1.0) for part in end)


def _cell_lines(cell: DifferenceCell) -> list[str]:
    if cell.shade is None:
        return ["not", "estimable"] if cell.row else ["not in", "both"]
    row = cell.row
    limits = interval(row["low"], row["high"], with_signs=True)
    return [signed(row["estimate"]), limits, decimal(row["compared_estimate"])]


def pairs_figure(found: Pairs, layout: Layout, reference: str) -> Any:
    """Both sides' AUC of every cell, joined: hollow the reference, filled the compared."""
    rows = found.rows[: rows_that_fit(layout, AROUND)]
    figure = layout.figure(AROUND + row_height(layout) * len(rows))
    axes = figure.add_subplot()
    axes.set_xlim(found.axis.low, found.axis.high)
    axes.axvline(0.5, color=SOFT, linewidth=0.6)
    label_rows(axes, layout, [row_name(one.label, one.context) for one in rows])
    for y, one in enumerate(rows):
        _pair(axes, layout, one, y)
    axes.set_xlabel(f"AUC; hollow: reference ({reference}), filled: compared", loc="left")
    rest = rest_words(found.total, len(rows), "differences")
    axes.set_title(f"Both sides' AUC ({rest})" if rest else "Both sides' AUC", loc="left")
    return figure


def _pair(axes: Any, layout: Layout, one: PairRow, y: int) -> None:
    a, b = one.row["reference_estimate"], one.row["compared_estimate"]
    if not (is_number(a) and is_number(b)):
        say(axes, layout, y, "not estimable")
        return
    axes.plot([a, b], [y, y], color=SOFT, linewidth=1.2, zorder=1)
    axes.plot([a], [y], "o", color=INK, markerfacecolor="white", markersize=4, zorder=2)
    axes.plot([b], [y], "o", color=VAL, markersize=4, zorder=3)
    say(axes, layout, y, f"{decimal(a)} to {decimal(b)}")
