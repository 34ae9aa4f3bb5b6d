"""The tables of a comparison as files: CSV and Parquet with every digit, LaTeX and Markdown for a paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.comparison import ComparisonResult
from subgroup_audit.comparison.words import KIND_TITLES, question_words
from subgroup_audit.report.contents import rows_of
from subgroup_audit.report.numerals import count, decimal, interval, p_value, signed
from subgroup_audit.report.table_formats import latex_text, to_markdown
from subgroup_audit.report.tables import to_csv

CAPTIONS: Mapping[str, str] = {
    "differences": "Differences on the same persons and images, compared minus reference.",
    "changes": "What changed in the design.",
    "sizes": "Cohorts of either side.",
    "matching": "Images and persons that both sides have.",
}


def write_compare_tables(result: ComparisonResult, folder: Path) -> list[Path]:
    """The paths of the files written: `NAME.csv`, `.parquet`, `.tex` and `.md` of every table."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in result.tables().items():
        shown = paper_table(name, frame)
        (folder / f"{name}.csv").write_text(to_csv(frame), encoding="utf-8")
        frame.to_parquet(folder / f"{name}.parquet", index=False)
        (folder / f"{name}.tex").write_text(_to_latex(shown, name), encoding="utf-8")
        (folder / f"{name}.md").write_text(to_markdown(shown), encoding="utf-8")
        written += [folder / f"{name}.{suffix}" for suffix in ("csv", "parquet", "tex", "md")]
    return written


def paper_table(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text with rounded numbers and headings in words."""
    makers: Mapping[str, Callable[[dict[str, Any]], dict[str, str]]] = {
        "differences": _difference_line,
        "changes": _change_line,
        "sizes": _size_line,
        "matching": _match_line,
    }
    lines = [makers[name](row) for row in rows_of(frame)]
    return pd.DataFrame(lines, columns=list(lines[0]) if lines else ["(empty)"]).astype("str")


def _difference_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        "Compared": str(row["compared"]),
        "Finding": str(row["finding"]),
        "Model": _arrow(row["reference_model"], row["model"]),
        "Recipe": _arrow(row["reference_recipe"], row["recipe"]),
        "Of": KIND_TITLES[row["kind"]],
        "Comparison": question_words(row),
        "Reference": decimal(row["reference_estimate"]),
        "Compared value": decimal(row["compared_estimate"]),
        "Difference": signed(row["estimate"]),
        "Interval": interval(row["low"], row["high"], with_signs=True),
        "Bootstrap interval": interval(row["bootstrap_low"], row["bootstrap_high"], with_signs=True),
        "p": p_value(row["p_value"]),
        "p adjusted": p_value(row["p_adjusted"]),
        "Verdict": str(row["verdict"]),
        "Persons": count(row["n_patients"]),
    }


def _arrow(before: str, after: str) -> str:
    return str(before) if before == after else f"{before} to {after}"


def _change_line(row: dict[str, Any]) -> dict[str, str]:
    named = {"compared": "Compared", "part": "Part", "name": "Name", "reference": "Reference", "value": "Now"}
    return {heading: str(row[name]) for name, heading in named.items()}


def _size_line(row: dict[str, Any]) -> dict[str, str]:
    return {
        "Run": str(row["side"]),
        "Cohort": str(row["cohort"]),
        "Split": str(row["split"]),
        "Images": count(row["n_images"]),
        "Persons": count(row["n_patients"]),
        "Positive": count(row["n_positive"]),
    }


def _match_line(row: dict[str, Any]) -> dict[str, str]:
    words = {name: name.replace("_", " ").capitalize() for name in row if name not in ("compared", "by")}
    return {
        "Compared": str(row["compared"]),
        "Matched by": str(row["by"]),
        **{heading: count(row[name]) for name, heading in words.items()},
    }


def _to_latex(shown: pd.DataFrame, name: str) -> str:
    """A table of text as LaTeX with booktabs' rules that breaks over pages."""
    lines = [" & ".join(latex_text(cell) for cell in line) + r" \\" for line in shown.to_numpy().tolist()]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,longtable}",
            rf"\begin{{longtable}}{{{'l' * shown.shape[1]}}}",
            rf"\caption{{{latex_text(CAPTIONS[name])}}}\label{{tab:compare-{name}}} \\",
            r"\toprule",
            " & ".join(latex_text(str(column)) for column in shown.columns) + r" \\",
            r"\midrule",
            r"\endhead",
            *lines,
            r"\bottomrule",
            r"\end{longtable}",
            "",
        ]
    )
