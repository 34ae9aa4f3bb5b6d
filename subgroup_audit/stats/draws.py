"""Exact multinomial counts for the bootstrap, the same from numpy and from compiled code.

A stratum of K units is drawn K times with replacement, for 64 resamples (lanes) at a time. Counts start as
Poisson(1 - 2/sqrt(K)), one 32-bit number compared with 12 thresholds, and are then topped up by single
uniform draws to K, or thinned to K in the about 2 % of lanes that have more. A Poisson vector given its total
is multinomial, and uniform draws added to it, or taken from it without replacement, leave it so: the result
is exactly Mult(K; 1/K), up to the rounding of 32-bit thresholds. Every number is a hash (splitmix64, Steele
2014, doi:10.1145/2660193.2660195) of (seed, stratum, block) and a position: no order of work can change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.errors import StatisticsError

LANES = 64
Counts: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Thresholds: TypeAlias = NDArray[np.uint32]
DrawStratum: TypeAlias = Callable[[Counts, Any, Any, Thresholds], None]

GAMMA = 0x9E3779B97F4A7C15
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_N_THRESHOLDS = 12
# Few enough that the numbers of one go stay in the processor's cache.
_ROWS_AT_A_TIME = 256


class CountStream:
    """Resampling counts of units in strata, block by block of 64 resamples.

    `sizes` says how many units each stratum has; the rows of a block are the strata's units one after the
    other. Each column of a block sums to `sizes[s]` over the rows of stratum s. Blocks are kept for the next
    caller if all of them fit into `kept_bytes`, at one byte a unit and resample.
    """

    def __init__(self, sizes: Sequence[int], *, n_resamples: int, seed: int, kept_bytes: int = 0) -> None:
        if n_resamples < 1:
            raise StatisticsError(f"n_resamples must be 1 or more, not {n_resamples}")
        if seed < 0:
            raise StatisticsError(f"seed must be 0 or more, not {seed}")
        self.sizes = tuple(int(size) for size in sizes)
        self.n_resamples = n_resamples
        self.seed = seed
        self.n_units = sum(self.sizes)
        self._thresholds = [poisson_thresholds(size) for size in self.sizes]
        self._keeps = self.n_units * LANES * self.n_blocks <= kept_bytes
        self._kept: dict[int, Counts] = {}

    @property
    def n_blocks(self) -> int:
        """Blocks of 64 resamples; surplus lanes of the last are for nobody."""
        return -(-self.n_resamples // LANES)

    def lanes_of(self, block: int) -> slice:
        """Which resamples this block holds."""
        return slice(block * LANES, min((block + 1) * LANES, self.n_resamples))

    def draw(self, block: int, *, draw_stratum: DrawStratum | None = None) -> Counts:
        """Counts of one block, shape [n_units, 64], not to be written to."""
        if block in self._kept:
            return self._kept[block]
        counts = np.empty((self.n_units, LANES), dtype=np.uint8)
        start = 0
        for stratum, (size, thresholds) in enumerate(zip(self.sizes, self._thresholds, strict=True)):
            keys = np.random.SeedSequence(self.seed, spawn_key=(stratum, block)).generate_state(2, np.uint64)
            rows = counts[start : start + size]
            (draw_stratum or draw_stratum_numpy)(rows, keys[0], keys[1], thresholds)
            start += size
        if self._keeps:
            self._kept[block] = counts
        return counts


def poisson_thresholds(size: int) -> Thresholds:
    """Cumulative Poisson probabilities on the scale of 32-bit numbers: a count is how many are reached."""
    rate = max(0.0, 1.0 - 2.0 / math.sqrt(size)) if size else 0.0
    terms = [math.exp(-rate) * rate**k / math.factorial(k) for k in range(_N_THRESHOLDS)]
    return np.minimum(np.floor(np.cumsum(terms) * 2.0**32), 2.0**32 - 1.0).astype(np.uint32)


def draw_stratum_numpy(counts: Counts, key: np.uint64, second_key: np.uint64, thresholds: Thresholds) -> None:
    """Fill `counts`, shape [K, 64], in place; needs no compiler."""
    size = len(counts)
    for start in range(0, size, _ROWS_AT_A_TIME):
        stop = min(start + _ROWS_AT_A_TIME, size)
        positions = np.arange(start * LANES // 2, stop * LANES // 2, dtype=np.uint64)
        numbers = hash_positions(key, positions).view(np.uint32)
        counts[start:stop] = _count_reached(numbers, thresholds).reshape(-1, LANES)
    missing = size - counts.sum(axis=0, dtype=np.int64)
    _top_up(counts, second_key, np.maximum(missing, 0))
    for lane in np.flatnonzero(missing < 0):
        _thin(counts[:, lane], second_key, int(lane), int(-missing[lane]))


def hash_positions(key: np.uint64, positions: Keys) -> Keys:
    """A 64-bit pseudo-random number for each position (splitmix64)."""
    state = positions + np.uint64(1)
    state *= np.uint64(GAMMA)
    state += key
    state ^= state >> np.uint64(30)
    state *= _MIX_1
    state ^= state >> np.uint64(27)
    state *= _MIX_2
    state ^= state >> np.uint64(31)
    return state


def _count_reached(numbers: Thresholds, thresholds: Thresholds) -> Counts:
    counts = np.zeros(len(numbers), dtype=np.uint8)
    for threshold in thresholds[:5]:
        counts += numbers >= threshold
    high = np.flatnonzero(numbers >= thresholds[4])
    counts[high] = np.searchsorted(thresholds, numbers[high], side="right")
    return counts


def _top_up(counts: Counts, key: np.uint64, missing: NDArray[np.int64]) -> None:
    lanes = np.repeat(np.arange(LANES), missing)
    within = np.arange(len(lanes)) - np.repeat(np.cumsum(missing) - missing, missing)
    positions = (lanes.astype(np.uint64) << np.uint64(40)) + within.astype(np.uint64)
    high = hash_positions(key, positions) >> np.uint64(32)
    rows = ((high * np.uint64(len(counts))) >> np.uint64(32)).astype(np.int64)
    np.add.at(counts, (rows, lanes), np.uint8(1))


def _thin(column: Counts, key: np.uint64, lane: int, n_surplus: int) -> None:
    """Take `n_surplus` of the drawn units away, each equally probable, without replacement."""
    units = np.repeat(np.arange(len(column)), column)
    positions = (np.uint64(lane) << np.uint64(40)) + np.arange(n_surplus, dtype=np.uint64)
    high = hash_positions(key, positions) >> np.uint64(32)
    for step in range(n_surplus):
        pick = step + ((int(high[step]) * (len(units) - step)) >> 32)
        units[step], units[pick] = units[pick], units[step]
        column[units[step]] -= 1
