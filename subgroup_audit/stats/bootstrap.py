"""Bootstrap intervals from replicates, and the exact stratified bootstrap of images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.draws import CountStream
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    check_choice,
    check_labels,
    check_level,
    check_scores,
)
from subgroup_audit.stats.replicates import rank_cell, replicate_aucs
from subgroup_audit.stats.results import Interval

METHODS = ("percentile", "basic", "bca", "studentised")


def bootstrap_interval(
    replicates: ArrayLike,
    estimate: float,
    *,
    confidence_level: float = 0.95,
    method: str = "percentile",
    influence: ArrayLike | None = None,
    standard_error: float | None = None,
    replicate_errors: ArrayLike | None = None,
) -> Interval:
    """An interval read from bootstrap replicates; nan replicates are left out and counted.

    Parameters
    ----------
    replicates : array [n_resamples]
        Of an AUC, or the difference of two columns of one `PersonDraws` for a gap.
    estimate : float
        The statistic of the data themselves.
    method : {'percentile', 'basic', 'bca', 'studentised'}
        'percentile' is the usual one. 'bca' needs `influence` and is no safe default: near an AUC of 1 it
        covers as little as the percentile does. 'studentised' needs `standard_error` and `replicate_errors`.
    influence : array [n_persons], optional
        Each person's pull on the estimate, e.g. `AucComponents.influence()`: gives BCa its acceleration.
    standard_error, replicate_errors : float, array [n_resamples], optional
        Standard error of the estimate, and of each replicate in its own resample.

    Raises
    ------
    StatisticsError
        No finite replicate, or what the method needs is missing.

    Notes
    -----
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapters 12 to 14.
    """
    tail = (1.0 - check_level(confidence_level)) / 2.0
    check_choice(method, METHODS, "method")
    values = np.asarray(replicates, dtype=np.float64)
    is_usable = np.isfinite(values)
    if not is_usable.any():
        raise StatisticsError(f"none of the {len(values)} resamples has both classes: no interval can be read")
    kept = values[is_usable]
    if method == "studentised":
        errors = _require(replicate_errors, "studentised", "replicate_errors")[is_usable]
        low, high = _studentised(kept, errors, estimate, standard_error, tail)
    elif method == "bca":
        low, high = np.quantile(kept, _bca_tails(kept, estimate, _require(influence, "bca", "influence"), tail))
    else:
        low, high = np.quantile(kept, [tail, 1.0 - tail])
        low, high = (low, high) if method == "percentile" else (2 * estimate - high, 2 * estimate - low)
    name = f"bootstrap {method}"
    return Interval(float(low), float(high), confidence_level, name, len(values), int((~is_usable).sum()))


def stratified_auc_replicates(
    y_true: ArrayLike,
    scores: ArrayLike,
    n_resamples: int = 2000,
    seed: int = 0,
    *,
    n_threads: int = 1,
    engine: str = "auto",
) -> FloatArray:
    """AUCs of resampled images, shape [k, n_resamples] for `scores` of shape [k, n] (or [n]).

    Positives and negatives are drawn separately, in the numbers there are, and all k models read the same
    draws (paired). Images are drawn, not persons: for one image a person only. Draws belong to the images'
    order by score, so that the order of rows does not matter.

    Raises
    ------
    StatisticsError
        As `auc`; or one class only.
    """
    is_positive = check_labels(y_true)
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    rows = [check_scores(row, len(is_positive), f"scores row {index}") for index, row in enumerate(table)]
    n_positive = int(is_positive.sum())
    if n_positive in (0, len(is_positive)):
        raise StatisticsError("a stratified bootstrap needs both classes, but only one is there")
    codes = _codes_by_score(is_positive, np.stack(rows))
    stream = CountStream([len(is_positive) - n_positive, n_positive], n_resamples=n_resamples, seed=seed)
    cells = [rank_cell(is_positive, row, codes) for row in rows]
    return replicate_aucs(stream, cells, engine=engine, n_threads=n_threads)


def bootstrap_variance(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """The variance that infinitely many stratified resamples of images would show: a closed form.

    [(n-1) xi10 + (m-1) xi01 + xi11] / (mn), with xi10 and xi01 the plain variances of the placements and xi11
    that of the pairs' 0, 1/2, 1 around the AUC.
    """
    from subgroup_audit.stats.components import auc_components

    cell = auc_components(y_true, y_score)
    m, n, value = cell.n_positive, cell.n_negative, cell.auc
    xi10 = float(np.mean(cell.positive_placements**2)) - value**2
    xi01 = float(np.mean(cell.negative_placements**2)) - value**2
    xi11 = _mean_square_pair(check_labels(y_true), np.asarray(y_score, dtype=np.float64)) - value**2
    return ((n - 1) * xi10 + (m - 1) * xi01 + xi11) / (m * n)


def _mean_square_pair(is_positive: BoolArray, scores: FloatArray) -> float:
    """Mean over pairs of 1 for a win, 1/4 for a tie."""
    from subgroup_audit.stats.area import rank_positives

    _, below, upto = rank_positives(is_positive, scores)
    n_pairs = len(below) * int((~is_positive).sum())
    return float(below.sum() + (upto - below).sum() / 4.0) / n_pairs


def _codes_by_score(is_positive: BoolArray, table: FloatArray) -> IntArray:
    """Rows of the counts: negatives, then positives, each in order of score.

    Neighbours in memory are then neighbours in the pass. Images that tie in the first model are told apart by
    the others; those that tie in all are interchangeable.
    """
    first = table[0]
    by_score = np.argsort(first)
    order = np.concatenate([by_score[~is_positive[by_score]], by_score[is_positive[by_score]]])
    is_tied = (first[order][1:] == first[order][:-1]) & (is_positive[order][1:] == is_positive[order][:-1])
    if len(table) > 1 and is_tied.any():
        order = np.lexsort((*table[::-1], is_positive))
    codes = np.empty(len(order), dtype=np.int64)
    codes[order] = np.arange(len(order))
    return codes


def _bca_tails(kept: FloatArray, estimate: float, influence: FloatArray, tail: float) -> list[float]:
    """The two quantiles that BCa reads the replicates at."""
    from scipy.special import ndtr, ndtri

    share = (np.count_nonzero(kept < estimate) + 0.5 * np.count_nonzero(kept == estimate)) / len(kept)
    bias = float(ndtri(min(max(share, 0.5 / len(kept)), 1.0 - 0.5 / len(kept))))
    squares = float(np.sum(influence**2))
    acceleration = float(np.sum(influence**3)) / (6.0 * squares**1.5) if squares > 0.0 else 0.0
    shifted = [bias + float(ndtri(side)) for side in (tail, 1.0 - tail)]
    return [float(ndtr(bias + z / (1.0 - acceleration * z))) for z in shifted]


def _studentised(
    kept: FloatArray, errors: FloatArray, estimate: float, standard_error: float | None, tail: float
) -> tuple[float, float]:
    if standard_error is None:
        raise StatisticsError("the studentised interval needs standard_error")
    pivots = ((kept - estimate) / errors)[errors > 0.0]
    if not len(pivots):
        raise StatisticsError("the studentised interval needs a resample with a standard error above 0")
    low, high = np.quantile(pivots, [tail, 1.0 - tail])
    return estimate - float(high) * standard_error, estimate - float(low) * standard_error


def _require(values: ArrayLike | None, method: str, name: str) -> FloatArray:
    if values is None:
        raise StatisticsError(f"the {method} interval needs {name}")
    return np.asarray(values, dtype=np.float64)


def standard_error_of(replicates: ArrayLike) -> float:
    """The standard deviation of the finite replicates: the bootstrap's standard error; nan below two."""
    values = np.asarray(replicates, dtype=np.float64)
    kept = values[np.isfinite(values)]
    return float(kept.std(ddof=1)) if len(kept) > 1 else math.nan
