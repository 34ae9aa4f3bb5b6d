"""What each fit gets right on its own cohort: the accuracy that reports of single models quote, and its AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import Cell, CellName
from subgroup_audit.audit.contrasts import fits_of
from subgroup_audit.audit.estimates import MeasuredCell
from subgroup_audit.audit.macro import MacroCell
from subgroup_audit.schema import ACCURACY_COLUMNS
from subgroup_audit.stats import Estimate, average_over_seeds, combine, pool_sides, rate_interval
from subgroup_audit.study import Analysis, Study

THRESHOLD = 0.5
KEYS = ["fit_id", "train_cohort", "model", "recipe", "seed", "split"]

IntArray: TypeAlias = NDArray[np.int64]
Fits = Mapping[tuple[str, str, str], Mapping[int, str]]
"""Training cohort, model and recipe -> training seed -> key of the fit."""
Cells = Mapping[CellName, MeasuredCell]
Macros = Mapping[CellName, MacroCell]
OwnCells = dict[tuple[str, str, str, str], list[Cell]]
"""Training cohort, model, recipe and split -> the cells of the fits' own cohort, one a finding."""


def fit_accuracies(study: Study, fits: Fits, cells: Cells, macros: Macros) -> pd.DataFrame:
    """`ACCURACY_COLUMNS`: each fit on each split of the cohort that it was trained on, in evaluation mode.

    An image is right where its score is on the side of 0.5 on which its label is; of classes, where its class has
    the largest score. With several findings, every known label counts one. Limits are those of a share of images
    with persons as clusters, and of the AUC of one fit: for this trained model, whatever another seed would give.
    """
    analysis = study.analysis
    aucs = _own_aucs(cells, macros, analysis)
    is_right = _right_class if study.is_multiclass else _right_labels
    rows = []
    for (*recipe_of_cohort, split), own in _own_cells(cells).items():
        cohort, model, recipe = recipe_of_cohort
        for seed, fit in fits[cohort, model, recipe].items():
            key = dict(zip(KEYS, (fit, cohort, model, recipe, seed, split), strict=True))
            auc = _limits_of(aucs.get((cohort, model, recipe, seed, split)))
            rows.append(key | _share_right(*is_right(own, seed), analysis) | auc)
    rows.sort(key=lambda row: tuple(row[name] for name in KEYS))
    return pd.DataFrame(rows, columns=[column.name for column in ACCURACY_COLUMNS])


def _own_cells(cells: Cells) -> OwnCells:
    found: OwnCells = {}
    for name, measured in cells.items():
        if name.test_group == name.train_cohort:
            found.setdefault((name.train_cohort, name.model, name.recipe, name.split), []).append(measured.cell)
    return found


def _right_labels(own: Sequence[Cell], seed: int) -> tuple[IntArray, IntArray]:
    """Whether each known label of each finding is right, 0 or 1, and whose it is."""
    right = [(cell.by_seed[seed] >= THRESHOLD) == (cell.y_true == 1) for cell in own]
    return np.concatenate(right).astype(np.int64), np.concatenate([cell.person for cell in own])


def _right_class(own: Sequence[Cell], seed: int) -> tuple[IntArray, IntArray]:
    """The same of images: whether the class with the largest score, the first of equal ones, is theirs."""
    image = np.concatenate([cell.image_id for cell in own])
    codes, images = pd.factorize(image)
    score, label = (np.full((len(own), len(images)), fill) for fill in (-np.inf, 0.0))
    person = np.zeros(len(images), dtype=np.int64)
    start = 0
    for row, cell in enumerate(own):
        places = codes[start : start + len(cell.y_true)]
        score[row, places], label[row, places], person[places] = cell.by_seed[seed], cell.y_true, cell.person
        start += len(cell.y_true)
    called = np.argmax(score, axis=0)
    return label[called, np.arange(len(images))].astype(np.int64), person


def _share_right(right: IntArray, person: IntArray, analysis: Analysis) -> dict[str, Any]:
    # a label is right or wrong: the accuracy of calling every one right is their share
    found = rate_interval(
        right,
        np.ones(len(right)),
        "accuracy",
        threshold=THRESHOLD,
        person=person,
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
