"""The shared bootstrap: persons are drawn once per audit, and every cell reads the same draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.draws import Counts, CountStream
from subgroup_audit.stats.inputs import (
    FloatArray,
    IntArray,
    KeyArray,
    check_labels,
    check_persons,
    check_scores,
    check_weights,
)
from subgroup_audit.stats.replicates import (
    RankedCell,
    chooses_numba,
    compiled_draw,
    rank_cell,
    replicate_aucs,
    work_of,
)

Cell = tuple[ArrayLike, ArrayLike, ArrayLike]

# Counts of an audit that are kept from cell to cell: 2,000 resamples of 32,000 persons.
_KEPT_BYTES = 64 * 2**20


class PersonDraws:
    """One draw of persons for a whole audit, with replacement and within strata.

    Every cell (a group, a model, a finding) turns into a column of replicates from the same draws, so that the
    difference of two columns has the right pairing and the right clustering with no special case: a person
    drawn twice brings all images twice, in every cell.

    Parameters
    ----------
    persons : array [n_persons]
        Distinct person keys that sort. Their order does not matter: draws belong to keys.
    strata : array of int [n_persons] or None
        Stratum of each person; persons are drawn within strata, in the numbers there are. None is one stratum.
    n_resamples : int
    seed : int
    n_threads : int
        How many threads may work; no number depends on it.
    engine : {'auto', 'numpy', 'numba'}
        'auto' imports numba for large work only; no number depends on it.

    Raises
    ------
    StatisticsError
        Missing or repeated keys, strata of another length, or no persons.

    Examples
    --------
    >>> draws = PersonDraws(["p1", "p2", "p3", "p4"], [0, 0, 1, 1], n_resamples=100, seed=1)
    >>> replicates = draws.auc_replicates([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], ["p1", "p2", "p3", "p4"])
    >>> replicates.shape
    (100,)
    """

    def __init__(
        self,
        persons: ArrayLike,
        strata: ArrayLike | None = None,
        *,
        n_resamples: int = 2000,
        seed: int = 0,
        n_threads: int = 1,
        engine: str = "auto",
    ) -> None:
        keys = check_persons(persons, len(np.asarray(persons)), "persons")
        self._keys, first = np.unique(keys, return_index=True)
        if len(self._keys) < len(keys):
            raise StatisticsError(
                f"persons must be distinct, but {len(keys) - len(self._keys)} of {len(keys)} repeat another"
            )
        codes = _check_strata(strata, len(keys))[first]
        order = np.argsort(codes, kind="stable")
        self._rows = np.empty(len(keys), dtype=np.int64)
        self._rows[order] = np.arange(len(keys))
        sizes = np.unique(codes, return_counts=True)[1]
        self._stream = CountStream(sizes.tolist(), n_resamples=n_resamples, seed=seed, kept_bytes=_KEPT_BYTES)
        self._work = 0
        self.n_threads, self.engine = n_threads, engine

    @property
    def n_persons(self) -> int:
        """Persons who are drawn from."""
        return self._stream.n_units

    @property
    def n_resamples(self) -> int:
        """Resamples, the length of every column of replicates."""
        return self._stream.n_resamples

    def codes(self, person: ArrayLike) -> IntArray:
        """Row of each person in the counts, shape [n]; StatisticsError for a person who is not drawn from."""
        keys = check_persons(person, len(np.asarray(person)))
        last = len(self._keys) - 1
        places = np.clip(keys, 0, last) if self._are_places(keys) else np.searchsorted(self._keys, keys)
        places = np.minimum(places, last)
        is_unknown = self._keys[places] != keys
        if np.any(is_unknown):
            raise StatisticsError(
                f"{int(np.sum(is_unknown))} of {len(keys)} rows are of persons who are not among the "
                f"{len(self._keys)} drawn from"
            )
        return np.asarray(self._rows[places])

    def _are_places(self, keys: KeyArray) -> bool:
        """Whether the persons are called 0, 1, 2, ..., as in an audit: each key then says where it stands."""
        is_whole = keys.dtype.kind in "iu" and self._keys.dtype.kind in "iu"
        return is_whole and self._keys[0] == 0 and self._keys[-1] == len(self._keys) - 1

    def auc_replicates(self, y_true: ArrayLike, y_score: ArrayLike, person: ArrayLike) -> FloatArray:
        """The cell's AUC in every resample, shape [n_resamples]; nan where the resample lacks a class."""
        return np.asarray(self.auc_replicates_many([(y_true, y_score, person)])[0])

    def auc_replicates_many(self, cells: Sequence[Cell]) -> FloatArray:
        """The AUC of many cells in every resample, shape [cells, n_resamples]; the counts are drawn once.

        Each cell is (y_true, y_score, person). The numbers are those of `auc_replicates` one by one.
        """
        # Models of one test set come with one array of persons, which is looked up once.
        distinct = {id(person): person for _, _, person in cells}
        codes = {key: self.codes(person) for key, person in distinct.items()}
        return self._replicate([self._rank(*cell[:2], codes[id(cell[2])]) for cell in cells])

    def weighted_auc_replicates(
        self, y_true: ArrayLike, y_score: ArrayLike, person: ArrayLike, weight: ArrayLike
    ) -> FloatArray:
        """The weighted AUC in every resample, shape [n_resamples]; nan where a class has no weight.

        Each image counts its weight times as often as its person was drawn, as `sample_weight` of `auc`: for
        inverse-probability weights. Weights of 0 or more, one an image; StatisticsError otherwise.
        """
        weights = check_weights(weight, len(np.asarray(y_true)))
        return np.asarray(self._replicate([self._rank(y_true, y_score, self.codes(person), weights)])[0])

    def sum_replicates(self, values: ArrayLike, person: ArrayLike) -> FloatArray:
        """Sums of `values` over each resample's images, shape [k, n_resamples] for `values` of [k, n].

        A rate is the ratio of two such sums: the sensitivity of a threshold is the sum of true positives over
        that of positives.
        """
        table = np.atleast_2d(np.asarray(values, dtype=np.float64))
        codes = self.codes(person)
        per_person = np.stack([np.bincount(codes, row, self.n_persons) for row in table])
        out = np.empty((len(table), self.n_resamples))
        for lanes, counts in self.count_blocks():
            out[:, lanes] = per_person @ counts
        return out

    def count_blocks(self) -> Iterator[tuple[slice, Counts]]:
        """Which resamples, and how often each person is in them, shape [n_persons, up to 64]; block by block.

        For a statistic of your own: rows are as `codes` says.
        """
        is_compiled = chooses_numba(self.engine, self.n_persons * self.n_resamples)
        draw = compiled_draw() if is_compiled else None
        for block in range(self._stream.n_blocks):
            lanes = self._stream.lanes_of(block)
            yield lanes, self._stream.draw(block, draw_stratum=draw)[:, : lanes.stop - lanes.start]

    def _replicate(self, cells: Sequence[RankedCell]) -> FloatArray:
        found = replicate_aucs(
            self._stream, cells, engine=self.engine, n_threads=self.n_threads, work_before=self._work
        )
        self._work += work_of(self._stream, cells)
        return found

    def _rank(
        self, y_true: ArrayLike, y_score: ArrayLike, codes: IntArray, weights: FloatArray | None = None
    ) -> RankedCell:
        is_positive = check_labels(y_true)
        scores = check_scores(y_score, len(is_positive))
        check_persons(codes, len(is_positive))
        return rank_cell(is_positive, scores, codes, weights)


def _check_strata(strata: ArrayLike | None, n_persons: int) -> IntArray:
    if strata is None:
        return np.zeros(n_persons, dtype=np.int64)
    codes = np.asarray(strata)
    if codes.shape != (n_persons,):
        raise StatisticsError(f"strata must have one code per person, shape ({n_persons},), not {codes.shape}")
    if codes.dtype.kind not in "iub":
        raise StatisticsError(f"strata must be integer codes, not {codes.dtype}")
    return codes.astype(np.int64)
