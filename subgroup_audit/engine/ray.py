"""Fits as Ray tasks, on a cluster that is there or on one started here for the run.

A fit reserves a share of a GPU, so that several small ones use one device. A task whose node died is started
again by Ray on another, where the fit resumes from its last saved epoch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from subgroup_audit.engine.choice import Engine
from subgroup_audit.engine.jobs import FitFailure, FitJob
from subgroup_audit.engine.planned import Errand
from subgroup_audit.engine.remote import Ended, do_errand, refuse

RETRIES = 2


def _do(errand: Errand) -> tuple[FitFailure, ...]:
    from subgroup_audit.engine.jobs import claim_threads

    claim_threads(1)
    return do_errand(errand)


def resources(engine: Engine, device: str, threads: int) -> dict[str, float]:
    """What a fit reserves, by Ray's names."""
    options = engine.options
    gpus = float(options.get("gpus", 1.0 if device == "cuda" else 0.0))
    reserved = {"num_cpus": float(options.get("cpus", threads)), "num_gpus": gpus}
    if "mem_gb" in options:
        reserved["memory"] = float(options["mem_gb"]) * 2**30
    return reserved


class RayCrew:
    """Tasks of a Ray cluster, and what became of them."""

    def __init__(self, engine: Engine, device: str) -> None:
        self.engine = engine
        self.device = device
        self._tasks: dict[Any, tuple[str, ...]] = {}
        self._joined = False

    def submit(self, jobs: Sequence[FitJob]) -> None:
        """One task per fit, the longest first; raises `EngineError` where there is no cluster to join."""
        import ray

        self._join()
        for job in sorted(jobs, key=lambda job: -job.seconds):
            task = ray.remote(_do).options(
                max_retries=RETRIES, name=job.label, **resources(self.engine, self.device, job.threads)
            )
            self._tasks[task.remote(Errand.of([job], self.device))] = (job.name,)

    def _join(self) -> None:
        import ray

        if ray.is_initialized():
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a tool for patients' data sends nothing anywhere
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        address = self.engine.options.get("address")
        here: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise refuse("ray", error) from error
        self._joined = True

    def collect(self) -> list[Ended]:
        """The tasks that ended since this was asked last."""
        import ray

        if not self._tasks:
            return []
        over, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0.0)
        return [_ended(task, self._tasks.pop(task)) for task in over]

    def dismiss(self, *, is_over: bool) -> None:
        """Cancel what is not done, and leave the cluster if this joined it."""
        import ray

        for task in [] if is_over else self._tasks:
            with suppress(Exception):
                ray.cancel(task, force=True)
        if self._joined:
            ray.shutdown()


def _ended(task: Any, names: tuple[str, ...]) -> Ended:
    import ray

    try:
        return Ended(names, tuple(ray.get(task)))
    except ray.exceptions.RayError as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        return Ended(names, lost=f"its Ray task was lost ({said[0][:200]})")
