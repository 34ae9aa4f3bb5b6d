"""A worker's share of the planned fits, for any scheduler: shard i of n."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from subgroup_audit.engine.jobs import FitJob
from subgroup_audit.errors import EngineError


@dataclass(frozen=True)
class Shard:
    """Share `index` of `count`, counted from 0."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.index}/{self.count}"

    def share(self, jobs: Sequence[FitJob]) -> list[FitJob]:
        """This shard's jobs, in their order."""
        chosen = deal(jobs, self.count)[self.index]
        return [job for job in jobs if job.name in chosen]


def deal(jobs: Sequence[FitJob], n_shards: int) -> list[set[str]]:
    """Names of the fits of every shard: the longest first, each to the shard with the least work so far.

    It follows from the plan alone, so shards that know nothing of each other share nothing and leave nothing out.
    """
    shares: list[set[str]] = [set() for _ in range(n_shards)]
    loads = [(0.0, 0)] * n_shards
    for job in sorted(jobs, key=lambda job: (-job.seconds, job.name)):
        least = min(range(n_shards), key=lambda shard: (loads[shard], shard))
        shares[least].add(job.name)
        seconds, count = loads[least]
        loads[least] = (seconds + job.seconds, count + 1)
    return shares


def parse_shard(text: str) -> Shard:
    """The shard that `i/n` names.

    Raises
    ------
    EngineError
        It is not of the form i/n, or i is not one of 0 to n - 1.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not found:
        raise EngineError(f"--shard must be i/n, such as 0/4 for the first of four; it is '{text}'")
    index, count = int(found[1]), int(found[2])
    if count < 1 or index >= count:
        last = f"0/{count} to {count - 1}/{count}" if count else "0/1 for all"
        raise EngineError(f"--shard {text} is out of range: shards are counted from 0, {last}")
    return Shard(index, count)
