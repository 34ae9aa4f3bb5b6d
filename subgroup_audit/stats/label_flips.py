"""How many labels of a group seem to be turned over: errors that confidence does not make fewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import FloatArray, check_labels, check_level, check_persons, check_scores
from subgroup_audit.stats.persons import PersonDraws

_STEPS = 150
_RIDGE = 1e-3
_LARGEST_SLOPE = 12.0


@dataclass(frozen=True, eq=False)
class FlipRate:
    """The share of labels that seem to be turned over (0 to 0.5), with percentile limits over persons."""

    estimate: float
    low: float
    high: float
    replicates: FloatArray


def label_flip_rate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    person: ArrayLike | None = None,
    n_resamples: int = 200,
    seed: int = 0,
    confidence_level: float = 0.95,
) -> FlipRate:
    """The share of labels that disagree with the scores however sure these are.

    Where a task is merely hard, errors become rare towards the ends of the scores. Where labels are wrong, or the
    finding of some images is not to be seen in them, they do not: P(label 1 | score s) levels off at r and 1 - r.
    The rate r is fitted by maximum likelihood together with a logistic curve in the normal quantile q of the
    scores' ranks,

        P(label 1 | s) = r + (1 - 2 r) / (1 + exp(-(a + b q))),

    by expectation and maximisation (Bootkrajang & Kaban 2012, label-noise robust logistic regression). It is
    never below 0, and so a little above 0 on average where no label is wrong: compare groups, or its lower limit.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    y_score : finite array, shape [n]; any monotone transform gives the same
    person : array, shape [n], optional

    Raises
    ------
    StatisticsError
        As `auc_components`; or a class that is missing.
    """
    check_level(confidence_level)
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    if is_positive.all() or not is_positive.any():
        raise StatisticsError("a rate of wrong labels needs both classes")
    keys = np.arange(len(scores)) if person is None else check_persons(person, len(scores))
    quantiles = _normal_quantiles(scores)
    persons, codes = np.unique(keys, return_inverse=True)
    draws = PersonDraws(np.arange(len(persons)), n_resamples=n_resamples, seed=seed)
    rows = draws.codes(codes)
    weights = np.concatenate([counts[rows].T for _, counts in draws.count_blocks()]).astype(np.float64)
    weights = np.concatenate([np.ones((1, len(scores))), weights[:n_resamples]])
    rates = _fit(is_positive.astype(np.float64), quantiles, weights)
    tail = 50.0 * (1.0 - confidence_level)
    low, high = np.percentile(rates[1:], [tail, 100.0 - tail])
    return FlipRate(float(rates[0]), float(low), float(high), rates[1:])


def _normal_quantiles(scores: FloatArray) -> FloatArray:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(scores) - 0.5) / len(scores)))


def _fit(labels: FloatArray, quantiles: FloatArray, weights: FloatArray) -> FloatArray:
    """Rates of every row of weights, shape [k]; a Newton step of the logistic curve per step of the mixture."""
    n_fits = len(weights)
    level, slope, rate = np.zeros(n_fits), np.ones(n_fits), np.full(n_fits, 0.1)
    total = weights.sum(axis=1)
    for _ in range(_STEPS):
        curve = 1.0 / (1.0 + np.exp(-(level[:, None] + slope[:, None] * quantiles)))
        agrees = np.where(labels, curve, 1.0 - curve) * (1.0 - rate[:, None])
        flipped = np.where(labels, 1.0 - curve, curve) * rate[:, None]
        share = flipped / (agrees + flipped)
        rate = np.minimum((weights * share).sum(axis=1) / total, 0.5)
        target = np.where(labels, 1.0 - share, share)
        level, slope = _newton(level, slope, curve, target, quantiles, weights)
    return rate


def _newton(
    level: FloatArray, slope: FloatArray, curve: FloatArray, target: FloatArray, q: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """One step of each weighted logistic regression, with a little ridge so that separation stays finite."""
    residual = weights * (target - curve)
    bend = weights * curve * (1.0 - curve)
    g0, g1 = residual.sum(axis=1) - _RIDGE * level, (residual * q).sum(axis=1) - _RIDGE * slope
    h00, h01 = bend.sum(axis=1) + _RIDGE, (bend * q).sum(axis=1)
    h11 = (bend * q * q).sum(axis=1) + _RIDGE
    determinant = h00 * h11 - h01 * h01
    step0, step1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
    size = np.maximum(1.0, np.maximum(np.abs(step0), np.abs(step1)))
    return level + step0 / size, np.clip(slope + step1 / size, -_LARGEST_SLOPE, _LARGEST_SLOPE)
