"""Exact multinomial counts for the bootstrap, the same from numpy and from compiled code.

A stratum of K units is drawn K times with replacement, for 64 resamples (lanes) at a time. Counts start as
Poisson(1 - 2/sqrt(K)), one 32-bit number compared with 12 thresholds, and are then topped up by single
uniform draws to K, or thinned to K in the about 2 % of lanes that have more. A Poisson vector given its total
is multinomial, and uniform draws added to it, or taken from it without replacement, leave it so: the result
is exactly Mult(K; 1/K), up to the rounding of 32-bit thresholds. Every number is a hash (splitmix64: Steele,
Lea & Flood 2014, doi:10.1145/2660193.2660195) of (seed, stratum, block) and a position: no order of work can
change it.
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
# Few enough that the numbers of one go stay in the processor's cache, and that sums of counts fit 16 bits.
_ROWS_AT_A_TIME = 500
_LOW_BYTES = np.uint64(0x00FF00FF00FF00FF)


class CountStream:
    """Resampling counts of units in strata, block by block of 64 resamples.

    `sizes` says how many units each stratum has; the rows of a block are the strata's units one after the
    other. Each column of a block sums to `sizes[s]` over the rows of stratum s. If all blocks fit into
    `kept_bytes`, at one byte a unit and resample, those that are asked for a second time are kept: fresh memory
    for all of them takes as long as a draw, which a single cell need not pay.
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
        self.keeps = self.n_units * LANES * self.n_blocks <= kept_bytes
        self._drawn: set[int] = set()
        self._kept: dict[int, Counts] = {}

    @property
    def n_blocks(self) -> int:
        """Blocks of 64 resamples; surplus lanes of the last are for nobody."""
        return -(-self.n_resamples // LANES)

    def lanes_of(self, block: int) -> slice:
        """Which resamples this block holds."""
        return slice(block * LANES, min((block + 1) * LANES, self.n_resamples))

    def is_kept(self, block: int) -> bool:
        """Whether the counts of this block are kept, so that they are not to be written to."""
        return block in self._kept

    def draw(self, block: int, *, draw_stratum: DrawStratum | None = None, spare: Counts | None = None) -> Counts:
        """Counts of one block, shape [n_units, 64], not to be written to if they are kept.

        `spare`, an earlier block that nobody needs any more, is filled anew instead of fresh memory.
        """
        if block in self._kept:
            return self._kept[block]
        counts = empty_counts(self.n_units) if spare is None else spare
        start = 0
        for stratum, (size, thresholds) in enumerate(zip(self.sizes, self._thresholds, strict=True)):
            keys = np.random.SeedSequence(self.seed, spawn_key=(stratum, block)).generate_state(2, np.uint64)
            rows = counts[start : start + size]
            (draw_stratum or draw_stratum_numpy)(rows, keys[0], keys[1], thresholds)
            start += size
        if self.keeps and block in self._drawn:
            self._kept[block] = counts
        self._drawn.add(block)
        return counts


def empty_counts(n_units: int) -> Counts:
    """Room for a block, shape [n_units, 64], each row of which is one line of the processor's cache, not two."""
    room = np.empty((n_units + 1) * LANES, dtype=np.uint8)
    skipped = -room.ctypes.data % LANES
    return room[skipped : skipped + n_units * LANES].reshape(n_units, LANES)


def poisson_thresholds(size: int) -> Thresholds:
    """Cumulative Poisson probabilities on the scale of 32-bit numbers: a count is how many are reached."""
    rate = max(0.0, 1.0 - 2.0 / math.sqrt(size)) if size else 0.0
    terms = [math.exp(-rate) * rate**k / math.factorial(k) for k in range(_N_THRESHOLDS)]
    return np.minimum(np.floor(np.cumsum(terms) * 2.0**32), 2.0**32 - 1.0).astype(np.uint32)


def draw_stratum_numpy(counts: Counts, key: np.uint64, second_key: np.uint64, thresholds: Thresholds) -> None:
    """Fill `counts`, shape [K, 64], in place; needs no compiler."""
    size = len(counts)
    missing = size - _fill_poisson(counts, key, thresholds)
    _top_up(counts, second_key, np.maximum(missing, 0))
    for lane in np.flatnonzero(missing < 0):
        _thin(counts[:, lane], second_key, int(lane), int(-missing[lane]))


def _fill_poisson(counts: Counts, key: np.uint64, thresholds: Thresholds) -> NDArray[np.int64]:
    """Fill `counts` with Poisson numbers and return their sums by lane; the working space is reused."""
    n_rows = min(_ROWS_AT_A_TIME, len(counts))
    ramp = np.arange(1, n_rows * LANES // 2 + 1, dtype=np.uint64) * np.uint64(GAMMA)
    state, shifted = np.empty_like(ramp), np.empty_like(ramp)
    is_reached = np.empty(n_rows * LANES, dtype=np.bool_)
    totals = np.zeros(LANES, dtype=np.int64)
    for start in range(0, len(counts), n_rows):
        rows = counts[start : start + n_rows]
        n_numbers = rows.size // 2
        offset = (start * LANES // 2 * GAMMA + int(key)) % 2**64
        np.add(ramp[:n_numbers], np.uint64(offset), out=state[:n_numbers])
        _mix(state[:n_numbers], shifted[:n_numbers])
        _count_reached(state[:n_numbers].view(np.uint32), thresholds, rows.reshape(-1), is_reached[: rows.size])
        totals += _sum_lanes(rows)
    return totals


def _sum_lanes(rows: Counts) -> NDArray[np.int64]:
    """Sums over at most `_ROWS_AT_A_TIME` rows of counts up to 12, shape [64].

    Sums of 16 rows stay below 256 and thus within their bytes: eight lanes are added at once.
    """
    n_whole = len(rows) // 16 * 16
    eights = rows.view(np.uint64)
    sixteens = eights[:n_whole].reshape(16, -1).sum(axis=0).reshape(-1, LANES // 8)
    words = split_words(np.concatenate([sixteens, eights[n_whole:]]).view(np.uint8)).sum(axis=1)
    return np.asarray(words.view(np.uint16).ravel()[WORD_ORDER].astype(np.int64))


def split_words(rows: Counts, out: Keys | None = None) -> Keys:
    """Counts [k, 64] as words of four 16-bit numbers, shape [2, k, 8]: to add words is to add four lanes at once.

    Lane j then is number `WORD_ORDER[j]` of a row's two halves, 64 numbers in all.
    """
    eights = rows.view(np.uint64)
    words = np.empty((2, *eights.shape), dtype=np.uint64) if out is None else out
    np.bitwise_and(eights, _LOW_BYTES, out=words[0])
    np.right_shift(eights, np.uint64(8), out=words[1])
    words[1] &= _LOW_BYTES
    return words


WORD_ORDER = np.argsort(split_words(np.arange(LANES, dtype=np.uint8)[None]).view(np.uint16).ravel())


def hash_positions(key: np.uint64, positions: Keys) -> Keys:
    """A 64-bit pseudo-random number for each position (splitmix64)."""
    state = positions + np.uint64(1)
    state *= np.uint64(GAMMA)
    state += key
    _mix(state, np.empty_like(state))
    return state


def _mix(state: Keys, shifted: Keys) -> None:
    """The scrambling half of splitmix64, in place; `shifted` is working space."""
    for shift, factor in ((30, _MIX_1), (27, _MIX_2)):
        np.right_shift(state, np.uint64(shift), out=shifted)
        state ^= shifted
        state *= factor
    np.right_shift(state, np.uint64(31), out=shifted)
    state ^= shifted


def _count_reached(numbers: Thresholds, thresholds: Thresholds, counts: Counts, is_reached: NDArray[Any]) -> None:
    np.greater_equal(numbers, thresholds[0], out=counts.view(np.bool_))
    for threshold in thresholds[1:5]:
        np.greater_equal(numbers, threshold, out=is_reached)
        counts += is_reached.view(np.uint8)
    high = np.flatnonzero(is_reached)
    counts[high] = np.searchsorted(thresholds, numbers[high], side="right")


def _top_up(counts: Counts, key: np.uint64, missing: NDArray[np.int64]) -> None:
    lanes = np.repeat(np.arange(LANES), missing)
    within = np.arange(len(lanes)) - np.repeat(np.cumsum(missing) - missing, missing)
    positions = (lanes.astype(np.uint64) << np.uint64(40)) + within.astype(np.uint64)
    high = hash_positions(key, positions) >> np.uint64(32)
    rows = ((high * np.uint64(len(counts))) >> np.uint64(32)).astype(np.int64)
    np.add.at(counts.reshape(-1), rows * LANES + lanes, np.uint8(1))


def _thin(column: Counts, key: np.uint64, lane: int, n_surplus: int) -> None:
    """Take `n_surplus` of the drawn units away, each equally probable, without replacement."""
    units = np.repeat(np.arange(len(column)), column)
    positions = (np.uint64(lane) << np.uint64(40)) + np.arange(n_surplus, dtype=np.uint64)
    high = hash_positions(key, positions) >> np.uint64(32)
    for step in range(n_surplus):
        pick = step + ((int(high[step]) * (len(units) - step)) >> 32)
        units[step], units[pick] = units[pick], units[step]
        column[units[step]] -= 1
