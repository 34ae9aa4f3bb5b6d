"""The command line by the clock: `audit --help`, an unchanged second run of the demo, rendering its report."""

from __future__ import annotations

import statistics
from pathlib import Path

import pandas as pd
from profile_run import ROOT, audit, fresh_folder, make_phantom
from turns import Effort, Figure, Figures


def median_of(words: list[str], times: int) -> Figure:
    """Seconds of a command by the clock, the median of several, and those of CPU time beside it."""
    taken = [audit(words) for _ in range(times)]
    clock, spent = (statistics.median(values) for values in zip(*taken, strict=True))
    return Figure(clock, f"by the clock, median of {times}; {spent:.2f} s of CPU")


def measure(effort: Effort) -> Figures:
    """Start-up times; quickly, only of the help."""
    found = {"help": median_of(["--help"], effort.rounds(9))}
    if effort.is_quick:
        return found
    with fresh_folder() as folder:
        data, out = make_phantom(folder), folder / "out"
        words = ["run", str(ROOT / "cohorts/demo.yaml"), "--data", str(data), "--out", str(out)]
        words += ["--cache", str(folder / "cache"), "--device", "cpu"]
        audit(words)
        found["second_run"] = median_of(words, effort.rounds(5))
        found["render"] = median_of(["report", str(out)], effort.rounds(5))
        return {**found, "seen_once": times_predicted(out)}


def times_predicted(out: Path) -> Figure:
    """How often a fit predicts an image and finding, at most."""
    tables = [pd.read_parquet(path) for path in sorted(out.glob("steps/fit-*/predictions.parquet"))]
    most = max(int(table.value_counts(["image_id", "finding"]).max()) for table in tables)
    return Figure(float(most), f"{len(tables)} fits, {len(tables[0]):,} test images of 3 cohorts each")
