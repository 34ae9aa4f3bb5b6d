"""Probes and heat maps of a made-up run: as many rows and pictures as a real one has. Nothing is measured."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.report.contents import HeatMaps
from subgroup_audit.study import Study

SIDE, MAP = 128, 7
QUESTIONS = (("sex", "F", "M"), ("view", "AP", "PA"), ("age_band", "0 to 39", "the rest"))
COUNTS = {"n_patients": 60, "n_images": 60, "n_positive": 30, "n_negative": 30, "n_seeds": 3, "status": "ok"}


def made_up_encoding(study: Study) -> pd.DataFrame:
    """A probe for each attribute and source, and the model's own AUC, for every model and training cohort."""
    asked = [("finding", study.finding_names[0], "the rest", "model")]
    asked += [(*one, source) for one in QUESTIONS for source in ("fitted", "untrained", "shuffled")]
    rows = [
        {
            "train_cohort": cohort, "model": model, "recipe": recipe, "attribute": attribute, "value": value,
            "against": against, "source": source, "auc": 0.8123456, "low": 0.7512345, "high": 0.8612345,
            "standard_error": 0.0281234, "confidence_level": 0.95,
            "method": "crossed seeds x patients, Satterthwaite t",
            "n_features": 1024, "n_train_patients": 60, "n_probes": 3, **COUNTS, "reason": "",
        }
        for cohort, model, recipe in product(study.train_cohorts, study.models, study.recipes)
        for attribute, value, against, source in asked
    ]  # fmt: skip
    return pd.DataFrame(rows)


def made_up_looks(study: Study, rng: np.random.Generator) -> HeatMaps:
    """A mean heat map for every cell and label, and four confident errors of either kind for each of 12 cells."""
    cells = [
        {
            "finding": study.finding_names[0], "train_cohort": cohort, "model": model, "recipe": recipe,
            "test_group": group, "label": label, "n_available": 30, "n_images": 30, "n_patients": 30,
            "n_without_heat": 0, "n_seeds": 3, "status": "ok", "reason": "",
        }
        for model, recipe, cohort, group, label in product(
            study.models, study.recipes, study.train_cohorts, study.test_cohorts, ("positive", "negative")
        )
    ]  # fmt: skip
    frame = pd.DataFrame(cells).assign(place=range(len(cells)))
    shown = frame.drop(columns=["label", "place"]).iloc[:: max(1, len(cells) // 12)].head(12)
    errors = [
        {**row, "kind": kind, "score": 0.987} for row in shown.to_dict("records") for kind in ["false alarm"] * 4
    ]
    return HeatMaps(
        cells=frame,
        boxes=None,
        errors=pd.DataFrame(errors),
        maps=_maps(len(cells), rng),
        means=_pictures(len(cells), rng, grain=1.5),
        error_maps=_maps(len(errors), rng),
        error_pictures=_pictures(len(errors), rng, grain=6.0),
    )


def _maps(number: int, rng: np.random.Generator) -> Any:
    maps = rng.gamma(1.0, size=(number, MAP, MAP)).astype(np.float32)
    return maps / maps.sum(axis=(1, 2), keepdims=True)


def _pictures(number: int, rng: np.random.Generator, *, grain: float) -> Any:
    """Two dark lungs in a bright chest, with as much grain as a mean of films or a single film has."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    lungs = sum(np.exp(-((((x - at) / 0.28) ** 2 + (y / 0.55) ** 2) ** 2)) for at in (-0.45, 0.45))
    films = 190 - 120 * lungs[None] + rng.normal(0, grain, (number, SIDE, SIDE))
    return np.clip(films, 0, 255).astype(np.uint8)
