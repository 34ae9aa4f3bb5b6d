"""Every table that a page shows, in every format of a paper, with the numbers that it stands for."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from golden_run import golden_contents

from subgroup_audit.report import RunContents
from subgroup_audit.report.numerals import decimal, interval, signed
from subgroup_audit.report.paper_lines import LINES
from subgroup_audit.report.table_formats import to_latex
from subgroup_audit.report.tables import (
    CAPTIONS,
    DRAWN_TABLES,
    MAIN_TABLES,
    paper_files,
    paper_table,
    report_tables,
    write_tables,
)

FORMATS = (".csv", ".parquet", ".md", ".html", ".tex", "_siunitx.tex")


@pytest.fixture(scope="module")
def golden() -> RunContents:
    return golden_contents()


@pytest.fixture(scope="module")
def tables(golden: RunContents) -> dict[str, pd.DataFrame]:
    return report_tables(golden)


def test_every_table_of_a_run_is_written_in_every_format(
    tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    written = {path.name for path in write_tables(tables, folder)}
    assert written == {path.name for path in folder.iterdir()}
    missing = {f"{name}{suffix}" for name in tables if name not in DRAWN_TABLES for suffix in FORMATS} - written
    assert missing == set()
    assert {f"{name}{suffix}" for name in DRAWN_TABLES for suffix in FORMATS[:2]} <= written


def test_the_run_has_every_table_but_that_of_mixes(tables: dict[str, pd.DataFrame]) -> None:
    assert set(LINES) - set(tables) == {"composition"}
    assert set(tables) - set(LINES) == set(DRAWN_TABLES)
    assert set(CAPTIONS) == {*LINES, *DRAWN_TABLES}
    assert set(MAIN_TABLES) <= set(LINES)


@pytest.mark.parametrize("name", sorted(set(LINES) - {"composition"}))
def test_a_table_is_whole_in_every_format(tables: dict[str, pd.DataFrame], name: str) -> None:
    files = paper_files(name, tables[name])
    n_rows = len(tables[name])
    assert sum(line.startswith("| ") for line in files[f"{name}.md"].splitlines()) == n_rows + 2
    assert files[f"{name}.html"].count("<tr>") == n_rows + 1
    for file in (f"{name}.tex", f"{name}_siunitx.tex"):
        bare = re.sub(r"\\[{}]", "", files[file])
        assert bare.count("{") == bare.count("}")
        assert r"\toprule" in files[file]
    assert not re.search(r"\b(nan|None|NaN|NaT)\b", files[f"{name}.md"])
    assert not re.search(r"\d\.\d{4,}", files[f"{name}.md"])


def test_decisions_by_group_are_rounded_with_their_limits(tables: dict[str, pd.DataFrame]) -> None:
    stored, shown = tables["performance"], paper_table("performance", tables["performance"])
    assert shown["Estimate"].tolist() == [decimal(value) for value in stored["estimate"]]
    assert shown["Interval"].tolist() == [
        interval(low, high) for low, high in zip(stored["low"], stored["high"], strict=True)
    ]
    assert {"Sensitivity", "PPV", "False negative rate", "Average precision"} <= set(shown["Number"])
    gaps = paper_table("performance_gaps", tables["performance_gaps"])
    assert gaps["Difference"].tolist() == [signed(value) for value in tables["performance_gaps"]["estimate"]]
    assert gaps["Groups"].iloc[0] == "F − M"


def test_notes_say_what_a_description_is(tables: dict[str, pd.DataFrame]) -> None:
    text = paper_files("performance_gaps", tables["performance_gaps"])["performance_gaps.md"]
    assert "no verdict rests on these differences" in text
    assert "Intervals at 95 % confidence." in text


def test_a_sentence_gets_a_column_of_its_own_width() -> None:
    shown = pd.DataFrame(
        {"Cause": ["leakage"], "Evidence": ["Nothing is shared between training and test, as checked."]}
    )
    assert r"\begin{tabular}{lp{55mm}}" in to_latex(shown, "Causes.", "causes")
    assert r"\begin{tabular}{lp{55mm}}" in to_latex(shown, "Causes.", "causes", with_siunitx=True)
