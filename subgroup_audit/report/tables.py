"""The tables of a report as files: CSV and Parquet with every digit; LaTeX, Markdown and HTML as in a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.report.cohort_figures import table1_cell
from subgroup_audit.report.composition import composition
from subgroup_audit.report.contents import RunContents, rows_of
from subgroup_audit.report.fit_table import fit_line, fit_table
from subgroup_audit.report.gaps import comparison_label, ranked
from subgroup_audit.report.matrix import matrix_cells
from subgroup_audit.report.numerals import ABSENT, count, decimal, interval, is_number, p_value, percent, signed
from subgroup_audit.report.published import published_line, published_table
from subgroup_audit.report.survival import way_words
from subgroup_audit.report.table_formats import markdown_text, to_html, to_latex, to_markdown
from subgroup_audit.report.table_notes import with_notes
from subgroup_audit.report.waterfall import is_description, stage_words

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
    "performance_gaps": "Differences of these numbers between groups, descriptive.",
    "performance_curves": "ROC, precision-recall and calibration curves by group.",
    "operating_points": "The operating point of every fit.",
    "differences": "Standardised mean differences between cohorts.",
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
# The tables that a paper shows; the others are written as CSV and Parquet alone.
PAPER_TABLES = (
    "matrix",
    "gaps",
    "spreads",
    "case_mix",
    "waterfall",
    "controls",
    "fits",
    "fit_summary",
    "table1",
    "flow",
    "published",
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
    shown, notes = with_notes(paper_table(name, frame), frame)
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
    makers: Mapping[str, Callable[[dict[str, Any]], dict[str, str]]] = {
        "matrix": _matrix_line,
        "gaps": _gap_line,
        "spreads": _spread_line,
        "case_mix": _case_mix_line,
        "waterfall": _waterfall_line,
        "controls": _control_line,
        "fits": _fit_line,
        "fit_summary": fit_line,
        "table1": _table1_line,
        "flow": _flow_line,
        "published": published_line,
        "leakage": _leakage_line,
    }
    lines = [makers[name](row) for row in rows_of(frame)]
    return pd.DataFrame(lines, columns=list(lines[0]) if lines else ["(empty)"]).astype("str")


def _fit_names(row: dict[str, Any]) -> dict[str, str]:
    names = {"finding": "Finding", "model": "Model", "recipe": "Recipe"}
    return {heading: str(row[name]) for name, heading in names.items()}


def _matrix_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "AUC": decimal(row["estimate"]),
        "Interval": interval(row["low"], row["high"]),
        "Bootstrap interval": interval(row["bootstrap_low"], row["bootstrap_high"]),
        "SE": decimal(row["standard_error"]),
        "SE, patients alone": decimal(row["patient_se"]),
        "SD between seeds": decimal(row["seed_sd"]) if row["n_seeds"] > 1 else "one seed",
        "Persons": count(row["n_patients"]),
        "Positive": count(row["n_positive"]),
        "Negative": count(row["n_negative"]),
        "Status": str(row["status"]),
    }


def _gap_line(row: dict[str, Any]) -> dict[str, str]:
    kinds = {
        "subgroup_gap": "subgroup",
        "transfer_gap": "transfer",
        "generalization_gap": "train/test",
        "gap_of_gaps": "gap of gaps",
    }
    return {
        "Gap": kinds.get(row["kind"], str(row["kind"])),
        **_fit_names(row),
        "Comparison": comparison_label(row),
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Bootstrap interval": interval(row["bootstrap_low"], row["bootstrap_high"], with_signs=True),
        "p": p_value(row["p_value"]),
        "p adjusted": p_value(row["p_adjusted"]),
        "p permutation": p_value(row["p_permutation"]),
        "Verdict": str(row["verdict"]),
    }


def _case_mix_line(row: dict[str, Any]) -> dict[str, str]:
    label, _ = way_words(row)
    return {
        **_fit_names(row),
        "Comparison": comparison_label({**row, "kind": "subgroup_gap"}),
        "Mix": label,
        "Made equal": str(row["held_equal"]) or ABSENT,
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Change": signed(row["change"]),
        "Interval of the change": interval(row["change_low"], row["change_high"], with_signs=True),
        "Effective images": count(row["n_effective"]),
        "Verdict": str(row["verdict"]),
    }


def _spread_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Attribute": str(row["attribute"]),
        "Groups": str(row["groups"]),
        "Worst group": str(row["worst_group"]),
        "Its AUC": decimal(row["worst_estimate"]),
        "Limits": interval(row["worst_low"], row["worst_high"]),
        "Range": decimal(row["range"]),
        "Limits of the range": interval(row["range_low"], row["range_high"]),
        "SD less chance": decimal(row["corrected_sd"]),
        "p of all equal": p_value(row["p_equality"]),
    }


def _waterfall_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Trained on": str(row["train_cohort"]),
        "Stage": stage_words(row)[0],
        "AUC": decimal(row["auc"]),
        "Interval": interval(row["auc_low"], row["auc_high"]),
        "Step": signed(row["change"]),
        "Interval of the step": interval(row["low"], row["high"], with_signs=True),
        "Persons": count(row["n_patients"]),
        "Read as": "description" if is_description(row) else "estimate",
    }


def _control_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Control": str(row["words"]),
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_group"]),
        "AUC": decimal(row["auc"]),
        "Interval": interval(row["auc_low"], row["auc_high"]),
        "Own AUC": decimal(row["usual_auc"]),
        "Change": signed(row["change"]),
        "Interval of the change": interval(row["low"], row["high"], with_signs=True),
        "Persons": count(row["n_patients"]),
    }


def _fit_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        **_fit_names(row),
        "Seed": str(row["seed"]),
        "Trained on": str(row["train_cohort"]),
        "Split": str(row["split"]),
        "Scored on": str(row["test_group"]),
        "AUC": decimal(row["auc"]),
    }


def _table1_line(row: dict[str, Any]) -> dict[str, str]:
    text, difference, _ = table1_cell(row)
    return {
        "Cohort": str(row["cohort"]),
        "Split": str(row["split"]),
        "Variable": _words(row["variable"]),
        "Level": _words(row["level"]),
        "n (%) or mean ± SD": text,
        "SMD": difference or ABSENT,
    }


def _flow_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        "Cohort": _words(row["cohort"]) or "all",
        "Step": _words(row["step"]),
        "Reason": _words(row["reason"]),
        "Images out": count(row["n_images"]),
        "Persons out": count(row["n_patients"]),
        "Images left": count(row["left_images"]),
        "Persons left": count(row["left_patients"]),
    }


def _leakage_line(row: dict[str, Any]) -> dict[str, str]:
    share = row["share_of_test_images_of_seen_persons"]
    return {
        "Trained on": str(row["train_cohort"]),
        "Tested on": str(row["test_cohort"]),
        "Test images": count(row["n_test_images"]),
        "Shared persons": count(row["shared_persons"]),
        "Shared files": count(row.get("shared_files")),
        "Shared pixels": count(row.get("shared_pixels")),
        "Near copies": count(row.get("shared_near_pixels")),
        "Test images of seen persons": percent(share, 1),
    }


def _words(value: Any) -> str:
    return "" if value is None or (not isinstance(value, str) and not is_number(value)) else str(value)
