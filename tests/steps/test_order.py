"""A run whose stored scores were moved, or whose weights were replaced, says so by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.pipeline import RunOptions, run_study
from subgroup_audit.steps.order import check_fits
from subgroup_audit.steps.place import Doing, Place
from subgroup_audit.store import Done, RunFolder, Step, read_json
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study


@pytest.fixture(scope="module")
def finished(
    small_phantom: Path, tmp_path_factory: pytest.TempPathFactory, write_small_study: Callable[[Path, Path], Path]
) -> tuple[Study, Place]:
    folder = tmp_path_factory.mktemp("run")
    study = load_study(write_small_study(folder, small_phantom))
    place = Place(folder, small_phantom, folder / "out", folder / "cache")
    run_study(study, place, RunOptions(device="cpu"))
    return study, place


def copy_of(finished: tuple[Study, Place], folder: Path) -> tuple[Study, Place]:
    study, place = finished
    shutil.copytree(place.out, folder / "out")
    return study, Place(place.study_folder, place.root, folder / "out", place.cache)


def check_again(study: Study, place: Place) -> pd.DataFrame:
    shutil.rmtree(next(place.out.glob("steps/order-*")))
    run_study(study, place, RunOptions(device="cpu"))
    return frame_of(place)


def frame_of(place: Place, name: str = "order_check") -> pd.DataFrame:
    return pd.read_parquet(next(place.out.glob(f"steps/order-*/{name}.parquet")))


def test_a_run_as_it_was_made_matches(finished: tuple[Study, Place]) -> None:
    found = frame_of(finished[1])
    assert found["result"].tolist() == ["matches"] * 3
    assert found["n_images"].tolist() == [24] * 3
    assert (found["largest_difference"] < 1e-5).all()
    assert found["n_wrong_labels"].sum() == 0
    assert frame_of(finished[1], "same_scores").empty


def test_scores_that_were_moved_and_labels_that_were_turned_are_named(
    finished: tuple[Study, Place], tmp_path: Path
) -> None:
    study, place = copy_of(finished, tmp_path)
    path = next(place.out.glob("steps/predictions-*/predictions.parquet"))
    frame = pd.read_parquet(path)
    first, second, third = frame["fit_id"].unique()
    moved = (frame["fit_id"] == first).to_numpy()
    scores = frame["y_score"].to_numpy().copy()
    scores[moved] = np.random.default_rng(0).permutation(scores[moved])
    turned = frame.index[frame["fit_id"] == third][:2]
    labels = frame["y_true"].to_numpy().copy()
    labels[turned] = 1 - labels[turned]
    frame.assign(y_score=scores, y_true=labels).to_parquet(path, index=False)
    found = check_again(study, place).set_index("fit_id")
    assert found.loc[first, "result"] == "scores belong to other images"
    assert found.loc[first, "n_elsewhere"] == found.loc[first, "n_different"] > 20
    assert found.loc[second, "result"] == "matches"
    assert found.loc[third, "result"] == "wrong labels"
    assert found.loc[third, "n_wrong_labels"] == 2


def test_a_checkpoint_that_was_replaced_or_lost_is_named(finished: tuple[Study, Place], tmp_path: Path) -> None:
    study, place = copy_of(finished, tmp_path)
    first, second, third = frame_of(place)["fit_id"]
    steps = place.out / "steps"
    shutil.copyfile(steps / second / "checkpoint.safetensors", steps / first / "checkpoint.safetensors")
    (steps / third / "checkpoint.safetensors").unlink()
    found = check_again(study, place).set_index("fit_id")
    assert found["result"].to_dict() == {first: "another model", second: "matches", third: "not checked"}
    assert found.loc[first, "n_different"] > 20
    assert found.loc[third, "reason"] == f"'{third}' holds no fitted model: checkpoint.safetensors missing"


def test_fits_of_a_device_that_is_not_here_are_not_checked(finished: tuple[Study, Place], tmp_path: Path) -> None:
    study, place = finished
    folder = RunFolder(place.out, study.study)
    done = [folder.find(name) for name in read_json(place.out / "run.json")["steps"]]
    done.append(folder.find(next(place.out.glob("steps/predictions-*")).name))
    inputs = tuple(_as_if_on(step, "cuda") if step.step.name == "fit" else step for step in done)
    check_fits(Doing(study, place, tmp_path, inputs, lambda done, of: None, device="cpu"))
    found = pd.read_parquet(tmp_path / "order_check.parquet")
    assert found["result"].tolist() == ["not checked"] * 3
    assert found["reason"].tolist() == ["fitted on cuda, which this machine does not have"] * 3


def _as_if_on(fit: Done, device: str) -> Done:
    step = fit.step
    moved = Step(step.name, step.version, {**step.settings, "device": device}, step.inputs)
    return Done(moved, fit.folder, fit.content, fit.seconds)


def test_two_fits_of_the_same_scores_are_named(finished: tuple[Study, Place], tmp_path: Path) -> None:
    study, place = copy_of(finished, tmp_path)
    path = next(place.out.glob("steps/predictions-*/predictions.parquet"))
    frame = pd.read_parquet(path).sort_values(["fit_id", "image_id"], ignore_index=True)
    first, second, _ = frame["fit_id"].unique()
    frame.loc[frame["fit_id"] == second, "y_score"] = (
        frame.loc[frame["fit_id"] == first, "y_score"].to_numpy() ** 2
    )
    frame.to_parquet(path, index=False)
    check_again(study, place)
    found = frame_of(place, "same_scores").to_dict("records")
    assert [row["relation"] for row in found] == ["the same order"]
    cohorts = frame.drop_duplicates("fit_id").set_index("fit_id")["train_cohort"]
    expected = {f"{cohorts[fit]} / small_cnn / default / seed 0" for fit in (first, second)}
    assert {found[0]["first"], found[0]["second"]} == expected
