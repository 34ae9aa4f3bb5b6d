"""A run that is interrupted, killed, and run again: nothing lost, and the numbers of one that was not stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

WAIT_SECONDS = 120.0
SAVED = "work/fit-*/resume/state.pt"  # written after an epoch


@pytest.fixture
def two_fits(study_file: Path) -> Path:
    """A study of two fits that are long enough to be caught in the middle."""
    text = study_file.read_text(encoding="utf-8")
    text = text.replace("epochs: 3", "epochs: 40").replace("seeds: [0]", "seeds: [0]\ntrain_on: [F, M]")
    study_file.write_text(text, encoding="utf-8")
    return study_file


def _hear_interrupts() -> None:
    """A shell in the background starts its commands deaf to Ctrl-C, and Python then leaves it so."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(study_file: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `audit run` as a process group of its own, as a terminal does."""
    started: list[subprocess.Popen[str]] = []

    def call(out: str) -> subprocess.Popen[str]:
        words = ["run", "study.yaml", "--out", out, "--cache", "cache", "--device", "cpu", "--workers", "1"]
        process = subprocess.Popen(
            [sys.executable, "-m", "subgroup_audit", *words],
            cwd=study_file.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _wait_for(process: subprocess.Popen[str], is_there: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not is_there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def _alive(group: int) -> list[str]:
    """Processes of a group that still run; those that ended and wait to be collected do not count."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = status.read_text(encoding="utf-8").rpartition(")")
        except OSError:
            continue
        state, _, owner = rest.split()[:3]
        if int(owner) == group and state != "Z":
            found.append(name)
    return found


def _see_end(group: int) -> None:
    """Wait for the last process of a group to end, for a moment."""
    end = time.monotonic() + 10.0
    while _alive(group) and time.monotonic() < end:
        time.sleep(0.05)
    assert _alive(group) == []


def _predictions(out: Path) -> bytes:
    return next(out.glob("steps/predictions-*/predictions.parquet")).read_bytes()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for left-over workers in /proc")
def test_a_run_stopped_twice_has_the_numbers_of_one_that_was_not(audit, two_fits: Path, start) -> None:  # type: ignore[no-untyped-def]
    out = two_fits.parent / "out"

    # Ctrl-C in the middle of the first fit: a terminal sends it to every process of the run
    process = start("out")
    _wait_for(process, lambda: list(out.glob(SAVED)))
    os.killpg(process.pid, signal.SIGINT)
    said, news = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130
    assert said == ""
    assert news.splitlines()[-2:] == [
        "",
        "audit: stopped. What was finished is kept; the same command goes on from there.",
    ]
    assert "Traceback" not in news
    _see_end(process.pid)
    assert not list(out.glob("steps/fit-*"))

    # kill -9 of the main process in the middle of the second fit: its workers must not outlive it
    process = start("out")
    _wait_for(process, lambda: list(out.glob("steps/fit-*")) and list(out.glob(SAVED)))
    finished = next(out.glob("steps/fit-*"))
    before = finished.stat().st_mtime_ns
    process.kill()
    process.wait()
    _see_end(process.pid)
    process.communicate()

    answer = audit("run", two_fits, "--out", "out", "--cache", "cache", "--device", "cpu", "--workers", "1")
    assert answer.code == 0
    assert "1 of 2 fits: reused, unchanged" in answer.err
    assert "1 fits done, 1 reused, 0 failed" in answer.out
    assert finished.stat().st_mtime_ns == before

    whole = audit("run", two_fits, "--out", "whole", "--cache", "cache", "--device", "cpu", "--workers", "2")
    assert whole.code == 0
    assert "2 fits done, 0 reused, 0 failed" in whole.out
    assert _predictions(out) == _predictions(two_fits.parent / "whole")

    for fit in out.glob("steps/fit-*"):
        assert json.loads((fit / "fit.json").read_text(encoding="utf-8"))["resumed_after"] > 0

    _no_change_no_torch(two_fits)
    _damaged_files_are_named(out)


def _no_change_no_torch(study: Path) -> None:
    """A run that finds everything done imports no torch, says so, and leaves the report alone."""
    report = study.parent / "out" / "report.html"
    before = report.stat().st_mtime_ns
    code = "import sys\nfrom subgroup_audit.cli import main\nmain()\n"
    code = code.replace("main()\n", "try:\n    main()\nfinally:\n    print('torch' in sys.modules)\n")
    words = ["run", str(study), "--out", "out", "--cache", "cache", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=study.parent, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Nothing changed: 14 steps and 2 fits reused (")
    assert lines[-1] == "False"
    assert report.stat().st_mtime_ns == before


def _damaged_files_are_named(out: Path) -> None:
    """A truncated DICOM and a text file named .dcm leave with a reason; the run goes on without them."""
    exclusions = pd.read_parquet(next(out.glob("steps/cohorts-*/exclusions.parquet")))
    reasons = exclusions[exclusions["step"].isin(["read", "pixels"])].set_index("step")["reason"].to_dict()
    assert reasons == {"read": "not a DICOM file", "pixels": "the DICOM file holds no pixel data"}
