"""More than two groups: the worst of them and how far they lie apart, with intervals that know of the choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import FloatArray
from subgroup_audit.stats.limits import normal_quantile
from subgroup_audit.stats.linear import combine
from subgroup_audit.stats.results import GapEstimate, Status
from subgroup_audit.stats.sides import SidePool
from subgroup_audit.stats.simultaneous import max_t
from subgroup_audit.stats.spread import spread_of

MAX_T = "max-T of correlated normals, each limit by its own rule at that tail"
_DRAWS = 40_000
_SEVERITY: tuple[Status, ...] = ("ok", "small", "degenerate", "not estimable")


@dataclass(frozen=True)
class WorstGroup:
    """The group with the lowest AUC.

    Attributes
    ----------
    low, high : float or None
        Simultaneous limits: they hold for this group although it was chosen for being the lowest.
    no_group_below : float or None
        The smallest lower limit of all groups: the true AUC of no group is below, whichever is the worst.
    reason : str
        Which groups could not be estimated, or are small, and why.
    """

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    no_group_below: float | None
    n_groups: int
    confidence_level: float
    method: str
    status: Status
    reason: str


@dataclass(frozen=True)
class GroupRange:
    """The largest AUC of several groups minus the smallest.

    Attributes
    ----------
    estimate : float or None
        As observed: biased upward, since chance alone sets groups apart.
    low, high : float or None
        For the range of the true AUCs: the largest lower limit (0 at least) and the largest upper limit of all
        pairwise differences, which hold together.
    corrected_sd : float or None
        Standard deviation between groups with the part that chance explains taken off.
    p_value : float or None
        Of all groups being equal: below 0.05 exactly where `low` at 95 % is above 0.
    """

    highest: str
    lowest: str
    estimate: float | None
    low: float | None
    high: float | None
    observed_sd: float | None
    corrected_sd: float | None
    p_value: float | None
    n_groups: int
    confidence_level: float
    method: str
    status: Status
    reason: str


def worst_group(pool: SidePool, names: Sequence[str], *, groups: ArrayLike | None = None) -> WorstGroup:
    """The lowest AUC of several groups, its name, and an interval that is honest about the choosing.

    Parameters
    ----------
    pool : as `pool_sides` gives it
        One side a group, or whatever the groups are combinations of.
    names : sequence of str
    groups : array [k, sides], optional
        Coefficients of each group's AUC, e.g. its mean over findings; one side a group if not given.

    Raises
    ------
    StatisticsError
        Names of another number than the groups.
    """
    rows, found, called, status, reason = _measure_groups(pool, names, groups)
    if len(rows) < 2:
        return WorstGroup("", None, None, None, None, len(rows), pool.confidence_level, "none", status, reason)
    values = np.array([one.estimate for one in found], dtype=np.float64)
    tail, _ = _simultaneous_tail(_cautious_covariance(pool, rows), pool.confidence_level)
    ends = [one.limits.at_tail(tail) for one in found if one.limits is not None]
    worst = int(values.argmin())
    return WorstGroup(
        name=called[worst],
        estimate=float(values[worst]),
        low=ends[worst][0],
        high=ends[worst][1],
        no_group_below=min(low for low, _ in ends),
        n_groups=len(rows),
        confidence_level=pool.confidence_level,
        method=MAX_T,
        status=status,
        reason=reason,
    )


def range_over_groups(pool: SidePool, names: Sequence[str], *, groups: ArrayLike | None = None) -> GroupRange:
    """The largest AUC of several groups minus the smallest, with limits from all pairwise differences together.

    Parameters and errors as `worst_group`.

    Notes
    -----
    If all pairwise intervals hold, the true range is no smaller than any lower and no larger than the largest
    upper limit, so the interval covers at least as often as they all hold together. A percentile interval of
    the bootstrapped range does not: where all groups are equal it never reaches 0.
    """
    rows, found, called, status, reason = _measure_groups(pool, names, groups)
    if len(rows) < 2:
        none = (None, None, None, None, None, None)
        return GroupRange("", "", *none, len(rows), pool.confidence_level, "none", status, reason)
    values = np.array([one.estimate for one in found], dtype=np.float64)
    pairs = list(combinations(range(len(rows)), 2))
    gaps = [combine(pool, rows[i] - rows[j]) for i, j in pairs]
    contrasts = np.array([np.eye(len(rows))[i] - np.eye(len(rows))[j] for i, j in pairs])
    covariance = contrasts @ _cautious_covariance(pool, rows) @ contrasts.T
    tail, p_value = _simultaneous_tail(covariance, pool.confidence_level, gaps)
    low, high = _range_limits(gaps, tail)
    spread = spread_of(values, rows @ _filled(pool) @ rows.T)
    return GroupRange(
        highest=called[int(values.argmax())],
        lowest=called[int(values.argmin())],
        estimate=float(values.max() - values.min()),
        low=low,
        high=high,
        observed_sd=spread.observed_sd,
        corrected_sd=spread.corrected_sd,
        p_value=p_value,
        n_groups=len(rows),
        confidence_level=pool.confidence_level,
        method=MAX_T,
        status=status,
        reason=reason,
    )


def _range_limits(gaps: Sequence[GapEstimate], tail: float) -> tuple[float, float]:
    """The largest lower and upper limit of all differences, taken both ways round."""
    ends = [gap.limits.at_tail(tail) for gap in gaps if gap.limits is not None]
    lows = [side for low, high in ends for side in (low, -high)]
    highs = [side for low, high in ends for side in (high, -low)]
    return max(0.0, *lows), max(highs)


def _simultaneous_tail(
    covariance: FloatArray, level: float, gaps: Sequence[GapEstimate] = ()
) -> tuple[float, float | None]:
    """The tail of one estimate at which all hold together, and the p-value of the clearest of the gaps."""
    from scipy.special import ndtr

    size = len(covariance)
    distances = np.array([_distance(gap) for gap in gaps]) if gaps else np.zeros(size)
    found = max_t(
        distances,
        np.ones(size),
        covariance=_as_correlation(covariance),
        confidence_level=level,
        scale="identity",
        n_draws=_DRAWS,
    )
    p_value = float(found.p_adjusted.min()) if gaps else None
    return float(ndtr(-found.critical_value)), p_value


def _distance(gap: GapEstimate) -> float:
    """How many standard errors of a normal a p-value stands for, 40 at most."""
    return min(normal_quantile((1.0 if gap.p_value is None else gap.p_value) / 2.0), 40.0)


def _as_correlation(covariance: FloatArray) -> FloatArray:
    roots = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(roots > 0.0, roots, 1.0)
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)


def _cautious_covariance(pool: SidePool, rows: FloatArray) -> FloatArray:
    """Covariance of the groups with the seeds' part as if unrelated from group to group.

    A correlation read from three seeds is not known; to take seeds as unrelated asks for more, not for less.
    """
    patients = rows @ np.nan_to_num(pool.patients) @ rows.T
    seeds = [max(pool.variance(row)[0] - (pool.patient_se(row) or 0.0) ** 2, 0.0) for row in rows]
    total = patients + np.diag(np.nan_to_num(seeds))
    # A group without a variance of its own goes with nobody.
    diagonal = np.where(np.diag(total) > 0.0, np.diag(total), 1.0)
    np.fill_diagonal(total, diagonal)
    return np.asarray(total)


def _filled(pool: SidePool) -> FloatArray:
    """Covariance of the sides with the larger of the two seed parts; 0 where there is none to be had."""
    shows_more = np.nansum(np.diag(pool.spread)) >= np.nansum(np.diag(pool.own))
    return np.asarray(np.nan_to_num(pool.patients + (pool.spread if shows_more else pool.own)))


def _measure_groups(
    pool: SidePool, names: Sequence[str], groups: ArrayLike | None
) -> tuple[FloatArray, list[GapEstimate], list[str], Status, str]:
    """The groups that can be estimated: coefficients, estimates, names; and what is to be said of all."""
    rows = _rows(pool, names, groups)
    found = [combine(pool, row) for row in rows]
    kept = [place for place, one in enumerate(found) if one.estimate is not None]
    status, reason = _judge(names, found)
    return rows[kept], [found[place] for place in kept], [str(names[place]) for place in kept], status, reason


def _judge(names: Sequence[str], found: Sequence[GapEstimate]) -> tuple[Status, str]:
    """The worst status of the groups that count, and what is to be said of any."""
    reasons = [
        f"{name}: {one.status}{' and left out' if one.estimate is None else ''}"
        for name, one in zip(names, found, strict=True)
        if one.status != "ok"
    ]
    counted = [one.status for one in found if one.estimate is not None]
    if len(counted) < 2:
        few = f"{len(counted)} of {len(found)} groups can be estimated, and a comparison needs two"
        return "not estimable", "; ".join([few, *reasons])
    return max(counted, key=_SEVERITY.index), "; ".join(reasons)


def _rows(pool: SidePool, names: Sequence[str], groups: ArrayLike | None) -> FloatArray:
    rows = np.eye(len(pool.sides)) if groups is None else np.asarray(groups, dtype=np.float64)
    if rows.ndim != 2 or rows.shape != (len(names), len(pool.sides)):
        raise StatisticsError(f"{len(names)} names and {len(pool.sides)} sides do not fit groups of {rows.shape}")
    return rows
