"""Parity over all groups of an attribute: demographic parity, equal opportunity, equalised odds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from subgroup_audit.checking.measure_sample import MetricKey
from subgroup_audit.checking.operating import NO_THRESHOLD, OperatingPoint
from subgroup_audit.checking.samples import GroupKey, Layout, Sample, SampleName
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.measurement import Counts, build_estimate
from subgroup_audit.stats.parity import PARITIES, measure_parities, parity_rates
from subgroup_audit.stats.rates import decide
from subgroup_audit.stats.results import Estimate

Points = Mapping[GroupKey, tuple[OperatingPoint, ...]]


def wanted_parities(settings: CheckSettings) -> tuple[str, ...]:
    """The parity metrics whose rates are all among the measures."""
    return tuple(name for name in PARITIES if set(parity_rates(name)) <= set(settings.measures))


def parity_estimates(
    layout: Layout, samples: Mapping[GroupKey, Sample], points: Points, settings: CheckSettings
) -> Iterator[tuple[SampleName, MetricKey, float | None, Estimate]]:
    """Whose, what, at which threshold, and the number: for every attribute with two groups or more."""
    wanted = wanted_parities(settings)
    for attribute in layout.attributes if wanted else ():
        keys = [(attribute, group) for group in layout.groups_of(attribute)]
        if len(keys) < 2:
            continue
        first = samples[keys[0]].name
        name = SampleName(first.model, first.finding, first.split, attribute, f"all groups of {attribute}")
        for place, point in enumerate(points[keys[0]]):
            chosen = [points[key][place] for key in keys]
            found = _parities([samples[key] for key in keys], chosen, wanted, settings)
            same = {one.mean for one in chosen}
            threshold = next(iter(same)) if len(same) == 1 else None
            for metric in wanted:
                yield name, MetricKey(metric, point.rule), threshold, found[metric]


def _parities(
    samples: list[Sample], points: list[OperatingPoint], wanted: tuple[str, ...], settings: CheckSettings
) -> dict[str, Estimate]:
    unknown = [s.name.group for s, p in zip(samples, points, strict=True) if not p.is_known]
    if unknown:
        reason = "; ".join(f"{group}: {NO_THRESHOLD}" for group in unknown)
        ranked = [sample.ranked for sample in samples]
        counts = Counts(
            sum(one.n_persons for one in ranked),
            sum(one.n_images for one in ranked),
            sum(one.n_positive for one in ranked),
            sum(one.n_negative for one in ranked),
        )
        missing = build_estimate(None, counts, confidence_level=settings.confidence_level, reason=reason)
        return dict.fromkeys(wanted, missing)
    groups = [(s.name.group, decide(s.ranked, p.threshold)) for s, p in zip(samples, points, strict=True)]
    return measure_parities(
        groups, wanted, confidence_level=settings.confidence_level, min_persons=settings.min_persons
    )
