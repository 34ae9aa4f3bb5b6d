"""The metadata-only baseline finds a shortcut where there is one, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from subgroup_audit.audit import audit_predictions
from subgroup_audit.diagnosis import METADATA_MODEL, metadata_predictions
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

STUDY = Study.model_validate(
    {
        "study": "baseline",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": ["net"],
        "analysis": {"reference": {"sex": "M"}, "n_resamples": 100},
        "diagnose": ["metadata_baseline"],
    }
)


def _manifest(prevalence_ap: float, prevalence_pa: float, n: int = 1200) -> CohortManifest:
    rng = np.random.default_rng(0)
    view = rng.choice(["AP", "PA"], n)
    images = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "sex": rng.choice(["F", "M"], n),
            "view": view,
            "age_years": np.where(rng.random(n) < 0.1, np.nan, rng.normal(50, 15, n)),
            "split": rng.choice(["train", "val", "test"], n, p=[0.5, 0.1, 0.4]),
            "finding": "opacity",
            "y_true": (rng.random(n) < np.where(view == "AP", prevalence_ap, prevalence_pa)).astype(int),
            "weight": 1.0,
        }
    )
    parts = [images.assign(cohort="all"), *(images[images["sex"] == s].assign(cohort=s) for s in ("F", "M"))]
    return CohortManifest(pd.concat(parts, ignore_index=True))


def _test_auc(predictions: Predictions, cohort: str) -> float:
    rows = predictions.frame.query("train_cohort == @cohort and split == 'test'")
    return float(roc_auc_score(rows["y_true"], rows["y_score"]))


def test_a_view_shortcut_is_as_strong_as_the_view_alone() -> None:
    manifest = _manifest(0.7, 0.2)
    predictions = metadata_predictions(STUDY, manifest)
    rows = manifest.frame.query("cohort == 'all' and split == 'test'")
    alone = roc_auc_score(rows["y_true"], rows["view"] == "AP")
    assert alone > 0.7
    for cohort in ("all", "F", "M"):
        assert _test_auc(predictions, cohort) == pytest.approx(alone, abs=0.03)


def test_without_a_shortcut_it_is_chance() -> None:
    predictions = metadata_predictions(STUDY, _manifest(0.4, 0.4))
    assert abs(_test_auc(predictions, "all") - 0.5) < 0.07


def test_an_attribute_that_does_not_vary_does_no_harm() -> None:
    manifest = _manifest(0.7, 0.2)
    ap_only = CohortManifest(manifest.frame[manifest.frame["view"] == "AP"].assign(age_years=np.nan))
    scores = metadata_predictions(STUDY, ap_only).frame.query("train_cohort == 'F'")["y_score"]
    assert scores.nunique() == 1


def test_it_stands_in_the_matrix_and_in_no_contrast() -> None:
    manifest = _manifest(0.7, 0.2)
    baseline = metadata_predictions(STUDY, manifest).frame
    net = baseline.assign(model="net", recipe="default", fit_id="net-" + baseline["fit_id"])
    both = Predictions(pd.concat([net, baseline], ignore_index=True))
    result = audit_predictions(STUDY, manifest, both)
    assert set(result.estimates["model"]) == {"net", METADATA_MODEL}
    assert set(result.contrasts["model"]) == {"net"}
