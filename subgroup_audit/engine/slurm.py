"""Fits as the tasks of a Slurm array, handed in by submitit; a task that is pre-empted is requeued and goes on.

Every task does a share of the fits, one after another. What it has not finished when Slurm takes its machine is
resumed from the fit's last saved epoch, by the requeued task or by any other worker of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from subgroup_audit.engine.choice import Engine
from subgroup_audit.engine.jobs import FitFailure, FitJob
from subgroup_audit.engine.planned import Errand
from subgroup_audit.engine.remote import Ended, do_errand, refuse
from subgroup_audit.engine.shards import deal

if TYPE_CHECKING:
    import submitit

LOGS = "logs"
DEFAULT_MINUTES = 240
DEFAULT_MEMORY_GB = 16.0
CORES_BESIDE_GPU = 4
_PASSED_ON = {
    "partition": "slurm_partition",
    "account": "slurm_account",
    "qos": "slurm_qos",
    "constraint": "slurm_constraint",
    "at_once": "slurm_array_parallelism",
}


class Task:
    """What a task of the array does; pickled by submitit, and again with what is left when it is requeued."""

    def __call__(self, errand: Errand) -> tuple[FitFailure, ...]:
        """Do the errand."""
        from subgroup_audit.engine.jobs import claim_threads

        claim_threads(1)
        return do_errand(errand)

    def checkpoint(self, errand: Errand) -> Any:
        """The same again, for Slurm to requeue: finished fits are skipped, the one under way resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, errand)


def n_tasks(engine: Engine, n_fits: int) -> int:
    """Tasks of the array: as asked, never more than there are fits."""
    return max(1, min(n_fits, int(engine.options.get("tasks", n_fits))))


def cores_of_task(engine: Engine, threads: int) -> int:
    """Cores of a task: as asked, else the threads of a fit, and beside a GPU what feeds it."""
    return int(engine.options.get("cpus", max(threads, CORES_BESIDE_GPU) if engine.gpus else threads))


class SlurmCrew:
    """Tasks of Slurm arrays, and what became of them."""

    def __init__(self, engine: Engine, device: str) -> None:
        self.engine = engine
        self.device = device
        self._tasks: list[tuple[submitit.Job[Any], tuple[str, ...]]] = []

    def submit(self, jobs: Sequence[FitJob]) -> None:
        """Hand in one array; raises `EngineError` where Slurm refuses it."""
        shares = [
            [job for job in jobs if job.name in names] for names in deal(jobs, n_tasks(self.engine, len(jobs)))
        ]
        errands = [Errand.of(share, self.device) for share in shares if share]
        try:
            handed_in = self._executor(jobs).map_array(Task(), errands)
        except (RuntimeError, OSError, ValueError) as error:
            raise refuse("slurm", error) from error
        self._tasks += [(task, errand.names) for task, errand in zip(handed_in, errands, strict=True)]

    def _executor(self, jobs: Sequence[FitJob]) -> submitit.AutoExecutor:
        import submitit

        options = self.engine.options
        executor = submitit.AutoExecutor(folder=jobs[0].run / LOGS, cluster=options.get("executor", "slurm"))
        executor.update_parameters(
            name="audit",
            timeout_min=options.get("time", DEFAULT_MINUTES),
            mem_gb=options.get("mem_gb", DEFAULT_MEMORY_GB),
            cpus_per_task=cores_of_task(self.engine, max(job.threads for job in jobs)),
            gpus_per_node=int(self.engine.gpus),
            **{theirs: options[ours] for ours, theirs in _PASSED_ON.items() if ours in options},
            **({"slurm_setup": list(options["setup"])} if "setup" in options else {}),
        )
        return executor

    def collect(self) -> list[Ended]:
        """The tasks that ended since this was asked last."""
        over = [(task, names) for task, names in self._tasks if task.done()]
        self._tasks = [pair for pair in self._tasks if pair not in over]
        return [_ended(task, names) for task, names in over]

    def dismiss(self, *, is_over: bool) -> None:
        """Cancel what is not done; tasks whose fits are over end by themselves."""
        for task, _ in [] if is_over else self._tasks:
            with suppress(Exception):
                task.cancel(check=False)


def _ended(task: submitit.Job[Any], names: tuple[str, ...]) -> Ended:
    try:
        return Ended(names, tuple(task.result()))
    except Exception as error:  # noqa: BLE001  what a killed task left may be anything that submitit cannot read
        said = str(error).strip().splitlines() or [type(error).__name__]
    return Ended(names, lost=f"task {task.job_id} ended with '{said[-1][:200]}' (its log: {task.paths.stderr})")
