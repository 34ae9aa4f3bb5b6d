"""All numbers of one group's images of one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from subgroup_audit.checking.operating import NO_THRESHOLD, OperatingPoint
from subgroup_audit.checking.samples import Sample
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.average_precision import measure_average_precision
from subgroup_audit.stats.calibration import CALIBRATIONS, measure_calibration
from subgroup_audit.stats.measurement import Counts, Measurement, build_estimate, measure_auc
from subgroup_audit.stats.ranked import RankedScores
from subgroup_audit.stats.rates import RATES, Outcomes, decide, measure_net_benefit, measure_rate
from subgroup_audit.stats.reliability import BinnedScores, measure_error
from subgroup_audit.stats.results import Estimate

# Which classes a measure needs, for the smallest numbers that a group must have.
_NEEDS = MappingProxyType(
    {
        "sensitivity": "positive",
        "false_negative_rate": "positive",
        "specificity": "negative",
        "false_positive_rate": "negative",
        "selection_rate": "",
        "accuracy": "",
        "brier_score": "",
        "expected_calibration_error": "",
        "net_benefit": "",
    }
)


@dataclass(frozen=True)
class MetricKey:
    """What is measured, and where its operating point comes from ('' where it has none)."""

    metric: str
    threshold_rule: str = ""


def measure_sample(
    sample: Sample, points: Sequence[OperatingPoint], settings: CheckSettings
) -> dict[MetricKey, Measurement]:
    """Every number that `settings.measures` asks for, at every operating point."""
    found = dict(_without_threshold(sample.ranked, settings))
    for point in points:
        found.update(_at_threshold(sample.ranked, point, settings))
    return {key: _with_minimums(key.metric, measured, settings) for key, measured in found.items()}


def is_at_threshold(metric: str) -> bool:
    """Whether the measure depends on an operating point."""
    return metric in RATES or metric == "net_benefit"


def _without_threshold(ranked: RankedScores, settings: CheckSettings) -> Iterator[tuple[MetricKey, Measurement]]:
    level, few = settings.confidence_level, settings.min_persons
    for metric in settings.measures:
        if metric == "auc":
            yield MetricKey(metric), measure_auc(ranked, confidence_level=level, min_persons=few)
        elif metric == "average_precision":
            yield MetricKey(metric), measure_average_precision(ranked, confidence_level=level, min_persons=few)
        elif metric in CALIBRATIONS:
            yield MetricKey(metric), measure_calibration(ranked, metric, confidence_level=level, min_persons=few)
        elif metric == "expected_calibration_error":
            binned = BinnedScores(ranked)
            yield MetricKey(metric), measure_error(binned, confidence_level=level, min_persons=few)


def _at_threshold(
    ranked: RankedScores, point: OperatingPoint, settings: CheckSettings
) -> Iterator[tuple[MetricKey, Measurement]]:
    chosen = [metric for metric in settings.measures if is_at_threshold(metric)]
    if not point.is_known:
        for metric in chosen:
            yield MetricKey(metric, point.rule), _unknown(ranked, settings)
        return
    outcomes = decide(ranked, point.threshold)
    for metric in chosen:
        yield MetricKey(metric, point.rule), _measure_decisions(outcomes, metric, point, settings)


def _measure_decisions(
    outcomes: Outcomes, metric: str, point: OperatingPoint, settings: CheckSettings
) -> Measurement:
    shared = {
        "confidence_level": settings.confidence_level,
        "min_persons": settings.min_persons,
        "threshold": point.mean,
    }
    measure: Callable[..., Measurement] = partial(measure_rate, outcomes, metric)
    if metric == "net_benefit":
        with np.errstate(divide="ignore"):
            odds = point.threshold / (1.0 - point.threshold)
        measure = partial(measure_net_benefit, outcomes, odds)
    return measure(**shared)


def _unknown(ranked: RankedScores, settings: CheckSettings) -> Measurement:
    counts = Counts(ranked.n_persons, ranked.n_images, ranked.n_positive, ranked.n_negative)
    found = build_estimate(None, counts, confidence_level=settings.confidence_level, reason=NO_THRESHOLD)
    return Measurement(found, ranked.persons, partial(np.zeros, ranked.n_persons))


def _with_minimums(metric: str, measured: Measurement, settings: CheckSettings) -> Measurement:
    """The measurement; not estimable where the group has fewer persons or images than the settings ask for."""
    found = measured.found
    reason = _too_few(found, _NEEDS.get(metric, "positive negative"), settings)
    if not found.n_images:
        reason = "this split has no image of the group"
    elif found.status == "not estimable" or not reason:
        return measured
    counts = Counts(found.n_patients, found.n_images, found.n_positive, found.n_negative)
    missing = build_estimate(None, counts, confidence_level=settings.confidence_level, reason=reason)
    return Measurement(missing, measured.persons, measured.pull, measured.threshold)


def _too_few(found: Estimate, needs: str, settings: CheckSettings) -> str:
    lacks = [
        f"{count} {what}: fewer than {least}"
        for what, count, least, is_needed in (
            ("patients", found.n_patients, settings.min_persons, True),
            ("positive images", found.n_positive, settings.min_positive, "positive" in needs),
            ("negative images", found.n_negative, settings.min_negative, "negative" in needs),
        )
        if is_needed and count < least
    ]
    return "; ".join(lacks)
