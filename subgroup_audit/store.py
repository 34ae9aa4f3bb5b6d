"""Where results lie: one folder per step, named by everything that its content depends on, and written at once.

A step's key is a digest of its name, its version, its settings and the content of its inputs: a step whose inputs
came out the same is not done again, even if they were made anew. A step folder appears under its final name only
when it is complete, so a run that was killed leaves either a whole step or none; a step that can resume keeps its
unfinished work under `work/`, by the same name, until it is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from subgroup_audit.errors import StoreError

RECORD = "step.json"


def digest(*parts: object) -> str:
    """A hexadecimal SHA-256 of JSON-like parts; the same on every machine.

    >>> digest("a", {"b": 1}) == digest("a", {"b": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(root: Path) -> str:
    """A digest of the names, sizes and modification times of all files below `root`."""
    lines = sorted(_file_marks(str(root), len(str(root)) + 1))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _file_marks(folder: str, skip: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat()
            except OSError:  # a link that leads nowhere, or only to itself: known by its own mark
                status = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                yield f"{entry.path[skip:]}\t{status.st_size}\t{status.st_mtime_ns}"
            elif not _leads_back(entry):
                yield from _file_marks(entry.path, skip)


def _leads_back(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is a link to one that holds it."""
    if not entry.is_symlink():
        return False
    return Path(entry.path).parent.resolve().is_relative_to(Path(entry.path).resolve())


@dataclass(frozen=True)
class Step:
    """A step that is to be done or found done: its key says what its content depends on.

    Attributes
    ----------
    inputs : name of the input -> digest of its content
    """

    name: str
    version: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Digest of name, version, settings and inputs."""
        return digest(self.name, self.version, dict(self.settings), dict(self.inputs))

    @property
    def folder_name(self) -> str:
        """Name of the folder that holds the step."""
        return f"{self.name}-{self.key[:16]}"


@dataclass(frozen=True)
class Done:
    """A finished step: its folder, and a digest of what lies there."""

    step: Step
    folder: Path
    content: str
    seconds: float


class RunFolder:
    """A run's folder: its steps, its record, and a lock that keeps a second run out.

    Parameters
    ----------
    path : folder of the run; made where it is absent
    study_name : study that the folder belongs to

    Raises
    ------
    StoreError
        The folder cannot be written, belongs to another study, or is held by another run.
    """

    def __init__(self, path: Path, study_name: str) -> None:
        self.path = path
        self.study_name = study_name
        self.steps = path / "steps"
        self.work = path / "work"

    @contextmanager
    def held(self) -> Iterator[RunFolder]:
        """Hold the folder for this process; raises `StoreError` if that cannot be."""
        self.check_owner()
        self._make()
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreError(
                f"{self.path}: another run is writing to this folder; wait for it, or give --out another folder"
            ) from error
        try:
            self._claim()
            yield self
        finally:
            lock.release()

    def _make(self) -> None:
        try:
            self.steps.mkdir(parents=True, exist_ok=True)
            self.work.mkdir(exist_ok=True)
            probe = self.path / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)  # another run that begins now may have taken it away
        except OSError as error:
            raise StoreError(
                f"{self.path}: the output folder cannot be written ({error.strerror}); give --out another folder"
            ) from error

    def check_owner(self) -> None:
        """Raise `StoreError` if the folder holds a run of another study."""
        owner = self.record().get("study")
        if owner is not None and owner != self.study_name:
            raise StoreError(
                f"{self.path}: this folder holds a run of study '{owner}', not '{self.study_name}'; "
                "give --out another folder"
            )

    def _claim(self) -> None:
        """Note whose folder this is; two runs may have begun at once, so it is asked again under the lock."""
        self.check_owner()
        if not self.record():
            self.write_record({"study": self.study_name})

    def record(self) -> dict[str, Any]:
        """What `run.json` says, or an empty mapping."""
        return read_json(self.path / "run.json")

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace `run.json` at once."""
        write_json(self.path / "run.json", record)

    def folder(self, step: Step) -> Path:
        """Where the finished step lies or will lie."""
        return self.steps / step.folder_name

    def is_done(self, step: Step) -> bool:
        """Whether the step is complete."""
        return (self.folder(step) / RECORD).is_file()

    def done(self, step: Step) -> Done:
        """The finished step; raises `StoreError` if it is not finished."""
        folder = self.folder(step)
        record = read_json(folder / RECORD)
        if not record:
            raise StoreError(f"{folder}: step '{step.name}' is not done; run the study again")
        return Done(step, folder, str(record["content"]), float(record["seconds"]))

    def find(self, folder_name: str) -> Done:
        """The finished step in a folder of this name, as `run.json` lists it; `StoreError` if it is gone."""
        record = read_json(self.steps / folder_name / RECORD)
        if not record:
            raise StoreError(f"{self.steps / folder_name}: this step of the run is gone; run the study again")
        step = Step(record["name"], record["version"], record["settings"], record["inputs"])
        return Done(step, self.steps / folder_name, str(record["content"]), float(record["seconds"]))

    @contextmanager
    def writing(self, step: Step) -> Iterator[Path]:
        """An unfinished folder that becomes the step's folder when the block ends without an error.

        What an earlier, interrupted attempt left there is still there.
        """
        work = self.work / step.folder_name
        work.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        yield work
        self.finish(step, work, seconds=time.perf_counter() - started)

    def finish(self, step: Step, work: Path, *, seconds: float) -> None:
        """Give a complete work folder its final name."""
        record = {
            "name": step.name,
            "version": step.version,
            "settings": dict(step.settings),
            "inputs": dict(step.inputs),
            "content": content_digest(work),
            "seconds": round(seconds, 3),
        }
        write_json(work / RECORD, record)
        target = self.folder(step)
        if target.exists():
            shutil.rmtree(target)
        work.rename(target)


def content_digest(folder: Path) -> str:
    """Digest of the names and bytes of the files directly in `folder`, but for the step's own record.

    Names that begin with a dot are what `write_json` was at when it was killed: a run that was stopped has the
    contents, and with them the keys of all later steps, of one that was not.
    """
    found = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file() and p.name != RECORD and p.name[0] != "."):
        with path.open("rb") as stream:
            found.update(f"{path.name}\t{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return found.hexdigest()


def frame_digest(frame: pd.DataFrame) -> str:
    """Digest of a frame's columns and rows, in their order."""
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return digest(list(map(str, frame.columns)), hashlib.sha256(rows.tobytes()).hexdigest())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON mapping in `path`; empty if there is no such file. Raises `StoreError` if it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: damaged or unreadable ({error}); delete it and run again") from error
    return dict(content)


def write_frames(folder: Path, frames: Mapping[str, pd.DataFrame | None]) -> None:
    """Write each frame as `<name>.parquet`; a frame that is None is not written."""
    for name, frame in frames.items():
        if frame is not None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)


def read_frames(folder: Path, names: Sequence[str]) -> dict[str, pd.DataFrame | None]:
    """The frames that `write_frames` wrote; None where there is none."""
    found: dict[str, pd.DataFrame | None] = {}
    for name in names:
        path = folder / f"{name}.parquet"
        found[name] = pd.read_parquet(path) if path.is_file() else None
    return found
