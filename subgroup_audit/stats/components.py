"""Placements of one cell (DeLong), summed by person (Obuchowski), and the covariance of any two cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    KeyArray,
    check_labels,
    check_persons,
    check_scores,
)

# Cells x persons that a covariance holds at a time, in two matrices of 8 bytes an entry: 64 MiB.
_ENTRIES_AT_A_TIME = 4_000_000


@dataclass(frozen=True, eq=False)
class AucComponents:
    """What the variance of one AUC, and its covariance with any other, are computed from.

    Attributes
    ----------
    auc : float
        nan where a class is missing.
    positive_placements : array [n_positive]
        DeLong's V10 in row order: the share of negatives below each positive, ties one half.
    negative_placements : array [n_negative]
        DeLong's V01 in row order: the share of positives above each negative, ties one half.
    persons : array [n_persons] or None
        Distinct person keys, ascending; None if the rows came without keys.
    positive_sums, negative_sums : array [n_persons]
        Sum over a person's positive (negative) images of placement minus AUC. Without keys, every image
        stands for itself.
    n_persons_positive, n_persons_negative : int
        Persons with a positive image, with a negative image; a person may be in both.
    """

    auc: float
    positive_placements: FloatArray
    negative_placements: FloatArray
    persons: KeyArray | None
    positive_sums: FloatArray
    negative_sums: FloatArray
    n_persons: int
    n_persons_positive: int
    n_persons_negative: int

    @property
    def n_positive(self) -> int:
        """Positive images."""
        return len(self.positive_placements)

    @property
    def n_negative(self) -> int:
        """Negative images."""
        return len(self.negative_placements)

    @property
    def n_images(self) -> int:
        """All images of the cell."""
        return self.n_positive + self.n_negative

    @property
    def has_repeated_persons(self) -> bool:
        """Whether any person gave more than one image, so that DeLong's variance does not hold."""
        return self.n_persons < self.n_images

    @property
    def is_estimable(self) -> bool:
        """Whether both classes are there."""
        return self.n_positive > 0 and self.n_negative > 0

    def variance_terms(self) -> tuple[float, float, float]:
        """The variance's three addends: of positives, of negatives, and of persons who have both.

        nan where a class rests on one person. One image a person makes the third 0 and the first two
        DeLong's S10/m and S01/n (DeLong 1988, doi:10.2307/2531595); otherwise they are those of
        Obuchowski 1997, doi:10.2307/2533958, whose sum is var = S10/m + S01/n + 2 S11/(mn).
        """
        return self._variance_terms

    @cached_property
    def _variance_terms(self) -> tuple[float, float, float]:
        positive = self.positive_sums / max(self.n_positive, 1)
        negative = self.negative_sums / max(self.n_negative, 1)
        return (
            _correction(self.n_persons_positive) * float(positive @ positive),
            _correction(self.n_persons_negative) * float(negative @ negative),
            2.0 * self.cross_correction * float(positive @ negative) if self.has_repeated_persons else 0.0,
        )

    def influence(self) -> FloatArray:
        """Each person's pull on the AUC, shape [n_persons]: what the linear part of the AUC sums over."""
        return np.asarray(self.positive_sums / self.n_positive + self.negative_sums / self.n_negative)

    @property
    def cross_correction(self) -> float:
        """K/(K-1) for the K persons of the cell."""
        return _correction(self.n_persons)


def auc_components(y_true: ArrayLike, y_score: ArrayLike, *, person: ArrayLike | None = None) -> AucComponents:
    """Placements of one cell and their sums by person; the scores are sorted once.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    y_score : finite array, shape [n]
    person : array, shape [n], optional
        Who each image is of: any keys that sort (integers are quickest). Needed wherever a person has more
        than one image, and for every covariance with another cell. Without it each row counts as a person.

    Raises
    ------
    StatisticsError
        Labels other than 0/1, scores that are not finite, missing keys, unequal lengths, or no rows. One
        class alone is no error: the result says that it is not estimable.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    if person is None:
        return _from_images(*_placements(is_positive, scores), is_positive)
    return _from_persons(is_positive, scores, Grouping.of(is_positive, person))


def components_by_model(
    y_true: ArrayLike, scores: Sequence[ArrayLike], *, person: ArrayLike
) -> list[AucComponents]:
    """`auc_components` of several models (or seeds) on one test set, whose persons are looked up once.

    `scores` holds one array of shape [n] a model. All results share one array of persons, which also makes
    their covariance quick. Errors as `auc_components`.
    """
    is_positive = check_labels(y_true)
    rows = [check_scores(row, len(is_positive), f"scores row {index}") for index, row in enumerate(scores)]
    grouping = Grouping.of(is_positive, person)
    return [_from_persons(is_positive, row, grouping) for row in rows]


@dataclass(frozen=True, eq=False)
class Grouping:
    """Whose images a test set holds: the distinct persons, and the person of each image, by class."""

    persons: KeyArray
    codes_positive: IntArray
    codes_negative: IntArray
    n_persons_positive: int
    n_persons_negative: int

    @classmethod
    def of(cls, is_positive: BoolArray, person: ArrayLike) -> Grouping:
        persons, codes = _distinct(check_persons(person, len(is_positive)))
        of_class = codes[is_positive], codes[~is_positive]
        n_positive, n_negative = (
            int(np.count_nonzero(np.bincount(part, minlength=len(persons)))) for part in of_class
        )
        return cls(persons, *of_class, n_positive, n_negative)


def _distinct(keys: KeyArray) -> tuple[KeyArray, IntArray]:
    """Distinct keys, ascending, and the place of each row's key; keys that ascend already are not sorted."""
    if keys.dtype.kind in "iu" and bool((keys[1:] > keys[:-1]).all()):
        return keys.copy(), np.arange(len(keys))
    persons, codes = np.unique(keys, return_inverse=True)
    return persons, codes


def _from_persons(is_positive: BoolArray, scores: FloatArray, grouping: Grouping) -> AucComponents:
    value, placements = _placements(is_positive, scores)
    return sum_by_person(value, placements[is_positive], placements[~is_positive], grouping)


def sum_by_person(value: float, positive: FloatArray, negative: FloatArray, grouping: Grouping) -> AucComponents:
    """Components of an AUC from the placements of its positives and negatives, in row order."""
    n_persons = len(grouping.persons)
    return AucComponents(
        auc=value,
        positive_placements=positive,
        negative_placements=negative,
        persons=grouping.persons,
        positive_sums=_sum_by(grouping.codes_positive, _deviations(value, positive), n_persons),
        negative_sums=_sum_by(grouping.codes_negative, _deviations(value, negative), n_persons),
        n_persons=n_persons,
        n_persons_positive=grouping.n_persons_positive,
        n_persons_negative=grouping.n_persons_negative,
    )


def _deviations(value: float, placements: FloatArray) -> FloatArray:
    return placements - value if np.isfinite(value) else np.zeros(len(placements))


def auc_covariance(components: Sequence[AucComponents]) -> FloatArray:
    """Covariance matrix of the cells' AUCs, shape [k, k]; nan where a cell's variance cannot be estimated.

    Cells may hold the same images (paired), other images of the same persons, partly the same persons, or
    nobody in common: then the entry is exactly 0. One image a person gives DeLong's covariance, more give
    Obuchowski's. Where only some persons are shared, the small-sample factor of the sum over the shared ones
    is the geometric mean of the two cells' K/(K-1).

    Raises
    ------
    StatisticsError
        A cell without person keys, if there is more than one: who is shared could only be guessed.
    """
    if len(components) == 1:
        return np.array([[sum(components[0].variance_terms())]])
    positions, n_persons = _align_persons(components)
    positive, negative = map(list, zip(*_scaled_sums(components), strict=True))
    grams = np.zeros((3, len(components), len(components)))
    step = max(1, _ENTRIES_AT_A_TIME // len(components))
    for start in range(0, n_persons, step):
        stop = min(start + step, n_persons)
        p, n = (_dense_block(sums, positions, start, stop) for sums in (positive, negative))
        grams += np.stack([p @ p.T, n @ n.T, p @ n.T])
    factors = [
        np.sqrt([_correction(cell.n_persons_positive) for cell in components]),
        np.sqrt([_correction(cell.n_persons_negative) for cell in components]),
        np.sqrt([cell.cross_correction for cell in components]),
    ]
    of_positives, of_negatives, crossed = (
        gram * np.outer(factor, factor) for gram, factor in zip(grams, factors, strict=True)
    )
    return np.asarray(of_positives + of_negatives + crossed + crossed.T)


def shared_persons(a: AucComponents, b: AucComponents) -> int:
    """How many persons are in both cells; StatisticsError if one came without keys."""
    _require_keys([a, b])
    if a.persons is b.persons:
        return a.n_persons
    return len(np.intersect1d(a.persons, b.persons, assume_unique=True))  # type: ignore[arg-type]


def _placements(is_positive: BoolArray, scores: FloatArray) -> tuple[float, FloatArray]:
    """The AUC, and in row order each image's share of the other class on its wrong-way side."""
    n_positive = int(np.count_nonzero(is_positive))
    n_negative = len(is_positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan"), np.full(len(is_positive), np.nan)
    twice = twice_counts(is_positive, scores)
    value = auc_of_counts(twice[is_positive], n_negative)
    return value, twice / np.where(is_positive, 2 * n_negative, 2 * n_positive)


def twice_counts(is_positive: BoolArray, scores: FloatArray) -> IntArray:
    """Twice the negatives below each positive, and twice the positives above each negative, in row order."""
    order = np.argsort(scores)
    labels = is_positive[order]
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)
    twice = np.empty(len(labels), dtype=np.int64)
    twice[order[positives]], twice[order[negatives]] = _twice_passed(labels, scores[order], positives, negatives)
    return twice


def auc_of_counts(twice_below: NDArray[np.integer[Any]], n_negative: int) -> float:
    """The AUC from twice the negatives below each positive: a whole number over another."""
    return int(twice_below.sum(dtype=np.int64)) / (2 * len(twice_below) * n_negative)


def _twice_passed(
    labels: BoolArray, ascending: FloatArray, positives: IntArray, negatives: IntArray
) -> tuple[IntArray, IntArray]:
    """Twice the negatives below each positive, and twice the positives above each negative, ties one half."""
    if (ascending[1:] != ascending[:-1]).all():
        # A positive's rank is how many positives and negatives come before it, and the first is known.
        n_before = negatives - np.arange(len(negatives))
        return 2 * (positives - np.arange(len(positives))), 2 * (len(positives) - n_before)
    starts, ends = tie_bounds(ascending)
    n_upto = np.concatenate(([0], np.cumsum(~labels)))
    twice_upto = n_upto[starts] + n_upto[ends]
    n_images_upto = starts + ends
    twice_before = n_images_upto[negatives] - twice_upto[negatives]
    return twice_upto[positives], 2 * len(positives) - twice_before


def _from_images(value: float, placements: FloatArray, is_positive: BoolArray) -> AucComponents:
    deviations = _deviations(value, placements)
    positive, negative = placements[is_positive], placements[~is_positive]
    return AucComponents(
        auc=value,
        positive_placements=positive,
        negative_placements=negative,
        persons=None,
        positive_sums=np.where(is_positive, deviations, 0.0),
        negative_sums=np.where(is_positive, 0.0, deviations),
        n_persons=len(placements),
        n_persons_positive=len(positive),
        n_persons_negative=len(negative),
    )


def _sum_by(codes: IntArray, values: FloatArray, n_persons: int) -> FloatArray:
    return np.asarray(np.bincount(codes, values, n_persons), dtype=np.float64)


def _correction(n_persons: int) -> float:
    return n_persons / (n_persons - 1) if n_persons > 1 else float("nan")


def _require_keys(components: Sequence[AucComponents]) -> None:
    if any(cell.persons is None for cell in components):
        raise StatisticsError(
            "the covariance of two AUCs needs to know who is in both: give `person` to auc_components"
        )


def _align_persons(components: Sequence[AucComponents]) -> tuple[list[IntArray], int]:
    """Where each cell's persons stand in the sorted union of all; and the union's size."""
    _require_keys(components)
    keys = [cell.persons for cell in components if cell.persons is not None]
    first = keys[0]
    if all(other is first or np.array_equal(other, first) for other in keys[1:]):
        return [np.arange(len(first))] * len(keys), len(first)
    kinds = {"text" if key.dtype.kind in "UST" else key.dtype.kind.replace("u", "i") for key in keys}
    if len(kinds) > 1:
        raise StatisticsError("person keys must be of one kind in all cells: all text or all integers")
    union = np.unique(np.concatenate(keys))
    return [np.searchsorted(union, key) for key in keys], len(union)


def _scaled_sums(components: Sequence[AucComponents]) -> list[tuple[FloatArray, FloatArray]]:
    """Each cell's person sums of positives and of negatives, over the class's images: addends of its AUC."""
    return [
        (cell.positive_sums / max(cell.n_positive, 1), cell.negative_sums / max(cell.n_negative, 1))
        for cell in components
    ]


def _dense_block(sums: list[FloatArray], positions: list[IntArray], start: int, stop: int) -> FloatArray:
    """Columns `start` to `stop` of the [cells, persons] matrix that is 0 where a person is not in a cell."""
    block = np.zeros((len(sums), stop - start))
    for row, where, values in zip(block, positions, sums, strict=True):
        first, last = np.searchsorted(where, (start, stop))
        row[where[first:last] - start] = values[first:last]
    return block
