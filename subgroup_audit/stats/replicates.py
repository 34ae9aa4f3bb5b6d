"""AUCs of many resamples from one set of counts: the pass over a cell, in numpy or compiled."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.draws import (
    LANES,
    WORD_ORDER,
    Counts,
    CountStream,
    DrawStratum,
    split_words,
)
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_choice

_COMPILED = "subgroup_audit.stats.compiled"
ENGINES = ("auto", "numpy", "numba")
Codes: TypeAlias = NDArray[np.int32]

# Counts looked at (images x resamples; numpy takes about a second for 1e9) from which compiled code is worth
# calling, importing (half a second), and compiling where no earlier run has done so (three seconds).
_WORTH_IF_LOADED = 4_000_000
_WORTH_IMPORTING = 400_000_000
_WORTH_COMPILING = 2_500_000_000
# Few enough to stay in the processor's cache, and below 128 KiB an array, which C libraries map anew each time.
_STEPS_AT_A_TIME = 1000
_LARGEST_IN_WORD = 2**16 - 1


@dataclass(frozen=True, eq=False)
class RankedCell:
    """One cell in score order, as steps: negatives, and positives between them.

    A positive tied with negatives comes twice with factor 1, before and after them; any other once with
    factor 2. So the sum over positive steps of factor times the negatives before them is twice the number of
    concordant pairs.

    Attributes
    ----------
    negative_codes : array [n_negative]
        Rows of the counts.
    positive_codes, places, factors : array [positive steps]
        Rows of the counts, negatives before the step (ascending), and 1 or 2.
    negative_weights, positive_weights : array [n_negative], [positive steps], or None
        Weights of the images; those of positives times their factor.
    n_images : int
    """

    negative_codes: Codes
    positive_codes: Codes
    places: IntArray
    factors: NDArray[np.uint8]
    n_images: int
    negative_weights: FloatArray | None = None
    positive_weights: FloatArray | None = None

    @cached_property
    def is_positive_step(self) -> BoolArray:
        """Whether each step of the merged walk, negatives and positives, is a positive."""
        mask = np.zeros(len(self.negative_codes) + len(self.positive_codes), dtype=bool)
        mask[self.places + np.arange(len(self.places))] = True
        return mask

    @cached_property
    def steps(self) -> tuple[Codes, NDArray[np.uint8]]:
        """The merged walk: codes, and kinds, 0 for a negative and the factor of a positive."""
        kinds = np.zeros(len(self.is_positive_step), dtype=np.uint8)
        kinds[self.is_positive_step] = self.factors
        return self._merge(self.negative_codes, self.positive_codes), kinds

    @cached_property
    def step_weights(self) -> FloatArray:
        """Weights along the merged walk of a weighted cell."""
        return np.asarray(self._merge(self.negative_weights, self.positive_weights))

    def _merge(self, of_negatives: Any, of_positives: Any) -> Any:
        merged = np.empty(len(self.is_positive_step), dtype=of_positives.dtype)
        merged[self.is_positive_step] = of_positives
        merged[~self.is_positive_step] = of_negatives
        return merged


def rank_cell(
    is_positive: BoolArray, scores: FloatArray, codes: IntArray, weights: FloatArray | None = None
) -> RankedCell:
    """A cell made ready for resampling: sorted once, whatever the number of resamples."""
    order = np.argsort(scores)
    labels = is_positive[order]
    positives, places, factors = _positive_steps(labels, scores[order])
    rows, negatives = order[positives], order[~labels]
    return RankedCell(
        negative_codes=codes[negatives].astype(np.int32),
        positive_codes=codes[rows].astype(np.int32),
        places=places,
        factors=factors,
        n_images=len(order),
        negative_weights=None if weights is None else weights[negatives],
        positive_weights=None if weights is None else weights[rows] * factors,
    )


def _positive_steps(labels: BoolArray, ascending: FloatArray) -> tuple[IntArray, IntArray, NDArray[np.uint8]]:
    """Where each positive step stands in score order, the negatives before it, and its factor."""
    positives = np.flatnonzero(labels)
    starts, ends = tie_bounds(ascending)
    n_before = np.concatenate(([0], np.cumsum(~labels)))
    below, upto = n_before[starts[positives]], n_before[ends[positives]]
    is_tied = below < upto
    factors = np.where(is_tied, 1, 2).astype(np.uint8)
    if not is_tied.any():
        return positives, below, factors
    places = np.concatenate([below, upto[is_tied]])
    # Two ascending runs: the stable sort merges them in one go.
    order = np.argsort(places, kind="stable")
    both = np.concatenate([positives, positives[is_tied]])
    return both[order], places[order], np.concatenate([factors, factors[is_tied]])[order]


def replicate_aucs(
    stream: CountStream,
    cells: Sequence[RankedCell],
    *,
    engine: str = "auto",
    n_threads: int = 1,
    work_before: int = 0,
) -> FloatArray:
    """AUCs of every cell in every resample, shape [cells, n_resamples]; nan where a class is absent.

    Each block of counts is drawn once and used for all cells. Neither the engine nor the number of threads
    changes a number. `work_before` is what earlier calls on the same draws amounted to, so that many small
    calls come to be compiled as one large call is.
    """
    is_compiled = chooses_numba(engine, work_before + work_of(stream, cells))
    draw, measure = _compiled() if is_compiled else (None, _measure_numpy)
    out = np.empty((len(cells), stream.n_resamples))

    spares: list[Counts] = []

    def fill(block: int) -> None:
        try:
            spare = spares.pop()
        except IndexError:
            spare = None
        counts = stream.draw(block, draw_stratum=draw, spare=spare)
        lanes = stream.lanes_of(block)
        for row, cell in zip(out, cells, strict=True):
            row[lanes] = _divide(*measure(counts, cell))[: lanes.stop - lanes.start]
        if not stream.is_kept(block):
            spares.append(counts)

    run_blocks(fill, range(stream.n_blocks), n_threads)
    return out


def lane_aucs(weights: FloatArray, cell: RankedCell, *, engine: str = "auto", work: int = 0) -> FloatArray:
    """The AUC of a weighted cell in each of up to 64 resamples, whose images have weights of their own in each.

    Parameters
    ----------
    weights : array [images, up to 64]
        Weight of each image in each resample; rows are as the cell's codes say.
    work : int
        Images x resamples that are wanted in all, by which 'auto' chooses.

    Returns
    -------
    array [columns of weights], nan where a class has no weight.
    """
    n_lanes = weights.shape[1]
    whole = np.ascontiguousarray(weights if n_lanes == LANES else np.pad(weights, ((0, 0), (0, LANES - n_lanes))))
    measure = _compiled()[1] if chooses_numba(engine, work) else _measure_numpy
    return _divide(*measure(whole, cell))[:n_lanes]


def work_of(stream: CountStream, cells: Sequence[RankedCell]) -> int:
    """Counts to draw and to look at: (units + images of all cells) x resamples."""
    return stream.n_resamples * (stream.n_units + sum(cell.n_images for cell in cells))


def run_blocks(work: Callable[[int], None], blocks: Iterable[int], n_threads: int) -> None:
    """Do `work` for every block, on one thread or several."""
    if n_threads <= 1:
        for block in blocks:
            work(block)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, blocks))


def chooses_numba(engine: str, work: int) -> bool:
    """Whether compiled code is asked for, or worth it for this much work (images x resamples)."""
    check_choice(engine, ENGINES, "engine")
    return engine == "numba" or (engine == "auto" and work >= _least_work() and _can_compile())


def _least_work() -> int:
    if _COMPILED in sys.modules:
        return _WORTH_IF_LOADED
    folder = os.environ.get("NUMBA_CACHE_DIR")
    kept = Path(folder).rglob if folder else Path(__file__).with_name("__pycache__").glob
    return _WORTH_IMPORTING if any(kept("compiled.concordance-*.nbi")) else _WORTH_COMPILING


def _can_compile() -> bool:
    """Whether numba is there and finds a place for what it compiles; numpy gives the same numbers if not."""
    try:
        importlib.import_module(_COMPILED)
    except (ImportError, RuntimeError):
        return False
    return True


def compiled_draw() -> DrawStratum:
    """The compiled twin of `draws.draw_stratum_numpy`."""
    from subgroup_audit.stats import compiled

    return compiled.draw_stratum  # type: ignore[no-any-return]


_Sums: TypeAlias = NDArray[Any]
_Measure: TypeAlias = Callable[[Counts | FloatArray, RankedCell], _Sums]


def _compiled() -> tuple[DrawStratum, _Measure]:
    from subgroup_audit.stats import compiled

    def measure(counts: Counts | FloatArray, cell: RankedCell) -> _Sums:
        if cell.positive_weights is not None:
            sums: _Sums = np.zeros((3, LANES))
            compiled.weighted_concordance(counts, *cell.steps, cell.step_weights, *sums)
        else:
            sums = np.zeros((3, LANES), dtype=np.int64)
            compiled.concordance(counts, *cell.steps, *sums)
        return sums

    return compiled.draw_stratum, measure


def _measure_numpy(counts: Counts | FloatArray, cell: RankedCell) -> _Sums:
    """Twice the concordant pairs, twice the positives, and the negatives of 64 resamples, shape [3, 64].

    Stretch by stretch of the negatives, so that what is looked at stays in the processor's cache.
    """
    is_weighted = cell.positive_weights is not None
    sums: _Sums = np.zeros((3, LANES), dtype=np.float64 if is_weighted else np.int64)
    add: Any = _add_weighted if is_weighted else _add_counted
    n_negative = len(cell.negative_codes)
    first = 0
    for start in range(0, max(n_negative, 1), _STEPS_AT_A_TIME):
        stop = min(start + _STEPS_AT_A_TIME, n_negative)
        last = int(np.searchsorted(cell.places, stop)) if stop < n_negative else len(cell.places)
        add(sums, counts, cell, slice(start, stop), slice(first, last))
        first = last
    return sums if is_weighted else sums[:, WORD_ORDER]


def _add_counted(sums: _Sums, counts: Counts, cell: RankedCell, negatives: slice, positives: slice) -> None:
    """Add a stretch of plain counts to `sums`, whose lanes are in the order of words.

    Running sums of four lanes a word are exact in 16 bits; a stretch with counts too large for that is halved.
    """
    rows = np.take(counts, cell.negative_codes[negatives], axis=0, mode="clip")
    if int(rows.max(initial=0)) * len(rows) > _LARGEST_IN_WORD:
        middle = (negatives.start + negatives.stop) // 2
        cut = positives.start + int(np.searchsorted(cell.places[positives], middle))
        _add_counted(sums, counts, cell, slice(negatives.start, middle), slice(positives.start, cut))
        _add_counted(sums, counts, cell, slice(middle, negatives.stop), slice(cut, positives.stop))
        return
    words = np.zeros((2, len(rows) + 1, LANES // 8), dtype=np.uint64)
    np.cumsum(split_words(rows), axis=1, out=words[:, 1:])
    before = words.view(np.uint16)
    for low in range(positives.start, positives.stop, _STEPS_AT_A_TIME):
        steps = slice(low, min(low + _STEPS_AT_A_TIME, positives.stop))
        drawn_words = split_words(np.take(counts, cell.positive_codes[steps], axis=0, mode="clip"))
        drawn_words *= cell.factors[steps, None]
        drawn = drawn_words.view(np.uint16).astype(np.uint32)
        n_drawn = drawn.sum(axis=1, dtype=np.int64).ravel()
        drawn *= before[:, cell.places[steps] - negatives.start]
        sums[0] += drawn.sum(axis=1, dtype=np.int64).ravel() + n_drawn * sums[2]
        sums[1] += n_drawn
    sums[2] += before[:, -1].ravel()


def _add_weighted(
    sums: _Sums, counts: Counts | FloatArray, cell: RankedCell, negatives: slice, positives: slice
) -> None:
    """Add a stretch of weighted counts to `sums`, number by number as the compiled pass: rounded alike."""
    weights: Any = cell.negative_weights
    before = np.empty((negatives.stop - negatives.start + 1, LANES))
    before[0] = sums[2]
    np.multiply(counts[cell.negative_codes[negatives]], weights[negatives, None], out=before[1:])
    np.cumsum(before, axis=0, out=before)
    sums[2] = before[-1]
    weights = cell.positive_weights
    for low in range(positives.start, positives.stop, _STEPS_AT_A_TIME):
        steps = slice(low, min(low + _STEPS_AT_A_TIME, positives.stop))
        drawn = np.empty((1 + steps.stop - low, LANES))
        drawn[0] = sums[1]
        np.multiply(counts[cell.positive_codes[steps]], weights[steps, None], out=drawn[1:])
        concordant = np.empty_like(drawn)
        concordant[0] = sums[0]
        np.multiply(drawn[1:], before[cell.places[steps] - negatives.start], out=concordant[1:])
        sums[0] = concordant.sum(axis=0)
        sums[1] = drawn.sum(axis=0)


def _divide(twice_concordant: NDArray[Any], twice_positive: NDArray[Any], negative: NDArray[Any]) -> FloatArray:
    pairs = 1.0 * twice_positive * negative
    return np.asarray(np.divide(twice_concordant, pairs, out=np.full(LANES, np.nan), where=pairs > 0))
