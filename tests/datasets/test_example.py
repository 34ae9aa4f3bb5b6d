"""The example of a third-party source runs, is short, and can be registered."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from subgroup_audit import datasets
from subgroup_audit.errors import StudyError
from subgroup_audit.study import Data

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "add_a_dataset.py"


def test_example_runs_as_it_is() -> None:
    shown = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True).stdout
    assert [line.split() for line in shown.splitlines()[:5]] == [
        ["image_id", "patient_id", "sex", "view", "age_years"],
        ["CHNCXR_0001_0", "CHNCXR_0001", "M", "PA", "45.0"],
        ["CHNCXR_0002_0", "CHNCXR_0002", "F", "PA", "31.0"],
        ["CHNCXR_0003_1", "CHNCXR_0003", "M", "PA", "60.0"],
        ["CHNCXR_0004_1", "CHNCXR_0004", "Unknown", "PA", "NaN"],
    ]
    assert shown.splitlines()[6:] == ["Normal          2", "Tuberculosis    2"]


def test_example_is_under_a_hundred_lines() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 100


def test_example_works_as_a_registered_source(tmp_path: Path, monkeypatch) -> None:
    module = runpy.run_path(str(EXAMPLE))
    point = EntryPoint("shenzhen", "my_package.shenzhen:Shenzhen", datasets.GROUP)
    monkeypatch.setattr(datasets, "entry_points", lambda group: [point])
    monkeypatch.setattr(EntryPoint, "load", lambda self: module["Shenzhen"])
    root = tmp_path / "data"
    root.mkdir()
    module["make_demo"](root)
    tables = datasets.load_source(Data(source="shenzhen"), root, cache=tmp_path)
    assert tables.images.frame["sex"].tolist() == ["M", "F", "M", "Unknown"]
    with pytest.raises(StudyError, match="nearest: label_source"):
        datasets.load_source(Data(source="shenzhen", options={"labelsource": "x"}), root, cache=tmp_path)
