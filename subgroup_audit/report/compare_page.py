"""The page of a comparison, with its tables and figures: it shows what the result holds, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.comparison.words import KIND_TITLES, same_words
from subgroup_audit.report import compare_figures, compare_words
from subgroup_audit.report.check_methods import references_cited
from subgroup_audit.report.compare_paper import write_compare_figures
from subgroup_audit.report.compare_tables import write_compare_tables
from subgroup_audit.report.contents import rows_of
from subgroup_audit.report.methods import REFERENCES
from subgroup_audit.report.page import download, page_environment, resource

SECTIONS: Mapping[str, str] = {
    "differences": "Differences",
    "matrix": "Cell by cell",
    "both": "Both sides' AUC",
    "train_test": "Train/test gaps",
    "design": "What changed in the design",
    "matching": "Who was compared",
}


def write_comparison(result: ComparisonResult, folder: Path) -> Path:
    """The path of `compare.html`, written with `compare.json`, `tables/` and `figures/` into `folder`.

    The same result gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_compare_tables(result, folder / "tables")
    write_compare_figures(result, folder / "figures")
    (folder / "compare.json").write_text(result.to_json(), encoding="utf-8")
    page = folder / "compare.html"
    page.write_text(render_comparison(result), encoding="utf-8")
    return page


def render_comparison(result: ComparisonResult) -> str:
    """The page as text."""
    environment = page_environment()
    environment.globals.update(
        verdict_keys=compare_figures.COMPARISON_KEYS,
        verdict_words={
            "gap": "difference",
            "equal": "no difference beyond the margin",
            "inconclusive": "inconclusive",
            "absent": "not estimable",
            "descriptive": "descriptive",
        },
        reading=compare_words.reading,
        downloads={name: download(name, frame) for name, frame in result.tables().items()},
    )
    return environment.get_template("compare.html").render(comparison_parts(result))


def comparison_parts(result: ComparisonResult) -> dict[str, Any]:
    """Everything that the templates name."""
    methods = compare_words.methods_paragraphs(result)
    seen = result.differences[result.differences["kind"] == "generalization_gap"]
    names = compare_figures.varying(result.differences)
    return {
        "result": result,
        "question": compare_words.question(result),
        "headline": compare_words.headline(result),
        "cards": compare_words.cards(result),
        "limits": compare_words.limits(result),
        "facts": compare_words.facts(result),
        "sections": list(SECTIONS.items()),
        "forests": compare_figures.forests(result),
        "matrices": compare_figures.matrices(result),
        "pairs": compare_figures.pairs(result),
        "seen": [(row, compare_figures.context_of(row, names)) for row in rows_of(seen)],
        "changes": rows_of(result.changes),
        "sizes": size_lines(result),
        "matches": rows_of(result.matching),
        "same": {label: same_words(same) for label, same in result.settings["same_results"].items() if same},
        "kind_titles": KIND_TITLES,
        "methods": methods,
        "references": references_cited(methods, REFERENCES),
        "glossary": compare_words.GLOSSARY,
        "style": resource("style.css") + resource("compare.css"),
        "script": resource("page.js"),
        "specs": {},
        "plotly": "",
        "version": version("subgroup-audit"),
    }


def size_lines(result: ComparisonResult) -> list[dict[str, Any]]:
    """Cohorts and splits with the sizes of every run beside each other; a run that lacks one has None there."""
    rows = rows_of(result.sizes)
    sides = list(dict.fromkeys(row["side"] for row in rows))
    by_place = {(row["side"], row["cohort"], row["split"]): row for row in rows}
    places = dict.fromkeys((row["cohort"], row["split"]) for row in rows)
    lines = []
    for cohort, split in places:
        found = {side: by_place.get((side, cohort, split)) for side in sides}
        counted = [None if row is None else (row["n_images"], row["n_patients"]) for row in found.values()]
        is_other = any(one != counted[0] for one in counted)
        lines.append({"cohort": cohort, "split": split, "sides": found, "is_other": is_other})
    return lines
