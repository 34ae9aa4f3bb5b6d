"""Fits in long-lived workers of this machine, one per device, or one per core without a GPU.

A worker takes one job after another, so libraries are loaded once. On a CPU every fit has one thread, whatever
the number of workers: the numbers do not depend on how many fits run side by side. A worker that dies costs the
unfinished epochs of its fit: the job is given to a fresh worker once more and resumes at its last saved epoch.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from subgroup_audit.engine import claims
from subgroup_audit.engine.attempts import attempt, claims_folder, explain, is_done
from subgroup_audit.engine.devices import count_cuda_devices
from subgroup_audit.engine.jobs import FitFailure, FitJob, claim_threads, end_by_signal
from subgroup_audit.errors import TrainingError
from subgroup_audit.images.parallel import interrupts_held
from subgroup_audit.watcher import Watcher

ATTEMPTS = 2
LOOK_SECONDS = 2.0  # between two looks at fits that other workers hold


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    connection: Connection
    job: FitJob | None = None
    started: float = 0.0


@dataclass
class Pool:
    """The parent's side: hands out jobs, hears news, replaces dead workers.

    Attributes
    ----------
    device : cpu, mps, cuda or cuda:N
    keep_going : whether a failed fit leaves the others running; otherwise `TrainingError` is raised
    waits : whether fits that workers of other processes are at are waited for until they are done; otherwise
        only until their holders have shown that they live
    done : called in this process for each fit that is done, with its seconds
    """

    waiting: list[FitJob]
    device: str
    keep_going: bool
    watcher: Watcher
    done: Callable[[FitJob, float], None]
    waits: bool = True
    workers: list[_Worker] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    held: dict[str, tuple[FitJob, float]] = field(default_factory=dict)
    left: list[FitJob] = field(default_factory=list)
    failures: list[FitFailure] = field(default_factory=list)

    def run(self, count: int) -> list[FitFailure]:
        """Run all jobs in `count` workers and return those that failed."""
        for index in range(count):
            self._hire(index)
        while self.held or any(worker.job for worker in self.workers):
            self._listen()
            self._look()
        return self.failures

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers:
            if worker.job is not None:
                worker.process.terminate()
            worker.connection.close()
        for worker in self.workers:
            worker.process.join(timeout=10)
            if worker.process.is_alive():
                worker.process.kill()

    def _hire(self, index: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        device = f"cuda:{index % max(1, count_cuda_devices())}" if self.device == "cuda" else self.device
        threads = max((job.threads for job in self.waiting), default=1)
        process = context.Process(target=_serve, args=(theirs, device, threads), daemon=True)
        with interrupts_held():
            process.start()
        theirs.close()
        worker = _Worker(index, process, ours)
        self.workers.append(worker)
        self._assign(worker)

    def _assign(self, worker: _Worker) -> None:
        worker.job = self.waiting.pop(0) if self.waiting else None
        if worker.job is None:
            return
        worker.started = time.perf_counter()
        self.attempts[worker.job.name] = self.attempts.get(worker.job.name, 0) + 1
        self.watcher.fit_started(worker.job.label)
        with suppress(OSError):  # it has just died: `_listen` finds the pipe closed, and replaces it
            worker.connection.send(worker.job)

    def _listen(self) -> None:
        busy = {worker.connection: worker for worker in self.workers if worker.job}
        if not busy:
            time.sleep(LOOK_SECONDS)
        for connection in wait(list(busy), timeout=LOOK_SECONDS if self.held else None):
            worker = busy[connection]  # type: ignore[index]
            try:
                kind, content = worker.connection.recv()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            self._hear(worker, kind, content)

    def _hear(self, worker: _Worker, kind: str, content: Any) -> None:
        job = worker.job
        if job is None:
            return
        if kind == "epoch":
            self.watcher.fit_advanced(job.label, **content)
            return
        seconds = time.perf_counter() - worker.started
        if kind == "done":
            self._end(job, seconds)
        elif kind == "held":
            self._hold(job)
        else:
            self._fail(job, seconds, content)
        self._assign(worker)

    def _end(self, job: FitJob, seconds: float) -> None:
        self.done(job, seconds)
        self.watcher.fit_ended(job.label, seconds, None)

    def _hold(self, job: FitJob) -> None:
        """Another process is at this fit: look again later."""
        if job.name not in self.held:
            self.watcher.say(f"{job.label}: another worker is at it")
        self.attempts[job.name] -= 1
        self.held[job.name] = (job, claims.clock(claims_folder(job.run)))

    def _look(self) -> None:
        """See what became of the fits that other processes hold."""
        for job, since in list(self.held.values()):
            seen = claims.find_claim(claims_folder(job.run), job.name)
            if is_done(job):
                del self.held[job.name]
                self._end(job, 0.0)
            elif seen is None or seen.is_dead:
                self._retry(job)
            elif not self.waits and seen.written > since:
                del self.held[job.name]
                self.left.append(job)
            elif seen.news:
                self.watcher.fit_advanced(job.label, **seen.news)

    def _retry(self, job: FitJob) -> None:
        """Give a fit that its holder let go of to the first worker that has nothing to do."""
        idle = next((worker for worker in self.workers if worker.job is None), None)
        if idle is None and len(self.workers) > 0:
            return
        del self.held[job.name]
        self.waiting.insert(0, job)
        if idle is None:
            self._hire(0)
        else:
            self._assign(idle)

    def _fail(self, job: FitJob, seconds: float, failure: FitFailure) -> None:
        if not self.keep_going:
            raise TrainingError(
                f"{job.label}: {failure.message}\nThe finished fits are kept. Run the same command again after "
                "mending, or add --keep-going to leave failed fits out of the report."
            )
        self.watcher.fit_ended(job.label, seconds, failure.message)
        self.failures.append(failure)

    def _replace(self, worker: _Worker) -> None:
        """A worker died: give its job to a fresh one, once."""
        job = worker.job
        worker.job = None
        worker.process.join()
        self.workers.remove(worker)
        worker.connection.close()
        if job is None:
            return
        code = worker.process.exitcode
        if self.attempts[job.name] < ATTEMPTS:
            self.watcher.say(f"{job.label}: its worker ended (exit {code}); resuming it in a fresh worker")
            self.waiting.insert(0, job)
        else:
            message = f"its worker ended {ATTEMPTS} times (exit {code}); was memory short?"
            self._fail(job, time.perf_counter() - worker.started, FitFailure(job.label, message, ""))
        if self.waiting:
            self._hire(worker.index)


def _serve(connection: Connection, device: str, threads: int) -> None:
    """A worker's life: one job after another until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end_by_signal)
    _die_with_parent()
    claim_threads(threads)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_answer(job, device, connection))


def _answer(job: FitJob, device: str, connection: Connection) -> tuple[str, Any]:
    try:
        outcome = attempt(job, device=device, tell=lambda news: connection.send(("epoch", news)))
    except Exception as error:  # noqa: BLE001  a defect in one fit must not take the others with it
        return "failed", explain(job, error)
    return outcome, None


def _die_with_parent() -> None:
    """Ask Linux to end this worker with the run, even on kill -9: an orphan would write beside its successor."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
