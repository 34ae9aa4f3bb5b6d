"""AUCs of many resamples from one set of counts: the pass over a cell, in numpy or compiled."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.stats.area import rank_positives
from subgroup_audit.stats.draws import LANES, Counts, CountStream, DrawStratum
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_choice

ENGINES = ("auto", "numpy", "numba")

# Counts looked at (images x resamples) from which compiled code is worth its import, and its first compilation.
_WORTH_IF_LOADED = 4_000_000
_WORTH_IMPORTING = 400_000_000


@dataclass(frozen=True, eq=False)
class RankedCell:
    """One cell in score order: rows of the counts, and for each positive the negatives below and not above."""

    positive_codes: IntArray
    negative_codes: IntArray
    below: IntArray
    upto: IntArray

    @property
    def n_images(self) -> int:
        """Images of the cell."""
        return len(self.positive_codes) + len(self.negative_codes)

    @cached_property
    def steps(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """The cell as the compiled pass reads it: codes, and kinds 0 (negative), 2, or 1 and 1 (tied)."""
        is_tied = self.below < self.upto
        codes = np.concatenate([self.negative_codes, self.positive_codes, self.positive_codes[is_tied]])
        kinds = np.repeat(
            np.array([0, 1, 1], dtype=np.uint8),
            [len(self.negative_codes), len(self.positive_codes), int(is_tied.sum())],
        )
        kinds[len(self.negative_codes) : len(self.negative_codes) + len(is_tied)] += ~is_tied
        places = np.concatenate(
            [2 * np.arange(len(self.negative_codes)) + 1, 2 * self.below, 2 * self.upto[is_tied]]
        )
        order = np.argsort(places, kind="stable")
        return codes[order].astype(np.int32), kinds[order]


def rank_cell(is_positive: BoolArray, scores: FloatArray, codes: IntArray) -> RankedCell:
    """A cell made ready for resampling: sorted once, whatever the number of resamples."""
    rows, below, upto = rank_positives(is_positive, scores)
    negatives = np.flatnonzero(~is_positive)
    in_order = negatives[np.argsort(scores[negatives])]
    return RankedCell(codes[rows], codes[in_order], below, upto)


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
    draw, measure = _compiled() if is_compiled else (None, _concordance_numpy)
    out = np.empty((len(cells), stream.n_resamples))

    def fill(block: int) -> None:
        counts = stream.draw(block, draw_stratum=draw)
        lanes = stream.lanes_of(block)
        for row, cell in zip(out, cells, strict=True):
            row[lanes] = _divide(*measure(counts, cell))[: lanes.stop - lanes.start]

    run_blocks(fill, range(stream.n_blocks), n_threads)
    return out


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
    worth = _WORTH_IF_LOADED if "subgroup_audit.stats.compiled" in sys.modules else _WORTH_IMPORTING
    return engine == "numba" or (engine == "auto" and work >= worth and _can_compile())


def _can_compile() -> bool:
    """Whether numba is there and finds a place for what it compiles; numpy gives the same numbers if not."""
    try:
        importlib.import_module("subgroup_audit.stats.compiled")
    except (ImportError, RuntimeError):
        return False
    return True


def compiled_draw() -> DrawStratum:
    """The compiled twin of `draws.draw_stratum_numpy`."""
    from subgroup_audit.stats import compiled

    return compiled.draw_stratum  # type: ignore[no-any-return]


_Measure = Callable[[Counts, RankedCell], tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]


def _compiled() -> tuple[DrawStratum, _Measure]:
    from subgroup_audit.stats import compiled

    def measure(counts: Counts, cell: RankedCell) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        twice, positives, negatives = np.zeros((3, LANES), dtype=np.int64)
        compiled.concordance(counts, *cell.steps, twice, positives, negatives)
        return twice, positives, negatives

    return compiled.draw_stratum, measure


def _concordance_numpy(counts: Counts, cell: RankedCell) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Twice the concordant pairs, the positives and the negatives of 64 resamples."""
    negatives = counts[cell.negative_codes]
    positives = counts[cell.positive_codes]
    # 32 bits halve the time, and suffice unless a resample of millions of images meets a count in the hundreds.
    largest = 2 * int(positives.max(initial=1)) * int(negatives.max(initial=1)) * max(len(negatives), 1)
    kind = np.int32 if largest < 2**31 else np.int64
    upto = np.zeros((len(negatives) + 1, LANES), dtype=kind)
    np.cumsum(negatives, axis=0, dtype=kind, out=upto[1:])
    twice = upto[cell.below]
    twice += upto[cell.upto]
    twice *= positives
    return twice.sum(axis=0, dtype=np.int64), positives.sum(axis=0, dtype=np.int64), upto[-1]


def _divide(twice: NDArray[Any], positives: NDArray[Any], negatives: NDArray[Any]) -> FloatArray:
    pairs = 2.0 * positives * negatives
    return np.asarray(np.divide(twice, pairs, out=np.full(LANES, np.nan), where=pairs > 0))
