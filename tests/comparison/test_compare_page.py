"""The page, the tables and the figures of a comparison; and the command."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
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

from subgroup_audit.cli import main
from subgroup_audit.comparison import compare_runs
from subgroup_audit.comparison.runs import Run
from subgroup_audit.report.compare_page import render_comparison, write_comparison


def _text(page: str) -> str:
    without = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without)).split())


def test_the_page_says_what_the_result_holds(old: Run, better: Run) -> None:
    result = compare_runs([old, better])
    page = render_comparison(result)
    text = _text(page)
    assert "What changed from old to new ?" in text or "What changed from old to new?" in text
    assert result.title in text
    for part in ("Differences", "Cell by cell", "What changed in the design", "Who was compared", "Methods"):
        assert part in text
    assert "Nothing changed: study, cohorts, data, software and device are the same" in text
    assert page == render_comparison(result)


def test_the_page_asks_no_server(old: Run, better: Run) -> None:
    page = render_comparison(compare_runs([old, better]))
    assert not re.findall(r"""(?:src|href)=["']https?:""", page)
    assert "default-src 'none'" in page
    assert len(page) < 600_000


def test_hostile_names_stay_text(hostile_runs: tuple[Run, Run], tmp_path: Path) -> None:
    result = compare_runs(hostile_runs)
    page = write_comparison(result, tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<script>" not in (tmp_path / "tables" / "differences.md").read_text(encoding="utf-8")


def test_tables_and_figures_hold_the_same_numbers(old: Run, better: Run, tmp_path: Path) -> None:
    result = compare_runs([old, better])
    write_comparison(result, tmp_path)
    for name, frame in result.tables().items():
        stored = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        pd.testing.assert_frame_equal(stored, frame, check_dtype=False)
        assert all((tmp_path / "tables" / f"{name}.{kind}").is_file() for kind in ("csv", "tex", "md"))
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    for name in (
        "differences_auc",
        "differences_subgroup_gap",
        "differences_transfer_gap",
        "matrix_0",
        "both_sides",
    ):
        assert {f"{name}.svg", f"{name}.pdf", f"{name}.png"} <= figures
    assert json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))["verdict"] == "difference"


def _run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["audit", "compare", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_prints_the_verdict_and_exits_by_it(
    written: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    old, new = map(str, written)
    assert _run([old, new, "--out", str(tmp_path / "page")], monkeypatch) == 1
    said = capsys.readouterr().out
    assert said.startswith("new compared with old (differences: compared minus reference)\n")
    assert "Subgroup gaps" in said
    assert "Design of new: identical to that of old." in said
    assert "Not the same to the digit: predictions." in said
    assert (tmp_path / "page" / "compare.html").is_file()
    assert _run([old, new, "--exit-zero"], monkeypatch) == 0
    assert _run([old, old, "--strict"], monkeypatch) == 0
    assert "Identical: the same numbers to the digit." in capsys.readouterr().out


def test_the_command_prints_json_alone(
    written: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run([*map(str, written), "--json"], monkeypatch) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == 1
    assert document["compared"] == ["new"]


def test_the_command_refuses_with_one_message(
    written: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run([str(written[0])], monkeypatch) == 2
    assert capsys.readouterr().err == (
        "audit: audit compare: one run alone is nothing to compare; name a second run, or two models of this one: "
        "--models net\n"
    )


@pytest.fixture(scope="session")
def pages(
    old: Run, better: Run, hostile_runs: tuple[Run, Run], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A plain page and one with hostile names."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"plain": compare_runs([old, better]), "hostile": compare_runs(hostile_runs)}
    for name, result in made.items():
        (folder / f"{name}.html").write_text(render_comparison(result), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.browser
@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_the_page_is_quiet_and_never_wider_than_the_screen(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    page, heard = open_page(browser, pages[name], width, "dark" if width == 768 else "light")
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    page.close()


@pytest.mark.browser
@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_is_accessible(browser: Any, pages: dict[str, Path], scheme: str) -> None:
    page, _ = open_page(browser, pages["plain"], scheme=scheme)
    assert accessibility_faults(page) == []
    page.close()


@pytest.mark.browser
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("width", "height"), LAPTOPS)
def test_the_first_screen_fits_a_laptop(browser: Any, pages: dict[str, Path], width: int, height: int) -> None:
    page, _ = open_page(browser, pages["plain"], width, height=height)
    assert lowest_of_the_first_screen(page) <= height
    page.close()


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_a_word_filters_the_rows(browser: Any, pages: dict[str, Path]) -> None:
    page, _ = open_page(browser, pages["plain"])
    page.fill("[data-filter=differences]", "tested on F")
    shown = page.locator("table[data-filtered=differences] tbody tr:visible").all_inner_texts()
    assert shown
    isolates = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069"))
    assert all("tested on f" in text.translate(isolates).lower() for text in shown)
    page.close()
