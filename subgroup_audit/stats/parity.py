"""Differences and ratios between the largest and the smallest rate of several groups, with simultaneous limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np

from subgroup_audit.stats.inputs import check_choice, check_level
from subgroup_audit.stats.limits import BoundedEstimate, MoverLimits
from subgroup_audit.stats.measurement import (
    Counts,
    Measurement,
    Overlap,
    build_estimate,
    overlap_of,
    pull_correlation,
)
from subgroup_audit.stats.rates import Outcomes, measure_rate
from subgroup_audit.stats.results import Estimate, Status

# Rates that each notion of parity compares.
_COMPARES = MappingProxyType(
    {
        "demographic_parity": ("selection_rate",),
        "equalized_odds": ("sensitivity", "false_positive_rate"),
        "equal_opportunity": ("sensitivity",),
    }
)
PARITIES = tuple(f"{notion}_{form}" for notion in _COMPARES for form in ("difference", "ratio"))
_SEVERITY: tuple[Status, ...] = ("ok", "small", "degenerate", "not estimable")


def parity_rates(metric: str) -> tuple[str, ...]:
    """The rates that a parity metric compares, by the names of `rate_interval`."""
    return _COMPARES[check_choice(metric, PARITIES, "metric").rpartition("_")[0]]


def measure_parity(
    groups: Sequence[tuple[str, Outcomes]], metric: str, *, confidence_level: float = 0.95, min_persons: int = 10
) -> Estimate:
    """One parity metric over all groups of an attribute: as fairlearn has it, with limits.

    Parameters
    ----------
    groups : name and decisions of each group
    metric : one of `PARITIES`
        'demographic_parity_difference' is the largest selection rate minus the smallest, '..._ratio' the
        smallest over the largest; 'equal_opportunity' is of the sensitivity; 'equalized_odds' the worse of
        sensitivity and false-positive rate (the larger difference, the smaller ratio).

    Returns
    -------
    Estimate
        'not estimable' where a group lacks what a rate is a share of, since the smallest rate of the others is
        another number, and a difference over fewer groups would look like parity.

    Raises
    ------
    StatisticsError
        An unknown metric or level.

    Notes
    -----
    Definitions as in fairlearn.metrics; Hardt, Price & Srebro 2016, arXiv:1610.02413. The largest difference of
    several groups is biased upward: it is above 0 where all rates are equal. Its limits are therefore
    simultaneous: all pairs of groups (of both rates, for equalised odds) have MOVER limits at the level divided
    by their number (Bonferroni), and the largest difference lies between the largest lower and the largest
    upper one. So the interval covers at least as often as it says, and holds 0 where no pair differs. Ratios:
    the same with MOVER on the logarithm (Zou & Donner 2008, doi:10.1002/sim.3095), or where a rate is 0 the
    two limits that are furthest apart.
    """
    return measure_parities(groups, (metric,), confidence_level=confidence_level, min_persons=min_persons)[metric]


def measure_parities(
    groups: Sequence[tuple[str, Outcomes]],
    metrics: Sequence[str] = PARITIES,
    *,
    confidence_level: float = 0.95,
    min_persons: int = 10,
) -> dict[str, Estimate]:
    """Several parity metrics of the same groups: `measure_parity`, with each rate measured once."""
    check_level(confidence_level)
    counts = _counts(groups)
    needed = dict.fromkeys(rate for metric in metrics for rate in parity_rates(metric))
    rates = {
        rate: [
            measure_rate(o, rate, confidence_level=confidence_level, min_persons=min_persons) for _, o in groups
        ]
        for rate in needed
    }
    overlaps = {
        (i, j): overlap_of(groups[i][1].ranked.persons, groups[j][1].ranked.persons)
        for i, j in combinations(range(len(groups)), 2)
    }
    found = {}
    for metric in metrics:
        chosen = {rate: rates[rate] for rate in parity_rates(metric)}
        found[metric] = _measure(groups, metric, chosen, overlaps, counts, confidence_level)
    return found


_Rates = Mapping[str, Sequence[Measurement]]
_Overlaps = Mapping[tuple[int, int], Overlap]


def _measure(
    groups: Sequence[tuple[str, Outcomes]],
    metric: str,
    rates: _Rates,
    overlaps: _Overlaps,
    counts: Counts,
    confidence_level: float,
) -> Estimate:
    reason = _missing(groups, rates) or _no_ratio(metric, rates)
    if reason:
        return build_estimate(None, counts, confidence_level=confidence_level, reason=reason)
    compare = _ratio if metric.endswith("ratio") else _difference
    pairs = [
        compare(measured[i], measured[j], pull_correlation(measured[i], measured[j], overlap))
        for measured in rates.values()
        for (i, j), overlap in overlaps.items()
    ]
    limits = ExtremeLimits(tuple(pairs), metric.endswith("ratio"))
    status, reason = _judge(groups, rates)
    return build_estimate(
        limits,
        counts,
        confidence_level=confidence_level,
        method=f"simultaneous over {limits.n_pairs} pairs (Bonferroni), MOVER",
        status=status,
        reason=reason,
    )


Pair = tuple[float, Callable[[float], tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class ExtremeLimits:
    """Limits of the largest (or, for ratios, the smallest) of several pairs' comparisons."""

    pairs: tuple[Pair, ...]
    is_ratio: bool

    @property
    def n_pairs(self) -> int:
        """Pairs that the level is divided between."""
        return len(self.pairs)

    @property
    def estimate(self) -> float:
        """The largest difference, or the smallest ratio."""
        values = [value for value, _ in self.pairs]
        return min(values) if self.is_ratio else max(values)

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave at most `tail` outside on each side."""
        found = [at_tail(tail / self.n_pairs) for _, at_tail in self.pairs]
        if self.is_ratio:
            return min(low for low, _ in found), min(min(high for _, high in found), 1.0)
        return max(max(low for low, _ in found), 0.0), max(high for _, high in found)


def _difference(a: Measurement, b: Measurement, correlation: float) -> Pair:
    """The larger rate minus the smaller one; its limits are those of the absolute difference."""
    one, other = a.found.limits, b.found.limits
    limits = MoverLimits(one, other, correlation)  # type: ignore[arg-type]

    def at_tail(tail: float) -> tuple[float, float]:
        low, high = limits.at_tail(tail)
        return max(low, -high, 0.0), max(-low, high)

    return abs(limits.estimate), at_tail


def _ratio(a: Measurement, b: Measurement, correlation: float) -> Pair:
    """The smaller rate over the larger one; its limits are those of whichever way round is below 1."""
    p, q = float(a.found.estimate or 0.0), float(b.found.estimate or 0.0)

    def at_tail(tail: float) -> tuple[float, float]:
        low, high = _ratio_limits(a.found, b.found, correlation, tail)
        inverse = (0.0 if math.isinf(high) else 1.0 / high), (1.0 / low if low > 0.0 else math.inf)
        upper = 1.0 if low <= 1.0 <= high else min(high, inverse[1])
        return min(low, inverse[0]), min(upper, 1.0)

    return (min(p, q) / max(p, q) if max(p, q) > 0.0 else 1.0), at_tail


def _ratio_limits(a: Estimate, b: Estimate, correlation: float, tail: float) -> tuple[float, float]:
    """Limits of rate a over rate b: MOVER on the logarithm, or the outermost where a rate is 0."""
    if a.limits is None or b.limits is None or a.estimate is None or b.estimate is None:
        return 0.0, math.inf
    if a.estimate > 0.0 and b.estimate > 0.0:
        mover = MoverLimits(_Log(a.estimate, a.limits), _Log(b.estimate, b.limits), correlation)  # type: ignore[arg-type]
        low, high = mover.at_tail(tail)
        return math.exp(low), math.exp(min(high, 700.0))
    low_a, high_a = a.limits.at_tail(tail)
    low_b, high_b = b.limits.at_tail(tail)
    return (low_a / high_b if high_b > 0.0 else 0.0), (high_a / low_b if low_b > 0.0 else math.inf)


@dataclass(frozen=True, eq=False)
class _Log:
    """The logarithm of a rate above 0."""

    value: float
    inner: BoundedEstimate

    @property
    def estimate(self) -> float:
        return math.log(self.value)

    def at_tail(self, tail: float) -> tuple[float, float]:
        low, high = self.inner.at_tail(tail)
        return math.log(max(low, 1e-300)), math.log(max(high, 1e-300))


def _counts(groups: Sequence[tuple[str, Outcomes]]) -> Counts:
    """All groups added up; a person in two of them counts once."""
    ranked = [outcomes.ranked for _, outcomes in groups]
    keys = np.sort(np.concatenate([one.persons for one in ranked])) if ranked else np.empty(0)
    n_persons = int(np.count_nonzero(keys[1:] != keys[:-1])) + bool(len(keys))
    return Counts(
        n_persons,
        sum(one.n_images for one in ranked),
        sum(one.n_positive for one in ranked),
        sum(one.n_negative for one in ranked),
    )


def _missing(groups: Sequence[tuple[str, Outcomes]], rates: _Rates) -> str:
    """Which groups lack a rate, and why; '' if none does."""
    found = [
        f"{name}: {measured.found.reason}"
        for of_groups in rates.values()
        for (name, _), measured in zip(groups, of_groups, strict=True)
        if measured.found.estimate is None
    ]
    if len(groups) < 2:
        return "there is only one group: nothing to compare"
    return "; ".join(dict.fromkeys(found))


def _no_ratio(metric: str, rates: _Rates) -> str:
    if not metric.endswith("ratio"):
        return ""
    zero = [
        rate for rate, of_groups in rates.items() if not any(measured.found.estimate for measured in of_groups)
    ]
    return f"the {' and the '.join(zero)} is 0 in every group: a ratio cannot be had" if zero else ""


def _judge(groups: Sequence[tuple[str, Outcomes]], rates: _Rates) -> tuple[Status, str]:
    """The worst status of the groups, and which of them it is of."""
    found = [
        (measured.found.status, f"{name}: {measured.found.reason}")
        for of_groups in rates.values()
        for (name, _), measured in zip(groups, of_groups, strict=True)
        if measured.found.status != "ok"
    ]
    worst: Status = max((status for status, _ in found), key=_SEVERITY.index, default="ok")
    return worst, "; ".join(dict.fromkeys(reason for _, reason in found))
