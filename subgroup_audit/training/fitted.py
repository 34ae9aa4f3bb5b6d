"""A fitted model from its folder, and its scores for images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training.architecture import Built, Network, build_network
from subgroup_audit.training.checkpoint import CHECKPOINT, MODEL, load_weights
from subgroup_audit.training.data import cut_in_order
from subgroup_audit.training.feeding import ImageFeed, Normalisation, choose_feeding
from subgroup_audit.training.loop import infer
from subgroup_audit.training.precision import Compute, same_kernels
from subgroup_audit.training.recipe import to_scores
from subgroup_audit.training.spec import BatchCallback, FitSpec, FloatArray, Pixels


@dataclass(frozen=True)
class Fitted:
    """A fitted model, in evaluation mode on its device.

    Attributes
    ----------
    network : grey images, normalised, float32 [n, 1, size, size], to logits [n, findings]; `network.trunk` and
        `network.head` are its parts
    """

    network: Network
    findings: tuple[str, ...]
    is_multiclass: bool
    size: int
    normalisation: Normalisation
    compute: Compute

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Probabilities float32 [n, findings] of normalised images [n, 1, size, size]."""
        with self.compute.autocast():
            logits = self.network(images.to(self.compute.device))
        return to_scores(logits, is_multiclass=self.is_multiclass)

    def feed(self, pixels: Pixels, image_ids: Sequence[str]) -> ImageFeed:
        """Normalised images of the store, in evaluation mode, batch by batch."""
        device = self.compute.device
        feeding, _ = choose_feeding(device, len(image_ids), pixels.size)
        return ImageFeed(pixels, list(image_ids), self.size, self.normalisation, device, feeding)


def describe_model(spec: FitSpec, built: Built, compute: Compute) -> dict[str, Any]:
    """What is needed to build a fitted model again, as plain values."""
    return {
        "fit_id": spec.fit_id,
        "train_cohort": spec.train_cohort,
        "model": spec.model.model_dump(mode="json"),
        "findings": list(spec.findings),
        "is_multiclass": spec.is_multiclass,
        "image_size": spec.recipe.image_size,
        "mean": built.normalisation.mean,
        "std": built.normalisation.std,
        "precision": compute.precision,
        "is_channels_last": compute.is_channels_last,
    }


def load_fitted(folder: Path, device: str = "cpu") -> Fitted:
    """The fitted model that `run_fit` left in a folder.

    Raises
    ------
    ModelError
        The folder holds no fitted model, or its weights do not fit its description.
    """
    missing = [name for name in (MODEL, CHECKPOINT) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"'{folder}' holds no fitted model: {' and '.join(missing)} missing")
    record = json.loads((folder / MODEL).read_text(encoding="utf-8"))
    model, size = Model.model_validate(record["model"]), int(record["image_size"])
    findings = tuple(record["findings"])
    built = build_network(model, n_outputs=len(findings), size=size, study_folder=folder, with_weights=False)
    try:
        built.network.load_state_dict(load_weights(folder / CHECKPOINT))
    except RuntimeError as error:
        raise ModelError(f"'{folder / CHECKPOINT}' does not fit '{folder / MODEL}': {error}") from error
    compute = Compute(device, record["precision"], record["is_channels_last"], how="as it was fitted")
    if device == "cpu" and compute.precision == "fp16":
        compute = Compute(device, "fp32", record["is_channels_last"], how="fp16 needs a GPU")
    compute.place(built.network).eval()
    normalisation = Normalisation(record["mean"], record["std"])
    return Fitted(built.network, findings, bool(record["is_multiclass"]), size, normalisation, compute)


def predict(
    fitted: Fitted,
    pixels: Pixels,
    image_ids: Sequence[str],
    *,
    batch_size: int | None = None,
    on_batch: BatchCallback | None = None,
) -> FloatArray:
    """Probabilities of images in evaluation mode, float32 [n, findings], in the order of `image_ids`."""
    if not len(image_ids):
        return np.empty((0, len(fitted.findings)), dtype=np.float32)
    batches = cut_in_order(len(image_ids), batch_size or eval_batch_size(fitted.compute.device))
    with same_kernels():  # as the fit itself predicted
        logits = infer(fitted.network, fitted.feed(pixels, image_ids), batches, fitted.compute, on_batch)
    return to_scores(logits, is_multiclass=fitted.is_multiclass).cpu().numpy()


def eval_batch_size(device: str) -> int:
    """Images per batch of evaluation: what keeps a GPU busy, or a CPU's caches warm."""
    return 64 if device == "cpu" else 256
