"""Each command: what it imports, prints and writes, and that the README has it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from subgroup_audit.cli import app
from subgroup_audit.cli.run import _without_folders
from subgroup_audit.study_file import load_study

ROOT = Path(__file__).parents[2]
RSNA = ROOT.parent / "shared" / "data" / "rsna"
HEAVY = ("torch", "timm", "pandas", "numpy", "rich", "plotly", "matplotlib", "pydantic")


def _imported_by(*words: str, cwd: Path) -> tuple[list[str], str]:
    """Which heavy libraries a command imported, and what it printed."""
    code = (
        "import sys\n"
        "from subgroup_audit.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print(*[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1].split(), done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    imported, said = _imported_by("--help", cwd=tmp_path)
    assert imported == []
    assert "Does a chest-radiograph classifier work equally well for everyone?" in said


def test_doctor_says_what_is_there_without_torch(tmp_path: Path) -> None:
    imported, said = _imported_by("doctor", "--cache", "here", cwd=tmp_path)
    assert "torch" not in imported or Path("/dev/nvidiactl").exists()
    for line in ("  torch ", "device: ", "cache: here, ", "data sets: chexpert, folder, mimic_cxr, nih, phantom"):
        assert line in said


def test_every_command_stands_in_the_readme() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Commands", 1)[1].split("\n## ", 1)[0]
    documented = set(re.findall(r"`audit (\w+)", table))
    commands = {command.name for command in app.registered_commands}
    assert commands == documented


def test_schema_is_a_json_schema(audit) -> None:  # type: ignore[no-untyped-def]
    schema = json.loads(audit("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert audit("schema", "-o", "schema.json").out == ""
    assert json.loads(Path("schema.json").read_text(encoding="utf-8")) == schema


def test_init_writes_a_study_and_overwrites_none(audit) -> None:  # type: ignore[no-untyped-def]
    answer = audit("init", "mine.yaml")
    assert answer.out.startswith("mine.yaml written; `audit run mine.yaml --data FOLDER --dry-run` shows what")
    assert load_study(Path("mine.yaml")).study == "my_study"
    jsonschema.validate(
        yaml.safe_load(Path("mine.yaml").read_text(encoding="utf-8")), json.loads(audit("schema").out)
    )
    Path("mine.yaml").write_text("precious", encoding="utf-8")
    answer = audit("init", "mine.yaml")
    assert (answer.code, answer.message) == (2, "mine.yaml: there is a file already; --force overwrites it")
    assert Path("mine.yaml").read_text(encoding="utf-8") == "precious"
    assert audit("init", "mine.yaml", "--force").code == 0


def test_cohort_prints_every_table(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    answer = audit("cohort", study_file, "--out", "drawn")
    assert answer.code == 0
    for title in (
        "Study small: Does the whole job run?",
        "Images found, by label, sex and view",
        "Flow, shared by all cohorts",
        "Cohorts: images (persons; positive)",
        "Balance ceiling: the largest cohort each could be",
        "Table 1 in short",
        "Leakage certificate over 9 train/test pairs: 0 persons, 0 files shared; pictures not compared",
        "Where it would leak",
    ):
        assert title in answer.out
    assert re.search(r"found .*170 .*unknown", answer.out)  # the person of the file that is no DICOM
    assert {path.suffix for path in Path("drawn").iterdir()} == {".csv", ".parquet", ".json"}
    assert not Path("cache").exists()


def test_names_are_shown_as_they_are(audit, study_file: Path) -> None:  # type: ignore[no-untyped-def]
    text = study_file.read_text(encoding="utf-8").replace("  F: {sex: F}", "  '[/red] :smile: <b>': {sex: F}")
    study_file.write_text(text, encoding="utf-8")
    for words in (["cohort", study_file], ["run", study_file, "--dry-run"]):
        answer = audit(*words)
        assert answer.code == 0
        assert "│ [/red] :smile: <b> │" in answer.out


def test_a_dry_run_writes_nothing(audit, study_file: Path, small_phantom: Path) -> None:  # type: ignore[no-untyped-def]
    def everything() -> list[tuple[str, int]]:
        return sorted((str(p), p.stat().st_mtime_ns) for p in [*Path.cwd().rglob("*"), *small_phantom.rglob("*")])

    before = everything()
    answer = audit("run", study_file, "--dry-run")
    assert answer.code == 0
    assert "what `audit run` would do. Nothing was changed." in answer.out
    assert "Pixels: 169 images to decode" in answer.out
    assert "3 fits, 0 stored; about " in answer.out
    assert everything() == before


def test_a_pipe_that_is_closed_early_is_no_error(study_file: Path) -> None:
    for words in ("cohort study.yaml", "--help", "schema", "run study.yaml --dry-run"):
        command = f"{sys.executable} -m subgroup_audit {words} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=study_file.parent, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not RSNA.is_dir(), reason="the RSNA metadata are not beside the repository")
def test_the_rsna_study_by_its_headers(audit) -> None:  # type: ignore[no-untyped-def]
    answer = audit("cohort", ROOT / "cohorts" / "rsna_sex_view.yaml", "--data", RSNA)
    assert answer.code == 0
    for row in (
        "Lung Opacity                 │ 1,952 │   550 │ 2,712 │   798",
        "No Lung Opacity / Not Normal │ 2,504 │ 2,607 │ 3,368 │ 3,342",
        "Normal                       │   671 │ 3,234 │   966 │ 3,980",
        "found           │          │ 26,684 │  11,508",  # 11,410 NIH patients and 98 images without a match
        "age above 120 │       -5 │ 26,679",
        "F      │     1,536 (972; 768) │ 216 (147; 108) │   440 (294; 220)",
        "PA     │  2,192 │   2,200 │   label=1, sex=F, view=PA (train: 385 images)",
    ):
        assert row in answer.out
    assert "70.0% of its test images would show a person seen in training" in answer.out


def test_a_report_does_not_tell_where_a_machine_keeps_its_files() -> None:
    words = ["--data=/home/someone/rsna", "/srv/study.yaml", "--out", "here/there", "--keep-going"]
    assert list(map(_without_folders, words)) == [
        "--data=rsna",
        "study.yaml",
        "--out",
        "here/there",
        "--keep-going",
    ]


def test_every_option_of_check_stands_in_one_panel_and_is_named_in_words() -> None:
    from subgroup_audit.cli.check import PANELS, check

    named = [name for names in PANELS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) == set(inspect.signature(check).parameters) - {"file"}
    shown = CliRunner().invoke(app, ["check", "--help"]).output
    assert all(f"{title}:" in shown for title in PANELS)
    assert "--margin WORD" in shown
    assert "list[" not in shown
