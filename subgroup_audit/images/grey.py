"""From decoded values of any depth to the square 8-bit image that is stored."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

Grey = npt.NDArray[np.uint8]

# Scaling inside the decoder by these factors is area averaging to within one grey level; 3/8, 5/8 ... differ by
# up to 20 of 255 from it, so other sizes are decoded whole.
DCT_FACTORS = (8, 4, 2)


def fit_square(image: npt.NDArray[Any], size: int) -> Grey:
    """The image as uint8 [size, size]: averaged over areas, its aspect kept, padded with black to a square.

    Parameters
    ----------
    image : [height, width], values in [0, 255], uint8 or float32
    size : side of the result, px; a smaller image is enlarged linearly
    """
    height, width = image.shape
    longest = max(height, width)
    if longest != size:
        extent = (max(1, round(width * size / longest)), max(1, round(height * size / longest)))
        image = cv2.resize(image, extent, interpolation=cv2.INTER_AREA if longest > size else cv2.INTER_LINEAR)
    if image.dtype != np.uint8:
        image = np.rint(image).astype(np.uint8)
    return image if image.shape == (size, size) else _pad(image, size)


def _pad(image: Grey, size: int) -> Grey:
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - image.shape[0]) // 2, (size - image.shape[1]) // 2
    square[top : top + image.shape[0], left : left + image.shape[1]] = image
    return square


def spread(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float32]:
    """The values moved linearly so that their smallest is 0 and their largest 255; a flat image is 0.

    The rule of MIMIC-CXR-JPG for images deeper than 8 bits (Johnson et al. 2019, arXiv:1901.07042): detectors
    seldom use the range that their files declare.

    Parameters
    ----------
    valid : where given, only these pixels decide the range; the others, and what is not finite, are clipped to it
    """
    is_used = np.isfinite(values) if valid is None else valid & np.isfinite(values)
    inside = values[is_used] if is_used.any() else np.zeros(1)
    low, high = float(inside.min()), float(inside.max())
    if high == low:
        return np.zeros(values.shape, dtype=np.float32)
    bounded = np.clip(np.where(np.isnan(values), low, values), low, high)
    return np.asarray((bounded - low) * (255.0 / (high - low)), dtype=np.float32)


def decode_jpeg(data: bytes, size: int) -> Grey:
    """The luminance [height, width] of a JPEG, scaled down while decoding where that gives `size` exactly.

    Raises
    ------
    ValueError
        The data are no JPEG, or are damaged or cut short.
    """
    height, width = simplejpeg.decode_jpeg_header(data)[:2]
    factor = next((f for f in DCT_FACTORS if max(height, width) == f * size), 1)
    pixels = simplejpeg.decode_jpeg(
        data, colorspace="GRAY", min_height=-(-height // factor), min_width=-(-width // factor)
    )
    return np.asarray(pixels[:, :, 0])
