"""One call for every engine: run these fits, wherever that is, and say which failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from subgroup_audit.engine.choice import Engine
from subgroup_audit.engine.jobs import FitFailure, FitJob, in_order
from subgroup_audit.watcher import Watcher

if TYPE_CHECKING:
    from subgroup_audit.engine.remote import Crew


def run_fits(
    jobs: Sequence[FitJob],
    *,
    device: str,
    workers: int,
    keep_going: bool,
    watcher: Watcher,
    done: Callable[[FitJob, float], None],
    engine: Engine | None = None,
    waits: bool = True,
) -> list[FitFailure]:
    """Run all jobs and return those that failed.

    Parameters
    ----------
    device : cpu, mps, cuda or cuda:N
    workers : processes side by side, of the local engine
    keep_going : whether a failed fit leaves the others running; otherwise `TrainingError` is raised
    done : called in this process for each job that finished, with its seconds
    waits : whether the local engine waits for fits that workers of other processes are at

    Raises
    ------
    TrainingError
        A fit failed, and the others are not to go on.
    EngineError
        The scheduler would not have the fits.
    """
    if engine is None or engine.name == "local":
        return _run_here(jobs, device, workers, keep_going, watcher, done, waits)
    from subgroup_audit.engine.remote import Following

    crew = _crew(engine, device)
    is_over = False
    try:
        failures = Following(jobs, crew, keep_going, watcher, done).run()
        is_over = True
    finally:
        crew.dismiss(is_over=is_over)
    return failures


def _run_here(
    jobs: Sequence[FitJob],
    device: str,
    workers: int,
    keep_going: bool,  # noqa: FBT001
    watcher: Watcher,
    done: Callable[[FitJob, float], None],
    waits: bool,  # noqa: FBT001
) -> list[FitFailure]:
    from subgroup_audit.engine.local import Pool

    pool = Pool(in_order(jobs), device, keep_going, watcher, done, waits)
    try:
        return pool.run(workers)
    finally:
        pool.close()


def _crew(engine: Engine, device: str) -> Crew:
    if engine.name == "slurm":
        from subgroup_audit.engine.slurm import SlurmCrew

        return SlurmCrew(engine, device)
    from subgroup_audit.engine.ray import RayCrew

    return RayCrew(engine, device)
