"""Which figures a run can show: the one place where a new figure is named.

A new figure is a function `thing_figure(thing, layout) -> Figure` in a module of its own in this package, which
draws at `layout.width`, its words in `captions.py`, and a line here:
`makers["name"] = PaperFigure(partial(thing_figure, thing, layout), thing_caption(thing, contents))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from subgroup_audit.errors import ReportError, nearest
from subgroup_audit.report import captions
from subgroup_audit.report.cohort_figures import flow_columns
from subgroup_audit.report.composition import composition
from subgroup_audit.report.contents import HeatMaps, RunContents, distinct, isolated
from subgroup_audit.report.controls import controls
from subgroup_audit.report.curves import curve_panels
from subgroup_audit.report.encoding import probes
from subgroup_audit.report.gaps import TESTED_KINDS, dumbbell, forest
from subgroup_audit.report.love_plot import love_plot
from subgroup_audit.report.matrix import matrix_panels, panel_names
from subgroup_audit.report.numerals import listed, plural
from subgroup_audit.report.paper_figures.composition import composition_figure
from subgroup_audit.report.paper_figures.controls import dots_figure, inflation_figure
from subgroup_audit.report.paper_figures.curves import curves_figure
from subgroup_audit.report.paper_figures.flow import flow_figure, flow_pages
from subgroup_audit.report.paper_figures.gaps import AROUND, dumbbell_figure, forest_figure
from subgroup_audit.report.paper_figures.heat import heat_figure, heat_pages
from subgroup_audit.report.paper_figures.looks import MAX_BLOCKS, probes_figure
from subgroup_audit.report.paper_figures.love_plot import drawable, love_figure
from subgroup_audit.report.paper_figures.matrix import matrix_figure
from subgroup_audit.report.paper_figures.panels import in_pages
from subgroup_audit.report.paper_figures.performance import (
    curves_by_group_figure,
    decision_gaps_figure,
    decisions_figure,
    first_panels,
)
from subgroup_audit.report.paper_figures.rows import rows_that_fit
from subgroup_audit.report.paper_figures.samples import n_shown, sample_pages, samples_figure
from subgroup_audit.report.paper_figures.seed_spread import seed_spread_figure
from subgroup_audit.report.paper_figures.style import EVERY_COHORT, ONE_COLUMN, Layout, file_name
from subgroup_audit.report.paper_figures.survival import survival_figure, that_fit
from subgroup_audit.report.paper_figures.waterfall import waterfall_figure
from subgroup_audit.report.performance import FitPanel, Performance, performance
from subgroup_audit.report.saliency import MAX_PANELS, panel_cells, panel_keys
from subgroup_audit.report.seed_spread import seed_spreads
from subgroup_audit.report.survival import survival
from subgroup_audit.report.waterfall import WaterfallPanel, Waterfalls, waterfalls

MAX_MATRICES = 8
MAX_WATERFALL_PANELS = 8
# Fits whose curves and decisions are drawn unless cohorts are asked for: of each finding, model and recipe the one
# that trained on the first cohort. Each takes three figures, and drawing them is most of what a report takes.
MAX_FITS = 2

Draw = Callable[[], Any]


@dataclass(frozen=True)
class PaperFigure:
    """A figure that is drawn when it is called, and its caption."""

    draw: Draw
    caption: str

    def __call__(self) -> Any:
        """The drawing."""
        return self.draw()


def figure_makers(contents: RunContents, layout: Layout = ONE_COLUMN) -> dict[str, PaperFigure]:
    """The figures that this run can show, by file name; nothing is drawn before it is called.

    Raises
    ------
    ReportError : the layout asks for a training cohort that the run has not
    """
    asked = contents.study.figures
    makers = _flow_makers(contents, layout) if "flow" in asked else {}
    makers |= _audit_makers(contents, layout)
    if "performance" in asked:
        makers |= _performance_makers(contents, layout)
    love = love_plot(contents.differences, contents.study)
    if love is not None and drawable(love):
        makers["love_plot"] = PaperFigure(partial(love_figure, love, layout), captions.love_caption(love))
    mixed = composition(contents)
    if mixed is not None:
        words = captions.composition_caption(mixed, contents)
        makers["composition"] = PaperFigure(partial(composition_figure, mixed, layout), words)
    if "waterfall" in asked:
        makers |= _diagnosis_makers(contents, layout)
    makers |= _looks_makers(contents, layout)
    if "curves" in asked and contents.history is not None and len(contents.history):
        panels = curve_panels(contents.history, contents.study)
        words = captions.curves_caption(panels, contents)
        makers["curves"] = PaperFigure(partial(curves_figure, panels, layout), words)
    return makers | (_sample_makers(contents, layout) if "samples" in asked else {})


def _numbered(name: str, number: int) -> str:
    """A file's name where a figure goes on in others: the first has no number."""
    return f"{name}_{number}" if number > 1 else name


def _which(number: int, pages: Sequence[Any], words: str = "") -> str:
    """Which of several figures this is; '' where it is the only one."""
    return f"Figure {number} of {len(pages)}{words}." if len(pages) > 1 else ""


def _flow_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    """The flow, numbered where its cohorts need more figures than one."""
    if contents.flow is None or not len(contents.flow):
        return {}
    columns = flow_columns(contents.flow, contents.study)
    pages = flow_pages(columns, layout)
    makers: dict[str, PaperFigure] = {}
    for number, page in enumerate(pages, 1):
        words = captions.flow_caption(columns, _which(number, pages))
        makers[_numbered("flow", number)] = PaperFigure(partial(flow_figure, page, layout), words)
    return makers


def _sample_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    """The sample radiographs, numbered where they need more figures than one."""
    pages = sample_pages(contents.samples, layout)
    shown, makers = n_shown(pages), dict[str, PaperFigure]()
    for number, page in enumerate(pages, 1):
        words = captions.samples_caption(shown, len(contents.samples), _which(number, pages))
        makers[_numbered("samples", number)] = PaperFigure(partial(samples_figure, page, layout), words)
    return makers


def _audit_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    result, asked = contents.result, contents.study.figures
    makers: dict[str, PaperFigure] = {}
    if result is None:
        return makers
    if "matrix" in asked:
        makers |= _matrix_makers(contents, layout)
    if "gaps" in asked:
        makers |= _gap_makers(contents, layout)
    pairs = dumbbell(result.contrasts, contents.study)
    if "train_test" in asked and pairs.rows:
        words = captions.train_test_caption(pairs, rows_that_fit(layout, AROUND), contents)
        makers["train_test"] = PaperFigure(partial(dumbbell_figure, pairs, layout), words)
    return makers


def _matrix_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    result = contents.result
    makers: dict[str, PaperFigure] = {}
    if result is None:
        return makers
    panels = matrix_panels(result.estimates, contents.study)
    for panel in panels[:MAX_MATRICES]:
        words = captions.matrix_caption(panel, contents)
        makers[f"matrix_{file_name(panel.key)}"] = PaperFigure(partial(matrix_figure, panel, layout), words)
    for spread in seed_spreads(panels, panel_names(panels), result)[:MAX_MATRICES]:
        panel = panels[spread.place]
        words = captions.seed_spread_caption(spread, panel, contents)
        makers[f"seeds_{file_name(panel.key)}"] = PaperFigure(partial(seed_spread_figure, spread, layout), words)
    return makers


def _performance_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    found = performance(contents)
    makers: dict[str, PaperFigure] = {}
    if found is None:
        return makers
    chosen, shown = chosen_fits(found, layout.cohorts)
    for panel in chosen:
        key = file_name(" ".join((panel.finding, panel.model, panel.recipe, panel.train_cohort)))
        if any(plot.lines for group_set in panel.sets for plot in group_set.plots):
            words = captions.curves_by_group_caption(panel, found, shown, contents)
            drawn = partial(curves_by_group_figure, panel, found, layout)
            makers[f"curves_by_group_{key}"] = PaperFigure(drawn, words)
        if panel.rates:
            words = captions.decisions_caption(panel, found, shown, contents)
            makers[f"decisions_{key}"] = PaperFigure(partial(decisions_figure, panel, layout), words)
        if panel.gaps:
            words = captions.decision_gaps_caption(panel, found, shown, contents)
            makers[f"decision_gaps_{key}"] = PaperFigure(partial(decision_gaps_figure, panel, layout), words)
    return makers


def chosen_fits(found: Performance, cohorts: tuple[str, ...]) -> tuple[list[FitPanel], str]:
    """The fits whose curves and decisions are drawn, and a sentence that says which have a figure.

    Those of the training cohorts that were asked for; without any, the first training cohort of the first models.

    Raises
    ------
    ReportError : no fit was trained on such a cohort; the nearest is named
    """
    names = distinct(panel.train_cohort for panel in found.panels)
    wanted = names if cohorts == (EVERY_COHORT,) and EVERY_COHORT not in names else list(cohorts)
    for name in wanted:
        if name not in names:
            near = nearest(name, names) or names
            raise ReportError(f"--cohort {name}: no fit was trained on it; nearest: {', '.join(near)}")
    if wanted:
        chosen = [panel for panel in found.panels if panel.train_cohort in wanted]
    else:
        chosen = first_panels(found)[:MAX_FITS]
    if len(chosen) == found.n_fits:
        return chosen, ""
    trained = listed([isolated(name) for name in distinct(panel.train_cohort for panel in chosen)])
    return chosen, (
        f"Curves and decisions of {len(chosen)} of {plural(found.n_fits, 'fit')} are drawn, a file each "
        f"(trained on {trained}); audit report RUN --cohort NAME draws those of another training cohort, and "
        "tables/performance has all."
    )


def _gap_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    result, study = contents.result, contents.study
    makers: dict[str, PaperFigure] = {}
    if result is None:
        return makers
    for kind in TESTED_KINDS:
        gaps = forest(result.contrasts, kind, study)
        if gaps.rows:
            words = captions.forest_caption(gaps, rows_that_fit(layout, AROUND), contents)
            makers[kind] = PaperFigure(partial(forest_figure, gaps, layout), words)
    found = survival(result.case_mix, study.analysis.margin)
    if found is not None:
        words = captions.case_mix_caption(found, len(that_fit(found, layout)), contents)
        makers["case_mix"] = PaperFigure(partial(survival_figure, found, layout), words)
    return makers


def _diagnosis_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    estimates = None if contents.result is None else contents.result.estimates
    levels = waterfalls(contents.waterfall, contents.study)
    changed = controls(contents.controls, estimates, contents.study)
    makers: dict[str, PaperFigure] = {}
    if levels is not None:
        for panel in levels.panels[:MAX_WATERFALL_PANELS]:
            makers |= _waterfall_makers(panel, levels, layout)
    for figure in changed.figures if changed is not None else ():
        for part in figure.parts[:MAX_WATERFALL_PANELS]:
            drawn = partial(dots_figure if part.blocks else inflation_figure, part, figure, layout)
            words = captions.control_caption(part, figure, contents)
            makers[f"control_{file_name(f'{figure.kind} {part.finding}')}"] = PaperFigure(drawn, words)
    return makers


def _waterfall_makers(panel: WaterfallPanel, levels: Waterfalls, layout: Layout) -> dict[str, PaperFigure]:
    """The waterfalls of one model, numbered where its training cohorts need more figures than one."""
    pages = in_pages(panel.waterfalls, max(len(one.stages) for one in panel.waterfalls), layout)
    makers: dict[str, PaperFigure] = {}
    for number, page in enumerate(pages, 1):
        name = _numbered(f"waterfall_{file_name(panel.name)}", number)
        cohorts = listed([isolated(one.train_cohort) for one in page])
        which = _which(number, pages, f": trained on {cohorts}")
        part = replace(panel, waterfalls=page)
        words = captions.waterfall_caption(part, levels, which)
        makers[name] = PaperFigure(partial(waterfall_figure, part, levels, layout), words)
    return makers


def _looks_makers(contents: RunContents, layout: Layout) -> dict[str, PaperFigure]:
    makers: dict[str, PaperFigure] = {}
    probed, seen = probes(contents.encoding), contents.saliency
    if probed is not None:
        words = captions.encoding_caption(probed, min(MAX_BLOCKS, len(probed.blocks)))
        makers["encoding"] = PaperFigure(partial(probes_figure, probed, layout), words)
    if seen is not None:
        for key in panel_keys(seen.cells)[:MAX_PANELS]:
            makers |= _heat_makers(seen, key, contents, layout)
    return makers


def _heat_makers(
    seen: HeatMaps, key: tuple[str, str, str], contents: RunContents, layout: Layout
) -> dict[str, PaperFigure]:
    """The heat maps of one model, numbered where its training cohorts need more figures than one."""
    pages, cells = heat_pages(seen, key, contents.study, layout), panel_cells(seen.cells, key)
    makers: dict[str, PaperFigure] = {}
    for number, page in enumerate(pages, 1):
        cohorts = listed([isolated(cohort) for cohort in page.cohorts])
        which = _which(number, pages, f": trained on {cohorts}")
        words = captions.saliency_caption(key, cells, contents, which)
        name = _numbered(f"saliency_{file_name(' '.join(key))}", number)
        makers[name] = PaperFigure(partial(heat_figure, page), words)
    return makers
