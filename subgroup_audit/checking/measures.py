"""Every number of a check: scored images in, estimates, gaps and curves out, none of them judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import pandas as pd

from subgroup_audit.checking.measure_sample import MetricKey, measure_sample
from subgroup_audit.checking.measured import GapKind, Measured, MeasuredGap
from subgroup_audit.checking.samples import GroupKey, Layout, SampleName
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.schema import CHECK_ESTIMATE_COLUMNS
from subgroup_audit.stats.measurement import Measurement, overlap_of

Numbers: TypeAlias = Mapping[GroupKey, Mapping[MetricKey, Measurement]]


def measure(table: ScoredTable, settings: CheckSettings) -> Measured:
    """Everything that `settings.measures` asks for, for everybody, every group and every intersection.

    Parameters
    ----------
    table : scored images
    settings : what to measure, at which operating point, and with which references

    Returns
    -------
    Measured
        Numbers with intervals, n and status; gaps of every group minus the reference group, of train minus
        test, and of models on the same images; curves.
    """
    layout = Layout(table)
    references = layout.references(settings.reference)
    rows: list[dict[str, Any]] = []
    gaps: list[MeasuredGap] = []
    for task in table.tasks:
        numbers = _measure_split(layout, task, layout.judged_split, settings, rows)
        gaps += _subgroup_gaps(layout, task, numbers, references, settings)
    frame = pd.DataFrame(rows, columns=[column.name for column in CHECK_ESTIMATE_COLUMNS])
    return Measured(frame, tuple(gaps), {}, references, layout.judged_split, ())


def _measure_split(
    layout: Layout, task: Task, split: str, settings: CheckSettings, rows: list[dict[str, Any]]
) -> dict[GroupKey, dict[MetricKey, Measurement]]:
    """The numbers of every group of one split; their rows are added to `rows`."""
    numbers: dict[GroupKey, dict[MetricKey, Measurement]] = {}
    for sample in layout.samples(task, split):
        found = measure_sample(sample, settings)
        numbers[sample.name.attribute, sample.name.group] = found
        rows += [_row(sample.name, key, measured) for key, measured in found.items()]
    return numbers


def _subgroup_gaps(
    layout: Layout, task: Task, numbers: Numbers, references: Mapping[str, str], settings: CheckSettings
) -> Iterator[MeasuredGap]:
    for attribute, reference in references.items():
        for group in layout.groups_of(attribute):
            if group == reference:
                continue
            name = SampleName(task.model, task.finding, layout.judged_split, attribute, group)
            pair = numbers[attribute, group], numbers[attribute, reference]
            yield from gaps_between(*pair, "subgroup_gap", name, reference, settings)


def gaps_between(
    minuend: Mapping[MetricKey, Measurement],
    subtrahend: Mapping[MetricKey, Measurement],
    kind: GapKind,
    name: SampleName,
    reference: str,
    settings: CheckSettings,
) -> Iterator[MeasuredGap]:
    """The gap of every number that both sides have; who is in both is looked up once."""
    overlap = None
    for key, measured in minuend.items():
        other = subtrahend.get(key)
        if other is None:
            continue
        overlap = overlap or overlap_of(measured.persons, other.persons)
        gap = measured.minus(other, overlap=overlap, confidence_level=settings.confidence_level)
        where = (name.model, name.finding, name.split, name.attribute, name.group)
        yield MeasuredGap(kind, *where, reference, key.metric, key.threshold_rule, gap)


def _row(name: SampleName, key: MetricKey, measured: Measurement) -> dict[str, Any]:
    found = measured.found
    return {
        "model": name.model,
        "finding": name.finding,
        "split": name.split,
        "attribute": name.attribute,
        "group": name.group,
        "metric": key.metric,
        "threshold": measured.threshold,
        "threshold_rule": key.threshold_rule,
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "confidence_level": found.confidence_level,
        "method": found.method,
        "n_patients": found.n_patients,
        "n_images": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "status": found.status,
        "reason": found.reason,
    }
