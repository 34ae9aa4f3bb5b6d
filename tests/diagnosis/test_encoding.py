"""Probes of features: what is planted is found, what is not is not, and persons stay together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis.encoding import (
    FITTED,
    SHUFFLED,
    UNTRAINED,
    Probed,
    ProbeRows,
    Question,
    encoding_frame,
    probe_rows,
    questions,
    why_not,
    with_age_band,
)
from subgroup_audit.schema import ENCODING_COLUMNS, CohortManifest, Predictions, conform_frame
from subgroup_audit.study import Study

STUDY = Study.model_validate(
    {
        "study": "small",
        "data": {"source": "phantom"},
        "findings": {"opacity": {"positive": ["x"]}},
        "cohorts": {"all": {}},
        "models": ["small_cnn"],
    }
)
VIEW = Question("view", "AP", "PA")


def _manifest(n: int = 240, seed: int = 0, **columns: object) -> CohortManifest:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "cohort": "all",
            "image_id": [f"i{i:04d}" for i in range(n)],
            "patient_id": [f"p{i // 2:04d}" for i in range(n)],
            "split": np.where(np.arange(n) % 8 < 4, "train", np.where(np.arange(n) % 8 < 5, "train", "test")),
            "finding": "opacity",
            "y_true": rng.integers(0, 2, n),
            "weight": 1.0,
            "sex": "F",
            "view": rng.choice(["AP", "PA"], n),
            "age_years": rng.uniform(20, 90, n),
        }
    )
    frame["split"] = frame.groupby("patient_id")["split"].transform("first")
    return CohortManifest(frame.assign(**columns))


def _features(rows: ProbeRows, strength: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(len(rows.frame), 12))
    found[:, 3] += strength * rows.target(VIEW)
    return found.astype(np.float32)


def _probed(rows: ProbeRows, n_seeds: int = 2) -> Probed:
    probed = Probed()
    for seed in range(n_seeds):
        probed.add(rows, {FITTED: _features(rows, 4.0, seed), UNTRAINED: _features(rows, 0.0, 50 + seed)}, seed)
    return probed


def _predictions(manifest: CohortManifest) -> Predictions:
    frame = manifest.frame.drop(columns=["cohort", "weight"])
    rng = np.random.default_rng(7)
    frames = [
        frame.assign(
            fit_id=f"fit{seed}",
            train_cohort="all",
            model="small_cnn",
            recipe="default",
            seed=seed,
            y_score=np.clip(0.4 * frame["y_true"] + 0.6 * rng.random(len(frame)), 0, 1),
        )
        for seed in range(2)
    ]
    return Predictions(pd.concat(frames, ignore_index=True))


def _frame() -> pd.DataFrame:
    manifest = _manifest()
    rows = probe_rows(STUDY, manifest, "all")
    key = ("all", "small_cnn", "default")
    found = encoding_frame(STUDY, manifest, _predictions(manifest), {key: (rows, _probed(rows))})
    return conform_frame(found, ENCODING_COLUMNS, "encoding")


def test_a_planted_view_is_told_and_neither_untrained_nor_shuffled_features_tell_it() -> None:
    frame = _frame().set_index(["attribute", "source"])
    fitted, untrained, shuffled = (frame.loc[("view", s)] for s in (FITTED, UNTRAINED, SHUFFLED))
    assert fitted["low"] > 0.85
    assert untrained["low"] < 0.5 < untrained["high"]
    assert shuffled["low"] < 0.5 < shuffled["high"]
    assert (fitted["n_seeds"], shuffled["n_seeds"], shuffled["n_probes"]) == (2, 2, 10)


def test_the_task_stands_beside_the_probes() -> None:
    own = _frame().query("source == 'model'").iloc[0]
    assert (own["attribute"], own["value"], own["n_seeds"]) == ("finding", "opacity", 2)
    assert 0.5 < own["auc"] < 1.0


def test_a_value_that_all_images_share_is_said_to_be_so() -> None:
    row = _frame().query("attribute == 'sex'").iloc[0]
    assert row["status"] == "not estimable"
    assert row["reason"] == "every image has sex F"


def test_too_few_persons_are_no_probe() -> None:
    view = ["AP"] * 4 + ["PA"] * 236
    rows = probe_rows(STUDY, _manifest(view=view), "all")
    assert why_not(rows, VIEW) == "2 training persons with view AP; a probe needs 6"


def test_age_bands_are_those_of_the_study_or_our_own() -> None:
    frame = pd.DataFrame({"age_years": [30.0, 50.0, 70.0, np.nan]})
    assert with_age_band(STUDY, frame)["age_band"].tolist() == ["<40", "40-59", "60+", "Unknown"]
    theirs = STUDY.model_copy(update={"age_bands": (65.0,)})
    assert with_age_band(theirs, frame)["age_band"].tolist() == ["<65", "<65", "65+", "Unknown"]


def test_of_two_values_one_question_is_asked_and_of_three_each() -> None:
    asked = list(questions(probe_rows(STUDY, _manifest(), "all")))
    assert [q.value for q in asked if q.attribute == "view"] == ["AP"]
    assert [q.value for q in asked if q.attribute == "age_band"] == ["40-59", "60+", "<40"]


def test_a_cap_takes_whole_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subgroup_audit.diagnosis.encoding.MOST_IMAGES", 21)
    rows = probe_rows(STUDY, _manifest(), "all").frame
    assert rows.groupby("is_test").size().tolist() == [22, 22]
    assert (rows.groupby("person").size() == 2).all()
