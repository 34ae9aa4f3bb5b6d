"""Linear combinations of AUCs: a gap of gaps, a group against the mean of the others, the mean over findings."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.gaps import correlation_of
from subgroup_audit.stats.inputs import FloatArray, IntArray
from subgroup_audit.stats.intervals import MIN_PERSONS
from subgroup_audit.stats.limits import AucLimits, MoverLimits, two_sided_p
from subgroup_audit.stats.results import GapEstimate, Limits, Status
from subgroup_audit.stats.seeds import CROSSED
from subgroup_audit.stats.sides import SidePool, Sides, clusters_of, pool_sides

LINEAR = "MOVER for linear functions"
_SEVERITY: tuple[Status, ...] = ("ok", "small", "degenerate", "not estimable")


@dataclass(frozen=True)
class SumLimits:
    """Limits of a sum of AUCs with weights above 0, from the limits of each (Zou, Huang & Zhang 2009).

    The reach to either side is sqrt(sum r_ij x_i x_j), x_i being the weighted distance of the i-th limit on that
    side.
    """

    weights: tuple[float, ...]
    terms: tuple[AucLimits, ...]
    correlations: tuple[tuple[float, ...], ...]

    @property
    def estimate(self) -> float:
        """The weighted sum."""
        return sum(weight * term.estimate for weight, term in zip(self.weights, self.terms, strict=True))

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        ends = [term.at_tail(tail) for term in self.terms]
        rows = list(zip(self.weights, self.terms, ends, strict=True))
        below = np.array([weight * (term.estimate - low) for weight, term, (low, _) in rows])
        above = np.array([weight * (high - term.estimate) for weight, term, (_, high) in rows])
        return self.estimate - self._reach(below), self.estimate + self._reach(above)

    def _reach(self, distances: FloatArray) -> float:
        if not len(distances):
            return 0.0
        return math.sqrt(max(float(distances @ np.array(self.correlations) @ distances), 0.0))


def auc_contrast(
    sides: Sides,
    coefficients: ArrayLike,
    *,
    seed_groups: Sequence[Hashable] | None = None,
    names: Sequence[str] | None = None,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> GapEstimate:
    """A linear combination of AUCs, sum c_i A_i, with its interval and, for a difference, its p-value.

    Parameters
    ----------
    sides : one sequence of AucComponents per AUC, its training seeds in order
        With person keys, so that it is known who is in several sides.
    coefficients : array [k]
        (1, -1, -1, 1) for a gap of gaps; 1 and -1/(k-1) for a group against the mean of the others; 1/k for a
        mean over findings.
    seed_groups : sequence [k], optional
        Sides with the same entry come from the same fits, seed by seed, so that their seed effects are paired.
        If not given, each side has fits of its own.
    names : sequence [k] of str, optional
        What reasons call the sides; 'term 1' and so on if not given.

    Raises
    ------
    StatisticsError
        As `average_over_seeds`; coefficients of another number, not finite or all 0; sides of one group with
        unequal numbers of seeds; one seed against several.

    Notes
    -----
    The variance is that of the combination itself: patients' (DeLong, Obuchowski) plus, for every set of fits,
    the between-seed variance of its combined value, floored as in `average_over_seeds`, with Satterthwaite's
    degrees of freedom. Terms with coefficients above 0 and below 0 are summed up to one side each by MOVER for
    linear functions (Zou, Huang & Zhang 2009, doi:10.1016/j.csda.2008.09.033), and subtracted as `seed_gap` does,
    which is the case of two sides. The p-value is the interval's own; None if the coefficients do not sum to 0.
    """
    pool = pool_sides(sides, seed_groups=seed_groups, confidence_level=confidence_level, min_persons=min_persons)
    return combine(pool, coefficients, names=names)


def combine(pool: SidePool, coefficients: ArrayLike, *, names: Sequence[str] | None = None) -> GapEstimate:
    """One combination of a pool's sides; as `auc_contrast`."""
    weights = _check_coefficients(coefficients, len(pool.sides))
    active = np.flatnonzero(weights)
    empty = _uncombined(pool, active, names)
    if empty.status == "not estimable":
        return empty
    is_usable = pool.usable()
    clean, kept = pool.restrict(is_usable), weights[is_usable]
    value = float(kept @ clean.values())
    variance, df = clean.variance(kept)
    limits, correlation = _combination_limits(clean, kept, df)
    low, high = limits.at_tail((1.0 - pool.confidence_level) / 2.0)
    is_difference = abs(float(weights.sum())) < 1e-9 * float(np.abs(weights).sum())
    return replace(
        empty,
        estimate=value,
        low=low,
        high=high,
        standard_error=math.sqrt(variance) if variance >= 0.0 else None,
        method=_method(clean, kept),
        df=df if pool.has_several_seeds and math.isfinite(df) else None,
        limits=limits,
        correlation=correlation,
        p_value=two_sided_p(limits, value, 0.0) if is_difference else None,
    )


def _combination_limits(pool: SidePool, weights: FloatArray, df: float) -> tuple[Limits, float | None]:
    """Limits of the whole, and the correlation of its two sides; None where nothing is subtracted."""
    above, below = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
    added = _sum_limits(pool, above, weights, df)
    if not below.any():
        return added, None
    (of_added, _), (of_taken, _), (of_all, _) = (pool.variance(part) for part in (above, below, weights))
    correlation = correlation_of(of_added, of_taken, (of_added + of_taken - of_all) / 2.0)
    taken = _sum_limits(pool, below, weights, df)
    return MoverLimits(added, taken, correlation), correlation


def _sum_limits(pool: SidePool, part: FloatArray, whole: FloatArray, df: float) -> AucLimits | SumLimits:
    active = np.flatnonzero(part)
    terms = tuple(_side_limits(pool, int(side), df) for side in active)
    if len(terms) == 1 and part[active[0]] == 1.0:
        return terms[0]
    matrix = pool.covariance(whole)[np.ix_(active, active)]
    return SumLimits(tuple(float(part[side]) for side in active), terms, _correlations(matrix))


def _correlations(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    places = range(len(matrix))
    return tuple(
        tuple(1.0 if i == j else correlation_of(matrix[i, i], matrix[j, j], matrix[i, j]) for j in places)
        for i in places
    )


def _side_limits(pool: SidePool, side: int, df: float) -> AucLimits:
    """The limits of one side's seed mean, at the combination's degrees of freedom where seeds are averaged."""
    limits = pool.estimates[side].limits
    if not isinstance(limits, AucLimits):
        raise StatisticsError("a side without limits cannot be combined")
    return replace(limits, df=df) if pool.has_several_seeds and limits.rule == "logit" else limits


def _method(pool: SidePool, weights: FloatArray) -> str:
    active = np.flatnonzero(weights)
    name = "MOVER" if len(active) == 2 and set(weights[active]) == {1.0, -1.0} else LINEAR
    if pool.has_several_seeds:
        return f"{name}, {CROSSED}"
    is_apart = len(clusters_of(pool.is_shared, active)) == len(active)
    return name if is_apart else f"{name} with correlation"


def _uncombined(pool: SidePool, active: IntArray, names: Sequence[str] | None) -> GapEstimate:
    """What is known of a combination before its numbers: counts, the worst status, and all reasons."""
    used = [int(side) for side in active]
    estimates = [pool.estimates[side] for side in used]
    called = names or [f"term {side + 1}" for side in range(len(pool.sides))]
    reasons = [f"{called[side]}: {pool.estimates[side].reason}" for side in used if pool.estimates[side].reason]
    persons = [key for side in used if (key := pool.sides[side][0].persons) is not None]
    return GapEstimate(
        estimate=None,
        low=None,
        high=None,
        standard_error=None,
        confidence_level=pool.confidence_level,
        method="none",
        status=max((found.status for found in estimates), key=_SEVERITY.index),
        reason="; ".join(dict.fromkeys(reasons)),
        n_patients=len(np.unique(np.concatenate(persons))),
        n_images=sum(found.n_images for found in estimates),
        n_positive=sum(found.n_positive for found in estimates),
        n_negative=sum(found.n_negative for found in estimates),
        df=None,
    )


def _check_coefficients(coefficients: ArrayLike, n_sides: int) -> FloatArray:
    weights = np.asarray(coefficients, dtype=np.float64)
    if weights.shape != (n_sides,):
        raise StatisticsError(f"{n_sides} sides need as many coefficients, not the shape {weights.shape}")
    if not np.isfinite(weights).all() or not weights.any():
        raise StatisticsError(f"coefficients must be finite and not all 0, not {weights.tolist()}")
    return weights
