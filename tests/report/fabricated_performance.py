"""Curves, calibration, decisions and cohort differences of the fabricated run. Numbers are drawn, not measured."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit.performance import RATES_SHOWN, rule_words
from subgroup_audit.stats.seed_curves import FALSE_POSITIVE_RATES, RECALLS
from subgroup_audit.study import Study

RATES = dict(zip(RATES_SHOWN, (0.72, 0.81, 0.79, 0.74, 0.19, 0.28), strict=True))
OTHERS = {
    "average_precision": 0.83,
    "expected_calibration_error": 0.06,
    "calibration_slope": 0.9,
    "calibration_intercept": -0.1,
    "brier_score": 0.17,
}
NOT_ESTIMABLE = {"status": "not estimable", "reason": "no positive among 220 images: ppv needs both classes"}


def fabricated_performance(study: Study, seed: int = 11) -> dict[str, pd.DataFrame]:
    """The four frames of a performance step, for every model, training cohort and test group."""
    rng = np.random.default_rng(seed)
    fits = [(model, train) for model in study.models for train in study.train_cohorts]
    cells = [(model, train, test) for model, train in fits for test in study.test_cohorts]
    finding = study.finding_names[0]
    recipe = next(iter(study.recipes))
    named = [
        {"finding": finding, "train_cohort": train, "model": model, "recipe": recipe, "test_group": test}
        for model, train, test in cells
    ]
    numbers = [row for name in named for row in _numbers(name, len(study.seeds), rng)]
    first, second = study.test_cohorts[:2]
    gaps = [row for name in named if name["test_group"] == second for row in _gaps(name, first, rng)]
    points = [
        {
            "finding": finding, "train_cohort": train, "model": model, "recipe": recipe, "seed": seed_of,
            "rule": rule_words("youden"), "threshold": 0.4 + 0.05 * seed_of, "n_patients": 101, "n_positive": 55,
            "n_negative": 55, "reason": "",
        }
        for model, train in fits
        for seed_of in study.seeds
    ]  # fmt: skip
    return {
        "performance": pd.DataFrame(numbers),
        "performance_gaps": pd.DataFrame(gaps),
        "performance_curves": pd.concat([_curves(name, len(study.seeds), rng) for name in named]),
        "operating_points": pd.DataFrame(points),
    }


def _numbers(name: dict[str, str], n_seeds: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for metric, middle in {**RATES, **OTHERS}.items():
        value = middle + rng.normal(0, 0.03)
        rows.append(
            {
                **name, "metric": metric, "threshold": 0.45 if metric in RATES else np.nan,
                "threshold_rule": rule_words("youden") if metric in RATES else "",
                "estimate": value, "low": value - 0.08, "high": value + 0.07, "standard_error": 0.038,
                "confidence_level": 0.95, "method": "Wilson; crossed seeds x patients", "seed_sd": 0.02,
                "n_patients": 412, "n_images": 440, "n_positive": 220, "n_negative": 220, "n_seeds": n_seeds,
                "status": "ok", "reason": "",
            }
        )  # fmt: skip
    if name["test_group"].startswith("M_AP") and name["train_cohort"].startswith("F_AP"):
        lost = next(row for row in rows if row["metric"] == "ppv")
        lost.update(NOT_ESTIMABLE, estimate=np.nan, low=np.nan, high=np.nan)
    return rows


def _gaps(name: dict[str, str], other: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for metric, middle in RATES.items():
        gap = rng.normal(0, 0.05)
        rows.append(
            {
                **name, "other": other, "metric": metric, "minuend_estimate": middle + gap,
                "subtrahend_estimate": middle, "estimate": gap, "low": gap - 0.07, "high": gap + 0.07,
                "standard_error": 0.035, "confidence_level": 0.95, "method": "MOVER, crossed seeds x patients",
                "n_patients": 824, "n_seeds": 3, "status": "ok", "reason": "",
            }
        )  # fmt: skip
    return rows


def _curves(name: dict[str, str], n_seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    bend = rng.uniform(0.2, 0.3)
    bins = np.arange(0.05, 1.0, 0.1)
    drawn = {
        "roc": (FALSE_POSITIVE_RATES, FALSE_POSITIVE_RATES**bend, 220.0),
        "precision_recall": (RECALLS, 1.0 - 0.5 * RECALLS**3, 220.0),
        "reliability": (bins, bins**1.3, np.append(np.full(9, 44.0), 2.0)),
    }
    return pd.concat(
        pd.DataFrame(
            {
                **name, "curve": curve, "x": x, "y": y, "low": (y - 0.08).clip(0), "high": (y + 0.06).clip(max=1),
                "n_images": n, "n_seeds": n_seeds,
            }
        )
        for curve, (x, y, n) in drawn.items()
    )  # fmt: skip


def fabricated_differences(study: Study) -> pd.DataFrame:
    """Every pair of cohorts in every split; cohorts of one sex or view have no difference in it."""
    rows = []
    for split in ("all", "train", "val", "test"):
        for i, (first, second) in enumerate(combinations(study.cohorts, 2)):
            for variable, smd in (("age_years", 0.04 * i), ("sex", np.nan), ("view", 0.15), ("Lung opacity", 0.0)):
                reason = "" if smd == smd else "the two cohorts have no value in common"
                rows.append(
                    {
                        "cohort": first, "other": second, "split": split, "variable": variable,
                        "kind": "number" if variable == "age_years" else "category", "smd": smd, "n_images": 770,
                        "n_images_other": 770, "reason": reason,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)
