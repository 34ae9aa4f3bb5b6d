"""How far several groups' AUCs lie apart, beyond what chance alone spreads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import AucComponents, auc_covariance
from subgroup_audit.stats.inputs import FloatArray


@dataclass(frozen=True)
class Spread:
    """The spread of k AUCs.

    Attributes
    ----------
    largest_gap : float
        Highest minus lowest AUC: grows with the number and the smallness of groups even where all are equal.
    observed_sd : float
        Standard deviation of the AUCs as they are.
    corrected_sd : float
        The same with the variance that chance explains taken off; 0 where chance explains all.
    p_value : float or None
        Of all k being equal (chi-squared on k - 1 degrees of freedom); None if the covariance is singular.
    """

    largest_gap: float
    observed_sd: float
    corrected_sd: float
    p_value: float | None


def auc_spread(components: Sequence[AucComponents]) -> Spread:
    """The spread of the cells' AUCs, with the part that chance explains taken off.

    Raises
    ------
    StatisticsError
        Fewer than two cells, one that is not estimable, or one without person keys.

    Notes
    -----
    The largest gap is biased upward (Lum, Zhang & Bower 2022, doi:10.1145/3531146.3533105); the corrected
    variance is the observed one minus the mean DeLong variance of a difference from the mean.
    """
    if len(components) < 2:
        raise StatisticsError(f"a spread needs two groups or more, not {len(components)}")
    missing = [index for index, cell in enumerate(components) if not cell.is_estimable]
    if missing:
        raise StatisticsError(f"a spread needs both classes in every group, but group {missing[0]} lacks one")
    return spread_of(np.array([cell.auc for cell in components]), auc_covariance(components))


def spread_of(values: FloatArray, covariance: FloatArray) -> Spread:
    """The spread of estimates, shape [k], from their covariance, shape [k, k]; as `auc_spread`."""
    k = len(values)
    # The expected sample variance of k equal means with this covariance.
    chance = (float(np.trace(covariance)) - float(covariance.sum()) / k) / (k - 1)
    observed = float(values.var(ddof=1))
    return Spread(
        largest_gap=float(values.max() - values.min()),
        observed_sd=math.sqrt(observed),
        corrected_sd=math.sqrt(max(observed - chance, 0.0)),
        p_value=_equality_p(values, covariance),
    )


def _equality_p(values: FloatArray, covariance: FloatArray) -> float | None:
    from scipy.special import chdtrc

    contrasts = np.eye(len(values))[1:] - np.eye(len(values))[:1]
    spread = contrasts @ covariance @ contrasts.T
    if not np.isfinite(spread).all() or np.linalg.matrix_rank(spread) < len(spread):
        return None
    differences = contrasts @ values
    return float(chdtrc(len(spread), differences @ np.linalg.solve(spread, differences)))
