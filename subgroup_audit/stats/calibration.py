"""Whether probabilities mean what they say: slope, calibration in the large, and the Brier score."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.bounds import LogitLimits, WilsonLimits
from subgroup_audit.stats.inputs import FloatArray, check_choice, check_level
from subgroup_audit.stats.limits import WaldLimits
from subgroup_audit.stats.measurement import Counts, Measurement, build_estimate
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.results import Estimate, Status

CALIBRATIONS = ("calibration_slope", "calibration_intercept", "brier_score")
# Probabilities of 0 and 1 have no logit: they are taken for this far from the end.
SMALLEST_PROBABILITY = 1e-6

_MOST_STEPS = 60
# Newton's error after a step is about the square of the step.
_CLOSE = 1e-7
_Pulls = tuple[float, FloatArray]


def calibration_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    metric: str,
    *,
    person: ArrayLike | None = None,
    confidence_level: float = 0.95,
    min_persons: int = 10,
) -> Estimate:
    """One number of calibration with its interval.

    Parameters
    ----------
    y_score : probabilities, shape [n], 0 to 1
    metric : {'calibration_slope', 'calibration_intercept', 'brier_score'}
        The slope b of logit P(y = 1) = a + b logit(score): 1 is right, below 1 the scores are too extreme. The
        intercept a at b = 1, calibration in the large: 0 is right, above 0 the scores are too low (Van Calster
        et al. 2019, doi:10.1186/s12916-019-1466-7). The Brier score, the mean of (score - label)^2.
    person : array, shape [n], optional
        Who each image is of. Without it every image counts as a person of its own.

    Raises
    ------
    StatisticsError
        As `auc_components`; scores outside 0 to 1; an unknown metric or level.

    Notes
    -----
    Slope and intercept: maximum likelihood by Newton's steps, and the sandwich variance with persons as
    clusters (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13), times K/(K-1) (n-1)/(n-p); t on min(K+, K-) - 1
    degrees of freedom, K+ and K- persons with a positive and with a negative image. Brier score: a mean over
    images in clusters, on the logit scale, t on K - 1. Scores below 1e-6 and above 1 - 1e-6 have their logit
    taken there.

    Examples
    --------
    >>> label, score = [0, 0, 0, 1] * 10 + [1, 1, 1, 0] * 10, [0.25] * 40 + [0.75] * 40
    >>> found = calibration_interval(label, score, "calibration_slope")
    >>> round(found.estimate, 6)
    1.0
    """
    ranked = rank_scores(y_true, y_score, person=person)
    return measure_calibration(ranked, metric, confidence_level=confidence_level, min_persons=min_persons).found


def measure_calibration(
    ranked: RankedScores, metric: str, *, confidence_level: float = 0.95, min_persons: int = 10
) -> Measurement:
    """One number of calibration of images sorted already: `calibration_interval`."""
    check_level(confidence_level)
    check_choice(metric, CALIBRATIONS, "metric")
    check_probabilities(ranked)
    if metric == "brier_score":
        return _measure_brier(ranked, confidence_level, min_persons)
    counts = Counts(ranked.n_persons, ranked.n_images, ranked.n_positive, ranked.n_negative)
    status, reason = _judge_fit(ranked, metric, min_persons)
    if status == "not estimable":
        found = build_estimate(None, counts, confidence_level=confidence_level, reason=reason)
        return Measurement(found, ranked.persons, partial(np.zeros, ranked.n_persons))
    fit = _slope if metric == "calibration_slope" else _intercept
    value, pulls = fit(ranked)
    n_parameters = 2 if metric == "calibration_slope" else 1
    error = math.sqrt(_clustered_square(ranked, pulls) * (ranked.n_images - 1) / (ranked.n_images - n_parameters))
    df = float(max(min(ranked.n_persons_positive, ranked.n_persons_negative) - 1, 1))
    found = build_estimate(
        WaldLimits(value, error, df),
        counts,
        confidence_level=confidence_level,
        standard_error=error,
        df=df,
        method="logistic regression, person-clustered sandwich, t",
        status=status,
        reason=reason,
    )
    return Measurement(found, ranked.persons, partial(_by_person, ranked, fit))


def check_probabilities(ranked: RankedScores) -> None:
    """StatisticsError unless all scores lie within 0 and 1."""
    if ranked.n_images and not (ranked.score[0] >= 0.0 and ranked.score[-1] <= 1.0):
        bad = ranked.score[0] if ranked.score[0] < 0.0 else ranked.score[-1]
        raise StatisticsError(f"calibration needs probabilities from 0 to 1, but there is a score of {bad:g}")


def logit_of(score: FloatArray) -> FloatArray:
    """Log odds of the scores, those next to 0 and 1 taken for `SMALLEST_PROBABILITY` away from it."""
    kept = np.clip(score, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _slope(ranked: RankedScores) -> _Pulls:
    """The slope, and each image's pull on it."""
    x, y = logit_of(ranked.score), ranked.is_positive.astype(np.float64)
    centre = float(x.mean())
    design = np.stack([np.ones(len(x)), x - centre])
    beta = np.array([_log_odds(y.mean()), 0.0])
    for _ in range(_MOST_STEPS):
        expected = _expit(beta @ design)
        information = (design * (expected * (1.0 - expected))) @ design.T
        step = np.linalg.solve(information, design @ (y - expected))
        beta = beta + np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < _CLOSE:
            break
    expected = _expit(beta @ design)
    information = (design * (expected * (1.0 - expected))) @ design.T
    weights = np.linalg.solve(information, np.array([0.0, 1.0]))
    return float(beta[1]), (weights @ design) * (y - expected)


def _intercept(ranked: RankedScores) -> _Pulls:
    """The intercept at a slope of 1, and each image's pull on it."""
    x, y = logit_of(ranked.score), ranked.is_positive.astype(np.float64)
    value = 0.0
    for _ in range(_MOST_STEPS):
        expected = _expit(value + x)
        step = float((y - expected).sum()) / float((expected * (1.0 - expected)).sum())
        value += min(max(step, -2.0), 2.0)
        if abs(step) < _CLOSE:
            break
    expected = _expit(value + x)
    return value, (y - expected) / float((expected * (1.0 - expected)).sum())


def _brier(ranked: RankedScores) -> _Pulls:
    """The Brier score, and each image's pull on it."""
    square = (ranked.score - ranked.is_positive) ** 2
    value = float(square.mean())
    return value, (square - value) / ranked.n_images


def _measure_brier(ranked: RankedScores, confidence_level: float, min_persons: int) -> Measurement:
    counts = Counts(ranked.n_persons, ranked.n_images, ranked.n_positive, ranked.n_negative)
    if not ranked.n_images:
        found = build_estimate(None, counts, confidence_level=confidence_level, reason="no image")
        return Measurement(found, ranked.persons, partial(np.zeros, ranked.n_persons))
    value, pulls = _brier(ranked)
    error, df = math.sqrt(_clustered_square(ranked, pulls)), float(max(ranked.n_persons - 1, 1))
    has_spread = 0.0 < value < 1.0 and error > 0.0
    limits = LogitLimits(value, error, df) if has_spread else WilsonLimits(value, float(ranked.n_persons), df)
    status, reason = _judge_mean(ranked, min_persons, has_spread=has_spread)
    found = build_estimate(
        limits,
        counts,
        confidence_level=confidence_level,
        standard_error=error,
        df=df,
        method="mean over person clusters, logit-t" if has_spread else "Wilson on persons",
        status=status,
        reason=reason,
    )
    return Measurement(found, ranked.persons, partial(_by_person, ranked, _brier))


def _by_person(ranked: RankedScores, fit: Callable[[RankedScores], _Pulls]) -> FloatArray:
    return ranked.sum_by_person(fit(ranked)[1])


def _clustered_square(ranked: RankedScores, pulls: FloatArray) -> float:
    """The variance of the sum of pulls: K/(K-1) times the sum of the persons' squares; nan for one person."""
    if ranked.n_persons < 2:
        return math.nan
    by_person = ranked.sum_by_person(pulls) if ranked.has_repeated_persons else pulls
    return ranked.n_persons / (ranked.n_persons - 1) * float(by_person @ by_person)


def _judge_fit(ranked: RankedScores, metric: str, min_persons: int) -> tuple[Status, str]:
    if not ranked.n_positive or not ranked.n_negative:
        missing = "positive" if not ranked.n_positive else "negative"
        return "not estimable", f"no {missing} among {ranked.n_images} images: {metric} needs both classes"
    if metric == "calibration_slope":
        reason = _no_slope(ranked)
        if reason:
            return "not estimable", reason
    positive, negative = ranked.n_persons_positive, ranked.n_persons_negative
    if min(positive, negative) < min_persons:
        return "small", (
            f"{positive} patients with a positive and {negative} with a negative image: "
            f"fewer than {min_persons} in a class"
        )
    return "ok", ""


def _no_slope(ranked: RankedScores) -> str:
    """Why the likelihood has no maximum; '' if it has one."""
    x = logit_of(ranked.score)
    if x[0] == x[-1]:
        return "all scores are the same: a slope needs scores that differ"
    positive, negative = x[ranked.is_positive], x[~ranked.is_positive]
    if negative[-1] <= positive[0] or positive[-1] <= negative[0]:
        return "the scores separate the classes: the slope has no finite estimate"
    return ""


def _judge_mean(ranked: RankedScores, min_persons: int, *, has_spread: bool) -> tuple[Status, str]:
    if not has_spread:
        return "degenerate", "the squared errors do not vary: the interval is Wilson's on persons"
    if ranked.n_persons < min_persons:
        return "small", f"{ranked.n_persons} patients: fewer than {min_persons}"
    return "ok", ""


def _log_odds(share: float) -> float:
    return math.log(share / (1.0 - share))


def _expit(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
