"""Rules that give the limits of a rate, a mean or a slope at any confidence level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from subgroup_audit.stats.limits import BoundedEstimate, t_quantile

# Quantiles of one degree of freedom reach 1e298 in the tails that p-values are searched in.
_FARTHEST = 1e60


@dataclass(frozen=True)
class WilsonLimits:
    """Wilson's score limits of a proportion on `n_effective` independent cases.

    Wilson 1927, doi:10.1080/01621459.1927.10502953. Where persons repeat, `n_effective` is what makes
    p (1 - p) / n the person-clustered variance, and the quantile is Student's on `df` (Franco, Little, Louis &
    Slud 2019, PMC6690503, who recommend this form). At 0 and 1 the interval still has a width.
    """

    estimate: float
    n_effective: float
    df: float

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        # With few persons the square of a quantile far out is beyond any float; the limits are then 0 and 1.
        p, n, square = self.estimate, self.n_effective, min(t_quantile(tail, self.df), 1e60) ** 2
        middle = (p + square / (2.0 * n)) / (1.0 + square / n)
        reach = math.sqrt(square * (p * (1.0 - p) / n + square / (4.0 * n * n))) / (1.0 + square / n)
        return (0.0 if p == 0.0 else max(middle - reach, 0.0)), (1.0 if p == 1.0 else min(middle + reach, 1.0))


@dataclass(frozen=True)
class LogitLimits:
    """logit(estimate) +- t SE / (estimate (1 - estimate)), on `df` degrees of freedom: never outside 0..1."""

    estimate: float
    standard_error: float
    df: float

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        reach = t_quantile(tail, self.df) * self.standard_error / (self.estimate * (1.0 - self.estimate))
        middle = math.log(self.estimate / (1.0 - self.estimate))
        return _expit(middle - reach), _expit(middle + reach)


@dataclass(frozen=True)
class MappedLimits:
    """Limits of a rising function of a number, from that number's own: covers exactly as often."""

    inner: BoundedEstimate
    rising: Callable[[float], float] = field(compare=False)

    @property
    def estimate(self) -> float:
        """The function of the inner estimate."""
        return self.rising(self.inner.estimate)

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        low, high = self.inner.at_tail(tail)
        return self.rising(low), self.rising(high)


@dataclass(frozen=True)
class ScaledLimits:
    """Limits of a number times a factor of 0 or more."""

    inner: BoundedEstimate
    factor: float

    @property
    def estimate(self) -> float:
        """The inner estimate times the factor."""
        return self.inner.estimate * self.factor

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` outside on each side."""
        low, high = self.inner.at_tail(tail)
        return low * self.factor, high * self.factor


def _expit(x: float) -> float:
    if x < -700.0:
        return 0.0
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
