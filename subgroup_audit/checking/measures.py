"""Every number of a check: scored images in, estimates, gaps and curves out, none of them judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from subgroup_audit.checking.curves import CurveFrames
from subgroup_audit.checking.macro import MACRO_MEAN, mean_over_findings
from subgroup_audit.checking.measure_notes import notes_of
from subgroup_audit.checking.measure_sample import MetricKey, is_at_threshold, measure_sample
from subgroup_audit.checking.measured import GapKind, Measured, MeasuredGap
from subgroup_audit.checking.operating import OperatingPoint, find_operating_points
from subgroup_audit.checking.parity_rows import parity_estimates
from subgroup_audit.checking.samples import GroupKey, Layout, Sample, SampleName
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.schema import CHECK_ESTIMATE_COLUMNS
from subgroup_audit.stats.measurement import Measurement, overlap_of
from subgroup_audit.stats.results import Estimate

Found: TypeAlias = dict[MetricKey, Measurement]
AUC = MetricKey("auc")


@dataclass(frozen=True, eq=False)
class TaskNumbers:
    """One task's numbers on one split, and what they were measured on."""

    task: Task
    split: str
    samples: Mapping[GroupKey, Sample]
    points: Mapping[GroupKey, tuple[OperatingPoint, ...]]
    found: Mapping[GroupKey, Found]


@dataclass(frozen=True, eq=False)
class Ledger:
    """What has been measured so far."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[MeasuredGap] = field(default_factory=list)
    curves: CurveFrames = field(default_factory=CurveFrames)
    rules: dict[str, None] = field(default_factory=dict)


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
        test, and of each further model minus the first on the same images; curves.

    Raises
    ------
    StatisticsError
        A threshold rule that there is not, or a score that is no probability where calibration is asked for.
    """
    layout, ledger = Layout(table), Ledger()
    references = layout.references(settings.reference)
    aucs: dict[str, dict[str, Mapping[GroupKey, Measurement]]] = {}
    for finding in table.findings:
        first: TaskNumbers | None = None
        for task in (one for one in table.tasks if one.finding == finding):
            numbers = _measure_task(layout, task, references, settings, ledger)
            if first is not None:
                ledger.gaps.extend(_model_gaps(layout, numbers, first, settings))
            first = first or numbers
            if len(table.findings) > 1 and "auc" in settings.measures:
                aucs.setdefault(task.model, {})[finding] = {
                    key: found[AUC] for key, found in numbers.found.items()
                }
    for model, by_finding in aucs.items():
        _add_macro_mean(layout, model, by_finding, references, settings, ledger)
    frame = pd.DataFrame(ledger.rows, columns=[column.name for column in CHECK_ESTIMATE_COLUMNS])
    notes = notes_of(layout, settings, tuple(ledger.rules), frame)
    return Measured(frame, tuple(ledger.gaps), ledger.curves.frames(), references, layout.judged_split, notes)


def _measure_task(
    layout: Layout, task: Task, references: Mapping[str, str], settings: CheckSettings, ledger: Ledger
) -> TaskNumbers:
    """One task's numbers on the judged split; all rows, gaps and curves of the task go to the ledger."""
    numbers = _measure_split(layout, task, layout.judged_split, settings)
    for key, sample in numbers.samples.items():
        ledger.rows.extend(_row(sample.name, *one) for one in numbers.found[key].items())
        ledger.curves.add(sample, numbers.points[key], settings)
        ledger.rules.update(dict.fromkeys(point.rule for point in numbers.points[key]))
    for name, metric, threshold, found in parity_estimates(layout, numbers.samples, numbers.points, settings):
        ledger.rows.append(_estimate_row(name, metric, threshold, found))
    ledger.gaps.extend(_subgroup_gaps(layout, task.model, task.finding, numbers.found, references, settings))
    if layout.has_train:
        ledger.gaps.extend(_generalization_gaps(layout, numbers, settings, ledger))
    return numbers


def _measure_split(layout: Layout, task: Task, split: str, settings: CheckSettings) -> TaskNumbers:
    samples = {(one.name.attribute, one.name.group): one for one in layout.samples(task, split)}
    needs_points = any(is_at_threshold(metric) for metric in settings.measures)
    points = find_operating_points(layout, task, samples, settings) if needs_points else dict.fromkeys(samples, ())
    found = {key: measure_sample(sample, points[key], settings) for key, sample in samples.items()}
    return TaskNumbers(task, split, samples, points, found)


def _subgroup_gaps(
    layout: Layout,
    model: str,
    finding: str,
    found: Mapping[GroupKey, Found],
    references: Mapping[str, str],
    settings: CheckSettings,
) -> Iterator[MeasuredGap]:
    for attribute, reference in references.items():
        for group in layout.groups_of(attribute):
            if group == reference:
                continue
            name = SampleName(model, finding, layout.judged_split, attribute, group)
            pair = found[attribute, group], found[attribute, reference]
            yield from gaps_between(*pair, "subgroup_gap", name, reference, settings)


def _generalization_gaps(
    layout: Layout, numbers: TaskNumbers, settings: CheckSettings, ledger: Ledger
) -> Iterator[MeasuredGap]:
    """Train minus test, of everybody and of every group; the rows of the training split go to the ledger."""
    trained = _measure_split(layout, numbers.task, "train", settings)
    for key, sample in trained.samples.items():
        ledger.rows.extend(_row(sample.name, *found) for found in trained.found[key].items())
        pair = trained.found[key], numbers.found[key]
        yield from gaps_between(*pair, "generalization_gap", sample.name, numbers.split, settings)


def _model_gaps(
    layout: Layout, numbers: TaskNumbers, first: TaskNumbers, settings: CheckSettings
) -> Iterator[MeasuredGap]:
    """This model minus the first, on the images that both have scored."""
    if not np.array_equal(numbers.task.rows, first.task.rows):
        numbers, first = (_on_shared(layout, *pair, settings) for pair in ((numbers, first), (first, numbers)))
    for key, sample in numbers.samples.items():
        pair = numbers.found[key], first.found[key]
        yield from gaps_between(*pair, "model_gap", sample.name, first.task.model, settings)


def _on_shared(layout: Layout, numbers: TaskNumbers, other: TaskNumbers, settings: CheckSettings) -> TaskNumbers:
    """The same numbers on the images that the other model has scored too, at the same thresholds."""
    shared = np.isin(numbers.task.rows, other.task.rows)
    samples, points, found = {}, {}, {}
    for key, sample in numbers.samples.items():
        kept = shared[sample.places]
        samples[key] = Sample(sample.name, sample.ranked.take(kept), sample.places[kept])
        points[key] = tuple(OperatingPoint(point.rule, point.threshold[kept]) for point in numbers.points[key])
        found[key] = measure_sample(samples[key], points[key], settings)
    return TaskNumbers(numbers.task, numbers.split, samples, points, found)


def _add_macro_mean(
    layout: Layout,
    model: str,
    by_finding: Mapping[str, Mapping[GroupKey, Measurement]],
    references: Mapping[str, str],
    settings: CheckSettings,
    ledger: Ledger,
) -> None:
    if len(by_finding) < 2:
        return
    found: dict[GroupKey, Found] = {
        key: {AUC: mean_over_findings([one[key] for one in by_finding.values()], settings)}
        for key in layout.group_keys()
    }
    for key, numbers in found.items():
        name = SampleName(model, MACRO_MEAN, layout.judged_split, *key)
        ledger.rows.extend(_row(name, *one) for one in numbers.items())
    ledger.gaps.extend(_subgroup_gaps(layout, model, MACRO_MEAN, found, references, settings))


def gaps_between(
    minuend: Found, subtrahend: Found, kind: GapKind, name: SampleName, reference: str, settings: CheckSettings
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
    return _estimate_row(name, key, measured.threshold, measured.found)


def _estimate_row(name: SampleName, key: MetricKey, threshold: float | None, found: Estimate) -> dict[str, Any]:
    return {
        "model": name.model,
        "finding": name.finding,
        "split": name.split,
        "attribute": name.attribute,
        "group": name.group,
        "metric": key.metric,
        "threshold": threshold,
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
