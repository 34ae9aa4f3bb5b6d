"""Rules that give the limits of one AUC, or of a difference, at any confidence level."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from subgroup_audit.stats.results import Limits

LimitRule = Literal["wald", "logit", "newcombe 5"]

# The smallest tail that a p-value is searched in, as a power of e: below, the p-value is given as 0.
_LOG_SMALLEST_TAIL = -690.0


class BoundedEstimate(Limits, Protocol):
    """Limits that know the estimate which they are around."""

    @property
    def estimate(self) -> float:
        """The estimate."""
        ...


@dataclass(frozen=True)
class AucLimits:
    """Limits of one AUC.

    `rule` 'wald' is estimate +- t SE, cut to 0..1; 'logit' the same on the logit scale; 'newcombe 5' Newcombe's
    method 5 on `n_positive` and `n_negative`, which needs no standard error. `df` inf means the normal.
    With `spans_newcombe` the limits are the outer ones of the logit's and of Newcombe's.
    """

    rule: LimitRule
    estimate: float
    standard_error: float
    df: float
    n_positive: int
    n_negative: int
    spans_newcombe: bool = False

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        if self.rule == "newcombe 5":
            return newcombe5_limits(self.estimate, self.n_positive, self.n_negative, normal_quantile(tail))
        reach = t_quantile(tail, self.df) * self.standard_error
        if self.rule == "wald":
            return max(self.estimate - reach, 0.0), min(self.estimate + reach, 1.0)
        reach /= self.estimate * (1.0 - self.estimate)
        middle = math.log(self.estimate / (1.0 - self.estimate))
        low, high = _expit(middle - reach), _expit(middle + reach)
        if not self.spans_newcombe:
            return low, high
        outer = newcombe5_limits(self.estimate, self.n_positive, self.n_negative, normal_quantile(tail))
        return min(low, outer[0]), max(high, outer[1])


@dataclass(frozen=True)
class MoverLimits:
    """Limits of a difference of two estimates from the limits of each (method of variance estimates recovery).

    For independent estimates Newcombe 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I. With a correlation r above 0, the
    square of the reach is

        (1 - r) (x^2 + y^2) + r max(|x_a - x_b|, |y_a - y_b|)^2

    where x and y are the distances of the two opposite limits (lower of a, upper of b), and x_a, x_b (y_a, y_b)
    those of the two lower (upper) ones. Zou 2007, doi:10.1037/1082-989X.12.4.399, has (x - y)^2 in the last
    term: the same for symmetric limits, but for those of AUCs it leaves a model that is compared with itself
    an interval of several points, and falls to 91 % coverage for nearly equal models.
    """

    minuend: BoundedEstimate
    subtrahend: BoundedEstimate
    correlation: float

    @property
    def estimate(self) -> float:
        """Minuend minus subtrahend."""
        return self.minuend.estimate - self.subtrahend.estimate

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        a, b = self.minuend.estimate, self.subtrahend.estimate
        low_a, high_a = self.minuend.at_tail(tail)
        low_b, high_b = self.subtrahend.at_tail(tail)
        together = self._reach_together(tail) if self.correlation > 0.0 else 0.0
        return (
            a - b - _joint_reach(a - low_a, high_b - b, together, self.correlation),
            a - b + _joint_reach(high_a - a, b - low_b, together, self.correlation),
        )

    def _reach_together(self, tail: float) -> float:
        """How far the difference reaches when both estimates move as one, from limits of one rule on each side.

        Outer limits of two rules would not do: wider limits of one side, nearer to the other's, reach less.
        """
        a, b = self.minuend.estimate, self.subtrahend.estimate
        low_a, high_a = _of_one_rule(self.minuend).at_tail(tail)
        low_b, high_b = _of_one_rule(self.subtrahend).at_tail(tail)
        return max(abs((a - low_a) - (b - low_b)), abs((high_a - a) - (high_b - b)))


@dataclass(frozen=True)
class WaldLimits:
    """Estimate +- t SE on `df` degrees of freedom, uncut."""

    estimate: float
    standard_error: float
    df: float

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        reach = t_quantile(tail, self.df) * self.standard_error
        return self.estimate - reach, self.estimate + reach


def two_sided_p(limits: Limits, estimate: float, null: float) -> float:
    """One minus the highest confidence level at which the interval leaves `null` out (0 to 1).

    The test is thus the interval's own: p < 0.05 exactly where the 95 % interval excludes `null`.
    """
    if estimate == null:
        return 1.0
    side = 0 if estimate > null else 1
    return 2.0 * one_sided_tail(limits, null, side)


def one_sided_tail(limits: Limits, null: float, side: int) -> float:
    """The tail (0 to 0.5) at which the lower (side 0) or upper (side 1) limit reaches `null`.

    0.5 if `null` lies on the other side of the estimate.
    """
    sign = 1.0 if side == 0 else -1.0
    low, high = _LOG_SMALLEST_TAIL, math.log(0.5)

    def excess(log_tail: float) -> float:
        return sign * (limits.at_tail(math.exp(log_tail))[side] - null)

    if excess(low) > 0.0:
        return 0.0
    if excess(high) <= 0.0:
        return 0.5
    while high - low > 1e-12 * max(1.0, -low):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excess(middle) > 0.0 else (middle, high)
    return math.exp(0.5 * (low + high))


def newcombe5_limits(estimate: float, n_positive: int, n_negative: int, z: float) -> tuple[float, float]:
    """Limits of Newcombe's method 5 (2006, doi:10.1002/sim.2324): theta with |A - theta| = z sqrt(V(theta)).

    V(theta) = theta (1 - theta) (1 + (N - 1) ((1 - theta)/(2 - theta) + theta/(1 + theta))) / (m n) with
    N = (m + n)/2 is the exponential model's variance, so that perfect separation still has a width.
    """
    return (
        _newcombe5_limit(estimate, n_positive, n_negative, z, end=0.0),
        _newcombe5_limit(estimate, n_positive, n_negative, z, end=1.0),
    )


def newcombe5_variance(theta: float, n_positive: int, n_negative: int) -> float:
    """The variance of an AUC of `theta` that Newcombe's method 5 supposes."""
    spread = (1.0 - theta) / (2.0 - theta) + theta / (1.0 + theta)
    size = (n_positive + n_negative) / 2.0
    return theta * (1.0 - theta) * (1.0 + (size - 1.0) * spread) / (n_positive * n_negative)


def normal_quantile(tail: float) -> float:
    """The standard normal's distance from 0 that leaves `tail` beyond it."""
    from scipy.special import ndtri

    return -float(ndtri(tail))


def t_quantile(tail: float, df: float) -> float:
    """Student's t's distance from 0 that leaves `tail` beyond it; the normal's where `df` is inf."""
    if math.isinf(df):
        return normal_quantile(tail)
    from scipy.special import stdtrit

    return -float(stdtrit(df, tail))


def _newcombe5_limit(estimate: float, n_positive: int, n_negative: int, z: float, *, end: float) -> float:
    inside, outside = estimate, end
    if inside == outside:
        return end
    for _ in range(100):
        theta = 0.5 * (inside + outside)
        is_inside = abs(estimate - theta) <= z * math.sqrt(newcombe5_variance(theta, n_positive, n_negative))
        inside, outside = (theta, outside) if is_inside else (inside, theta)
        if abs(outside - inside) < 1e-15:
            break
    return 0.5 * (inside + outside)


def _of_one_rule(limits: BoundedEstimate) -> BoundedEstimate:
    return replace(limits, spans_newcombe=False) if isinstance(limits, AucLimits) else limits


def _joint_reach(x: float, y: float, together: float, correlation: float) -> float:
    """How far two distances reach when they add up; `together` is how far when both estimates move as one."""
    if correlation <= 0.0:
        return math.sqrt(x * x + y * y - 2.0 * correlation * x * y)
    return math.sqrt((1.0 - correlation) * (x * x + y * y) + correlation * together * together)


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
