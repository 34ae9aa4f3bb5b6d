"""Fabricated results of a check: two findings, three attributes, every curve. Numbers are drawn, not measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.checking.judging import judge
from subgroup_audit.checking.measured import Measured, MeasuredGap
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.settings import CheckSettings, Margin
from subgroup_audit.report.check_curves import CurveFigure, curve_figures
from subgroup_audit.report.check_page import write_check_page
from subgroup_audit.report.check_tables import subjects
from subgroup_audit.stats import auc_components, auc_gap, estimate_auc

HOSTILE = (
    "<script>alert('x')</script> \"q\" & \u202eיש %{x} <a href='javascript:alert(1)'>k</a> " + "long name " * 9
)
N_IMAGES = 1600
RULE = "youden, cross-fitted over 5 folds of persons"
RATES = ("sensitivity", "specificity", "ppv", "npv", "selection_rate", "f1", "accuracy")
COUNTS = ("true_positive", "false_negative", "false_positive", "true_negative")
CALIBRATION = ("calibration_slope", "calibration_intercept", "expected_calibration_error", "brier_score")


def scored_table(*, hostile: bool = False, findings: int = 2) -> ScoredTable:
    """Scores with a gap planted between the sexes, two images a person, and a tiny group."""
    rng = np.random.default_rng(7)
    person = np.arange(N_IMAGES) // 2
    sex = np.where(rng.random(N_IMAGES // 2) < 0.5, "F", "M")[person].astype(object)
    sex[:4] = "Unknown"
    view = np.where(rng.random(N_IMAGES) < 0.5, "AP", "PA").astype(object)
    if hostile:
        sex[sex == "F"] = HOSTILE
    crossed = [f"{a}, {b}" for a, b in zip(sex, view, strict=True)]
    groups = pd.DataFrame({"sex": sex, "view": view, "sex x view": crossed}).astype("category")
    tasks = []
    for number in range(findings):
        y_true = (rng.random(N_IMAGES) < 0.3).astype(np.int8)
        y_true[:4] = 0
        strength = np.where(sex == "M", 1.8, 0.9 + 0.4 * number)
        y_score = 1 / (1 + np.exp(1.5 - strength * y_true - rng.normal(size=N_IMAGES)))
        name = HOSTILE if hostile and number == 0 else ("Pneumonia", "Effusion", "Mass")[number % 3]
        tasks.append(Task("resnet50", name, np.arange(N_IMAGES), y_true, y_score))
    ids = np.array([f"image {place}" for place in range(N_IMAGES)], dtype=object)
    notes = ("Column 'p' was read as the score.", HOSTILE if hostile else "No row was left out.")
    return ScoredTable(ids, person, True, None, groups, tuple(tasks), notes)


def cells(table: ScoredTable) -> Iterator[tuple[str, str, Any]]:
    """Everybody and every group, with the images that are of it."""
    yield "", "everybody", np.ones(table.n_images, dtype=bool)
    for attribute in table.groups.columns:
        for group in table.groups[attribute].cat.categories:
            yield attribute, group, (table.groups[attribute] == group).to_numpy()


def fabricated_measures(table: ScoredTable, settings: CheckSettings) -> Measured:
    """AUCs and their gaps as the statistics give them; other measures and the curves with invented intervals."""
    rows: list[dict[str, Any]] = []
    gaps: list[MeasuredGap] = []
    curves: dict[str, list[pd.DataFrame]] = {name: [] for name in ("roc", "precision_recall", "reliability")}
    curves |= {"net_benefit": [], "confusion": []}
    references = {"sex": "M", "view": "PA", "sex x view": "M, PA"}
    for task in table.tasks:
        parts = {}
        for attribute, group, inside in cells(table):
            y_true, y_score = task.y_true[inside], task.y_score[inside]
            where = {
                "model": task.model,
                "finding": task.finding,
                "split": "test",
                "attribute": attribute,
                "group": group,
            }
            components = auc_components(y_true, y_score, person=table.person[inside])
            parts[attribute, group] = components
            rows += estimate_rows(where, estimate_auc(components), y_true, y_score)
            add_curves(curves, where, y_true, y_score)
        for attribute, reference in references.items():
            for group in table.groups[attribute].cat.categories:
                if group != reference:
                    gap = auc_gap(parts[attribute, group], parts[attribute, reference])
                    place = ("subgroup_gap", task.model, task.finding, "test", attribute, group, reference)
                    gaps.append(MeasuredGap(*place, "auc", "", gap))
    frames = {name: pd.concat(found, ignore_index=True) for name, found in curves.items()}
    return Measured(pd.DataFrame(rows), tuple(gaps), frames, references, "test", ())


def estimate_rows(where: dict[str, Any], found: Any, y_true: Any, y_score: Any) -> list[dict[str, Any]]:
    """The row of the AUC, and one for each other measure at a threshold of 0.35 and one of the group's own."""
    names = ("estimate", "low", "high", "standard_error", "confidence_level", "method", "n_patients", "n_images")
    head = {name: getattr(found, name) for name in (*names, "n_positive", "n_negative", "status", "reason")}
    rows = [{**where, "metric": "auc", "threshold": None, "threshold_rule": "", **head}]
    rows.append({**rows[0], "metric": "average_precision", "estimate": 0.6, "low": 0.55, "high": 0.65})
    for metric in CALIBRATION:
        rows.append({**rows[0], "metric": metric, "estimate": 0.9, "low": 0.8, "high": 1.1})
    for rule, threshold in ((RULE, 0.35), (f"per group, {RULE}", float(np.quantile(y_score, 0.7)))):
        for metric, value in rates(y_true, y_score, threshold).items():
            shown = None if not np.isfinite(value) else value
            limits = (None, None) if shown is None else (max(0.0, value - 0.05), min(1.0, value + 0.05))
            row = {"metric": metric, "threshold": threshold, "threshold_rule": rule, "estimate": shown}
            rows.append({**rows[0], **row, "low": limits[0], "high": limits[1]})
    return rows


def rates(y_true: Any, y_score: Any, threshold: float) -> dict[str, float]:
    """What follows from the four counts at a threshold."""
    tp, fn, fp, tn = confusion(y_true, y_score, threshold)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = [
            np.divide(tp, tp + fn),
            np.divide(tn, tn + fp),
            np.divide(tp, tp + fp),
            np.divide(tn, tn + fn),
            np.divide(tp + fp, len(y_true)),
            np.divide(2 * tp, 2 * tp + fp + fn),
            np.divide(tp + tn, len(y_true)),
        ]
    return dict(zip(RATES, map(float, values), strict=True))


def confusion(y_true: Any, y_score: Any, threshold: float) -> tuple[int, int, int, int]:
    """Found, missed, false alarms and right ones."""
    flagged, positive = y_score >= threshold, y_true == 1
    pairs = ((flagged, positive), (~flagged, positive), (flagged, ~positive), (~flagged, ~positive))
    return tuple(int((a & b).sum()) for a, b in pairs)  # type: ignore[return-value]


def add_curves(curves: dict[str, list[pd.DataFrame]], where: dict[str, Any], y_true: Any, y_score: Any) -> None:
    """Every curve of one group, at sixty thresholds."""
    if len(np.unique(y_true)) < 2:
        return
    steps = np.concatenate([[1.0], np.quantile(y_score, np.linspace(1, 0, 60)), [0.0]])
    counts = np.array([confusion(y_true, y_score, step) for step in steps], dtype=float)
    tp, fn, fp, tn = counts.T
    sensitivity, alarm = tp / (tp + fn), fp / (fp + tn)
    precision = np.where(tp + fp > 0, tp / np.maximum(tp + fp, 1), 1.0)
    band = {
        "sensitivity_low": np.clip(sensitivity - 0.05, 0, 1),
        "sensitivity_high": np.clip(sensitivity + 0.05, 0, 1),
    }
    roc = {"false_positive_rate": alarm, "sensitivity": sensitivity, **band, "threshold": steps}
    curves["roc"].append(pd.DataFrame({**where, **roc}))
    recalled = {
        "recall": sensitivity,
        "precision": precision,
        "precision_low": precision - 0.05,
        "precision_high": precision + 0.05,
    }
    curves["precision_recall"].append(pd.DataFrame({**where, **recalled}))
    bins = pd.DataFrame({"bin": np.minimum((y_score * 5).astype(int), 4), "y": y_true, "s": y_score})
    found = bins.groupby("bin").agg(mean_score=("s", "mean"), observed=("y", "mean"), n_images=("y", "size"))
    found["n_positive"] = bins.groupby("bin")["y"].sum()
    limits = {"low": found["observed"] - 0.05, "high": found["observed"] + 0.05}
    curves["reliability"].append(found.assign(**where, **limits).reset_index(drop=True))
    grid = np.linspace(0.05, 0.6, 30)
    at = np.array([confusion(y_true, y_score, step) for step in grid], dtype=float)
    benefit = (at[:, 0] - at[:, 2] * grid / (1 - grid)) / len(y_true)
    decided = {"threshold": grid, "net_benefit": benefit, "treat_all": 0.0, "low": benefit, "high": benefit}
    curves["net_benefit"].append(pd.DataFrame({**where, **decided}))
    one = dict(zip(COUNTS, confusion(y_true, y_score, 0.35), strict=True))
    curves["confusion"].append(pd.DataFrame([{**where, "threshold_rule": RULE, "threshold": 0.35, **one}]))


def fabricated_result(
    *, hostile: bool = False, findings: int = 2, suppress_below: int | None = None
) -> CheckResult:
    """The judged result of the fabricated scores."""
    table = scored_table(hostile=hostile, findings=findings)
    margins = (Margin("auc", 0.05), Margin("auc", 0.1, "view"))
    settings = CheckSettings(margins=margins, suppress_below=suppress_below)
    return judge(fabricated_measures(table, settings), table, settings)


@pytest.fixture(scope="session")
def result() -> CheckResult:
    """A result with gaps, open comparisons and a group too small to judge."""
    return fabricated_result()


@pytest.fixture(scope="session")
def check_page(result: CheckResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that result."""
    return write_check_page(result, tmp_path_factory.mktemp("page") / "check.html", title="predictions.csv")


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a result whose names are written to do harm."""
    place = tmp_path_factory.mktemp("hostile") / "check.html"
    return write_check_page(fabricated_result(hostile=True), place, title=HOSTILE)


@pytest.fixture(scope="session")
def suppressed() -> CheckResult:
    """The same result with counts below 10 withheld."""
    return fabricated_result(suppress_below=10)


@pytest.fixture(scope="session")
def few(result: CheckResult) -> CheckResult:
    """A result of AUCs alone."""
    return replace(result, estimates=result.estimates[result.estimates["metric"] == "auc"], curves={})


@pytest.fixture(scope="session")
def many(result: CheckResult) -> CheckResult:
    """The numbers of one finding under fourteen names."""

    def repeated(frame: pd.DataFrame) -> pd.DataFrame:
        one = frame[frame["finding"] == "Pneumonia"]
        return pd.concat([one.assign(finding=f"Finding {number}") for number in range(14)], ignore_index=True)

    curves = {name: repeated(frame) for name, frame in result.curves.items()}
    return replace(
        result, estimates=repeated(result.estimates), contrasts=repeated(result.contrasts), curves=curves
    )


@pytest.fixture(scope="session")
def crowded(result: CheckResult) -> CurveFigure:
    """The ROC curves of nine groups."""
    roc = result.curves["roc"]
    one = roc[(roc["finding"] == "Pneumonia") & (roc["group"] == "F")]
    rows = pd.concat([one.assign(group=f"group {number}") for number in range(9)])
    changed = replace(result, curves={"roc": rows})
    return curve_figures(changed, subjects(changed)[0], "roc")[0]
