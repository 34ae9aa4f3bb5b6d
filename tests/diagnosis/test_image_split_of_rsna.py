"""What a split of images does on RSNA's own persons, for an observer that remembers whom it has seen.

No pixels and no network: the observer's score is a faint finding and, for a person of whom it has seen training
images, the mean of their labels. It remembers every person, as no network does; what it gains must show on the
diagonal alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from subgroup_audit.diagnosis import Control, measure_controls, split_by_image
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

RSNA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "rsna"
SEEDS = (0, 1, 2)
DRAWS = 8
STUDY = Study.model_validate(
    {
        "study": "memory",
        "data": {"source": "rsna"},
        "findings": {"opacity": {"positive": ["Lung Opacity"], "negative": ["Normal"]}},
        "cohorts": {"F": {"sex": "F", "view": "AP"}, "M": {"sex": "M", "view": "AP"}},
        "models": {"memory": {"architecture": "small_cnn"}},
        "recipes": {"none": {}},
        "seeds": list(SEEDS),
        "diagnose": ["image_level_split"],
    }
)


@pytest.fixture(scope="module")
def manifest() -> CohortManifest:
    """AP films of women and of men with opacity or normal, as many of each, split by NIH patient."""
    if not RSNA.is_dir():
        pytest.skip(f"RSNA's metadata are not there: {RSNA}")
    headers = pd.read_csv(RSNA / "dicom_headers.csv", dtype=str).rename(columns={"PatientID": "image_id"})
    classes = pd.read_csv(RSNA / "stage_2_detailed_class_info.csv").drop_duplicates("patientId")
    persons = pd.read_csv(RSNA / "nih_matches.csv", dtype=str, keep_default_na=False)
    frame = headers.merge(classes.rename(columns={"patientId": "image_id"}), on="image_id", validate="1:1")
    frame = frame.merge(persons.rename(columns={"patientId": "image_id"}), on="image_id", validate="1:1")
    frame = frame[(frame["ViewPosition"] == "AP") & frame["class"].isin(["Lung Opacity", "Normal"])]
    frame = frame[frame["nih_image_index"] != ""].assign(
        patient_id=lambda rows: rows["nih_image_index"].str[:8],
        y_true=lambda rows: (rows["class"] == "Lung Opacity").astype(np.int64),
        cohort=lambda rows: rows["PatientSex"],
    )
    n_each = int(frame.groupby(["cohort", "y_true"]).size().min())
    drawn = frame.groupby(["cohort", "y_true"]).sample(n_each, random_state=0)
    everybody = np.sort(drawn["patient_id"].unique())
    split = np.random.default_rng(0).choice(["train", "val", "test"], len(everybody), p=[0.6, 0.1, 0.3])
    drawn = drawn.assign(
        split=drawn["patient_id"].map(dict(zip(everybody, split, strict=True))), sex=drawn["cohort"]
    )
    kept = ["cohort", "image_id", "patient_id", "split", "sex", "y_true"]
    return CohortManifest(drawn[kept].assign(finding="opacity", weight=1.0).reset_index(drop=True))


def remember(manifest: CohortManifest, *, weight: float, draw: int) -> Predictions:
    """Scores of every cohort's observers: a faint finding, noise, and the labels of persons seen in training."""
    frame, fits = manifest.frame, []
    signal = np.random.default_rng([1, draw]).standard_normal(len(frame)) + 0.3 * frame["y_true"].to_numpy()
    for cohort in ("F", "M"):
        learned = frame[(frame["cohort"] == cohort) & (frame["split"] == "train")]
        seen = learned.groupby("patient_id")["y_true"].mean() - 0.5
        known = frame["patient_id"].map(seen).fillna(0.0).to_numpy()
        for seed in SEEDS:
            noise = np.random.default_rng([2, draw, seed]).standard_normal(len(frame))
            score = 1.0 / (1.0 + np.exp(-(signal + 0.5 * noise + weight * known)))
            named = {"train_cohort": cohort, "model": "memory", "recipe": "none", "seed": seed}
            scored = frame.assign(**named, fit_id=f"{cohort}{seed}", y_score=score)
            fits.append(scored.drop(columns=["cohort", "weight"]))
    return Predictions(pd.concat(fits, ignore_index=True))


def inflations(manifest: CohortManifest, *, weight: float) -> pd.DataFrame:
    """The control of every draw, a row per cell."""
    rows = []
    for draw in range(DRAWS):
        usual = remember(manifest, weight=weight, draw=draw)
        by_image = remember(split_by_image(manifest), weight=weight, draw=draw)
        controls = {Control("image_level_split", 1.0): by_image}
        rows.append(measure_controls(STUDY, manifest, usual, controls).assign(draw=draw))
    found = pd.concat(rows, ignore_index=True)
    return found.assign(is_own=found["train_cohort"] == found["test_group"], is_told=found["low"] > 0.0)


def test_memory_of_persons_shows_on_the_diagonal_and_not_off_it(manifest: CohortManifest) -> None:
    found = inflations(manifest, weight=4.0)
    print(
        found.groupby(["train_cohort", "test_group"])[["usual_auc", "auc", "change", "is_told"]].mean().to_string()
    )
    own, other = found[found["is_own"]], found[~found["is_own"]]
    assert own["is_told"].mean() >= 0.8
    assert own["change"].mean() > 0.05
    # a 95 % interval lies above 0 by chance in one of forty
    assert binomtest(int(other["is_told"].sum()), len(other), 0.025, alternative="greater").pvalue > 0.01
    assert abs(other["change"].mean()) < 0.03


def test_without_memory_nothing_shows_anywhere(manifest: CohortManifest) -> None:
    found = inflations(manifest, weight=0.0)
    assert binomtest(int(found["is_told"].sum()), len(found), 0.025, alternative="greater").pvalue > 0.01
    assert abs(found["change"].mean()) < 0.03
