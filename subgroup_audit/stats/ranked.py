"""Labels and scores of one set of images in order of score, with persons as dense codes: sorted once for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.components import AucComponents
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    KeyArray,
    check_labels,
    check_persons,
    check_scores,
)


@dataclass(frozen=True, eq=False)
class RankedScores:
    """One set of images in ascending order of score.

    Attributes
    ----------
    is_positive : bool array [n]
    score : float array [n], ascending
    person : int array [n], position of each image's person in `persons`
    persons : array [K], distinct person keys, ascending
    """

    is_positive: BoolArray
    score: FloatArray
    person: IntArray
    persons: KeyArray

    @property
    def n_images(self) -> int:
        """Images."""
        return len(self.score)

    @property
    def n_persons(self) -> int:
        """Distinct persons."""
        return len(self.persons)

    @cached_property
    def n_positive(self) -> int:
        """Positive images."""
        return int(np.count_nonzero(self.is_positive))

    @property
    def n_negative(self) -> int:
        """Negative images."""
        return self.n_images - self.n_positive

    @property
    def has_repeated_persons(self) -> bool:
        """Whether any person gave more than one image."""
        return self.n_persons < self.n_images

    @cached_property
    def n_persons_positive(self) -> int:
        """Persons with a positive image."""
        return self.count_persons(self.is_positive)

    @cached_property
    def n_persons_negative(self) -> int:
        """Persons with a negative image."""
        return self.count_persons(~self.is_positive)

    @property
    def ties(self) -> tuple[IntArray, IntArray]:
        """Where each image's run of equal scores starts, and where the next one starts; shape [n] each."""
        return tie_bounds(self.score)

    def count_persons(self, chosen: BoolArray) -> int:
        """Distinct persons among the chosen images."""
        if not self.has_repeated_persons:
            return int(np.count_nonzero(chosen))
        return int(np.count_nonzero(np.bincount(self.person[chosen], minlength=self.n_persons)))

    def sum_by_person(self, values: FloatArray) -> FloatArray:
        """Sum of `values`, one an image, over each person's images, shape [K]."""
        return np.asarray(np.bincount(self.person, values, self.n_persons), dtype=np.float64)

    def take(self, chosen: BoolArray) -> RankedScores:
        """The chosen images alone, still in order."""
        codes, present = compact(self.person[chosen], self.n_persons)
        return RankedScores(self.is_positive[chosen], self.score[chosen], codes, self.persons[present])


def rank_scores(y_true: ArrayLike, y_score: ArrayLike, *, person: ArrayLike | None = None) -> RankedScores:
    """The images in order of score; without `person` every image counts as a person of its own.

    Raises
    ------
    StatisticsError
        Labels other than 0/1, scores that are not finite, missing keys, unequal lengths, or no rows.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    order = np.argsort(scores, kind="stable")
    if person is None:
        return RankedScores(is_positive[order], scores[order], order, np.arange(len(order)))
    persons, codes = np.unique(check_persons(person, len(is_positive)), return_inverse=True)
    return RankedScores(is_positive[order], scores[order], codes[order], persons)


def compact(codes: IntArray, n_codes: int) -> tuple[IntArray, IntArray]:
    """Codes counted anew from 0 without holes, and which of the old ones are left, ascending."""
    is_present = np.zeros(n_codes, dtype=bool)
    is_present[codes] = True
    present = np.flatnonzero(is_present)
    if len(present) == n_codes:
        return codes, present
    renumbered = np.cumsum(is_present) - 1
    return renumbered[codes], present


def components_of(ranked: RankedScores) -> AucComponents:
    """DeLong's placements and Obuchowski's sums of images that are sorted already: as `auc_components`."""
    positive, m, n = ranked.is_positive, ranked.n_positive, ranked.n_negative
    value, placements = _placements(ranked)
    deviations = placements - value if m and n else np.zeros(len(placements))
    return AucComponents(
        auc=value,
        positive_placements=placements[positive],
        negative_placements=placements[~positive],
        persons=ranked.persons,
        positive_sums=ranked.sum_by_person(np.where(positive, deviations, 0.0)),
        negative_sums=ranked.sum_by_person(np.where(positive, 0.0, deviations)),
        n_persons=ranked.n_persons,
        n_persons_positive=ranked.n_persons_positive,
        n_persons_negative=ranked.n_persons_negative,
    )


def _placements(ranked: RankedScores) -> tuple[float, FloatArray]:
    """The AUC, and in order of score each image's share of the other class on its wrong-way side."""
    positive, m, n = ranked.is_positive, ranked.n_positive, ranked.n_negative
    if not m or not n:
        return float("nan"), np.full(ranked.n_images, np.nan)
    starts, ends = ranked.ties
    cumulative = np.concatenate(([0], np.cumsum(~positive)))
    negatives = cumulative[starts] + cumulative[ends]
    positives = starts + ends - negatives
    placements = np.where(positive, negatives / (2 * n), (2 * m - positives) / (2 * m))
    return int(negatives[positive].sum()) / (2 * m * n), placements
