"""A lateral chest phantom: only there so that a data set has something to leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.datasets.phantom_anatomy import MU_BONE, MU_SOFT
from subgroup_audit.datasets.phantom_film import FIELD_CM, develop_film, field_grid, smooth_noise
from subgroup_audit.datasets.phantom_person import Acquisition, PatientAnatomy
from subgroup_audit.datasets.phantom_strokes import FloatMap


def draw_lateral(
    patient: PatientAnatomy, acquisition: Acquisition, *, size: int, rng: np.random.Generator
) -> NDArray[Any]:
    """Grey values [size, size] of a left lateral radiograph: the person faces the left of the picture."""
    n = min(size, 512)
    x, centred = field_grid(n)
    y = centred + np.float32(FIELD_CM / 2)
    body = _rim(x, y - np.float32(24), 0.55 * patient.depth + 2, 23.0, 3)
    lung = _rim(x - np.float32(0.5), y - np.float32(17), 0.48 * patient.depth, 13.0, 2.6)
    front = np.clip((x + np.float32(9)) / np.float32(18), 0, 1)
    lung *= y < np.float32(24) + np.float32(4.5) * front * front
    heart = _rim(x + np.float32(3.6), y - np.float32(21), 5.0, 5.6, 2)
    spine_x = np.float32(7.2) + np.float32(1.3) * np.sin((y - np.float32(4)) / np.float32(9))
    vertebra = (np.abs(x - spine_x) < 1.6) * (0.7 + 0.5 * (np.mod(y, np.float32(2.7)) > 0.5))
    arc = np.mod(y + np.float32(0.55) * x, np.float32(2.9)) < 0.9
    air = 17.0 * lung * (1 - 0.55 * heart)
    lost = MU_SOFT * (30.0 * body - 0.73 * air + 0.3 * smooth_noise(patient.texture_seed, n) * lung)
    lost += MU_BONE * (2.2 * vertebra * body + 0.35 * arc * lung) - 0.22 * MU_SOFT * 30.0 * body
    return develop_film(np.asarray(lost, dtype=np.float32), acquisition, size, rng, 8)


def _rim(dx: FloatMap, dy: FloatMap, wide: float, tall: float, power: float) -> FloatMap:
    """1 in the middle of a rounded shape, 0 at its rim."""
    reach = np.abs(dx / np.float32(wide)) ** power + np.abs(dy / np.float32(tall)) ** power
    return np.asarray(np.sqrt(np.maximum(1 - reach, 0)), dtype=np.float32)
