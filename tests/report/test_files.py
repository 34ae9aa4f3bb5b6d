"""The tables and figures beside the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.paper_figures import figure_makers
from subgroup_audit.report.paper_figures.style import short
from subgroup_audit.report.table_formats import latex_text, to_html, to_latex, to_markdown
from subgroup_audit.report.table_notes import with_notes
from subgroup_audit.report.tables import PAPER_TABLES, paper_files, paper_table, report_tables

PAPER = ("matrix", "gaps", "waterfall", "fits", "table1", "flow", "leakage")


def test_every_table_lies_there_in_every_format(report: Path) -> None:
    names = {path.name for path in (report.parent / "tables").iterdir()}
    assert {f"{name}.{suffix}" for name in PAPER for suffix in ("csv", "parquet", "tex", "md", "html")} <= names
    assert {f"{name}_siunitx.tex" for name in PAPER} <= names
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
    text = to_latex(paper_table("flow", tables["flow"]), "Flow.", "flow")
    assert r"\toprule" in text
    assert r"\bottomrule" in text
    assert r"\textless{}script\textgreater{}" in text
    assert r"\& " in text
    assert r"x\textasciicircum{}2\_3\$" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in lines} == {6}


def test_a_long_table_breaks_over_pages(contents: RunContents) -> None:
    shown = paper_table("fits", report_tables(contents)["fits"])
    assert r"\begin{longtable}" in to_latex(shown, "Fits.", "fits")
    assert r"\begin{tabular}" in to_latex(shown.head(3), "Fits.", "fits")


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
    named = {path.stem for path in (report.parent / "figures").iterdir()}
    always = {
        "matrix_Lung-opacity-densenet121-rmsprop",
        "matrix_Lung-opacity-resnet101-rmsprop",
        "subgroup_gap",
        "transfer_gap",
        "train_test",
        "waterfall_Lung-opacity-densenet121",
        "waterfall_Lung-opacity-resnet101",
        "seeds_Lung-opacity-densenet121-rmsprop",
        "love_plot",
        "curves",
    }
    assert always <= named
    assert found == {f"{name}.{suffix}" for name in named for suffix in ("svg", "pdf", "png")}
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


class Cells(HTMLParser):
    """The rows and the caption of a page's only table."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.words: dict[str, str] = {}
        self.open: list[str] = []

    @property
    def tag(self) -> str:
        """The innermost open element."""
        return self.open[-1] if self.open else ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            assert "padding" in str(dict(attributes)["style"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.tag in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.tag:
            self.words[self.tag] = self.words.get(self.tag, "") + data


def test_a_table_for_a_word_processor_reads_back_as_it_was(hostile: RunContents) -> None:
    shown = paper_table("flow", report_tables(hostile)["flow"])
    page = Cells()
    page.feed(to_html(shown, "Flow of <persons>.", ["A note & more."]))
    assert page.rows == [list(shown.columns), *shown.to_numpy().tolist()]
    assert page.words["caption"] == " Flow of <persons>."
    assert page.words["p"] == "A note & more."
    assert "script" not in page.words


def test_what_all_rows_share_stands_in_the_notes(contents: RunContents) -> None:
    frame = report_tables(contents)["matrix"]
    first = frame[frame["model"] == frame["model"].iloc[0]]
    lean, notes = with_notes(paper_table("matrix", first), first)
    assert "Finding" not in lean
    assert "Model" not in lean
    assert notes[0].startswith("All rows: Finding: Lung opacity; Model: densenet121; Recipe: rmsprop")
    assert "Intervals at 95 % confidence." in notes
    assert any("AUC, area under the ROC curve; SE, standard error" in note for note in notes)
    assert notes[-1] == f"{len(first)} rows."
    both, _ = with_notes(paper_table("matrix", frame), frame)
    assert "Model" in both
    levels = first["confidence_level"].astype(object).where(np.arange(len(first)) > 0, None)
    _, notes = with_notes(paper_table("matrix", first), first.assign(confidence_level=levels))
    assert "Intervals at 95 % confidence." in notes


def test_siunitx_gets_bare_numbers_and_everything_else_in_braces() -> None:
    shown = pd.DataFrame(
        {"Group_1": ["F", "M"], "Gap": ["+0.012", "−0.100"], "n": ["1,128", "–"], "p": ["<0.001", "0.2"]}
    )
    text = to_latex(shown, "Gaps.", "gaps", with_siunitx=True)
    assert r"\begin{tabular}{lS[table-format=+1.3,retain-explicit-plus]S[table-format=4]l}" in text
    assert r"{Group\_1} & {Gap} & {n} & {p} \\" in text
    assert r"F & +0.012 & 1128 & \textless{}0.001 \\" in text
    assert r"M & -0.100 & {--} & 0.2 \\" in text
    plain = to_latex(shown, "Gaps.", "gaps")
    assert r"\begin{tabular}{llll}" in plain
    assert r"M & $-$0.100 & -- & 0.2 \\" in plain


@pytest.mark.parametrize("name", PAPER)
def test_latex_closes_what_it_opens(hostile: RunContents, name: str) -> None:
    files = paper_files(name, report_tables(hostile)[name])
    for text in (files[f"{name}.tex"], files[f"{name}_siunitx.tex"]):
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        assert text.count(r"\begin{") == text.count(r"\end{")
        assert text.count(r"\begingroup") == text.count(r"\endgroup") == 1
        rows = [line for line in text.splitlines() if line.endswith(r"\\") and " & " in line]
        assert len({line.replace(r"\&", "").count("&") for line in rows}) == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_the_tables_compile(contents: RunContents, tmp_path: Path) -> None:
    tables = report_tables(contents)
    body = "".join(
        text
        for name in PAPER_TABLES
        if name in tables
        for file, text in paper_files(name, tables[name]).items()
        if file.endswith(".tex")
    )
    packages = r"\usepackage[landscape]{geometry}\usepackage{booktabs,longtable,siunitx}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "all.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode("latin-1")[-800:]
