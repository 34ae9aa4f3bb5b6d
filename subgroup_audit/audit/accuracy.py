"""What each fit gets right on its own cohort: the accuracy that reports of single models quote, and its AUC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.contrasts import fits_of
from subgroup_audit.audit.estimates import MeasuredCell
from subgroup_audit.audit.macro import MacroCell
from subgroup_audit.schema import ACCURACY_COLUMNS, CohortManifest, Predictions
from subgroup_audit.stats import Estimate, average_over_seeds, combine, pool_sides, rate_interval
from subgroup_audit.study import Analysis, Study

THRESHOLD = 0.5
KEYS = ["fit_id", "train_cohort", "model", "recipe", "seed"]

Cells = Mapping[CellName, MeasuredCell]
Macros = Mapping[CellName, MacroCell]


def fit_accuracies(
    study: Study,
    manifest: CohortManifest,
    predictions: Predictions | Iterable[Predictions],
    cells: Cells,
    macros: Macros,
) -> pd.DataFrame:
    """`ACCURACY_COLUMNS`: each fit on each split of the cohort that it was trained on, in evaluation mode.

    An image is right where its score is on the side of 0.5 on which its label is; of classes, where its class has
    the largest score. With several findings, every known label counts one. Limits are those of a share of images
    with persons as clusters, and of the AUC of one fit: for this trained model, whatever another seed would give.
    """
    names = [*KEYS, "split"]
    rows = [
        dict(zip(names, key, strict=True)) | _share_right(part, study.analysis)
        for table in ([predictions] if isinstance(predictions, Predictions) else predictions)
        for key, part in _right_or_wrong(study, manifest, table).groupby(names, sort=True)
    ]
    rows.sort(key=lambda row: tuple(row[name] for name in names))
    aucs = _own_aucs(cells, macros, study.analysis)
    named = ("train_cohort", "model", "recipe", "seed", "split")
    full = [row | _limits_of(aucs.get(tuple(row[name] for name in named))) for row in rows]
    return pd.DataFrame(full, columns=[column.name for column in ACCURACY_COLUMNS])


def _right_or_wrong(study: Study, manifest: CohortManifest, predictions: Predictions) -> pd.DataFrame:
    """Every known label of a fit's own cohort, with whether the fit has it right."""
    columns = ["cohort", "image_id", "patient_id", "finding", "split"]
    of_cohorts = manifest.frame["cohort"].isin(predictions.frame["train_cohort"].unique())
    members = manifest.frame.loc[of_cohorts, columns].rename(columns={"cohort": "train_cohort"})
    is_own = predictions.frame["image_id"].isin(members["image_id"])
    scored = predictions.frame.loc[is_own, [*KEYS, "image_id", "finding", "y_true", "y_score"]].merge(
        members, on=["train_cohort", "image_id", "finding"]
    )
    if study.is_multiclass:
        scored = scored.loc[scored.groupby(["fit_id", "image_id"])["y_score"].idxmax()]
        return scored.assign(right=scored["y_true"] == 1)
    return scored.assign(right=(scored["y_score"] >= THRESHOLD) == (scored["y_true"] == 1))


def _share_right(rows: pd.DataFrame, analysis: Analysis) -> dict[str, Any]:
    # a label is right or wrong: the accuracy of calling every one right is their share
    right = rows["right"].to_numpy(dtype=np.int64)
    found = rate_interval(
        right,
        np.ones(len(right)),
        "accuracy",
        threshold=THRESHOLD,
        person=rows["patient_id"].to_numpy(dtype=object),
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )
    return {
        "n_labels": len(right),
        "n_right": int(right.sum()),
        "n_patients": found.n_patients,
        "accuracy": found.estimate,
        "low": found.low,
        "high": found.high,
        "confidence_level": found.confidence_level,
        "method": found.method,
    }


def _own_aucs(cells: Cells, macros: Macros, analysis: Analysis) -> dict[tuple[Any, ...], Estimate]:
    """The AUC of every fit on its own cohort, by names, seed and split; of several findings their macro mean."""
    chosen: dict[CellName, list[MeasuredCell]] = {name: [cell] for name, cell in cells.items()}
    if macros:
        chosen = {name: list(macro.parts) for name, macro in macros.items()}
    return {
        (name.train_cohort, name.model, name.recipe, seed, name.split): _auc_of(parts, seed, analysis)
        for name, parts in chosen.items()
        if name.test_group == name.train_cohort
        for seed in parts[0].components
    }


def _auc_of(parts: list[MeasuredCell], seed: int, analysis: Analysis) -> Estimate:
    sides = [[part.components[seed]] for part in parts]
    level, fewest = analysis.confidence_level, analysis.min_persons
    if len(sides) == 1:
        return average_over_seeds(sides[0], confidence_level=level, min_persons=fewest)
    groups = [fits_of(part) for part in parts]
    pool = pool_sides(sides, seed_groups=groups, confidence_level=level, min_persons=fewest)
    return combine(pool, [1.0 / len(sides)] * len(sides), names=[part.name.finding for part in parts])


def _limits_of(found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return dict.fromkeys(("auc", "auc_low", "auc_high"))
    return {"auc": found.estimate, "auc_low": found.low, "auc_high": found.high}
