"""Does the diagnosis find what was planted, and only that?

Seven causes of a gap are planted, one at a time, on phantom data sets, and once nothing is. Each is run from DICOM
files to the table of causes, and the table is compared with what was planted.

    python examples/planted_causes.py

Some five minutes on two cores. Prints a line per world: what was planted, what was named, and whether that
is right, and exits with 1 if it is not: a planted cause that was not named, or a cause named that was not planted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.pipeline import RunOptions, run_study
from subgroup_audit.steps import Place
from subgroup_audit.study import Study

DESIGN: Mapping[str, Any] = {
    "n_images": 1500,
    "size": 96,
    "seed": 11,
    "images_per_person": 1.3,
    "prevalence": 0.5,
    "contrast": 1.0,
    "contrast_spread": 0.15,
    "opacity_cm": (8.0, 14.0),
    "not_normal_share": 0.0,
    "anatomy_follows_sex": False,
    "anatomy_follows_view": False,
}
STUDY: Mapping[str, Any] = {
    "study": "planted",
    "data": {"source": "phantom", "stored_size": 96},
    "findings": {
        "opacity": {"positive": ["Lung Opacity"], "negative": ["Normal", "No Lung Opacity / Not Normal"]}
    },
    "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
    "train_on": ["all"],
    "balance": {"over": ["label", "sex"], "size": "equal"},
    "split": {"train": 0.4, "val": 0.2, "test": 0.4, "seed": 0},
    "models": {"small_cnn": {"architecture": "small_cnn"}},
    "recipes": {
        "default": {
            "image_size": 64,
            "batch_size": 16,
            "epochs": 10,
            "optimiser": "adamw",
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "schedule": "cosine",
            "augmentation": {"horizontal_flip": 0.5, "shift": 0.03},
        }
    },
    "seeds": [0, 1],
    "analysis": {"reference": {"sex": "M"}},
}


@dataclass(frozen=True)
class World:
    """What is planted, in which design and study, and how the cause that must be named begins ('' for none)."""

    planted: str
    named: str = ""
    design: Mapping[str, Any] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    weights_from: str = ""
    after: Callable[[Path], None] | None = None


def with_foreign_statistics(source: Path, target: Path) -> None:
    """A checkpoint as if its batch statistics were of other images: brighter, and of five times the contrast."""
    from safetensors.torch import load_file, save_file

    state = load_file(source)
    for name in state:
        if name.endswith("running_mean"):
            state[name] = state[name] + 3.0
        if name.endswith("running_var"):
            state[name] = state[name] * 25.0
    save_file(state, target)


def shuffle_scores(run: Path) -> None:
    """Give every stored prediction the score of another image, as a generator that shuffles would."""
    rng = np.random.default_rng(0)
    for path in sorted(run.glob("steps/fit-*/predictions.parquet")):
        frame = pd.read_parquet(path)
        frame.assign(y_score=rng.permutation(frame["y_score"].to_numpy())).to_parquet(path, index=False)
    for name in ("predictions", "order", "audit", "errors", "diagnosis", "causes", "report"):
        for folder in run.glob(f"steps/{name}-*"):
            shutil.rmtree(folder)


HARD = {"contrast": 0.45, "n_images": 1000}
BY_HEART = {
    **STUDY["recipes"]["default"],
    "epochs": 40,
    "augmentation": {},
    "weight_decay": 0.0,
    "restore_best": False,
}
WORLDS = (
    World("nothing"),
    World(
        "batch statistics of other images that are never updated",
        "stored batch statistics",
        study={"models": {"small_cnn": {"architecture": "small_cnn", "batch_norm_momentum": 0.0}}},
        weights_from="nothing",
    ),
    World("stored scores shuffled", "scores and labels", after=shuffle_scores),
    World(
        "a split of images, persons with several",
        "test persons or images",
        design={"images_per_person": 4.0, "label_persistence": 1.0},
        study={"split": {**STUDY["split"], "unit": "image"}},
    ),
    World(
        "400 training images learned by heart",
        "overfitting",
        design=HARD,
        study={"recipes": {"default": BY_HEART}},
    ),
    World(
        "a view that tells the label",
        "shortcut: view",
        design={"prevalence": {"AP": 0.8, "PA": 0.2}, "anatomy_follows_view": True},
    ),
    World(
        "opacities that are fainter in women",
        "the finding is told less well in F",
        design={"contrast_by_sex": {"F": 0.35, "M": 1.0}},
    ),
    World(
        "a quarter of the labels of women wrong",
        "labels of F are wrong",
        design={"wrong_label_share": {"F": 0.25, "M": 0.0}, "n_images": 2400},
    ),
)


def run_world(world: World, folder: Path, done: Mapping[str, Path]) -> tuple[Path, pd.DataFrame]:
    """The run folder of a world and its table of causes."""
    place = Path(folder)
    place.mkdir(parents=True)
    write_phantom(place / "data", PhantomDesign.from_dict({**DESIGN, **world.design}))
    settings = {**STUDY, **world.study}
    if world.weights_from:
        checkpoint = sorted(done[world.weights_from].glob("steps/fit-*/checkpoint.safetensors"))[0]
        with_foreign_statistics(checkpoint, place / "weights.safetensors")
        model = {**settings["models"]["small_cnn"], "weights": "weights.safetensors"}
        settings = {**settings, "models": {"small_cnn": model}}
    study = Study.model_validate(settings)
    where = Place(place, place / "data", place / "run", place / "cache")
    run_study(study, where, RunOptions(device="cpu"))
    if world.after is not None:
        world.after(place / "run")
        run_study(study, where, RunOptions(device="cpu"))
    frames = sorted((place / "run").glob("steps/causes-*/causes.parquet"), key=lambda path: path.stat().st_mtime)
    return place / "run", pd.read_parquet(frames[-1])


def is_right(world: World, named: Iterable[str]) -> bool:
    """Whether exactly the planted cause was named."""
    found = list(named)
    if not world.named:
        return not found
    return bool(found) and all(cause.startswith(world.named) for cause in found)


def main() -> None:
    """Run every world, or those asked for, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    out = parser.parse_args().out or Path(tempfile.mkdtemp(prefix="planted_"))
    done: dict[str, Path] = {}
    is_all_right = True
    for number, world in enumerate(WORLDS):
        run, causes = run_world(world, out / str(number), done)
        done[world.planted] = run
        found = causes[causes["verdict"] == "found"]
        right = is_right(world, found["cause"])
        is_all_right &= right
        print(f"{'right' if right else 'WRONG'}  planted: {world.planted}")
        for row in found.to_dict("records"):
            print(f"       named: {row['cause']}. {row['sentence']}")
        sys.stdout.flush()
    raise SystemExit(0 if is_all_right else 1)


if __name__ == "__main__":
    main()
