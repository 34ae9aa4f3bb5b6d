"""P-values adjusted for how many were looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import check_choice

METHODS = ("holm", "benjamini-hochberg", "none")
_STATSMODELS_NAMES = {"holm": "holm", "benjamini-hochberg": "fdr_bh"}


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
        adjusted[index] = float(value)
    return adjusted


def _adjust(family: np.ndarray[tuple[int], np.dtype[np.float64]], method: str) -> Sequence[float]:
    if method == "none" or not len(family):
        return family.tolist()
    from statsmodels.stats.multitest import multipletests

    return list(multipletests(family, method=_STATSMODELS_NAMES[method])[1])
