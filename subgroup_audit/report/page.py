"""The report page: every part as the templates want it, rendered into one file that opens without a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from subgroup_audit.report import belonging, captions, cohort_figures, composition, numerals, sentences
from subgroup_audit.report.causes import fit_words, named_causes
from subgroup_audit.report.contents import RunContents, isolated, rows_of
from subgroup_audit.report.controls import MAX_TABLE_ROWS, Controls, asked_controls, controls
from subgroup_audit.report.curves import MEASURES, CurvePanel, curve_panels, figure_spec
from subgroup_audit.report.encoding import SOURCES, probes, share_table
from subgroup_audit.report.fit_table import fit_line, fit_table, references_of_fits
from subgroup_audit.report.gaps import VERDICT_KEYS, Dumbbell, dumbbell, forest
from subgroup_audit.report.love_plot import love_plot
from subgroup_audit.report.matrix import MACRO_MEAN, MatrixPanel, count_matrices, matrix_panels, panel_names
from subgroup_audit.report.methods import GLOSSARY, method_words, methods_paragraphs, references_cited
from subgroup_audit.report.origins import origin
from subgroup_audit.report.paper_figures import ONE_COLUMN, Layout, figure_makers, write_figures
from subgroup_audit.report.paper_links import paper_links
from subgroup_audit.report.paper_text import caption_texts, paper_texts, write_paper
from subgroup_audit.report.performance import performance
from subgroup_audit.report.published import published_table
from subgroup_audit.report.saliency import looks
from subgroup_audit.report.samples import pictures_by_cohort
from subgroup_audit.report.seed_spread import seed_spreads
from subgroup_audit.report.spreads import spread_table, worst_group_sentences
from subgroup_audit.report.survival import SHOWN_AT_ONCE, reading_of_way, survival
from subgroup_audit.report.tables import report_tables, to_csv, write_tables
from subgroup_audit.report.waterfall import reading_of_stage, waterfalls
from subgroup_audit.study import Reference

# A table larger than this is linked as a file beside the page instead of lying inside it.
MAX_EMBEDDED_CSV = 400_000
# A quarter of the whole library; `vendored/README.md` says where it is from.
PLOTLY = "plotly-basic-4.1.1.min.js"
SECTIONS: Mapping[str, str] = {
    "composition": "Composition of the training set",
    "matrix": "Every model on every group",
    "gaps": "Gaps",
    "case_mix": "Does the gap survive?",
    "performance": "Curves and decisions by group",
    "train_test": "Training against test",
    "published": "Beside published figures",
    "waterfall": "Where the gap comes from",
    "encoding": "What the features tell",
    "saliency": "Where the network looks",
    "curves": "Learning curves",
    "flow": "Who is in the cohorts",
    "samples": "Sample radiographs",
}


@dataclass(frozen=True)
class Plot:
    """A learning-curve panel and the name under which the page's script finds its figure."""

    key: str
    panel: CurvePanel


def render_report(contents: RunContents, folder: Path, layout: Layout = ONE_COLUMN) -> Path:
    """The path of `report.html`, written with `tables/`, `figures/` and `paper/` into `folder`.

    Everything comes from stored numbers, and the same contents give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = report_tables(contents)
    write_tables(tables, folder / "tables")
    makers = figure_makers(contents, layout)
    write_figures(makers, folder / "figures", layout)
    write_paper({**paper_texts(contents), **caption_texts(makers)}, folder / "paper")
    page = folder / "report.html"
    page.write_text(render_page(contents, tables, layout), encoding="utf-8")
    return page


def render_page(contents: RunContents, tables: Mapping[str, pd.DataFrame], layout: Layout = ONE_COLUMN) -> str:
    """The page as text."""
    environment = page_environment()
    environment.globals["downloads"] = {name: download(name, frame) for name, frame in tables.items()}
    return environment.get_template("report.html").render(
        {**page_parts(contents), "paper": paper_links(contents, tables, layout)}
    )


def download(name: str, frame: pd.DataFrame) -> str:
    """Where a reader gets the table: inside the page as a data URI, or a file beside it if it is large."""
    text = to_csv(frame).encode("utf-8")
    if len(text) > MAX_EMBEDDED_CSV:
        return f"tables/{name}.csv"
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(text).decode("ascii")


def page_parts(contents: RunContents) -> dict[str, Any]:
    """Everything that the templates name; a part that is absent is None or empty."""
    methods = methods_paragraphs(contents)
    parts = {
        "contents": contents,
        "study": contents.study,
        "sections": [(name, SECTIONS[name]) for name in section_order(contents)],
        "facts": sentences.facts(contents),
        "origin": origin(contents),
        "methods": methods,
        "references": references_cited(methods),
        "glossary": GLOSSARY,
        "style": Markup("\n").join([resource("style.css"), resource("performance.css")]),
        "script": resource("page.js"),
    }
    parts |= {**_audit_parts(contents), **_diagnosis_parts(contents), "performance": performance(contents)}
    drawn = _curve_parts(contents)
    parts |= {**drawn, **_cohort_parts(contents), **_composition_parts(contents, drawn["specs"])}
    return {**parts, **_belonging_parts(contents)}


def _belonging_parts(contents: RunContents) -> dict[str, Any]:
    return {
        "order_sentence": belonging.order_sentence(contents.order_check),
        "order_rows": belonging.order_rows(contents.order_check),
        "is_in_order": belonging.is_in_order(contents.order_check),
        "copy_sentences": belonging.copy_sentences(contents.same_scores),
        "error_sentence": belonging.error_sentence(contents.error_counts),
        "error_rows": belonging.error_rows(contents.error_counts),
    }


def section_order(contents: RunContents) -> list[str]:
    """The sections in the study's order; the cohorts are always shown, since every number rests on them."""
    asked: list[str] = list(contents.study.figures)
    if "gaps" in asked and _has_case_mix(contents):
        asked.insert(asked.index("gaps") + 1, "case_mix")
    if composition.composition(contents) is not None:
        asked.insert(0, "composition")
    if contents.study.reference and contents.result is not None:
        asked.insert(asked.index("train_test") + 1 if "train_test" in asked else len(asked), "published")
    inside = [name for name in ("encoding", "saliency") if name in contents.study.diagnose]
    after = asked.index("waterfall") + 1 if "waterfall" in asked else len(asked)
    asked[after:after] = inside
    return asked if "flow" in asked else [*asked, "flow"]


def _has_case_mix(contents: RunContents) -> bool:
    """Whether any subgroup gap was estimated at an equal mix too."""
    result = contents.result
    return result is not None and result.case_mix is not None and len(result.case_mix) > 0


def _audit_parts(contents: RunContents) -> dict[str, Any]:
    result, study = contents.result, contents.study
    if result is None:
        empty: dict[str, Any] = {"headline": None, "cards": [], "card_note": "", "limits": ""}
        return {**empty, "panels": [], "forests": [], "dumbbell": None}
    panels, cards = matrix_panels(result.estimates, study), sentences.cards(result)
    pairs = dumbbell(result.contrasts, study)
    kinds = [kind for kind in sentences.KIND_NAMES if kind != "generalization_gap"]
    forests = [forest(result.contrasts, kind, study) for kind in kinds]
    return {
        "headline": sentences.headline(result, study),
        "cards": cards,
        "card_note": sentences.card_note(cards),
        "limits": sentences.limits_sentence(result.contrasts),
        "panels": panels,
        "panels_left_out": count_matrices(result.estimates) - len(panels),
        "panel_names": panel_names(panels),
        "forests": [found for found in forests if found.rows],
        "dumbbell": pairs if pairs.rows else None,
        "seed_spreads": seed_spreads(panels, panel_names(panels), result),
        "spreads": spread_table(result.spreads),
        "worst_groups": worst_group_sentences(result.spreads),
        "survival": survival(result.case_mix, study.analysis.margin),
        "shown_at_once": SHOWN_AT_ONCE,
        "unmatched": unmatched_references(contents, panels, pairs),
        "settings": result.settings,
        "published": published_rows(contents),
    }


def published_rows(contents: RunContents) -> list[dict[str, Any]] | None:
    """The table of published figures as rows, what is missing as None; None where the study names none."""
    table = published_table(contents)
    return None if table is None else rows_of(table.astype(object).where(table.notna(), None))


def unmatched_references(contents: RunContents, panels: list[MatrixPanel], pairs: Dumbbell) -> list[Reference]:
    """The published figures that stand beside no cell, gap, curve or fit of this run."""
    cells = [cell for panel in panels for line in panel.cells for cell in line]
    drawn = [reference for cell in cells for reference in cell.references]
    drawn += [reference for row in pairs.rows for reference, _ in row.references]
    drawn += references_of_fits(contents)
    return [reference for reference in contents.study.reference if reference not in drawn]


def _diagnosis_parts(contents: RunContents) -> dict[str, Any]:
    return {
        "waterfalls": waterfalls(contents.waterfall, contents.study),
        "causes": named_causes(contents.causes, contents.study),
        "controls": run_controls(contents),
        "asked_controls": asked_controls(contents.study),
        "max_table_rows": MAX_TABLE_ROWS,
        "probes": probes(contents.encoding),
        "probe_sources": SOURCES,
        "shares": share_table(contents.advantage),
        "looks": looks(contents.saliency, contents.study),
    }


def run_controls(contents: RunContents) -> Controls | None:
    """The controls of a run beside the audit's own estimates."""
    estimates = None if contents.result is None else contents.result.estimates
    return controls(contents.controls, estimates, contents.study)


def _curve_parts(contents: RunContents) -> dict[str, Any]:
    if not contents.has("history") or contents.history is None or "curves" not in contents.study.figures:
        return {"plots": {}, "specs": {}, "plotly": "", "fit_lines": []}
    plots: dict[str, list[Plot]] = {}
    specs = {}
    for number, panel in enumerate(curve_panels(contents.history, contents.study)):
        plots.setdefault(panel.train_cohort, []).append(Plot(f"curve-{number}", panel))
        specs[f"curve-{number}"] = figure_spec(panel)
    table = fit_table(contents)
    lines = [] if table is None else [fit_line(row) for row in rows_of(table)]
    return {"plots": plots, "specs": specs, "plotly": plotly_script(), "fit_lines": lines}


def _composition_parts(contents: RunContents, specs: Mapping[str, Any]) -> dict[str, Any]:
    """The composition curves, with their figures added to those that the page's script draws."""
    found = composition.composition(contents)
    if found is None:
        return {"composition": None, "composition_plots": []}
    drawn = {f"composition-{i}": panel for i, panel in enumerate(found.panels)}
    return {
        "composition": found,
        "composition_plots": [{"key": key, "panel": panel} for key, panel in drawn.items()],
        "specs": {**specs, **{key: composition.figure_spec(panel) for key, panel in drawn.items()}},
        "plotly": plotly_script(),
    }


def _cohort_parts(contents: RunContents) -> dict[str, Any]:
    study = contents.study
    flow, table1, ceiling, leakage, counts = (
        shown(contents, part) for part in ("flow", "table1", "ceiling", "leakage", "counts")
    )
    return {
        "sizes": {} if flow is None else cohort_figures.split_sizes(flow),
        "flow": [] if flow is None else cohort_figures.flow_columns(flow, study),
        "love": love_plot(contents.differences, study),
        "grids": [] if table1 is None else cohort_figures.table1_grids(table1, study),
        "ceiling": [] if ceiling is None else cohort_figures.ceiling_rows(ceiling),
        "limiting": [] if ceiling is None else cohort_figures.limiting_cells(ceiling, study),
        "leakage": [] if leakage is None else cohort_figures.leakage_rows(leakage, contents.image_level_leakage),
        "leaked_overall": cohort_figures.leaked_overall(contents.image_level_leakage),
        "counts": None if counts is None else cohort_figures.count_rows(counts),
        "pictures": pictures_by_cohort(contents.samples),
    }


def shown(contents: RunContents, part: str) -> pd.DataFrame | None:
    """The frame of a part, or None where it is absent or empty."""
    frame: pd.DataFrame | None = getattr(contents, part)
    return frame if frame is not None and len(frame) else None


def page_environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("subgroup_audit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("decimal", "signed", "interval", "p_value", "count", "percent", "duration", "plural", "listed")
    environment.filters.update({name: getattr(numerals, name) for name in names})
    environment.filters["isolated"] = isolated
    environment.globals.update(
        verdict_words=sentences.VERDICT_WORDS,
        verdict_keys=VERDICT_KEYS,
        kind_names=sentences.KIND_NAMES,
        kind_plurals=sentences.KIND_PLURALS,
        panel_note=sentences.panel_note,
        kind_questions=sentences.KIND_QUESTIONS,
        reading_of_row=sentences.reading_of_row,
        reading_of_way=reading_of_way,
        fit_words=fit_words,
        reading_of_stage=reading_of_stage,
        gap_sentence=sentences.gap_sentence,
        is_number=numerals.is_number,
        macro_mean=MACRO_MEAN,
        caption=captions.sentence,
        curve_measures=MEASURES,
        cell_words=cohort_figures.cell_words,
        level_words=sentences.level_words,
        method_words=method_words,
    )
    return environment


def resource(name: str) -> Markup:
    """One of our own files of `templates/`, which is trusted as it stands."""
    return Markup((files("subgroup_audit.report") / "templates" / name).read_text(encoding="utf-8"))


def plotly_script() -> Markup:
    """plotly.js, lines and bars alone, to be embedded once; nothing is asked of any server."""
    return Markup((files("subgroup_audit.report") / "vendored" / PLOTLY).read_text(encoding="utf-8"))
