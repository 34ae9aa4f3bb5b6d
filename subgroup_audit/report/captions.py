"""What a figure shows, in words: the page's first sentence, and for a paper also n, marks and intervals.

The page and the captions of a paper's figures take their sentences from here, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from subgroup_audit.report.cohort_figures import FlowColumn
from subgroup_audit.report.composition import Composition
from subgroup_audit.report.contents import RunContents, distinct, isolated, rows_of
from subgroup_audit.report.controls import ControlFigure, ControlPart
from subgroup_audit.report.curves import CurvePanel
from subgroup_audit.report.encoding import SOURCES, Probes
from subgroup_audit.report.gaps import Dumbbell, Forest
from subgroup_audit.report.love_plot import LovePlot
from subgroup_audit.report.matrix import MatrixPanel
from subgroup_audit.report.methods import method_words
from subgroup_audit.report.numerals import count, decimal, is_number, listed, plural
from subgroup_audit.report.performance import FitPanel, Performance
from subgroup_audit.report.seed_spread import SeedSpread
from subgroup_audit.report.sentences import KIND_PLURALS, KIND_QUESTIONS, level_words
from subgroup_audit.report.survival import Survival
from subgroup_audit.report.waterfall import WaterfallPanel, Waterfalls

Row = Mapping[str, Any]

# The first sentences, with the words that differ from run to run in braces.
SENTENCES: Mapping[str, str] = {
    "flow": "How the images became cohorts: what was left out at each step, and why.",
    "matrix": (
        "AUC on test persons with {level} intervals. Rows: the cohort that the model was trained on. Columns: the "
        "group that it was tested on."
    ),
    "seed_spread": (
        "How much the AUC moves when only the random numbers of training change: every cell of the matrix, a dot "
        "per seed."
    ),
    "gaps": "{kinds}. {question}",
    "case_mix": (
        "Subgroup gaps as measured and at an equal mix. The dashed line is the gap as measured; the shaded band "
        "is the margin of ±{margin} AUC."
    ),
    "train_test": (
        "AUC of the same models on their training images and on test persons, widest gap first. Descriptive: a "
        "model has seen its training images."
    ),
    "curves_by_group": (
        "ROC, precision-recall and calibration by test group, test split. Bands and bars: pointwise {level} "
        "limits over persons{seeds}. Marks on the first two: the operating point."
    ),
    "decisions": (
        "Decisions at the operating point by test group, with {level} intervals. The threshold is chosen on "
        "validation images of the training cohort, and is the same for every group."
    ),
    "composition": (
        "AUC on each test group by the share of {attribute} {value} in training, at a constant number of images, "
        "with {level} intervals."
    ),
    "waterfall": (
        "The gap waterfall: from the AUC of the training log to that on other people, one step at a time, mean "
        "over seeds with {level} intervals. One panel per training cohort, all on one scale."
    ),
    "encoding": (
        "How well a linear probe tells an attribute from the features that enter the head, AUC on test persons "
        "with {level} intervals, mean over seeds; beside it the model's AUC for its own task."
    ),
    "saliency": (
        "Mean heat maps of test images by group and label, one row per training cohort, all of a panel on one "
        "scale. At most {n_most} images of each group and label, drawn by a hash of their key."
    ),
    "love_plot": (
        "How far the compared cohorts lie apart: standardised mean differences of everything that is recorded "
        "(love plot)."
    ),
    "curves": (
        "AUC, accuracy and loss by epoch, one panel per cohort and model, one thin line per seed. Panels of one "
        "measure share their scale."
    ),
    "samples": (
        "Chosen without regard to their looks, to see what the models saw: markers, cropping, inversion, "
        "rotation, devices. They are not typical cases."
    ),
}
VERDICT_MARKS = (
    "Diamond: gap, hollow where correction for the number of comparisons takes it away; filled dot: no gap beyond "
    "the margin; hollow dot: inconclusive. Band: the margin of ±{margin}."
)


def sentence(figure: str, **words: Any) -> str:
    """What a figure shows; `words` are what differs from run to run.

    >>> sentence("gaps", kinds="Transfer gaps", question="Does it matter?")
    'Transfer gaps. Does it matter?'
    """
    return SENTENCES[figure].format(**words)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _persons(rows: Iterable[Row], each: str) -> str:
    """How many test persons stand behind each mark."""
    found = sorted(int(row["n_patients"]) for row in rows if is_number(row.get("n_patients")))
    if not found:
        return ""
    low, high = count(found[0]), count(found[-1])
    return f"n: {low if low == high else f'{low} to {high}'} persons {each}."


def _seeds(rows: Iterable[Row]) -> str:
    """Over how many seeds the estimates are means."""
    found = sorted({int(row["n_seeds"]) for row in rows if is_number(row.get("n_seeds"))})
    if not found:
        return ""
    if found == [1]:
        return "One training seed."
    return f"Means over {' or '.join(count(n) for n in found)} training seeds."


def _method(rows: Iterable[Row], *, level: bool = False) -> str:
    """How the intervals of these rows were made; '' where none says so."""
    known = [row for row in rows if isinstance(row.get("method"), str) and row["method"] not in ("", "none")]
    named = (method_words(row["method"]).replace("two such intervals", "both terms' limits") for row in known)
    words = listed(distinct(named), limit=3)
    if not words:
        return ""
    levels = listed(distinct(level_words(row) for row in known)) if level else ""
    return f"{f'{levels} intervals' if levels else 'Intervals'}: {words}."


def _rest(total: int, drawn: int, table: str, noun: str) -> str:
    return f"Shown: {drawn} of {plural(total, noun)}; all are in tables/{table}." if total > drawn else ""


def _fit(finding: str, model: str, recipe: str, contents: RunContents) -> str:
    named = f"{isolated(finding)}, {isolated(model)}"
    return f"{named}, {isolated(recipe)}" if len(contents.study.recipes) > 1 else named


def flow_caption(columns: Sequence[FlowColumn], which: str = "") -> str:
    """Of the flow; `which` says what of several figures this is."""
    first = next((step for column in columns for step in column.steps if step.left_images is not None), None)
    counted = "" if first is None else f"n: {plural(first.left_images, 'image')} at the start"
    if first is not None and first.left_patients is not None:
        counted += f", of {plural(first.left_patients, 'person')}"
    has_splits = any(column.splits for column in columns)
    return _joined(
        sentence("flow"),
        f"{counted}." if counted else "",
        "Boxes: what is left. Beside the arrows: what was left out, and of how many persons.",
        "Shaded: the splits." if has_splits else "",
        "Persons need not add up, since one may keep some images and lose others. Cohorts may share images.",
        which,
    )


def samples_caption(n_shown: int, n_stored: int, which: str = "") -> str:
    """Of the sample radiographs; `which` says what of several figures this is."""
    shown = f"{count(n_shown)} of the {plural(n_stored, 'radiograph')} that the run stores as samples"
    return _joined(
        "Sample radiographs by cohort and label.",
        sentence("samples"),
        f"n: {shown if n_shown < n_stored else plural(n_shown, 'radiograph')}.",
        which,
    )


def matrix_caption(panel: MatrixPanel, contents: RunContents) -> str:
    """Of a matrix."""
    rows = [cell.row for line in panel.cells for cell in line if cell.row]
    marks = "In each cell: the AUC, its interval, and the test images with and without the finding."
    statuses = {
        "same": "Framed: trained and tested on the same cohort.",
        "not estimable": "Hatched: not estimable.",
        "small": "*: few persons.",
    }
    return _joined(
        f"{_fit(panel.finding, panel.model, panel.recipe, contents)}.",
        sentence("matrix", level=level_words(rows[0])) if rows else "",
        marks,
        *(words for name, words in statuses.items() if name in panel.marks),
        _persons(rows, "in a cell"),
        _seeds(rows),
        _method(rows),
    )


def seed_spread_caption(spread: SeedSpread, panel: MatrixPanel, contents: RunContents) -> str:
    """Of the spread between seeds."""
    rows = [cell.row for line in panel.cells for cell in line if cell.row]
    drawn = sum(len(block.rows) for block in spread.blocks)
    return _joined(
        f"{_fit(panel.finding, panel.model, panel.recipe, contents)}.",
        sentence("seed_spread"),
        f"Dots: the {plural(spread.n_seeds, 'seed')}; upright mark and band: their mean and its interval.",
        _persons(rows, "in a cell"),
        _method(rows, level=True),
        _rest(drawn + spread.n_left_out, drawn, "fits", "row"),
    )


def forest_caption(gaps: Forest, n_drawn: int, contents: RunContents) -> str:
    """Of a forest plot of gaps."""
    rows = [gap.row for gap in gaps.rows[:n_drawn]]
    return _joined(
        sentence("gaps", kinds=KIND_PLURALS[gaps.kind], question=KIND_QUESTIONS[gaps.kind]),
        "Differences of AUC, first minus second.",
        VERDICT_MARKS.format(margin=decimal(gaps.margin, 2)),
        _persons(rows, "in a comparison"),
        _seeds(rows),
        _method(rows, level=True),
        _rest(gaps.total, len(rows), "gaps", "comparison"),
    )


def case_mix_caption(found: Survival, n_drawn: int, contents: RunContents) -> str:
    """Of gaps at an equal mix."""
    rows = [way.row for comparison in found.comparisons[:n_drawn] for way in comparison.ways]
    return _joined(
        sentence("case_mix", margin=decimal(found.margin, 2)),
        "Marks are verdicts: diamond, gap; filled dot, no gap beyond the margin; hollow dot, inconclusive.",
        _persons(rows, "in a comparison"),
        _seeds(rows),
        f"Intervals: {level_words(rows[0])}, each by its own way's rule." if rows else "",
        _rest(found.total, n_drawn, "case_mix", "comparison"),
    )


def train_test_caption(pairs: Dumbbell, n_drawn: int, contents: RunContents) -> str:
    """Of training against test."""
    rows = [pair.row for pair in pairs.rows[:n_drawn]]
    return _joined(
        sentence("train_test"),
        "Square: training images; dot: test persons; open triangles: reported by others.",
        "The number is their difference with its interval.",
        _persons(rows, "in both together"),
        _seeds(rows),
        _method(rows, level=True),
        _rest(pairs.total, len(rows), "gaps", "gap"),
    )


def curves_by_group_caption(panel: FitPanel, found: Performance, shown: str, contents: RunContents) -> str:
    """Of the curves of one fit by group; `shown` says which fits have a figure."""
    seeds = " and seeds" if found.n_seeds > 1 else ""
    return _joined(
        _trained(panel, contents),
        sentence("curves_by_group", level=level_words({"confidence_level": found.confidence_level}), seeds=seeds),
        "Groups differ by colour, dash and mark. Dotted: guessing, or calling everybody.",
        _persons(_counted(panel), "in a group"),
        "Curves are averaged over seeds at the same false-positive rate, recall or bin of the score."
        if found.n_seeds > 1
        else "One training seed.",
        "Limits: Wilson's form on the images that make p(1 − p)/n the variance; persons are clusters.",
        shown,
    )


def decisions_caption(panel: FitPanel, found: Performance, shown: str, contents: RunContents) -> str:
    """Of sensitivity, specificity and predictive values by group."""
    return _joined(
        _trained(panel, contents),
        sentence("decisions", level=level_words({"confidence_level": found.confidence_level})),
        panel.point,
        _persons(_counted(panel), "in a group"),
        _seeds(_numbers(panel, "sensitivity")),
        _method(_numbers(panel, "sensitivity")),
        shown,
    )


def decision_gaps_caption(panel: FitPanel, found: Performance, shown: str, contents: RunContents) -> str:
    """Of differences of the rates between groups."""
    level = level_words({"confidence_level": found.confidence_level})
    return _joined(
        _trained(panel, contents),
        f"Differences between groups at the operating point, first minus second, with {level} intervals.",
        "Descriptive: no verdict rests on them, and they are not corrected for their number.",
        _persons(_counted(panel), "in a group"),
        _seeds(_numbers(panel, "sensitivity")),
        "Intervals: MOVER from both groups' limits; the threshold is taken as given.",
        shown,
    )


def _trained(panel: FitPanel, contents: RunContents) -> str:
    return (
        f"{_fit(panel.finding, panel.model, panel.recipe, contents)}, trained on {isolated(panel.train_cohort)}."
    )


def _counted(panel: FitPanel) -> list[Row]:
    return [row.counts for group_set in panel.sets for row in group_set.rows if row.counts]


def _numbers(panel: FitPanel, metric: str) -> list[Row]:
    return [row.numbers[metric] for one in panel.sets for row in one.rows if metric in row.numbers]


def love_caption(found: LovePlot) -> str:
    """Of the love plot."""
    return _joined(
        sentence("love_plot"),
        "Open square: training split; dot: test split; dashed: 0.1, often called an imbalance; an arrow leaves "
        "the scale. Differences are without a sign. Images and counts: tables/differences.",
        _rest(len(found.panels[0].pairs) + found.n_left_out, len(found.panels[0].pairs), "differences", "pair"),
    )


def composition_caption(found: Composition, contents: RunContents) -> str:
    """Of the AUC by the share of a group in training."""
    level = level_words({"confidence_level": found.confidence_level})
    rows = rows_of(found.table)
    words = {"attribute": isolated(found.attribute), "value": isolated(found.value)}
    return _joined(
        sentence("composition", level=level, **words),
        f"Finding: {isolated(found.finding)}. Bands are pointwise; open diamonds: reported by others.",
        _persons(rows, "at a point"),
        _seeds(rows),
    )


def waterfall_caption(panel: WaterfallPanel, found: Waterfalls, which: str = "") -> str:
    """Of the gap waterfall; `which` says what of several figures this is."""
    rows = [stage.row for one in panel.waterfalls for stage in one.stages]
    return _joined(
        f"{isolated(panel.name)}." if panel.name else "",
        sentence("waterfall", level=level_words({"confidence_level": found.confidence_level})),
        "Squares: training images, a description; dots: other persons. Filled bar: a fall; hollow: a rise; *: the "
        "interval of the step leaves out zero.",
        _persons(rows, "at a level"),
        _seeds(rows),
        _method(rows),
        which,
    )


def control_caption(part: ControlPart, figure: ControlFigure, contents: RunContents) -> str:
    """Of a control."""
    rows = [dot.row for block in part.blocks for dot in block.dots]
    rows += [cell.row for _, cells in part.cells for cell in cells if cell.row]
    marks = (
        "Filled: the study's own fits; hollow: the control." if part.blocks else "Framed: the same cohort twice."
    )
    return _joined(
        f"{figure.title}: {isolated(part.finding)}.",
        figure.caption,
        marks,
        _persons(rows, "at a mark" if part.blocks else "in a cell"),
        _seeds(rows),
        _method(rows, level=True),
    )


def encoding_caption(found: Probes, n_drawn: int) -> str:
    """Of the probes."""
    rows = [mark.row for block in found.blocks for line in block.lines for mark in line.marks]
    shapes = ("square", "dot", "diamond", "cross")
    marks = listed([f"{shape}: {words}" for shape, words in zip(shapes, SOURCES.values(), strict=True)])
    return _joined(
        sentence("encoding", level=level_words({"confidence_level": found.confidence_level})),
        f"{marks[:1].upper()}{marks[1:]}. The line is 0.5, where nothing is told.",
        _persons(rows, "at a mark"),
        _method(rows),
        _rest(found.total, n_drawn, "encoding", "fit"),
    )


def saliency_caption(
    key: tuple[str, str, str], cells: pd.DataFrame, contents: RunContents, which: str = ""
) -> str:
    """Of mean heat maps; `which` says what of several figures this is."""
    absent = listed(distinct(cells.loc[cells["place"] < 0, "reason"]), limit=3)
    return _joined(
        f"{_fit(*key, contents)}.",
        sentence("saliency", n_most=count(cells["n_images"].max())),
        "HiResCAM, averaged over images and seeds, over the mean radiograph of the same images; n below each: "
        "images and persons. The scale is heat, times an even spread. A mean map has no interval.",
        f"Hatched: not available, since {absent}." if absent else "",
        _seeds(rows_of(cells)),
        which,
    )


def curves_caption(panels: Sequence[CurvePanel], contents: RunContents) -> str:
    """Of the learning curves."""
    n_fits = len({(one.train_cohort, one.model, one.recipe, line.seed) for one in panels for line in one.lines})
    return _joined(
        sentence("curves"),
        "Dotted: training, augmented, while training; solid: validation; dot: the epoch that was kept.",
        f"{plural(n_fits, 'fit')}, {plural(len(contents.study.seeds), 'training seed')}.",
        "Single fits have no interval.",
    )
