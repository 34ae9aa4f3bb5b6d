"""The benchmarks run, know every goal, and write what they measured beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_every_part_runs_and_every_goal_has_a_part() -> None:
    parts = ["ingest", "cohorts", "feeding", "compute", "fits", "memory", "whole"]
    words = [sys.executable, str(FOLDER / "measure.py"), "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    headings = [line.partition(",")[0] for line in done.stdout.splitlines()[1:] if not line.startswith(" ")]
    assert sorted(headings) == sorted(parts)
    assert "goal at least 8x" in done.stdout


def test_an_unknown_part_is_named() -> None:
    words = [sys.executable, str(FOLDER / "measure.py"), "spped"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such part: spped; parts are ingest" in done.stderr


@pytest.mark.usefixtures("modules")
def test_figures_stand_beside_their_goals(tmp_path: Path) -> None:
    from report import keep, keep_profile
    from turns import Figure

    page, kept = tmp_path / "RESULTS.md", tmp_path / "measured.json"
    marks = [f"<!-- {name}: {end} -->" for name in ("measured", "profiles") for end in
             ("begin, written by the benchmarks", "end")]  # fmt: skip
    page.write_text("\n".join(["before", *marks, "after", ""]), encoding="utf-8")
    keep({"feeding": Figure(9.123, "900 against 100 images/s")}, "box", 2.34, kept, page)
    keep({"help": Figure(0.6)}, "box", 0.5, kept, page)
    keep_profile("a study", {"fits": 3.0, "in all": 4.0}, "box", 1.0, kept, page)
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    (row,) = [line for line in lines if "DataLoader + PIL on RGB" in line]
    assert "| 9.12x | at least 8x | yes | 900 against 100 images/s |" in row
    assert row.endswith(", 1, 2.3 |")
    assert any("| 0.6 s | at most 0.4 s | **no** |" in line for line in lines)
    assert "| fits | 3.0 | 75% |" in lines
    assert json.loads(kept.read_text(encoding="utf-8"))["feeding"]["value"] == 9.123


@pytest.mark.usefixtures("modules")
def test_turns_are_taken_in_both_orders() -> None:
    from turns import take_turns

    calls: list[str] = []

    def way(name: str, rate: float) -> object:
        return lambda: calls.append(name) or rate * len(calls)

    turns = take_turns({"a": way("a", 4.0), "b": way("b", 1.0)}, 2)  # type: ignore[dict-item]
    assert "".join(calls) == "abba"
    assert turns.rates == {"a": [4.0, 16.0], "b": [2.0, 3.0]}
    assert turns.ratio("a", "b") == pytest.approx((2.0 + 16.0 / 3.0) / 2)


def test_what_measures_a_gpu_runs_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = [
        sys.executable,
        str(FOLDER / "gpu.py"),
        "steps",
        "pil",
        "--device",
        "cpu",
        "--tiny",
        "--out",
        str(out),
    ]
    subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["steps"]["resnet50 32 px"]["images/s"] > 0
    assert found["pil"]["16 images"]["ratio"] > 0


@pytest.mark.slow
def test_fits_that_share_a_device_are_measured(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = [sys.executable, str(FOLDER / "gpu.py"), "fits", "--device", "cpu", "--tiny", "--out", str(out)]
    subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(out.read_text(encoding="utf-8"))["fits"]["40 images, 1 epochs"]["2: images/s"] > 0
