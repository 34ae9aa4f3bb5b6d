"""Whole fits: what keeping the features of a frozen trunk saves, and predicting the union of all test cohorts."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from feeding import ArrayPixels
from turns import Effort, Figure, Figures, per_cpu_second, take_turns

from subgroup_audit.study import Augmentation, Model, Recipe
from subgroup_audit.training import FitSpec, load_fitted, predict, run_fit

NOTHING = Augmentation()
NOTHING_TO_SEE = Augmentation(shift=1e-9)
"""An augmentation of no effect: since there is one, features are computed anew in every epoch."""


def draw_cohorts(n: int) -> list[pd.DataFrame]:
    """Manifest rows of three cohorts, each three quarters of n images; the last quarter of all is tested on."""
    rows = pd.DataFrame({"image_id": [str(i) for i in range(n)], "finding": "x", "sex": "F", "view": "PA"})
    place = np.arange(n) % 20
    split = np.where(place < 13, "train", np.where(place < 15, "val", "test"))
    rows = rows.assign(patient_id=rows["image_id"], split=split, y_true=np.arange(n) // 3 % 2)
    rng = np.random.default_rng(0)
    return [rows[rng.random(n) < 0.75].reset_index(drop=True) for _ in range(3)]


def fit_all(cohorts: list[pd.DataFrame], pixels: ArrayPixels, model: Model, recipe: Recipe, folder: Path) -> None:
    """A fit on each cohort, which predicts the test images of all."""
    targets = pd.concat(cohorts).drop_duplicates("image_id")
    targets = targets[targets["split"] == "test"].reset_index(drop=True)
    for number, cohort in enumerate(cohorts):
        spec = FitSpec(str(number), "c", "m", model, "r", recipe, 0, ("x",))
        out = folder / str(number)
        run_fit(spec, cohort, targets, pixels, device="cpu", folder=out, cache=folder / "cache")


def measure_frozen(effort: Effort) -> Figures:
    """Three cohorts, ten epochs: features kept, features anew in every epoch, and everything trained."""
    n, size, epochs = effort.pick(1600, 80), effort.pick(64, 32), effort.pick(10, 1)
    pixels, cohorts = ArrayPixels(n, size), draw_cohorts(n)
    n_seen = epochs * sum(len(cohort) for cohort in cohorts)

    def rate(trainable: str, augmentation: Augmentation) -> float:
        model = Model(architecture="resnet18", trainable=trainable)  # type: ignore[arg-type]
        recipe = Recipe(image_size=size, epochs=epochs, precision="fp32", augmentation=augmentation)
        with tempfile.TemporaryDirectory() as folder:
            return per_cpu_second(n_seen, lambda: fit_all(cohorts, pixels, model, recipe, Path(folder)))

    kept, again = (lambda: rate("head", NOTHING)), (lambda: rate("head", NOTHING_TO_SEE))
    frozen = take_turns({"kept": kept, "again": again}, effort.rounds(3))
    trained = take_turns({"kept": kept, "all": lambda: rate("all", NOTHING_TO_SEE)}, effort.rounds(1))
    unit = "images x epochs/s of CPU"
    return {
        "frozen_again": frozen.figure("kept", "again", unit),
        "frozen_all": trained.figure("kept", "all", unit),
    }


def measure_evaluation(effort: Effort) -> Figures:
    """Images of everyone, women, men, one view and the other: each image is in three of the five cohorts."""
    n, size = effort.pick(800, 80), effort.pick(64, 32)
    pixels, (cohort, *_) = ArrayPixels(n, size), draw_cohorts(n)
    everyone = [str(i) for i in range(n)]
    tests = [everyone, everyone[::2], everyone[1::2], everyone[: n // 2], everyone[n // 2 :]]
    spec = FitSpec(
        "0", "c", "m", Model(architecture="resnet18"), "r", Recipe(image_size=size, epochs=1), 0, ("x",)
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        few = cohort.groupby("split").head(8)
        run_fit(spec, few, few, pixels, device="cpu", folder=out, cache=out / "cache")
        fitted = load_fitted(out)
        union = list(dict.fromkeys(key for test in tests for key in test))
        turns = take_turns(
            {
                "union": lambda: per_cpu_second(n, lambda: predict(fitted, pixels, union)),
                "apart": lambda: per_cpu_second(n, lambda: [predict(fitted, pixels, test) for test in tests]),
            },
            effort.rounds(5),
        )
    ratio = turns.figure("union", "apart", "images/s of CPU, ResNet-18 at 64 px")
    return {"evaluation": Figure(ratio.value, ratio.detail)}


def measure(effort: Effort) -> Figures:
    """Everything on whole fits."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return {**measure_frozen(effort), **measure_evaluation(effort)}
