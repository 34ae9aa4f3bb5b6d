"""The curves of a check, with limits, one tidy frame each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.checking.operating import OperatingPoint, distinct_thresholds
from subgroup_audit.checking.samples import Sample
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.rates import FN, FP, TN, TP, decide, measure_rate
from subgroup_audit.stats.reliability import BinnedScores, decompose_brier, plain_error, reliability_curve
from subgroup_audit.stats.threshold_curves import threshold_and_decision_curve

CURVES = (
    "roc",
    "precision_recall",
    "net_benefit",
    "reliability",
    "brier_decomposition",
    "confusion",
    "operating_points",
)

Columns = Mapping[str, Any]


class CurveFrames:
    """Collects the curves of sample after sample."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[Sample, Columns]]] = {name: [] for name in CURVES}

    def add(self, sample: Sample, points: Sequence[OperatingPoint], settings: CheckSettings) -> None:
        """Add every curve that `settings.measures` has a number of."""
        if not sample.ranked.n_images:
            return
        for name, columns in _curves(sample, points, settings):
            self._parts[name].append((sample, columns))

    def frames(self) -> dict[str, pd.DataFrame]:
        """Name of the curve -> its points, led by the columns model, finding, split, attribute and group."""
        return {name: _stack(parts) for name, parts in self._parts.items() if parts}


def _curves(
    sample: Sample, points: Sequence[OperatingPoint], settings: CheckSettings
) -> Iterable[tuple[str, Columns]]:
    wanted, level = set(settings.measures), settings.confidence_level
    if sample.ranked.n_positive and sample.ranked.n_negative:
        yield from _threshold_curves(sample, wanted, level)
    if wanted & {"calibration_slope", "calibration_intercept", "expected_calibration_error", "brier_score"}:
        binned = BinnedScores(sample.ranked)
        yield "reliability", vars(reliability_curve(binned, confidence_level=level))
        yield "brier_decomposition", _brier_parts(binned)
    if wanted - {"auc", "average_precision"}:
        for point in points:
            if point.is_known:
                yield "confusion", _confusion(sample, point, settings)
                yield "operating_points", _thresholds(point)


def _threshold_curves(sample: Sample, wanted: set[str], level: float) -> Iterable[tuple[str, Columns]]:
    curve, decision = threshold_and_decision_curve(sample.ranked, confidence_level=level)
    sensitivity, alarms, precision = curve.sensitivity, curve.false_positive_rate, curve.precision
    if "auc" in wanted:
        yield (
            "roc",
            {
                "threshold": curve.threshold,
                "false_positive_rate": alarms.value,
                "false_positive_rate_low": alarms.low,
                "false_positive_rate_high": alarms.high,
                "sensitivity": sensitivity.value,
                "sensitivity_low": sensitivity.low,
                "sensitivity_high": sensitivity.high,
            },
        )
    if "average_precision" in wanted:
        yield (
            "precision_recall",
            {
                "threshold": curve.threshold[1:],
                "recall": sensitivity.value[1:],
                "precision": precision.value[1:],
                "precision_low": precision.low[1:],
                "precision_high": precision.high[1:],
                "prevalence": sample.ranked.n_positive / sample.ranked.n_images,
            },
        )
    if "net_benefit" in wanted:
        band = decision.net_benefit
        yield (
            "net_benefit",
            {
                "threshold": decision.threshold,
                "net_benefit": band.value,
                "low": band.low,
                "high": band.high,
                "treat_all": decision.treat_all,
            },
        )


def _brier_parts(binned: BinnedScores) -> Columns:
    """Murphy's parts, and the plain ECE that other software gives."""
    ranked = binned.ranked
    return {
        **vars(decompose_brier(binned)),
        "plain_expected_calibration_error": plain_error(binned),
        "prevalence": ranked.n_positive / ranked.n_images,
        "mean_score": float(ranked.score.mean()),
    }


def _confusion(sample: Sample, point: OperatingPoint, settings: CheckSettings) -> Columns:
    outcomes = decide(sample.ranked, point.threshold)
    counts = outcomes.totals.astype(int)
    columns: dict[str, Any] = {
        "threshold_rule": point.rule,
        "threshold": point.mean,
        "true_positive": counts[TP],
        "false_positive": counts[FP],
        "false_negative": counts[FN],
        "true_negative": counts[TN],
    }
    for name, metric in (("precision", "ppv"), ("recall", "sensitivity"), ("f1", "f1")):
        found = measure_rate(outcomes, metric, confidence_level=settings.confidence_level).found
        columns |= {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
    return columns


def _thresholds(point: OperatingPoint) -> Columns:
    found = distinct_thresholds(point)
    return {"threshold_rule": point.rule, "fold": np.arange(1, len(found) + 1), "threshold": np.array(found)}


def _stack(parts: Sequence[tuple[Sample, Columns]]) -> pd.DataFrame:
    """All samples' points below one another; a number that is one for the whole sample is repeated."""
    lengths = [max((np.size(values) for values in columns.values()), default=1) for _, columns in parts]
    names = {
        field: np.repeat(np.array([getattr(sample.name, field) for sample, _ in parts], dtype=object), lengths)
        for field in ("model", "finding", "split", "attribute", "group")
    }
    values = {
        column: np.concatenate(
            [
                np.broadcast_to(np.asarray(columns[column]), (n,))
                for (_, columns), n in zip(parts, lengths, strict=True)
            ]
        )
        for column in parts[0][1]
    }
    return pd.DataFrame({**names, **values}).infer_objects()
