"""A study, from its file to its report: the steps in order, each stored, none repeated without need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from subgroup_audit import steps
from subgroup_audit.engine import (
    Engine,
    FitFailure,
    FitJob,
    default_workers,
    device_of_fits,
    forget_claims,
    require_device,
    resolve_device,
    run_fits,
)
from subgroup_audit.errors import StoreError, TrainingError
from subgroup_audit.report.paper_figures import ONE_COLUMN, layout_of
from subgroup_audit.schema import CohortManifest
from subgroup_audit.steps import Place, PlannedFit
from subgroup_audit.store import Done, RunFolder, Step, digest, read_json
from subgroup_audit.study import Study
from subgroup_audit.watcher import Silence, Watcher

FIT_KINDS = ("fits", "control fits")


@dataclass(frozen=True)
class RunOptions:
    """How a study is run; nothing here changes a number, but for the kind of device.

    Attributes
    ----------
    device : auto, cpu, mps, cuda or cuda:N
    workers : fits side by side; None: one per core, or one per GPU
    keep_going : leave failed fits out of the report instead of stopping
    command : what the user typed, for the report's provenance
    engine : where fits run
    """

    device: str = "auto"
    workers: int | None = None
    keep_going: bool = False
    command: str = ""
    engine: Engine = field(default_factory=Engine)


@dataclass(frozen=True)
class Prepared:
    """A study whose data and cohorts are ready, and whose fits are planned.

    Attributes
    ----------
    waiting : fits that are not done
    """

    folder: Path
    device: str
    n_fits: int
    waiting: list[FitJob]


@dataclass
class RunSummary:
    """What a run did and where its results lie."""

    report: Path
    folder: Path
    estimates: pd.DataFrame | None = None
    contrasts: pd.DataFrame | None = None
    failures: list[FitFailure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    n_fits_reused: int = 0
    n_fits_done: int = 0
    seconds: float = 0.0

    @property
    def is_unchanged(self) -> bool:
        """Whether everything was found done."""
        return not self.done and not self.n_fits_done and not self.failures


def run_study(study: Study, place: Place, options: RunOptions, watcher: Watcher | None = None) -> RunSummary:
    """The whole job: data, pixels, cohorts, fits, predictions, audit, report.

    Parameters
    ----------
    study : validated study
    place : where the data, the run folder and the cache of pixels lie
    watcher : hears of progress

    Raises
    ------
    AuditError
        Anything that the user can put right; what was finished by then is kept.
    """
    with RunFolder(place.out, study.study).held() as folder:
        run = _Run(study, place, options, folder, watcher or Silence())
        source, pixels, cohorts = run.data()
        samples = run.step(steps.samples_step(study, cohorts, pixels), steps.draw_samples, source, cohorts)
        fits, controls = run.fits(source, cohorts, pixels)
        predictions = run.step(
            steps.predictions_step(study, cohorts, fits), steps.gather_predictions, cohorts, *fits
        )
        audit = run.step(steps.audit_step(study, cohorts, predictions), steps.audit_cells, cohorts, predictions)
        differences = run.step(steps.differences_step(study, cohorts), steps.compare_cohorts, cohorts)
        performance = run.step(
            steps.performance_step(study, cohorts, predictions), steps.measure_performance, cohorts, predictions
        )
        reasons = run.reasons(source, cohorts, predictions, audit, fits, controls)
        run.report([source, cohorts, samples, *fits, audit, differences, performance, *reasons], predictions)
        return run.summary


def prepare_study(study: Study, place: Place, options: RunOptions, watcher: Watcher | None = None) -> Prepared:
    """Data, pixels and cohorts made ready, and the plan of all fits written for `audit worker`; no fit is done.

    Raises
    ------
    AuditError
        Anything that the user can put right; what was finished by then is kept.
    """
    with RunFolder(place.out, study.study).held() as folder:
        run = _Run(study, place, options, folder, watcher or Silence(), is_elsewhere=True)
        source, pixels, cohorts = run.data()
        manifest = steps.read_manifest(cohorts)
        planned = run.plan(manifest, pixels)
        jobs = steps.prepare_jobs(study, place, folder, planned, manifest, source, device=run.device)
        waiting = [job for job in jobs if not folder.is_done(job.step)]
        return Prepared(folder.path, run.device, len(jobs), waiting)


@dataclass
class _Run:
    """A run under way: does steps that are not done, and keeps count of those that were."""

    study: Study
    place: Place
    options: RunOptions
    folder: RunFolder
    watcher: Watcher
    is_elsewhere: bool = False
    started: float = field(default_factory=time.time)
    summary: RunSummary = field(init=False)

    def __post_init__(self) -> None:
        self.summary = RunSummary(self.folder.path / "report.html", self.folder.path)
        engine, asked = self.options.engine, self.options.device
        is_elsewhere = self.is_elsewhere or engine.is_elsewhere
        self.device = device_of_fits(asked, self.folder.path, is_elsewhere=is_elsewhere, gpus=engine.gpus)

    @cached_property
    def here(self) -> str:
        """The device of what this process does itself: that of the fits, or what this machine has instead."""
        try:
            return resolve_device(self.device)
        except TrainingError:
            return resolve_device("auto")

    def data(self) -> tuple[Done, Done, Done]:
        """Source tables, pixels and cohorts."""
        study = self.study
        source = self.step(steps.source_step(study, self.place.root), steps.read_source)
        pixels = self.step(steps.pixels_step(study, source), steps.decode_pixels, source)
        copies = self.step(steps.copies_step(pixels), steps.find_copies, source, pixels)
        step = steps.cohorts_step(study, source, pixels, copies)
        cohorts = self.step(step, steps.build_cohorts, source, pixels, copies)
        return source, pixels, cohorts

    def step(self, step: Step, do: Callable[[steps.Doing], None], *inputs: Done) -> Done:
        """The step, done now or found done."""
        if self.folder.is_done(step):
            self.watcher.reuse(step.name)
            self.summary.reused.append(step.name)
        else:
            with self._timed(step.name), self.folder.writing(step) as work:
                do(steps.Doing(self.study, self.place, work, inputs, self.watcher.advance, self.here))
            self.summary.done.append(step.name)
        return self.folder.done(step)

    @contextmanager
    def _timed(self, name: str, total: int | None = None) -> Iterator[None]:
        self.watcher.begin(name, total)
        started = time.perf_counter()
        yield
        self.watcher.end(name, time.perf_counter() - started)

    def plan(self, manifest: CohortManifest, pixels: Done) -> tuple[list[PlannedFit], list[PlannedFit]]:
        """The study's fits, and those of its controls."""
        seen = (self.study, self.place, manifest, pixels.content, self.device)
        return steps.plan_fits(*seen), steps.plan_controls(*seen)

    def fits(self, source: Done, cohorts: Done, pixels: Done) -> tuple[list[Done], list[Done]]:
        """The finished fits and controls; raises where one failed, unless the run is to keep going."""
        manifest = steps.read_manifest(cohorts)
        planned = self.plan(manifest, pixels)
        for fits, kind in zip(planned, FIT_KINDS, strict=True):
            self._count_reused(fits, kind)
        if any(not self.folder.is_done(fit.step) for fits in planned for fit in fits):
            jobs = steps.prepare_jobs(
                self.study, self.place, self.folder, planned, manifest, source, device=self.device
            )
            self._do_fits(jobs, len(planned[0]))
        return self._finished(planned[0]), self._finished(planned[1])

    def _finished(self, planned: list[PlannedFit]) -> list[Done]:
        found = [self.folder.done(fit.step) for fit in planned if self.folder.is_done(fit.step)]
        if planned and not found:
            raise TrainingError(f"every fit failed; the first: {self.summary.failures[0].message}")
        return found

    def _count_reused(self, planned: list[PlannedFit], kind: str) -> None:
        n_reused = sum(self.folder.is_done(fit.step) for fit in planned)
        self.summary.n_fits_reused += n_reused
        if n_reused:
            self.watcher.reuse(f"{n_reused} of {len(planned)} {kind}")

    def _do_fits(self, jobs: list[FitJob], n_own: int) -> None:
        """Do the fits that wait: the study's own before the controls here, all at once where machines are many."""
        engine = self.options.engine
        groups = {FIT_KINDS[0]: jobs[:n_own], FIT_KINDS[1]: jobs[n_own:]}
        if engine.is_elsewhere:
            groups = {FIT_KINDS[0]: jobs}
        device = self.device if engine.is_elsewhere else require_device(self.device)
        for kind, members in groups.items():
            waiting = [job for job in members if not self.folder.is_done(job.step)]
            if not waiting:
                continue
            with self._timed(kind, len(waiting)):
                self.summary.failures += run_fits(
                    waiting,
                    device=device,
                    workers=self._count_workers(len(waiting)),
                    keep_going=self.options.keep_going,
                    watcher=self.watcher,
                    done=self._finish,
                    engine=engine,
                )
        forget_claims(self.folder.path)

    def _count_workers(self, n_fits: int) -> int:
        if self.options.engine.is_elsewhere:
            return 0
        return self.options.workers or default_workers(self.device, n_fits)

    def _finish(self, job: FitJob, seconds: float) -> None:
        """Hear that a fit is done; its worker has published it, unless it was done in this process."""
        if not self.folder.is_done(job.step):
            self.folder.finish(job.step, job.work, seconds=seconds)
        self.summary.n_fits_done += 1

    def reasons(
        self,
        source: Done,
        cohorts: Done,
        predictions: Done,
        audit: Done,
        fits: list[Done],
        controls: list[Done],
    ) -> list[Done]:
        """Why there is a gap: scores checked, errors by person, waterfall and controls, causes, looks inside."""
        study, scored = self.study, (cohorts, predictions, *fits, *controls)
        order = self.step(
            steps.order_step(source, cohorts, predictions, fits, controls), steps.check_fits, source, *scored
        )
        errors = self.step(
            steps.errors_step(study, source, cohorts, predictions),
            steps.count_errors,
            source,
            cohorts,
            predictions,
        )
        diagnosis = self.step(
            steps.diagnosis_step(study, cohorts, predictions, fits, controls), steps.diagnose, *scored
        )
        measured = (cohorts, predictions, order, audit, diagnosis)
        causes = self.step(steps.causes_step(study, *measured), steps.find_causes, *measured)
        seen = (source, cohorts, predictions)
        inside = [
            self.step(look.plan(study, self.here, *seen, fits), look.do, *seen, *fits)
            for look in steps.looks_inside(study)
        ]
        return [order, errors, diagnosis, causes, *inside]

    def report(self, shown: list[Done], predictions: Done) -> None:
        """Render the report unless it is there already, and publish it at the top of the run folder."""
        parts = steps.RunParts(self.study, shown, self.summary.failures)
        step = steps.report_step(parts)
        if self.folder.is_done(step) and self._is_published(step):
            self.watcher.reuse(step.name)
            self.summary.reused.append(step.name)
        else:
            with self._timed(step.name), self.folder.writing(step) as work:
                provenance = {**self._provenance(parts.fits), **steps.count_cohorts(parts.named("cohorts"))}
                steps.write_report(parts, work, provenance)
            steps.publish_report(self.folder, step)
            steps.publish_data(self.folder, parts, predictions)
            self.summary.done.append(step.name)
            self._record(step, shown, provenance)
        self.summary.estimates, self.summary.contrasts = steps.read_result_frames(parts.named("audit"))
        self.summary.seconds = time.time() - self.started

    def _is_published(self, step: Step) -> bool:
        """Whether the report at the top of the folder is this one, not that of another form of the study."""
        return self.folder.record().get("report") == step.folder_name and self.summary.report.is_file()

    def _provenance(self, fits: list[Done]) -> dict[str, Any]:
        return {
            **steps.describe_environment(self.place, self.device),
            "engine": self.options.engine.name,
            "command": self.options.command,
            "started": steps.timestamp(self.started),
            "finished": steps.timestamp(time.time()),
            "n_fits": len(fits),
            "n_fits_reused": self.summary.n_fits_reused,
            "fit_seconds": round(sum(fit.seconds for fit in fits), 1),
            "study_digest": digest(self.study.model_dump(mode="json")),
        }

    def _record(self, report: Step, shown: list[Done], provenance: dict[str, Any]) -> None:
        """Say in `run.json` what this run was, which report lies at the top, and which steps it shows."""
        self.folder.write_record(
            {
                "study": self.study.study,
                "definition": self.study.model_dump(mode="json"),
                "provenance": provenance,
                "report": report.folder_name,
                "steps": [done.step.folder_name for done in shown],
                "failures": [vars(failure) for failure in self.summary.failures],
            }
        )


def render_again(path: Path, journal: str = ONE_COLUMN.name) -> Path:
    """The report of a finished run, rendered again from its stored numbers, with figures of a journal's width.

    Raises
    ------
    StoreError
        The folder holds no finished run, or a step of it is gone.
    ReportError
        The journal is not known.
    """
    layout_of(journal)
    record = read_json(path / "run.json")
    if "steps" not in record:
        raise StoreError(f"{path}: no finished run lies here; `audit run STUDY --out {path}` makes one")
    try:
        study = Study.model_validate(record["definition"])
    except ValidationError as error:
        raise StoreError(
            f"{path}/run.json: its study breaks a rule of this version ({error.error_count()} in all); "
            "run it again"
        ) from error
    with RunFolder(path, study.study).held() as folder:
        found = [folder.find(name) for name in record["steps"]]
        failures = [FitFailure(**failure) for failure in record["failures"]]
        parts = steps.RunParts(study, found, failures)
        step = steps.report_step(parts, journal)
        with folder.writing(step) as work:
            steps.write_report(parts, work, record["provenance"], journal)
        steps.publish_report(folder, step)
        folder.write_record({**record, "report": step.folder_name})
    return path / "report.html"
