"""Every fit in a line: how long it took, what it got right, and what others reported of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import RunContents, rows_of
from subgroup_audit.report.curves import published_of
from subgroup_audit.report.numerals import ABSENT, count, decimal, duration, interval, is_number
from subgroup_audit.schema import SPLITS
from subgroup_audit.study import Reference

NAMES = ["train_cohort", "model", "recipe", "seed"]


_MEASURES: Mapping[str, str] = {"auc": "AUC", "accuracy": "accuracy"}
_STORED: Mapping[str, str] = {"accuracy": "accuracy", "accuracy_low": "low", "accuracy_high": "high"}


def fit_table(contents: RunContents) -> pd.DataFrame | None:
    """One row per fit: epochs, kept_epoch, seconds; accuracy by split and test AUC with limits; reported figures.

    `seconds` is the time of all epochs, training and validation. Limits are for the one fit, persons as clusters.
    `reported` holds in words what was published of the fit's own cohort. None where a run holds no history or no
    accuracy.
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
        **_measured(contents, str(fit["fit_id"].iloc[0])),
        "reported": "; ".join(f"{r.split} {_MEASURES[r.metric]} {r.value:g} ({r.label})" for r in found),
    }


def _measured(contents: RunContents, fit_id: str) -> dict[str, Any]:
    """Accuracy by split, AUC of the test split, each with its limits; None where a run holds none."""
    stored = contents.result.accuracies if contents.result is not None else None
    own = {row["split"]: row for row in rows_of(stored) if row["fit_id"] == fit_id}
    found = {f"{split}_{out}": own.get(split, {}).get(name) for split in SPLITS for out, name in _STORED.items()}
    test = own.get("test", {})
    counts = {"n_test": test.get("n_labels"), "n_test_patients": test.get("n_patients")}
    aucs = {f"test_{name}": test.get(name) for name in ("auc", "auc_low", "auc_high")}
    return {**found, **counts, **aucs, "confidence_level": test.get("confidence_level")}


def references_of_fits(contents: RunContents) -> list[Reference]:
    """The published figures that stand in the learning curves and in the table of fits."""
    history = contents.history
    if history is None or "curves" not in contents.study.figures:
        return []
    kinds = history[["train_cohort", "model", "recipe"]].drop_duplicates()
    return [
        reference
        for kind in kinds.itertuples(index=False)
        for reference in published_of(contents.study, *map(str, kind))
    ]


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
        "Accuracy: training": _with_limits(row, "train_accuracy"),
        "Validation": _with_limits(row, "val_accuracy"),
        "Test": _with_limits(row, "test_accuracy"),
        "Test images": count(row["n_test"]),
        "Test AUC": _with_limits(row, "test_auc"),
        "Reported": str(row["reported"]) or ABSENT,
    }


def _with_limits(row: Mapping[str, Any], name: str) -> str:
    """A number with its interval behind it, '0.912 (0.880 to 0.936)'."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    limits = f" ({interval(low, high)})" if is_number(low) and is_number(high) else ""
    return f"{decimal(row[name])}{limits}"
