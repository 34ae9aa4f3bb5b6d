"""What a fit does when a device's memory runs out: it starts again with less of it in use.

First the images leave the device, which changes no number. Then every batch is computed in 2, 4, 8, ... parts
whose gradients are added: the batch of the recipe, the same gradients but for rounding, and the same number of
steps. Only batch normalisation notices, since it normalises each part by itself, as it would a smaller batch.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from subgroup_audit.errors import TrainingError
from subgroup_audit.study import Recipe
from subgroup_audit.training.distributed import current_group
from subgroup_audit.training.loop import free_memory
from subgroup_audit.training.spec import FitSpec

T = TypeVar("T")

_SMALLEST_PART = 2
"""Images of a part: one alone has no batch statistics."""


@dataclass(frozen=True)
class Room:
    """How sparing a fit is with its device's memory.

    Attributes
    ----------
    is_short : whether images stay in host memory
    parts : pieces that each batch is computed in
    """

    is_short: bool = False
    parts: int = 1

    def describe(self, recipe: Recipe) -> str:
        """A sentence for the record; empty where batches are whole."""
        if self.parts == 1:
            return ""
        largest = -(-recipe.batch_size // self.parts)
        return (
            f"memory ran out: each batch of {recipe.batch_size} was computed in {self.parts} parts of at most "
            f"{largest} images, their gradients added; batch normalisation saw one part at a time"
        )


def rooms(device: str, batch_size: int) -> Iterator[Room]:
    """Ever more sparing ways to run a fit, the usual one first."""
    yield Room()
    if not current_group().is_alone:  # the others would wait for ever for one that starts again
        return
    if device != "cpu":
        yield Room(is_short=True)
    parts = 2
    while batch_size // parts >= _SMALLEST_PART:
        yield Room(is_short=True, parts=parts)
        parts *= 2


def with_room(spec: FitSpec, device: str, attempt: Callable[[Room], T]) -> T:
    """What the attempt returns in the first way that has enough memory.

    Raises
    ------
    TrainingError
        None has.
    """
    for room in rooms(device, spec.recipe.batch_size):
        try:
            return attempt(room)
        except torch.OutOfMemoryError:
            pass
        # after the block above: an error that is being handled keeps its tensors alive
        gc.collect()
        free_memory(device)
    raise TrainingError(
        f"fit {spec.label}: {device} ran out of memory at {spec.recipe.image_size} px even with "
        f"{_SMALLEST_PART} or 3 images at a time; lower `image_size` or take a smaller model"
    )
