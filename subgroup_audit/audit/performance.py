"""Beyond the AUC: curves, calibration, and decisions at an operating point, of every fit on every group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit.audit import reference_values
from subgroup_audit.audit.cells import Cell, CellName, Scores
from subgroup_audit.audit.pairs import Pair, declared_pairs
from subgroup_audit.schema import (
    OPERATING_POINT_COLUMNS,
    PERFORMANCE_COLUMNS,
    PERFORMANCE_CURVE_COLUMNS,
    PERFORMANCE_GAP_COLUMNS,
    CohortManifest,
    Predictions,
    conform_frame,
)
from subgroup_audit.stats import (
    BinnedScores,
    Measurement,
    RankedScores,
    decide,
    measure_average_precision,
    measure_calibration,
    measure_error,
    measure_rate,
    parse_rule,
    rank_scores,
)
from subgroup_audit.stats.measurement import Counts, build_estimate, overlap_of
from subgroup_audit.stats.operating_points import best_threshold
from subgroup_audit.stats.seed_curves import SeedCurve, seed_precision_recall, seed_reliability, seed_roc
from subgroup_audit.stats.seed_means import Scale, SeedAverage, gap_over_seeds, measure_over_seeds
from subgroup_audit.study import Study

VERSION = 2
RATES_SHOWN = ("sensitivity", "specificity", "ppv", "npv", "false_positive_rate", "false_negative_rate")
CALIBRATION: Mapping[str, Scale] = {
    "calibration_slope": "free",
    "calibration_intercept": "free",
    "brier_score": "logit",
}
NO_THRESHOLD = "no operating point: the validation images of the training cohort lack a class"
_FRAMES = {
    "performance": PERFORMANCE_COLUMNS,
    "performance_gaps": PERFORMANCE_GAP_COLUMNS,
    "performance_curves": PERFORMANCE_CURVE_COLUMNS,
    "operating_points": OPERATING_POINT_COLUMNS,
}
FRAMES = tuple(_FRAMES)


@dataclass(frozen=True, eq=False)
class _Ledger:
    """The rows found so far, by frame."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in FRAMES})

    def frames(self) -> dict[str, pd.DataFrame]:
        return {
            name: conform_frame(pd.DataFrame(rows, columns=[c.name for c in _FRAMES[name]]), _FRAMES[name], name)
            for name, rows in self.rows.items()
        }


def group_performance(
    study: Study,
    manifest: CohortManifest,
    predictions: Predictions,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, pd.DataFrame]:
    """Frames by name: `performance`, `performance_gaps`, `performance_curves` and `operating_points`.

    Every number is the mean over training seeds, of each fit's own scores: scores are never averaged. Each fit's
    operating point is chosen by the study's rule on the validation images of its own training cohort. Gaps are
    those of the study's subgroup comparisons, and are a description: they are judged nowhere.

    Parameters
    ----------
    manifest : says which images a cell has and what their labels are
    predictions : one row per fit, image and finding; joined by key, never by order

    Raises
    ------
    TableError
        A prediction is missing, its label is not the manifest's, or a person has two sexes.
    """
    scores = Scores(manifest, predictions)
    families = list(_families(study, scores))
    reference = reference_values(study, manifest.frame)
    ledger = _Ledger()
    for number, (validation, tests) in enumerate(families, start=1):
        _measure_family(study, validation, tests, reference, ledger)
        if progress:
            progress(number, len(families))
    return ledger.frames()


def _families(study: Study, scores: Scores) -> Iterator[tuple[Cell | None, list[Cell]]]:
    """For every finding, model, recipe and training cohort: its validation cell, and its test cells."""
    found: dict[CellName, tuple[list[Cell], list[Cell]]] = {}
    for cell in scores.cells(study.finding_names, study.test_cohorts):
        if cell.name.split == "train" or cell.name.model not in study.models:
            continue
        key = replace(cell.name, split="", test_group="")
        validation, tests = found.setdefault(key, ([], []))
        (validation if cell.name.split == "val" else tests).append(cell)
    for validation, tests in found.values():
        yield (validation[0] if validation else None), tests


def _measure_family(
    study: Study, validation: Cell | None, tests: Sequence[Cell], reference: Mapping[str, str], ledger: _Ledger
) -> None:
    if not tests:
        return
    thresholds = _choose_thresholds(study, validation, tests[0], ledger)
    measured: dict[CellName, dict[str, SeedAverage]] = {}
    for cell in tests:
        ranked = [rank_scores(cell.y_true, score, person=cell.person) for score in cell.by_seed.values()]
        measured[cell.name] = _measure_cell(study, ranked, thresholds)
        rows = measured[cell.name].items()
        ledger.rows["performance"] += [_row(study, cell.name, metric, one, thresholds) for metric, one in rows]
        ledger.rows["performance_curves"] += _curve_rows(study, cell.name, ranked)
    for pair in declared_pairs(study, list(measured), reference):
        if isinstance(pair, Pair) and pair.kind == "subgroup_gap":
            ledger.rows["performance_gaps"] += _gap_rows(study, pair, measured)


def _choose_thresholds(
    study: Study, validation: Cell | None, test: Cell, ledger: _Ledger
) -> dict[int, float | None]:
    """The operating point of each seed's fit, chosen where it was not trained and is not judged."""
    rule, chosen = parse_rule(study.analysis.operating_point), {}
    for seed in test.by_seed:
        ranked = None
        if validation is not None:
            ranked = rank_scores(validation.y_true, validation.by_seed[seed], person=validation.person)
        chosen[seed] = None if ranked is None else best_threshold(ranked, rule)
        names = {key: getattr(test.name, key) for key in ("finding", "train_cohort", "model", "recipe")}
        ledger.rows["operating_points"].append(
            {
                **names,
                "seed": seed,
                "rule": rule_words(study.analysis.operating_point),
                "threshold": chosen[seed],
                "n_patients": 0 if ranked is None else ranked.n_persons,
                "n_positive": 0 if ranked is None else ranked.n_positive,
                "n_negative": 0 if ranked is None else ranked.n_negative,
                "reason": NO_THRESHOLD if chosen[seed] is None else "",
            }
        )
    return chosen


def rule_words(rule: str) -> str:
    """Where operating points come from, in words.

    >>> rule_words("youden")
    'youden, chosen on the validation split of the training cohort'
    """
    return f"{rule}, chosen on the validation split of the training cohort"


def _measure_cell(
    study: Study, ranked: Sequence[RankedScores], thresholds: Mapping[int, float | None]
) -> dict[str, SeedAverage]:
    """Every number of one cell: rates at the operating points, average precision, calibration."""
    level, fewest = study.analysis.confidence_level, study.analysis.min_persons
    found: dict[str, tuple[Scale, list[Measurement]]] = {
        metric: ("share", by_seed) for metric, by_seed in _rates(ranked, thresholds, level, fewest).items()
    }
    found["average_precision"] = (
        "logit",
        [measure_average_precision(one, confidence_level=level, min_persons=fewest) for one in ranked],
    )
    binned = [BinnedScores(one) for one in ranked]
    found["expected_calibration_error"] = (
        "outer",
        [measure_error(one, confidence_level=level, min_persons=fewest) for one in binned],
    )
    for metric, scale in CALIBRATION.items():
        by_seed = [measure_calibration(one, metric, confidence_level=level, min_persons=fewest) for one in ranked]
        found[metric] = (scale, by_seed)
    return {metric: measure_over_seeds(by_seed, scale=scale) for metric, (scale, by_seed) in found.items()}


def _rates(
    ranked: Sequence[RankedScores], thresholds: Mapping[int, float | None], level: float, fewest: int
) -> dict[str, list[Measurement]]:
    """Each rate of every seed's fit at its own operating point; not estimable where one has none."""
    chosen = [threshold for threshold in thresholds.values() if threshold is not None]
    if len(chosen) < len(ranked):
        return {metric: [_without_threshold(one, level) for one in ranked] for metric in RATES_SHOWN}
    decided = [decide(one, at) for one, at in zip(ranked, chosen, strict=True)]
    return {
        metric: [measure_rate(one, metric, confidence_level=level, min_persons=fewest) for one in decided]
        for metric in RATES_SHOWN
    }


def _without_threshold(ranked: RankedScores, level: float) -> Measurement:
    counts = Counts(ranked.n_persons, ranked.n_images, ranked.n_positive, ranked.n_negative)
    found = build_estimate(None, counts, confidence_level=level, reason=NO_THRESHOLD)
    return Measurement(found, ranked.persons, partial(np.zeros, ranked.n_persons))


def _row(
    study: Study, name: CellName, metric: str, average: SeedAverage, thresholds: Mapping[int, float | None]
) -> dict[str, Any]:
    found, is_rate = average.found, metric in RATES_SHOWN
    known = [value for value in thresholds.values() if value is not None]
    return {
        **_names(name),
        "metric": metric,
        "threshold": sum(known) / len(known) if is_rate and known else None,
        "threshold_rule": rule_words(study.analysis.operating_point) if is_rate else "",
        **{key: getattr(found, key) for key in ("estimate", "low", "high", "standard_error")},
        "confidence_level": found.confidence_level,
        "method": found.method,
        "seed_sd": average.seed_sd,
        **{key: getattr(found, key) for key in ("n_patients", "n_images", "n_positive", "n_negative")},
        "n_seeds": len(average.by_seed),
        "status": found.status,
        "reason": found.reason,
    }


def _names(name: CellName) -> dict[str, str]:
    return {key: getattr(name, key) for key in ("finding", "train_cohort", "model", "recipe", "test_group")}


def _curve_rows(study: Study, name: CellName, ranked: Sequence[RankedScores]) -> Iterator[dict[str, Any]]:
    level = study.analysis.confidence_level
    curves: dict[str, SeedCurve] = {"reliability": seed_reliability(ranked, confidence_level=level)}
    if ranked[0].n_positive and ranked[0].n_negative:
        curves["roc"] = seed_roc(ranked, confidence_level=level)
        curves["precision_recall"] = seed_precision_recall(ranked, confidence_level=level)
    for kind, curve in curves.items():
        points = zip(curve.x, curve.value, curve.low, curve.high, curve.n_images, curve.n_seeds, strict=True)
        for x, y, low, high, n_images, n_seeds in points:
            yield {
                **_names(name),
                "curve": kind,
                "x": x,
                "y": y,
                "low": low,
                "high": high,
                "n_images": n_images,
                "n_seeds": n_seeds,
            }


def _gap_rows(
    study: Study, pair: Pair, measured: Mapping[CellName, Mapping[str, SeedAverage]]
) -> Iterator[dict[str, Any]]:
    minuends, subtrahends = measured[pair.minuend], measured[pair.subtrahend]
    first, second = (next(iter(side.values())).by_seed[0].persons for side in (minuends, subtrahends))
    overlap = overlap_of(first, second)
    for metric, minuend in minuends.items():
        subtrahend = subtrahends[metric]
        gap = gap_over_seeds(
            minuend, subtrahend, overlap=overlap, confidence_level=study.analysis.confidence_level
        )
        yield {
            **_names(pair.minuend),
            "other": pair.other,
            "metric": metric,
            "minuend_estimate": minuend.found.estimate,
            "subtrahend_estimate": subtrahend.found.estimate,
            **{key: getattr(gap, key) for key in ("estimate", "low", "high", "standard_error")},
            "confidence_level": gap.confidence_level,
            "method": gap.method,
            "n_patients": gap.n_patients,
            "n_seeds": len(minuend.by_seed),
            "status": gap.status,
            "reason": gap.reason,
        }
