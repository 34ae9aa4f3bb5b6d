"""Where the time of `audit run` goes, step by step.

    python benchmarks/profile_run.py            # the demo, and 2,400 images with ResNet-18: minutes

Writes a table of each study into RESULTS.md. Seconds are by the clock. Fits run side by side, so that their
seconds together can be more than those of the step. What fits did comes from the records that each leaves.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGER = """
study: larger
data: {source: phantom, root: data, stored_size: 128}
findings:
  opacity: {positive: [Lung Opacity], negative: [Normal, No Lung Opacity / Not Normal]}
cohorts: {all: {}, F: {sex: F}, M: {sex: M}, AP: {view: AP}, PA: {view: PA}}
balance: {over: [label, sex, view], size: equal}
split: {train: 0.6, val: 0.1, test: 0.3, seed: 0}
models: {resnet18: {architecture: resnet18}}
recipes: {default: {image_size: 96, epochs: 4}}
seeds: [0, 1]
analysis: {reference: {sex: M}}
"""


@dataclass
class Stopwatch:
    """Hears of a run, and keeps the seconds of each step."""

    steps: dict[str, float] = field(default_factory=dict)

    def end(self, step: str, seconds: float) -> None:
        """Keep the seconds."""
        self.steps[step] = self.steps.get(step, 0.0) + seconds

    def __getattr__(self, name: str) -> object:
        """Any other news: not kept."""
        return lambda *_, **__: None


def profile_study(study_file: Path, data: Path, out: Path, cache: Path) -> dict[str, float]:
    """Seconds of every step of a first run, and what its fits spent their time on."""
    from subgroup_audit.pipeline import RunOptions, run_study
    from subgroup_audit.steps import Place
    from subgroup_audit.study_file import load_study

    watch = Stopwatch()
    started = time.perf_counter()
    run_study(load_study(study_file), Place(study_file.parent, data, out, cache), RunOptions(device="cpu"), watch)  # type: ignore[arg-type]
    total = time.perf_counter() - started
    steps = watch.steps
    return {**steps, "all else": total - sum(steps.values()), "in all": total, **fit_seconds(out)}


def fit_seconds(out: Path) -> dict[str, float]:
    """What the fits did, summed over them: epochs, and the rest (building, predicting, writing)."""
    import pandas as pd

    folders = [path.parent for path in out.glob("steps/fit-*/fit.json")]
    whole = sum(json.loads((folder / "fit.json").read_text())["seconds"] for folder in folders)
    epochs = sum(float(pd.read_parquet(folder / "history.parquet")["seconds"].sum()) for folder in folders)
    return {f"of {len(folders)} fits together: epochs": epochs, "the rest of these fits": whole - epochs}


def make_phantom(folder: Path, **changes: int) -> Path:
    """The demo's phantom data set."""
    import yaml

    design = yaml.safe_load((ROOT / "cohorts/phantoms/demo.yaml").read_text(encoding="utf-8"))
    plan = folder / "design.yaml"
    plan.write_text(yaml.safe_dump({**design, **changes}), encoding="utf-8")
    audit(["phantom", str(folder / "data"), "--design", str(plan)])
    return folder / "data"


def audit(words: list[str]) -> tuple[float, float]:
    """Run the command line; its seconds by the clock, and those of CPU time."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(Path(sys.executable).with_name("audit")), *words], check=True, capture_output=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    """Profile both studies."""
    from report import describe_machine, keep_profile, load_average

    with fresh_folder() as folder:
        data = make_phantom(folder)
        study = folder / "larger.yaml"
        study.write_text(LARGER, encoding="utf-8")
        demo = ROOT / "cohorts/demo.yaml"
        titles = {
            "demo: 2,400 images, 9 fits of a small CNN, 64 px, 12 epochs": demo,
            "2,400 images, 10 fits of ResNet-18, 96 px, 4 epochs": study,
        }
        for number, (title, file) in enumerate(titles.items()):
            seconds = profile_study(file, data, folder / f"out{number}", folder / f"cache{number}")
            keep_profile(title, seconds, describe_machine(), load_average())
            for name, value in seconds.items():
                print(f"  {name:<45}{value:8.1f} s", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
