"""Peak memory of a CPU run at 224 px: ResNet-18 and ResNet-50 with batches of 32, on a store of 10,000 images.

What a fit holds does not grow with the number of steps, so few of them are made: images are read from the store
batch by batch, and of 10,000 images only their rows stay in memory. A run has a fit on each core, and itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from turns import Effort, Figure, Figures

NETWORKS = {"fit_memory": "resnet18", "fit_memory_50": "resnet50"}

CHILD = """
import json, resource, sys
from pathlib import Path
import pandas as pd
from subgroup_audit.images.store import PixelStore
from subgroup_audit.study import Model, Recipe
from subgroup_audit.training import FitSpec, run_fit, use_threads
folder, size, architecture = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
use_threads(1)
store = PixelStore(folder / "pixels.u8", int(sys.argv[4]), pd.read_parquet(folder / "table.parquet"))
rows = pd.read_parquet(folder / "rows.parquet")
recipe = Recipe(image_size=size, epochs=1, batch_size=32)
spec = FitSpec(architecture, "c", "m", Model(architecture=architecture), "r", recipe, 0, ("x",))
seen = rows.groupby("split").head(64)
outcome = run_fit(spec, seen, seen, store, device="cpu", folder=folder / architecture, cache=folder / "cache")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps([peak, f"{outcome.precision} {outcome.layout}"]))
"""


def write_store(folder: Path, n: int, side: int) -> None:
    """A pixel file of random images with its table, and manifest rows."""
    rng = np.random.default_rng(0)
    with (folder / "pixels.u8").open("wb") as file:
        for start in range(0, n, 500):
            file.write(rng.integers(0, 256, (min(500, n - start), side, side), dtype=np.uint8).tobytes())
    ids = [str(i) for i in range(n)]
    table = pd.DataFrame({"image_id": ids, "slot": np.arange(n), "pixel_digest": ids})
    table.to_parquet(folder / "table.parquet")
    split = np.where(np.arange(n) % 10 < 6, "train", np.where(np.arange(n) % 10 < 7, "val", "test"))
    rows = pd.DataFrame({"image_id": ids, "patient_id": ids, "split": split, "finding": "x", "sex": "F"})
    rows.assign(y_true=np.arange(n) // 10 % 2, view="PA").to_parquet(folder / "rows.parquet")


def measure(effort: Effort) -> Figures:
    """The peak of one fit, times the cores; quickly, of a small one."""
    architectures = {"fit_memory": "small_cnn"} if effort.is_quick else NETWORKS
    n, side = effort.pick(10_000, 80), effort.pick(256, 64)
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder), n, side)
        return {
            key: measure_fit(Path(folder), effort.pick(224, 32), architecture, side)
            for key, architecture in architectures.items()
        }


def measure_fit(folder: Path, size: int, architecture: str, side: int) -> Figure:
    """GiB of as many such fits as the machine has cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = [sys.executable, "-c", CHILD, str(folder), str(size), architecture, str(side)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    peak, how = json.loads(done.stdout.splitlines()[-1])
    detail = f"{cores} fits side by side, {peak:.2f} GiB each; {architecture}, batch 32, {how}"
    return Figure(cores * peak, detail)
