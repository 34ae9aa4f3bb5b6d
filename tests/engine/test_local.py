"""Fits in workers: kept when one dies, stopped or left out when one fails, the same numbers from any number."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subgroup_audit.engine import FitJob, devices, run_fits
from subgroup_audit.errors import StepError
from subgroup_audit.pipeline import RunOptions, run_study
from subgroup_audit.steps.place import Place
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study
from subgroup_audit.watcher import Silence

Plan = Callable[..., Any]


class _Killer(Silence):
    """Kills the worker once, when its fit has done an epoch."""

    def __init__(self) -> None:
        self.killed = 0
        self.said: list[str] = []

    def fit_advanced(self, fit: str, epoch: float, epochs: int, images_per_second: float, note: str) -> None:
        if not self.killed and epoch >= 1:
            self.killed += 1
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    def say(self, message: str) -> None:
        self.said.append(message)


def _run(jobs: list[FitJob], watcher: Silence, *, keep_going: bool = False, workers: int = 1) -> list[str]:
    done: list[str] = []
    failures = run_fits(
        jobs,
        device="cpu",
        workers=workers,
        keep_going=keep_going,
        watcher=watcher,
        done=lambda job, seconds: done.append(job.label),
    )
    return done + [f"{failure.label}: {failure.message}" for failure in failures]


def _record(job: FitJob) -> str:
    return (RunFolder(job.run, "").folder(job.step) / "fit.json").read_text()


def test_a_killed_worker_costs_its_fit_only_the_unfinished_epoch(plan_small: Plan) -> None:
    whole = plan_small("whole", epochs=40, train_on=["F", "M"])
    killed, watcher = whole.copy("killed"), _Killer()
    job = killed.jobs[0]
    assert _run(killed.jobs[:1], watcher) == _run(whole.jobs[:1], Silence()) == [job.label]
    assert watcher.killed == 1
    assert watcher.said == [f"{job.label}: its worker ended (exit -9); resuming it in a fresh worker"]
    assert '"resumed_after": 0' not in _record(job)
    assert killed.scores() == whole.scores()
    assert not [path for path in job.work.parent.iterdir() if path.is_dir()]


def test_two_workers_give_the_bytes_of_one(done_here: Any) -> None:
    one = done_here.copy("one")
    assert _run(one.jobs, Silence()) == [job.label for job in one.jobs]
    assert one.scores() == done_here.scores()


def test_a_failed_fit_stops_the_run_or_is_left_out(study_file: Path, cache: Path) -> None:
    study = load_study(study_file)
    recipe = study.recipes["default"].model_dump(mode="json")
    wild = {**recipe, "optimiser": "sgd", "learning_rate": 1e30}
    changes = {"train_on": ["all"], "recipes": {"wild": wild, "default": recipe}}
    study = Study.model_validate({**study.model_dump(mode="json"), **changes})
    place = Place(study_file.parent, Path(study.data.root or ""), study_file.parent / "failing", cache)
    with pytest.raises(StepError, match=r"fit: all / small_cnn / wild / seed 0: .*not finite"):
        run_study(study, place, RunOptions(device="cpu"))
    summary = run_study(study, place, RunOptions(device="cpu", keep_going=True))
    assert [failure.label for failure in summary.failures] == ["all / small_cnn / wild / seed 0"]
    assert "wild" in summary.report.read_text(encoding="utf-8")
    assert set(summary.estimates["recipe"]) == {"default"}  # type: ignore[index]


def test_a_lone_fit_has_all_cores_and_others_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_cores", lambda: 4)
    assert devices.threads_per_fit("cpu", 1) == 4
    assert devices.threads_per_fit("cpu", 2) == 1
    assert devices.default_workers("cpu", 9) == 4
    assert devices.default_workers("cpu", 3) == 3
    assert devices.default_workers("cuda:1", 3) == 1
