"""From attenuation to film: scatter, quantum noise, logarithm, film curve, labels."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from subgroup_audit.datasets.phantom_person import Acquisition
from subgroup_audit.datasets.phantom_strokes import FloatMap, draw_labels

FIELD_CM = 40.0
"""Side of the square field at the detector, in centimetres."""


@lru_cache(maxsize=4)
def field_grid(n: int) -> tuple[FloatMap, FloatMap]:
    axis = (np.arange(n, dtype=np.float32) + 0.5) / n * FIELD_CM - FIELD_CM / 2
    x, y = np.meshgrid(axis, axis)
    return x.astype(np.float32), y.astype(np.float32)


def smooth_noise(seed: int, n: int) -> FloatMap:
    """Noise of unit variance or so with a power-law spectrum, [n, n]: the mottle of lung and soft tissue."""
    rng = np.random.default_rng(seed)
    total = np.zeros((n, n), dtype=np.float32)
    for cells, weight in ((7, 0.55), (17, 0.55), (41, 0.5), (97, 0.4)):
        coarse = rng.standard_normal((cells, cells), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(coarse, (n, n), interpolation=cv2.INTER_CUBIC)
    return total


def develop_film(
    lost: FloatMap, acquisition: Acquisition, size: int, rng: np.random.Generator, bits: int
) -> NDArray[Any]:
    """Grey values of the detector's exposure: scatter, quantum noise, log, equalisation, film curve, labels."""
    n = lost.shape[0]
    primary = np.exp(-lost)
    small = cv2.resize(np.minimum(primary, np.float32(0.25)), (32, 32), interpolation=cv2.INTER_AREA)
    scatter = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3.2), (n, n), interpolation=cv2.INTER_LINEAR)
    exposure = np.asarray(primary + np.float32(0.16) * scatter + np.float32(0.003), dtype=np.float32)
    if size != n:
        exposure = cv2.resize(exposure, (size, size), interpolation=cv2.INTER_LINEAR)
    counts = acquisition.photons * (256 / size) ** 2
    noise = rng.standard_normal((size, size), dtype=np.float32)
    # in place from here on: at full size every pass over the image counts
    noise *= cv2.sqrt(exposure * np.float32(1 / counts))
    exposure += noise
    density = cv2.log(np.maximum(exposure, np.float32(5e-4), out=exposure), dst=noise)
    grey = _film_curve(np.negative(density, out=exposure), acquisition)
    draw_labels(grey, acquisition.view, acquisition.shutter_cm / FIELD_CM, rng)
    grey *= np.float32(2**bits - 1)
    return np.rint(grey, out=grey).astype(np.dtype(np.uint8 if bits <= 8 else np.uint16))


def _film_curve(density: FloatMap, acquisition: Acquisition) -> FloatMap:
    """Brightness in [0, 1] of log exposure lost: wide structures are flattened, then a sigmoid."""
    size = density.shape[0]
    small = cv2.resize(np.maximum(density, np.float32(1.0)), (32, 32), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4.0), (size, size), interpolation=cv2.INTER_LINEAR)
    middle = np.float32(2.66 - 0.5 * acquisition.brightness)
    slope = np.float32(0.92 / acquisition.latitude)
    # slope * (density - 0.32 * (wide - middle) - middle)
    steep = cv2.addWeighted(density, float(slope), wide, float(-0.32 * slope), float(-0.68 * slope * middle))
    curve = np.tanh(steep, out=steep)
    curve *= np.float32(0.5)
    curve += np.float32(0.5)
    return np.asarray(curve, dtype=np.float32)
