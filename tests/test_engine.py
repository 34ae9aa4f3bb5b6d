"""Fits in workers: kept when one dies, stopped or left out when one fails, the same numbers from any number."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from subgroup_audit import engine, steps
from subgroup_audit.engine import FitJob, run_fits
from subgroup_audit.errors import TrainingError
from subgroup_audit.pipeline import RunOptions, run_study
from subgroup_audit.steps.place import Place
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study
from subgroup_audit.watcher import Silence


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


def _study(study_file: Path, **changes: object) -> Study:
    study = load_study(study_file)
    return Study.model_validate({**study.model_dump(mode="json"), **changes})


def _prepare(study: Study, place: Place) -> list[steps.PreparedFit]:
    """The jobs of a study whose cohorts are built, in a run folder of its own."""
    folder = RunFolder(place.out, study.study)
    with folder.held():
        source = _do(study, place, folder, steps.source_step(study, place.root), steps.read_source)
        pixels = _do(study, place, folder, steps.pixels_step(study, source), steps.decode_pixels, source)
        copies = _do(study, place, folder, steps.copies_step(pixels), steps.find_copies, source, pixels)
        step = steps.cohorts_step(study, source, pixels, copies)
        cohorts = _do(study, place, folder, step, steps.build_cohorts, source, pixels, copies)
        manifest = steps.read_manifest(cohorts)
        planned = steps.plan_fits(study, place, manifest, pixels.content, "cpu")
        return steps.prepare_jobs(study, place, folder, planned, manifest, source)


def _do(study, place, folder, step, do, *inputs):  # type: ignore[no-untyped-def]
    with folder.writing(step) as work:
        do(steps.Doing(study, place, work, inputs, lambda done, total: None))
    return folder.done(step)


def _place(study_file: Path, study: Study, name: str) -> Place:
    root = Path(study.data.root or "")
    return Place(study_file.parent, root, study_file.parent / name, study_file.parent / "cache")


def _run(jobs: list[FitJob], watcher: Silence, *, keep_going: bool = False, workers: int = 1) -> list[str]:
    done: list[str] = []
    failures = run_fits(
        jobs,
        device="cpu",
        workers=workers,
        threads=1,
        keep_going=keep_going,
        watcher=watcher,
        done=lambda job, seconds: done.append(job.label),
    )
    return done + [f"{failure.label}: {failure.message}" for failure in failures]


def test_a_killed_worker_costs_its_fit_only_the_unfinished_epoch(study_file: Path) -> None:
    recipe = load_study(study_file).recipes["default"].model_dump(mode="json")
    study = _study(study_file, train_on=["all"], recipes={"default": {**recipe, "epochs": 60}})
    outcomes = []
    for name, watcher in (("killed", _Killer()), ("whole", Silence())):
        job = _prepare(study, _place(study_file, study, name))[0].job
        assert _run([job], watcher) == [job.label]
        outcomes.append((job.work / "predictions.parquet").read_bytes())
        if isinstance(watcher, _Killer):
            assert watcher.killed == 1
            assert watcher.said == [f"{job.label}: its worker ended (exit -9); resuming it in a fresh worker"]
            assert '"resumed_after": 0' not in (job.work / "fit.json").read_text()
    assert outcomes[0] == outcomes[1]


def test_two_workers_give_the_bytes_of_one(study_file: Path) -> None:
    study = _study(study_file, train_on=["F", "M"])
    tables = []
    for name, workers in (("one", 1), ("two", 2)):
        jobs = [prepared.job for prepared in _prepare(study, _place(study_file, study, name))]
        assert sorted(_run(jobs, Silence(), workers=workers)) == sorted(job.label for job in jobs)
        tables.append([(job.work / "predictions.parquet").read_bytes() for job in jobs])
    assert tables[0] == tables[1]


def test_a_failed_fit_stops_the_run_or_is_left_out(study_file: Path) -> None:
    recipe = load_study(study_file).recipes["default"].model_dump(mode="json")
    wild = {**recipe, "optimiser": "sgd", "learning_rate": 1e30}
    study = _study(study_file, train_on=["all"], recipes={"wild": wild, "default": recipe})
    place = _place(study_file, study, "failing")
    with pytest.raises(TrainingError, match=r"all / small_cnn / wild / seed 0: .*not finite"):
        run_study(study, place, RunOptions(device="cpu"))
    summary = run_study(study, place, RunOptions(device="cpu", keep_going=True))
    assert [failure.label for failure in summary.failures] == ["all / small_cnn / wild / seed 0"]
    assert "wild" in summary.report.read_text(encoding="utf-8")
    assert set(summary.estimates["recipe"]) == {"default"}  # type: ignore[index]


def test_a_lone_fit_has_all_cores_and_others_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "available_cores", lambda: 4)
    assert engine.threads_per_fit("cpu", 1) == 4
    assert engine.threads_per_fit("cpu", 2) == 1
    assert engine.default_workers("cpu", 9) == 4
    assert engine.default_workers("cpu", 3) == 3
    assert engine.default_workers("cuda:1", 3) == 1
