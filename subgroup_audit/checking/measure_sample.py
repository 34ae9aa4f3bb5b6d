"""All numbers of one group's images of one task."""

from __future__ import annotations

from dataclasses import dataclass

from subgroup_audit.checking.samples import Sample
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.measurement import Measurement, measure_auc


@dataclass(frozen=True)
class MetricKey:
    """What is measured, and where its operating point comes from ('' where it has none)."""

    metric: str
    threshold_rule: str = ""


def measure_sample(sample: Sample, settings: CheckSettings) -> dict[MetricKey, Measurement]:
    """Every number that `settings.measures` asks for."""
    level, few = settings.confidence_level, settings.min_persons
    found: dict[MetricKey, Measurement] = {}
    if "auc" in settings.measures:
        found[MetricKey("auc")] = measure_auc(sample.ranked, confidence_level=level, min_persons=few)
    return found
