"""Every fit in a line: how long it took, what it got right, and what others reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import RunContents, rows_of
from subgroup_audit.report.curves import published_of
from subgroup_audit.report.numerals import ABSENT, count, decimal, duration, is_number
from subgroup_audit.schema import SPLITS

NAMES = ["train_cohort", "model", "recipe", "seed"]


_MEASURES: Mapping[str, str] = {"auc": "AUC", "accuracy": "accuracy"}


def fit_table(contents: RunContents) -> pd.DataFrame | None:
    """One row per fit: epochs, kept_epoch, seconds; accuracy by split with test images and AUC; reported figures.

    `seconds` is the time of all epochs, training and validation. `reported` holds in words what was published of
    the fit's own cohort. None where a run holds no history or no accuracy.
    """
    history = contents.history
    result = contents.result
    if history is None or not len(history) or result is None or result.accuracies is None:
        return None
    by_fit = history.groupby(NAMES, sort=False)
    return pd.DataFrame([_fit_row(contents, dict(zip(NAMES, key, strict=True)), fit) for key, fit in by_fit])


def _fit_row(contents: RunContents, names: dict[str, Any], fit: pd.DataFrame) -> dict[str, Any]:
    kept = fit.loc[fit["is_best"].astype("bool"), "epoch"] if "is_best" in fit.columns else fit["epoch"].iloc[:0]
    found = published_of(contents.study, names["train_cohort"], names["model"], names["recipe"])
    return {
        **names,
        "epochs": int(fit["epoch"].max()),
        "kept_epoch": int(kept.iloc[0]) if len(kept) else None,
        "seconds": float(fit["seconds"].sum()),
        **_accuracies(contents, str(fit["fit_id"].iloc[0])),
        "test_auc": _test_auc(contents, str(fit["fit_id"].iloc[0]), names["train_cohort"]),
        "reported": "; ".join(f"{r.split} {_MEASURES[r.metric]} {r.value:g} ({r.label})" for r in found),
    }


def _accuracies(contents: RunContents, fit_id: str) -> dict[str, Any]:
    stored = contents.result.accuracies if contents.result is not None else None
    own = {row["split"]: row for row in rows_of(stored) if row["fit_id"] == fit_id}
    shares = {f"{split}_accuracy": own.get(split, {}).get("accuracy") for split in SPLITS}
    return {**shares, "n_test": own.get("test", {}).get("n_labels")}


def _test_auc(contents: RunContents, fit_id: str, cohort: str) -> float | None:
    """The AUC of the finding that speaks for all: the macro mean, stored last, where there is one."""
    if contents.result is None:
        return None
    fits = contents.result.fits
    own = fits[(fits["fit_id"] == fit_id) & (fits["split"] == "test") & (fits["test_group"] == cohort)]
    values = [float(value) for value in own["auc"] if is_number(value)]
    return values[-1] if values else None


def fit_line(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the table as text, as the page and a paper show it."""
    return {
        "Trained on": str(row["train_cohort"]),
        "Model": str(row["model"]),
        "Recipe": str(row["recipe"]),
        "Seed": str(row["seed"]),
        "Epochs": count(row["epochs"]),
        "Kept": count(row["kept_epoch"]) if is_number(row["kept_epoch"]) else ABSENT,
        "Time": duration(row["seconds"]),
        "Accuracy: training": decimal(row["train_accuracy"]),
        "Validation": decimal(row["val_accuracy"]),
        "Test": decimal(row["test_accuracy"]),
        "Test images": count(row["n_test"]),
        "Test AUC": decimal(row["test_auc"]),
        "Reported": str(row["reported"]) or ABSENT,
    }
