"""The difference of two AUCs: of two groups, of two models, or of anything between."""

from __future__ import annotations

import math

from subgroup_audit.stats.components import AucComponents, auc_covariance, shared_persons
from subgroup_audit.stats.inputs import check_level
from subgroup_audit.stats.intervals import MIN_PERSONS, choose_limits, estimate_auc
from subgroup_audit.stats.limits import MoverLimits, two_sided_p
from subgroup_audit.stats.results import Estimate, GapEstimate, Status

_SEVERITY: tuple[Status, ...] = ("ok", "small", "degenerate", "not estimable")


def auc_gap(
    a: AucComponents,
    b: AucComponents,
    *,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> GapEstimate:
    """The AUC of `a` minus the AUC of `b`, with its interval and the p-value of no difference.

    The limits of both AUCs are joined by MOVER, with the correlation that DeLong's or Obuchowski's covariance
    gives: 0 where no person is in both cells, so that one call serves groups of different patients, models
    on the same images, and groups that share some patients. The p-value is the interval's own: it is below
    0.05 exactly where the 95 % interval excludes 0.

    Raises
    ------
    StatisticsError
        A cell without person keys: who is shared could only be guessed.
    """
    check_level(confidence_level)
    sides = [estimate_auc(cell, confidence_level=confidence_level, min_persons=min_persons) for cell in (a, b)]
    n_shared = shared_persons(a, b)
    n_patients = a.n_persons + b.n_persons - n_shared
    if not (a.is_estimable and b.is_estimable):
        return no_gap_estimate(*sides, n_patients=n_patients)
    correlation, error = _correlation(a, b) if n_shared else _uncorrelated(a, b)
    limits = MoverLimits(choose_limits(a)[0], choose_limits(b)[0], correlation)
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    status, reason = join_status(*sides)
    return GapEstimate(
        estimate=a.auc - b.auc,
        low=low,
        high=high,
        standard_error=error,
        confidence_level=confidence_level,
        method="MOVER with correlation" if n_shared else "MOVER",
        status=status,
        reason=reason,
        n_patients=n_patients,
        n_images=a.n_images + b.n_images,
        n_positive=a.n_positive + b.n_positive,
        n_negative=a.n_negative + b.n_negative,
        df=None,
        limits=limits,
        p_value=two_sided_p(limits, a.auc - b.auc, 0.0),
        correlation=correlation,
        minuend=sides[0],
        subtrahend=sides[1],
    )


def join_status(minuend: Estimate, subtrahend: Estimate) -> tuple[Status, str]:
    """The worse of the two sides' status, and both sides' reasons."""
    worst = max(minuend.status, subtrahend.status, key=_SEVERITY.index)
    named = (("minuend", minuend.reason), ("subtrahend", subtrahend.reason))
    return worst, "; ".join(f"{side}: {reason}" for side, reason in named if reason)


def no_gap_estimate(minuend: Estimate, subtrahend: Estimate, *, n_patients: int) -> GapEstimate:
    """A difference that cannot be had since one side cannot, with the reason."""
    _, reason = join_status(minuend, subtrahend)
    return GapEstimate(
        estimate=None,
        low=None,
        high=None,
        standard_error=None,
        confidence_level=minuend.confidence_level,
        method="none",
        status="not estimable",
        reason=reason,
        n_patients=n_patients,
        n_images=minuend.n_images + subtrahend.n_images,
        n_positive=minuend.n_positive + subtrahend.n_positive,
        n_negative=minuend.n_negative + subtrahend.n_negative,
        df=None,
        minuend=minuend,
        subtrahend=subtrahend,
    )


def correlation_of(variance_a: float, variance_b: float, covariance: float) -> float:
    """The correlation, held within -1 and 1; 0 where a variance is 0 or could not be estimated."""
    scale = math.sqrt(variance_a * variance_b) if variance_a > 0.0 and variance_b > 0.0 else 0.0
    return float(min(max(covariance / scale, -1.0), 1.0)) if scale > 0.0 and math.isfinite(covariance) else 0.0


def _correlation(a: AucComponents, b: AucComponents) -> tuple[float, float | None]:
    """The correlation of the two AUCs and the standard error of their difference."""
    covariance = auc_covariance([a, b])
    variance = covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1]
    correlation = correlation_of(covariance[0, 0], covariance[1, 1], covariance[0, 1])
    return correlation, _root(float(variance))


def _uncorrelated(a: AucComponents, b: AucComponents) -> tuple[float, float | None]:
    return 0.0, _root(sum(a.variance_terms()) + sum(b.variance_terms()))


def _root(variance: float) -> float | None:
    return math.sqrt(variance) if variance >= 0.0 else None
