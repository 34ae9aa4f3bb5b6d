"""The tables and figures beside the page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.paper_figures import figure_makers
from subgroup_audit.report.paper_figures.style import short
from subgroup_audit.report.tables import latex_text, paper_table, report_tables, to_latex, to_markdown

PAPER = ("matrix", "gaps", "waterfall", "fits", "table1", "flow", "leakage")


def test_every_table_lies_there_in_every_format(report: Path) -> None:
    names = {path.name for path in (report.parent / "tables").iterdir()}
    assert {f"{name}.{suffix}" for name in PAPER for suffix in ("csv", "parquet", "tex", "md")} <= names
    assert {"history.csv", "ceiling.csv", "counts.parquet", "image_level_leakage.csv"} <= names


def test_csv_and_parquet_keep_every_digit(report: Path, contents: RunContents) -> None:
    stored = contents.result.fits
    again = pd.read_csv(
        report.parent / "tables" / "fits.csv", dtype={"fit_id": "str"}, float_precision="round_trip"
    )
    assert again["auc"].dropna().tolist() == stored["auc"].dropna().tolist()
    parquet = pd.read_parquet(report.parent / "tables" / "fits.parquet")
    pd.testing.assert_frame_equal(parquet, stored)


def test_a_paper_table_is_rounded_and_in_words(contents: RunContents) -> None:
    tables = report_tables(contents)
    shown = paper_table("matrix", tables["matrix"])
    assert list(shown.columns)[:6] == ["Finding", "Model", "Recipe", "Trained on", "Tested on", "AUC"]
    assert shown["AUC"].str.fullmatch(r"0\.\d{3}|–").all()
    assert shown["Interval"].str.fullmatch(r"0\.\d{3} to 0\.\d{3}|–").all()


def test_latex_uses_booktabs_and_escapes_names(hostile: RunContents) -> None:
    tables = report_tables(hostile)
    text = to_latex(paper_table("flow", tables["flow"]), "flow")
    assert r"\toprule" in text
    assert r"\bottomrule" in text
    assert r"\textless{}script\textgreater{}" in text
    assert r"\& " in text
    assert r"x\textasciicircum{}2\_3\$" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in lines} == {6}


def test_a_long_table_breaks_over_pages(contents: RunContents) -> None:
    shown = paper_table("fits", report_tables(contents)["fits"])
    assert r"\begin{longtable}" in to_latex(shown, "fits")
    assert r"\begin{tabular}" in to_latex(shown.head(3), "fits")


def test_markdown_keeps_its_cells(hostile: RunContents) -> None:
    text = to_markdown(pd.DataFrame({"a": ["x|y", "<b>"], "b": ["1", "2"]}))
    assert text == "| a | b |\n| --- | --- |\n| x\\|y | 1 |\n| &lt;b&gt; | 2 |\n"


@pytest.mark.parametrize("mark", list("\\&%$#_{}~^<>"))
def test_no_mark_of_latex_passes_bare(mark: str) -> None:
    escaped = latex_text(mark)
    assert escaped != mark
    assert escaped.startswith("\\")


def test_the_figures_lie_there_in_three_formats(report: Path) -> None:
    found = {path.name for path in (report.parent / "figures").iterdir()}
    names = {
        "matrix_Lung-opacity-densenet121-rmsprop",
        "matrix_Lung-opacity-resnet101-rmsprop",
        "subgroup_gap",
        "transfer_gap",
        "train_test",
        "waterfall_Lung-opacity-densenet121",
        "waterfall_Lung-opacity-resnet101",
        "curves",
    }
    assert found == {f"{name}.{suffix}" for name in names for suffix in ("svg", "pdf", "png")}
    heads = {path.suffix: path.read_bytes()[:5] for path in (report.parent / "figures").iterdir()}
    assert heads == {".svg": b"<?xml", ".pdf": b"%PDF-", ".png": b"\x89PNG\r"}


def test_figures_of_parts_that_are_absent_are_not_drawn(contents: RunContents) -> None:
    assert figure_makers(RunContents(study=contents.study)) == {}
    only = RunContents(study=contents.study, history=contents.history)
    assert list(figure_makers(only)) == ["curves"]


def test_long_names_are_cut_in_figures_only() -> None:
    assert short("a b\nc") == "a b c"
    assert short("\u2068\u202eabc\u2069") == "abc"
    assert len(short("x" * 300)) == 44
    assert short("x" * 300).endswith("…")
