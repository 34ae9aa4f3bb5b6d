"""The examples of a check do what they say."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_script_finds_the_planted_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["check_predictions.py", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "check_predictions.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert said.startswith("A gap was found\n")
    assert "sex: F minus M: there is a gap of -0.1" in said
    assert {path.name for path in tmp_path.iterdir()} == {
        "predictions.csv",
        "check.html",
        "model_card.md",
        "numbers",
    }
    contrasts = pd.read_csv(tmp_path / "numbers" / "contrasts.csv")
    judged = contrasts[contrasts["margin"].notna()].set_index("attribute")["verdict"]
    assert judged.to_dict() == {"sex": "gap", "view": "no gap beyond the margin"}


def test_the_notebook_runs_and_holds_no_output() -> None:
    """Its code cells in order, in one namespace, as a kernel would run them."""
    notebook = json.loads((EXAMPLES / "check_predictions.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    names: dict[str, Any] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    result = names["result"]
    assert result.judged.set_index("attribute")["verdict"]["sex"] == "gap"
    assert "gap was found" in result._repr_html_()
