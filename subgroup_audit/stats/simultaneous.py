"""Limits that hold for a whole matrix of cells at once: max-T."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import BoolArray, FloatArray, check_choice, check_level

SCALES = ("logit", "identity")
_DRAWS_AT_A_TIME = 4_000


@dataclass(frozen=True, eq=False)
class SimultaneousLimits:
    """Limits of all cells together, and p-values adjusted for all of them.

    Attributes
    ----------
    low, high : array [k]
        nan where the cell is not in the family (no estimate, or no standard error).
    p_adjusted : array [k]
        Single-step adjusted p-values of `null`; nan outside the family.
    critical_value : float
        What takes the place of 1.96.
    n_family : int
        Cells in the family.
    """

    low: FloatArray
    high: FloatArray
    p_adjusted: FloatArray
    critical_value: float
    n_family: int
    confidence_level: float
    method: str


def max_t(
    estimates: ArrayLike,
    standard_errors: ArrayLike,
    *,
    covariance: ArrayLike | None = None,
    replicates: ArrayLike | None = None,
    confidence_level: float = 0.95,
    scale: str = "logit",
    null: float | None = None,
    seed: int = 0,
    n_draws: int = 200_000,
) -> SimultaneousLimits:
    """Simultaneous limits: with probability `confidence_level` all true values lie within at once.

    Parameters
    ----------
    estimates, standard_errors : arrays [k]
        AUCs (scale 'logit') or gaps (scale 'identity') and their standard errors, both on the AUC's scale. A
        cell with a nan, with a standard error of 0, or with an AUC of 0 or 1, is not in the family.
    covariance : array [k, k]
        As `auc_covariance` gives it: the maximum of correlated normals. Or
    replicates : array [k, n_resamples]
        Of one `PersonDraws`: the bootstrap maximum, better below about 200 positives. Exactly one of both.
    scale : {'logit', 'identity'}
    null : float, optional
        What the adjusted p-values test; 0.5 on the logit scale and 0 on the identity if not given.
    seed, n_draws : int
        Of the normal draws (with 200,000 the critical value is good to about 0.01).

    Raises
    ------
    StatisticsError
        Neither or both of covariance and replicates, or shapes that do not fit.

    Notes
    -----
    Hothorn, Bretz & Westfall 2008, doi:10.1002/bimj.200810425.
    """
    check_level(confidence_level)
    check_choice(scale, SCALES, "scale")
    if (covariance is None) == (replicates is None):
        raise StatisticsError("max_t needs either covariance or replicates")
    values, errors = (np.asarray(item, dtype=np.float64) for item in (estimates, standard_errors))
    if values.shape != errors.shape or values.ndim != 1:
        raise StatisticsError(f"estimates of shape {values.shape} do not fit {errors.shape} standard_errors")
    is_member = _family(values, errors, scale)
    middle, spread = _transform(values[is_member], errors[is_member], scale)
    if covariance is not None:
        maxima = _normal_maxima(_member_correlation(covariance, is_member), seed, n_draws)
    else:
        maxima = _bootstrap_maxima(_member_rows(replicates, is_member), middle, spread, scale)
    origin = (0.5 if scale == "logit" else 0.0) if null is None else null
    name = "Gaussian max-T" if covariance is not None else "bootstrap max-T"
    return _limits(maxima, middle, spread, is_member, origin, confidence_level, scale, name)


def _limits(
    maxima: FloatArray,
    middle: FloatArray,
    spread: FloatArray,
    is_member: BoolArray,
    null: float,
    confidence_level: float,
    scale: str,
    name: str,
) -> SimultaneousLimits:
    critical = float(np.quantile(maxima, confidence_level)) if len(maxima) else float("nan")
    origin = np.log(null / (1.0 - null)) if scale == "logit" else null
    distances = np.abs(middle - origin) / spread
    reached = len(maxima) - np.searchsorted(maxima, distances)
    back = _expit if scale == "logit" else np.asarray
    low, high, p_adjusted = (np.full(len(is_member), np.nan) for _ in range(3))
    low[is_member] = back(middle - critical * spread)
    high[is_member] = back(middle + critical * spread)
    p_adjusted[is_member] = (reached + 1.0) / (len(maxima) + 1.0)
    n_family = int(is_member.sum())
    return SimultaneousLimits(low, high, p_adjusted, critical, n_family, confidence_level, f"{name} ({scale})")


def _family(values: FloatArray, errors: FloatArray, scale: str) -> BoolArray:
    is_member = np.isfinite(values) & np.isfinite(errors) & (np.nan_to_num(errors) > 0.0)
    if scale == "logit":
        is_member &= (np.nan_to_num(values) > 0.0) & (np.nan_to_num(values) < 1.0)
    return np.asarray(is_member)


def _transform(values: FloatArray, errors: FloatArray, scale: str) -> tuple[FloatArray, FloatArray]:
    if scale == "identity":
        return values, errors
    return _logit(values), errors / (values * (1.0 - values))


def _member_correlation(covariance: ArrayLike, is_member: BoolArray) -> FloatArray:
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape != (len(is_member), len(is_member)):
        raise StatisticsError(f"covariance of shape {matrix.shape} does not fit {len(is_member)} estimates")
    matrix = matrix[np.ix_(is_member, is_member)]
    roots = np.sqrt(np.diag(matrix))
    return np.asarray(matrix / np.outer(roots, roots))


def _member_rows(replicates: ArrayLike | None, is_member: BoolArray) -> FloatArray:
    table = np.asarray(replicates, dtype=np.float64)
    if table.ndim != 2 or len(table) != len(is_member):
        raise StatisticsError(f"replicates of shape {table.shape} do not fit {len(is_member)} estimates")
    return table[is_member]


def _normal_maxima(correlation: FloatArray, seed: int, n_draws: int) -> FloatArray:
    """Maxima of absolute correlated standard normals, ascending."""
    if not len(correlation):
        return np.empty(0)
    eigenvalues, vectors = np.linalg.eigh(correlation)
    # A matrix estimated from partly shared persons may miss being positive definite by rounding.
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    rng = np.random.default_rng(seed)
    maxima = np.empty(n_draws)
    for start in range(0, n_draws, _DRAWS_AT_A_TIME):
        normals = rng.standard_normal((min(_DRAWS_AT_A_TIME, n_draws - start), len(root)))
        maxima[start : start + _DRAWS_AT_A_TIME] = np.abs(normals @ root.T).max(axis=1)
    return np.sort(maxima)


def _bootstrap_maxima(rows: FloatArray, middle: FloatArray, spread: FloatArray, scale: str) -> FloatArray:
    """Maxima over cells of the replicates' distance from the estimate in standard errors, ascending."""
    if not len(rows):
        return np.empty(0)
    moved = _logit(_within_reach(rows)) if scale == "logit" else rows
    distances = np.abs(moved - middle[:, None]) / spread[:, None]
    usable = distances[:, np.isfinite(distances).all(axis=0)]
    if not usable.shape[1]:
        raise StatisticsError("in no resample do all cells have both classes: no maximum can be read")
    return np.sort(usable.max(axis=0))


def _within_reach(rows: FloatArray) -> FloatArray:
    """Replicates with 0 and 1 moved in by half of the smallest distance that others keep from them."""
    room = np.minimum(rows, 1.0 - rows)
    smallest = np.where(room > 0.0, room, np.inf).min(axis=1, keepdims=True)
    margin = np.where(np.isfinite(smallest), smallest / 2.0, 0.25)
    return np.clip(rows, margin, 1.0 - margin)


def _logit(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(values) - np.log1p(-values))


def _expit(values: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
