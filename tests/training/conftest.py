"""Small synthetic radiographs with a planted sign, and specs that train on them in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.study import Model, Recipe
from subgroup_audit.training import FitOutcome, FitSpec, run_fit


@pytest.fixture(scope="session", autouse=True)
def _one_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setenv("SUBGROUP_AUDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()
    torch.set_num_threads(threads)


class ArrayPixels:
    """Images in an array, found by id."""

    def __init__(self, image_ids: Sequence[str], images: np.ndarray) -> None:
        self.position = {key: row for row, key in enumerate(image_ids)}
        self.images = images
        self.size = images.shape[1]
        self.n_gathered = 0

    def rows(self, image_ids: Sequence[str]) -> np.ndarray:
        return np.array([self.position[key] for key in image_ids], dtype=np.int64)

    def gather(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        self.n_gathered += len(rows)
        if out is None:
            return self.images[rows]
        out[:] = self.images[rows]
        return out


@dataclass
class Dataset:
    """Manifest rows and their images."""

    frame: pd.DataFrame
    pixels: ArrayPixels

    def fit(self, spec: FitSpec, folder: Path, **options: Any) -> FitOutcome:
        options = {"device": "cpu", **options}
        return run_fit(spec, self.frame, self.frame, self.pixels, folder=folder, **options)


def draw_images(rng: np.random.Generator, signs: np.ndarray, size: int) -> np.ndarray:
    """Noise, with a bright patch at one of several places where that sign is present, [n, size, size]."""
    images = rng.normal(120.0, 25.0, (len(signs), size, size))
    quarter = size // 4
    for column in range(signs.shape[1]):
        top = quarter * (column + 1) // 2
        images[signs[:, column] == 1, top : top + quarter, quarter * column : quarter * (column + 1)] += 60.0
    return np.clip(images, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Dataset]:
    def make(
        n: int = 160,
        *,
        size: int = 32,
        findings: Sequence[str] = ("opacity",),
        is_multiclass: bool = False,
        is_null: bool = False,
        positive_share: float = 0.5,
        seed: int = 0,
    ) -> Dataset:
        rng = np.random.default_rng(seed)
        if is_multiclass:
            signs = np.eye(len(findings), dtype=np.int64)[rng.integers(0, len(findings), n)]
        else:
            signs = (rng.random((n, len(findings))) < positive_share).astype(np.int64)
        images = draw_images(rng, signs, size)
        truth = rng.permutation(signs) if is_null else signs
        image_ids = [f"{i:05d}" for i in range(n)]
        split = np.where(np.arange(n) % 4 < 2, "train", np.where(np.arange(n) % 4 == 2, "val", "test"))
        frames = [
            pd.DataFrame(
                {
                    "cohort": "everyone",
                    "image_id": image_ids,
                    "patient_id": [f"p{i // 2}" for i in range(n)],
                    "split": split,
                    "finding": finding,
                    "y_true": truth[:, column],
                    "weight": 1.0,
                    "sex": np.where(np.arange(n) % 8 < 4, "F", "M"),
                    "view": "PA",
                }
            )
            for column, finding in enumerate(findings)
        ]
        return Dataset(pd.concat(frames, ignore_index=True), ArrayPixels(image_ids, images))

    return make


@pytest.fixture(scope="session")
def planted(make_data: Callable[..., Dataset]) -> Dataset:
    """A data set with one finding that is plain to see."""
    return make_data()


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., FitSpec]:
    def make(
        *,
        seed: int = 0,
        findings: Sequence[str] = ("opacity",),
        is_multiclass: bool = False,
        model: dict[str, Any] | None = None,
        study_folder: str = ".",
        **recipe: Any,
    ) -> FitSpec:
        settings = {
            "image_size": 32, "batch_size": 16, "epochs": 2, "learning_rate": 1e-3, "precision": "fp32",
            **recipe,
        }  # fmt: skip
        return FitSpec(
            fit_id="0f1t",
            train_cohort="everyone",
            model_name="small",
            model=Model(**{"architecture": "small_cnn", **(model or {})}),
            recipe_name="quick",
            recipe=Recipe(**settings),
            seed=seed,
            findings=tuple(findings),
            is_multiclass=is_multiclass,
            study_folder=study_folder,
        )

    return make
