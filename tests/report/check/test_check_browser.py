"""The page of a check in a real browser: drawn, quiet, offline, and within its width."""

from __future__ import annotations

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

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["check_page", "hostile_page"])
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
def test_the_page_breaks_no_rule_of_accessibility(browser: Any, check_page: Path, width: int, scheme: str) -> None:
    page, _ = open_page(browser, check_page, width, scheme)
    scroll_through(page)
    assert accessibility_faults(page) == []
    page.close()


@pytest.mark.parametrize(("width", "height"), LAPTOPS)
def test_the_first_screen_fits_a_laptop(browser: Any, check_page: Path, width: int, height: int) -> None:
    page, _ = open_page(browser, check_page, width, height=height)
    assert lowest_of_the_first_screen(page) <= height
    page.close()


def test_curves_are_drawn_in_the_colours_of_the_theme_with_bands(browser: Any, check_page: Path) -> None:
    page, _ = open_page(browser, check_page)
    scroll_through(page)
    roc = page.locator('.plot[data-spec="roc-0-sex"]')
    assert roc.locator("path.js-line").count() >= 3  # the diagonal and two groups
    fill = "getComputedStyle(document.querySelector('.plot[data-drawn] path.js-fill')).fill"
    light = page.evaluate(fill)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert page.evaluate(fill) != light
    page.close()


def test_one_chooser_moves_all(browser: Any, check_page: Path) -> None:
    page, _ = open_page(browser, check_page)
    page.locator("#groups [data-chooser]").select_option("1")
    values = page.locator("[data-chooser]").evaluate_all("all => all.map(one => one.value)")
    assert set(values) == {"1"}
    assert len(values) >= 5
    assert page.locator('#thresholds [data-panel][data-key="1"]').is_visible()
    assert not page.locator('#thresholds [data-panel][data-key="0"]').is_visible()
    page.close()


def test_marks_stand_where_their_numbers_are(browser: Any, check_page: Path) -> None:
    page, _ = open_page(browser, check_page)
    row = page.locator(".forest tbody tr").first
    places = row.locator(".graph > svg").evaluate(
        """svg => { const box = e => e.getBoundingClientRect(); const all = box(svg);
        const mark = box(svg.querySelector('.mark path')), zero = box(svg.querySelector('.zero'));
        const band = box(svg.querySelector('.band'));
        return {mark: (mark.left + mark.right) / 2 - all.left, zero: zero.left - all.left, width: all.width,
                low: band.left - all.left, high: band.right - all.left}; }"""
    )
    estimate = float(row.locator(".numbers").get_attribute("data-value"))
    assert places["zero"] == pytest.approx(places["width"] / 2, abs=1.5)
    assert (places["low"] + places["high"]) / 2 == pytest.approx(places["zero"], abs=1.5)
    per_unit = (places["high"] - places["zero"]) / 0.05
    assert places["mark"] - places["zero"] == pytest.approx(estimate * per_unit, abs=2)
    page.close()


def test_paper_is_light_and_shows_every_finding(browser: Any, check_page: Path) -> None:
    page, _ = open_page(browser, check_page, scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(500)
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    assert page.locator("#groups [data-panel]:visible").count() == 2
    page.close()


def test_without_a_script_everything_but_the_curves_is_shown(browser: Any, check_page: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(check_page.as_uri())
    assert page.locator(".forest tbody tr:visible").count() == 16
    assert page.locator("#groups table:visible").count() == 2
    assert page.locator("noscript").count() >= 1
    context.close()
