"""Whole fits: they learn what is there, nothing where there is nothing, and give the same numbers again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from subgroup_audit.errors import ModelError, TrainingError
from subgroup_audit.schema import History, Predictions
from subgroup_audit.stats import auc
from subgroup_audit.training import FitSpec, load_fitted, predict
from subgroup_audit.training.checkpoint import load_weights

Make = Callable[..., Any]


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def auc_of(folder: Path, split: str = "test") -> float:
    frame = read(folder, "predictions")
    found = [auc(g["y_true"], g["y_score"]) for _, g in frame[frame["split"] == split].groupby("finding")]
    return float(np.mean(found))


def timeless(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=["seconds", "images_per_second"])


def test_a_planted_sign_is_learned(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    augmentation = {"horizontal_flip": 0.0, "rotation_degrees": 5, "shift": 0.05, "brightness": 0.1}
    spec = make_spec(epochs=4, augmentation=augmentation)
    outcome = planted.fit(spec, tmp_path)
    assert auc_of(tmp_path) > 0.9
    assert outcome.stopped == "all 4 epochs done"
    assert (outcome.n_train, outcome.n_val, outcome.n_targets) == (80, 40, 160)
    record = json.loads((tmp_path / "fit.json").read_text())
    assert record["precision"] == "fp32"
    assert record["layout"] == "channels_last"
    assert record["feeding"] == "warped"
    assert record["versions"]["torch"] == torch.__version__
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint.safetensors", "fit.json", "history.parquet", "model.json", "predictions.parquet",
        "stages.parquet",
    ]  # fmt: skip


def test_shuffled_labels_teach_nothing(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    data = make_data(480, is_null=True)
    data.fit(make_spec(epochs=3), tmp_path)
    # 120 test images: the standard error of a null AUC is 0.053
    assert abs(auc_of(tmp_path) - 0.5) < 0.17


def test_tables_are_valid_and_keyed(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    planted.fit(make_spec(), tmp_path)
    history, predictions = read(tmp_path, "history"), read(tmp_path, "predictions")
    History(history)
    Predictions(predictions)
    assert list(history["epoch"]) == [1, 1, 2, 2]
    assert history.groupby("epoch")["is_best"].first().sum() == 1
    assert list(predictions.columns[-2:]) == ["sex", "view"]
    merged = predictions.merge(planted.frame, on=["image_id", "finding"], suffixes=("", "_asked"))
    assert len(merged) == len(planted.frame)
    for column in ("patient_id", "split", "y_true", "sex"):
        assert (merged[column] == merged[f"{column}_asked"]).all()


def test_row_order_of_targets_does_not_matter(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    from subgroup_audit.training import run_fit

    shuffled = planted.frame.sample(frac=1.0, random_state=1)
    for name, targets in (("a", planted.frame), ("b", shuffled)):
        run_fit(make_spec(), planted.frame, targets, planted.pixels, device="cpu", folder=tmp_path / name)
    a, b = (read(tmp_path / name, "predictions").set_index("image_id")["y_score"] for name in "ab")
    pd.testing.assert_series_equal(a.sort_index(), b.sort_index(), rtol=1e-5)


def test_the_same_spec_gives_the_same_bytes(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(augmentation={"rotation_degrees": 10, "horizontal_flip": 0.5}, model={"dropout": 0.3})
    before = torch.get_rng_state()
    for name in "ab":
        planted.fit(spec, tmp_path / name)
    assert torch.equal(before, torch.get_rng_state())
    first, second = ((tmp_path / name / "predictions.parquet").read_bytes() for name in "ab")
    assert first == second
    pd.testing.assert_frame_equal(
        timeless(read(tmp_path / "a", "history")), timeless(read(tmp_path / "b", "history"))
    )


def test_another_seed_gives_another_network(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    for seed in (0, 1):
        planted.fit(make_spec(seed=seed, epochs=1), tmp_path / str(seed))
    a, b = (read(tmp_path / name, "predictions")["y_score"] for name in "01")
    assert (a != b).mean() > 0.9


class KilledError(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimiser": "adamw", "schedule": "cosine", "warmup_epochs": 1.0},
        {"optimiser": "sgd", "schedule": "plateau", "plateau_patience": 1, "early_stopping": {"patience": 3}},
    ],
)
def test_a_killed_fit_resumes_with_the_same_numbers(
    planted: Any, make_spec: Make, tmp_path: Path, recipe: dict[str, Any]
) -> None:
    spec = make_spec(epochs=4, augmentation={"shift": 0.05}, model={"dropout": 0.2}, **recipe)

    def kill(report: Any) -> None:
        if report.epoch == 2:
            raise KilledError

    planted.fit(spec, tmp_path / "whole")
    with pytest.raises(KilledError):
        planted.fit(spec, tmp_path / "killed", on_epoch=kill)
    outcome = planted.fit(spec, tmp_path / "killed")
    assert outcome.resumed_after in (1, 2)
    assert f"resumed after epoch {outcome.resumed_after}" in outcome.notes
    assert not (tmp_path / "killed" / "resume").exists()
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    assert (whole / "predictions.parquet").read_bytes() == (killed / "predictions.parquet").read_bytes()
    pd.testing.assert_frame_equal(timeless(read(whole, "history")), timeless(read(killed, "history")))


def test_what_another_fit_left_is_not_resumed(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    def kill(report: Any) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        planted.fit(make_spec(seed=1), tmp_path, on_epoch=kill)
    assert planted.fit(make_spec(seed=2), tmp_path).resumed_after == 0


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine"])
def test_every_optimiser_and_schedule_trains(
    planted: Any, make_spec: Make, tmp_path: Path, optimiser: str, schedule: str
) -> None:
    spec = make_spec(
        optimiser=optimiser,
        schedule=schedule,
        momentum=0.9 if optimiser == "sgd" else 0.0,
        clip_norm=1.0,
        weight_decay=1e-4,
        label_smoothing=0.05,
        class_weight="balanced",
        model={"architecture": "small_cnn", "hidden": (16,)},
    )
    planted.fit(spec, tmp_path)
    history = read(tmp_path, "history")
    losses = history.loc[history["phase"] == "train", "loss"].to_list()
    assert losses[1] < losses[0]


def test_several_findings_with_labels_unknown(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    findings = ("opacity", "effusion")
    data = make_data(240, findings=findings)
    hidden = (data.frame["finding"] == "effusion") & (np.arange(len(data.frame)) % 3 == 0)
    data.frame = data.frame[~hidden]
    data.fit(make_spec(findings=findings, epochs=5, sampling="balanced"), tmp_path)
    predictions = read(tmp_path, "predictions")
    assert len(predictions) == len(data.frame)
    assert auc_of(tmp_path) > 0.9


def test_classes(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    findings = ("normal", "opacity", "other")
    data = make_data(240, findings=findings, is_multiclass=True)
    spec = make_spec(findings=findings, is_multiclass=True, epochs=5, class_weight="balanced", sampling="balanced")
    data.fit(spec, tmp_path)
    predictions = read(tmp_path, "predictions")
    sums = predictions.groupby("image_id")["y_score"].sum()
    np.testing.assert_allclose(sums, 1.0, atol=1e-5)
    assert auc_of(tmp_path) > 0.9
    history = read(tmp_path, "history")
    assert history["accuracy"].iloc[-1] > 0.7


def test_balanced_sampling_shows_both_classes_equally(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    data = make_data(400, positive_share=0.1)
    data.fit(make_spec(sampling="balanced", learning_rate=1e-9, epochs=1, batch_size=8), tmp_path)
    data.fit(make_spec(sampling="plain", learning_rate=1e-9, epochs=1, batch_size=8), tmp_path / "plain")
    assert auc_of(tmp_path) == pytest.approx(auc_of(tmp_path / "plain"), abs=0.25)


def test_early_stopping_and_the_best_epoch_is_kept(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(epochs=30, learning_rate=3e-3, early_stopping={"patience": 2}, monitor="val_loss")
    outcome = planted.fit(spec, tmp_path)
    history = read(tmp_path, "history")
    val = history[history["phase"] == "val"].set_index("epoch")
    assert outcome.stopped == "no gain of val_loss in 2 epochs"
    assert outcome.n_epochs < 30
    assert outcome.best_epoch == val["loss"].idxmin()
    assert list(val.index[val["is_best"]]) == [outcome.best_epoch]
    kept = read(tmp_path, "predictions")
    kept = kept[kept["split"] == "val"]
    loss = -np.mean(
        np.where(kept["y_true"] == 1, np.log(kept["y_score"]), np.log1p(-kept["y_score"].clip(upper=1 - 1e-7)))
    )
    assert loss == pytest.approx(val["loss"].min(), rel=1e-3, abs=1e-6)


def test_the_last_epoch_is_kept_where_asked(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    outcome = planted.fit(make_spec(epochs=3, restore_best=False), tmp_path)
    assert outcome.best_epoch == 3


def test_a_loss_that_is_not_finite_stops_the_fit(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        planted.fit(make_spec(optimiser="sgd", learning_rate=1e30), tmp_path)
    assert str(caught.value) == (
        "fit everyone / small / quick / seed 0: the loss is not finite in epoch 1, batch 2 of 5, at learning "
        "rate 1e+30 and precision fp32; lower `learning_rate`, set `clip_norm`, or use `precision: fp32`"
    )


def test_memory_that_runs_out_is_told(
    planted: Any, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("subgroup_audit.training.fit.train_epochs", run_out)
    with pytest.raises(TrainingError) as caught:
        planted.fit(make_spec(), tmp_path)
    assert str(caught.value) == (
        "fit everyone / small / quick / seed 0: cpu ran out of memory at 32 px even with 2 or 3 images at a time; "
        "lower `image_size` or take a smaller model"
    )


def test_targets_with_a_strange_finding(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    from subgroup_audit.training import run_fit

    targets = planted.frame.assign(finding="oedema")
    with pytest.raises(TrainingError) as caught:
        run_fit(make_spec(), planted.frame, targets, planted.pixels, device="cpu", folder=tmp_path)
    assert str(caught.value) == (
        "targets of fit everyone / small / quick / seed 0 have the finding 'oedema'; it knows opacity"
    )


def test_a_frozen_trunk_is_run_once(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(model={"architecture": "test_resnet", "trainable": "head", "hidden": (8,)}, epochs=5)
    outcome = planted.fit(spec, tmp_path, cache=tmp_path / "cache")
    assert outcome.feeding == "features of the frozen trunk"
    slow = spec.recipe.model_copy(update={"augmentation": type(spec.recipe.augmentation)(shift=1e-9)})
    every = FitSpec(**{**vars(spec), "recipe": slow})
    planted.fit(every, tmp_path / "slow")
    a, b = read(tmp_path, "predictions")["y_score"], read(tmp_path / "slow", "predictions")["y_score"]
    np.testing.assert_allclose(a, b, atol=2e-3)


def test_frozen_layers_do_not_change(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    model = {"architecture": "test_resnet", "trainable": "14x14"}
    for epochs in (1, 3):
        spec = make_spec(model=model, epochs=epochs, restore_best=False)
        outcome = planted.fit(spec, tmp_path / str(epochs))
    assert 0 < outcome.n_trainable < outcome.n_parameters
    one, three = (load_weights(tmp_path / str(n) / "checkpoint.safetensors") for n in (1, 3))
    changed = {key for key in one if not torch.equal(one[key], three[key])}
    assert "trunk.conv1.0.weight" not in changed
    assert not any(key.startswith("trunk.bn1.running") for key in changed)
    assert "head.1.weight" in changed


def test_a_fitted_model_is_loaded_and_predicts_the_same(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    planted.fit(make_spec(model={"architecture": "test_resnet", "hidden": (4,)}), tmp_path)
    fitted = load_fitted(tmp_path)
    asked = [f"{i:05d}" for i in (5, 3, 77)]
    scores = predict(fitted, planted.pixels, asked)
    stored = read(tmp_path, "predictions").set_index("image_id")["y_score"]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores[:, 0], stored.loc[asked], rtol=1e-5)
    with pytest.raises(ModelError) as caught:
        load_fitted(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"'{tmp_path / 'nowhere'}' holds no fitted model: model.json and checkpoint.safetensors missing"
    )


def test_training_goes_on_from_a_fitted_model(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    planted.fit(make_spec(epochs=4), tmp_path / "first")
    model = {"weights": "first/checkpoint.safetensors", "trainable": "head"}
    spec = make_spec(model=model, epochs=1, learning_rate=1e-9, study_folder=str(tmp_path))
    outcome = planted.fit(spec, tmp_path / "second")
    assert outcome.notes[0] == "trunk and head start from checkpoint.safetensors"
    a, b = (read(tmp_path / name, "predictions")["y_score"] for name in ("first", "second"))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_other_precisions_learn_too(planted: Any, make_spec: Make, tmp_path: Path, precision: str) -> None:
    outcome = planted.fit(make_spec(epochs=4, precision=precision), tmp_path, cache=tmp_path / "cache")
    assert outcome.precision in ("bf16", "fp32")
    assert auc_of(tmp_path) > 0.9


def test_stored_images_are_resampled(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    data = make_data(160, size=40)
    outcome = data.fit(make_spec(image_size=32, epochs=4), tmp_path)
    assert auc_of(tmp_path) > 0.9
    assert not outcome.notes
    larger = data.fit(make_spec(image_size=48, epochs=1), tmp_path / "larger")
    assert larger.notes == ("images are stored at 40 px and enlarged to 48 px",)


def test_validation_of_one_class_falls_back_on_the_loss(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    from subgroup_audit.training import run_fit

    frame = planted.frame[(planted.frame["split"] != "val") | (planted.frame["y_true"] == 1)]
    outcome = run_fit(make_spec(), frame, frame, planted.pixels, device="cpu", folder=tmp_path)
    assert outcome.notes == ("validation has one class only: the loss picked the epoch instead of the AUC",)
    history = read(tmp_path, "history")
    assert history.loc[history["phase"] == "val", "auc"].isna().all()


def test_callbacks_hear_every_epoch_and_batch(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    epochs: list[int] = []
    batches: list[tuple[int, int, int]] = []
    planted.fit(
        make_spec(), tmp_path, on_epoch=lambda report: epochs.append(report.epoch),
        on_batch=lambda *news: batches.append(news),
    )  # fmt: skip
    assert epochs == [1, 2]
    assert batches[:5] == [(1, done, 5) for done in range(1, 6)]
    assert batches[-1] == (0, 3, 3)


def test_a_spec_survives_json(make_spec: Make) -> None:
    spec = make_spec(findings=("a", "b"), model={"hidden": (8, 4)}, augmentation={"zoom": 0.1})
    assert FitSpec.from_json(spec.to_json()) == spec
    assert spec.label == "everyone / small / quick / seed 0"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_and_repeats_itself(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(epochs=4, precision="auto", augmentation={"rotation_degrees": 5})
    for name in "ab":
        outcome = planted.fit(spec, tmp_path / name, device="cuda")
    assert outcome.feeding == "resident"
    assert auc_of(tmp_path / "a") > 0.9
    first, second = ((tmp_path / name / "predictions.parquet").read_bytes() for name in "ab")
    assert first == second
