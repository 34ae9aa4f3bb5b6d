"""Who is doing which fit: files in a folder that all workers share, safe on a network file system.

A claim is a file `<fit>.<generation>` made by an exclusive create, which one process wins. Its holder writes into
it every quarter of a minute. A claim that was not written for two minutes, by the file server's clock, or whose
process is gone from this machine, is dead: the next generation may be made, which again one process wins. A holder
that was only asleep finds a newer claim beside its own when it wakes, and lets go.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

BEAT_SECONDS = 15.0
STALE_SECONDS = 120.0
"""Eight beats: file systems that remember a file's time for a minute do not make the living look dead."""


class ClaimLostError(Exception):
    """Another worker has taken this fit over, since this one was not heard of for too long."""


@dataclass(frozen=True)
class Seen:
    """A claim as another process sees it.

    Attributes
    ----------
    holder : machine, pid, started, token and work of its process; empty where it is being written
    written : modification time by the file server's clock, seconds
    """

    path: Path
    generation: int
    holder: dict[str, Any]
    written: float

    @property
    def news(self) -> dict[str, Any]:
        """How far the fit is, as its holder last said; empty where it has not."""
        return dict(self.holder.get("news") or {})

    @property
    def is_gone(self) -> bool:
        """Whether the holder's process certainly ended: it ran on this machine, and is no more."""
        if self.holder.get("machine") != this_machine() or not this_machine():
            return False
        return bool(process_start(int(self.holder["pid"])) != self.holder["started"])

    @property
    def is_dead(self) -> bool:
        """Whether the fit may be taken over."""
        return self.is_gone or clock(self.path.parent) - self.written > STALE_SECONDS


@dataclass
class Claim:
    """A claim that this process holds.

    Attributes
    ----------
    is_heir : whether whoever had the fit before certainly let go of it, so that its folder may be taken as it is
    """

    path: Path
    token: str
    is_heir: bool
    news: dict[str, Any] = field(default_factory=dict)
    is_lost: bool = False
    _is_over: threading.Event = field(default_factory=threading.Event)

    def hear(self, news: dict[str, Any]) -> None:
        """Keep how far the fit is for the next beat; raises `ClaimLostError` where the claim is no longer ours."""
        self.news = news
        if self.is_lost:
            raise ClaimLostError(self.path.name)

    def require(self) -> None:
        """Raise `ClaimLostError` unless the claim is still ours at this moment."""
        self.beat()
        if self.is_lost:
            raise ClaimLostError(self.path.name)

    def beat(self) -> None:
        """Show that this process lives, or find that it was given up for dead."""
        try:
            if self._is_taken():
                self.is_lost = True
                return
            with self.path.open("r+", encoding="utf-8") as file:  # never makes a file that was taken away
                file.write(_content(self.token, self.news))
                file.truncate()
            os.utime(self.path)
        except FileNotFoundError:
            self.is_lost = True
        except OSError:  # a file server that is away for a moment: the next beat may reach it
            return

    def _is_taken(self) -> bool:
        """Whether another process has the fit: by a newer claim, or by one of this name after all had gone."""
        name, _, generation = self.path.name.rpartition(".")
        return any(
            seen.generation > int(generation)
            or (seen.path == self.path and seen.holder.get("token", self.token) != self.token)
            for seen in list_claims(self.path.parent, name)
        )

    @contextmanager
    def beating(self) -> Iterator[None]:
        """A block during which others see that this process lives; the claim is given back at its end."""
        thread = threading.Thread(target=self._beat_on, name="claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()
            self.release()

    def _beat_on(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS) and not self.is_lost:
            self.beat()

    def release(self) -> None:
        """Give the fit back, unless it was taken."""
        if not self.is_lost and not self._is_taken():
            self.path.unlink(missing_ok=True)


def take(folder: Path, name: str) -> Claim | None:
    """The claim of a fit, now ours; None where a living worker has it."""
    folder.mkdir(parents=True, exist_ok=True)
    before = list_claims(folder, name)
    if any(not seen.is_dead for seen in before):
        return None
    last = before[-1] if before else None
    path = folder / f"{name}.{last.generation + 1 if last else 0}"
    token = uuid.uuid4().hex[:12]
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_content(token, {}))
    claim = Claim(path, token, is_heir=last is None or last.is_gone)
    known = {seen.path for seen in before} | {path}
    if any(seen.path not in known for seen in list_claims(folder, name)):  # two made one at once: both stand back
        claim.release()
        return None
    for seen in before:
        seen.path.unlink(missing_ok=True)
    return claim


def list_claims(folder: Path, name: str) -> list[Seen]:
    """The claims of a fit, the oldest generation first: one, but for the moment in which it is taken over."""
    found = []
    for path in folder.glob(f"{name}.*"):
        generation = path.name.rpartition(".")[2]
        with suppress(OSError):
            found.append(Seen(path, int(generation), _read(path), path.stat().st_mtime))
    return sorted(found, key=lambda seen: seen.generation)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:  # being written at this moment
        return {}


def find_claim(folder: Path, name: str) -> Seen | None:
    """The claim of a fit that counts, the newest; None where nobody has it."""
    found = list_claims(folder, name)
    return found[-1] if found else None


def is_free(folder: Path, name: str) -> bool:
    """Whether no living worker has the fit."""
    seen = find_claim(folder, name)
    return seen is None or seen.is_dead


def sweep(folder: Path) -> None:
    """Remove the folder of claims where nobody holds one."""
    for path in folder.glob(".clock-*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def clock(folder: Path) -> float:
    """The time on the clock that dates the files of a folder, seconds: machines need not agree on theirs."""
    probe = folder / f".clock-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        probe.unlink(missing_ok=True)


def _content(token: str, news: dict[str, Any]) -> str:
    holder = {"machine": this_machine(), "pid": os.getpid(), "started": process_start(os.getpid())}
    return json.dumps({**holder, "host": socket.gethostname(), "token": token, "news": news})


@cache
def this_machine() -> str:
    """What tells this machine, its start and its container from others; '' where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When a process of this machine began, in ticks since the machine did; '' if there is none, or it ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if status[0] in "ZX" else status[19]
