"""The interval of one AUC: the default for every cell, and the named methods it is compared with."""

from __future__ import annotations

import math
from dataclasses import replace

from numpy.typing import ArrayLike

from subgroup_audit.stats.components import AucComponents, auc_components
from subgroup_audit.stats.inputs import check_choice, check_level
from subgroup_audit.stats.limits import AucLimits, LimitRule
from subgroup_audit.stats.results import Estimate, Status

METHODS = ("default", "delong", "logit", "newcombe5", "obuchowski", "hanley-mcneil")
MIN_PERSONS = 10

HYBRID = "logit-t DeLong (hybrid)"
CLUSTERED = "Obuchowski clustered logit-t"
NEWCOMBE = "Newcombe 5"


def auc_interval(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    person: ArrayLike | None = None,
    confidence_level: float = 0.95,
    method: str = "default",
    min_persons: int = MIN_PERSONS,
) -> Estimate:
    """One AUC with its interval.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    y_score : finite array, shape [n]
    person : array, shape [n], optional
        Who each image is of. Without it every image counts as a person of its own, and the interval is far
        too narrow if that is not so (image-level intervals at 3.5 images a person: 27 to 87 % coverage).
    confidence_level : float between 0 and 1
    method : {'default', 'delong', 'logit', 'newcombe5', 'obuchowski', 'hanley-mcneil'}
        'default' is the logit of the AUC +- a Welch-Satterthwaite t quantile times DeLong's standard error if
        nobody has two images, Obuchowski's clustered one on min(K+, K-) - 1 degrees of freedom if somebody
        has. Next to perfect separation it is Newcombe's method 5, and within one image of the smaller class the
        outer limits of both. The others are textbook forms, to compare:
        'delong' and 'hanley-mcneil' are Wald intervals.
    min_persons : int
        Fewer persons with a positive, or with a negative, image make the status 'small'.

    Raises
    ------
    StatisticsError
        As `auc_components`; or an unknown method or level.

    Examples
    --------
    >>> found = auc_interval([0] * 12 + [1] * 12, list(range(12)) + list(range(6, 18)))
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3), found.method
    (0.875, 0.657, 0.962, 'logit-t DeLong (hybrid)')
    """
    components = auc_components(y_true, y_score, person=person)
    return estimate_auc(components, confidence_level=confidence_level, method=method, min_persons=min_persons)


def estimate_auc(
    components: AucComponents,
    *,
    confidence_level: float = 0.95,
    method: str = "default",
    min_persons: int = MIN_PERSONS,
) -> Estimate:
    """The AUC and interval of placements already at hand: `auc_interval` without the sorting."""
    check_level(confidence_level)
    check_choice(method, METHODS, "method")
    if not components.is_estimable:
        return _not_estimable(components, confidence_level)
    limits, name = choose_limits(components, method)
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    status, reason = judge_cell(components, min_persons)
    return Estimate(
        estimate=components.auc,
        low=low,
        high=high,
        standard_error=limits.standard_error if math.isfinite(limits.standard_error) else None,
        confidence_level=confidence_level,
        method=name,
        status=status,
        reason=reason,
        n_patients=components.n_persons,
        n_images=components.n_images,
        n_positive=components.n_positive,
        n_negative=components.n_negative,
        df=limits.df if math.isfinite(limits.df) else None,
        limits=limits,
    )


def choose_limits(components: AucComponents, method: str = "default") -> tuple[AucLimits, str]:
    """The rule that bounds this cell's AUC, and the name that a report gives it."""
    if method == "newcombe5":
        return _newcombe5(components)
    if method == "hanley-mcneil":
        variance = hanley_mcneil_variance(components.auc, components.n_positive, components.n_negative)
        return _rule("wald", components, math.sqrt(variance), math.inf), "Hanley-McNeil"
    if method == "obuchowski" or (method == "default" and components.has_repeated_persons):
        return _clustered(components)
    positive, negative = _image_terms(components)
    error = math.sqrt(positive + negative)
    if method == "delong" and math.isfinite(error):
        return _rule("wald", components, error, math.inf), "DeLong"
    if not 0.0 < components.auc < 1.0 or not error > 0.0:
        return _newcombe5(components)
    if method == "logit":
        return _rule("logit", components, error, math.inf), "logit DeLong"
    if _is_at_end(components):
        return _newcombe5(components)
    df = satterthwaite((positive, components.n_positive - 1), (negative, components.n_negative - 1))
    return _default_rule(components, error, df), HYBRID


def judge_cell(components: AucComponents, min_persons: int = MIN_PERSONS) -> tuple[Status, str]:
    """How far this cell's interval is to be trusted, and the sentence that says why if not fully."""
    if not components.is_estimable:
        return "not estimable", _missing_class(components)
    positive, negative = components.n_persons_positive, components.n_persons_negative
    if components.auc in (0.0, 1.0):
        return "degenerate", (
            f"the scores separate all {components.n_positive} positives from all {components.n_negative} "
            f"negatives: the interval is Newcombe's method 5"
        )
    if not _variance(components) > 0.0:
        few = "one person has a positive" if positive < 2 else "one person has a negative"
        why = f"only {few} image" if min(positive, negative) < 2 else "the placements do not vary"
        return "degenerate", f"{why}: the interval is Newcombe's method 5"
    if min(positive, negative) < min_persons:
        return "small", (
            f"{positive} patients with a positive and {negative} with a negative image: "
            f"fewer than {min_persons} in a class"
        )
    return "ok", ""


def satterthwaite(*terms: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances, each given with its own (Welch-Satterthwaite); inf if all 0."""
    total = sum(variance for variance, _ in terms)
    share = sum(variance**2 / df for variance, df in terms if variance > 0.0)
    return total**2 / share if share > 0.0 else math.inf


def patient_df(cell: AucComponents) -> float:
    """Degrees of freedom of one cell's variance, 1 at least: Satterthwaite's, or by persons if they repeat."""
    few = min(cell.n_persons_positive, cell.n_persons_negative) - 1
    if cell.has_repeated_persons:
        return float(max(few, 1))
    positive, negative, _ = cell.variance_terms()
    if not positive + negative > 0.0:
        return float(max(few, 1))
    return satterthwaite((positive, cell.n_positive - 1), (negative, cell.n_negative - 1))


def hanley_mcneil_variance(value: float, n_positive: int, n_negative: int) -> float:
    """The exponential model's variance of an AUC (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747)."""
    q1, q2 = value / (2.0 - value), 2.0 * value**2 / (1.0 + value)
    spread = (n_positive - 1) * (q1 - value**2) + (n_negative - 1) * (q2 - value**2)
    return (value * (1.0 - value) + spread) / (n_positive * n_negative)


def _clustered(components: AucComponents) -> tuple[AucLimits, str]:
    variance = _variance(components)
    if not variance > 0.0 or _is_at_end(components):
        return _newcombe5(components)
    df = min(components.n_persons_positive, components.n_persons_negative) - 1
    return _default_rule(components, math.sqrt(variance), float(df)), CLUSTERED


def _newcombe5(components: AucComponents) -> tuple[AucLimits, str]:
    variance = _variance(components)
    error = math.sqrt(variance) if variance > 0.0 else math.nan
    return _rule("newcombe 5", components, error, math.inf), NEWCOMBE


def _rule(rule: LimitRule, components: AucComponents, error: float, df: float) -> AucLimits:
    m, n = components.n_persons_positive, components.n_persons_negative
    return AucLimits(rule, components.auc, error, df, m, n)


def _default_rule(components: AucComponents, error: float, df: float) -> AucLimits:
    """Logit limits, and not within Newcombe's where the smaller class has one image's room at most."""
    few = min(components.n_persons_positive, components.n_persons_negative)
    return replace(_rule("logit", components, error, df), spans_newcombe=is_near_end(components.auc, few))


def is_near_end(value: float, size: int) -> bool:
    """Whether an AUC is within one image (one person, if they repeat) of `size` of 0 or of 1."""
    return not 1.0 / size < value < 1.0 - 1.0 / size


def _is_at_end(components: AucComponents) -> bool:
    return is_near_end(components.auc, max(components.n_persons_positive, components.n_persons_negative))


def _variance(components: AucComponents) -> float:
    return sum(components.variance_terms())


def _image_terms(components: AucComponents) -> tuple[float, float]:
    """S10/m and S01/n with every image on its own, whoever it is of; nan for a single image."""
    positive = components.positive_placements - components.auc
    negative = components.negative_placements - components.auc
    m, n = len(positive), len(negative)
    return (
        float(positive @ positive) / (m * (m - 1)) if m > 1 else math.nan,
        float(negative @ negative) / (n * (n - 1)) if n > 1 else math.nan,
    )


def _missing_class(components: AucComponents) -> str:
    if not components.n_positive:
        return f"no positive among {components.n_negative} images: an AUC needs both classes"
    return f"no negative among {components.n_positive} images: an AUC needs both classes"


def _not_estimable(components: AucComponents, confidence_level: float) -> Estimate:
    return Estimate(
        estimate=None,
        low=None,
        high=None,
        standard_error=None,
        confidence_level=confidence_level,
        method="none",
        status="not estimable",
        reason=_missing_class(components),
        n_patients=components.n_persons,
        n_images=components.n_images,
        n_positive=components.n_positive,
        n_negative=components.n_negative,
        df=None,
    )
