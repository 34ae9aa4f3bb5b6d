"""Compiled twins of the bootstrap's two inner loops; imported only for large work.

They give the very numbers that `draws` and `replicates` give in numpy: counts by the same hash, and
twice the count of concordant pairs as an integer.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.extending import intrinsic

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LANES = 64
_HALF = 32
# Steps whose sums of counts (255 at most, doubled for positives) fit 16 bits, and whose sums of pairs fit 32.
_STRETCH = 128
# Rows of counts that are asked for ahead of their use.
_AHEAD = 24


@numba.njit(inline="always")
def _hash(key, position):  # type: ignore[no-untyped-def]
    state = (position + np.uint64(1)) * _GAMMA + key
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


@intrinsic
def _prefetch(typing_context, counts, row):  # type: ignore[no-untyped-def]
    """Ask for one row of counts, a cache line, before it is needed: orders of scores jump about in memory."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(builder.bitcast(data, byte), [builder.mul(args[1], ir.Constant(args[1].type, _LANES))])
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # For reading, to be kept in all caches, data rather than code.
        builder.call(function, [place, *(ir.Constant(word, flag) for flag in (0, 3, 1))])
        return context.get_dummy_value()

    return numba.types.void(counts, numba.types.intp), generate


@numba.njit(nogil=True, cache=True)
def _fill_poisson(counts, key, thresholds, totals):  # type: ignore[no-untyped-def]
    wide = np.empty(_HALF, dtype=np.uint64)
    numbers = wide.view(np.uint32)
    found = np.empty(_LANES, dtype=np.uint32)
    # Written out, the first five comparisons stay in registers: a third of the time of a loop over all twelve.
    one, two, three, four, five = thresholds[0], thresholds[1], thresholds[2], thresholds[3], thresholds[4]
    for row in range(counts.shape[0]):
        base = np.uint64(row * _HALF)
        for half in range(_HALF):
            wide[half] = _hash(key, base + np.uint64(half))
        highest = np.uint32(0)
        for lane in range(_LANES):
            number = numbers[lane]
            reached = np.uint32(number >= one) + np.uint32(number >= two) + np.uint32(number >= three)
            found[lane] = reached + np.uint32(number >= four) + np.uint32(number >= five)
            highest = max(highest, number)
        if highest >= thresholds[5]:
            for step in range(5, 12):
                for lane in range(_LANES):
                    found[lane] += np.uint32(numbers[lane] >= thresholds[step])
        for lane in range(_LANES):
            counts[row, lane] = np.uint8(found[lane])
            totals[lane] += found[lane]


@numba.njit(nogil=True, cache=True)
def _thin(counts, lane, key, n_surplus):  # type: ignore[no-untyped-def]
    size = counts.shape[0]
    units = np.empty(size + n_surplus, dtype=np.int64)
    filled = 0
    for row in range(size):
        for _ in range(counts[row, lane]):
            units[filled] = row
            filled += 1
    for step in range(n_surplus):
        number = _hash(key, (np.uint64(lane) << np.uint64(40)) + np.uint64(step)) >> np.uint64(32)
        pick = step + np.int64((number * np.uint64(filled - step)) >> np.uint64(32))
        units[step], units[pick] = units[pick], units[step]
        counts[units[step], lane] -= np.uint8(1)


@numba.njit(nogil=True, cache=True)
def draw_stratum(counts, key, second_key, thresholds):  # type: ignore[no-untyped-def]
    """Fill `counts`, shape [K, 64], in place: the twin of `draws.draw_stratum_numpy`."""
    size = counts.shape[0]
    totals = np.zeros(_LANES, dtype=np.uint32)
    _fill_poisson(counts, key, thresholds, totals)
    for lane in range(_LANES):
        total = np.int64(totals[lane])
        for step in range(size - total):
            position = (np.uint64(lane) << np.uint64(40)) + np.uint64(step)
            number = _hash(second_key, position) >> np.uint64(32)
            counts[np.int64((number * np.uint64(size)) >> np.uint64(32)), lane] += np.uint8(1)
        if total > size:
            _thin(counts, lane, second_key, total - size)


@numba.njit(nogil=True, cache=True)
def concordance(counts, codes, kinds, twice_concordant, twice_positives, negatives):  # type: ignore[no-untyped-def]
    """Twice the concordant pairs, twice the positives, and the negatives of 64 resamples, added in place.

    `codes` are rows of `counts` in score order; `kinds` 0 is a negative, 2 a positive, and a positive tied
    with negatives comes twice as kind 1, before and after them.
    """
    n_steps = codes.shape[0]
    below = np.empty(_LANES, dtype=np.uint16)
    drawn = np.empty(_LANES, dtype=np.uint16)
    pairs = np.empty(_LANES, dtype=np.uint32)
    for start in range(0, n_steps, _STRETCH):
        below[:] = 0
        drawn[:] = 0
        pairs[:] = 0
        for step in range(start, min(start + _STRETCH, n_steps)):
            _prefetch(counts, np.intp(codes[min(step + _AHEAD, n_steps - 1)]))
            row = counts[codes[step]]
            kind = np.uint16(kinds[step])
            if kind == 0:
                for lane in range(_LANES):
                    below[lane] = np.uint16(below[lane] + np.uint16(row[lane]))
            else:
                for lane in range(_LANES):
                    weight = np.uint16(np.uint16(row[lane]) * kind)
                    drawn[lane] = np.uint16(drawn[lane] + weight)
                    pairs[lane] += np.uint32(weight) * np.uint32(below[lane])
        for lane in range(_LANES):
            twice_concordant[lane] += np.int64(pairs[lane]) + np.int64(drawn[lane]) * negatives[lane]
            twice_positives[lane] += drawn[lane]
            negatives[lane] += below[lane]


@numba.njit(nogil=True, cache=True)
def weighted_concordance(  # type: ignore[no-untyped-def]
    counts, codes, kinds, weights, twice_concordant, twice_positives, negatives
):
    """As `concordance`, for images whose count is multiplied by a weight (a positive's, times its kind)."""
    n_steps = codes.shape[0]
    for step in range(n_steps):
        _prefetch(counts, np.intp(codes[min(step + _AHEAD, n_steps - 1)]))
        row = counts[codes[step]]
        weight = weights[step]
        if kinds[step] == 0:
            for lane in range(_LANES):
                negatives[lane] += weight * row[lane]
        else:
            for lane in range(_LANES):
                weighted = weight * row[lane]
                twice_positives[lane] += weighted
                twice_concordant[lane] += weighted * negatives[lane]
