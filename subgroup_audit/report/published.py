"""Published figures beside ours: the difference, and whether the published value lies inside our interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.report.contents import RunContents, rows_of
from subgroup_audit.report.matrix import matching_references
from subgroup_audit.report.numerals import ABSENT, decimal, interval, signed
from subgroup_audit.study import Reference

COLUMNS = (
    *("label", "metric", "split", "finding", "train_cohort", "test_group", "model", "recipe"),
    *("published", "estimate", "low", "high", "difference", "is_inside", "n_patients", "n_seeds", "note"),
)
ALONE = "no fit of this run belongs to it"


def published_table(contents: RunContents) -> pd.DataFrame | None:
    """One row per published figure and cell of ours that it belongs to; None where the study names none.

    `difference` is ours minus the published. `is_inside`: the published value lies within our limits; missing
    where we have none. It says nothing of the uncertainty of the published value, which nobody stated.
    """
    references = contents.study.reference
    if not references or contents.result is None:
        return None
    found = [*_of_auc(contents), *_of_accuracy(contents)]
    drawn = {id(reference) for reference, _ in found}
    lines = [_line(reference, row) for reference, row in found]
    lines += [_line(reference, {}) for reference in references if id(reference) not in drawn]
    order = {id(reference): place for place, reference in enumerate(references)}
    places = [order[id(reference)] for reference, _ in found]
    places += [order[id(reference)] for reference in references if id(reference) not in drawn]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return (
        table.assign(place=places).sort_values("place", kind="stable").drop(columns="place").reset_index(drop=True)
    )


def _of_auc(contents: RunContents) -> list[tuple[Reference, dict[str, Any]]]:
    """Each published AUC with the estimates of ours that it belongs to."""
    estimates = None if contents.result is None else contents.result.estimates
    return [
        (reference, row)
        for row in rows_of(estimates)
        for reference in matching_references(
            contents.study,
            **{name: str(row[name]) for name in ("train_cohort", "test_group", "model", "recipe", "split")},
        )
    ]


def _of_accuracy(contents: RunContents) -> list[tuple[Reference, dict[str, Any]]]:
    """Each published accuracy with the mean over seeds of ours; limits stand where there is one seed."""
    stored = None if contents.result is None else contents.result.accuracies
    if stored is None or not len(stored):
        return []
    found = []
    for reference in (one for one in contents.study.reference if one.metric == "accuracy"):
        rows = stored[stored["split"] == reference.split]
        for name in ("train_cohort", "model", "recipe"):
            wanted = getattr(reference, name)
            rows = rows if wanted is None else rows[rows[name] == wanted]
        if reference.test_group is not None:
            rows = rows[rows["train_cohort"] == reference.test_group]
        if reference.train_cohort is None and reference.test_group is None and rows["train_cohort"].nunique() > 1:
            continue
        for _, fits in rows.groupby(["train_cohort", "model", "recipe"], sort=False):
            found.append((reference, _mean_accuracy(fits)))
    return found


def _mean_accuracy(fits: pd.DataFrame) -> dict[str, Any]:
    first = rows_of(fits.head(1))[0]
    is_one = len(fits) == 1
    return {
        **first,
        "finding": "",
        "test_group": first["train_cohort"],
        "estimate": float(fits["accuracy"].mean()),
        "low": first.get("low") if is_one else None,
        "high": first.get("high") if is_one else None,
        "n_seeds": len(fits),
        "status": "ok",
    }


def _line(reference: Reference, row: dict[str, Any]) -> dict[str, Any]:
    """One row of the table; without a row of ours, why there is none."""
    value = row.get("estimate")
    has_value = value is not None and np.isfinite(value)
    low, high = row.get("low"), row.get("high")
    has_limits = has_value and low is not None and high is not None and np.isfinite(low) and np.isfinite(high)
    named = ("finding", "train_cohort", "test_group", "model", "recipe")
    return {
        "label": reference.label,
        "metric": reference.metric,
        "split": reference.split,
        **{name: str(row.get(name) or getattr(reference, name, None) or "") for name in named},
        "published": reference.value,
        "estimate": value if has_value else None,
        "low": low if has_limits else None,
        "high": high if has_limits else None,
        "difference": float(value) - reference.value if has_value and value is not None else None,
        "is_inside": bool(low <= reference.value <= high) if has_limits else None,  # type: ignore[operator]
        "n_patients": row.get("n_patients"),
        "n_seeds": row.get("n_seeds"),
        "note": _note(row, has_value=has_value, has_limits=bool(has_limits)),
    }


def _note(row: dict[str, Any], *, has_value: bool, has_limits: bool) -> str:
    if not row:
        return ALONE
    if not has_value:
        return str(row.get("reason") or "not estimable")
    return "" if has_limits else "a mean over seeds, without an interval"


def published_line(row: dict[str, Any]) -> dict[str, str]:
    """A row of the table as text, as a paper shows it."""
    inside = row["is_inside"]
    return {
        "Published by": str(row["label"]),
        "Measure": f"{row['metric']}, {row['split']}",
        "Model": str(row["model"]) or ABSENT,
        "Trained on": str(row["train_cohort"]) or ABSENT,
        "Tested on": str(row["test_group"]) or ABSENT,
        "Published": decimal(row["published"]),
        "This run": decimal(row["estimate"]),
        "Interval": interval(row["low"], row["high"]),
        "Difference": signed(row["difference"]),
        "Inside our interval": ABSENT if inside is None or pd.isna(inside) else "yes" if inside else "no",
    }
