"""What a GPU does: training steps on resident images, whole fits, the RSNA study. Pieces of ten minutes each.

    python benchmarks/gpu.py steps --keep           # 4 networks at 224 and 384 px: images/s, fed against resident
    python benchmarks/gpu.py pil --keep             # the same epoch with DataLoader, 16 workers and PIL
    python benchmarks/gpu.py fits                   # 800, 8,000 and 26,684 images; one fit, and eight on one GPU
    python benchmarks/gpu.py study --headers FOLDER # RSNA sex x view on a phantom of full size; repeat to go on
    python benchmarks/gpu.py steps pil fits --device cpu --tiny     # that everything runs, in seconds

Every rate is an average over whole epochs by the clock, the device waited for at their end; ways take turns.
Utilisation is what `nvidia-smi` says twice a second meanwhile: the share of time in which any kernel ran. `--keep`
puts the two figures that have goals into RESULTS.md; everything is printed, and written as JSON with `--out`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
import torch
from feeding import ArrayPixels, PilImages, epoch_of, make_feed, make_steps
from profile_run import ROOT, audit
from report import describe_machine, keep, load_average
from torch.utils.data import DataLoader
from turns import Figure, Figures, per_second, take_turns

from subgroup_audit.study import Model, Recipe
from subgroup_audit.training import FitSpec, describe_device, run_fit
from subgroup_audit.training.device import choose_device
from subgroup_audit.training.precision import Compute

NETWORKS = ("resnet50", "resnet101", "densenet121", "vgg16")
SIZES = (224, 384)
COHORTS = (800, 8_000, 26_684)
Found = dict[str, dict[str, float]]


def wait_for(device: str) -> None:
    """Let the device finish what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def make_compute(device: str) -> Compute:
    """What a fit computes with on this device."""
    precision = "fp32" if device == "cpu" else "bf16"
    return Compute(device, precision, is_channels_last=True, how="")  # type: ignore[arg-type]


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """A function that gives the mean utilisation of the GPU so far, in per cent; nan without nvidia-smi."""
    seen: list[float] = []
    is_over = threading.Event()
    tool = shutil.which("nvidia-smi")

    def look() -> None:
        words = [str(tool), "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not is_over.wait(0.5):
            told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            seen.extend(float(line) for line in told.split()[:1])

    thread = threading.Thread(target=look, daemon=True)
    if tool:
        thread.start()
    try:
        yield lambda: statistics.mean(seen) if seen else float("nan")
    finally:
        is_over.set()
        if tool:
            thread.join()


def measure_steps(device: str, *, is_tiny: bool) -> tuple[Found, Figures]:
    """Images per second of training: augmented from resident images, and on one resident tensor."""
    found: Found = {}
    n, batch, rounds = (16, 4, 1) if is_tiny else (4096, 64, 3)
    for size in (32,) if is_tiny else SIZES:
        pixels = ArrayPixels(n, size + size // 7)
        feed, batches = make_feed(pixels, size, device, "resident"), epoch_of(n, batch)
        for architecture in NETWORKS[:1] if is_tiny else NETWORKS:
            step = make_steps(architecture, size, make_compute(device))
            resident = next(feed.batches(batches, 1)).clone()
            step(resident)

            def fed(feed: Any = feed, batches: Any = batches, step: Any = step) -> None:
                for levels in feed.batches(batches, 1):
                    step(levels)
                wait_for(device)

            def unfed(levels: Any = resident, batches: Any = batches, step: Any = step) -> None:
                for _ in batches:
                    step(levels)
                wait_for(device)

            with watched() as utilisation:
                turns = take_turns(
                    {"fed": lambda f=fed: per_second(n, f), "unfed": lambda f=unfed: per_second(n, f)}, rounds
                )
                share = utilisation()
            found[f"{architecture} {size} px"] = {
                "images/s": turns.rate("fed"),
                "against the resident tensor": turns.ratio("fed", "unfed"),
                "utilisation %": share,
            }
    worst = min(found, key=lambda name: found[name]["against the resident tensor"])
    return found, {"gpu_fed_step": Figure(found[worst]["against the resident tensor"], f"the worst: {worst}")}


def measure_pil(device: str, *, is_tiny: bool) -> tuple[Found, Figures]:
    """An epoch of ResNet-50 at 224 px fed by us, and by DataLoader with 16 workers and PIL, start included."""
    found: Found = {}
    workers = 0 if is_tiny else min(16, os.cpu_count() or 1)
    for n in (16,) if is_tiny else COHORTS:
        size, batch = (32, 4) if is_tiny else (224, 64)
        pixels, batches = ArrayPixels(n, size + size // 7), epoch_of(n, batch)
        step = make_steps("resnet50", size, make_compute(device))
        loader = DataLoader(
            PilImages(pixels.images, size), batch_size=batch, num_workers=workers, pin_memory=False
        )

        def ours(pixels: Any = pixels, batches: Any = batches, step: Any = step, size: int = size) -> None:
            for levels in make_feed(pixels, size, device, "resident").batches(batches, 1):
                step(levels)
            wait_for(device)

        def plain(loader: Any = loader, step: Any = step) -> None:
            for levels in loader:  # RGB, of which our network takes one channel
                step(levels[:, :1].to(device, non_blocking=True))
            wait_for(device)

        ours()
        turns = take_turns(
            {"ours": lambda f=ours, n=n: per_second(n, f), "plain": lambda f=plain, n=n: per_second(n, f)},
            1 if is_tiny else 3,
        )
        found[f"{n:,} images"] = {
            "ours": turns.rate("ours"),
            "DataLoader + PIL": turns.rate("plain"),
            "ratio": turns.ratio("ours", "plain"),
        }
    last = list(found)[-1]
    detail = f"ResNet-50 at 224 px, {last}, an epoch with the start of {workers} workers"
    return found, {"gpu_pil": Figure(found[last]["ratio"], detail)}


def one_fit(n: int, size: int, epochs: int, device: str, name: str, architecture: str) -> float:
    """Seconds of one whole fit on n random images, 64 more predicted."""
    pixels = ArrayPixels(n, size + size // 7)
    ids = [str(i) for i in range(n)]
    split = ["val" if i % 10 == 0 else "train" for i in range(n)]
    rows = pd.DataFrame(
        {"image_id": ids, "patient_id": ids, "split": split, "finding": "x", "sex": "F", "view": "PA"}
    )
    rows = rows.assign(y_true=rows.index // 3 % 2)
    recipe = Recipe(image_size=size, epochs=epochs, batch_size=64, precision="fp32" if device == "cpu" else "auto")
    spec = FitSpec(name, "c", "m", Model(architecture=architecture), "r", recipe, 0, ("x",))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_fit(spec, rows, rows.head(64), pixels, device=device, folder=Path(folder), cache=Path(folder, "cache"))
        return time.perf_counter() - started


def measure_fits(device: str, *, is_tiny: bool) -> tuple[Found, Figures]:
    """Whole fits of ResNet-50, one alone and eight that share the device, in images trained on per second."""
    found: Found = {}
    size, architecture, side_by_side = (32, "small_cnn", 2) if is_tiny else (224, "resnet50", 8)
    for n in (40,) if is_tiny else COHORTS:
        epochs = 1 if n > 8000 or is_tiny else 10
        n_seen = epochs * n * 9 // 10
        job = (n, size, epochs, device)
        with watched() as utilisation:
            alone = one_fit(*job, "0", architecture)
            line = {"one: images/s": n_seen / alone, "one: s": alone, "one: utilisation %": utilisation()}
        with watched() as utilisation, multiprocessing.get_context("spawn").Pool(side_by_side) as pool:
            pool.map(abs, range(side_by_side))  # processes are up
            started = time.perf_counter()
            pool.starmap(one_fit, [(*job, str(i), architecture) for i in range(side_by_side)], chunksize=1)
            seconds = time.perf_counter() - started
            line |= {f"{side_by_side}: images/s": side_by_side * n_seen / seconds, f"{side_by_side}: s": seconds}
            line |= {f"{side_by_side}: utilisation %": utilisation()}
        found[f"{n:,} images, {epochs} epochs"] = line
    return found, {}


def run_study(device: str, headers: Path | None, n_images: int) -> tuple[Found, Figures]:
    """RSNA sex x view: 5 cohorts x 2 models x 3 seeds, 10 epochs. Its folder under reports/ is resumed."""
    import yaml

    folder = ROOT / "reports" / "gpu_study"
    data, study = folder / "data", folder / "study.yaml"
    found: Found = {}
    if not (data / "truth.json").is_file():
        words = ["phantom", str(data), "--images", str(n_images), "--size", "1024"]
        found["phantom"] = {"s": audit([*words, *(["--headers-from", str(headers)] if headers else [])])[0]}
    definition = yaml.safe_load((ROOT / "cohorts/rsna_sex_view.yaml").read_text(encoding="utf-8"))
    definition["data"] = {"source": "phantom", "stored_size": 256}
    study.write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
    words = [
        "run",
        str(study),
        "--data",
        str(data),
        "--out",
        str(folder / "run"),
        "--cache",
        str(folder / "cache"),
    ]
    with watched() as utilisation:
        found["this call"] = {"s": audit([*words, "--device", device])[0], "utilisation %": utilisation()}
    seconds = [json.loads(path.read_text())["seconds"] for path in folder.glob("run/steps/fit-*/fit.json")]
    found["fits"] = {"n": len(seconds), "s in all": sum(seconds), "s, the longest": max(seconds, default=0.0)}
    return found, {}


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", nargs="+", choices=["steps", "pil", "fits", "study"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that everything runs")
    parser.add_argument("--keep", action="store_true", help="write figures that have goals into RESULTS.md")
    parser.add_argument("--out", type=Path, help="JSON file of everything measured")
    parser.add_argument(
        "--headers", type=Path, help="RSNA metadata folder that the phantom takes its headers from"
    )
    parser.add_argument("--images", type=int, default=26_684, help="of the phantom study")
    asked = parser.parse_args()
    device = choose_device(asked.device)
    pieces = {"steps": measure_steps, "pil": measure_pil, "fits": measure_fits}
    kept: dict[str, Found] = {}
    for piece in asked.pieces:
        if piece == "study":
            found, figures = run_study(device, asked.headers, asked.images)
        else:
            found, figures = pieces[piece](device, is_tiny=asked.tiny)
        kept[piece] = found
        for name, line in found.items():
            print(
                f"{piece:<6} {name:<28}" + "  ".join(f"{key} {value:,.3f}" for key, value in line.items()),
                flush=True,
            )
        if asked.keep and not asked.tiny:
            keep(figures, f"{describe_device(device)['name']}; {describe_machine()}", load_average())
        if asked.out:
            asked.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
