"""A study, from its file to its report: the steps in order, each stored, none repeated without need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
from subgroup_audit.errors import StepError, StoreError, TrainingError
from subgroup_audit.report.paper_figures import ONE_COLUMN, layout_of
from subgroup_audit.schema import CohortManifest
from subgroup_audit.steps import Place, PlannedFit
from subgroup_audit.store import Done, RunFolder, Step, digest, read_json
from subgroup_audit.study import Study
from subgroup_audit.watcher import Silence, Watcher

FIT_KINDS = ("fits", "control fits")

# Steps that a report does not read: it has their numbers through others.
UNSHOWN = ("pixels", "copies", "predictions")


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
    broken: list[steps.StepFailure] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    n_fits_reused: int = 0
    n_fits_done: int = 0
    seconds: float = 0.0

    @property
    def is_unchanged(self) -> bool:
        """Whether everything was found done."""
        return not (self.done or self.n_fits_done or self.failures or self.broken)


def run_study(study: Study, place: Place, options: RunOptions, watcher: Watcher | None = None) -> RunSummary:
    """The whole job: data, pixels, cohorts, fits, predictions, audit, report.

    From the cohorts on, a step that fails leaves out only itself and what rests on it: the others go on, and the
    report is written.

    Parameters
    ----------
    study : validated study
    place : where the data, the run folder and the cache of pixels lie
    watcher : hears of progress

    Raises
    ------
    AuditError
        Anything that the user can put right; what was finished by then is kept.
    StepError
        A step after the cohorts failed; the report shows what there is.
    """
    with RunFolder(place.out, study.study).held() as folder:
        run = _Run(study, place, options, folder, watcher or Silence())
        source, pixels, cohorts = run.data()
        with run.surviving("samples"):
            run.step(steps.samples_step(study, cohorts, pixels), steps.draw_samples, source, cohorts)
        with run.surviving("differences"):
            run.step(steps.differences_step(study, cohorts), steps.compare_cohorts, cohorts)
        with run.surviving("fit"):
            fits, controls = run.fits(source, cohorts, pixels)
            with run.surviving("predictions"):
                step = steps.predictions_step(study, cohorts, fits)
                predictions = run.step(step, steps.gather_predictions, cohorts, *fits)
                run.results(cohorts, predictions)
                run.reasons(source, cohorts, predictions, fits, controls)
        run.report()
        run.raise_for_failures()
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
    finished: dict[str, Done] = field(default_factory=dict)
    own_fits: list[Done] = field(default_factory=list)

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
        self.finished[step.name] = self.folder.done(step)
        return self.finished[step.name]

    @contextmanager
    def surviving(self, name: str) -> Iterator[None]:
        """Note a failure of the step and go on after the block: what rests on the step stands within it.

        What the machine refuses, such as a full disk, stops the run: it would stop the report too.
        """
        try:
            yield
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  a defect in one step must not cost the reader all the others
            failure = steps.StepFailure.of(name, error)
            self.summary.broken.append(failure)
            self.watcher.say(f"Step '{name}' failed: {failure.message}")

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
            try:
                self._do_fits(jobs, len(planned[0]))
            finally:  # the report of a run that stops here shows the curves of the fits that are done
                self.own_fits = self._done(planned[0])
        self.own_fits = self._finished(planned[0])
        return self.own_fits, self._finished(planned[1])

    def _done(self, planned: list[PlannedFit]) -> list[Done]:
        return [self.folder.done(fit.step) for fit in planned if self.folder.is_done(fit.step)]

    def _finished(self, planned: list[PlannedFit]) -> list[Done]:
        found = self._done(planned)
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

    def results(self, cohorts: Done, predictions: Done) -> None:
        """The audit's estimates and gaps, and curves and decisions by group."""
        study, scored = self.study, (cohorts, predictions)
        with self.surviving("audit"):
            self.step(steps.audit_step(study, *scored), steps.audit_cells, *scored)
        with self.surviving("performance"):
            self.step(steps.performance_step(study, *scored), steps.measure_performance, *scored)

    def reasons(
        self, source: Done, cohorts: Done, predictions: Done, fits: list[Done], controls: list[Done]
    ) -> None:
        """Why there is a gap: scores checked, errors by person, waterfall and controls, causes, looks inside."""
        study, scored, seen = self.study, (cohorts, predictions, *fits, *controls), (source, cohorts, predictions)
        with self.surviving("order"):
            self.step(
                steps.order_step(source, cohorts, predictions, fits, controls), steps.check_fits, source, *scored
            )
        with self.surviving("errors"):
            self.step(steps.errors_step(study, *seen), steps.count_errors, *seen)
        with self.surviving("diagnosis"):
            step = steps.diagnosis_step(study, cohorts, predictions, fits, controls)
            self.step(step, steps.diagnose, *scored)
        measured = [self.finished[name] for name in ("order", "audit", "diagnosis") if name in self.finished]
        if len(measured) == 3:
            with self.surviving("causes"):
                step = steps.causes_step(study, cohorts, predictions, *measured)
                self.step(step, steps.find_causes, cohorts, predictions, *measured)
        for name, look in steps.looks_inside(study):
            with self.surviving(name):
                self.step(look.plan(study, self.here, *seen, fits), look.do, *seen, *fits)

    def report(self) -> None:
        """Render the report unless it is there already, and publish it at the top of the run folder."""
        shown = [done for name, done in self.finished.items() if name not in UNSHOWN] + self.own_fits
        parts = steps.RunParts(self.study, shown, self.summary.failures, self.summary.broken)
        step = steps.report_step(parts)
        if self.folder.is_done(step) and self._is_published(step):
            self.watcher.reuse(step.name)
            self.summary.reused.append(step.name)
        else:
            with self._timed(step.name), self.folder.writing(step) as work:
                provenance = {**self._provenance(parts.fits), **steps.count_cohorts(parts.named("cohorts"))}
                steps.write_report(parts, work, provenance)
            steps.publish_report(self.folder, step)
            steps.publish_data(self.folder, parts, self.finished.get("predictions"))
            self.summary.done.append(step.name)
            self._record(step, shown, provenance)
        if "audit" in self.finished:
            self.summary.estimates, self.summary.contrasts = steps.read_result_frames(self.finished["audit"])
        self.summary.seconds = time.time() - self.started

    def raise_for_failures(self) -> None:
        """Raise `StepError` where a step failed: the report is there, but the run is not whole."""
        broken = self.summary.broken
        if not broken:
            return
        said = "; ".join(f"{failure.step}: {failure.message.rstrip('.')}" for failure in broken)
        steps_failed = "1 step" if len(broken) == 1 else f"{len(broken)} steps"
        raise StepError(
            f"{steps_failed} of study '{self.study.study}' failed. {said}. What was finished is kept. The report "
            f"shows what there is and what is missing: {self.summary.report}",
            is_ours=any(failure.is_ours for failure in broken),
        )

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
                "broken": [vars(failure) for failure in self.summary.broken],
            }
        )


def render_again(path: Path, journal: str = ONE_COLUMN.name, cohorts: Sequence[str] = ()) -> Path:
    """The report of a finished run, rendered again from its stored numbers, with figures of a journal's width.

    `cohorts` are the training cohorts whose curves and decisions are drawn for a paper; without any, the first.

    Raises
    ------
    StoreError
        The folder holds no finished run, or a step of it is gone.
    ReportError
        The journal or a training cohort is not known.
    """
    layout = layout_of(journal, cohorts)
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
        broken = [steps.StepFailure(**failure) for failure in record.get("broken", [])]
        parts = steps.RunParts(study, found, failures, broken)
        step = steps.report_step(parts, layout)
        with folder.writing(step) as work:
            steps.write_report(parts, work, record["provenance"], layout)
        steps.publish_report(folder, step)
        folder.write_record({**record, "report": step.folder_name})
    return path / "report.html"
