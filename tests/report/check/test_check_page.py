"""The page of a check as HTML: what it says, what stays text, its size, and its data."""

from __future__ import annotations

import base64
import io
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.report.check_page import SECTIONS, render_check_page, write_check_page

VOID = {"meta", "br", "img", "input", "link", "hr"}
OURS = {"style", "script"}
MEGABYTE = 1_000_000


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


def csv_of(source: str, name: str) -> pd.DataFrame:
    """A table as a reader downloads it from the page."""
    for address, filename in re.findall(r'href="([^"]+)" download="([^"]+)"', source):
        if filename == f"{name}.csv":
            text = base64.b64decode(unescape(address).split("base64,")[1]).decode()
            return pd.read_csv(io.StringIO(text))
    raise AssertionError(f"no download of {name}")


def test_the_first_screen_holds_the_question_the_verdict_and_the_limits(
    check_page: Path, result: CheckResult
) -> None:
    text = Page(check_page.read_text(encoding="utf-8")).text
    first = text[: text.index("Show only rows that contain")]
    assert "Does this model find its 2 findings equally well across sex and view?" in first
    assert result.title in first
    assert "The smallest gap that these data would show in 8 of 10 repetitions is" in first
    assert "What could not be estimated may hold a gap of any size." in first
    assert "persons 800" in first
    assert "radiographs with label and score 1,600" in first


def test_the_page_is_well_formed_small_and_asks_no_server(check_page: Path) -> None:
    source = check_page.read_text(encoding="utf-8")
    page = Page(source)
    assert page.unbalanced == []
    assert page.open == []
    assert len(source.encode()) < 8 * MEGABYTE
    addresses = [value for _, attrs in page.elements for name, value in attrs.items() if name in ("href", "src")]
    assert all(str(value).startswith(("#", "data:text/csv")) for value in addresses)
    identifiers = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    assert set(SECTIONS) <= set(identifiers)


def test_every_number_of_the_page_comes_from_the_frames(check_page: Path, result: CheckResult) -> None:
    source = check_page.read_text(encoding="utf-8")
    pd.testing.assert_series_equal(
        csv_of(source, "contrasts")["estimate"], result.contrasts["estimate"], check_names=False
    )
    assert len(csv_of(source, "estimates")) == len(result.estimates)
    assert len(csv_of(source, "roc")) == len(result.curves["roc"])
    text = Page(source).text
    for row in result.judged.dropna(subset=["estimate"]).itertuples():
        assert f"{row.estimate:+.3f}".replace("-", "−") in text


def test_hostile_names_stay_text(hostile_page: Path) -> None:
    source = hostile_page.read_text(encoding="utf-8")
    page = Page(source)
    assert page.unbalanced == []
    assert "<script>alert" not in source
    assert 'href="javascript' not in source
    assert "<script>alert('x')</script>" in page.text
    specs = json.loads(re.search(r'id="specs">(.*?)</script>', source, re.DOTALL).group(1))  # type: ignore[union-attr]
    hovers = [trace.get("hovertemplate", "") for spec in specs.values() for trace in spec["data"]]
    assert not any("<script" in text or "<a " in text or "% {x}" not in text for text in hovers if "long" in text)


def test_the_same_result_gives_the_same_bytes(result: CheckResult, check_page: Path, tmp_path: Path) -> None:
    again = write_check_page(CheckResult.from_json(result.to_json()), tmp_path / "p.html", title="predictions.csv")
    assert again.read_bytes() == check_page.read_bytes()


def test_what_is_withheld_is_said_and_not_shown(suppressed: CheckResult) -> None:
    source = render_check_page(suppressed)
    text = Page(source).text
    assert "Counts below 10 are withheld on this page" in text
    assert "Withheld: a group in which a count lies below 10, or from which one could be worked out." in text
    assert "its numbers are withheld" in text
    roc = csv_of(source, "roc")
    assert "threshold" not in roc
    assert "Unknown" not in set(roc["group"])


def test_a_result_of_few_measures_has_few_sections(few: CheckResult) -> None:
    source = render_check_page(few)
    page = Page(source)
    sections = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert sections == ["gaps", "groups", "reading", "methods", "glossary"]
    assert "plotly" not in source
    assert page.unbalanced == []


def test_fourteen_findings_fit_in_eight_megabytes(many: CheckResult) -> None:
    source = render_check_page(many)
    assert len(source.encode()) < 8 * MEGABYTE
    options = re.findall(r"<option", source)
    assert len(options) >= 14
    assert "Curves of this finding are not drawn" in source


@pytest.mark.parametrize("section", ["gaps", "groups", "discrimination", "thresholds", "calibration", "confusion"])
def test_every_figure_says_how_to_read_it_and_gives_its_data(check_page: Path, section: str) -> None:
    source = check_page.read_text(encoding="utf-8")
    part = source[source.index(f'<section id="{section}"') :]
    part = part[: part.index("</section>")]
    assert "How to read this." in part
    assert 'download="' in part


def test_figures_without_room_for_all_groups_say_so(crowded: Any) -> None:
    assert len(crowded.lines) == 6
    assert crowded.left_out == 3
