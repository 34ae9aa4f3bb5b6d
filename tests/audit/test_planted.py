"""What a phantom plants is what an audit finds: an observer whose true AUC by group is known in closed form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.audit import audit_predictions
from subgroup_audit.datasets.phantom_design import PhantomDesign, plan_images
from subgroup_audit.datasets.phantom_truth import PhantomTruth, ideal_observer_auc
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

STUDY = {
    "study": "observer",
    "data": {"source": "phantom"},
    "findings": {"opacity": {"positive": ["Lung Opacity"]}},
    "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
    "train_on": ["all"],
    "models": ["observer"],
    "analysis": {"reference": {"sex": "M"}, "n_resamples": 200},
}


def _truth(tmp_path_factory: pytest.TempPathFactory, contrast_by_sex: Mapping[str, float]) -> PhantomTruth:
    design = PhantomDesign(
        n_images=240,
        size=64,
        prevalence=0.5,
        contrast_by_sex=contrast_by_sex,
        anatomy_follows_sex=False,
        anatomy_follows_view=False,
        seed=11,
    )
    assert len(plan_images(design)) == 240
    return write_phantom(tmp_path_factory.mktemp("planted") / "data", design, workers=1)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> PhantomTruth:
    """Opacities of women with a third of the contrast of men's."""
    return _truth(tmp_path_factory, {"F": 0.35, "M": 1.0})


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> PhantomTruth:
    """Nothing planted, and anatomy independent of sex and view."""
    return _truth(tmp_path_factory, {"F": 1.0, "M": 1.0})


def _observe(truth: PhantomTruth, rng: np.random.Generator) -> dict[str, object]:
    """The subgroup gap that an audit finds for the observer who sees d' plus a unit of noise, on new images.

    The new images have detectabilities drawn from the phantom's own, by sex and label, so that the closed form of
    the phantom is the truth of their population.
    """
    study = Study.model_validate(STUDY)
    frame = truth.frame.dropna(subset=["dprime"])
    chosen = frame.groupby(["sex", "label"]).sample(n=150, replace=True, random_state=rng.integers(2**31))
    n = len(chosen)
    images = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "sex": chosen["sex"].to_numpy(),
            "view": chosen["view"].to_numpy(),
            "split": "test",
            "finding": "opacity",
            "y_true": chosen["label"].astype(int).to_numpy(),
        }
    )
    cohorts = [images.assign(cohort="all"), *(images[images["sex"] == s].assign(cohort=s) for s in ("F", "M"))]
    manifest = CohortManifest(pd.concat(cohorts).assign(weight=1.0))
    fit = {"fit_id": "f", "train_cohort": "all", "model": "observer", "recipe": "default", "seed": 0}
    scores = chosen["dprime"].to_numpy() + rng.normal(size=n)
    result = audit_predictions(study, manifest, Predictions(images.assign(**fit, y_score=scores)))
    gaps = result.contrasts[result.contrasts["kind"] == "subgroup_gap"]
    return {str(key): value for key, value in gaps.to_dict("records")[0].items()}


def _true_gap(truth: PhantomTruth) -> float:
    return ideal_observer_auc(truth, {"sex": "F"}) - ideal_observer_auc(truth, {"sex": "M"})


def test_the_planted_gap_is_found_and_its_interval_covers_the_truth(planted: PhantomTruth) -> None:
    rng = np.random.default_rng(0)
    truth = _true_gap(planted)
    assert truth < -0.1
    found = [_observe(planted, rng) for _ in range(40)]
    covered = sum(gap["low"] <= truth <= gap["high"] for gap in found)  # type: ignore[operator]
    # 40 intervals of 95 %: 34 or more are covered with probability 0.999.
    assert covered >= 34
    assert {gap["verdict"] for gap in found} == {"gap"}


def test_a_phantom_with_nothing_planted_gives_no_gap(clean: PhantomTruth) -> None:
    rng = np.random.default_rng(1)
    found = [_observe(clean, rng) for _ in range(40)]
    truth = _true_gap(clean)
    assert abs(truth) < 0.06
    covered = sum(gap["low"] <= truth <= gap["high"] for gap in found)  # type: ignore[operator]
    assert covered >= 34
    assert sum(gap["verdict"] == "gap" for gap in found) < len(found)
