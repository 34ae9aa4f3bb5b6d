"""P-values adjusted for how many were looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import FloatArray, check_choice

METHODS = ("holm", "benjamini-hochberg", "none")


def adjust_p_values(p_values: Sequence[float | None], method: str = "holm") -> list[float | None]:
    """The adjusted p-values, in the order given; a missing one stays None and does not count.

    Parameters
    ----------
    p_values : sequence of float or None
        None (or nan) for a comparison that could not be made: it is not part of the family.
    method : {'holm', 'benjamini-hochberg', 'none'}
        Holm 1979 bounds the chance of any false gap; Benjamini & Hochberg 1995 the expected share of false
        ones among those found.

    Raises
    ------
    StatisticsError
        A p-value outside 0 to 1, or an unknown method.

    Examples
    --------
    >>> adjust_p_values([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    check_choice(method, METHODS, "method")
    made = [index for index, p in enumerate(p_values) if p is not None and not np.isnan(p)]
    family = np.array([p_values[index] for index in made], dtype=np.float64)
    if ((family < 0.0) | (family > 1.0)).any():
        bad = family[(family < 0.0) | (family > 1.0)][0]
        raise StatisticsError(f"a p-value must lie between 0 and 1, not {bad}")
    adjusted: list[float | None] = [None] * len(p_values)
    for index, value in zip(made, _adjust(family, method), strict=True):
        adjusted[index] = value
    return adjusted


def _adjust(family: FloatArray, method: str) -> list[float]:
    """As statsmodels' multipletests has it, without its import."""
    if method == "none" or not len(family):
        return [float(value) for value in family]
    order, n = np.argsort(family, kind="stable"), len(family)
    if method == "holm":
        stepped = np.maximum.accumulate(family[order] * np.arange(n, 0, -1))
    else:
        shares = np.arange(1, n + 1) / float(n)
        stepped = np.minimum.accumulate((family[order] / shares)[::-1])[::-1]
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
