"""One attempt at a fit: claim it, go on where a dead worker stopped, and publish the result by one rename."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from subgroup_audit.engine import claims
from subgroup_audit.engine.claims import Claim, ClaimLostError
from subgroup_audit.engine.jobs import FitFailure, FitJob, News, Tell, do_fit
from subgroup_audit.errors import AuditError
from subgroup_audit.store import RunFolder, read_json

STATE = Path("resume", "state.pt")
"""What `training` resumes a fit from; while it is there, the fit has not ended."""

Outcome = Literal["done", "held"]


def claims_folder(run: Path) -> Path:
    """Folder of the claims of a run."""
    return run / "claims"


def forget_claims(run: Path) -> None:
    """Remove the folder of claims of a run, unless somebody holds one."""
    claims.sweep(claims_folder(run))


def is_done(job: FitJob) -> bool:
    """Whether the fit's result is published."""
    return RunFolder(job.run, "").is_done(job.step)


def attempt(job: FitJob, *, device: str, tell: Tell) -> Outcome:
    """Do the fit in this process and publish it, unless that is done or another living worker is at it.

    Raises
    ------
    AuditError
        The fit cannot be done: its loss is not finite, memory is short.
    """
    if is_done(job):
        return "done"
    claim = claims.take(claims_folder(job.run), job.name)
    if claim is None:
        return "held"
    with claim.beating():
        if is_done(job):  # by whoever had the claim before
            return "done"
        try:
            _do(replace(job, work=open_work(job, claim)), claim, device, tell)
        except ClaimLostError:
            return "held"
    return "done"


def _do(job: FitJob, claim: Claim, device: str, tell: Tell) -> None:
    def hear(news: News) -> None:
        claim.hear(news)
        tell(news)

    started = time.perf_counter()
    if not is_whole(job.work):
        do_fit(job, device=device, threads=job.threads, tell=hear)
    claim.require()
    publish(job, seconds=time.perf_counter() - started)


def publish(job: FitJob, *, seconds: float) -> None:
    """Give a whole fit its final name, unless another worker has done so; what is left of others is removed."""
    folder = RunFolder(job.run, "")
    if not folder.is_done(job.step):
        folder.finish(job.step, job.work, seconds=seconds)
    for left in work_folders(job):
        shutil.rmtree(left, ignore_errors=True)


def is_whole(work: Path) -> bool:
    """Whether a fit ended in this folder: its record is written last, before what it would resume from goes."""
    with suppress(AuditError):
        return bool(read_json(work / "fit.json")) and not (work / STATE).exists()
    return False


def work_folders(job: FitJob) -> list[Path]:
    """Folders of unfinished attempts at a fit, the one that was saved last first."""
    found = [path for path in [job.work, *job.work.parent.glob(f"{job.name}.*")] if path.is_dir()]
    return sorted(found, key=_saved_at, reverse=True)


def _saved_at(work: Path) -> float:
    for path in (work / STATE, work):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def open_work(job: FitJob, claim: Claim) -> Path:
    """A folder that this claim alone writes into, with what earlier attempts left to resume from.

    A dead worker's folder is taken as it is. Of one that was only not heard of, the state is copied: should it
    wake, it writes where nobody reads.
    """
    work = job.work.with_name(f"{job.name}.{claim.token}")
    left = work_folders(job)
    if left and claim.is_heir:
        with suppress(OSError):
            left[0].rename(work)
    work.mkdir(parents=True, exist_ok=True)
    if left and not claim.is_heir:
        _copy_state(left[0], work)
    return work


def _copy_state(source: Path, work: Path) -> None:
    target = work / STATE
    target.parent.mkdir(exist_ok=True)
    partial = target.with_name("copied.partial")
    with suppress(OSError):
        shutil.copyfile(source / STATE, partial)
        partial.replace(target)


@dataclass
class Share:
    """What became of the fits that a worker was given."""

    done: list[FitJob] = field(default_factory=list)
    held: list[FitJob] = field(default_factory=list)
    failures: list[FitFailure] = field(default_factory=list)


def explain(job: FitJob, error: Exception) -> FitFailure:
    """The failure of a fit: an error that the user can put right by its message, a defect of ours by its name."""
    message = str(error) if isinstance(error, AuditError) else f"{type(error).__name__}: {error}"
    return FitFailure(job.label, message, "".join(traceback.format_exception(error)))


def do_jobs(
    jobs: Sequence[FitJob],
    *,
    device: str,
    tell: Callable[[FitJob, News], None] = lambda job, news: None,
) -> Share:
    """Do these fits in this process, one after another, those that others hold last.

    A fit is left to its holder where that shows that it lives (`await_life`).
    """
    share = Share()
    held = [job for job in jobs if _try(job, device, tell, share) == "held"]
    since = {job.name: claims.clock(claims_folder(job.run)) for job in held}
    for job in held:
        while (state := await_life(job, since[job.name])) == "free":
            if _try(job, device, tell, share) != "held":
                break
        if state == "alive":
            share.held.append(job)
        elif state == "done":
            share.done.append(job)
    return share


def _try(job: FitJob, device: str, tell: Callable[[FitJob, News], None], share: Share) -> Outcome | None:
    """What an attempt came to, noted in the share; None where it failed."""
    try:
        outcome = attempt(job, device=device, tell=lambda news: tell(job, news))
    except Exception as error:  # noqa: BLE001  a defect in one fit must not take the others with it
        share.failures.append(explain(job, error))
        return None
    if outcome == "done":
        share.done.append(job)
    return outcome


def await_life(job: FitJob, since: float, *, pause: float = 1.0) -> Literal["done", "free", "alive"]:
    """Wait until a fit held elsewhere is done, or free to be taken over, or its holder has shown that it lives.

    Parameters
    ----------
    since : on the clock of the claims; a holder that wrote after it lives
    """
    while not is_done(job):
        seen = claims.find_claim(claims_folder(job.run), job.name)
        if seen is None or seen.is_dead:
            return "done" if is_done(job) else "free"
        if seen.written > since:
            return "alive"
        time.sleep(pause)
    return "done"
