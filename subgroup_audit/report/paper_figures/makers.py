"""Which figures a run can show: the one place where a new figure is named.

A new figure is a function `thing_figure(thing, layout) -> Figure` in a module of its own in this package, which
draws at `layout.width`, and a line here: `makers["name"] = partial(thing_figure, thing, layout)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from subgroup_audit.report.composition import composition
from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.controls import controls
from subgroup_audit.report.curves import curve_panels
from subgroup_audit.report.encoding import probes
from subgroup_audit.report.gaps import dumbbell, forest
from subgroup_audit.report.love_plot import love_plot
from subgroup_audit.report.matrix import matrix_panels, panel_names
from subgroup_audit.report.paper_figures.composition import composition_figure
from subgroup_audit.report.paper_figures.controls import dots_figure, inflation_figure
from subgroup_audit.report.paper_figures.curves import curves_figure
from subgroup_audit.report.paper_figures.gaps import dumbbell_figure, forest_figure
from subgroup_audit.report.paper_figures.looks import heat_figure, probes_figure
from subgroup_audit.report.paper_figures.love_plot import drawable, love_figure
from subgroup_audit.report.paper_figures.matrix import matrix_figure
from subgroup_audit.report.paper_figures.performance import (
    curves_by_group_figure,
    decision_gaps_figure,
    decisions_figure,
    first_panels,
)
from subgroup_audit.report.paper_figures.seed_spread import seed_spread_figure
from subgroup_audit.report.paper_figures.style import ONE_COLUMN, Layout, file_name
from subgroup_audit.report.paper_figures.survival import survival_figure
from subgroup_audit.report.paper_figures.waterfall import waterfall_figure
from subgroup_audit.report.performance import performance
from subgroup_audit.report.saliency import MAX_PANELS, panel_keys
from subgroup_audit.report.seed_spread import seed_spreads
from subgroup_audit.report.survival import survival
from subgroup_audit.report.waterfall import waterfalls

MAX_MATRICES = 8
MAX_WATERFALL_PANELS = 8
# Fits whose curves and decisions are drawn: of each finding, model and recipe that trained on its first cohort.
MAX_FITS = 2

Draw = Callable[[], Any]


def figure_makers(contents: RunContents, layout: Layout = ONE_COLUMN) -> dict[str, Draw]:
    """The figures that this run can show, by file name; nothing is drawn before it is called."""
    asked = contents.study.figures
    makers = _audit_makers(contents, layout)
    if "performance" in asked:
        makers |= _performance_makers(contents, layout)
    love = love_plot(contents.differences, contents.study)
    if love is not None and drawable(love):
        makers["love_plot"] = partial(love_figure, love, layout)
    mixed = composition(contents)
    if mixed is not None:
        makers["composition"] = partial(composition_figure, mixed, layout)
    if "waterfall" in asked:
        makers |= _diagnosis_makers(contents, layout)
    makers |= _looks_makers(contents, layout)
    if "curves" in asked and contents.history is not None and len(contents.history):
        panels = curve_panels(contents.history, contents.study)
        makers["curves"] = partial(curves_figure, panels, layout)
    return makers


def _audit_makers(contents: RunContents, layout: Layout) -> dict[str, Draw]:
    result, study, asked = contents.result, contents.study, contents.study.figures
    makers: dict[str, Draw] = {}
    if result is None:
        return makers
    if "matrix" in asked:
        for panel in matrix_panels(result.estimates, study)[:MAX_MATRICES]:
            makers[f"matrix_{file_name(panel.key)}"] = partial(matrix_figure, panel, layout)
        panels = matrix_panels(result.estimates, study)
        for spread in seed_spreads(panels, panel_names(panels), result)[:MAX_MATRICES]:
            makers[f"seeds_{file_name(panels[spread.place].key)}"] = partial(seed_spread_figure, spread, layout)
    if "gaps" in asked:
        makers |= _gap_makers(contents, layout)
    pairs = dumbbell(result.contrasts, study)
    if "train_test" in asked and pairs.rows:
        makers["train_test"] = partial(dumbbell_figure, pairs, layout)
    return makers


def _performance_makers(contents: RunContents, layout: Layout) -> dict[str, Draw]:
    found = performance(contents)
    makers: dict[str, Draw] = {}
    if found is None:
        return makers
    for panel in first_panels(found)[:MAX_FITS]:
        key = file_name(" ".join((panel.finding, panel.model, panel.recipe, panel.train_cohort)))
        if any(plot.lines for group_set in panel.sets for plot in group_set.plots):
            makers[f"curves_by_group_{key}"] = partial(curves_by_group_figure, panel, found, layout)
        if panel.rates:
            makers[f"decisions_{key}"] = partial(decisions_figure, panel, layout)
        if panel.gaps:
            makers[f"decision_gaps_{key}"] = partial(decision_gaps_figure, panel, layout)
    return makers


def _gap_makers(contents: RunContents, layout: Layout) -> dict[str, Draw]:
    result, study = contents.result, contents.study
    makers: dict[str, Draw] = {}
    if result is None:
        return makers
    for kind in ("subgroup_gap", "transfer_gap"):
        gaps = forest(result.contrasts, kind, study)
        if gaps.rows:
            makers[kind] = partial(forest_figure, gaps, layout)
    found = survival(result.case_mix, study.analysis.margin)
    if found is not None:
        makers["case_mix"] = partial(survival_figure, found, layout)
    return makers


def _diagnosis_makers(contents: RunContents, layout: Layout) -> dict[str, Draw]:
    estimates = None if contents.result is None else contents.result.estimates
    levels = waterfalls(contents.waterfall, contents.study)
    changed = controls(contents.controls, estimates, contents.study)
    makers: dict[str, Draw] = {}
    if levels is not None:
        for panel in levels.panels[:MAX_WATERFALL_PANELS]:
            makers[f"waterfall_{file_name(panel.name)}"] = partial(waterfall_figure, panel, levels, layout)
    for figure in changed.figures if changed is not None else ():
        for part in figure.parts[:MAX_WATERFALL_PANELS]:
            drawn = dots_figure if part.blocks else inflation_figure
            makers[f"control_{file_name(f'{figure.kind} {part.finding}')}"] = partial(drawn, part, figure, layout)
    return makers


def _looks_makers(contents: RunContents, layout: Layout) -> dict[str, Draw]:
    makers: dict[str, Draw] = {}
    probed, seen = probes(contents.encoding), contents.saliency
    if probed is not None:
        makers["encoding"] = partial(probes_figure, probed, layout)
    if seen is not None:
        for key in panel_keys(seen.cells)[:MAX_PANELS]:
            name = f"saliency_{file_name(' '.join(key))}"
            makers[name] = partial(heat_figure, seen, key, contents.study, layout)
    return makers
