"""Synthetic chest radiographs: one person's anatomy, one acquisition, and the film that they give.

Every tissue is a map of its path length along the beam, in centimetres of a 40 cm field at the detector. The maps
are attenuated by Beer and Lambert's law, scatter and quantum noise are added to the exposure, and a film curve
turns log exposure into grey values. Nothing is painted in grey values but markers and collimator shutters.

Coordinates: `x` runs to the right of the picture (the person's left), 0 at the midline; `y` runs down, 0 at the
upper edge. Both are centimetres in the person's own frame; `Acquisition` says how that frame lies on the detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from subgroup_audit.datasets.phantom_film import FIELD_CM, develop_film, field_grid, smooth_noise
from subgroup_audit.datasets.phantom_person import Acquisition, Opacity, PatientAnatomy
from subgroup_audit.datasets.phantom_strokes import (
    FloatMap,
    draw_bones,
    draw_devices,
    draw_vessels,
    pixel_placer,
)

__all__ = ["Acquisition", "Film", "Opacity", "PatientAnatomy", "coarse_air", "draw_radiograph", "take_film"]

MU_SOFT = 0.205
"""Linear attenuation of soft tissue, per centimetre, at the beam's effective energy (about 65 keV)."""
MU_BONE = 0.34
"""Attenuation of bone above that of the soft tissue it replaces, per centimetre."""
LUNG_DENSITY = 0.27
"""Density of inflated lung, as a share of soft tissue."""
ANATOMY_GRID = 512
"""Anatomy is drawn on at most this many pixels a side and enlarged; noise and labels are drawn at full size."""

_STEP = 0.02
_LOW = -14.0
_COUNT = 3400


@dataclass(frozen=True)
class Chest:
    """The person's frame laid on the detector: what most tissues need, each [n, n]."""

    x: FloatMap
    y: FloatMap
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    lateral: FloatMap
    """Distance from the midline as a share of the rib cage's half width at that height."""
    cosine: FloatMap
    """sqrt(1 - lateral**2): how far the rib cage is from being tangent to the beam; 0 outside it."""
    apex_y: float
    dome_y: float


@dataclass(frozen=True)
class Film:
    """One drawn radiograph and what is known about it.

    Attributes
    ----------
    pixels : uint8 or uint16 array [size, size]
        Grey values, bright where tissue absorbs (MONOCHROME2).
    air_cm : float array [64, 64]
        Air path of the lungs without any opacity, coarse.
    clutter, signal : float array [64, 64]
        Log exposure lost (nats) in bones, vessels, mottle and devices, and in the opacities; coarse.
    cardiothoracic_ratio : float
        Width of the heart divided by the greatest inner width of the rib cage, as drawn.
    """

    pixels: NDArray[Any]
    air_cm: FloatMap
    clutter: FloatMap
    signal: FloatMap
    cardiothoracic_ratio: float


def draw_radiograph(
    patient: PatientAnatomy,
    view: str,
    opacities: Sequence[Opacity] = (),
    *,
    size: int,
    rng: np.random.Generator,
    bits: int = 8,
) -> NDArray[Any]:
    """Grey values [size, size] of one radiograph: uint8, or uint16 where `bits` is above 8.

    Parameters
    ----------
    view : {"AP", "PA"}
        Bedside or standing film.
    opacities : sequence of Opacity
        Consolidations, boxes in pixels of this image.
    size : int
        Pixels a side.
    rng : numpy Generator
        Draws the acquisition first, then the noise; the same state gives the same bytes.
    """
    return take_film(patient, Acquisition.draw(view, rng), opacities, size=size, rng=rng, bits=bits).pixels


def take_film(
    patient: PatientAnatomy,
    acquisition: Acquisition,
    opacities: Sequence[Opacity] = (),
    *,
    size: int,
    rng: np.random.Generator,
    bits: int = 8,
) -> Film:
    """The film of a given acquisition, with the coarse maps from which detectability is measured."""
    n = min(size, ANATOMY_GRID)
    chest = _lay_out(patient, acquisition, n)
    heart = _heart_chord(patient, acquisition, chest)
    air = _lung_air(patient, acquisition, chest, heart)
    texture = smooth_noise(patient.texture_seed, n)
    smooth = _soft_tissue(patient, acquisition, chest, air) * np.float32(MU_SOFT)
    lost = smooth + np.float32(MU_BONE * patient.bone_density) * _skeleton(patient, acquisition, chest)
    lost += np.float32(MU_SOFT) * _lung_texture(patient, acquisition, chest, air, texture)
    if acquisition.abnormality:
        lost += _abnormality(acquisition, chest, air, patient.texture_seed)
    if acquisition.device_seed:
        lost += draw_devices(n, _placer(acquisition, n), acquisition.device_seed)
    filled = _opacity_fluid([o.scaled(n / size) for o in opacities], air, texture)
    pixels = develop_film(lost + np.float32(MU_SOFT) * filled, acquisition, size, rng, bits)
    return Film(
        pixels=pixels,
        air_cm=_coarse(air),
        clutter=_coarse(lost - smooth),
        signal=_coarse(filled) * np.float32(MU_SOFT),
        cardiothoracic_ratio=_ratio(patient, acquisition),
    )


def coarse_air(patient: PatientAnatomy, acquisition: Acquisition, n: int = 64) -> FloatMap:
    """Air path of both lungs in centimetres, [n, n]: where an opacity can lie, known before drawing."""
    chest = _lay_out(patient, acquisition, n)
    return _lung_air(patient, acquisition, chest, _heart_chord(patient, acquisition, chest))


def _ratio(patient: PatientAnatomy, acquisition: Acquisition) -> float:
    return min(patient.heart_ratio * acquisition.heart_scale, 0.68)


def _coarse(field: FloatMap) -> FloatMap:
    return np.asarray(cv2.resize(field, (64, 64), interpolation=cv2.INTER_AREA), dtype=np.float32)


@lru_cache(maxsize=1)
def _axis() -> NDArray[np.float64]:
    """Centimetres at which every profile along x or y is tabulated."""
    return np.asarray(_LOW + _STEP * np.arange(_COUNT), dtype=np.float64)


def _index(values: FloatMap) -> NDArray[np.intp]:
    return np.asarray(np.clip((values - _LOW) / _STEP, 0, _COUNT - 1), dtype=np.intp)


def _taken(profile: NDArray[np.float64], index: NDArray[np.intp]) -> FloatMap:
    """A profile along one axis, spread over the detector."""
    return profile.astype(np.float32)[index]


def _ramp(distance: Any, width: float) -> Any:
    """0 to 1 across an edge `width` centimetres wide, centred where `distance` is 0."""
    return np.clip(distance / width + 0.5, 0.0, 1.0)


def _lay_out(patient: PatientAnatomy, acquisition: Acquisition, n: int) -> Chest:
    field_x, field_y = field_grid(n)
    angle = np.deg2rad(acquisition.rotation_degrees)
    cos, sin = np.float32(np.cos(angle) / acquisition.zoom), np.float32(np.sin(angle) / acquisition.zoom)
    left, top = field_x - np.float32(acquisition.shift_x), field_y - np.float32(acquisition.shift_y)
    x, y = cos * left + sin * top, cos * top - sin * left + np.float32(FIELD_CM / 2)
    apex = 4.9
    dome = apex + patient.lung_height * acquisition.inspiration
    row = _index(y)
    half = _taken(_rib_cage(patient, apex, dome), row)
    lateral = np.minimum(np.abs(x) / half, np.float32(1.5))
    cosine = np.sqrt(np.maximum(1 - lateral * lateral, 0))
    return Chest(x, y, row, _index(x + np.float32(20)), lateral, cosine, apex, dome)


def _rib_cage(patient: PatientAnatomy, apex: float, dome: float) -> NDArray[np.float64]:
    """Inner half width of the rib cage at each height."""
    depth = np.clip((_axis() - apex) / (0.86 * (dome - apex)), 0.0, 1.0)
    round_top = (1 - (1 - depth) ** 3.1) ** (1 / 2.15)
    below = np.clip(_axis() - dome - 1.0, 0.0, 20.0)
    return np.maximum(patient.half_width * round_top - 0.035 * below**1.5, 0.05)


def _placer(acquisition: Acquisition, n: int) -> Any:
    return pixel_placer(
        n,
        FIELD_CM,
        acquisition.rotation_degrees,
        (acquisition.shift_x, acquisition.shift_y),
        acquisition.zoom,
    )


def _ellipsoid(chest: Chest, centre: tuple[float, float], axes: tuple[float, float], tilt: float) -> FloatMap:
    """Half chord of a unit-deep ellipsoid: 1 at the centre, 0 at and beyond the rim."""
    cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    dx, dy = chest.x - np.float32(centre[0]), chest.y - np.float32(centre[1])
    along, across = (cos * dx + sin * dy) / np.float32(axes[0]), (cos * dy - sin * dx) / np.float32(axes[1])
    return np.sqrt(np.maximum(1 - along * along - across * across, 0))


def _heart_chord(patient: PatientAnatomy, acquisition: Acquisition, chest: Chest) -> FloatMap:
    """Path through the heart, great vessels and aortic knob, in centimetres."""
    width = 2 * patient.half_width * _ratio(patient, acquisition)
    turn, base = acquisition.turn_cm, chest.dome_y
    left, right = 0.66 * width + turn, -0.34 * width + turn
    tall = 0.40 * width
    ventricle = _ellipsoid(chest, (0.30 * left, base - 0.40 * tall), (0.80 * left, 0.72 * tall), 0.62)
    apex = _ellipsoid(chest, (0.50 * left, base + 0.02 * tall), (0.50 * left, 0.52 * tall), 0.2)
    atrium = _ellipsoid(chest, (0.30 * right, base - 0.50 * tall), (0.70 * abs(right), 0.98 * tall), 0.0)
    knob_size = 1.6 * patient.aortic_knob
    knob = _ellipsoid(
        chest, (1.3 * acquisition.mediastinum + turn, chest.apex_y + 6.4), (knob_size, 1.2 * knob_size), 0.0
    )
    trunk = _ellipsoid(chest, (1.0 + turn, base - 1.45 * tall), (2.6, 4.6), -0.35)
    main = np.maximum(np.maximum(ventricle, apex), atrium)
    vessels = np.maximum(knob, trunk)
    return np.float32(17.0) * np.sqrt(main) * main + np.float32(9.0) * vessels * vessels


def _lung_air(patient: PatientAnatomy, acquisition: Acquisition, chest: Chest, heart: FloatMap) -> FloatMap:
    """Path through both lungs, in centimetres: rib cage, less mediastinum, heart and what is below the domes."""
    y = _axis()
    flare = 2.6 * np.exp(-np.clip(y - chest.apex_y, 0, None) / 1.3)
    low = 0.35 * np.clip(y - chest.apex_y - 9, 0, 12) / 6
    border = 1.75 * acquisition.mediastinum + flare + low
    right = _taken(border - acquisition.turn_cm + 0.35, chest.row)
    left = _taken(border + acquisition.turn_cm, chest.row)
    gap = np.abs(chest.x) - np.where(chest.x < 0, right, left)
    dome = _taken(_dome(patient, chest.dome_y), chest.column) - chest.y
    above = _ramp(dome, 0.3) + np.float32(0.07) * _ramp(dome + 2.0, 4.0) * (dome < 0)
    deep = 0.76 * patient.depth * (0.52 + 0.48 * np.clip((y - chest.apex_y) / 11.0, 0, 1))
    air = _taken(deep, chest.row) * np.power(chest.cosine, np.float32(0.7)) * above
    air *= np.float32(0.75) * _ramp(gap, 0.8) + np.float32(0.25) * _ramp(gap - np.float32(1.2), 2.4)
    return np.asarray(np.maximum(air - heart, np.float32(0.06) * air), dtype=np.float32)


def _dome(patient: PatientAnatomy, dome_y: float) -> NDArray[np.float64]:
    """Height of the diaphragm at each x + 20: the right dome higher, both falling to the costophrenic angle."""
    x = _axis() - 20
    reach = np.clip((np.abs(x) - 0.42 * patient.half_width) / (0.62 * patient.half_width), -1, 0.999)
    fall = np.where(reach > 0, 7.2, 3.2) * (1 - np.sqrt(1 - reach**2))
    return np.asarray(dome_y + fall + np.where(x > 0, 1.1, 0.0) * np.clip(np.abs(x) / 2, 0, 1))


def _soft_tissue(patient: PatientAnatomy, acquisition: Acquisition, chest: Chest, air: FloatMap) -> FloatMap:
    """Path through soft tissue, in centimetres of muscle: the body less the air in it."""
    body = _body(patient, acquisition, chest)
    wind = _taken(_trachea_chord(chest), chest.row) * np.maximum(
        1 - np.square((chest.x - np.float32(0.2 + 0.3 * acquisition.turn_cm)) / np.float32(0.85)), 0
    )
    bubble = _ellipsoid(chest, (0.42 * patient.half_width, chest.dome_y + 3.4), (2.9, 1.7), -0.2)
    gas = np.float32(max((patient.texture_seed % 97) / 18.0 - 1.5, 0.0)) * bubble
    tissue = body - np.float32(1 - LUNG_DENSITY) * air - np.float32(1.5) * wind - gas
    return np.asarray(np.maximum(tissue, 0), dtype=np.float32)


def _trachea_chord(chest: Chest) -> NDArray[np.float64]:
    y = _axis()
    return np.asarray(_ramp(chest.apex_y + 9.0 - y, 1.5) * 1.0)


def _body(patient: PatientAnatomy, acquisition: Acquisition, chest: Chest) -> FloatMap:
    """Thickness of the body from front to back, in centimetres."""
    y, wide = _axis(), patient.half_width + patient.wall
    axilla = 3.0 * np.exp(-np.square((y - 9.5) / 5.0))
    waist = np.where(y > chest.dome_y, -0.02 * np.square(np.clip(y - chest.dome_y, 0, 8)), 0.0)
    half = _taken(wide + axilla + waist, chest.row)
    deep = patient.depth + patient.wall - 2
    front = deep * (0.5 + 0.5 * np.clip((y - 2.0) / 11.0, 0, 1) ** 0.8) + 0.10 * np.clip(y - chest.dome_y, 0, 12)
    side = np.minimum(np.square(chest.x / half), 1)
    torso = _taken(front, chest.row) * np.sqrt(1 - side * side)
    torso *= np.sqrt(np.clip((chest.y - _taken(_shoulder_line(), chest.column)) / np.float32(5.0), 0, 1))
    neck = np.float32(0.55 * deep) * np.sqrt(np.maximum(1 - np.square(chest.x / np.float32(5.6)), 0))
    neck *= _ramp(np.float32(7.0) - chest.y, 5.0)
    limb = np.maximum(torso, np.maximum(neck, _arms(acquisition, chest, wide)))
    return np.asarray(limb + _breasts(patient, chest), dtype=np.float32)


def _shoulder_line() -> NDArray[np.float64]:
    """Height of the skin at each x + 20, from the neck over the trapezius to the acromion."""
    out = np.clip(np.abs(_axis() - 20) - 4.5, 0, None)
    return 0.2 + 3.4 * (1 - np.exp(-out / 2.2)) + 0.012 * out**2


def _arms(acquisition: Acquisition, chest: Chest, wide: float) -> FloatMap:
    splay = 0.12 if acquisition.view == "AP" else 0.5
    centre = wide + 2.4 + splay * np.clip(_axis() - 9.0, -3, None)
    off = (np.abs(chest.x) - _taken(centre, chest.row)) / np.float32(4.4)
    fade = _taken(np.sqrt(np.clip((_axis() - 4.6) / 5.0, 0, 1)), chest.row)
    return np.asarray(10.0 * np.sqrt(np.maximum(1 - off * off, 0)) * fade, dtype=np.float32)


def _breasts(patient: PatientAnatomy, chest: Chest) -> Any:
    """Thickness of both breasts in centimetres: a sharp lower fold, fading upwards."""
    if patient.breast <= 0:
        return np.float32(0)
    size = patient.breast
    fold = chest.apex_y + 0.93 * patient.lung_height
    off_x = (np.abs(chest.x) - np.float32(0.58 * patient.half_width)) / np.float32(4.4 + 1.3 * size)
    off_y = chest.y - np.float32(fold)
    off_y = np.where(off_y < 0, off_y / np.float32(7.5), off_y / np.float32(2.2 + 1.3 * size))
    inside = np.maximum(1 - off_x * off_x - off_y * off_y, 0)
    return np.float32(2.7 * size) * np.power(inside, np.float32(0.8))


def _skeleton(patient: PatientAnatomy, acquisition: Acquisition, chest: Chest) -> FloatMap:
    """Path through bone, in centimetres, above the soft tissue that it replaces."""
    n = chest.x.shape[0]
    strokes = draw_bones(
        n,
        _placer(acquisition, n),
        half_width=patient.half_width,
        scapula_cm=acquisition.scapula_cm,
        clavicle_cm=acquisition.clavicle_cm,
        turn_cm=acquisition.turn_cm,
        arm_splay=0.12 if acquisition.view == "AP" else 0.5,
    )
    return _ribs(patient, chest) + _spine(patient, chest) + strokes


@lru_cache(maxsize=1)
def _rib_profile() -> FloatMap:
    """Bone path across one rib and the space below it, by phase: two cortical edges and a softer middle."""
    phase = np.arange(1024) / 1024
    across = (phase - 0.26) / 0.24
    outer = np.sqrt(np.clip(1 - across**2, 0, None))
    inner = np.sqrt(np.clip(1 - (across / 0.74) ** 2, 0, None))
    return np.asarray(1.5 * outer - 0.85 * inner, dtype=np.float32)


def _ribs(patient: PatientAnatomy, chest: Chest) -> FloatMap:
    """Posterior and anterior arcs: a rib is an ellipse around the chest that falls from back to front.

    At a share `lateral` of the half width the ring is crossed twice, behind at `drop * (1 - cosine)` below its
    head and in front at `drop * (1 + cosine)`; both meet at the side wall, where the beam is tangent to it.
    """
    drop, spacing = np.float32(patient.rib_drop), np.float32(1024 / patient.rib_spacing)
    level = chest.y - np.float32(chest.apex_y - 1.2)
    back = level - drop * (1 - chest.cosine) * np.float32(1.25)
    front = back - drop * chest.cosine * np.float32(2.0)
    along = 1 / (chest.cosine + np.float32(0.22))
    seen = (chest.cosine > 0) * (0.55 + 0.6 * along * np.float32(0.55))
    profile = _rib_profile()
    posterior = profile[(back * spacing).astype(np.int32) & 1023]
    posterior *= (back > 0) * (back < np.float32(11.6 * patient.rib_spacing))
    anterior = profile[(front * spacing).astype(np.int32) & 1023]
    anterior *= _ramp(chest.lateral - np.float32(0.42), 0.14) * (front > 0)
    anterior *= front < np.float32(6.3 * patient.rib_spacing)
    deep = 1 - np.float32(0.55) * _ramp(chest.y - np.float32(chest.dome_y + 3), 4.0)
    deep *= _ramp(chest.y - np.float32(chest.apex_y + 1.0), 1.6)
    return np.asarray((posterior + np.float32(0.6) * anterior) * seen * deep, dtype=np.float32)


def _spine(patient: PatientAnatomy, chest: Chest) -> FloatMap:
    """Vertebrae with discs between them, pedicles, and spinous processes."""
    y = _axis()
    bend = patient.scoliosis * np.sin((y - 4) / 7.5)
    pitch = 1.9 + 0.028 * np.clip(y, 0, 40)
    phase = np.cumsum(_STEP / pitch) % 1.0
    body = 0.55 + 0.45 * np.clip((np.abs(phase - 0.5) - 0.5) / -0.09, 0, 1)
    pedicle = np.exp(-np.square((phase - 0.38) / 0.16))
    off = np.abs(chest.x - _taken(bend, chest.row))
    half = _taken(1.35 + 0.022 * np.clip(y, 0, 40), chest.row)
    bone = _taken(0.75 * body, chest.row) * _ramp(half - off, 0.35)
    bone += _taken(0.4 * pedicle, chest.row) * np.exp(-np.square((off - half * np.float32(0.66)) / 0.3))
    bone += _taken(0.28 * pedicle, chest.row) * np.exp(-np.square(off / np.float32(0.32)))
    return np.asarray(bone, dtype=np.float32)


def _lung_texture(
    patient: PatientAnatomy, acquisition: Acquisition, chest: Chest, air: FloatMap, texture: FloatMap
) -> FloatMap:
    """Soft tissue in the lungs, in centimetres: vessels from the hila outwards, and interstitium."""
    n = chest.x.shape[0]
    hilum = (3.1 * acquisition.mediastinum, chest.apex_y + 0.50 * (chest.dome_y - chest.apex_y))
    reach = (patient.half_width, chest.dome_y - chest.apex_y)
    vessels = draw_vessels(n, _placer(acquisition, n), hilum, reach, patient.texture_seed)
    full = np.minimum(air / np.float32(6.0), 1)
    glow = np.square((np.abs(chest.x) - np.float32(hilum[0] + 0.6)) / np.float32(2.0))
    glow += np.square((chest.y - np.float32(hilum[1] + 0.3)) / np.float32(3.2))
    vessels = vessels * (np.float32(0.75) + np.float32(0.7) * np.exp(-glow))
    base = np.float32(0.07) * _ramp(chest.y - np.float32(chest.dome_y - 6), 12.0) * air
    return np.asarray(full * (vessels + np.float32(0.25) * texture) + base, dtype=np.float32)


def _abnormality(acquisition: Acquisition, chest: Chest, air: FloatMap, seed: int) -> Any:
    """Log exposure lost to a nodule or a pleural line; an enlarged heart is drawn with the heart."""
    rng = np.random.default_rng([seed, 7])
    side = 1 if rng.random() < 0.5 else -1
    level = chest.apex_y + rng.uniform(0.25, 0.75) * (chest.dome_y - chest.apex_y)
    if acquisition.abnormality == "nodule":
        radius = rng.uniform(0.6, 1.1)
        ball = _ellipsoid(chest, (side * rng.uniform(5.5, 8.0), level), (radius, radius), 0.0)
        return np.float32(2.6 * MU_SOFT * radius) * ball * (air > 1)
    if acquisition.abnormality == "pleural line":
        rim = np.exp(-np.square((chest.lateral - np.float32(rng.uniform(0.9, 0.95))) / np.float32(0.015)))
        return np.float32(2.5 * MU_SOFT) * rim * (chest.x * side > 0) * (air > 0.5)
    return np.float32(0)


def _opacity_fluid(opacities: Sequence[Opacity], air: FloatMap, texture: FloatMap) -> FloatMap:
    """Fluid where there was air, in centimetres; boxes in pixels of this grid.

    An ellipsoid as deep as the geometric mean of its sides, mottled, never more than the air that is there. A
    tenth of the air is left everywhere, and a box that lies off the lungs gets a third of its depth all the
    same, since lungs do reach behind heart and dome.
    """
    fluid = np.zeros_like(air)
    n = air.shape[0]
    for opacity in opacities:
        rows = slice(max(int(opacity.y), 0), min(int(np.ceil(opacity.y + opacity.height)), n))
        columns = slice(max(int(opacity.x), 0), min(int(np.ceil(opacity.x + opacity.width)), n))
        down = (np.arange(rows.start, rows.stop) + 0.5 - opacity.y) / opacity.height * 2 - 1
        over = (np.arange(columns.start, columns.stop) + 0.5 - opacity.x) / opacity.width * 2 - 1
        radius = (down[:, None] ** 2 + over[None, :] ** 2).astype(np.float32)
        radius = radius * (1 + np.float32(0.16) * texture[rows, columns])
        shape = np.square(np.clip((1 - radius) / np.float32(0.75), 0, 1))
        shape = shape * (1 + np.float32(0.22) * texture[rows, columns])
        deep = FIELD_CM / n * float(np.sqrt(opacity.width * opacity.height))
        there = np.clip(0.9 * air[rows, columns], 0.33 * min(deep, 9.0), deep)
        fluid[rows, columns] += np.float32(opacity.contrast * (1 - LUNG_DENSITY)) * there * np.clip(shape, 0, 1.3)
    return fluid
