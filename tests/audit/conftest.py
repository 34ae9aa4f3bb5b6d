"""A synthetic audit: persons with several images, scores of known quality by sex."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

SPLIT_OF_FOUR = np.array(["train", "val", "test", "test"])
Sample = tuple[Study, CohortManifest, Predictions]


def make_study(**changes: object) -> Study:
    """A study of two sexes, one model and two seeds."""
    base = {
        "study": "synthetic",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": ["net"],
        "seeds": [0, 1],
        "analysis": {"reference": {"sex": "M"}, "n_resamples": 500},
    }
    return Study.model_validate({**base, **changes})


def make_images(n_persons: int, rng: np.random.Generator) -> pd.DataFrame:
    """Two images a person; sex alternates, a quarter train, a quarter val, half test."""
    person = np.repeat(np.arange(n_persons), 2)
    return pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in range(2 * n_persons)],
            "patient_id": [f"{p:05d}" for p in person],
            "sex": np.where(person % 2, "F", "M"),
            "view": "PA",
            "split": SPLIT_OF_FOUR[(person // 2) % 4],
            "y_true": rng.integers(0, 2, len(person)),
        }
    )


def make_manifest(study: Study, images: pd.DataFrame) -> CohortManifest:
    """Every cohort of the study with all images that match."""
    parts = []
    for name, cohort in study.cohorts.items():
        matching = images
        for attribute, value in cohort.where.items():
            matching = matching[matching[attribute] == value]
        parts.append(matching.assign(cohort=name, finding="opacity", weight=1.0))
    return CohortManifest(pd.concat(parts, ignore_index=True))


def make_predictions(
    study: Study, images: pd.DataFrame, strength: Mapping[str, float], rng: np.random.Generator
) -> Predictions:
    """Scores whose distance between classes is `strength` of the image's sex; persons share half of the noise."""
    shift = images["sex"].map(strength).to_numpy() * images["y_true"].to_numpy()
    common = images["patient_id"].map(
        dict(zip(images["patient_id"].unique(), rng.normal(size=10_000), strict=False))
    )
    parts = []
    for cohort, model, recipe, seed in study.fit_combinations():
        noise = 0.7 * common.to_numpy() + 0.6 * rng.normal(size=len(images)) + 0.38 * rng.normal(size=len(images))
        parts.append(
            images.assign(
                fit_id=f"{cohort}-{model}-{seed}",
                train_cohort=cohort,
                model=model,
                recipe=recipe,
                seed=seed,
                finding="opacity",
                y_score=1 / (1 + np.exp(-(shift + noise))),
            )
        )
    return Predictions(pd.concat(parts, ignore_index=True))


@pytest.fixture
def synthetic() -> Callable[..., Sample]:
    """Makes a study with its manifest and predictions."""

    def make(strength: Mapping[str, float], *, n_persons: int = 400, seed: int = 0, **changes: object) -> Sample:
        rng = np.random.default_rng(seed)
        study = make_study(**changes)
        images = make_images(n_persons, rng)
        return study, make_manifest(study, images), make_predictions(study, images, strength, rng)

    return make
