"""What `audit worker` does: find the plan of a study, and do a share of its fits on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from subgroup_audit.engine.devices import default_workers, require_device
from subgroup_audit.engine.jobs import FitFailure, FitJob
from subgroup_audit.engine.local import Pool
from subgroup_audit.engine.planned import PlannedFits, read_plan
from subgroup_audit.errors import EngineError, TrainingError
from subgroup_audit.store import RunFolder, digest
from subgroup_audit.study import Study
from subgroup_audit.watcher import Watcher


@dataclass(frozen=True)
class Work:
    """What a worker came to.

    Attributes
    ----------
    n_found : fits of its share that were done before
    left : labels of fits that other living workers are at
    """

    n_found: int
    n_done: int
    left: tuple[str, ...]
    failures: tuple[FitFailure, ...]

    @property
    def words(self) -> str:
        """What there is to say of it."""
        said = f"{self.n_done} fits done, {self.n_found} found done, {len(self.failures)} failed"
        if self.left:
            said += f"; {len(self.left)} under way elsewhere: {'; '.join(self.left)}"
        return said

    def require(self) -> None:
        """Raise `TrainingError` where a fit failed, with the message of each."""
        if self.failures:
            listed = "\n".join(f"{failure.label}: {failure.message}" for failure in self.failures)
            raise TrainingError(f"{len(self.failures)} fits failed; the finished ones are kept:\n{listed}")


def find_plan(study: Study, study_folder: Path, run: Path, cache: Path) -> PlannedFits:
    """The plan of a study's fits in a run folder.

    Raises
    ------
    EngineError
        There is no plan, or the study file has changed since it was made.
    StoreError
        The folder is of another study, or the plan's pixels do not lie in the cache.
    """
    plan = read_plan(run, cache=cache, study_folder=study_folder, study_name=study.study)
    if plan.definition != digest(study.model_dump(mode="json")):
        raise EngineError(
            f"{run}: its fits were planned from another form of study '{study.study}'; "
            "run `audit run STUDY --prepare` again"
        )
    return plan


def work_on(plan: PlannedFits, jobs: Sequence[FitJob], workers: int | None, watcher: Watcher) -> Work:
    """Do these fits in workers of this machine; a fit that fails leaves the others running.

    Raises
    ------
    TrainingError
        This machine has no device of the kind that the fits were planned for.
    """
    folder = RunFolder(jobs[0].run, "") if jobs else None
    waiting = [job for job in jobs if folder and not folder.is_done(job.step)]
    if not waiting:
        return Work(len(jobs), 0, (), ())
    device = require_device(plan.device)
    done: list[str] = []
    watcher.begin("fits", len(waiting))
    pool = Pool(list(waiting), device, True, watcher, lambda job, seconds: done.append(job.label), waits=False)
    try:
        failures = pool.run(workers or default_workers(device, len(waiting)))
    finally:
        pool.close()
    return Work(len(jobs) - len(waiting), len(done), tuple(job.label for job in pool.left), tuple(failures))
