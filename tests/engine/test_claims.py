"""Claims: one living worker has a fit, a dead one's is taken over once, and one that was only asleep lets go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from subgroup_audit.engine import claims
from subgroup_audit.engine.claims import Claim, ClaimLostError, find_claim, is_free, list_claims, take

OLD = claims.STALE_SECONDS + 5


def _taken(folder: Path) -> Claim:
    claim = take(folder, "fit-a")
    assert claim is not None
    return claim


def _not_heard_of(claim: Claim) -> None:
    """Let a claim look as one of another machine that was silent for too long."""
    holder = json.loads(claim.path.read_text())
    claim.path.write_text(json.dumps({**holder, "machine": "another"}))
    before = claim.path.stat().st_mtime - OLD
    os.utime(claim.path, (before, before))


def test_a_claimed_fit_is_not_free_until_it_is_given_back(tmp_path: Path) -> None:
    claim = _taken(tmp_path)
    assert take(tmp_path, "fit-a") is None
    assert take(tmp_path, "fit-b") is not None
    assert not is_free(tmp_path, "fit-a")
    claim.release()
    assert is_free(tmp_path, "fit-a")
    assert _taken(tmp_path).is_heir


def test_of_many_at_once_one_has_it(tmp_path: Path) -> None:
    for turn in range(20):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _, name=f"fit-{turn}": take(tmp_path, name), range(8)))
        held = [claim for claim in found if claim is not None]
        assert len(held) <= 1  # two that made one in the same instant both stand back, and come again
        assert len(list_claims(tmp_path, f"fit-{turn}")) == len(held)


@pytest.mark.skipif(
    not claims.this_machine(), reason="this system does not tell one start of a process from another"
)
def test_the_claim_of_a_process_that_ended_is_free_at_once(tmp_path: Path) -> None:
    words = ["from pathlib import Path", "from subgroup_audit.engine.claims import take"]
    code = "; ".join([*words, f"take(Path({str(tmp_path)!r}), 'fit-a')"])
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(list_claims(tmp_path, "fit-a")) == 1
    assert is_free(tmp_path, "fit-a")
    assert _taken(tmp_path).is_heir
    assert [seen.generation for seen in list_claims(tmp_path, "fit-a")] == [1]


def test_the_claim_of_a_machine_not_heard_of_is_taken_over_once(tmp_path: Path) -> None:
    sleeper = _taken(tmp_path)
    _not_heard_of(sleeper)
    heir = _taken(tmp_path)
    assert not heir.is_heir
    assert take(tmp_path, "fit-a") is None
    with pytest.raises(ClaimLostError):
        sleeper.require()
    sleeper.release()
    heir.require()
    heir.release()
    assert list_claims(tmp_path, "fit-a") == []


def test_a_sleeper_whose_successor_is_done_does_not_wake_as_holder(tmp_path: Path) -> None:
    sleeper = _taken(tmp_path)
    _not_heard_of(sleeper)
    _taken(tmp_path).release()
    sleeper.beat()
    assert sleeper.is_lost
    with pytest.raises(ClaimLostError):
        sleeper.hear({"epoch": 1.0})
    assert list_claims(tmp_path, "fit-a") == []


def test_a_sleeper_whose_successor_gave_up_leaves_the_claim_of_a_third_alone(tmp_path: Path) -> None:
    sleeper = _taken(tmp_path)
    _not_heard_of(sleeper)
    _taken(tmp_path).release()
    third = _taken(tmp_path)
    assert third.path == sleeper.path
    with pytest.raises(ClaimLostError):
        sleeper.require()
    sleeper.is_lost = False  # it may wake between two beats, too
    sleeper.release()
    third.require()


def test_a_file_server_that_is_away_for_a_moment_does_not_end_the_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = _taken(tmp_path)

    def away(*_: object) -> None:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(claims, "list_claims", away)
        claim.beat()
    assert not claim.is_lost
    claim.require()


def test_a_beat_shows_life_and_how_far_the_fit_is(tmp_path: Path) -> None:
    claim = _taken(tmp_path)
    _not_heard_of(claim)
    assert is_free(tmp_path, "fit-a")
    claim.hear({"epoch": 2.5, "epochs": 10})
    claim.beat()
    seen = find_claim(tmp_path, "fit-a")
    assert seen is not None
    assert not seen.is_dead
    assert seen.news == {"epoch": 2.5, "epochs": 10}


def test_a_claim_that_is_being_written_is_alive(tmp_path: Path) -> None:
    (tmp_path / "fit-a.0").touch()
    assert take(tmp_path, "fit-a") is None
    before = (tmp_path / "fit-a.0").stat().st_mtime - OLD
    os.utime(tmp_path / "fit-a.0", (before, before))
    assert take(tmp_path, "fit-a") is not None
