"""What one process does with a batch of files. Imports no pandas, since every process pays for its imports."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from multiprocessing import parent_process
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from subgroup_audit.errors import PixelError

Decoded = tuple[bytes, str]  # pixels and their digest, or nothing and the reason


def decode_batch(root: str, size: int, files: Sequence[str]) -> list[Decoded]:
    """Pixels and digest of each file; for a file that cannot be decoded, no pixels and the reason."""
    if parent_process() is not None:  # one of several: threads of OpenCV's own would only get in the way
        cv2.setNumThreads(1)
    return list(_decode_each(root, size, files))


def _decode_each(root: str, size: int, files: Sequence[str]) -> Iterator[Decoded]:
    for file in files:
        try:
            pixels = decode_file(Path(root, file), size).tobytes()
        except PixelError as error:
            yield b"", str(error)
        else:
            yield pixels, hashlib.blake2b(pixels, digest_size=16).hexdigest()


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
