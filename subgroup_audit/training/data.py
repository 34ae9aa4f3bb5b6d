"""From manifest rows to batches: which images, which labels, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import TrainingError, nearest
from subgroup_audit.training.spec import FloatArray, IndexArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Images and what is known of them.

    Attributes
    ----------
    image_ids : each image once, in the order of their first rows
    y_true : 0 or 1, float32 [n, findings]; 0 where not known
    is_known : whether the finding was stated for the image, [n, findings]
    """

    image_ids: tuple[str, ...]
    y_true: FloatArray
    is_known: BoolArray

    def __len__(self) -> int:
        """Number of images."""
        return len(self.image_ids)


def read_labels(rows: pd.DataFrame, findings: Sequence[str], *, is_multiclass: bool, origin: str) -> Labels:
    """The labels of manifest rows, one row per image.

    Raises
    ------
    TrainingError
        A finding that the fit does not know, or a class image without exactly one class.
    """
    codes, image_ids = pd.factorize(rows["image_id"])
    columns = pd.Index(findings).get_indexer(pd.Index(rows["finding"]))
    _check_findings(rows["finding"][columns < 0], findings, origin)
    y_true = np.zeros((len(image_ids), len(findings)), dtype=np.float32)
    is_known = np.zeros(y_true.shape, dtype=bool)
    y_true[codes, columns] = rows["y_true"].to_numpy()
    is_known[codes, columns] = True
    labels = Labels(tuple(map(str, image_ids)), y_true, is_known)
    if is_multiclass:
        _check_classes(labels, origin)
    return labels


def _check_findings(strange: pd.Series, findings: Sequence[str], origin: str) -> None:
    if strange.empty:
        return
    name = str(strange.iloc[0])
    near = nearest(name, findings) or list(findings)
    raise TrainingError(
        f"{origin}: {len(strange)} rows have a finding that the fit does not know, "
        f"the first '{name}'; nearest: {', '.join(near[:5])}"
    )


def _check_classes(labels: Labels, origin: str) -> None:
    wrong = np.flatnonzero(labels.y_true.sum(axis=1) != 1)
    if len(wrong):
        first = labels.image_ids[wrong[0]]
        count = int(labels.y_true[wrong[0]].sum())
        raise TrainingError(
            f"{origin}: classes exclude each other, so an image has exactly one; {len(wrong)} images have "
            f"another number, the first '{first}' with {count}"
        )


def select_split(cohort: pd.DataFrame, split: str) -> pd.DataFrame:
    """Manifest rows of one split.

    Raises
    ------
    TrainingError
        There are fewer than two images, so that nothing can be learned or judged.
    """
    rows = cohort[cohort["split"] == split]
    n_images = rows["image_id"].nunique()
    if n_images < 2:
        raise TrainingError(f"a fit needs at least 2 images in the split '{split}'; there are {n_images}")
    return rows


@dataclass(frozen=True)
class Draw:
    """Images in the order of one epoch, and how often each was drawn before."""

    index: IndexArray
    turn: IndexArray


@dataclass(frozen=True)
class Batch:
    """Positions of one batch; those from `n_real` on fill it up and count in no loss and no metric."""

    index: IndexArray
    turn: IndexArray
    n_real: int


def draw_plain(n: int, rng: np.random.Generator) -> Draw:
    """Every image once, shuffled."""
    return Draw(rng.permutation(n).astype(np.int64), np.zeros(n, dtype=np.int64))


def draw_balanced(strata: IndexArray, rng: np.random.Generator) -> Draw:
    """As many images as there are, every stratum equally often (to within one), shuffled.

    Within a stratum images come in whole shuffled rounds, so that none is drawn twice before all were drawn once.
    """
    names = np.unique(strata)
    counts = np.full(len(names), len(strata) // len(names))
    counts[: len(strata) % len(names)] += 1
    pieces = [_draw_rounds(np.flatnonzero(strata == k), int(m), rng) for k, m in zip(names, counts, strict=True)]
    index = np.concatenate([piece.index for piece in pieces])
    turn = np.concatenate([piece.turn for piece in pieces])
    order = rng.permutation(len(index))
    return Draw(index[order], turn[order])


def _draw_rounds(members: NDArray[np.intp], n: int, rng: np.random.Generator) -> Draw:
    n_rounds = -(-n // len(members))
    index = np.concatenate([rng.permutation(members) for _ in range(n_rounds)])[:n]
    turn = np.repeat(np.arange(n_rounds), len(members))[:n]
    return Draw(index.astype(np.int64), turn.astype(np.int64))


def label_strata(labels: Labels, *, is_multiclass: bool) -> IndexArray:
    """What balanced sampling draws equally often: the class, or whether any finding is present, shape [n]."""
    strata = labels.y_true.argmax(axis=1) if is_multiclass else labels.y_true.max(axis=1) > 0
    return np.asarray(strata, dtype=np.int64)


def cut_batches(draw: Draw, batch_size: int) -> list[Batch]:
    """Batches of one size, at most `batch_size`, that need the least filling.

    The epoch is divided evenly, so there is no short last batch: batch normalisation never sees one image alone,
    and every step has the same shape. Batches differ by one image at most; the shorter are filled by one image
    from the start of the epoch.
    """
    n = len(draw.index)
    n_batches = -(-n // batch_size)
    size = -(-n // n_batches)
    batches = []
    for positions in np.array_split(np.arange(n), n_batches):
        filled = np.concatenate([positions, np.arange(size - len(positions))])
        batches.append(Batch(draw.index[filled], draw.turn[filled], len(positions)))
    return batches


def cut_in_order(n: int, batch_size: int) -> list[Batch]:
    """Batches that visit n images in order, the last perhaps short: for evaluation."""
    starts = range(0, n, batch_size)
    indices = [np.arange(start, min(start + batch_size, n), dtype=np.int64) for start in starts]
    return [Batch(index, np.zeros(len(index), dtype=np.int64), len(index)) for index in indices]
