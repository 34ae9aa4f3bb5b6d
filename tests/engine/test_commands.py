"""The commands of engines: plans of each, and one clear message for each mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from subgroup_audit.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], study_file: Path) -> Call:
    """Calls the command line beside the study file: exit code, output, and what it said of mistakes."""
    monkeypatch.chdir(study_file.parent)
    monkeypatch.setenv("SUBGROUP_AUDIT_CACHE", str(study_file.parent / "cache"))

    def words(*given: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["audit", *given])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err.replace(f"{study_file.parent}/", "")

    return words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["run", "study.yaml", "--engine", "slrum"],
            "--engine must be local, slurm or ray, not 'slrum'; did you mean 'slurm'?",
        ),
        (
            ["worker", "study.yaml", "--shard", "3/2"],
            "--shard 3/2 is out of range: shards are counted from 0, 0/2 to 1/2",
        ),
        (
            ["worker", "study.yaml"],
            "reports/small: no plan of fits lies here; `audit run STUDY --prepare` makes one, "
            "and --out names its folder",
        ),
    ],
)
def test_mistakes_are_one_message(call: Call, words: list[str], said: str) -> None:
    assert call(*words) == (2, "", f"audit: {said}\n")


def test_a_plan_by_engine_changes_nothing(call: Call, study_file: Path) -> None:
    pytest.importorskip("submitit", reason="needs submitit: pip install 'subgroup-audit[slurm]'")
    options = [word for option in ("gpus=1", "partition=gpu", "tasks=2") for word in ("--engine-option", option)]
    code, out, _ = call("run", "study.yaml", "--dry-run", "--engine", "slurm", *options, "--device", "cuda")
    assert code == 0
    assert "Engine slurm: 3 fits, 2 tasks; each: 4 cores, 1 GPU, 16 GB, 240 min, partition gpu." in out
    cache = study_file.parent / "cache"  # as the environment has it: other machines need not have that
    assert f"audit worker study.yaml --cache {cache} --shard 1/2" in out
    assert f"audit run study.yaml --cache {cache} --device cuda --prepare" in out
    assert not (study_file.parent / "reports").exists()


def test_a_study_is_prepared_for_workers_and_a_changed_one_is_refused(call: Call, study_file: Path) -> None:
    code, out, _ = call("run", "study.yaml", "--prepare", "--device", "cpu")
    assert code == 0
    assert "3 fits planned for cpu, 0 of them done." in out
    run = study_file.parent / "reports" / "small"
    assert not list(run.glob("steps/fit-*"))
    study_file.write_text(study_file.read_text().replace("n_resamples: 200", "n_resamples: 300"))
    code, _, err = call("worker", "study.yaml")
    assert (code, err) == (
        2,
        "audit: reports/small: its fits were planned from another form of study 'small'; "
        "run `audit run STUDY --prepare` again\n",
    )
    study_file.write_text(study_file.read_text().replace("n_resamples: 300", "n_resamples: 200"))
    code, _, err = call("worker", "study.yaml", "--fit", "F / small_cnn / default / seed 9")
    assert code == 2
    assert err.startswith("audit: the plan has no fit 'F / small_cnn / default / seed 9'; nearest: F / small_cnn")
    code, _, err = call("worker", "study.yaml", "--cache", "elsewhere")
    assert code == 2
    assert "the plan's pixels are not there; --cache must name the cache that the plan was made with" in err


def test_fits_planned_for_a_gpu_are_not_done_on_another_device(call: Call) -> None:
    from subgroup_audit.engine import resolve_device

    if resolve_device("auto") == "cuda":
        pytest.skip("this machine has a GPU")
    assert call("run", "study.yaml", "--prepare", "--device", "cuda")[0] == 0
    code, _, err = call("worker", "study.yaml")
    assert code == 2
    assert "these fits were planned for cuda" in err
    assert "planned for cuda" in call("run", "study.yaml")[2]
