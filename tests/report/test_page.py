"""The page as HTML: what it says, what stays text, and what is shown as missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from subgroup_audit.errors import ReportError
from subgroup_audit.report import Problem, RunContents, render_report
from subgroup_audit.report.page import render_page
from subgroup_audit.report.tables import report_tables

VOID = {"meta", "br", "img", "input", "link", "hr"}
OURS = {"style", "script"}


class Page(HTMLParser):
    """The elements and the visible text of a page, and whether its tags are balanced."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(source)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not OURS & set(self.open):
            self.words.append(data)

    def having(self, tag: str, name: str) -> Iterator[dict[str, str | None]]:
        return (attributes for found, attributes in self.elements if found == tag and name in attributes)


@pytest.fixture(scope="session")
def page(report: Path) -> Page:
    """The parsed page of the whole run."""
    return Page(report.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def render() -> Callable[[RunContents], Page]:
    """Render without writing files."""
    return lambda contents: Page(render_page(contents, report_tables(contents)))


def test_the_page_is_well_formed_and_small(page: Page, report: Path) -> None:
    assert page.unbalanced == []
    assert page.open == []
    assert report.stat().st_size < 8_000_000


def test_the_first_screen_has_the_question_the_verdict_and_the_counts(page: Page) -> None:
    start = page.text[: page.text.index("Every model on every group")]
    assert "Does a chest-radiograph classifier find lung opacity as well in women as in men" in start
    assert "A gap was found" in start
    assert re.search(r"Of 64 comparisons: \d+ gaps \d+ inconclusive \d+ no gap beyond the margin", start)
    assert "Where the gaps lie" in start
    assert "Leakage is ruled out" in start
    assert "What these data could not have shown" in start
    assert (
        "persons eligible 8,214 radiographs eligible 13,366 training radiographs per cohort 770 test persons per "
        "group 220 trained models (3 seeds) 30"
    ) in start


def test_every_number_of_the_matrix_is_there_with_both_intervals(page: Page, contents: RunContents) -> None:
    rows = contents.result.estimates
    tested = rows[(rows["split"] == "test") & rows["estimate"].notna()]
    for row in tested.to_dict("records"):
        shown = f"{row['estimate']:.3f} {row['low']:.3f} to {row['high']:.3f} bootstrap {row['bootstrap_low']:.3f}"
        assert shown in page.text
    assert "412 persons: 220 +, 220 −" in page.text
    assert "0.009 (3 seeds)" in page.text
    row = tested.to_dict("records")[0]
    assert f"{row['band_low']:.3f} to {row['band_high']:.3f}" in page.text


def test_what_cannot_be_estimated_is_said_with_its_reason(page: Page) -> None:
    assert "not estimable no positive image in this cell" in page.text
    assert "⚠ small: 8 positive persons, fewer than 10" in page.text
    assert not {"nan", "none", "<na>", "inf"} & set(page.text.lower().split("about this run")[0].split())


def test_no_number_has_seven_digits(page: Page) -> None:
    assert re.findall(r"(?<!\d)\d{1,3}\.\d{5,}", page.text) == []


def test_the_train_test_gap_is_marked_descriptive(page: Page) -> None:
    assert "Descriptive: a model has seen its training images." in page.text


def test_published_values_stand_beside_ours(page: Page) -> None:
    assert "◇ published 0.550 (report 7)" in page.text
    assert "△ published train 0.930 (report 7)" in page.text
    assert "Published figures without a matching cell in this run (1)" in page.text


def test_every_figure_has_a_caption_and_its_data_one_click_away(report: Path) -> None:
    source = re.sub(r"<script.*?</script>", "", report.read_text(encoding="utf-8"), flags=re.DOTALL)
    figures = re.findall(r"<figure>.*?</figure>", source, flags=re.DOTALL)
    assert len(figures) >= 8
    assert all("<figcaption>" in figure for figure in figures)
    assert sum("data:text/csv" in figure for figure in figures) >= 8
    assert source.count("How to read this.") >= 6


def test_links_lead_inside_the_page_or_carry_their_data_or_name_a_file_beside_it(page: Page, report: Path) -> None:
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for attributes in page.having("a", "href"):
        target = str(attributes["href"])
        is_inside = target.startswith("data:text/csv;") or target.removeprefix("#") in ids
        assert is_inside or (report.parent / target).is_file(), target


def test_nothing_is_asked_of_a_server(page: Page) -> None:
    sources = [a["src"] for tag in ("img", "script", "iframe") for a in page.having(tag, "src")]
    assert all(str(source).startswith("data:image/jpeg;base64,") for source in sources)
    assert not list(page.having("link", "href"))
    policy = next(a["content"] for a in page.having("meta", "http-equiv"))
    assert str(policy).startswith("default-src 'none';")


def test_plotly_is_embedded_once_and_only_where_there_are_curves(
    report: Path, contents: RunContents, render: Callable[[RunContents], Page]
) -> None:
    assert report.read_text(encoding="utf-8").count("plotly.js (basic - minified) v") == 1
    bare = replace(contents, history=None)
    assert len(render_page(bare, report_tables(bare))) < 2_000_000


def test_hostile_names_stay_text(hostile_report: Path, hostile_name: str) -> None:
    source = hostile_report.read_text(encoding="utf-8")
    assert "<script>alert" not in source
    hostile_page = Page(source)
    assert hostile_page.unbalanced == []
    assert " ".join(hostile_name.split()) in hostile_page.text
    assert sum(tag == "script" for tag, _ in hostile_page.elements) == 3


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("history", "The training curves are missing: this run has not stored any."),
        ("flow", "The cohort flow is missing: this run has not stored any."),
        ("table1", "Table 1 is missing: this run has not stored any."),
        ("ceiling", "The balance ceiling is missing: this run has not stored any."),
        ("leakage", "The leakage certificate is missing: this run has not stored any."),
        ("waterfall", "The gap waterfall is missing: this run has not stored any."),
        ("result", "The audit's estimates and gaps are missing: this run has not stored any."),
    ],
)
def test_a_missing_part_is_shown_as_missing(
    contents: RunContents, render: Callable[[RunContents], Page], part: str, sentence: str
) -> None:
    assert sentence in render(replace(contents, problems=(), **{part: None})).text


def test_a_run_with_nothing_still_has_a_page(contents: RunContents, tmp_path: Path) -> None:
    bare = RunContents(study=contents.study)
    text = Page(render_report(bare, tmp_path).read_text(encoding="utf-8")).text
    assert "No verdict" in text
    assert "The sample radiographs are missing" in text
    assert "This run has stored no provenance." in text
    assert list((tmp_path / "tables").iterdir()) == []


def test_a_failed_step_is_the_reason_that_a_part_is_missing(
    contents: RunContents, render: Callable[[RunContents], Page]
) -> None:
    failed = Problem("audit", "All scores of fit 'F' are equal.", "Traceback")
    text = render(replace(contents, result=None, problems=(failed,))).text
    expected = "missing: step 'audit' failed. All scores of fit 'F' are equal."
    assert expected in text
    assert "1 step of this run failed" in text


def test_problems_are_folded_with_their_details(page: Page) -> None:
    assert "Problems (1)" in page.text
    assert "The loss was not finite in epoch 3." in page.text


def test_the_sections_follow_the_study(make_contents: Callable[..., RunContents]) -> None:
    chosen = make_contents(figures=("gaps", "matrix"))
    source = render_page(chosen, report_tables(chosen))
    assert (
        source.index('<section id="gaps"')
        < source.index('<section id="matrix"')
        < source.index('<section id="flow"')
    )
    assert '<section id="curves"' not in source
    assert "plotly.js (" not in source


def test_methods_cite_what_ran(page: Page) -> None:
    assert "5 cohorts were formed: F_PA (sex F; view PA)" in page.text
    assert "P-values were adjusted by Holm's step-down method [Holm 1979]" in page.text
    assert "doi:10.2307/2531595" in page.text
    assert "RMSprop at learning rate 0.0003" in page.text
    assert "Images were not augmented." in page.text
    assert "audit run cohorts/rsna_sex_view.yaml" in page.text


def test_what_an_image_level_split_would_leak_is_said(page: Page) -> None:
    assert (
        "Had all 25,187 images of the data set been split by image instead, 70 % of the test images would show a "
        "person who is also in training."
    ) in page.text
    assert "No person, file or picture of any test set was in any training set (20 pairs checked)." in page.text


def test_an_image_level_split_is_said_on_the_first_screen(
    contents: RunContents, render: Callable[[RunContents], Page]
) -> None:
    split = contents.study.split.model_copy(update={"unit": "image"})
    text = render(replace(contents, study=contents.study.model_copy(update={"split": split}))).text
    assert "This study split by image: one person can be in training and in test." in text


def test_missing_columns_are_listed_at_once(contents: RunContents) -> None:
    with pytest.raises(ReportError) as caught:
        replace(contents, flow=contents.flow.drop(columns=["reason"]), table1=contents.table1.drop(columns=["sd"]))
    assert str(caught.value) == (
        "the report cannot be rendered: flow: column 'reason' is missing; table1: column 'sd' is missing"
    )


def test_the_same_contents_give_the_same_bytes(contents: RunContents, report: Path, tmp_path: Path) -> None:
    again = render_report(contents, tmp_path)
    assert again.read_bytes() == report.read_bytes()
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    differing = [name for name in names if (tmp_path / name).read_bytes() != (report.parent / name).read_bytes()]
    assert differing == []
