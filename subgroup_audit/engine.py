"""Where fits run: long-lived workers of this machine, one per device, or one per core without a GPU.

A worker takes one job after another, so libraries are loaded once. On a CPU every fit has one thread, whatever
the number of workers: the numbers do not depend on how many fits run side by side. A worker that dies costs the
unfinished epochs of its fit: the job is given to a fresh worker once more and resumes at its last whole epoch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from subgroup_audit.errors import AuditError, TrainingError
from subgroup_audit.images.parallel import interrupts_held
from subgroup_audit.watcher import Watcher

ATTEMPTS = 2
MESSAGE_INTERVAL_SECONDS = 0.5
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA's driver, that of Windows under Linux, AMD's


@dataclass(frozen=True)
class FitJob:
    """One fit to be done: everything that a worker on this machine needs, as plain values.

    Attributes
    ----------
    label : name for people, such as `F / resnet18 / default / seed 0`
    spec : JSON of the `training.FitSpec`
    cohort, targets : Parquet files of manifest rows to train on and to predict
    pixels : picklable handle of the pixel store
    work : folder that the fit writes into, and resumes from
    cache : folder of measured precisions
    """

    label: str
    spec: str
    cohort: Path
    targets: Path
    pixels: Any
    work: Path
    cache: Path
    epochs: int


@dataclass(frozen=True)
class FitFailure:
    """A fit that did not finish: the message for people, and the traceback for us."""

    label: str
    message: str
    details: str


def default_workers(device: str, n_fits: int) -> int:
    """Fits that run side by side: one per core on a CPU, one per CUDA device, never more than there are fits."""
    if device.startswith("cuda"):
        return max(1, min(n_fits, _count_cuda_devices() if device == "cuda" else 1))
    if device == "mps":
        return 1
    return max(1, min(n_fits, available_cores()))


def resolve_device(name: str) -> str:
    """The device of this name; `auto` stands for cuda where there is a usable GPU, then mps, then cpu.

    A Linux machine without the file of a GPU's driver is a CPU machine; saying so does not need torch.

    Raises
    ------
    TrainingError
        The name is unknown, or this machine has no such device.
    """
    is_cpu_machine = sys.platform == "linux" and not any(Path(file).exists() for file in GPU_FILES)
    if name == "cpu" or (name == "auto" and is_cpu_machine):
        return "cpu"
    from subgroup_audit.training import choose_device

    return choose_device(name)


def threads_per_fit(device: str, n_fits: int) -> int:
    """Threads of one fit on a CPU: all cores for a lone fit, else one, since fits run side by side.

    It follows from the study and the machine alone, so a resumed run has the numbers of one that was not stopped.
    """
    return available_cores() if device == "cpu" and n_fits == 1 else 1


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _count_cuda_devices() -> int:
    from subgroup_audit.training.device import count_cuda_devices

    return int(count_cuda_devices())


def run_fits(
    jobs: Sequence[FitJob],
    *,
    device: str,
    workers: int,
    threads: int,
    keep_going: bool,
    watcher: Watcher,
    done: Callable[[FitJob, float], None],
) -> list[FitFailure]:
    """Run all jobs and return those that failed.

    Parameters
    ----------
    device : cpu, mps, cuda or cuda:N
    workers : processes side by side
    threads : threads of one fit on a CPU
    keep_going : whether a failed fit leaves the others running; otherwise `TrainingError` is raised
    done : called in this process for each job that finished, with its seconds
    """
    pool = _Pool(list(jobs), device=device, threads=threads, keep_going=keep_going, watcher=watcher, done=done)
    try:
        return pool.run(workers)
    finally:
        pool.close()


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    connection: Connection
    job: FitJob | None = None
    started: float = 0.0


@dataclass
class _Pool:
    """The parent's side: hands out jobs, hears news, replaces dead workers."""

    waiting: list[FitJob]
    device: str
    threads: int
    keep_going: bool
    watcher: Watcher
    done: Callable[[FitJob, float], None]
    workers: list[_Worker] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    failures: list[FitFailure] = field(default_factory=list)

    def run(self, count: int) -> list[FitFailure]:
        for index in range(count):
            self._hire(index)
        while any(worker.job for worker in self.workers):
            self._listen()
        return self.failures

    def close(self) -> None:
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
        device = f"cuda:{index % max(1, _count_cuda_devices())}" if self.device == "cuda" else self.device
        process = context.Process(target=_serve, args=(theirs, device, self.threads), daemon=True)
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
        self.attempts[worker.job.label] = self.attempts.get(worker.job.label, 0) + 1
        self.watcher.fit_started(worker.job.label)
        with suppress(OSError):  # it has just died: `_listen` finds the pipe closed, and replaces it
            worker.connection.send(worker.job)

    def _listen(self) -> None:
        busy = {worker.connection: worker for worker in self.workers if worker.job}
        for connection in wait(list(busy)):
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
            self.done(job, seconds)
            self.watcher.fit_ended(job.label, seconds, None)
        else:
            self._fail(job, seconds, **content)
        self._assign(worker)

    def _fail(self, job: FitJob, seconds: float, message: str, details: str) -> None:
        if not self.keep_going:
            raise TrainingError(
                f"{job.label}: {message}\nThe finished fits are kept. Run the same command again after mending, "
                "or add --keep-going to leave failed fits out of the report."
            )
        self.watcher.fit_ended(job.label, seconds, message)
        self.failures.append(FitFailure(job.label, message, details))

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
        if self.attempts[job.label] < ATTEMPTS:
            self.watcher.say(f"{job.label}: its worker ended (exit {code}); resuming it in a fresh worker")
            self.waiting.insert(0, job)
        else:
            message = f"its worker ended {ATTEMPTS} times (exit {code}); was memory short?"
            self._fail(job, time.perf_counter() - worker.started, message, "")
        if self.waiting:
            self._hire(worker.index)


def _serve(connection: Connection, device: str, threads: int) -> None:
    """A worker's life: one job after another until the parent goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    _claim_threads(threads)
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(_answer(job, device, threads, connection))


def _answer(job: FitJob, device: str, threads: int, connection: Connection) -> tuple[str, Any]:
    try:
        do_fit(job, device=device, threads=threads, tell=lambda news: connection.send(("epoch", news)))
    except AuditError as error:
        return "failed", {"message": str(error), "details": traceback.format_exc()}
    except Exception as error:  # noqa: BLE001  a defect in one fit must not take the others with it
        message = f"{type(error).__name__}: {error}"
        return "failed", {"message": message, "details": traceback.format_exc()}
    return "done", None


def do_fit(job: FitJob, *, device: str, threads: int, tell: Callable[[dict[str, Any]], None]) -> None:
    """Do one fit in this process; its results lie in `job.work`."""
    import pandas as pd

    from subgroup_audit.training import FitSpec, run_fit, use_threads

    use_threads(threads)
    news = _News(job.epochs, tell)
    run_fit(
        FitSpec.from_json(job.spec),
        pd.read_parquet(job.cohort),
        pd.read_parquet(job.targets),
        job.pixels,
        device=device,
        folder=job.work,
        on_epoch=news.hear_epoch,
        on_batch=news.hear_batch,
        cache=job.cache,
    )


@dataclass
class _News:
    """Tells the parent how far a fit is, at most twice a second."""

    epochs: int
    tell: Callable[[dict[str, Any]], None]
    last: float = 0.0
    images_per_second: float = 0.0
    note: str = ""

    def hear_epoch(self, report: Any) -> None:
        self.images_per_second, self.note = report.images_per_second, report.note
        self._pass_on(float(report.epoch))

    def hear_batch(self, epoch: int, done: int, total: int) -> None:
        if time.perf_counter() - self.last >= MESSAGE_INTERVAL_SECONDS:
            self._pass_on(epoch - 1 + done / max(total, 1) if epoch else float(self.epochs))

    def _pass_on(self, epoch: float) -> None:
        self.last = time.perf_counter()
        self.tell(
            {
                "epoch": epoch,
                "epochs": self.epochs,
                "images_per_second": self.images_per_second,
                "note": self.note,
            }
        )


def _claim_threads(threads: int) -> None:
    """Set before numerical libraries load, which read these once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def _die_with_parent() -> None:
    """Ask Linux to end this worker with the run, even on kill -9: an orphan would write beside its successor."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
