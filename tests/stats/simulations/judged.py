"""What every simulation shares: rates over many data sets, and how an interval is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from subgroup_audit.stats import bootstrap_interval

Rates = dict[str, float]
OneSet = Callable[[], Rates | None]

RATIO = "width ratio"


def holds(interval, truth) -> float:
    """1 if the interval holds the truth."""
    return float(interval.low <= truth <= interval.high)


def within(limits: tuple[float, float], truth: float) -> float:
    """1 if the two limits hold the truth."""
    return float(limits[0] <= truth <= limits[1])


def beside_bootstrap(found, replicates: np.ndarray, truth: float) -> Rates:
    """Coverage and width of a default interval and of the percentile interval of the same data."""
    percentile = bootstrap_interval(replicates, found.estimate)
    return {
        "default": holds(found, truth),
        "percentile": holds(percentile, truth),
        "width": found.high - found.low,
        "width, percentile": percentile.high - percentile.low,
    }


def average(one_set: OneSet, n_sets: int) -> Rates:
    """The mean of each rate over the data sets, and the ratio of the mean widths.

    Sets that are None (a class missing) do not count.
    """
    found = [rates for rates in (one_set() for _ in range(n_sets)) if rates is not None]
    means = {name: float(np.mean([rates[name] for rates in found])) for name in found[0]}
    return _with_ratio(means)


def _with_ratio(means: Mapping[str, float]) -> Rates:
    """The same columns, with that of the two widths' ratio behind the second."""
    out: Rates = {}
    for name, value in means.items():
        out[name] = value
        if name == "width, percentile":
            out[RATIO] = means["width"] / value if value > 0.0 else math.inf
    return out


def at_least(rate: float, nominal: float, n_sets: int) -> bool:
    """Whether a rate is no less than `nominal`, but for three standard errors of chance."""
    return rate >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / n_sets)


def at_most(rate: float, nominal: float, n_sets: int) -> bool:
    """Whether a rate is no more than `nominal`, but for three standard errors of chance."""
    return rate <= nominal + 3 * math.sqrt(nominal * (1 - nominal) / n_sets)
