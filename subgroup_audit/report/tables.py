"""The tables of a report as files: CSV and Parquet with every digit; LaTeX, Markdown and HTML as in a paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from subgroup_audit.report.composition import composition
from subgroup_audit.report.contents import RunContents, rows_of
from subgroup_audit.report.fit_table import fit_table
from subgroup_audit.report.gaps import ranked
from subgroup_audit.report.matrix import matrix_cells
from subgroup_audit.report.paper_lines import LINES
from subgroup_audit.report.published import published_table
from subgroup_audit.report.table_formats import markdown_text, to_html, to_latex, to_markdown
from subgroup_audit.report.table_notes import with_notes

CAPTIONS: Mapping[str, str] = {
    "matrix": "AUC of every training cohort on every test group, test split.",
    "gaps": "AUC gaps, minuend minus subtrahend.",
    "spreads": "All groups of an attribute together: the worst group, and the range.",
    "fits": "AUC of every fit before averaging over seeds.",
    "case_mix": "Subgroup gaps as measured and with the mix of the two groups made equal.",
    "causes": "Causes of a gap that were asked for, and what was seen of them.",
    "waterfall": "From the AUC of the training log to that on other people, step by step.",
    "controls": "Fits with one thing changed on purpose, beside the study's own.",
    "encoding": "How well linear probes tell attributes from the features that enter the head.",
    "advantage": "How much of the model's AUC an attribute explains.",
    "performance": "Decisions at the operating point, calibration and average precision by group.",
    "performance_gaps": "Decisions and calibration: differences between groups, descriptive.",
    "performance_curves": "ROC, precision-recall and calibration curves by group.",
    "operating_points": "The operating point of every fit.",
    "differences": "Standardised mean differences between cohorts.",
    "estimates": "Every estimate of the audit, of all splits.",
    "heat_maps": "Images behind the mean heat maps.",
    "box_heat": "Heat inside annotated boxes, of trained and untrained networks.",
    "composition": "AUC by the share of a group in training.",
    "fit_summary": "Time and accuracy of every fit, with reported figures.",
    "published": "Published figures beside this run's.",
    "history": "Loss, AUC and accuracy by epoch.",
    "flow": "Cohort flow: images and persons left out at each step.",
    "table1": "Characteristics of the cohorts.",
    "ceiling": "Balance: available and used images per cell.",
    "counts": "Eligible images and persons.",
    "leakage": "Leakage certificate: what test sets share with training sets.",
    "image_level_leakage": "What a split by image instead of by person would leak.",
    "order_check": "A sample of every fit predicted again from its weights.",
    "same_scores": "Fits that have scored every image alike.",
    "error_counts": "Errors by person: counts by fit and test group.",
}
# Tables of the points and epochs that figures draw: CSV and Parquet alone, since nobody prints them.
DRAWN_TABLES = ("performance_curves", "history")
# All others are laid out for a paper, in this order.
PAPER_TABLES = tuple(LINES)
# What papers usually print; the page folds the others.
MAIN_TABLES = (
    "matrix",
    "gaps",
    "spreads",
    "case_mix",
    "performance",
    "performance_gaps",
    "composition",
    "waterfall",
    "controls",
    "encoding",
    "advantage",
    "fits",
    "fit_summary",
    "published",
    "table1",
    "flow",
    "leakage",
)


def report_tables(contents: RunContents) -> dict[str, pd.DataFrame]:
    """Every table of the report by name, with the stored columns and every digit; absent parts are left out."""
    tables: dict[str, pd.DataFrame | None] = {"fit_summary": fit_table(contents)}
    mixed = composition(contents)
    tables["composition"] = None if mixed is None else mixed.table
    if contents.result is not None:
        tables["matrix"] = matrix_cells(contents.result.estimates)
        tables["estimates"] = contents.result.estimates
        tables["gaps"] = ranked(contents.result.contrasts)
        tables["fits"] = contents.result.fits
        tables["spreads"] = contents.result.spreads
        tables["case_mix"] = contents.result.case_mix
    for part in (
        "performance",
        "performance_gaps",
        "performance_curves",
        "operating_points",
        "differences",
        "causes",
        "waterfall",
        "controls",
        "history",
        "flow",
        "ceiling",
        "counts",
        "table1",
        "leakage",
        "image_level_leakage",
        "order_check",
        "same_scores",
        "error_counts",
    ):
        tables[part] = getattr(contents, part)
    tables["encoding"], tables["advantage"] = contents.encoding, contents.advantage
    tables["published"] = published_table(contents)
    if contents.saliency is not None:
        tables["heat_maps"] = contents.saliency.cells.drop(columns="place")
        tables["box_heat"] = contents.saliency.boxes
    return {name: frame.reset_index(drop=True) for name, frame in tables.items() if frame is not None}


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """The paths of the files written: `NAME.csv` and `.parquet`, and of the paper's tables four more.

    These are `.md`, `.html`, `.tex`, which needs booktabs alone, and `_siunitx.tex`, which aligns numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        written.append(folder / f"{name}.parquet")
        texts = {f"{name}.csv": to_csv(frame), **(paper_files(name, frame) if name in PAPER_TABLES else {})}
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
            written.append(folder / file)
    return written


def paper_files(name: str, frame: pd.DataFrame) -> dict[str, str]:
    """A paper's table in every format, by file name: what all rows share stands in its notes, not in columns."""
    shown, notes = with_notes(paper_table(name, frame), frame, name)
    caption, label = CAPTIONS[name], name.replace("_", "-")
    said = "".join(f"\n{markdown_text(note)}\n" for note in notes)
    return {
        f"{name}.md": f"**Table.** {markdown_text(caption)}\n\n{to_markdown(shown)}{said}",
        f"{name}.html": to_html(shown, caption, notes),
        f"{name}.tex": to_latex(shown, caption, label, notes),
        f"{name}_siunitx.tex": to_latex(shown, caption, label, notes, with_siunitx=True),
    }


def to_csv(frame: pd.DataFrame) -> str:
    """The frame as CSV with every digit and '\\n' line ends on every platform."""
    return str(frame.to_csv(index=False, lineterminator="\n"))


def paper_table(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text with rounded numbers and headings in words; one of `PAPER_TABLES`."""
    lines = [LINES[name](row) for row in rows_of(frame)]
    return pd.DataFrame(lines, columns=list(lines[0]) if lines else ["(empty)"]).astype("str")
