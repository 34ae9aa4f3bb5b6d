"""The permutation test of a seed-averaged gap: group labels exchanged between persons, for all fits at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_labels, check_persons, check_scores

# Images x permutations that are held at a time, in some ten matrices of 8 bytes an entry.
_ENTRIES_AT_A_TIME = 100_000


@dataclass(frozen=True, eq=False)
class _Side:
    """The images of one class: whose they are, and where each fit places them among the other class.

    Attributes
    ----------
    codes : array [m], the person of each image
    orders : one array [m] a fit, the images in ascending order of score
    below, upto : one array [m] a fit, images of the other class below, and not above, each image
    """

    codes: IntArray
    orders: list[IntArray]
    below: list[IntArray]
    upto: list[IntArray]

    def passed(self, others: FloatArray, other: _Side) -> FloatArray:
        """Mean over fits of how many of the other class's chosen images each image is above, ties one half."""
        total = np.zeros((len(self.codes), others.shape[1]))
        for order, below, upto in zip(other.orders, self.below, self.upto, strict=True):
            counted = np.zeros((len(order) + 1, others.shape[1]), dtype=np.float32)
            np.cumsum(others[order], axis=0, dtype=np.float32, out=counted[1:])
            total += counted[below]
            total += counted[upto]
        return total / (2 * len(self.orders))

    def passed_at_most(self) -> FloatArray:
        """The same with all images of the other class chosen, shape [m, 1]."""
        ranks = [below + upto for below, upto in zip(self.below, self.upto, strict=True)]
        return np.asarray(np.mean(ranks, axis=0)[:, None] / 2.0)


@dataclass(frozen=True, eq=False)
class _Cell:
    """Positives and negatives of both groups."""

    positive: _Side
    negative: _Side
    n_persons: int

    @property
    def has_repeated_persons(self) -> bool:
        return self.n_persons < len(self.positive.codes) + len(self.negative.codes)

    def gap_terms(self, columns: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """AUC and variance of the group that `columns` [persons, permutations] marks, and of the other group.

        nan where they cannot be had.
        """
        positive, negative = columns[self.positive.codes], columns[self.negative.codes]
        above = self.positive.passed(negative, self.negative)
        beyond = self.negative.passed(positive, self.positive)
        others = self.positive.passed_at_most() - above, self.negative.passed_at_most() - beyond
        return [
            self._terms(positive, negative, above, beyond, columns),
            self._terms(1.0 - positive, 1.0 - negative, *others, 1.0 - columns),
        ]

    def _terms(
        self,
        positive: FloatArray,
        negative: FloatArray,
        above: FloatArray,
        beyond: FloatArray,
        columns: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        m, n = (np.where(count > 0.0, count, np.nan) for count in (positive.sum(axis=0), negative.sum(axis=0)))
        value = np.einsum("ij,ij->j", above, positive) / (m * n)
        a = self._by_person((above / n - value) * positive, self.positive) / m
        # A negative's placement is the share of positives above it.
        b = self._by_person((1.0 - beyond / m - value) * negative, self.negative) / n
        k_positive, k_negative = self._persons(positive, self.positive), self._persons(negative, self.negative)
        variance = _corrected(k_positive) * _squares(a) + _corrected(k_negative) * _squares(b)
        if self.has_repeated_persons:
            variance = variance + 2.0 * _corrected(columns.sum(axis=0)) * np.einsum("ij,ij->j", a, b)
        return value, variance

    def _by_person(self, table: FloatArray, side: _Side) -> FloatArray:
        if not self.has_repeated_persons:
            return table
        return np.asarray(self._summing(side) @ table)

    def _summing(self, side: _Side) -> Any:
        """The sparse matrix [persons, images] that sums up by person."""
        from scipy.sparse import csr_array

        size = len(side.codes)
        return csr_array((np.ones(size), (side.codes, np.arange(size))), shape=(self.n_persons, size))

    def _persons(self, rows: FloatArray, side: _Side) -> FloatArray:
        return np.asarray(np.count_nonzero(self._by_person(rows, side), axis=0), dtype=np.float64)


def exchange_test(
    y_true: ArrayLike,
    scores_by_seed: ArrayLike,
    is_in_a: ArrayLike,
    *,
    person: ArrayLike,
    n_permutations: int = 999,
    seed: int = 0,
) -> float:
    """The two-sided p-value of no gap between two groups of different persons, over one or several fits (0 to 1).

    The statistic is the gap of the mean AUC over fits, divided by its own standard error (the mean of the fits'
    placements takes the place of one fit's). Group labels are exchanged between persons of the same class, as in
    `permutation_gap_test`, to which this comes down for a single fit. The fits are taken as given: a gap that
    holds for these trained models, whatever other seeds would do.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    scores_by_seed : array [n_fits, n]
    is_in_a : array of bool, shape [n]
    person : array [n]

    Raises
    ------
    StatisticsError
        As `auc_components`; a person in both groups; or a group that lacks a class.

    Notes
    -----
    Pauly, Asendorf & Konietschke 2016, doi:10.1002/bimj.201500105.
    """
    cell, members, is_case = _prepare(y_true, scores_by_seed, is_in_a, person)
    if n_permutations < 1:
        raise StatisticsError(f"n_permutations must be 1 or more, not {n_permutations}")
    observed = abs(_statistics(cell, members[:, None].astype(np.float64))[0])
    if np.isnan(observed):
        raise StatisticsError("a permutation test needs both classes in both groups")
    rng = np.random.default_rng(seed)
    step = max(1, _ENTRIES_AT_A_TIME // (len(cell.positive.codes) + len(cell.negative.codes)))
    reached = 0
    for start in range(0, n_permutations, step):
        columns = _exchanged(members, is_case, min(step, n_permutations - start), rng)
        found = np.abs(_statistics(cell, columns))
        # A permutation whose statistic cannot be had counts against the gap.
        reached += int(np.count_nonzero(~(found < observed * (1.0 - 1e-12))))
    return (1 + reached) / (1 + n_permutations)


def _statistics(cell: _Cell, columns: FloatArray) -> FloatArray:
    """The gap over its standard error in every permutation: inf without variance, nan without a class."""
    with np.errstate(divide="ignore", invalid="ignore"):
        (a, variance_a), (b, variance_b) = cell.gap_terms(columns)
        gap, variance = a - b, variance_a + variance_b
        whole = np.where(np.abs(gap) > 1e-12, np.copysign(np.inf, gap), 0.0 * gap)
        return np.asarray(np.where(variance > 0.0, gap / np.sqrt(variance), whole))


def _exchanged(members: BoolArray, is_case: BoolArray, n_columns: int, rng: np.random.Generator) -> FloatArray:
    """Group labels [persons, columns], exchanged among persons with a positive image and among the others."""
    columns = np.repeat(members[:, None], n_columns, axis=1).astype(np.float64)
    for stratum in (is_case, ~is_case):
        columns[stratum] = rng.permuted(columns[stratum], axis=0)
    return columns


def _prepare(
    y_true: ArrayLike, scores_by_seed: ArrayLike, is_in_a: ArrayLike, person: ArrayLike
) -> tuple[_Cell, BoolArray, BoolArray]:
    is_positive = check_labels(y_true)
    size = len(is_positive)
    scores = [check_scores(row, size) for row in np.atleast_2d(np.asarray(scores_by_seed, dtype=np.float64))]
    group = np.asarray(is_in_a, dtype=bool)
    if group.shape != is_positive.shape:
        raise StatisticsError(f"is_in_a has {len(group)} rows, but y_true has {size}")
    persons, codes = np.unique(check_persons(person, size), return_inverse=True)
    share = np.bincount(codes, group, len(persons)) / np.bincount(codes, minlength=len(persons))
    n_in_both = int(((share > 0.0) & (share < 1.0)).sum())
    if n_in_both:
        raise StatisticsError(f"a permutation test needs groups of different persons, but {n_in_both} are in both")
    is_case = np.bincount(codes, is_positive, len(persons)) > 0
    sides = [_side(scores, rows, ~rows, codes) for rows in (is_positive, ~is_positive)]
    return _Cell(sides[0], sides[1], len(persons)), share == 1.0, is_case


def _side(scores: list[FloatArray], own: BoolArray, other: BoolArray, codes: IntArray) -> _Side:
    ascending = [np.sort(row[other]) for row in scores]
    return _Side(
        codes=codes[own],
        orders=[np.argsort(row[own], kind="stable") for row in scores],
        below=[np.searchsorted(line, row[own], side="left") for line, row in zip(ascending, scores, strict=True)],
        upto=[np.searchsorted(line, row[own], side="right") for line, row in zip(ascending, scores, strict=True)],
    )


def _squares(table: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->j", table, table))


def _corrected(n_persons: FloatArray) -> FloatArray:
    return np.asarray(n_persons / np.where(n_persons > 1.0, n_persons - 1.0, np.nan))
