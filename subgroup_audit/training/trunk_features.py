"""What a frozen trunk makes of images, kept from fit to fit: every image goes through the same trunk once.

Fits of many cohorts and seeds share a pretrained trunk and most of their images. Their features depend on the
trunk's weights, the pixels, and how the device computes, and on nothing else, so they are kept under those names.

An image's features must not depend on which fit asked first, or two orders of fits would give two results. Batches
are therefore always full: with one shape the same kernel computes every row, whatever stands in the other rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from subgroup_audit.errors import StoreError
from subgroup_audit.training.architecture import Network
from subgroup_audit.training.data import Batch
from subgroup_audit.training.device import cpu_name
from subgroup_audit.training.feeding import ImageFeed
from subgroup_audit.training.loop import infer
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.spec import BatchCallback, FloatArray, IndexArray

VERSION = 1
_CHUNK_BATCHES = 4
_ASKED_AT_ONCE = 500  # SQLite takes at most 999 values in one question


class _TrunkOnly(nn.Module):
    """The features of a network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.features(images)


def trunk_features(
    network: Network,
    feed: ImageFeed,
    compute: Compute,
    *,
    folder: Path,
    batch_size: int,
    first: int = 0,
    on_batch: BatchCallback | None = None,
) -> Tensor:
    """Features of the feed's images, float32 [n, features] on the device; only those not kept are computed.

    Parameters
    ----------
    network : its trunk is frozen, batch statistics included; the feed does not augment
    folder : where features are kept, one file for each trunk and way of computing
    first : any number; where to begin among the images not kept. Fits that run side by side begin at different
        places and take over what another has done meanwhile

    Raises
    ------
    StoreError
        The file of kept features cannot be used.
    """
    path = folder / f"{_trunk_key(network, feed, compute)}.sqlite"
    names = _pixel_names(feed, batch_size)

    def compute_rows(rows: list[int]) -> FloatArray:
        return _compute(network, feed, compute, rows, batch_size, on_batch)

    try:
        with closing(sqlite3.connect(path if _is_writable(folder) else ":memory:", timeout=120)) as kept:
            found = _complete(kept, names, compute_rows, chunk=_CHUNK_BATCHES * batch_size, first=first)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: kept features cannot be used ({error}); delete this file") from error
    joined = np.frombuffer(b"".join(found[name] for name in names), dtype=np.float32)
    return torch.from_numpy(joined.reshape(len(names), -1).copy()).to(compute.device)


def _is_writable(folder: Path) -> bool:
    """Whether features can be kept in a folder; in a cache that is only read they are computed and not kept."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK)


def _complete(
    kept: sqlite3.Connection,
    names: list[bytes],
    compute_rows: Callable[[list[int]], FloatArray],
    *,
    chunk: int,
    first: int,
) -> dict[bytes, bytes]:
    """The features of all names, those that are not kept computed and kept, chunk by chunk."""
    kept.execute("CREATE TABLE IF NOT EXISTS kept (pixels BLOB PRIMARY KEY, features BLOB)")
    found = _read(kept, names)
    waiting = _rotated([row for row, name in enumerate(names) if name not in found], first)
    for start in range(0, len(waiting), chunk):
        # equal pixels once; another process may have done some of them meanwhile
        wanted = {names[row]: row for row in reversed(waiting[start : start + chunk]) if names[row] not in found}
        found |= _read(kept, list(wanted))
        rows = sorted(row for name, row in wanted.items() if name not in found)
        if not rows:
            continue
        made = {names[row]: values.tobytes() for row, values in zip(rows, compute_rows(rows), strict=True)}
        with kept:
            kept.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", made.items())
        found |= made
    return found


def _trunk_key(network: Network, feed: ImageFeed, compute: Compute) -> str:
    """A digest of all that features depend on besides the pixels."""
    weights = hashlib.sha256()
    for name, value in sorted(network.trunk.state_dict().items()):
        weights.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        weights.update(value.detach().cpu().contiguous().numpy().tobytes())
    is_cuda = compute.device.startswith("cuda")
    where = torch.cuda.get_device_name(compute.device) if is_cuda else f"{compute.device} {cpu_name()}"
    how = {
        "version": VERSION,
        "architecture": str(network.trunk),
        "weights": weights.hexdigest(),
        "sizes": [feed.pixels.size, feed.size],
        "normalisation": [feed.normalisation.mean, feed.normalisation.std],
        "compute": [where, compute.precision, compute.layout, feed.feeding == "warped"],
        "threads": torch.get_num_threads() if compute.device == "cpu" else 0,
        "torch": str(torch.__version__),
    }
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()[:32]


def _pixel_names(feed: ImageFeed, batch_size: int) -> list[bytes]:
    """A digest of each image's stored pixels."""
    names: list[bytes] = []
    for start in range(0, len(feed.rows), batch_size):
        images = feed.pixels.gather(feed.rows[start : start + batch_size])
        names += [hashlib.blake2b(image, digest_size=16).digest() for image in images]
    return names


def _read(kept: sqlite3.Connection, names: list[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, len(names), _ASKED_AT_ONCE):
        asked = names[start : start + _ASKED_AT_ONCE]
        marks = ", ".join("?" * len(asked))
        found |= dict(kept.execute(f"SELECT pixels, features FROM kept WHERE pixels IN ({marks})", asked))
    return found


def _rotated(rows: list[int], first: int) -> list[int]:
    place = first % len(rows) if rows else 0
    return rows[place:] + rows[:place]


def _compute(
    network: Network,
    feed: ImageFeed,
    compute: Compute,
    rows: list[int],
    batch_size: int,
    on_batch: BatchCallback | None,
) -> FloatArray:
    """Features of these rows, float32 [n, features]."""
    places: IndexArray = np.array(rows, dtype=np.int64)
    filled = np.resize(places, -(-len(places) // batch_size) * batch_size)
    batches = [
        Batch(index, np.zeros(batch_size, dtype=np.int64), batch_size) for index in filled.reshape(-1, batch_size)
    ]
    made = infer(_TrunkOnly(network), feed, batches, compute, on_batch)
    return np.asarray(made[: len(rows)].cpu().numpy(), dtype=np.float32)
