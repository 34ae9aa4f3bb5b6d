"""One big fit by several processes that torchrun started: claimed, resumed and published by the first of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from subgroup_audit.engine import claims
from subgroup_audit.engine.attempts import claims_folder, is_done, is_whole, open_work, publish
from subgroup_audit.engine.claims import Claim
from subgroup_audit.engine.devices import available_cores, require_device
from subgroup_audit.engine.jobs import FitJob, News, do_fit
from subgroup_audit.engine.planned import PlannedFits
from subgroup_audit.errors import EngineError
from subgroup_audit.watcher import Watcher


def work_together(plan: PlannedFits, jobs: Sequence[FitJob], watcher: Watcher) -> str:
    """Do one fit with all processes of a torchrun; what there is to say of it, '' in all processes but the first.

    Raises
    ------
    EngineError
        Not exactly one fit is named.
    """
    if len(jobs) != 1:
        labels = "; ".join(job.label for job in plan.jobs[:5])
        raise EngineError(
            f"under torchrun a worker does one fit: name it by --fit; {len(jobs)} are chosen. Fits are: {labels}"
        )
    from subgroup_audit.training.distributed import joined_group

    require_device(plan.device)
    (job,) = jobs
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    with joined_group(plan.device, local_rank) as (group, device), ExitStack() as stack:
        claim = None
        if group.is_first and not is_done(job):
            claim = claims.take(claims_folder(job.run), job.name)
        if claim is not None:
            stack.enter_context(claim.beating())
        work = group.tell_all(open_work(job, claim) if claim else None)
        if work is None:
            return _words(job) if group.is_first else ""
        _do(replace(job, work=Path(work)), claim, device, watcher)
        group.wait()
        return _words(job) if group.is_first else ""


def _do(job: FitJob, claim: Claim | None, device: str, watcher: Watcher) -> None:
    def hear(news: News) -> None:
        if claim is not None:
            claim.hear(news)
            watcher.fit_advanced(job.label, **news)

    started = time.perf_counter()
    side_by_side = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not is_whole(job.work):
        do_fit(job, device=device, threads=max(1, available_cores() // side_by_side), tell=hear)
    if claim is not None:
        claim.require()
        publish(job, seconds=time.perf_counter() - started)


def _words(job: FitJob) -> str:
    return f"{job.label}: {'done' if is_done(job) else 'another worker is at it'}"
