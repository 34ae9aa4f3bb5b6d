"""From stored pixels to the network's input, one batch at a time.

Three ways, one result. `warped` (CPU): OpenCV maps image by image into a preallocated batch, in one prefetch
thread. `resident` (GPU): all images lie on the device as one uint8 tensor, one affine grid_sample per batch.
`streamed` (GPU short of memory): stored images are gathered in the prefetch thread and mapped on the device.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from subgroup_audit.study import Augmentation
from subgroup_audit.training.augment import (
    Changes,
    KeyArray,
    draw_changes,
    image_keys,
    is_off,
    no_changes,
    pixel_maps,
)
from subgroup_audit.training.data import Batch
from subgroup_audit.training.spec import FloatArray, IndexArray, PixelArray, Pixels

Feeding = Literal["warped", "resident", "streamed"]

SHRINK_FROM = 1.5
"""Stored images this many times the input's side are averaged down first: bilinear sampling would skip pixels."""

RESIDENT_SHARE = 0.4
"""Share of a device's free memory that images may take; the rest is for activations."""

_QUEUED = 2
_CHUNK = 1024


@dataclass(frozen=True)
class Normalisation:
    """Grey levels in [0, 1] become (level - mean) / std."""

    mean: float
    std: float


@dataclass
class ImageFeed:
    """Batches of network input from stored images.

    Parameters
    ----------
    image_ids : images in the order that batches point into
    size : side of the input, px
    augmentation : of training images; None for evaluation
    feeding : `warped`, `resident` or `streamed`
    """

    pixels: Pixels
    image_ids: Sequence[str]
    size: int
    normalisation: Normalisation
    device: str
    feeding: Feeding
    augmentation: Augmentation | None = None
    seed: int = 0
    rows: IndexArray = field(init=False)
    keys: KeyArray = field(init=False)
    resident: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Find the rows once, and bring the images onto the device where they stay there."""
        self.rows = self.pixels.rows(list(self.image_ids))
        self.keys = image_keys(self.image_ids)
        if self.augmentation is not None and is_off(self.augmentation):
            self.augmentation = None
        if self.feeding == "resident":
            self.resident = self._load_resident()

    @property
    def stored_size(self) -> int:
        """Side of the images that are mapped, px: the store's, or the input's where that is much smaller."""
        return self.size if self.pixels.size >= SHRINK_FROM * self.size else self.pixels.size

    def batches(self, batches: Sequence[Batch], epoch: int = 0) -> Iterator[Tensor]:
        """Network input float32 [b, 1, size, size] on the device, one per batch."""
        if self.feeding == "resident":
            for batch in batches:
                yield self._sample(self._pick(batch.index), self._changes(batch, epoch))
            return
        make = self._warp_all if self.feeding == "warped" else self._gather_all
        with prefetch(make(batches, epoch)) as made:
            for raw, changes in made:
                yield self._finish(raw, changes) if self.feeding == "warped" else self._send(raw, changes)

    def _changes(self, batch: Batch, epoch: int) -> Changes:
        if self.augmentation is None:
            return no_changes(len(batch.index))
        keys = self.keys[batch.index]
        return draw_changes(self.augmentation, keys, seed=self.seed, epoch=epoch, turns=batch.turn)

    @property
    def _is_mapped(self) -> bool:
        return self.augmentation is not None or self.stored_size != self.size

    def _gather(self, index: IndexArray, out: PixelArray | None = None) -> PixelArray:
        stored = self.pixels.gather(self.rows[index], out)
        return stored if self.stored_size == self.pixels.size else shrink(stored, self.size)

    def _gather_all(self, batches: Iterable[Batch], epoch: int) -> Iterator[tuple[PixelArray, Changes]]:
        for batch in batches:
            yield self._gather(batch.index), self._changes(batch, epoch)

    def _warp_all(self, batches: Sequence[Batch], epoch: int) -> Iterator[tuple[PixelArray, Changes]]:
        """Mapped images in a ring of buffers: one being filled, those queued, one being used."""
        largest = max((len(batch.index) for batch in batches), default=0)
        stored = np.empty((largest, self.pixels.size, self.pixels.size), dtype=np.uint8)
        ring = np.empty((_QUEUED + 2, largest, self.size, self.size), dtype=np.uint8)
        for turn, batch in enumerate(batches):
            n, changes = len(batch.index), self._changes(batch, epoch)
            images = self._gather(batch.index, stored[:n])
            out = ring[turn % len(ring), :n]
            if self._is_mapped:
                warp(images, pixel_maps(changes.maps, images.shape[1], self.size), out)
            else:
                out[:] = images
            yield out, changes

    def _finish(self, raw: PixelArray, changes: Changes) -> Tensor:
        return self._normalise(torch.from_numpy(raw).to(self.device), changes)

    def _send(self, raw: PixelArray, changes: Changes) -> Tensor:
        if not self.device.startswith("cuda"):
            return self._sample(send(raw, self.device), changes)
        host = torch.from_numpy(raw).pin_memory()
        return self._sample(host.to(self.device, non_blocking=True), changes)

    def _pick(self, index: IndexArray) -> Tensor:
        if self.resident is None:
            raise RuntimeError("images are not resident")
        return self.resident.index_select(0, send(index, self.device))

    def _sample(self, raw: Tensor, changes: Changes) -> Tensor:
        if self._is_mapped:
            raw = sample(raw, send(changes.maps, self.device), self.size)
        return self._normalise(raw, changes)

    def _normalise(self, raw: Tensor, changes: Changes) -> Tensor:
        """Grey levels [b, s, s] as float32 [b, 1, s, s], strided channels-last, which one channel is for free."""
        levels = raw.to(torch.float32).unsqueeze(-1)
        mean, std = self.normalisation.mean, self.normalisation.std
        if not changes.has_tone:
            return levels.mul_(1.0 / (255.0 * std)).sub_(mean / std).permute(0, 3, 1, 2)
        # one pass less than changing the tone and normalising apart; the cut to 0 to 255 comes last
        scale, offset = changes.scale / (255.0 * std), changes.offset / (255.0 * std) - mean / std
        levels = levels.mul_(self._per_image(scale)).add_(self._per_image(offset))
        return levels.clamp_(-mean / std, (1.0 - mean) / std).permute(0, 3, 1, 2)

    def _per_image(self, values: FloatArray) -> Tensor:
        return send(values, self.device).view(-1, 1, 1, 1)

    def _load_resident(self) -> Tensor:
        side, n = self.stored_size, len(self.image_ids)
        images = torch.empty((n, side, side), dtype=torch.uint8, device=self.device)
        for start in range(0, n, _CHUNK):
            index = np.arange(start, min(start + _CHUNK, n), dtype=np.int64)
            images[start : start + len(index)] = torch.from_numpy(self._gather(index)).to(self.device)
        return images


def send(values: np.ndarray[Any, Any], device: str | torch.device) -> Tensor:
    """An array on the device, which is not waited for where that is safe.

    CUDA takes a copy of ordinary memory before it returns. Apple's GPUs read it when its turn comes, by when a
    temporary array is gone and something else lies there (github.com/pytorch/pytorch/issues/189690).
    """
    return torch.from_numpy(values).to(device, non_blocking=torch.device(device).type == "cuda")


def choose_feeding(device: str, n_images: int, side: int, *, is_short: bool = False) -> tuple[Feeding, str]:
    """How images reach the device, and why where it is not the usual way.

    Parameters
    ----------
    is_short : whether memory of the device has run out before
    """
    if device == "cpu":
        return "warped", ""
    if is_short:
        return "streamed", f"memory of {device} ran out: images stay in host memory and are sent batch by batch"
    if not device.startswith("cuda"):
        return "resident", ""
    need, free = n_images * side * side, torch.cuda.mem_get_info(device)[0]
    if need <= RESIDENT_SHARE * free:
        return "resident", ""
    return "streamed", (
        f"{n_images} images of {side} px take {need / 2**30:.1f} GB, more than {RESIDENT_SHARE:.0%} of the "
        f"{free / 2**30:.1f} GB free on {device}: they stay in host memory and are sent batch by batch"
    )


def shrink(images: PixelArray, size: int) -> PixelArray:
    """Images averaged by area to a smaller side, uint8 [n, size, size]."""
    out = np.empty((len(images), size, size), dtype=np.uint8)
    for image, smaller in zip(images, out, strict=True):
        cv2.resize(image, (size, size), dst=smaller, interpolation=cv2.INTER_AREA)
    return out


def warp(images: PixelArray, maps: np.ndarray[Any, np.dtype[np.float32]], out: PixelArray) -> None:
    """Fill `out` with the images mapped, bilinear; beyond the edge lies the edge."""
    side = (out.shape[2], out.shape[1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for image, matrix, target in zip(images, maps, out, strict=True):
        cv2.warpAffine(image, matrix, side, dst=target, flags=flags, borderMode=cv2.BORDER_REPLICATE)


@torch.no_grad()
def sample(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """The images mapped on their device, bilinear, float32 [b, size, size]; beyond the edge lies the edge."""
    side = images.shape[-1]
    grid = functional.affine_grid(maps, [len(images), 1, size, size], align_corners=False)
    # outermost pixel centres: clamping there is border padding, which not every device offers
    grid = grid.clamp_(1.0 / side - 1.0, 1.0 - 1.0 / side)
    levels = images.unsqueeze(1).to(torch.float32)
    return functional.grid_sample(levels, grid, mode="bilinear", align_corners=False).squeeze(1)


@contextmanager
def prefetch(items: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """The same items, made ahead in one thread that ends with the block; its errors are raised here."""
    made: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=_QUEUED)
    is_over = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not is_over.is_set():
            try:
                made.put((kind, value), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # noqa: BLE001  it is raised again in the thread that reads
            put("error", error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        yield _read(made)
    finally:
        is_over.set()
        thread.join()


def _read(made: queue.Queue[tuple[str, Any]]) -> Iterator[Any]:
    while True:
        kind, value = made.get()
        if kind == "end":
            return
        if kind == "error":
            raise value
        yield value


@dataclass(frozen=True)
class FeatureFeed:
    """Batches of features that a frozen trunk gave once, float32 [n, features] on the device."""

    features: Tensor

    def batches(self, batches: Sequence[Batch], epoch: int = 0) -> Iterator[Tensor]:
        """Features of each batch, float32 [b, features]."""
        del epoch
        for batch in batches:
            yield self.features.index_select(0, torch.from_numpy(batch.index).to(self.features.device))


Feed = ImageFeed | FeatureFeed
