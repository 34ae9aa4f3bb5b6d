"""What an engine would do with the fits of a plan: tasks, what each asks for, and how long all would take."""

from __future__ import annotations

import heapq
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subgroup_audit.engine.choice import Engine

Words = Mapping[str, Sequence[str]]
"""The words that follow `audit run` and `audit worker`."""

SIDES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Forecast:
    """An engine's part of a plan.

    Attributes
    ----------
    n_tasks : tasks that it would start, or workers side by side for the local engine
    asks_for : what each task asks for, in words
    seconds : expected wall-clock by number of fits side by side, from 1 up
    commands : what to type for workers of any scheduler: prepare, one line per shard, gather
    """

    engine: str
    n_fits: int
    n_tasks: int
    asks_for: str
    seconds: dict[int, float]
    commands: tuple[str, ...]


def makespan(seconds: Sequence[float], n_workers: int) -> float:
    """Wall-clock of jobs of these lengths on so many workers, each taking the longest that is left."""
    loads = [0.0] * max(1, n_workers)
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(loads, loads[0] + length)
    return max(loads)


def foresee(
    engine: Engine,
    seconds: Sequence[float],
    *,
    device: str,
    workers: int,
    threads: int,
    words: Words | None = None,
    n_shards: int = 2,
) -> Forecast:
    """The forecast for fits of these expected lengths.

    Parameters
    ----------
    workers : fits side by side, of the local engine
    words : the study and the options that the commands of shards repeat, by command
    """
    n_fits = len(seconds)
    n_tasks, asks_for = _asked(engine, n_fits, device, workers, threads)
    sides = [n for n in SIDES if n < n_fits] + [n_fits]
    return Forecast(
        engine.name,
        n_fits,
        n_tasks,
        asks_for,
        {n: makespan(seconds, n) for n in sides if n},
        shard_commands(words or {"run": ["STUDY"], "worker": ["STUDY"]}, min(n_shards, max(1, n_fits))),
    )


def _asked(engine: Engine, n_fits: int, device: str, workers: int, threads: int) -> tuple[int, str]:
    if engine.name == "slurm":
        from subgroup_audit.engine import slurm

        options = engine.options
        gpus, cores = int(engine.gpus), slurm.cores_of_task(engine, threads)
        minutes = int(options.get("time", slurm.DEFAULT_MINUTES))
        memory = float(options.get("mem_gb", slurm.DEFAULT_MEMORY_GB))
        place = f", partition {options['partition']}" if "partition" in options else ""
        words = f"{_count(cores, 'core')}, {_count(gpus, 'GPU')}, {memory:g} GB, {minutes} min{place}"
        return min(n_fits, slurm.n_tasks(engine, max(1, n_fits))), words
    if engine.name == "ray":
        from subgroup_audit.engine import ray

        asked = ray.resources(engine, device, threads)
        memory_words = f", {asked['memory'] / 2**30:g} GB" if "memory" in asked else ""
        return n_fits, f"{_count(asked['num_cpus'], 'core')}, {_count(asked['num_gpus'], 'GPU')}{memory_words}"
    return min(workers, n_fits), f"{device}, {_count(threads, 'thread')}"


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'' if number == 1 or unit == 'GPU' else 's'}"


def shard_commands(words: Words, n_shards: int) -> tuple[str, ...]:
    """The commands that do a study in shards: prepare once, a worker for each shard, and gather."""
    run, worker = shlex.join(words["run"]), shlex.join(words["worker"])
    shards = [f"audit worker {worker} --shard {index}/{n_shards}" for index in range(n_shards)]
    return (f"audit run {run} --prepare", *shards, f"audit run {run}")
