"""Decoding of JPEG, PNG and TIFF radiographs."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from subgroup_audit.errors import PixelError
from subgroup_audit.images.grey import Grey, decode_jpeg, fit_square, spread

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
JPEG_START = b"\xff\xd8\xff"


def decode_plain(path: Path, size: int) -> Grey:
    """The image in a JPEG, PNG, TIFF or BMP file as uint8 [size, size], see `fit_square`.

    Colours become luminance (Rec. 601), transparency is dropped, values deeper than 8 bits are spread over
    [0, 255] by their smallest and largest. An orientation tag is not applied.

    Raises
    ------
    PixelError
        The file is missing, empty, damaged, cut short, or holds more than one image.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PixelError("file is missing") from error
    except OSError as error:
        raise PixelError("the file cannot be opened") from error
    if not data:
        raise PixelError("the file is empty")
    if data.startswith(JPEG_START):
        try:
            return fit_square(decode_jpeg(data, size), size)
        except ValueError:
            pass  # CMYK, or trailing junk that Pillow knows to forgive; it has the last word
    return _decode_with_pillow(data, size)


def _decode_with_pillow(data: bytes, size: int) -> Grey:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            frames = getattr(image, "n_frames", 1)
            image.load()
    except UnidentifiedImageError as error:
        raise PixelError("not an image file") from error
    except Exception as error:  # a damaged file can raise anything; the study must go on
        raise PixelError("the image data are damaged or cut short") from error
    if frames != 1:
        raise PixelError("the file holds more than one image")
    if image.mode.startswith(("I", "F")):
        return fit_square(spread(np.asarray(image)), size)
    return fit_square(np.asarray(image.convert("L")), size)
