"""Components of many models on one test set, kept small: as counts, from which placements are divided anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subgroup_audit.stats.components import AucComponents, Grouping, auc_of_counts, sum_by_person, twice_counts
from subgroup_audit.stats.inputs import BoolArray, check_labels, check_scores

Counts = NDArray[np.unsignedinteger[Any]]


class LabelledImages:
    """Labels and persons of one test set, looked up once for all models that were scored on it.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    person : array, shape [n]; any keys that sort

    Raises
    ------
    StatisticsError
        As `auc_components`.
    """

    def __init__(self, y_true: ArrayLike, person: ArrayLike) -> None:
        self.is_positive: BoolArray = check_labels(y_true)
        self.grouping = Grouping.of(self.is_positive, person)

    @property
    def n_positive(self) -> int:
        """Positive images."""
        return len(self.grouping.codes_positive)

    @property
    def n_negative(self) -> int:
        """Negative images."""
        return len(self.grouping.codes_negative)

    def pack(self, scores: Sequence[ArrayLike]) -> PackedComponents:
        """The components of models, one array of scores of shape [n] each; sorted once, and kept as counts."""
        size = len(self.is_positive)
        rows = [check_scores(row, size, f"scores row {index}") for index, row in enumerate(scores)]
        return PackedComponents(self, tuple(self._counts(row) for row in rows))

    def _counts(self, scores: NDArray[np.float64]) -> tuple[Counts, Counts]:
        if not self.n_positive or not self.n_negative:
            return _small(np.zeros(self.n_positive)), _small(np.zeros(self.n_negative))
        twice = twice_counts(self.is_positive, scores)
        return _small(twice[self.is_positive]), _small(twice[~self.is_positive])


@dataclass(frozen=True, eq=False)
class PackedComponents(Sequence[AucComponents]):
    """The `AucComponents` of several models on one test set, to the digit those of `components_by_model`.

    In memory they are whole numbers of 2 or 4 bytes an image, where placements and their sums by person would be
    8 bytes an image and 16 a person. An item is worked out when it is asked for, in linear time, and not kept.

    Attributes
    ----------
    counts : for each model, twice the negatives below each positive, and twice the positives above each negative
    """

    images: LabelledImages
    counts: tuple[tuple[Counts, Counts], ...]

    def __len__(self) -> int:
        """Number of models."""
        return len(self.counts)

    @overload
    def __getitem__(self, index: int) -> AucComponents: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[AucComponents]: ...

    def __getitem__(self, index: int | slice) -> AucComponents | Sequence[AucComponents]:
        """One model's components, or some models'."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        below, above = self.counts[index]
        m, n = self.images.n_positive, self.images.n_negative
        value = self.auc(index)
        if np.isnan(value):
            return sum_by_person(value, np.full(m, np.nan), np.full(n, np.nan), self.images.grouping)
        positive, negative = below.astype(np.float64) / (2 * n), above.astype(np.float64) / (2 * m)
        return sum_by_person(value, positive, negative, self.images.grouping)

    def auc(self, index: int) -> float:
        """One model's AUC; nan where a class is missing."""
        m, n = self.images.n_positive, self.images.n_negative
        return auc_of_counts(self.counts[index][0], n) if m and n else float("nan")


def _small(counts: NDArray[Any]) -> Counts:
    """The numbers in the fewest bytes that hold them."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
