"""What travels into a fit and out of it: plain values, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.study import Model, Recipe

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
PixelArray = NDArray[np.uint8]

BatchCallback = Callable[[int, int, int], None]
"""Called with epoch, batches done and batches in all."""


class Pixels(Protocol):
    """Square grey images of one size, found by image id; `images.store.PixelStore` is one."""

    @property
    def size(self) -> int:
        """Side of every image, px."""
        ...

    def rows(self, image_ids: Sequence[str]) -> IndexArray:
        """Row of each image, shape [n]."""
        ...

    def gather(self, rows: IndexArray, out: PixelArray | None = None) -> PixelArray:
        """Grey levels 0 to 255 of these rows, shape [n, size, size]."""
        ...


@dataclass(frozen=True)
class FitSpec:
    """One fit = cohort x model x recipe x seed, with all that its numbers depend on besides the images.

    Attributes
    ----------
    findings : outputs of the network, in order; for classes, one per class
    is_multiclass : whether the findings are mutually exclusive classes (softmax) or not (sigmoid each)
    study_folder : folder that relative paths of weights start from
    """

    fit_id: str
    train_cohort: str
    model_name: str
    model: Model
    recipe_name: str
    recipe: Recipe
    seed: int
    findings: tuple[str, ...]
    is_multiclass: bool = False
    study_folder: str = "."

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        record["model"] = self.model.model_dump(mode="json")
        record["recipe"] = self.recipe.model_dump(mode="json")
        return json.dumps(record, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> FitSpec:
        """The spec that `to_json` wrote."""
        record: dict[str, Any] = json.loads(text)
        record["model"] = Model.model_validate(record["model"])
        record["recipe"] = Recipe.model_validate(record["recipe"])
        record["findings"] = tuple(record["findings"])
        return cls(**record)

    @property
    def label(self) -> str:
        """Name for people: `F / resnet18 / default / seed 0`."""
        return f"{self.train_cohort} / {self.model_name} / {self.recipe_name} / seed {self.seed}"

    @property
    def digest(self) -> str:
        """SHA-256 of what the numbers depend on: not of the folder that the study lies in."""
        record = json.loads(self.to_json())
        del record["study_folder"]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class EpochReport:
    """An epoch as it was seen: what progress displays show. AUCs are None where a class is absent."""

    fit_id: str
    epoch: int
    epochs: int
    train_loss: float
    train_auc: float | None
    val_loss: float
    val_auc: float | None
    learning_rate: float
    seconds: float
    images_per_second: float
    is_best: bool
    note: str


@dataclass(frozen=True)
class FitOutcome:
    """How a fit ended; the same record lies in its folder as `fit.json`.

    Attributes
    ----------
    stopped : why training ended
    resumed_after : last epoch that an earlier, killed run of this fit had finished; 0 if none
    images_per_second : of training, validation included
    notes : sentences that a reader of the results should know
    """

    fit_id: str
    best_epoch: int
    n_epochs: int
    stopped: str
    resumed_after: int
    device: str
    precision: str
    layout: str
    compute_choice: str
    feeding: str
    seconds: float
    images_per_second: float
    n_train: int
    n_val: int
    n_targets: int
    n_parameters: int
    n_trainable: int
    best_value: float | None
    monitor: str
    notes: tuple[str, ...]
    versions: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write `fit.json` into the folder."""
        text = json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)
        (folder / "fit.json").write_text(text, encoding="utf-8")
