"""Rates, calibration and average precision averaged over training seeds, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.bounds import LogitLimits, WilsonLimits
from subgroup_audit.stats.gaps import correlation_of, join_status, no_gap_estimate
from subgroup_audit.stats.inputs import FloatArray, check_choice
from subgroup_audit.stats.intervals import satterthwaite
from subgroup_audit.stats.limits import BoundedEstimate, MoverLimits, WaldLimits, two_sided_p
from subgroup_audit.stats.measurement import Measurement, Overlap, measurement_gap, overlap_of
from subgroup_audit.stats.results import Estimate, GapEstimate

Scale = Literal["share", "logit", "free", "outer"]
SCALES: tuple[Scale, ...] = ("share", "logit", "free", "outer")
OUTER = "outer limits of the seeds' own"


@dataclass(frozen=True)
class OuterLimits:
    """The lowest lower and the highest upper limit of several fits' own intervals, around the fits' mean."""

    estimate: float
    parts: tuple[BoundedEstimate, ...]

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit, each fit's own at this tail."""
        ends = [part.at_tail(tail) for part in self.parts]
        return min(low for low, _ in ends), max(high for _, high in ends)


@dataclass(frozen=True, eq=False)
class SeedAverage:
    """The mean over training seeds of one number on the same images.

    Attributes
    ----------
    found : Estimate
        The mean with its interval; for one seed, that fit's own.
    by_seed : each fit's number, in the order of the seeds
    """

    found: Estimate
    by_seed: tuple[Measurement, ...]

    @property
    def values(self) -> FloatArray:
        """Each fit's number; nan where it cannot be had."""
        found = [one.found.estimate for one in self.by_seed]
        return np.array([math.nan if value is None else value for value in found])

    @property
    def seed_sd(self) -> float | None:
        """Standard deviation from seed to seed; None for one seed, or where a fit has no number."""
        values = self.values
        return float(values.std(ddof=1)) if len(values) > 1 and np.isfinite(values).all() else None

    @cached_property
    def pulls(self) -> FloatArray:
        """Each person's influence on each fit's number, scaled so that the squares add up to its variance."""
        raw = np.stack([one.pull() for one in self.by_seed])
        squares = (raw**2).sum(axis=1)
        errors = np.array([one.found.standard_error or 0.0 for one in self.by_seed])
        factors = np.divide(errors, np.sqrt(squares), out=np.zeros_like(errors), where=squares > 0.0)
        return np.asarray(raw * factors[:, None])


def measure_over_seeds(by_seed: Sequence[Measurement], *, scale: Scale) -> SeedAverage:
    """The mean of one number over fits that differ in their training seed alone, scored on the same images.

    With two seeds or more the variance is that of `average_over_seeds`, V = c + max(s^2, v - c) / S, the
    covariance of two fits' numbers being that of their person pulls.

    Parameters
    ----------
    by_seed : one measurement a seed, of the same persons and images
    scale : {'share', 'logit', 'free', 'outer'}
        How the limits are put: Wilson's form on the images that make p (1 - p) / n the variance (never more than
        one fit's); on the logit scale; on the number's own scale; or the outer limits of the fits' own, for a
        number whose limits are inverted from its distribution (the calibration error).

    Raises
    ------
    StatisticsError
        No seed, seeds of different persons, or an unknown scale.
    """
    check_choice(scale, SCALES, "scale")
    if not by_seed:
        raise StatisticsError("by_seed is empty: there is no seed to average over")
    first = by_seed[0]
    if any(not np.array_equal(one.persons, first.persons) for one in by_seed[1:]):
        raise StatisticsError("all seeds must be scored on the same images, but their persons differ")
    average = SeedAverage(first.found, tuple(by_seed))
    if len(by_seed) == 1:
        return average
    missing = [one.found for one in by_seed if one.found.estimate is None]
    if missing:
        return SeedAverage(_not_estimable(missing, len(by_seed)), tuple(by_seed))
    return SeedAverage(_averaged(average, scale), tuple(by_seed))


def _not_estimable(missing: Sequence[Estimate], n_seeds: int) -> Estimate:
    reason = missing[0].reason
    if len(missing) < n_seeds:
        reason = f"in {len(missing)} of {n_seeds} seeds: {reason}"
    return replace(missing[0], reason=reason)


def _averaged(average: SeedAverage, scale: Scale) -> Estimate:
    worst = max((one.found for one in average.by_seed), key=lambda found: _SEVERITY.index(found.status))
    variance, df = seed_variance(average.values, average.pulls, _person_df(average))
    limits = _limits(average, scale, variance, df)
    low, high = limits.at_tail((1.0 - worst.confidence_level) / 2.0)
    method = OUTER if scale == "outer" else f"{worst.method}; crossed seeds x patients"
    return replace(
        worst,
        estimate=float(average.values.mean()),
        low=low,
        high=high,
        standard_error=math.sqrt(variance) if variance >= 0.0 else None,
        df=df if math.isfinite(df) else None,
        method=method,
        limits=limits,
    )


_SEVERITY = ("ok", "small", "degenerate", "not estimable")


def _person_df(average: SeedAverage) -> float:
    dfs = [one.found.df or math.inf for one in average.by_seed]
    return len(dfs) / sum(1.0 / df for df in dfs) if any(math.isfinite(df) for df in dfs) else math.inf


def seed_variance(values: FloatArray, pulls: FloatArray, person_df: float) -> tuple[float, float]:
    """The variance of a mean over seeds and its degrees of freedom, from each fit's person pulls [S, K].

    Patients add c, the mean covariance of two fits; seeds add max(s^2, v - c) / S, v being a fit's own variance
    (docs/statistics.md, section 4). `pulls` squared and summed over persons must be the fit's variance.
    """
    n_seeds = len(values)
    own = float((pulls**2).sum(axis=1).mean())
    if n_seeds == 1:
        return own, person_df
    total = float((pulls.sum(axis=0) ** 2).sum())
    between = max((total - n_seeds * own) / (n_seeds * (n_seeds - 1)), 0.0)
    return joined_variance(between, own, float(values.var(ddof=1)), n_seeds, person_df)


def joined_variance(
    between: float, own: float, spread: float, n_seeds: int, person_df: float
) -> tuple[float, float]:
    """c + max(s^2, v - c) / S with Satterthwaite's degrees of freedom; `between` is c, `own` v, `spread` s^2."""
    least = max(own - between, 0.0)
    seeds = (spread / n_seeds, n_seeds - 1.0) if spread >= least else (least / n_seeds, person_df)
    return between + seeds[0], satterthwaite((between, person_df), seeds)


def _limits(average: SeedAverage, scale: Scale, variance: float, df: float) -> BoundedEstimate:
    mean = float(average.values.mean())
    own: list[BoundedEstimate] = [one.found.limits for one in average.by_seed]  # type: ignore[misc]
    if scale == "outer":
        return OuterLimits(mean, tuple(own))
    if scale == "free":
        return WaldLimits(mean, math.sqrt(variance), df)
    wilson = [limits for limits in own if isinstance(limits, WilsonLimits)]
    has_spread = variance > 0.0 and 0.0 < mean < 1.0
    if scale == "logit" and has_spread:
        return LogitLimits(mean, math.sqrt(variance), df)
    if not has_spread:
        return WilsonLimits(mean, min(limits.n_effective for limits in wilson), min(lim.df for lim in wilson))
    return WilsonLimits(mean, min(mean * (1.0 - mean) / variance, max(one.n_effective for one in wilson)), df)


def gap_over_seeds(
    a: SeedAverage, b: SeedAverage, *, overlap: Overlap | None = None, confidence_level: float = 0.95
) -> GapEstimate:
    """The mean of `a` minus that of `b`, of the same fits on two groups, with its interval.

    Seeds are paired: the difference has the variance of the S differences (section 4). The limits are MOVER's
    from both sides' limits, with the correlation that gives the difference this variance. For one seed this is
    `measurement_gap`.

    Raises
    ------
    StatisticsError
        Unequal numbers of seeds.
    """
    if len(a.by_seed) != len(b.by_seed):
        raise StatisticsError(f"paired seeds must be of one number, not {len(a.by_seed)} and {len(b.by_seed)}")
    shared = overlap_of(a.by_seed[0].persons, b.by_seed[0].persons) if overlap is None else overlap
    if len(a.by_seed) == 1:
        return measurement_gap(a.by_seed[0], b.by_seed[0], overlap=shared, confidence_level=confidence_level)
    n_patients = a.found.n_patients + b.found.n_patients - shared.n_shared
    empty = no_gap_estimate(a.found, b.found, n_patients=n_patients)
    if a.found.estimate is None or b.found.estimate is None:
        return empty
    variance, correlation = _difference(a, b, shared)
    limits = MoverLimits(a.found.limits, b.found.limits, correlation)  # type: ignore[arg-type]
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    status, reason = join_status(a.found, b.found)
    return replace(
        empty,
        estimate=limits.estimate,
        low=low,
        high=high,
        standard_error=math.sqrt(variance),
        confidence_level=confidence_level,
        method="MOVER, crossed seeds x patients",
        status=status,
        reason=reason,
        limits=limits,
        correlation=correlation,
        p_value=two_sided_p(limits, limits.estimate, 0.0),
    )


def _difference(a: SeedAverage, b: SeedAverage, shared: Overlap) -> tuple[float, float]:
    """The variance of the difference of two means over the same seeds, and the correlation that it implies."""
    n_seeds = len(a.by_seed)
    sides = [seed_variance(side.values, side.pulls, math.inf)[0] for side in (a, b)]
    own, between = 0.0, 0.0
    for side in (a, b):
        mine, cross = _split(side.pulls @ side.pulls.T)
        own, between = own + mine, between + cross
    if shared.n_shared:
        mine, cross = _split(shared.dot(a.pulls, b.pulls))
        own, between = own - 2.0 * mine, between - 2.0 * cross
    spread = float((a.values - b.values).var(ddof=1))
    variance, _ = joined_variance(max(between, 0.0), max(own, 0.0), spread, n_seeds, math.inf)
    return variance, correlation_of(sides[0], sides[1], (sides[0] + sides[1] - variance) / 2.0)


def _split(covariance: FloatArray) -> tuple[float, float]:
    """Mean on the diagonal, and off it."""
    is_same = np.eye(len(covariance), dtype=bool)
    return float(covariance[is_same].mean()), float(covariance[~is_same].mean())
