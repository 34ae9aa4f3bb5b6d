"""Average precision with an interval from its influence function, persons as clusters."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.stats.bounds import LogitLimits, WilsonLimits
from subgroup_audit.stats.inputs import FloatArray, check_level
from subgroup_audit.stats.measurement import NO_VARIANCE, Counts, Measurement, build_estimate
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.results import Estimate, Status


def average_precision(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    person: ArrayLike | None = None,
    confidence_level: float = 0.95,
    min_persons: int = 10,
) -> Estimate:
    """Average precision (scikit-learn's definition, ties included) with its interval.

    The mean over positives of the precision among all images that score at least as high. It depends on the
    share of positives: chance gives the prevalence, not one half. So a gap between groups of different
    prevalence is not one of the model alone; and it is biased upward where positives are few (10 of 100 images,
    AUC 0.64: 0.22 on average where 0.16 is true).

    Parameters
    ----------
    person : array, shape [n], optional
        Who each image is of. Without it every image counts as a person of its own.
    min_persons : int
        Fewer persons with a positive, or with a negative, image make the status 'small'.

    Raises
    ------
    StatisticsError
        Labels other than 0/1, scores that are not finite, missing keys, unequal lengths, no rows.

    Notes
    -----
    With precision P(s) = TP(s)/N(s) among the N(s) images at or above s, and m positives, an image with label
    y and score x pulls the estimate by

        [ y (P(x) - AP) + y A(x) - B(x) ] / m,   A(x) = sum 1/N(s_j),   B(x) = sum P(s_j)/N(s_j),

    the sums over the positives j with s_j <= x. The variance is K/(K-1) times the sum over persons of their
    squared pull; the interval is the logit's, on one degree of freedom less than there are persons with a
    positive image. In simulation it covers 93 to 97.5 % from 10 positives on, where the percentile bootstrap
    covers 89 to 92 %. Without a variance (perfect separation) it is Wilson's on the persons with a positive
    image, as the binomial interval of Boyd, Eng & Page 2013, doi:10.1007/978-3-642-40994-3_29.

    Examples
    --------
    >>> found = average_precision([0, 1, 0, 1, 1, 0] * 5, list(range(30)))
    >>> round(found.estimate, 3)
    0.534
    """
    ranked = rank_scores(y_true, y_score, person=person)
    return measure_average_precision(ranked, confidence_level=confidence_level, min_persons=min_persons).found


def measure_average_precision(
    ranked: RankedScores, *, confidence_level: float = 0.95, min_persons: int = 10
) -> Measurement:
    """Average precision of images sorted already: `average_precision`."""
    check_level(confidence_level)
    counts = Counts(ranked.n_persons, ranked.n_images, ranked.n_positive, ranked.n_negative)
    if not ranked.n_positive or not ranked.n_negative:
        missing = "positive" if not ranked.n_positive else "negative"
        reason = f"no {missing} among {ranked.n_images} images: average precision needs both classes"
        found = build_estimate(None, counts, confidence_level=confidence_level, reason=reason)
        return Measurement(found, ranked.persons, partial(np.zeros, ranked.n_persons))
    value, pulls = _average_precision(ranked)
    error = _standard_error(ranked, pulls)
    limits, method = _limits(ranked, value, error)
    status, reason = _judge(ranked, value, min_persons)
    found = build_estimate(
        limits,
        counts,
        confidence_level=confidence_level,
        standard_error=error,
        df=limits.df,
        method=method,
        status=status,
        reason=reason,
    )
    return Measurement(found, ranked.persons, partial(person_pulls, ranked))


def person_pulls(ranked: RankedScores) -> FloatArray:
    """Each person's influence on the average precision, shape [K]."""
    return ranked.sum_by_person(_average_precision(ranked)[1])


def _average_precision(ranked: RankedScores) -> tuple[float, FloatArray]:
    """The average precision, and each image's pull on it, in order of score."""
    positive = ranked.is_positive
    starts, ends = ranked.ties
    below = np.concatenate(([0], np.cumsum(positive)))
    at_least = ranked.n_images - starts
    precision = (ranked.n_positive - below[starts]) / at_least
    value = float(precision[positive].sum() / ranked.n_positive)
    first = np.concatenate(([0.0], np.cumsum(np.where(positive, 1.0 / at_least, 0.0))))[ends]
    second = np.concatenate(([0.0], np.cumsum(np.where(positive, precision / at_least, 0.0))))[ends]
    own = np.where(positive, precision - value + first, 0.0)
    return value, (own - second) / ranked.n_positive


def _standard_error(ranked: RankedScores, pulls: FloatArray) -> float:
    by_person = ranked.sum_by_person(pulls) if ranked.has_repeated_persons else pulls
    n_persons = ranked.n_persons
    return math.sqrt(n_persons / (n_persons - 1) * float(by_person @ by_person)) if n_persons > 1 else math.nan


def _limits(ranked: RankedScores, value: float, error: float) -> tuple[LogitLimits | WilsonLimits, str]:
    n_persons = ranked.n_persons_positive
    if 0.0 < value < 1.0 and error > math.sqrt(NO_VARIANCE) and n_persons > 1:
        return LogitLimits(value, error, float(n_persons - 1)), "influence function, logit-t"
    return WilsonLimits(
        min(value, 1.0), float(n_persons), float(max(n_persons - 1, 1))
    ), "Wilson on positive persons"


def _judge(ranked: RankedScores, value: float, min_persons: int) -> tuple[Status, str]:
    positive, negative = ranked.n_persons_positive, ranked.n_persons_negative
    if value >= 1.0:
        return "degenerate", "every positive is above every negative: the interval is Wilson's on positive persons"
    if min(positive, negative) < min_persons:
        return "small", (
            f"{positive} patients with a positive and {negative} with a negative image: "
            f"fewer than {min_persons} in a class"
        )
    return "ok", ""
