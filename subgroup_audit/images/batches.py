"""What one process does with a batch of files. Imports no pandas, since every process pays for its imports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from errno import ENOSPC
from io import FileIO
from multiprocessing import parent_process
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from subgroup_audit.errors import PixelError

Stored = tuple[str, str]  # digest of the pixels, or '' and the reason


def store_batch(root: str, size: int, pixels: str, files: Sequence[tuple[str, int]]) -> list[Stored]:
    """Digest of each file, or the reason it has none; pixels go to the file `pixels`, into their slots.

    Writing here, not in the process that asks, spares sending the pixels through a pipe.

    Parameters
    ----------
    pixels : existing file of images, one after the other; others may be writing other slots of it
    files : path below `root`, and slot
    """
    if parent_process() is not None:  # one of several: threads of OpenCV's own would only get in the way
        cv2.setNumThreads(1)
    with Path(pixels).open("r+b", buffering=0) as target:
        return [_store_one(Path(root, file), size, target, slot) for file, slot in files]


def _store_one(path: Path, size: int, target: FileIO, slot: int) -> Stored:
    try:
        image = decode_file(path, size).tobytes()
    except PixelError as error:
        return "", str(error)
    target.seek(slot * len(image))
    if target.write(image) != len(image):
        raise OSError(ENOSPC, "no space left for pixels")
    return hashlib.blake2b(image, digest_size=16).hexdigest(), ""


def decode_file(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """The image in a file as uint8 [size, size]: JPEG, PNG, TIFF and BMP by their suffix, all others as DICOM.

    Raises
    ------
    PixelError
        The file cannot be decoded; the message is the reason that the flow diagram shows.
    """
    from subgroup_audit.images.plain import SUFFIXES, decode_plain

    if path.suffix.lower() in SUFFIXES:
        return decode_plain(path, size)
    from subgroup_audit.images.dicom import decode_dicom  # pydicom takes long to import; plain images need none

    return decode_dicom(path, size)


def read_batch(root: str, files: Sequence[str]) -> list[dict[str, str]]:
    """The header fields of each file and `reason`: empty, or why the file cannot be read."""
    return [_read_one(Path(root, file)) for file in files]


def _read_one(path: Path) -> dict[str, str]:
    from subgroup_audit.images.dicom import read_header

    try:
        return {"reason": "", **read_header(path)}
    except PixelError as error:
        return {"reason": str(error)}
