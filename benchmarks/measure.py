"""Measure every goal of speed and memory, and write the figures beside their goals into RESULTS.md.

    python benchmarks/measure.py                  # everything: about 20 minutes on two quiet cores
    python benchmarks/measure.py ingest whole     # some parts
    python benchmarks/measure.py --quick          # sizes that only show that everything runs; nothing is kept

Each part runs in a process of its own, so that neither memory nor settings of one reach another. What is compared
takes turns within one process, or between two that wait for each other, and the median of the rounds' ratios
counts, so that a busy machine slows both alike. Figures by the clock still depend on the load, which is kept too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from goals import PARTS
from report import describe_machine, keep, load_average, print_figures
from turns import Effort, Figure, Figures


def measure_here(part: str, effort: Effort) -> Figures:
    """The figures of one part, measured in this process."""
    figures: Figures = import_module(part).measure(effort)
    return figures


def measure_apart(part: str, effort: Effort) -> Figures:
    """The same in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        words = [sys.executable, __file__, part, "--into", str(out), "--rounds", str(effort.most_rounds)]
        subprocess.run(words, check=True)
        found = json.loads(out.read_text(encoding="utf-8"))
    return {key: Figure(value, detail) for key, (value, detail) in found.items()}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"some of: {' '.join(PARTS)}; absent: all")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, nothing kept")
    parser.add_argument("--rounds", type=int, default=99, help="at most so many rounds: quicker, and less sure")
    parser.add_argument("--into", type=Path, help="write the figures of one part here and keep nothing")
    asked = parser.parse_args()
    effort = Effort(asked.quick, asked.rounds)
    strange = sorted(set(asked.parts) - set(PARTS))
    if strange:
        parser.error(f"no such part: {', '.join(strange)}; parts are {', '.join(PARTS)}")
    if asked.into:
        figures = {key: (f.value, f.detail) for key, f in measure_here(asked.parts[0], effort).items()}
        asked.into.write_text(json.dumps(figures), encoding="utf-8")
        return
    machine = describe_machine()
    print(machine)
    for part in asked.parts or PARTS:
        started = time.perf_counter()
        figures = measure_here(part, effort) if effort.is_quick else measure_apart(part, effort)
        load = load_average()
        print(f"{part}, {time.perf_counter() - started:.0f} s, load {load:.1f}")
        print_figures(figures)
        if not effort.is_quick:
            keep(figures, machine, load)


if __name__ == "__main__":
    main()
