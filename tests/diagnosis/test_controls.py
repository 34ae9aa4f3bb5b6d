"""Each control changes the one thing that it names; measured, it stands beside the study's own fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis import (
    Control,
    control_combinations,
    control_rows,
    declared_controls,
    measure_controls,
)
from subgroup_audit.diagnosis.controls import split_by_image
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

SIZES = {"train": 200, "val": 60, "test": 100}


def make_study(**changes: Any) -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "data": {"source": "phantom"},
            "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
            "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
            "models": {"small": {"architecture": "small_cnn"}, "large": {"architecture": "resnet18"}},
            "seeds": [0, 1],
            "diagnose": ["shuffled_labels", "image_level_split", "learning_curve", "label_noise"],
            **changes,
        }
    )


@pytest.fixture(scope="module")
def manifest() -> CohortManifest:
    """Three cohorts of persons with three images each; `all` shares half its images with F and half with M."""
    rng = np.random.default_rng(0)
    frames = []
    for sex in "FM":
        rows = [
            {"image_id": f"{sex}{split}{i:03d}", "patient_id": f"{sex}{split}{i // 3}", "split": split, "sex": sex}
            for split, n in SIZES.items()
            for i in range(n)
        ]
        frame = pd.DataFrame(rows).assign(finding="opacity", weight=1.0)
        persons = pd.factorize(frame["patient_id"])[0]
        usual = rng.permutation(np.arange(persons.max() + 1) % 2)[persons]
        frame["y_true"] = np.where(rng.random(len(frame)) < 0.85, usual, 1 - usual)
        frames += [
            frame.assign(cohort=sex),
            frame[frame.groupby("split").cumcount() % 2 == 0].assign(cohort="all"),
        ]
    return CohortManifest(pd.concat(frames, ignore_index=True))


def rows_of(manifest: CohortManifest, cohort: str) -> pd.DataFrame:
    frame = manifest.frame
    chosen = frame[(frame["cohort"] == cohort) & frame["split"].isin(["train", "val"])]
    return chosen.sort_values("image_id").reset_index(drop=True)


def test_controls_are_those_of_the_study_with_their_amounts() -> None:
    words = [control.words for control in declared_controls(make_study())]
    assert words == [
        "shuffled labels", "image-level split", "25 % of the training persons", "50 % of the training persons",
        "10 % of the labels turned over", "20 % of the labels turned over",
    ]  # fmt: skip
    assert declared_controls(make_study(diagnose=[])) == ()


def test_every_cohort_is_fitted_again_with_the_first_model_and_recipe() -> None:
    assert control_combinations(make_study()) == [
        (cohort, "small", "default", seed) for cohort in ("all", "F", "M") for seed in (0, 1)
    ]


def test_shuffled_labels_keep_their_number_in_each_split_and_lose_the_image(manifest) -> None:
    rows, usual = control_rows(Control("shuffled_labels", 1.0), manifest, "F", 0), rows_of(manifest, "F")
    pd.testing.assert_frame_equal(rows.drop(columns="y_true"), usual.drop(columns="y_true"))
    assert (rows.groupby("split")["y_true"].sum() == usual.groupby("split")["y_true"].sum()).all()
    assert abs((rows["y_true"] == usual["y_true"]).mean() - 0.5) < 0.15
    again = control_rows(Control("shuffled_labels", 1.0), manifest, "F", 0)
    pd.testing.assert_frame_equal(rows, again)
    other = control_rows(Control("shuffled_labels", 1.0), manifest, "F", 1)
    assert (rows["y_true"] != other["y_true"]).any()


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_noise_turns_the_share_that_it_says_and_keeps_the_balance(manifest, share) -> None:
    rows, usual = control_rows(Control("label_noise", share), manifest, "F", 0), rows_of(manifest, "F")
    assert (rows["y_true"] != usual["y_true"]).mean() == pytest.approx(share, abs=0.005)
    assert (rows.groupby("split")["y_true"].sum() == usual.groupby("split")["y_true"].sum()).all()


def test_fewer_persons_are_whole_persons_of_the_training_split(manifest) -> None:
    rows, usual = control_rows(Control("learning_curve", 0.5), manifest, "F", 0), rows_of(manifest, "F")
    assert (rows["split"] == "val").sum() == (usual["split"] == "val").sum()
    train, whole = (frame[frame["split"] == "train"] for frame in (rows, usual))
    assert train["patient_id"].nunique() == pytest.approx(whole["patient_id"].nunique() / 2, abs=1)
    kept = whole[whole["patient_id"].isin(train["patient_id"])]
    assert train["image_id"].to_list() == kept["image_id"].to_list()


def test_a_split_of_images_keeps_sizes_and_classes_and_shares_persons(manifest) -> None:
    dealt = split_by_image(manifest)
    keys = ["cohort", "split", "y_true"]
    pd.testing.assert_series_equal(dealt.frame.groupby(keys).size(), manifest.frame.groupby(keys).size())
    assert (dealt.frame.groupby("image_id")["split"].nunique() == 1).all()

    def share_seen(table: CohortManifest, train: str, test: str) -> float:
        frame = table.frame
        seen = frame[(frame["cohort"] == train) & (frame["split"] != "test")]["patient_id"]
        tested = frame[(frame["cohort"] == test) & (frame["split"] == "test")]["patient_id"]
        return float(tested.isin(seen).mean())

    assert share_seen(manifest, "F", "F") == 0.0
    assert share_seen(dealt, "F", "F") > 0.7
    assert share_seen(dealt, "F", "M") == 0.0


def score(
    manifest: CohortManifest, separation: float, knows: float = 0.0, *, trained: str, seed: int
) -> pd.DataFrame:
    """Predictions of a made-up fit: what it sees of the finding, and what it remembers of persons it has seen."""
    frame = manifest.frame.drop_duplicates("image_id").drop(columns=["cohort", "weight"])
    rng = np.random.default_rng([seed, round(100 * separation), len(trained)])
    own = manifest.frame[(manifest.frame["cohort"] == trained) & (manifest.frame["split"] != "test")]
    remembered = frame["patient_id"].map(own.groupby("patient_id")["y_true"].mean()).fillna(0.5) - 0.5
    linear = rng.standard_normal(len(frame)) + separation * frame["y_true"] + knows * remembered
    return frame.assign(
        fit_id=f"{trained}{seed}{separation}", train_cohort=trained, model="small", recipe="default", seed=seed,
        y_score=1.0 / (1.0 + np.exp(-linear)),
    )  # fmt: skip


def predictions_of(
    manifest: CohortManifest, separation: float, knows: float = 0.0, n_seeds: int = 2
) -> Predictions:
    frames = [
        score(manifest, separation, knows, trained=cohort, seed=seed)
        for cohort in ("all", "F", "M")
        for seed in range(n_seeds)
    ]
    return Predictions(pd.concat(frames, ignore_index=True))


def test_shuffled_labels_are_compared_with_one_half(manifest) -> None:
    study, own = make_study(), predictions_of(manifest, 1.5)
    shuffled = {Control("shuffled_labels", 1.0): predictions_of(manifest, 0.0)}
    found = measure_controls(study, manifest, own, shuffled)
    assert len(found) == 9
    assert np.allclose(found["change"], found["auc"] - 0.5)
    assert ((found["low"] < 0) & (found["high"] > 0)).mean() >= 7 / 9
    assert (found["usual_auc"] > 0.75).all()


def test_leakage_shows_where_persons_are_shared_and_not_elsewhere(manifest) -> None:
    """Persons' labels are remembered; with three images a person that helps on their other images alone."""
    study = make_study()
    dealt = split_by_image(manifest)
    own = predictions_of(manifest, 0.5, knows=6.0, n_seeds=5)
    by_image = {Control("image_level_split", 1.0): predictions_of(dealt, 0.5, knows=6.0, n_seeds=5)}
    found = measure_controls(study, manifest, own, by_image).set_index(["train_cohort", "test_group"])
    assert found.loc[("F", "F"), "low"] > 0.0
    assert found.loc[("M", "M"), "low"] > 0.0
    for cell in (("F", "M"), ("M", "F")):
        assert found.loc[cell, "low"] < 0.0 < found.loc[cell, "high"]
