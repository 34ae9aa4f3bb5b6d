"""Feeding a network on a CPU: augmentation against DataLoader and PIL, and what feeding costs a training step.

CPU time, so that the prefetch thread counts. Both ways run in one process, its allocator as the system made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from turns import Effort, Figures, per_cpu_second, take_turns

from subgroup_audit.study import Augmentation, Model
from subgroup_audit.training.architecture import build_network
from subgroup_audit.training.data import Batch, cut_batches, draw_plain
from subgroup_audit.training.feeding import Feeding, ImageFeed, Normalisation
from subgroup_audit.training.precision import Compute

CHANGES = Augmentation(horizontal_flip=0.5, rotation_degrees=10, shift=0.05, zoom=0.1, brightness=0.1)


class ArrayPixels:
    """Random images in an array."""

    def __init__(self, n: int, size: int) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (n, size, size), dtype=np.uint8)
        self.size = size

    def rows(self, image_ids: Sequence[str]) -> np.ndarray:
        return np.array([int(key) for key in image_ids], dtype=np.int64)

    def gather(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        if out is None:
            return self.images[rows]
        return np.take(self.images, rows, axis=0, out=out)


class PilImages(Dataset[Tensor]):
    """What is usual: an RGB PIL image at a time through torchvision's transforms."""

    def __init__(self, images: np.ndarray, size: int) -> None:
        self.images = images
        self.change = transforms.Compose(
            [
                transforms.RandomHorizontalFlip(),
                transforms.RandomAffine(10, translate=(0.05, 0.05), scale=(0.9, 1.1)),
                transforms.ColorJitter(brightness=0.1),
                transforms.Resize((size, size)),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.change(Image.fromarray(self.images[index]).convert("RGB"))


def make_feed(pixels: ArrayPixels, size: int, device: str = "cpu", feeding: Feeding = "warped") -> ImageFeed:
    """Augmented images of the array, as a fit feeds them."""
    ids = [str(i) for i in range(len(pixels.images))]
    return ImageFeed(pixels, ids, size, Normalisation(0.5, 0.25), device, feeding, CHANGES)


def epoch_of(n: int, batch_size: int) -> list[Batch]:
    """The batches of one epoch, shuffled."""
    return cut_batches(draw_plain(n, np.random.default_rng(0)), batch_size)


def make_steps(architecture: str, size: int, compute: Compute) -> Callable[[Tensor], None]:
    """A function that trains a new network on a batch, as the loop does, the loss apart."""
    built = build_network(Model(architecture=architecture), n_outputs=1, size=size, study_folder=".")
    network = compute.place(built.network).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    return lambda levels: _step(network, levels, compute, optimiser)


def _step(network: nn.Module, levels: Tensor, compute: Compute, optimiser: torch.optim.Optimizer) -> None:
    with compute.autocast():
        loss = network(levels).float().square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def walk(batches: Iterable[object]) -> None:
    """Read all batches."""
    for _ in batches:
        pass


def measure_feeding(effort: Effort) -> Figures:
    """Our batches against those of a DataLoader that augments with PIL."""
    n = effort.pick(512, 64)
    pixels = ArrayPixels(n, 256)
    feed, batches = make_feed(pixels, 224), epoch_of(n, 64)
    loader = DataLoader(PilImages(pixels.images, 224), batch_size=64)
    turns = take_turns(
        {
            "ours": lambda: per_cpu_second(n, lambda: walk(feed.batches(batches, 1))),
            "loader": lambda: per_cpu_second(n, lambda: walk(loader)),
        },
        effort.rounds(9),
    )
    return {"feeding": turns.figure("ours", "loader", "images/s of CPU")}


def measure_fed_step(effort: Effort) -> Figures:
    """A whole epoch with our feeding, against the same steps on one tensor that is there already."""
    n, size = effort.pick(256, 16), effort.pick(128, 32)
    pixels = ArrayPixels(n, size + 32)
    step = make_steps("resnet18", size, Compute("cpu", "fp32", is_channels_last=True, how=""))
    feed, batches = make_feed(pixels, size), epoch_of(n, effort.pick(32, 8))
    resident = next(feed.batches(batches, 1)).clone()
    step(resident)
    turns = take_turns(
        {
            "fed": lambda: per_cpu_second(n, lambda: [step(levels) for levels in feed.batches(batches, 1)]),
            "resident": lambda: per_cpu_second(n, lambda: [step(resident) for _ in batches]),
        },
        effort.rounds(7),
    )
    return {"fed_step": turns.figure("fed", "resident", "images/s of CPU, ResNet-18 at 128 px, batch 32")}


def measure(effort: Effort) -> Figures:
    """Everything on feeding a CPU."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return {**measure_feeding(effort), **measure_fed_step(effort)}
