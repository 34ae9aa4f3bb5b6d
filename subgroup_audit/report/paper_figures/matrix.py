"""The cross-evaluation matrix as a paper shows it."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.matrix import MACRO_MEAN, Cell, MatrixPanel
from subgroup_audit.report.numerals import decimal, interval
from subgroup_audit.report.paper_figures.style import INK, RULE, Layout, new_figure, short
from subgroup_audit.report.sentences import level_words


def matrix_figure(panel: MatrixPanel, layout: Layout) -> Any:
    """The cross-evaluation matrix as a heat map; hatched where nothing could be estimated."""
    from matplotlib.patches import Rectangle

    rows, columns = len(panel.train_cohorts), len(panel.test_groups)
    figure = new_figure(1.9 + 1.35 * columns, 0.9 + 0.72 * rows)
    axes = figure.add_subplot()
    for i, line in enumerate(panel.cells):
        for j, cell in enumerate(line):
            face = "white" if cell.shade is None else _blue(cell.shade)
            hatch = "////" if cell.shade is None else None
            axes.add_patch(
                Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=face, edgecolor=RULE, hatch=hatch, linewidth=0.5)
            )
            if cell.is_same:
                axes.add_patch(
                    Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fill=False, linewidth=1.4, edgecolor=INK)
                )
            _cell_text(axes, cell, j, i)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xlabel="Tested on", ylabel="Trained on")
    axes.set_xticks(range(columns), [short(name, 18) for name in panel.test_groups])
    axes.set_yticks(range(rows), [short(name, 18) for name in panel.train_cohorts])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    title = short(f"{panel.finding}: {panel.model}", 60)
    levels = [level_words(cell.row) for line in panel.cells for cell in line if cell.row]
    axes.set_title(f"{title}\nAUC with {levels[0]} interval", fontsize=8.5)
    return figure


def _blue(shade: float) -> tuple[float, ...]:
    low, high = (1.0, 1.0, 1.0), (0.416, 0.682, 0.871)
    return tuple(a + shade * (b - a) for a, b in zip(low, high, strict=True))


def _cell_text(axes: Any, cell: Cell, x: float, y: float) -> None:
    row = cell.row
    if cell.shade is None:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(x, y, "not\nestimable", ha="center", va="center", fontsize=7, bbox=box)
        return
    mark = "" if cell.status == "ok" else f" ({cell.status})"
    axes.text(x, y - 0.16, decimal(row["estimate"]) + mark, ha="center", va="center", fontsize=9.5)
    axes.text(x, y + 0.08, interval(row["low"], row["high"]), ha="center", va="center", fontsize=7)
    counts = f"{row['n_patients']} persons, {_image_counts(row)}"
    axes.text(x, y + 0.29, counts, ha="center", va="center", fontsize=5.8, color=INK)


def _image_counts(row: dict[str, Any]) -> str:
    """Positive and negative images; for a mean over findings, which has neither, all images."""
    if row["finding"] == MACRO_MEAN:
        return f"{row['n_images']} images"
    return f"{row['n_positive']} pos, {row['n_negative']} neg"
