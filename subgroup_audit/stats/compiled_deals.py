"""Compiled twins of `deals.measure_numpy` and `deals.arrange_numpy`, imported only for large work."""

from __future__ import annotations

import numba
import numpy as np

from subgroup_audit.stats.deals import Items, Sides
from subgroup_audit.stats.inputs import BoolArray, FloatArray

_LANES = 64


def measure(items: Items, sides: Sides) -> tuple[FloatArray, FloatArray]:
    """AUC of side 0 minus that of side 1, and its variance, for each column of `sides`."""
    n_lanes = sides.shape[1]
    gaps, variances = np.empty((2, -(-n_lanes // _LANES) * _LANES))
    padded = np.zeros((sides.shape[0], len(gaps)), np.uint8)
    padded[:, :n_lanes] = sides
    held = np.stack([_persons_with(items, ~items.is_positive), _persons_with(items, items.is_positive)])
    for start in range(0, n_lanes, _LANES):
        lanes = slice(start, start + _LANES)
        deals = np.ascontiguousarray(padded[:, lanes])
        _measure_block(
            (items.is_positive, items.persons, items.flips, items.ends),
            deals,
            items.is_paired,
            held,
            gaps[lanes],
            variances[lanes],
        )
    return gaps[:n_lanes], variances[:n_lanes]


def _persons_with(items: Items, rows: BoolArray) -> FloatArray:
    """1 for each person with one of these rows, 0 for the others."""
    return (np.bincount(items.persons[rows], minlength=items.n_persons) > 0).astype(np.float64)


@numba.njit(nogil=True, cache=True)
def arrange(picks, columns):  # type: ignore[no-untyped-def]
    """Mark len(picks) different rows of each column: the twin of `deals.arrange_numpy`."""
    size = columns.shape[0]
    rows = np.empty(size, dtype=np.int64)
    for lane in range(columns.shape[1]):
        for row in range(size):
            rows[row] = row
        for step in range(picks.shape[0]):
            pick = step + int(picks[step, lane] * (size - step))
            rows[step], rows[pick] = rows[pick], rows[step]
            columns[rows[step], lane] = 1


@numba.njit(nogil=True, cache=True)
def _measure_block(items, deals, is_paired, held, gaps, variances):  # type: ignore[no-untyped-def]
    is_positive, persons, flips, ends = items
    n_rows = len(is_positive)
    on = np.empty((n_rows, _LANES), dtype=np.int32)
    for row in range(n_rows):
        dealt, flip = deals[persons[row]], flips[row]
        for lane in range(_LANES):
            on[row, lane] = dealt[lane] ^ flip
    twice, seen, concordant = _count_pairs(is_positive, ends, on)
    aucs = np.empty((2, _LANES))
    for side in range(2):
        for lane in range(_LANES):
            pairs = 2.0 * seen[0, side, lane] * seen[1, side, lane]
            aucs[side, lane] = concordant[side, lane] / pairs if pairs > 0.0 else np.nan
    for lane in range(_LANES):
        gaps[lane] = aucs[0, lane] - aucs[1, lane]
    pulls = _sum_by_person(is_positive, persons, on, twice, seen, aucs, is_paired, deals.shape[0])
    _add_up(deals, is_paired, held, pulls, variances)


@numba.njit(nogil=True)
def _count_pairs(is_positive, ends, on):  # type: ignore[no-untyped-def]
    """For each item, twice the mid-count of its side's other class below it; totals by class and side."""
    n_rows = len(is_positive)
    twice = np.empty((n_rows, _LANES), dtype=np.int32)
    seen, before = np.zeros((2, 2, 2, _LANES), dtype=np.int32)
    concordant = np.zeros((2, _LANES), dtype=np.int64)
    start = 0
    while start < n_rows:
        end = ends[start]
        before[:] = seen
        for row in range(start, end):
            kind = int(is_positive[row])
            for lane in range(_LANES):
                seen[kind, 1, lane] += on[row, lane]
                seen[kind, 0, lane] += 1 - on[row, lane]
        for row in range(start, end):
            other = int(not is_positive[row])
            for lane in range(_LANES):
                here = seen[other, 0, lane] + before[other, 0, lane]
                there = seen[other, 1, lane] + before[other, 1, lane]
                twice[row, lane] = here + (there - here) * on[row, lane]
            if is_positive[row]:
                for lane in range(_LANES):
                    concordant[1, lane] += twice[row, lane] * on[row, lane]
                    concordant[0, lane] += twice[row, lane] * (1 - on[row, lane])
        start = end
    return twice, seen, concordant


@numba.njit(nogil=True)
def _sum_by_person(is_positive, persons, on, twice, seen, aucs, is_paired, n_persons):  # type: ignore[no-untyped-def]
    """Each person's sums, by class, of what the items add to their side's AUC; shape [2, n_persons, lanes]."""
    sums = np.zeros((2, n_persons, _LANES))
    # What an item of a class and side adds is slope * twice + level.
    slope, level = np.zeros((2, 2, 2, _LANES))
    for side in range(2):
        sign = -1.0 if is_paired and side == 1 else 1.0
        for lane in range(_LANES):
            n, m, auc = max(seen[0, side, lane], 1), max(seen[1, side, lane], 1), aucs[side, lane]
            slope[1, side, lane] = sign / (2.0 * m * n)
            slope[0, side, lane] = -sign / (2.0 * m * n)
            level[1, side, lane] = -sign * auc / m
            level[0, side, lane] = sign * (1.0 - auc) / n
    for row in range(len(persons)):
        kind = int(is_positive[row])
        total = sums[kind, persons[row]]
        for lane in range(_LANES):
            part = float(on[row, lane])
            steep = slope[kind, 0, lane] + (slope[kind, 1, lane] - slope[kind, 0, lane]) * part
            base = level[kind, 0, lane] + (level[kind, 1, lane] - level[kind, 0, lane]) * part
            total[lane] += steep * twice[row, lane] + base
    return sums


@numba.njit(nogil=True)
def _add_up(deals, is_paired, held, sums, variances):  # type: ignore[no-untyped-def]
    """Obuchowski's sum over persons, of both sides one by one unless they hold the same persons."""
    # Persons with a negative image, with a positive one, and all; sums of squares and of products; by side.
    counts, squares = np.zeros((2, 3, 2, _LANES))
    for person in range(len(deals)):
        has_negative, has_positive = held[0, person], held[1, person]
        for lane in range(_LANES):
            b = 0.0 if is_paired else float(deals[person, lane])
            negative, positive = sums[0, person, lane], sums[1, person, lane]
            terms = (negative * negative, positive * positive, 2.0 * negative * positive)
            for kind, has in enumerate((has_negative, has_positive, 1.0)):
                counts[kind, 1, lane] += b * has
                counts[kind, 0, lane] += (1.0 - b) * has
                squares[kind, 1, lane] += b * terms[kind]
                squares[kind, 0, lane] += (1.0 - b) * terms[kind]
    for lane in range(_LANES):
        total = 0.0
        for kind in range(3):
            for side in range(1 if is_paired else 2):
                count = counts[kind, side, lane]
                total += squares[kind, side, lane] * count / (count - 1.0) if count > 1.0 else np.nan
        variances[lane] = total
