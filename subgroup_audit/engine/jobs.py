"""A fit as a job: plain values and paths, done by any process that can read them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from subgroup_audit.store import Step

MESSAGE_INTERVAL_SECONDS = 0.5

News = dict[str, Any]
"""How far a fit is: epoch (fractions included), epochs, images_per_second, note."""

Tell = Callable[[News], None]


@dataclass(frozen=True)
class FitJob:
    """One fit to be done: everything that a worker needs, as plain values.

    Attributes
    ----------
    label : name for people, such as `F / resnet18 / default / seed 0`
    step : the step that the fit is; its folder's name is the job's
    spec : JSON of the `training.FitSpec`
    cohort, targets : Parquet files of manifest rows to train on and to predict
    pixels : picklable handle of the pixel store
    run : folder of the run
    work : folder that the fit writes into and resumes from, where no claim names another
    cache : folder of measured precisions
    threads : of this fit on a CPU; they belong to its numbers, so every engine uses the same
    seconds : that the fit is expected to take
    """

    label: str
    step: Step
    spec: str
    cohort: Path
    targets: Path
    pixels: Any
    run: Path
    work: Path
    cache: Path
    epochs: int
    threads: int = 1
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """Name of the folder that will hold the fit: it stands for all that its numbers depend on."""
        return self.step.folder_name

    @property
    def network(self) -> tuple[str, int]:
        """Architecture and image size: fits that share both share a device's kernels and tuned choices."""
        spec = json.loads(self.spec)
        return str(spec["model"]["architecture"]), int(spec["recipe"]["image_size"])


def in_order(jobs: Sequence[FitJob]) -> list[FitJob]:
    """The jobs in the order in which one machine does them best.

    Fits of one architecture and size stand together, so that a worker keeps what its device has tuned, compiled
    and allocated for them. The network with the longest fit comes first, and in each the longest fit: what is left
    for the end is short, so that workers finish at about the same time.
    """
    longest: dict[tuple[str, int], float] = {}
    for job in jobs:
        longest[job.network] = max(longest.get(job.network, 0.0), job.seconds)
    return sorted(jobs, key=lambda job: (-longest[job.network], job.network, -job.seconds))


@dataclass(frozen=True)
class FitFailure:
    """A fit that did not finish: the message for people, and the traceback for us."""

    label: str
    message: str
    details: str


def do_fit(job: FitJob, *, device: str, threads: int, tell: Tell) -> None:
    """Do one fit in this process; its results lie in `job.work`."""
    import pandas as pd

    from subgroup_audit.training import FitSpec, run_fit, use_threads

    use_threads(threads)
    news = _Telling(job.epochs, tell)
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
class _Telling:
    """Tells how far a fit is, at most twice a second."""

    epochs: int
    tell: Tell
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


def end_by_signal(number: int, frame: FrameType | None) -> NoReturn:
    """Leave by the way on which claims are given back: a scheduler wants its machine, or the run stops."""
    raise SystemExit(128 + number)


def claim_threads(threads: int) -> None:
    """Set before numerical libraries load, which read these once."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
