"""A browser for the tests: started once, quiet, cut off from every network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (360, 768, 1440)
SCHEMES = ("light", "dark")
LAPTOPS = ((1366, 768), (1440, 900))
# The question, the verdict, every gap, what could not have been shown, and how many persons.
FIRST_SCREEN = ("h1", ".headline .title", ".headline .tally", ".cards", ".card .limits", ".reach p", ".facts dd")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# Milliseconds: a machine at work on other things may need long for a page of five megabytes.
PATIENCE = 120_000
# Anything but the file itself and what it holds within is a request that no page of ours may make.
INSIDE = ("file:", "data:", "blob:")


@contextmanager
def start_chromium() -> Iterator[Any]:
    """Chromium without a screen; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=found, args=QUIET)
        yield started
        started.close()


def open_page(
    browser: Any, path: Path, width: int = 1440, scheme: str = "light", height: int = 900
) -> tuple[Any, list[str]]:
    """The opened page, offline, and a list that fills with errors, requests and dialogs."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    heard: list[str] = []
    page.context.set_offline(True)
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith(INSIDE) else heard.append(asked.url))
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.goto(path.as_uri())
    return page, heard


def scroll_through(page: Any) -> None:
    """Bring every part of the page near the screen once, and wait until every visible figure is drawn."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 1200):
        page.evaluate(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")
        page.wait_for_timeout(30)
    undrawn = "[...document.querySelectorAll('.plot:not([data-drawn])')].some(p => p.checkVisibility())"
    # not `wait_for_function`: it asks a second time from within the page, whose policy refuses that
    deadline = time.monotonic() + PATIENCE / 1000
    while page.evaluate(undrawn):
        if time.monotonic() > deadline:
            raise AssertionError("a visible figure was not drawn")
        page.wait_for_timeout(50)


def lowest_of_the_first_screen(page: Any) -> float:
    """The lower edge of what must be read without scrolling, in CSS pixels; every part of it is there."""
    found = page.evaluate(
        """all => all.map(name => [...document.querySelectorAll(`header ${name}`)].map(
        part => part.getBoundingClientRect()).filter(box => box.width > 0).map(box => box.bottom + scrollY))""",
        list(FIRST_SCREEN),
    )
    missing = [name for name, edges in zip(FIRST_SCREEN, found, strict=True) if not edges]
    if missing:
        raise AssertionError(f"the first screen lacks {missing}")
    return float(max(edge for edges in found for edge in edges))


def accessibility_faults(page: Any) -> list[str]:
    """What axe-core and two rules of our own find wrong: every table is named, every picture described."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    faults = [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]
    faults += page.evaluate(
        """() => [...document.querySelectorAll('table:not(:has(caption)):not([aria-label])')]
        .map(table => 'a table without a caption: ' + table.outerHTML.slice(0, 200))"""
    )
    faults += page.evaluate(
        """() => [...document.querySelectorAll('svg:not([aria-hidden], #js-plotly-tester), .plot')]
        .filter(drawing =>
        !drawing.closest('[aria-hidden]') && !drawing.closest('svg[role], .plot[role]'))
        .map(drawing => 'a drawing without a description: ' + drawing.outerHTML.slice(0, 200))"""
    )
    return faults
