"""The mean of any number taken per image, with an interval that counts persons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.stats.inputs import check_level, check_persons, check_scores
from subgroup_audit.stats.limits import t_quantile


@dataclass(frozen=True)
class MeanEstimate:
    """A mean over images and its limits; None where a single person leaves no spread to tell them from."""

    estimate: float
    low: float | None
    high: float | None
    standard_error: float | None
    n_images: int
    n_persons: int


def clustered_mean(values: ArrayLike, *, person: ArrayLike, confidence_level: float = 0.95) -> MeanEstimate:
    """The mean of `values` [n] with Student's interval over persons.

    The variance is that of the persons' summed deviations, K/(K-1) sum d_k^2 / n^2 with K persons, on K-1 degrees
    of freedom: images of one person count as one observation that may weigh more.

    Raises
    ------
    StatisticsError
        No values, values that are not finite, or keys that are missing or of another number.
    """
    check_level(confidence_level)
    numbers = check_scores(values, len(np.asarray(values)), "values")
    codes = np.unique(check_persons(person, len(numbers)), return_inverse=True)[1]
    n_persons, mean = int(codes.max()) + 1, float(numbers.mean())
    if n_persons < 2:
        return MeanEstimate(mean, None, None, None, len(numbers), n_persons)
    sums = np.bincount(codes, numbers - mean)
    error = math.sqrt(n_persons / (n_persons - 1) * float(sums @ sums)) / len(numbers)
    reach = t_quantile((1.0 - confidence_level) / 2.0, n_persons - 1) * error
    return MeanEstimate(mean, mean - reach, mean + reach, error, len(numbers), n_persons)
