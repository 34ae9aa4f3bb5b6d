"""`audit power`: what is printed before anything is trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_power_prints_tables_and_sentences(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    said = audit("power", study_file, "--auc", "0.9", "--gap", "0.1")
    assert said.code == 0
    assert "Assumed: AUC 0.9 everywhere" in said.out
    assert "one seed, so for these trained models and not for the recipe" in said.out
    assert "Subgroup gaps: one model, two groups" in said.out
    assert "Transfer gaps: one group, two training cohorts" in said.out
    assert "between F and M would be found 4 times of 5" in said.out.replace("\n", " ")


def test_power_as_json_has_every_number(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    said = audit("power", study_file, "--auc", "0.8", "--auc", "0.9", "--power", "0.9", "--format", "json")
    found = json.loads(said.out)
    assert [result["assumed"]["auc"] for result in found["results"]] == [0.8, 0.9]
    first, second = (
        next(gap for gap in result["gaps"] if gap["kind"] == "subgroup_gap") for result in found["results"]
    )
    assert first["standard_error"] > second["standard_error"]
    assert first["n_seeds"] == 1
    assert first["df"] is None
    assert first["minuend_n_persons"] > 0


def test_power_refuses_what_cannot_be(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    said = audit("power", study_file, "--auc", "85")
    assert said.code == 2
    assert said.message == "auc must lie above 0.5 and below 1, not 85"
    assert audit("power", study_file, "--format", "yaml").code == 2


def test_power_does_not_import_torch(study_file: Path) -> None:
    code = (
        "import sys\nfrom subgroup_audit.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "power", str(study_file)],
        cwd=study_file.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "False"
