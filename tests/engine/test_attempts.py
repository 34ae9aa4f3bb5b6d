"""An attempt at a fit: never twice, resumed from what another left, and published whole whenever it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from subgroup_audit.engine import attempts, claims, run_fits
from subgroup_audit.engine.attempts import attempt, claims_folder, do_jobs, is_done
from subgroup_audit.engine.working import work_on
from subgroup_audit.store import RunFolder
from subgroup_audit.watcher import Silence

Plan = Callable[..., Any]

WORKER = """
import sys
from pathlib import Path
from subgroup_audit.engine import read_plan
from subgroup_audit.engine.attempts import do_jobs
run, cache = map(Path, sys.argv[1:])
jobs = read_plan(run, cache=cache, study_folder=run.parent).jobs[:1]
print([failure.message for failure in do_jobs(jobs, device="cpu").failures])
"""


def _start(planned: Any) -> subprocess.Popen[bytes]:
    """A worker of its own that does the first fit of a plan."""
    return subprocess.Popen([sys.executable, "-c", WORKER, str(planned.place.out), str(planned.place.cache)])


def _wait_for(is_there: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not is_there():
        assert time.monotonic() < end
        time.sleep(0.02)


def _record(job: Any) -> dict[str, Any]:
    path = RunFolder(job.run, "").folder(job.step) / "fit.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_a_fit_killed_in_the_middle_goes_on_with_the_same_bytes(done_here: Any) -> None:
    killed = done_here.copy("sigkill")
    job = killed.jobs[0]
    process = _start(killed)
    _wait_for(lambda: list(job.work.parent.glob("fit-*/resume/state.pt")))
    process.kill()
    process.wait()
    assert not is_done(job)
    assert attempt(job, device="cpu", tell=lambda news: None) == "done"
    assert _record(job)["resumed_after"] > 0
    assert killed.scores()[job.label] == done_here.scores()[job.label]
    assert not claims.list_claims(claims_folder(job.run), job.name)


def test_a_fit_that_ended_is_published_though_its_worker_was_killed_before(
    done_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is written and the rename is missing: nothing is trained again."""
    planned = done_here.copy("unpublished")
    job = planned.jobs[0]
    shutil.copytree(RunFolder(done_here.place.out, "").folder(job.step), job.work.with_name(f"{job.name}.dead"))
    monkeypatch.setattr(attempts, "do_fit", lambda *args, **options: pytest.fail("trained again"))
    assert attempt(job, device="cpu", tell=lambda news: None) == "done"
    assert planned.scores()[job.label] == done_here.scores()[job.label]


def test_a_fit_that_another_has_is_left_to_it(done_here: Any) -> None:
    planned = done_here.copy("held")
    job = planned.jobs[0]
    claim = claims.take(claims_folder(job.run), job.name)
    assert claim is not None
    assert attempt(job, device="cpu", tell=lambda news: None) == "held"
    claim.release()


def test_one_that_was_taken_over_stops_and_its_state_is_copied(
    done_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that slept for too long: its successor resumes from its state, in a folder of its own."""
    planned = done_here.copy("slept")
    job = planned.jobs[0]
    sleeper = claims.take(claims_folder(job.run), job.name)
    assert sleeper is not None
    work = attempts.open_work(job, sleeper)
    (work / "resume").mkdir()
    (work / "resume" / "state.pt").write_bytes(b"saved")
    monkeypatch.setattr(claims, "STALE_SECONDS", -1.0)
    heir = claims.take(claims_folder(job.run), job.name)
    monkeypatch.undo()
    assert heir is not None
    other = attempts.open_work(job, heir)
    assert other != work
    assert (other / "resume" / "state.pt").read_bytes() == b"saved"
    with pytest.raises(claims.ClaimLostError):
        sleeper.require()


def test_shards_give_the_bytes_of_one_machine_and_gather(done_here: Any) -> None:
    from subgroup_audit.engine.shards import Shard

    planned = done_here.copy("shards")
    for index in (0, 1):
        share = Shard(index, 2).share(planned.jobs)
        work = work_on(planned.plan, share, 1, Silence())
        assert work.words == "1 fits done, 0 found done, 0 failed"
    assert work_on(planned.plan, planned.jobs, None, Silence()).words == "0 fits done, 2 found done, 0 failed"
    assert planned.scores() == done_here.scores()


def test_a_run_waits_for_a_fit_of_another_worker_and_takes_it_over_when_that_dies(done_here: Any) -> None:
    planned = done_here.copy("joined")
    job, watcher = planned.jobs[0], _Killing()
    watcher.other = _start(planned)
    _wait_for(lambda: claims.list_claims(claims_folder(job.run), job.name))
    done: list[str] = []
    run_fits(
        [job],
        device="cpu",
        workers=1,
        keep_going=False,
        watcher=watcher,
        done=lambda found, seconds: done.append(found.label),
    )
    watcher.other.wait()
    assert watcher.said == [f"{job.label}: another worker is at it"]
    assert done == [job.label]
    assert planned.scores()[job.label] == done_here.scores()[job.label]


class _Killing(Silence):
    """Kills the other worker when it is waited for."""

    def __init__(self) -> None:
        self.other: Any = None
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)
        os.kill(self.other.pid, signal.SIGKILL)
        self.other.wait()


def test_a_failed_fit_leaves_the_others_and_says_why(done_here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = done_here.copy("failed")

    def fail(job: Any, **options: Any) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(attempts, "do_fit", fail)
    share = do_jobs(planned.jobs, device="cpu")
    assert [failure.message for failure in share.failures] == ["RuntimeError: no luck"] * 2
    assert not [path for path in claims_folder(planned.place.out).iterdir() if path.name.startswith("fit")]
