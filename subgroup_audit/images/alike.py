"""Pictures that are nearly the same: a film saved, resized or windowed anew has other bytes and other pixels.

Two stages, since neither alone does. A perceptual hash (64 bits, of the low frequencies of the picture) finds the
pairs worth a look. Chest films look alike, so many films of different persons have near hashes; each such pair is
compared by the correlation of its thumbnails, and what passes both is a near copy. docs/leakage.md has the counts
on real radiographs that set the two limits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import numpy.typing as npt
import pandas as pd

from subgroup_audit.errors import StoreError
from subgroup_audit.images.parallel import Progress
from subgroup_audit.images.store import PixelStore

Hashes = npt.NDArray[np.uint64]

MAX_DISTANCE = 6
"""Bits in which the hashes of a near copy may differ. Saved as JPEG, at half the size or with noise: at most 4;
with other contrast: at most 6 in 99 of 100."""
MIN_CORRELATION = 0.99
"""Of two films of different persons the highest found is 0.953 (full frame) and 0.947 (lungs alone)."""
THUMBNAIL = 64
COLUMNS = ("image_id", "other_id", "distance", "correlation")
HASHES = "hashes.sqlite"
_BLOCK = 64  # rows of the table of distances under way: 64 x 30,000 stay in the processor's cache
_CHUNK = 512


def find_near_copies(store: PixelStore, progress: Progress | None = None) -> pd.DataFrame:
    """Pairs of stored images that are nearly the same picture and not pixel for pixel: `COLUMNS`.

    distance : bits in which their perceptual hashes differ, at most `MAX_DISTANCE`
    correlation : of their thumbnails, at least `MIN_CORRELATION`

    Pairs of identical pixels are left out: those are known by their digests. Every pair of images is compared by
    hash, so none is overlooked: 0.8 s for 26,684 images, 13 s for 112,120 (an index over parts of the hash would
    have to look at 3 of 100 pairs as well, since hashes of chest films crowd together).
    """
    hashes = perceptual_hashes(store, progress)
    first, second = near_pairs(hashes, MAX_DISTANCE)
    digest = pd.factorize(store.table["pixel_digest"])[0]
    differ = digest[first] != digest[second]
    first, second = first[differ], second[differ]
    correlation = _correlate(store, first, second)
    near = correlation >= MIN_CORRELATION
    first, second = first[near], second[near]
    image_id = store.table["image_id"].to_numpy(dtype=object)
    frame = pd.DataFrame(
        {
            "image_id": pd.Series(image_id[first], dtype="str"),
            "other_id": pd.Series(image_id[second], dtype="str"),
            "distance": np.bitwise_count(hashes[first] ^ hashes[second]).astype("int64"),
            "correlation": correlation[near].astype("float64"),
        }
    )
    return frame.sort_values(["image_id", "other_id"], ignore_index=True)


def perceptual_hashes(store: PixelStore, progress: Progress | None = None) -> Hashes:
    """The hash of each image of the store, shape [n]; those that were made before are read from beside the pixels.

    They are kept by the digest of the pixels, so that equal pixels are hashed once, for whatever study.
    """
    digests = store.table["pixel_digest"].to_numpy(dtype=object)
    try:
        with closing(sqlite3.connect(store.path.parent / HASHES, timeout=60)) as kept:
            kept.execute("CREATE TABLE IF NOT EXISTS hashed (pixel_digest TEXT PRIMARY KEY, hash BLOB)")
            known = dict(kept.execute("SELECT pixel_digest, hash FROM hashed").fetchall())
            new = _first_rows(digests, known)
            for done, rows in enumerate(_chunks(new)):
                made = _hash_rows(store, rows)
                known.update(made)
                with kept:
                    kept.executemany("INSERT OR REPLACE INTO hashed VALUES (?, ?)", made.items())
                if progress:
                    progress(done * _CHUNK + len(rows), len(new))
    except sqlite3.Error as error:
        raise StoreError(f"{store.path.parent / HASHES}: cannot be used ({error}); delete this file") from error
    joined = b"".join(known[digest] for digest in digests)
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)


def _first_rows(digests: npt.NDArray[np.object_], known: dict[str, bytes]) -> npt.NDArray[np.int64]:
    """The first row of each digest that is not known."""
    frame = pd.Series(digests).drop_duplicates()
    return frame.index[~frame.isin(known.keys())].to_numpy(dtype=np.int64)


def _chunks(rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _hash_rows(store: PixelStore, rows: npt.NDArray[np.int64]) -> dict[str, bytes]:
    import imagehash
    from PIL import Image

    names = store.table["pixel_digest"].iloc[rows]
    images = store.gather(rows)
    bits = (imagehash.phash(Image.fromarray(image)).hash.ravel() for image in images)
    return {str(name): np.packbits(found).tobytes() for name, found in zip(names, bits, strict=True)}


def near_pairs(hashes: Hashes, limit: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The positions i < j of every two hashes that differ in at most `limit` bits.

    >>> near_pairs(np.array([0, 1, 255], dtype=np.uint64), 1)[1].tolist()
    [1]
    """
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        row, column = np.nonzero(np.bitwise_count(block ^ hashes[None, start:]) <= limit)
        later = column > row
        found.append((row[later] + start, column[later] + start))
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate([row for row, _ in found]), np.concatenate([column for _, column in found])


def _correlate(
    store: PixelStore, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The correlation of the thumbnails of each pair of rows, float32 [pairs] in [-1, 1]; 0 for a blank image."""
    used, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    thumbnails = _thumbnails(store, used)
    a, b = place[: len(first)], place[len(first) :]
    parts = [
        np.einsum(
            "ij,ij->i", _standardised(thumbnails[a[i : i + _CHUNK]]), _standardised(thumbnails[b[i : i + _CHUNK]])
        )
        for i in range(0, len(a), _CHUNK)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def _thumbnails(store: PixelStore, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The images at `rows`, `THUMBNAIL` px a side, flat: uint8 [n, side * side]."""
    import cv2

    side = (THUMBNAIL, THUMBNAIL)
    made = np.empty((len(rows), THUMBNAIL * THUMBNAIL), dtype=np.uint8)
    for start in range(0, len(rows), _CHUNK):
        for i, image in enumerate(store.gather(rows[start : start + _CHUNK])):
            made[start + i] = cv2.resize(image, side, interpolation=cv2.INTER_AREA).ravel()
    return made


def _standardised(flat: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Each row with mean 0 and length 1; a row without variation becomes 0."""
    centred = flat.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1.0), dtype=np.float32)
