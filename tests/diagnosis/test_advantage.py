"""How much of an AUC goes with an attribute: planted answers, and cells that have none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis.advantage import advantage_frame
from subgroup_audit.schema import ADVANTAGE_COLUMNS, CohortManifest, Predictions, conform_frame
from subgroup_audit.stats import auc, stratified_auc
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


def _tables(kind: str, n: int = 800, n_seeds: int = 2) -> tuple[CohortManifest, Predictions]:
    """AP images are sick three times in four, PA one in four; scores know the view, the finding, or nothing."""
    rng = np.random.default_rng(5)
    view = rng.choice(["AP", "PA"], n)
    y_true = (rng.random(n) < np.where(view == "AP", 0.75, 0.25)).astype(int)
    signal = {"view": 1.0 * (view == "AP"), "finding": 1.0 * y_true, "nothing": np.zeros(n)}[kind]
    frame = pd.DataFrame(
        {
            "image_id": [f"i{i:04d}" for i in range(n)],
            "patient_id": [f"p{i // 2:04d}" for i in range(n)],
            "split": np.where(np.arange(n) // 2 % 2 == 0, "train", "test"),
            "finding": "opacity",
            "y_true": y_true,
            "sex": rng.choice(["F", "M"], n),
            "view": view,
        }
    )
    fits = [
        frame.assign(
            fit_id=f"fit{seed}",
            train_cohort="all",
            model="small_cnn",
            recipe="default",
            seed=seed,
            y_score=1 / (1 + np.exp(-(1.5 * signal + rng.normal(size=n)))),
        )
        for seed in range(n_seeds)
    ]
    manifest = CohortManifest(frame.assign(cohort="all", weight=1.0))
    return manifest, Predictions(pd.concat(fits, ignore_index=True))


def _row(kind: str, attribute: str = "view", **options: int) -> pd.Series:
    found = conform_frame(advantage_frame(STUDY, *_tables(kind, **options)), ADVANTAGE_COLUMNS, "advantage")
    return found[found["attribute"] == attribute].iloc[0]


def test_a_model_that_knows_only_the_view_has_nothing_left_within_it() -> None:
    row = _row("view")
    assert row["low"] < 1.0 < row["high"]
    assert row["share"] == pytest.approx(1.0, abs=0.25)
    assert row["auc_within_low"] < 0.5 < row["auc_within_high"]
    assert row["auc_alone_low"] > 0.6


def test_a_model_that_knows_the_finding_keeps_its_advantage() -> None:
    row = _row("finding", n_seeds=4)
    assert row["share"] == pytest.approx(0.0, abs=0.1)
    assert row["low"] < row["share"] < row["high"] < 0.2
    sex = _row("finding", "sex", n_seeds=4)
    assert sex["low"] < 0.0 < sex["high"]


def test_without_an_advantage_there_is_nothing_to_divide() -> None:
    row = _row("nothing")
    assert row["status"] == "not estimable"
    assert pd.isna(row["share"])
    assert row["reason"].startswith("the 95 % interval of the model's AUC (")
    assert row["reason"].endswith("holds 0.5: no advantage to explain")


def test_one_seed_gives_the_numbers_of_the_definitions() -> None:
    manifest, predictions = _tables("view", n_seeds=1)
    row = advantage_frame(STUDY, manifest, predictions).query("attribute == 'view'").iloc[0]
    tested = predictions.frame[predictions.frame["split"] == "test"]
    overall = auc(tested["y_true"], tested["y_score"])
    within = stratified_auc(tested["y_true"], tested["y_score"], tested["view"], person=tested["patient_id"])
    assert row["auc_all"] == pytest.approx(overall)
    assert row["auc_within"] == pytest.approx(within.estimate)
    assert row["share"] == pytest.approx((overall - within.estimate) / (overall - 0.5))


def test_fiellers_limits_agree_with_draws_of_persons() -> None:
    manifest, predictions = _tables("view", n_seeds=1)
    row = advantage_frame(STUDY, manifest, predictions).query("attribute == 'view'").iloc[0]
    tested = predictions.frame[predictions.frame["split"] == "test"]
    y, s, v = (tested[name].to_numpy() for name in ("y_true", "y_score", "view"))
    of_person = np.split(np.arange(len(y)), len(y) // 2)
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(400):
        drawn = np.concatenate([of_person[k] for k in rng.integers(0, len(of_person), len(of_person))])
        overall = auc(y[drawn], s[drawn])
        within = stratified_auc(y[drawn], s[drawn], v[drawn], person=np.arange(len(drawn))).estimate
        shares.append((overall - within) / (overall - 0.5))
    low, high = np.quantile(shares, [0.025, 0.975])
    assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.25)


def test_a_value_without_both_classes_is_left_out_and_counted() -> None:
    manifest, predictions = _tables("finding")
    first = manifest.frame[(manifest.frame["split"] == "test") & (manifest.frame["y_true"] == 1)]["image_id"].head(
        3
    )
    odd = {"view": lambda frame: frame["view"].where(~frame["image_id"].isin(first), "Unknown")}
    found = advantage_frame(STUDY, CohortManifest(manifest.frame.assign(**odd)), predictions)
    row = found.query("attribute == 'view'").iloc[0]
    assert row["n_left_out"] == 3
    assert row["reason"] == "3 images left out, whose view lacks a class"
