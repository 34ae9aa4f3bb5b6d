"""Three classes: one finding each against the rest, and their macro mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.macro import MACRO
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

CLASSES = ("opacity", "not normal", "normal")


@pytest.fixture(scope="module")
def three_classes() -> tuple[Study, CohortManifest, Predictions, np.ndarray, np.ndarray]:
    """A study of three classes with softmax scores; the true class and the scores by image."""
    rng = np.random.default_rng(0)
    study = Study.model_validate(
        {
            "study": "three",
            "data": {"source": "table"},
            "classes": {name: [name] for name in CLASSES},
            "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
            "train_on": ["all"],
            "models": ["net"],
            "analysis": {"reference": {"sex": "M"}, "n_resamples": 400},
        }
    )
    n = 600
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    images = pd.DataFrame(
        {
            "image_id": [f"i{i:04d}" for i in range(n)],
            "patient_id": [f"p{i:04d}" for i in range(n)],
            "sex": np.where(np.arange(n) % 2, "F", "M"),
            "view": "PA",
            "split": np.where(np.arange(n) % 4 < 1, "train", "test"),
        }
    )
    long = pd.concat(
        [images.assign(finding=name, y_true=(truth == k).astype(int)) for k, name in enumerate(CLASSES)],
        ignore_index=True,
    )
    cohorts = {"all": long, "F": long[long["sex"] == "F"], "M": long[long["sex"] == "M"]}
    manifest = CohortManifest(pd.concat([f.assign(cohort=c, weight=1.0) for c, f in cohorts.items()]))
    fit = {"fit_id": "fit", "train_cohort": "all", "model": "net", "recipe": "default", "seed": 0}
    return study, manifest, Predictions(long.assign(**fit, y_score=scores.T.ravel())), truth, scores


def test_the_macro_mean_is_scikit_learns(three_classes) -> None:  # type: ignore[no-untyped-def]
    study, manifest, predictions, truth, scores = three_classes
    result = audit_predictions(study, manifest, predictions)
    cells = result.estimates
    assert set(cells["finding"]) == {*CLASSES, MACRO}
    is_test = np.arange(len(truth)) % 4 >= 1
    expected = roc_auc_score(truth[is_test], scores[is_test], multi_class="ovr", average="macro")
    macro = cells[(cells["finding"] == MACRO) & (cells["split"] == "test") & (cells["test_group"] == "all")]
    assert macro["estimate"].item() == pytest.approx(expected, abs=1e-12)
    assert macro["low"].item() < expected < macro["high"].item()
    assert macro["method"].item() == "MOVER for linear functions with correlation"
    assert macro["bootstrap_low"].item() == pytest.approx(macro["low"].item(), abs=0.02)
    assert macro["patient_se"].item() == pytest.approx(macro["standard_error"].item())


def test_gaps_of_the_macro_mean_have_verdicts(three_classes) -> None:  # type: ignore[no-untyped-def]
    study, manifest, predictions, _, _ = three_classes
    contrasts = audit_predictions(study, manifest, predictions).contrasts
    macro = contrasts[(contrasts["finding"] == MACRO) & (contrasts["kind"] == "subgroup_gap")]
    assert len(macro) == 1
    assert macro["verdict"].item() in {"inconclusive", "no gap beyond the margin"}
    assert macro["p_adjusted"].item() >= macro["p_value"].item()


def test_a_macro_mean_is_as_small_as_its_smallest_class(three_classes) -> None:  # type: ignore[no-untyped-def]
    study, manifest, predictions, _, _ = three_classes
    of_test = manifest.frame.query("finding == 'normal' and y_true == 1 and split == 'test'")
    rare = of_test["image_id"].drop_duplicates().tolist()[16:]
    kept = CohortManifest(manifest.frame[~manifest.frame["image_id"].isin(rare)])
    analysis = study.analysis.model_copy(update={"min_persons": 20})
    result = audit_predictions(study.model_copy(update={"analysis": analysis}), kept, predictions)
    cell = result.estimates.query("finding == @MACRO and split == 'test' and test_group == 'all'")
    assert cell["status"].item() == "small"
    assert cell["reason"].item().startswith("normal: 16 patients with a positive")
    gaps = result.contrasts.query("finding == @MACRO and kind == 'subgroup_gap'")
    assert gaps["status"].item() == "small"


def test_macro_means_over_seeds_know_of_the_seeds(three_classes) -> None:  # type: ignore[no-untyped-def]
    study, manifest, predictions, _, _ = three_classes
    rng = np.random.default_rng(1)
    fits = []
    for seed in range(3):
        shift = rng.normal(0, 1.0) * predictions.frame["y_true"]
        score = predictions.frame["y_score"] + 0.3 * rng.normal(size=len(predictions.frame)) + 0.2 * shift
        fits.append(predictions.frame.assign(seed=seed, fit_id=f"fit{seed}", y_score=score))
    result = audit_predictions(study, manifest, Predictions(pd.concat(fits)))
    cell = result.estimates.query("finding == @MACRO and split == 'test' and test_group == 'all'")
    assert "crossed seeds x patients" in cell["method"].item()
    assert cell["n_seeds"].item() == 3
    assert cell["standard_error"].item() > 1.5 * cell["patient_se"].item()
    assert cell["high"].item() - cell["low"].item() > 2 * (
        cell["bootstrap_high"].item() - cell["bootstrap_low"].item()
    )
    spread = result.spreads.query("finding == @MACRO and attribute == 'sex'")
    assert spread["worst_group"].item() in {"F", "M"}
    assert spread["n_seeds"].item() == 3
