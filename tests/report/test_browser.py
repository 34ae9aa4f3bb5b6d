"""The page in a real browser: drawn, quiet, offline, and within its width."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    LAPTOPS,
    SCHEMES,
    WIDTHS,
    accessibility_faults,
    lowest_of_the_first_screen,
    open_page,
    scroll_through,
)

# What an A4 page leaves within the margins of a print, in CSS pixels.
A4_WIDTH = 710

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["report", "hostile_report"])
def test_the_page_is_quiet_and_never_wider_than_the_screen(
    browser: Any, request: pytest.FixtureRequest, name: str, width: int
) -> None:
    page, heard = open_page(browser, request.getfixturevalue(name), width, "dark" if width == 768 else "light")
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    page.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[-1]])
def test_the_page_breaks_no_rule_of_accessibility(browser: Any, report: Path, width: int, scheme: str) -> None:
    page, _ = open_page(browser, report, width, scheme)
    scroll_through(page)
    assert accessibility_faults(page) == []
    page.close()


def test_every_curve_is_drawn_in_the_colours_of_the_theme(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    scroll_through(page)
    assert page.locator(".plot .scatterlayer path.js-line").count() == 20 * 6
    line = "getComputedStyle(document.querySelector('.plot path.js-line')).stroke"
    light = page.evaluate(line)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert page.evaluate(line) != light
    page.close()


@pytest.mark.parametrize(("width", "height"), LAPTOPS)
def test_the_first_screen_fits_a_laptop(browser: Any, report: Path, width: int, height: int) -> None:
    page, _ = open_page(browser, report, width, height=height)
    assert lowest_of_the_first_screen(page) <= height
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_zero_of_every_row_stands_under_the_zero_of_the_axis(browser: Any, report: Path, width: int) -> None:
    page, _ = open_page(browser, report, width)
    table = page.locator(".forest").first
    tick = table.locator("thead .axis text", has_text=re.compile("^0$")).bounding_box()
    lines = table.locator("tbody .zero").evaluate_all(
        "lines => lines.filter(l => l.checkVisibility()).map(l => l.getBoundingClientRect().left)"
    )
    assert len(lines) == 16
    assert max(abs(line - tick["x"] - tick["width"] / 2) for line in lines) < 2
    page.close()


def test_paper_is_light_on_a_dark_screen(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report, scheme="dark")
    scroll_through(page)
    ink = "getComputedStyle(document.body).color"
    text = "getComputedStyle(document.querySelector('.plot .xtitle')).fill"
    dark = page.evaluate(text)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(500)
    assert page.evaluate(ink) == "rgb(27, 31, 36)"
    assert page.evaluate(text) == "rgb(27, 31, 36)" != dark
    assert page.locator(".forest tbody tr:visible").count() == 64
    page.close()


def test_nothing_is_cut_off_on_paper(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    scroll_through(page)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_WIDTH, "height": 1000})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_WIDTH
    beyond = """() => [...document.querySelectorAll('.plot')].filter(
        (plot) => plot.querySelector('.main-svg').getBoundingClientRect().right
            > plot.parentElement.getBoundingClientRect().right + 1).length"""
    assert page.evaluate(beyond) == 0
    hidden = page.locator("select:visible, button.copy:visible, button[data-dense]:visible")
    assert hidden.count() == 0
    assert page.locator(".forest thead .sort:visible").count() > 0
    page.close()


def test_forest_marks_stand_where_their_numbers_are(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    row = page.locator(".forest tbody tr").first
    places = row.locator(".graph > svg").evaluate(
        """svg => { const box = e => e.getBoundingClientRect(); const all = box(svg);
        const mark = box(svg.querySelector('.mark path')), zero = box(svg.querySelector('.zero'));
        return {mark: (mark.left + mark.right) / 2 - all.left, zero: zero.left - all.left, width: all.width}; }"""
    )
    estimate = float(row.locator(".numbers").get_attribute("data-value"))
    assert places["zero"] == pytest.approx(places["width"] / 2, abs=1.5)
    assert (places["mark"] < places["zero"]) == (estimate < 0)
    page.close()


def test_a_chooser_shows_one_matrix_and_paper_shows_all(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    panels = page.locator('[data-panel="matrix"]')
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, False]
    page.select_option('[data-chooser="matrix"]', "1")
    assert [panels.nth(i).is_visible() for i in range(2)] == [False, True]
    page.emulate_media(media="print")
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, True]
    page.close()


def test_headings_sort_and_words_filter(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    table = page.locator(".forest").first
    values = "rows => rows.map(r => r.querySelector('.numbers').dataset.value).filter(v => v).map(Number)"
    table.get_by_role("button", name="Difference").press("Enter")
    found = table.locator("tbody tr").evaluate_all(values)
    assert found == sorted(found)
    assert len(found) == 36
    page.fill('[data-filter="gaps"]', "resnet101")
    assert table.locator("tbody tr:visible").count() == 20
    page.close()


def test_a_long_table_is_folded_until_it_is_asked_for(browser: Any, report: Path) -> None:
    page, _ = open_page(browser, report)
    table = page.locator(".forest").first
    assert table.locator("tbody tr:visible").count() == 16
    page.get_by_role("button", name="Show all 40 rows").click()
    assert table.locator("tbody tr:visible").count() == 40
    page.close()


def test_without_a_script_everything_but_the_curves_is_shown(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("noscript").count() == 1
    assert page.locator(".heat:visible").count() == 2
    assert page.locator(".forest tbody tr:visible").count() == 64
    context.close()
