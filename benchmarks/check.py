"""Time and memory of `audit check` on invented predictions: 12 columns, a person with one to many images.

    python benchmarks/check.py                  # 10,000 and 1,000,000 images
    python benchmarks/check.py 50000            # any sizes

Goals: 1,000,000 images within 20 s and 2 GB, 10,000 within 3 s from start to finish, torch never imported.
The peer is pandas' reader with fairlearn's MetricFrame (AUC and sensitivity by group, 95 % intervals of its
bootstrap over rows). It counts images, not persons, so its intervals are not ours. Its bootstrap is timed on 10 of
2,000 resamples and scaled. CPU seconds do not depend on what else the machine does; wall seconds do.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

PEER_RESAMPLES = 10
WITHOUT_PEER = 100_000  # above it one call of MetricFrame's bootstrap takes minutes


def invent(n: int) -> pd.DataFrame:
    """Predictions of one finding with three attributes and five columns that a check does not need."""
    rng = np.random.default_rng(0)
    n_persons = max(1, int(n / 2.4))
    weight = rng.gamma(0.7, size=n_persons)
    person = np.sort(rng.choice(n_persons, size=n, p=weight / weight.sum()))
    y_true = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "image_id": pd.Series(np.arange(n)).astype(str).str.zfill(9),
            "patient_id": pd.Series(person).astype(str).str.zfill(8),
            "sex": rng.choice(["F", "M"], size=n_persons)[person],
            "view": rng.choice(["AP", "PA"], size=n),
            "age": rng.integers(18, 95, size=n_persons)[person],
            "y_true": y_true,
            "y_score": 1 / (1 + np.exp(-rng.normal(y_true * 1.5 - 0.75, 1.0))).round(6),
            **{f"note_{k}": rng.random(n).round(4) for k in range(5)},
        }
    )


def timed(words: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak GiB of a check, its start included."""
    start = time.perf_counter()
    outcome = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if not outcome.stderr.startswith("used "):
        raise SystemExit(outcome.stderr)
    _, cpu, peak = outcome.stderr.split()
    return seconds, float(cpu), int(peak) / 1024**2


# Runs `audit check` and says its CPU seconds and its peak memory in KiB, or why there are none.
RUN = """
import resource, sys
from subgroup_audit.cli import main
sys.argv = ["audit", "check", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    if end.code in (2, 3):
        raise
if "torch" in sys.modules:
    sys.exit("torch was imported")
used = resource.getrusage(resource.RUSAGE_SELF)
print("used", used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
"""


def time_reading(path: Path) -> float:
    """CPU seconds of reading alone."""
    from subgroup_audit.checking.columns import ColumnChoice
    from subgroup_audit.checking.reading import read_scored

    start = time.process_time()
    read_scored(path, ColumnChoice(bands={"age": (40, 65)}, intersect=(("sex", "view"),)))
    return time.process_time() - start


def time_peer(path: Path) -> float:
    """CPU seconds that pandas and MetricFrame would take with 2,000 resamples, scaled from a few."""
    from fairlearn.metrics import MetricFrame, true_positive_rate
    from sklearn.metrics import roc_auc_score

    start = time.process_time()
    frame = pd.read_csv(path)
    read = time.process_time() - start
    decision = (frame["y_score"] >= 0.5).astype(int)
    start = time.process_time()
    for metric, predicted in ((roc_auc_score, frame["y_score"]), (true_positive_rate, decision)):
        MetricFrame(
            metrics=metric,
            y_true=frame["y_true"],
            y_pred=predicted,
            sensitive_features=frame[["sex", "view"]],
            n_boot=PEER_RESAMPLES,
            ci_quantiles=[0.025, 0.975],
            random_state=0,
        )
    return read + (time.process_time() - start) * 2000 / PEER_RESAMPLES


def main(sizes: list[int]) -> None:
    """Print one line per size."""
    print("images      reading (CPU)   whole check (wall, CPU)   AUC only (wall, CPU)   peak memory   peer (CPU)")
    options = ["--bands", "age:40,65", "--intersect", "sex,view", "--format", "concise"]
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "predictions.csv"
            invent(n).to_csv(path, index=False)
            reading = min(time_reading(path) for _ in range(2))
            wall, cpu, peak = timed([str(path), *options])
            auc_wall, auc_cpu, _ = timed([str(path), *options, "--measure", "auc"])
            peer = f"{time_peer(path):,.0f} s" if n <= WITHOUT_PEER else "not run"
        times = f"{reading:9.2f} s     {wall:9.1f} s, {cpu:5.1f} s      {auc_wall:9.1f} s, {auc_cpu:5.1f} s"
        print(f"{n:<11,} {times}    {peak:6.2f} GiB    {peer}")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 1_000_000])
