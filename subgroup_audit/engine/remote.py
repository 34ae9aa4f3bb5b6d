"""Fits that run on other machines: handed out as tasks, watched through their claims, tried again where lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from subgroup_audit.engine import claims
from subgroup_audit.engine.attempts import claims_folder, do_jobs, is_done
from subgroup_audit.engine.devices import require_device
from subgroup_audit.engine.jobs import FitFailure, FitJob
from subgroup_audit.engine.planned import Errand
from subgroup_audit.errors import EngineError, TrainingError
from subgroup_audit.watcher import Watcher

ATTEMPTS = 3
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Ended:
    """A task that ended.

    Attributes
    ----------
    lost : why the task itself was lost, as a killed machine; '' where it ended by itself
    """

    names: tuple[str, ...]
    failures: tuple[FitFailure, ...] = ()
    lost: str = ""


class Crew(Protocol):
    """Workers on other machines."""

    def submit(self, jobs: Sequence[FitJob]) -> None:
        """Hand out these jobs as tasks."""

    def collect(self) -> list[Ended]:
        """The tasks that ended since this was asked last."""

    def dismiss(self, *, is_over: bool) -> None:
        """Call back what was handed out, unless every fit is over and its tasks are about to end by themselves."""


def do_errand(errand: Errand) -> tuple[FitFailure, ...]:
    """Do an errand's fits in this process; what failed, in words. Called on the machine that has the device."""
    device = require_device("cuda:0" if errand.device == "cuda" else errand.device)
    return tuple(do_jobs(errand.jobs(), device=device).failures)


@dataclass
class Following:
    """The launcher's side: follows fits from outside until each is done or has failed."""

    jobs: Sequence[FitJob]
    crew: Crew
    keep_going: bool
    watcher: Watcher
    done: Callable[[FitJob, float], None]
    open: dict[str, FitJob] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    parked: dict[str, FitJob] = field(default_factory=dict)
    failures: list[FitFailure] = field(default_factory=list)

    def run(self) -> list[FitFailure]:
        """Follow all jobs, and return those that failed."""
        self.open = {job.name: job for job in self.jobs}
        self._submit(list(self.jobs))
        while self.open:
            ended = self.crew.collect()  # before looking: what ended is published by now
            self._look()
            for task in ended:
                self._hear(task)
            if self.open:
                time.sleep(LOOK_SECONDS)
        return self.failures

    def _submit(self, jobs: list[FitJob]) -> None:
        for job in jobs:
            self.attempts[job.name] = self.attempts.get(job.name, 0) + 1
        self.crew.submit(jobs)

    def _look(self) -> None:
        for job in list(self.open.values()):
            if is_done(job):
                self._end(job)
                continue
            seen = claims.find_claim(claims_folder(job.run), job.name)
            if seen is not None and job.name not in self.begun:
                self.begun[job.name] = time.perf_counter()
                self.watcher.fit_started(job.label)
            if seen is not None and seen.news:
                self.watcher.fit_advanced(job.label, **seen.news)
            if job.name in self.parked and (seen is None or seen.is_dead):
                self._submit([self.parked.pop(job.name)])

    def _end(self, job: FitJob) -> None:
        self.parked.pop(job.name, None)
        seconds = time.perf_counter() - self.begun.get(job.name, time.perf_counter())
        del self.open[job.name]
        self.done(job, seconds)
        self.watcher.fit_ended(job.label, seconds, None)

    def _hear(self, task: Ended) -> None:
        by_label = {job.label: job for job in self.open.values()}
        for failure in task.failures:
            if failure.label in by_label:
                self._fail(by_label[failure.label], failure)
        left = [self.open[name] for name in task.names if name in self.open]
        again = [job for job in left if claims.is_free(claims_folder(job.run), job.name)]
        # another worker is at it, or it died so lately that nobody can tell: looked at again and again
        self.parked |= {job.name: job for job in left if job not in again}
        why = task.lost or "its task ended without it"
        for job in [job for job in again if self.attempts[job.name] >= ATTEMPTS]:
            again.remove(job)
            self._fail(job, FitFailure(job.label, f"{why}, {ATTEMPTS} times", ""))
        for job in again:
            self.watcher.say(f"{job.label}: {why}; handing it out again")
        if again:
            self._submit(again)

    def _fail(self, job: FitJob, failure: FitFailure) -> None:
        if not self.keep_going:
            raise TrainingError(
                f"{job.label}: {failure.message}\nThe finished fits are kept. Run the same command again after "
                "mending, or add --keep-going to leave failed fits out of the report."
            )
        del self.open[job.name]
        self.watcher.fit_ended(job.label, 0.0, failure.message)
        self.failures.append(failure)


def refuse(engine: str, error: Exception) -> EngineError:
    """The error of a scheduler that would not have us, in one sentence."""
    text = " ".join(str(error).split())
    return EngineError(f"--engine {engine}: {text[:400]}")
