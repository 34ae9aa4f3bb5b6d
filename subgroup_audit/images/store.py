"""Pixels, decoded once: one file of square 8-bit images per data root and size, and a ledger of what lies where.

The ledger (SQLite) is keyed by path below the root, size in bytes and modification time, and is written after the
pixels that it speaks of have reached the disk. A build that is killed therefore loses the images under way and
nothing else; slots that no ledger row claims are never read. Several studies share one store.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pandas as pd
from filelock import FileLock

from subgroup_audit.errors import DataError, StoreError
from subgroup_audit.images.batches import store_batch
from subgroup_audit.images.headers import file_marks
from subgroup_audit.images.parallel import Progress, count_workers, map_batches
from subgroup_audit.schema import ExclusionTable, ImageTable
from subgroup_audit.store import digest

VERSION = 1
PIXELS, LEDGER = "pixels.u8", "ledger.sqlite"
CHUNK = 256  # images between two writes of the ledger


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Square 8-bit images, found by image id. Safe to share between threads, and to send to other processes.

    Parameters
    ----------
    path : file of images, one after the other, row-major
    size : side of an image, px
    table : one row per image: image_id, slot (its place in the file), pixel_digest
    """

    path: Path
    size: int
    table: pd.DataFrame

    def __len__(self) -> int:
        """Number of images."""
        return len(self.table)

    @property
    def image_ids(self) -> list[str]:
        """Keys of the images, by row."""
        return list(self.table["image_id"])

    @property
    def digest(self) -> str:
        """A digest of every image's id, pixels and size: equal for equal content, whatever the order."""
        pairs = sorted(zip(self.table["image_id"], self.table["pixel_digest"], strict=True))
        return digest("pixels", self.size, pairs)

    def digests(self) -> pd.DataFrame:
        """`image_id` and `pixel_digest`: images with equal digests are the same picture at the stored size."""
        return self.table[["image_id", "pixel_digest"]].copy()

    def rows(self, image_ids: Sequence[str] | pd.Series) -> npt.NDArray[np.int64]:
        """The row of each image, for `gather`.

        Raises
        ------
        DataError
            An image is not in the store.
        """
        wanted = pd.Index(pd.Series(image_ids, dtype="str"))
        found = pd.Index(self.table["image_id"]).get_indexer(wanted)
        if (found < 0).any():
            lost = wanted[found < 0]
            raise DataError(f"{len(lost)} images are not in the pixel store; the first is '{lost[0]}'")
        return np.asarray(found, dtype=np.int64)

    def gather(
        self, rows: npt.NDArray[np.int64], out: npt.NDArray[np.uint8] | None = None
    ) -> npt.NDArray[np.uint8]:
        """The images at `rows` as uint8 [n, size, size], in that order.

        Parameters
        ----------
        out : filled and returned where given; contiguous uint8 [n, size, size]

        Read with `pread`: pages of a memory map would count as this process's memory.
        """
        if len(rows) and (int(np.min(rows)) < 0 or int(np.max(rows)) >= len(self)):
            raise IndexError(f"rows must lie in [0, {len(self) - 1}]")
        shape = (len(rows), self.size, self.size)
        images = np.empty(shape, dtype=np.uint8) if out is None else out
        if images.shape != shape or images.dtype != np.uint8 or not images.flags.c_contiguous:
            raise ValueError(
                f"`out` must be contiguous uint8 {list(shape)}; it is {images.dtype} {list(images.shape)}"
            )
        self._fill(images, self.table["slot"].to_numpy()[rows])
        return images

    def _fill(self, images: npt.NDArray[np.uint8], slots: npt.NDArray[np.int64]) -> None:
        n_bytes = self.size * self.size
        with self.path.open("rb", buffering=0) as file:
            read = _reader(file.fileno(), self.path)
            for image, slot in zip(images, slots.tolist(), strict=True):
                if read(image, slot * n_bytes) != n_bytes:
                    raise StoreError(f"{self.path}: shorter than its ledger says; delete {self.path.parent}")

    def open_memory_map(self) -> np.memmap[tuple[int, int, int], np.dtype[np.uint8]]:
        """Every image of the file, other studies' too, read-only [slots, size, size]; index it by `table.slot`."""
        return np.memmap(self.path, dtype=np.uint8, mode="r").reshape(-1, self.size, self.size)  # type: ignore[return-value]


def _reader(descriptor: int, path: Path) -> Callable[[npt.NDArray[np.uint8], int], int]:
    """A function that reads into an image from an offset and returns the bytes read."""
    if hasattr(os, "preadv"):
        return lambda image, offset: os.preadv(descriptor, [image.data], offset)
    whole = np.memmap(path, dtype=np.uint8, mode="r")

    def copy(image: npt.NDArray[np.uint8], offset: int) -> int:
        part = whole[offset : offset + image.size]
        image.reshape(-1)[: part.size] = part
        return int(part.size)

    return copy


def build_pixel_store(
    images: ImageTable,
    root: Path,
    *,
    size: int,
    cache: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[PixelStore, ExclusionTable]:
    """The stored pixels of the images, and the images that could not be decoded, with the reason.

    Files decoded before, by this study or another, are not decoded again unless their size or modification time
    changed. Files that failed are tried again.

    Parameters
    ----------
    root : folder that `images.frame.path` is below; never written to
    size : side of the stored images, px
    cache : folder for the store; several runs may use it at once, one of them decoding at a time
    workers : processes that decode; None: as many as this process may run on
    progress : called with the numbers of files decoded and to decode

    Raises
    ------
    DataError
        No image at all could be decoded.
    StoreError
        The cache cannot be written.
    """
    folder = cache / "pixels" / f"{size}px-v{VERSION}-{digest(str(root.resolve()))[:16]}"
    marks = file_marks(root, images.frame["path"].tolist())
    escaping = images.frame["path"].map(leaves_root).to_numpy()
    missing = (marks["bytes"] < 0).to_numpy()
    wanted = marks[~missing & ~escaping].drop_duplicates("path")
    failures: dict[str, str] = {}
    if len(_undone(folder, wanted, size)):
        failures = _decode_missing(folder, root, wanted, size, count_workers(workers), progress)
    found = marks.merge(_read_ledger(folder, size), on=["path", "bytes", "mtime_ns"], how="left", validate="m:1")
    reasons = found["path"].map(failures).astype("str")
    reasons = reasons.mask(missing, "file is missing").mask(escaping, "the path leaves the data folder")
    store = _store(folder, size, images, found)
    if not len(store) and len(images):
        raise DataError(f"{root}: none of {len(images)} images could be decoded; the first: {reasons.iloc[0]}")
    return store, _exclusions(images, reasons)


def require_below_root(path: str) -> str:
    """The path, if it lies below the data folder; ValueError if it does not: for settings that name a file."""
    if leaves_root(path):
        raise ValueError("must lie below the data folder")
    return path


def leaves_root(path: str) -> bool:
    """Whether a path of an image table points outside its root.

    >>> leaves_root("../secret.png"), leaves_root("/etc/passwd"), leaves_root("images/1.png")
    (True, True, False)
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    return pure.is_absolute() or ".." in pure.parts


def _store(folder: Path, size: int, images: ImageTable, found: pd.DataFrame) -> PixelStore:
    has_pixels = found["slot"].notna().to_numpy()
    table = found.loc[has_pixels, ["slot", "pixel_digest"]].astype({"slot": "int64", "pixel_digest": "str"})
    table.insert(0, "image_id", images.frame["image_id"].to_numpy()[has_pixels])
    return PixelStore(folder / PIXELS, size, table.reset_index(drop=True))


def _exclusions(images: ImageTable, reasons: pd.Series) -> ExclusionTable:
    out = reasons.notna().to_numpy()
    left = pd.DataFrame({"image_id": images.frame["image_id"].to_numpy()[out], "reason": reasons.to_numpy()[out]})
    return ExclusionTable(left.assign(step="pixels"))


def _undone(folder: Path, wanted: pd.DataFrame, size: int) -> pd.DataFrame:
    """The files of `wanted` whose pixels are not stored."""
    keys = ["path", "bytes", "mtime_ns"]
    done = pd.MultiIndex.from_frame(_read_ledger(folder, size)[keys])
    return wanted[~pd.MultiIndex.from_frame(wanted[keys]).isin(done)]


def _read_ledger(folder: Path, size: int) -> pd.DataFrame:
    """path, bytes, mtime_ns, slot, pixel_digest of every stored image; rows whose pixels are lost are left out."""
    columns = ["path", "bytes", "mtime_ns", "slot", "pixel_digest"]
    rows: list[tuple[str, int, int, int, str]] = []
    if (folder / LEDGER).is_file() and (folder / PIXELS).is_file():
        try:  # writable: a build that was killed while writing leaves a journal for the next reader to roll back
            with closing(sqlite3.connect(f"{(folder / LEDGER).resolve().as_uri()}?mode=rw", uri=True)) as ledger:
                rows = ledger.execute(f"SELECT {', '.join(columns)} FROM stored").fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{folder}: the pixel store is damaged ({error}); delete this folder") from error
        n_slots = (folder / PIXELS).stat().st_size // (size * size)
        rows = [row for row in rows if row[3] < n_slots]
    frame = pd.DataFrame(rows, columns=columns)
    whole = {"bytes": "int64", "mtime_ns": "int64", "slot": "int64"}
    return frame.astype({"path": "str", "pixel_digest": "str", **whole})


def _decode_missing(
    folder: Path, root: Path, wanted: pd.DataFrame, size: int, workers: int, progress: Progress | None
) -> dict[str, str]:
    """Decode what the store lacks, one process at a time; return the reason of each file that failed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            undone = _undone(folder, wanted, size)  # another run may have done it while this one waited
            return _append(folder, os.fspath(root), undone, size, workers, progress)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{folder}: the pixel cache cannot be written ({error}); name another one") from error


def _append(
    folder: Path, root: str, undone: pd.DataFrame, size: int, workers: int, progress: Progress | None
) -> dict[str, str]:
    marks = list(undone[["path", "bytes", "mtime_ns"]].itertuples(index=False, name=None))
    failures: dict[str, str] = {}
    with closing(_Ledger(folder)) as ledger:
        slots = ledger.reserve(len(marks), size * size)
        work = partial(store_batch, root, size, os.fspath(folder / PIXELS))
        files = [(mark[0], slot) for mark, slot in zip(marks, slots, strict=True)]
        assigned = zip(marks, slots, strict=True)
        done = 0
        for stored in map_batches(work, files, batch=32, workers=workers, worth_processes=1500):
            for (mark, slot), (text, reason) in zip(islice(assigned, len(stored)), stored, strict=True):
                if text:
                    ledger.claim((*mark, slot, text))
                else:
                    failures[mark[0]] = reason
            done += len(stored)
            if progress:
                progress(done, len(marks))
        ledger.commit()
    return failures


class _Ledger:
    """Says which slots hold which file, and only once their pixels have reached the disk."""

    def __init__(self, folder: Path) -> None:
        self._pixels = folder / PIXELS
        self._claims: list[tuple[str, int, int, int, str]] = []
        self._database = sqlite3.connect(folder / LEDGER)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS stored (path TEXT, bytes INTEGER, mtime_ns INTEGER, slot INTEGER,"
            " pixel_digest TEXT, PRIMARY KEY (path, bytes, mtime_ns))"
        )

    def reserve(self, count: int, n_bytes: int) -> range:
        """Slots that no build has had before: a worker of a killed one may still be writing into its own.

        What was reserved and never written takes no room where files can be sparse. Claims on pixels that are
        lost, as when their file was deleted, are given up first.
        """
        with self._pixels.open("ab") as pixels:
            first = pixels.tell() // n_bytes
            with self._database:
                self._database.execute("DELETE FROM stored WHERE slot >= ?", (first,))
            pixels.truncate((first + count) * n_bytes)
        return range(first, first + count)

    def claim(self, row: tuple[str, int, int, int, str]) -> None:
        """Note path, bytes, mtime_ns, slot and digest of pixels that were written; commit now and then."""
        self._claims.append(row)
        if len(self._claims) >= CHUNK:
            self.commit()

    def commit(self) -> None:
        """Bring the pixels to the disk, then the notes."""
        if not self._claims:
            return
        with self._pixels.open("r+b") as pixels:
            os.fsync(pixels.fileno())
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?, ?)", self._claims)
        self._claims = []

    def close(self) -> None:
        """Close the database."""
        self._database.close()
