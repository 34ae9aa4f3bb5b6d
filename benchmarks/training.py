"""Training speed as ratios, in alternated rounds of CPU time.

    python benchmarks/training.py                      # one thread, seven rounds; about ten minutes
    python benchmarks/training.py --quick              # three rounds, ResNet-18 only; about three
    python benchmarks/training.py feeding step         # some of: feeding step compute allocator fits

Feeding against DataLoader and PIL; a fed step against one on a resident tensor; the chosen precision and layout
against eager float32 NCHW; the allocator; cached features of a frozen trunk; and what a small fit costs beyond its
steps. Rates are images per second of CPU time, all threads counted, medians of rounds where the ways take turns:
another process on the machine then changes little. Whole fits count what their prefetch thread does as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from subgroup_audit.study import Augmentation, Model, Recipe
from subgroup_audit.training import FitSpec, run_fit
from subgroup_audit.training.architecture import build_network
from subgroup_audit.training.data import Batch, cut_batches, draw_plain
from subgroup_audit.training.feeding import ImageFeed, Normalisation
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


def alternate(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median rate of each way, over rounds in which all ways take turns."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            rates[name].append(measure())
    return {name: statistics.median(values) for name, values in rates.items()}


def show(title: str, rates: dict[str, float], ratio: tuple[str, str], goal: str) -> None:
    """Print the rates and one ratio."""
    print(f"\n{title}")
    for name, rate in rates.items():
        print(f"  {name:<42}{rate:>10.1f} images/s of CPU")
    print(f"  ratio {ratio[0]} / {ratio[1]}: {rates[ratio[0]] / rates[ratio[1]]:.3f} (goal {goal})", flush=True)


def make_feed(pixels: ArrayPixels, size: int, augmentation: Augmentation | None = CHANGES) -> ImageFeed:
    ids = [str(i) for i in range(len(pixels.images))]
    return ImageFeed(pixels, ids, size, Normalisation(0.5, 0.25), "cpu", "warped", augmentation)


def epoch_of(n: int, batch_size: int) -> list[Batch]:
    return cut_batches(draw_plain(n, np.random.default_rng(0)), batch_size)


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


def measure_feeding(rounds: int) -> None:
    pixels = ArrayPixels(512, 256)
    feed, batches = make_feed(pixels, 224), epoch_of(512, 64)
    loader = DataLoader(PilImages(pixels.images, 224), batch_size=64)

    def rate(batches_of: Callable[[], Iterator[Tensor]]) -> float:
        start = time.process_time()
        n = sum(len(batch) for batch in batches_of())
        return n / (time.process_time() - start)

    rates = alternate(
        {"ours": lambda: rate(lambda: feed.batches(batches, 1)), "loader": lambda: rate(lambda: iter(loader))},
        rounds,
    )
    show("Feeding, 256 px stored to 224 px augmented, batch 64", rates, ("ours", "loader"), ">= 8")


def train_step(network: nn.Module, levels: Tensor, compute: Compute, optimiser: torch.optim.Optimizer) -> None:
    with compute.autocast():
        loss = network(levels).float().square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def make_steps(architecture: str, size: int, compute: Compute) -> Callable[[Tensor], None]:
    built = build_network(Model(architecture=architecture), n_outputs=1, size=size, study_folder=".")
    network = compute.place(built.network).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    return lambda levels: train_step(network, levels, compute, optimiser)


def measure_fed_step(rounds: int) -> None:
    """A whole epoch with our feeding, against the same steps on one tensor that is there already."""
    pixels = ArrayPixels(256, 160)
    step = make_steps("resnet18", 128, Compute("cpu", "fp32", is_channels_last=True, how=""))
    feed, batches = make_feed(pixels, 128), epoch_of(256, 32)
    resident = next(feed.batches(batches, 1))

    def fed() -> float:
        start = time.process_time()
        for levels in feed.batches(batches, 1):
            step(levels)
        return 256 / (time.process_time() - start)

    def unfed() -> float:
        start = time.process_time()
        for _ in batches:
            step(resident)
        return 256 / (time.process_time() - start)

    fed()
    rates = alternate({"fed": fed, "resident": unfed}, rounds)
    show("ResNet-18 training at 128 px, batch 32", rates, ("fed", "resident"), ">= 0.95")


def measure_compute(rounds: int, architectures: Sequence[str]) -> None:
    for architecture in architectures:
        levels = torch.rand(16, 128, 128, 1).permute(0, 3, 1, 2)
        ways = {}
        for precision in ("fp32", "bf16"):
            for is_last in (False, True):
                compute = Compute("cpu", precision, is_last, how="")  # type: ignore[arg-type]
                step = make_steps(architecture, 128, compute)
                step(levels)
                ways[f"{precision} {compute.layout}"] = _timed(step, levels)
        rates = alternate(ways, rounds)
        rates["best"] = max(rates.values())
        title = f"{architecture} training at 128 px, batch 16, {torch.get_num_threads()} threads"
        show(title, rates, ("best", "fp32 contiguous"), ">= 2 for ResNet and DenseNet, native bf16")


def _timed(step: Callable[[Tensor], None], levels: Tensor) -> Callable[[], float]:
    def measure() -> float:
        start = time.process_time()
        for _ in range(3):
            step(levels)
        return 3 * len(levels) / (time.process_time() - start)

    return measure


def print_step_rate() -> None:
    """Images per second of one process, printed: the body of the allocator's subprocesses."""
    step = make_steps("resnet18", 128, Compute("cpu", "fp32", is_channels_last=True, how=""))
    levels = torch.rand(32, 128, 128, 1).permute(0, 3, 1, 2)
    step(levels)
    print(json.dumps(statistics.median(_timed(step, levels)() for _ in range(3))))


def measure_allocator(rounds: int) -> None:
    """Processes that keep freed memory, against processes as they start."""

    def rate(prelude: str) -> float:
        code = f"import runpy; {prelude}; runpy.run_path({__file__!r})['print_step_rate']()"
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(json.loads(found.stdout))

    tune = f"from subgroup_audit.training import use_threads; use_threads({torch.get_num_threads()})"
    rates = alternate({"tuned": lambda: rate(tune), "as started": lambda: rate("pass")}, rounds)
    show("ResNet-18 training at 128 px, batch 32, fp32 channels-last", rates, ("tuned", "as started"), ">= 1.05")


def small_study(n: int, size: int) -> tuple[pd.DataFrame, ArrayPixels]:
    image_id = [str(i) for i in range(n)]
    split = np.where(np.arange(n) < 0.7 * n, "train", np.where(np.arange(n) < 0.8 * n, "val", "test"))
    frame = pd.DataFrame({"image_id": image_id, "patient_id": image_id, "split": split, "finding": "x"})
    return frame.assign(y_true=np.arange(n) % 2, sex="F", view="PA"), ArrayPixels(n, size)


def measure_fits(rounds: int) -> None:
    """Whole fits: what a small one costs beyond its epochs, and what features of a frozen trunk save."""
    frame, pixels = small_study(800, 96)

    def fit(architecture: str, trainable: str, augmentation: Augmentation) -> tuple[float, float]:
        recipe = Recipe(image_size=64, epochs=3, precision="fp32", augmentation=augmentation)
        model = Model(architecture=architecture, trainable=trainable)  # type: ignore[arg-type]
        spec = FitSpec("x", "c", "m", model, "r", recipe, 0, ("x",))
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            outcome = run_fit(spec, frame, frame, pixels, device="cpu", folder=out)
            spent = float(pd.read_parquet(out / "history.parquet")["seconds"].sum())
        return outcome.seconds, spent

    fit("small_cnn", "all", CHANGES)
    pairs = [fit("small_cnn", "all", CHANGES) for _ in range(rounds)]
    total, spent = (statistics.median(values) for values in zip(*pairs, strict=True))
    print("\nsmall_cnn, 800 images at 64 px (560 trained on), 3 epochs")
    print(f"  whole fit {total:.2f} s, epochs {spent:.2f} s, the rest {total - spent:.2f} s", flush=True)
    never = Augmentation(shift=1e-9)
    frozen = {
        "features once": lambda: 800 / fit("resnet18", "head", Augmentation())[0],
        "features every epoch": lambda: 800 / fit("resnet18", "head", never)[0],
        "everything trained": lambda: 800 / fit("resnet18", "all", never)[0],
    }
    rates = alternate(frozen, rounds)
    show("ResNet-18 fits at 64 px, 3 epochs", rates, ("features once", "everything trained"), ">= 4")


def main() -> None:
    parts: dict[str, Callable[[], None]] = {
        "feeding": lambda: measure_feeding(rounds),
        "step": lambda: measure_fed_step(rounds),
        "compute": lambda: measure_compute(rounds, architectures),
        "allocator": lambda: measure_allocator(rounds),
        "fits": lambda: measure_fits(rounds),
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"some of: {' '.join(parts)}; absent: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and architectures")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = 3 if options.quick else 7
    architectures = ("resnet18",) if options.quick else ("resnet18", "resnet50", "densenet121")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {rounds} rounds")
    for name in options.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
