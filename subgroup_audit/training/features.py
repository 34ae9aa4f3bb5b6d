"""What enters the head of a fitted network, image by image, and the same network before it learned anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training.architecture import build_network
from subgroup_audit.training.checkpoint import MODEL
from subgroup_audit.training.data import cut_in_order
from subgroup_audit.training.fitted import Fitted, eval_batch_size
from subgroup_audit.training.loop import seeded
from subgroup_audit.training.precision import same_kernels
from subgroup_audit.training.spec import BatchCallback, FloatArray, Pixels


@torch.inference_mode()
def features_of(
    fitted: Fitted,
    pixels: Pixels,
    image_ids: Sequence[str],
    *,
    batch_size: int | None = None,
    on_batch: BatchCallback | None = None,
) -> FloatArray:
    """The trunk's pooled features of images in evaluation mode, float32 [n, d], in the order of `image_ids`.

    They are what the head sees: nothing else of an image can enter the score.
    """
    network, compute = fitted.network.eval(), fitted.compute
    batches = cut_in_order(len(image_ids), batch_size or eval_batch_size(compute.device))
    found = []
    with same_kernels():
        for done, levels in enumerate(fitted.feed(pixels, image_ids).batches(batches), start=1):
            with compute.autocast():
                found.append(network.features(levels).float().cpu().numpy())
            if on_batch is not None:
                on_batch(0, done, len(batches))
    return np.concatenate(found) if found else np.empty((0, 0), dtype=np.float32)


def untrained_twin(fitted: Fitted, folder: Path, seed: int) -> Fitted:
    """The network of the same architecture with random weights, drawn by the seed; it sees the same input.

    Parameters
    ----------
    folder : where the fitted model lies, whose description says the architecture

    Notes
    -----
    Also where the fitted network started from published weights: the twin has learned from no image at all.

    Raises
    ------
    ModelError
        The folder does not say what the model is.
    """
    path = folder / MODEL
    if not path.is_file():
        raise ModelError(f"'{folder}' holds no fitted model: {MODEL} missing")
    model = Model.model_validate(json.loads(path.read_text(encoding="utf-8"))["model"])
    with seeded(seed, 0, "cpu"):
        built = build_network(
            model, n_outputs=len(fitted.findings), size=fitted.size, study_folder=folder, with_weights=False
        )
    fitted.compute.place(built.network).eval()
    return replace(fitted, network=built.network)
