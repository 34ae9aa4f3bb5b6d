"""The area under the ROC curve, exact with ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_labels, check_scores, check_weights


def auc(y_true: ArrayLike, y_score: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """The probability that a positive scores above a negative, ties counting one half (0 to 1).

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    y_score : finite array, shape [n]
        Higher means more probably positive.
    sample_weight : array, shape [n], optional
        Weights of 0 or more: the Mann-Whitney statistic then weighs each pair by the product of its two.

    Raises
    ------
    StatisticsError
        Labels other than 0/1, scores that are not finite, unequal lengths, no rows, one class only, or
        weights that are negative or zero throughout a class.

    Notes
    -----
    Bamber 1975, doi:10.1016/0022-2496(75)90001-2. Unweighted, twice the count of concordant pairs is an
    integer, so that the only rounding is that of one division.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8])
    0.875
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    if sample_weight is not None:
        return _weighted_auc(is_positive, scores, check_weights(sample_weight, len(scores)))
    n_positive = int(np.count_nonzero(is_positive))
    n_negative = len(is_positive) - n_positive
    _require_both(n_positive, n_negative, "row")
    _, below, upto = rank_positives(is_positive, scores)
    return int(below.sum() + upto.sum()) / (2 * n_positive * n_negative)


def macro_auc(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """The mean over classes of each class's AUC against the rest (0 to 1).

    `y_true` holds class codes 0 to k-1, shape [n]; `y_score` one column per class, shape [n, k].
    StatisticsError if a class has no row, since a mean over fewer classes would be another number.
    """
    scores = np.asarray(y_score, dtype=np.float64)
    classes = np.asarray(y_true)
    if scores.ndim != 2 or scores.shape[0] != len(classes):
        raise StatisticsError(
            f"y_score must have one row per label and one column per class, not the shape {scores.shape}"
        )
    n_classes = scores.shape[1]
    known = np.isin(classes, np.arange(n_classes))
    if not known.all():
        raise StatisticsError(
            f"y_true must hold the class codes 0 to {n_classes - 1}, but has {classes[~known][0]!s}"
        )
    absent = [str(code) for code in range(n_classes) if not (classes == code).any()]
    if absent:
        raise StatisticsError(f"no row of class {', '.join(absent)}: the macro mean cannot be had")
    return float(np.mean([auc(classes == code, scores[:, code]) for code in range(n_classes)]))


def rank_positives(is_positive: BoolArray, scores: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Row, negatives below and negatives not above, of each positive in order of its score.

    Half the sum of the last two is what DeLong calls the placement, times the number of negatives.
    """
    order = np.argsort(scores)
    labels, starts, ends = is_positive[order], *tie_bounds(scores[order])
    cumulative = np.concatenate(([0], np.cumsum(~labels)))
    return order[labels], cumulative[starts[labels]], cumulative[ends[labels]]


def tie_bounds(ascending: FloatArray) -> tuple[IntArray, IntArray]:
    """First index, and one past the last index, of the run of equal values around each element."""
    is_new = ascending[1:] != ascending[:-1]
    if is_new.all():
        positions = np.arange(len(ascending) + 1)
        return positions[:-1], positions[1:]
    cuts = np.concatenate(([0], np.flatnonzero(is_new) + 1, [len(ascending)]))
    lengths = np.diff(cuts)
    return np.repeat(cuts[:-1], lengths), np.repeat(cuts[1:], lengths)


def _weighted_auc(is_positive: BoolArray, scores: FloatArray, weights: FloatArray) -> float:
    positive = np.where(is_positive, weights, 0.0)
    negative = np.where(is_positive, 0.0, weights)
    _require_both(float(positive.sum()), float(negative.sum()), "row of weight above 0")
    order = np.argsort(scores)
    starts, ends = tie_bounds(scores[order])
    cumulative = np.concatenate(([0.0], np.cumsum(negative[order])))
    half_sums = 0.5 * (cumulative[starts] + cumulative[ends])
    return float(positive[order] @ half_sums / (positive.sum() * cumulative[-1]))


def _require_both(positives: float, negatives: float, unit: str) -> None:
    if not positives or not negatives:
        missing = "positive" if not positives else "negative"
        raise StatisticsError(f"an AUC needs both classes, but no {unit} is {missing}")
