"""What a phantom radiograph draws with strokes rather than with formulas: bones, vessels, lines, labels.

All points are centimetres in the person's frame (`phantom_anatomy`); a placer turns them into pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatMap = NDArray[np.float32]
Placer = Callable[[ArrayLike], NDArray[np.int32]]
_SHIFT = 4


def pixel_placer(
    n: int, field_cm: float, rotation_degrees: float, shift_cm: tuple[float, float], zoom: float
) -> Placer:
    """A function from points [..., 2] in centimetres to OpenCV's fixed-point pixels on an [n, n] canvas."""
    angle = np.deg2rad(rotation_degrees)
    turn = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    offset = np.array([field_cm / 2 + shift_cm[0], field_cm / 2 + shift_cm[1]])

    def place(points: ArrayLike) -> NDArray[np.int32]:
        centred = np.asarray(points, dtype=np.float64) - (0.0, field_cm / 2)
        pixels = (centred @ turn + offset) * (n / field_cm) - 0.5
        return np.asarray(np.rint(pixels * (1 << _SHIFT)), dtype=np.int32)

    return place


def draw_bones(
    n: int,
    place: Placer,
    *,
    half_width: float,
    scapula_cm: float,
    clavicle_cm: float,
    turn_cm: float,
    arm_splay: float,
) -> FloatMap:
    """Path through clavicles, scapulae and humeri in centimetres, [n, n].

    `scapula_cm` is how far the blade's inner border lies outside the lung (negative: over it); `clavicle_cm` how
    far the clavicles are moved down from their standing height.
    """
    plate, tube = np.zeros((n, n), np.uint8), np.zeros((n, n), np.uint8)
    core = np.zeros((n, n), np.uint8)
    for side in (-1.0, 1.0):
        flip = np.array([side, 1.0])
        blade = _scapula(half_width, scapula_cm) * flip
        cv2.fillPoly(plate, [place(blade)], 90, cv2.LINE_AA, _SHIFT)
        cv2.polylines(plate, [place(blade)], True, 150, max(round(n / 110), 1), cv2.LINE_AA, _SHIFT)
        for line, width in (
            (_clavicle(half_width, clavicle_cm, side * turn_cm), 1.25),
            (_humerus(half_width, arm_splay), 2.3),
        ):
            points = [place(line * flip)]
            cv2.polylines(tube, points, False, 255, max(round(width * n / 40), 1), cv2.LINE_AA, _SHIFT)
            cv2.polylines(core, points, False, 255, max(round(0.55 * width * n / 40), 1), cv2.LINE_AA, _SHIFT)
        head = place(np.array([half_width + 3.9, 8.0]) * flip)
        cv2.circle(tube, head.tolist(), round(2.5 * n / 40 * 16), 200, -1, cv2.LINE_AA, _SHIFT)
    soft = max(n / 400, 0.35)
    bone = 0.0030 * cv2.GaussianBlur(plate, (0, 0), soft) + 0.0062 * cv2.GaussianBlur(tube, (0, 0), soft)
    return np.asarray(bone - 0.0030 * cv2.GaussianBlur(core, (0, 0), soft), dtype=np.float32)


def _curve(points: Sequence[tuple[float, float]], count: int = 24) -> NDArray[np.float64]:
    """A smooth line through control points (Catmull-Rom), [count * (len - 1), 2]."""
    knots = np.array([points[0], *points, points[-1]], dtype=np.float64)
    t = np.linspace(0, 1, count)[:, None]
    pieces = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.concatenate(pieces)


def _clavicle(half_width: float, lower_cm: float, turn_cm: float) -> NDArray[np.float64]:
    inner, outer = 1.7 + 0.4 * turn_cm, half_width + 3.4
    y = 7.6 + lower_cm
    return _curve(
        [(inner, y), (inner + 0.35 * outer, y - 0.9), (inner + 0.62 * outer, y - 2.0), (outer, y - 1.7)], 10
    )


def _humerus(half_width: float, splay: float) -> NDArray[np.float64]:
    x = half_width + 4.6
    return np.array([(x, 8.5), (x + 0.8 + 8 * splay, 18.0), (x + 1.0 + 22 * splay, 32.0)])


def _scapula(half_width: float, out_cm: float) -> NDArray[np.float64]:
    inner = half_width - 2.6 + out_cm
    corners = [
        (inner + 1.0, 6.2),
        (half_width + 3.2, 6.6),
        (half_width + 2.6, 9.6),
        (inner + 3.3, 14.5),
        (inner + 1.6, 18.2),
        (inner + 0.3, 16.5),
        (inner, 10.5),
        (inner + 1.0, 6.2),
    ]
    return _curve(corners, 6)


_VESSELS = ((0.72, 1.35), (0.46, 0.75), (0.3, 0.54), (0.2, 0.38))
"""Drawn width and path of a vessel of each order, in centimetres; order 0 leaves the hilum."""


def draw_vessels(
    n: int, place: Placer, hilum: tuple[float, float], reach: tuple[float, float], seed: int
) -> FloatMap:
    """Path through the lung vessels in centimetres, [n, n]: thick and dense at the hila, thin at the pleura."""
    rng = np.random.default_rng([seed, 3])
    total = np.zeros((n, n), dtype=np.float32)
    paths = _branches(hilum, reach, rng)
    for (diameter, depth), branches in zip(_VESSELS, paths, strict=True):
        canvas = np.zeros((n, n), np.uint8)
        width = diameter * n / 40
        lines = list(place(branches))
        cv2.polylines(canvas, lines, False, 255, max(round(width), 1), cv2.LINE_AA, _SHIFT)
        soft = max(0.45 * width, 0.5)
        total += np.float32(depth / 255 * min(width, 1.0) ** 0.5) * cv2.GaussianBlur(canvas, (0, 0), soft)
    return total


def _branches(
    hilum: tuple[float, float], reach: tuple[float, float], rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Vessels of both lungs by order, each [count, 5, 2]: every vessel bears three of the next order."""
    side = np.repeat((-1.0, 1.0), 15)
    low = np.where(side < 0, 0.7, -0.3)
    start = np.stack([side * hilum[0], hilum[1] + low], axis=1) + rng.normal(0, 0.45, (30, 2))
    angle, length = rng.uniform(-1.45, 1.5, 30), rng.uniform(0.2, 0.42, 30) * reach[0] / 4
    grown = []
    for _ in _VESSELS:
        turns = angle[:, None] + np.cumsum(rng.normal(0, 0.11, (len(angle), 4)), axis=1)
        step = length[:, None] * (1.0 + 0.3 * np.abs(np.sin(turns)))
        moves = np.stack([side[:, None] * step * np.cos(turns), step * np.sin(turns)], axis=2)
        path = np.concatenate([start[:, None], start[:, None] + np.cumsum(moves, axis=1)], axis=1)
        grown.append(path)
        spread = rng.normal((-0.42, 0.42, 0.2), 0.16, (len(angle), 3))
        start, angle = path[:, (4, 4, 2)].reshape(-1, 2), (turns[:, -1:] + spread).ravel()
        side, length = np.repeat(side, 3), np.repeat(0.72 * length, 3)
    return grown


def draw_devices(n: int, place: Placer, seed: int) -> FloatMap:
    """Log exposure lost to what lies on or in a bedside patient: leads, electrodes, tubes and lines."""
    rng = np.random.default_rng([seed, 5])
    canvas = np.zeros((n, n), np.uint8)
    thin = max(round(n / 256), 1)
    for _ in range(int(rng.integers(0, 4))):
        _draw_lead(canvas, place, rng, thin)
    if rng.random() < 0.45:
        side = rng.choice((-1.0, 1.0))
        line = [
            (side * 13.0, 4.0 + rng.normal(0, 1)),
            (side * 6.0, 6.5),
            (-1.8, 9.0),
            (-2.6, 15 + rng.normal(0, 2)),
        ]
        cv2.polylines(canvas, [place(_curve(line))], False, 120, thin, cv2.LINE_AA, _SHIFT)
    if rng.random() < 0.35:
        tip = 10.5 + rng.normal(0, 1.2)
        cv2.polylines(canvas, [place([(0.1, -2.0), (0.3, tip)])], False, 90, 2 * thin, cv2.LINE_AA, _SHIFT)
        feeding = [(0.4, -2.0), (0.8, 12.0), (1.0, 26.0), (5.0, 34.0)]
        cv2.polylines(canvas, [place(_curve(feeding))], False, 100, thin, cv2.LINE_AA, _SHIFT)
    return np.asarray(
        0.0042 * cv2.GaussianBlur(canvas, (0, 0), max(n / 512, 0.4)).astype(np.float32), dtype=np.float32
    )


def _draw_lead(canvas: NDArray[np.uint8], place: Placer, rng: np.random.Generator, thin: int) -> None:
    """One electrode with its cable out of the field."""
    end = np.array([rng.uniform(-11, 11), rng.uniform(9, 26)])
    out = np.array([np.sign(end[0]) * 22.0, rng.uniform(2, 36)])
    bow = (end + out) / 2 + rng.normal(0, 3.0, 2)
    cable = _curve([tuple(end), tuple(bow), tuple(out)])
    cv2.polylines(canvas, [place(cable)], False, 110, thin, cv2.LINE_AA, _SHIFT)
    centre = place(end).tolist()
    scale = canvas.shape[0] / 40 * 16
    cv2.circle(canvas, centre, round(0.85 * scale), 60, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(canvas, centre, round(0.4 * scale), 190, -1, cv2.LINE_AA, _SHIFT)


def draw_labels(grey: FloatMap, view: str, shutter: float, rng: np.random.Generator) -> None:
    """Draw on the film: lead marker, the word PORTABLE on bedside films, collimator shutters.

    `grey` is brightness in [0, 1], [size, size]; `shutter` the shutters' width as a share of the field.
    """
    size = grey.shape[0]
    if shutter > 0:
        edges = np.rint(size * shutter * rng.uniform(0.0, 1.0, 4)).astype(int)
        grey[: edges[0]] = grey[size - edges[1] :] = 0.01
        grey[:, : edges[2]] = grey[:, size - edges[3] :] = 0.01
    letter, left = ("L", rng.uniform(0.86, 0.93)) if rng.random() < 0.8 else ("R", rng.uniform(0.04, 0.1))
    _write(grey, letter, left, rng.uniform(0.13, 0.2), 0.0019)
    if view == "AP" and rng.random() < 0.75:
        _write(
            grey,
            "PORTABLE" if rng.random() < 0.7 else "AP",
            rng.uniform(0.03, 0.1),
            rng.uniform(0.04, 0.1),
            0.0011,
        )


def _write(grey: FloatMap, text: str, left: float, top: float, scale: float) -> None:
    size = grey.shape[0]
    line, column = round(top * size), round(left * size)
    reach = round(40 * scale * size)
    part = grey[max(line - reach, 0) : line + reach // 2, column:]
    mask: Any = np.zeros(part.shape, np.uint8)
    thick = max(round(size / 300), 1)
    foot = (0, min(line, reach))
    cv2.putText(mask, text, foot, cv2.FONT_HERSHEY_SIMPLEX, scale * size, 255, thick, cv2.LINE_AA)
    np.maximum(part, mask.astype(np.float32) / np.float32(270), out=part)
