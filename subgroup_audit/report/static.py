"""The paper's figures as SVG, PDF and PNG, drawn with matplotlib from the same rows as the page.

matplotlib is imported when a figure is drawn. No pyplot, so no state is shared; no dates are written, so the same
numbers give the same files.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import category

from subgroup_audit.report.composition import composition, composition_figure
from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.controls import Block, ControlFigure, ControlPart, Dot, controls
from subgroup_audit.report.curve_figures import curves_figure
from subgroup_audit.report.curves import curve_panels
from subgroup_audit.report.encoding import probes
from subgroup_audit.report.gaps import Dumbbell, Forest, GapRow, dumbbell, forest
from subgroup_audit.report.looks_figures import heat_figure, probes_figure
from subgroup_audit.report.matrix import MACRO_MEAN, Cell, MatrixPanel, matrix_panels
from subgroup_audit.report.numerals import decimal, interval, is_number, signed
from subgroup_audit.report.saliency import MAX_PANELS, panel_keys
from subgroup_audit.report.sentences import AWAY, KIND_NAMES, VERDICT_WORDS, level_words
from subgroup_audit.report.survival import Comparison, Survival, Way, survival
from subgroup_audit.report.waterfall import Stage, WaterfallPanel, Waterfalls, waterfalls

FORMATS = ("svg", "pdf", "png")
LONGEST_NAME = 44
MAX_MATRICES = 8
MAX_ROWS = 40
MAX_COMPARISONS = 6
MAX_WATERFALL_PANELS = 8
DPI = 150
INK, SOFT, RULE, BAND = "#1b1f24", "#5b6472", "#d5d9df", "#dfe9f3"
TRAIN, VAL = "#b84300", "#0067a5"
COLOURS = {"gap": "#b84300", "equal": "#00704f", "inconclusive": SOFT, "absent": SOFT, "descriptive": SOFT}
MARKERS = {"gap": "D", "equal": "o", "inconclusive": "o", "absent": "x", "descriptive": "s"}
STYLE = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "subgroup_audit",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "hatch.linewidth": 0.6,
}
NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}

Draw = Callable[[], Any]


def write_figures(contents: RunContents, folder: Path) -> list[Path]:
    """The paths of the figures written: one SVG, PDF and PNG for each of `figure_makers`."""
    makers = figure_makers(contents)
    if not makers:
        return []
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the page and the tables show it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        for name, draw in makers.items():
            written += _save(draw(), folder, name)
    return written


def _save(figure: Any, folder: Path, name: str) -> list[Path]:
    """The paths of one figure's files. The layout is found once for every format: finding it takes the time.

    Without a layout engine afterwards, as every save would otherwise draw the figure twice.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    paths = [folder / f"{name}.{suffix}" for suffix in FORMATS]
    for path in paths:
        metadata = NO_DATE[path.suffix[1:]]
        figure.savefig(path, dpi=DPI, metadata=metadata)
    return paths


def figure_makers(contents: RunContents) -> dict[str, Draw]:
    """The figures that this run can show, by file name; nothing is drawn before it is called."""
    asked = contents.study.figures
    makers: dict[str, Draw] = {}
    if contents.result is not None:
        makers.update(_audit_makers(contents, set(asked)))
        found = survival(contents.result.case_mix, contents.study.analysis.margin)
        if "gaps" in asked and found is not None:
            makers["case_mix"] = partial(survival_figure, found)
    mixed = composition(contents)
    if mixed is not None:
        makers["composition"] = partial(composition_figure, mixed, _figure, short)
    if "waterfall" in asked:
        makers.update(_diagnosis_makers(contents))
    makers.update(_looks_makers(contents))
    if "curves" in asked and contents.history is not None and len(contents.history):
        panels = curve_panels(contents.history, contents.study)
        makers["curves"] = partial(curves_figure, panels, _figure, short)
    return makers


def _looks_makers(contents: RunContents) -> dict[str, Draw]:
    makers: dict[str, Draw] = {}
    probed, seen = probes(contents.encoding), contents.saliency
    if probed is not None:
        makers["encoding"] = partial(probes_figure, probed, _figure, short)
    if seen is not None:
        for key in panel_keys(seen.cells)[:MAX_PANELS]:
            name = f"saliency_{_file_name(' '.join(key))}"
            makers[name] = partial(heat_figure, seen, key, contents.study, _figure, short)
    return makers


def _audit_makers(contents: RunContents, asked: set[str]) -> dict[str, Draw]:
    result, study = contents.result, contents.study
    makers: dict[str, Draw] = {}
    if result is None:
        return makers
    if "matrix" in asked:
        for panel in matrix_panels(result.estimates, study)[:MAX_MATRICES]:
            makers[f"matrix_{_file_name(panel.key)}"] = partial(matrix_figure, panel)
    if "gaps" in asked:
        for kind in ("subgroup_gap", "transfer_gap"):
            gaps = forest(result.contrasts, kind, study)
            if gaps.rows:
                makers[kind] = partial(forest_figure, gaps)
    pairs = dumbbell(result.contrasts, study)
    if "train_test" in asked and pairs.rows:
        makers["train_test"] = partial(dumbbell_figure, pairs)
    return makers


def _diagnosis_makers(contents: RunContents) -> dict[str, Draw]:
    estimates = None if contents.result is None else contents.result.estimates
    levels = waterfalls(contents.waterfall, contents.study)
    changed = controls(contents.controls, estimates, contents.study)
    makers: dict[str, Draw] = {}
    if levels is not None:
        for panel in levels.panels[:MAX_WATERFALL_PANELS]:
            makers[f"waterfall_{_file_name(panel.name)}"] = partial(waterfall_figure, panel, levels)
    for figure in changed.figures if changed is not None else ():
        for part in figure.parts[:MAX_WATERFALL_PANELS]:
            drawn = dots_figure if part.blocks else inflation_figure
            makers[f"control_{_file_name(f'{figure.kind} {part.finding}')}"] = partial(drawn, part, figure)
    return makers


def _file_name(key: str) -> str:
    """A name as part of a file name: letters, digits, dots and dashes, of at most 60 characters.

    >>> _file_name("macro mean / resnet50 / default")
    'macro-mean-resnet50-default'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")[:60] or "unnamed"


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """The name on one line, without invisible marks, cut with an ellipsis where it is too long for a figure."""
    visible = "".join(letter for letter in name if category(letter) != "Cf")
    flat = " ".join(visible.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def matrix_figure(panel: MatrixPanel) -> Any:
    """The cross-evaluation matrix as a heat map; hatched where nothing could be estimated."""
    from matplotlib.patches import Rectangle

    rows, columns = len(panel.train_cohorts), len(panel.test_groups)
    figure = _figure(1.9 + 1.35 * columns, 0.9 + 0.72 * rows)
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


def forest_figure(gaps: Forest) -> Any:
    """The gaps of one kind with their intervals and the margin band; verdict by marker and in words."""
    rows = gaps.rows[:MAX_ROWS]
    figure = _figure(8.6, 0.9 + 0.24 * len(rows))
    axes = figure.add_subplot()
    axes.axvspan(-gaps.margin, gaps.margin, color=BAND, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    for y, gap in enumerate(rows):
        _forest_row(axes, gap, y)
    axes.set(xlim=(gaps.axis.low, gaps.axis.high), ylim=(len(rows) - 0.4, -0.6))
    axes.set_yticks(range(len(rows)), [short(_row_name(gap.label, gap.context), 60) for gap in rows])
    level = level_words(rows[0].row)
    axes.set_xlabel(
        f"Difference of AUC, first minus second, {level} interval (band: margin ±{decimal(gaps.margin, 2)})"
    )
    axes.set_title(KIND_NAMES.get(gaps.kind, gaps.kind), fontsize=9, loc="left")
    axes.tick_params(axis="y", length=0)
    return figure


def _row_name(label: str, context: str) -> str:
    return f"{label} ({context})" if context else label


def _forest_row(axes: Any, gap: GapRow, y: int) -> None:
    row, key = gap.row, gap.verdict_key
    text = VERDICT_WORDS[key]
    if gap.at is not None:
        numbers = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)})"
        away = AWAY if gap.is_corrected_away else ""
        text = f"{numbers}, {row['n_patients']} persons: {text}{away}"
        _interval_mark(axes, row, key, y, has_limits=gap.low_at is not None and gap.high_at is not None)
    place = axes.get_yaxis_transform()
    axes.text(1.02, y, text, transform=place, va="center", fontsize=6.5, color=INK)


def _interval_mark(axes: Any, row: dict[str, Any], key: str, y: int, *, has_limits: bool) -> None:
    """The line from limit to limit and the verdict's mark at the estimate."""
    colour = COLOURS[key]
    if has_limits:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.6, clip_on=True)
    face = colour if key in {"gap", "equal"} else "white"
    style = {} if MARKERS[key] == "x" else {"markerfacecolor": face}
    axes.plot([row["estimate"]], [y], MARKERS[key], color=colour, markersize=5, **style)


def survival_figure(found: Survival) -> Any:
    """Gaps as measured and at an equal mix: a panel for each of the most important comparisons."""
    chosen = found.comparisons[:MAX_COMPARISONS]
    heights = [len(comparison.ways) + 1 for comparison in chosen]
    figure = _figure(8.6, 0.8 + 0.26 * sum(heights))
    panels = figure.subplots(len(chosen), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for axes, comparison in zip(panels, chosen, strict=True):
        _survival_panel(axes, comparison, found)
    level = level_words(chosen[0].ways[0].row)
    margin = decimal(found.margin, 2)
    panels[-1].set_xlabel(
        f"Difference of AUC, first minus second, {level} interval (band: margin ±{margin}; dashed: as measured)"
    )
    return figure


def _survival_panel(axes: Any, comparison: Comparison, found: Survival) -> None:
    axes.axvspan(-found.margin, found.margin, color=BAND, linewidth=0)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    if comparison.measured_at is not None:
        axes.axvline(comparison.ways[0].row["estimate"], color=SOFT, linewidth=0.8, linestyle="--")
    for y, way in enumerate(comparison.ways):
        _survival_row(axes, way, y)
    axes.set(xlim=(found.axis.low, found.axis.high), ylim=(len(comparison.ways) - 0.4, -0.6))
    axes.set_yticks(range(len(comparison.ways)), [short(way.label) for way in comparison.ways])
    axes.set_title(short(_row_name(comparison.label, comparison.context), 100), fontsize=8, loc="left")
    axes.tick_params(axis="y", length=0)


def _survival_row(axes: Any, way: Way, y: int) -> None:
    row, text = way.row, VERDICT_WORDS[way.verdict_key]
    if way.at is not None:
        text = f"{signed(row['estimate'])} ({interval(row['low'], row['high'], with_signs=True)}): {text}"
        _interval_mark(axes, row, way.verdict_key, y, has_limits=way.low_at is not None)
    axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=6.5, color=INK)


def _panels(number: int, height: float, columns: int = 3) -> tuple[Any, list[Any]]:
    """A figure and its axes: so many panels in rows of three, each `height` inches high."""
    across = min(columns, number)
    down = -(-number // across)
    figure = _figure(3.7 * across, 0.5 + height * down)
    grid = figure.subplots(down, across, squeeze=False, sharex=True)
    for axes in grid.flat[number:]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, number - across) : number]:
        axes.tick_params(labelbottom=True)
    return figure, list(grid.flat[:number])


def waterfall_figure(panel: WaterfallPanel, found: Waterfalls) -> Any:
    """The gap waterfall, a panel per training cohort: filled bars fall, hollow ones rise."""
    height = 0.5 + 0.25 * max(len(waterfall.stages) for waterfall in panel.waterfalls)
    figure, panels = _panels(len(panel.waterfalls), height)
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


def dots_figure(part: ControlPart, figure: ControlFigure) -> Any:
    """A control's AUC, a panel per training cohort; filled: the study's own fits."""
    blocks = part.blocks
    drawing, panels = _panels(len(blocks), 0.5 + 0.24 * max(len(block.dots) for block in blocks))
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


def inflation_figure(part: ControlPart, figure: ControlFigure) -> Any:
    """What a split by image adds to the AUC of every cell; framed: trained and tested on the same group."""
    rows, columns = len(part.cells), len(part.groups)
    drawing = _figure(1.9 + 1.35 * columns, 1.0 + 0.5 * rows)
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


def dumbbell_figure(pairs: Dumbbell) -> Any:
    """Train and test AUC of the same fits, joined; published figures as open triangles."""
    rows = pairs.rows[:MAX_ROWS]
    figure = _figure(6.6, 1.1 + 0.26 * len(rows))
    axes = figure.add_subplot()
    axes.axvline(0.5, color=SOFT, linewidth=0.8)
    for y, pair in enumerate(rows):
        train, test = pair.row["minuend_estimate"], pair.row["subtrahend_estimate"]
        if is_number(train) and is_number(test):
            axes.plot([test, train], [y, y], color=SOFT, linewidth=1.6, zorder=1)
        for reference, _ in pair.references:
            shape = "^" if reference.split == "train" else "v"
            axes.plot([reference.value], [y + 0.3], shape, color=INK, markerfacecolor="none", markersize=4)
    places = range(len(rows))
    trains = [pair.row["minuend_estimate"] for pair in rows]
    axes.scatter(trains, places, marker="s", s=28, color=TRAIN, label="training images", zorder=2)
    tests = [pair.row["subtrahend_estimate"] for pair in rows]
    axes.scatter(tests, places, marker="o", s=28, color=VAL, label="test persons", zorder=2)
    axes.set(xlim=(pairs.axis.low, pairs.axis.high), ylim=(len(rows) - 0.4, -0.6), xlabel="AUC (descriptive)")
    axes.set_yticks(places, [short(_row_name(pair.label, pair.context), 60) for pair in rows])
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    return figure
