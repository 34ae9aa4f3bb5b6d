"""Do scores and labels belong together? A sample of each fit's images scored again, and compared by key.

A generator that shuffles, or a list of files sorted in another way, hands every image the score of another one.
The AUC is then near 0.5, and nothing in the tables says why. Scoring a few images once more from the weights does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Predict = Callable[[Sequence[str]], NDArray[np.float32]]

MATCHES, OTHER_IMAGES, OTHER_MODEL, WRONG_LABELS, NOT_CHECKED = (
    "matches",
    "scores belong to other images",
    "another model",
    "wrong labels",
    "not checked",
)
SAMPLE = 24
"""A fault that moves the scores of a share q of the images escapes with probability (1 - q)^24: 8 % for q = 0.1,
and less than one in ten million for q = 0.5. A shuffled generator moves nearly all."""
TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2}
"""Largest difference of two scores of one image by the same weights: another batch or kernel takes sums in another
order. Measured with a ResNet-50 on a CPU, its logits scaled to a standard deviation of 4: no difference between
batches of 64 and 24; 5e-6 between two layouts of memory in float32; 0.008 between float16 and float32, and 0.034
between bfloat16 and float32. Each tolerance lies above its figure; GPUs were not measured."""


@dataclass(frozen=True)
class OrderFound:
    """What scoring a sample again came to.

    Attributes
    ----------
    n_different : images of the sample whose fresh score is not the stored one
    n_elsewhere : of those, images whose fresh score is stored under another image
    largest_difference : between a fresh and a stored score of the sample
    """

    result: str
    n_images: int
    n_different: int = 0
    n_elsewhere: int = 0
    largest_difference: float | None = None


def draw_sample(image_ids: Sequence[str], seed: int, size: int = SAMPLE) -> list[str]:
    """At most `size` of the images, the same at every call whatever their order: those of the smallest digests."""
    keys = {hashlib.sha256(f"{seed} {name}".encode()).digest(): name for name in image_ids}
    return [keys[key] for key in sorted(keys)[:size]]


def check_order(
    stored: pd.DataFrame, predict: Predict, tested: Sequence[str], tolerance: float, seed: int
) -> OrderFound:
    """Whether the stored scores are those that the model gives these images.

    Where the sample differs, every stored image is scored again: scores that belong to other images are the same
    values under other keys, so that both columns agree once they are sorted; those of another model do not.

    Parameters
    ----------
    stored : a row per image, indexed by image_id; a column of scores per finding, missing where not predicted
    predict : scores [n, findings] of images, in the order of the columns
    tested : images that the sample is drawn from
    tolerance : difference that counts as none
    """
    sample = draw_sample(tested, seed)
    if not sample:
        return OrderFound(NOT_CHECKED, 0)
    fresh = _scores(predict, sample, stored)
    difference = np.abs(fresh - stored.loc[sample].to_numpy(dtype=np.float64))
    worst = np.nanmax(difference, axis=1)
    is_different = worst > tolerance
    found = OrderFound(MATCHES, len(sample), int(is_different.sum()), 0, float(worst.max()))
    if not found.n_different:
        return found
    elsewhere = _found_elsewhere(fresh[is_different], stored.to_numpy(dtype=np.float64), tolerance)
    every = _scores(predict, stored.index.tolist(), stored)
    is_permuted = _are_same_values(every, stored.to_numpy(dtype=np.float64), tolerance)
    result = OTHER_IMAGES if is_permuted else OTHER_MODEL
    return OrderFound(
        result, len(sample), found.n_different, elsewhere if is_permuted else 0, found.largest_difference
    )


def _scores(predict: Predict, image_ids: Sequence[str], stored: pd.DataFrame) -> Floats:
    """Fresh scores, missing where none is stored."""
    fresh = np.asarray(predict(image_ids), dtype=np.float64)
    return np.where(stored.loc[list(image_ids)].isna().to_numpy(), np.nan, fresh)


def _found_elsewhere(fresh: Floats, stored: Floats, tolerance: float) -> int:
    """How many of the fresh rows are stored under some image, all findings within the tolerance."""
    return sum(bool((np.nanmax(np.abs(stored - row), axis=1) <= tolerance).any()) for row in fresh)


def _are_same_values(fresh: Floats, stored: Floats, tolerance: float) -> bool:
    """Whether both hold the same values of each finding, in whatever order."""
    differences = np.abs(np.sort(fresh, axis=0) - np.sort(stored, axis=0))
    return bool(np.nanmax(differences) <= tolerance)


def count_wrong_labels(predictions: pd.DataFrame, manifest: pd.DataFrame) -> int:
    """Stored labels that are not those of the cohorts, by image and finding; rows that no cohort has count too."""
    keys = ["image_id", "finding"]
    known = manifest.drop_duplicates(keys).set_index(keys)["y_true"]
    truth = known.reindex(pd.MultiIndex.from_frame(predictions[keys])).to_numpy(dtype=np.float64)
    return int((truth != predictions["y_true"].to_numpy(dtype=np.float64)).sum())
