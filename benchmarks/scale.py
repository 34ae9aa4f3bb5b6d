"""A study over a million images' metadata: planned, its cohorts built, invented predictions of 150 fits audited.

    python benchmarks/scale.py                                 # 1,000,000 images, 30 cohorts x 5 seeds
    python benchmarks/scale.py --images 20000 --seeds 2        # any size; archives shrink in proportion

The table is made up. Images, persons, shares of views, of women and of effusions per archive are close to those
published (`ARCHIVES`); everything else is drawn at random. The image files are empty: nobody reads them here.
Each step runs in a process of its own, whose seconds (clock and CPU) and peak memory are printed. `--limit` is the
address space, in GiB, that each of them gets.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import yaml

from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study


@dataclass(frozen=True)
class Archive:
    """One source: images, persons, share of women, of each view, and of images with an effusion."""

    images: int
    persons: int
    women: float
    views: dict[str, float]
    effusion: float


ARCHIVES = {
    "nih": Archive(112_120, 30_805, 0.46, {"PA": 0.6, "AP": 0.4}, 0.12),
    "chexpert": Archive(224_316, 65_240, 0.45, {"PA": 0.13, "AP": 0.72, "Lateral": 0.15}, 0.38),
    "mimic_cxr": Archive(377_110, 65_379, 0.48, {"PA": 0.26, "AP": 0.39, "Lateral": 0.35}, 0.24),
    "padchest": Archive(160_868, 67_000, 0.5, {"PA": 0.57, "AP": 0.12, "Lateral": 0.31}, 0.06),
    "others": Archive(125_586, 60_000, 0.5, {"PA": 0.5, "AP": 0.4, "Lateral": 0.1}, 0.15),
}
"""Wang et al. 2017 (10.1109/CVPR.2017.369), Irvin et al. 2019 (10.1609/aaai.v33i01.3301590), Johnson et al. 2019
(arXiv:1901.07042), Bustos et al. 2020 (10.1016/j.media.2020.101797); `others` fill up to a million."""

GROUPS: dict[str, dict[str, str]] = {
    "all": {},
    "F": {"sex": "F"},
    "M": {"sex": "M"},
    "PA": {"view": "PA"},
    "AP": {"view": "AP"},
    "F_AP": {"sex": "F", "view": "AP"},
}


def draw_table(n_images: int) -> pd.DataFrame:
    """One row per image; persons have one to many images, as in archives."""
    rng, total = np.random.default_rng(0), sum(archive.images for archive in ARCHIVES.values())
    tables = []
    for name, archive in ARCHIVES.items():
        n, n_persons = (max(60, round(part * n_images / total)) for part in (archive.images, archive.persons))
        weight = rng.gamma(0.7, size=n_persons)
        person = rng.choice(n_persons, size=n, p=weight / weight.sum())
        number = pd.Series(np.arange(n)).map(lambda i, name=name: f"{name}/{i // 5000:03d}/{name}_{i:07d}")
        table = {
            "image": number + ".jpg",
            "person": pd.Series(person).map(f"{name}_p{{:06d}}".format),
            "sex": np.where(rng.random(n_persons) < archive.women, "F", "M")[person],
            "view": rng.choice(list(archive.views), size=n, p=list(archive.views.values())),
            "age": rng.integers(18, 95, size=n_persons)[person],
            "site": name,
            "label": np.where(rng.random(n) < archive.effusion, "Effusion", "None"),
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def write_files(folder: Path, paths: pd.Series) -> None:
    """An empty file for each image."""
    for parent in paths.str.rpartition("/")[0].unique():
        (folder / parent).mkdir(parents=True)
    for path in paths:
        os.close(os.open(f"{folder}/{path}", os.O_CREAT | os.O_WRONLY))


def make_study(n_seeds: int, resamples: int) -> dict[str, Any]:
    """Thirty cohorts: six groups of five archives; tests take every image of their group."""
    columns = {"path": "image", "patient_id": "person", "sex": "sex", "view": "view", "age_years": "age"}
    options = {"file": "images.parquet", "columns": {**columns, "label": "label"}, "attributes": ["site"]}
    return {
        "study": "million",
        "data": {"source": "table", "root": ".", "options": options},
        "findings": {"effusion": {"positive": ["Effusion"], "negative": ["None"]}},
        "cohorts": {f"{a}_{g}": {"where": {"site": a, **where}} for a in ARCHIVES for g, where in GROUPS.items()},
        "balance": {"over": ["label"], "size": "ceiling", "test": "natural"},
        "split": {"train": 0.7, "val": 0.1, "test": 0.2, "seed": 0},
        "models": ["densenet121"],
        "seeds": list(range(n_seeds)),
        "analysis": {
            "reference": {"sex": "M", "view": "PA", "site": "nih"},
            "n_resamples": resamples,
            "contrasts": ["subgroup_gap", "transfer_gap"],
        },
    }


class Fits(Sequence[Predictions]):
    """One table of predictions a fit, invented when asked for: on its own cohort and on all test images."""

    def __init__(self, study: Study, manifest: pd.DataFrame) -> None:
        self.fits = list(study.fit_combinations())
        tests = manifest[manifest["split"] == "test"].drop_duplicates(["image_id", "finding"])
        self.tests = tests.drop(columns=["cohort", "weight"])
        own = manifest[manifest["split"] != "test"].drop(columns="weight")
        self.own = {str(name): rows.drop(columns="cohort") for name, rows in own.groupby("cohort")}
        self.seconds = 0.0

    def __len__(self) -> int:
        """Number of fits."""
        return len(self.fits)

    @overload
    def __getitem__(self, index: int) -> Predictions: ...

    @overload
    def __getitem__(self, index: slice) -> list[Predictions]: ...

    def __getitem__(self, index: int | slice) -> Predictions | list[Predictions]:
        """The table of one fit."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        started = time.process_time()
        cohort, model, recipe, seed = self.fits[index]
        images = pd.concat([self.tests, self.own[cohort]], ignore_index=True)
        common, own = (np.random.default_rng(key).standard_normal(len(images)) for key in (1, (2, index)))
        scores = 1.0 / (1.0 + np.exp(-(2.0 * images["y_true"].to_numpy() + common + own)))
        names = {"train_cohort": cohort, "model": model, "recipe": recipe, "seed": seed}
        table = images.assign(fit_id=f"{cohort}-{seed}", **names, y_score=scores.astype(np.float32).astype(float))
        found = Predictions(table)
        self.seconds += time.process_time() - started
        return found

    def __iter__(self) -> Iterator[Predictions]:
        """All tables, one after the other."""
        return (self[place] for place in range(len(self)))


def audit_here(folder: Path) -> None:
    """Read the manifest that `audit cohort` wrote, invent every fit's predictions, audit them."""
    from subgroup_audit.audit import audit_predictions
    from subgroup_audit.study_file import load_study

    study = load_study(folder / "study.yaml")
    manifest = CohortManifest(pd.read_parquet(folder / "cohorts" / "manifest.parquet"))
    fits = Fits(study, manifest.frame)
    started = time.process_time()
    result = audit_predictions(study, manifest, fits)
    spent = time.process_time() - started
    print(f"    {len(result.estimates):,} cells and {len(result.contrasts):,} gaps from {len(fits)} fits", end=" ")
    print(
        f"of {len(fits.tests):,} test images; inventing and checking the tables took {fits.seconds:.0f} s", end=" "
    )
    print(f"of {spent:.0f} s of CPU")


def timed(title: str, words: list[str], limit: float) -> None:
    """Run a command and print its seconds and its peak memory."""

    def confine() -> None:
        n_bytes = int(limit * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))

    started = time.perf_counter()
    process = subprocess.Popen(words, preexec_fn=confine if limit else None)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{title} failed with exit code {process.returncode}")
    spent, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(f"  {title:<34}{seconds:8.1f} s by the clock {spent:8.1f} s of CPU {peak:7.2f} GiB", flush=True)


def main() -> None:
    """Read the command line, make the table, measure every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--limit", type=float, default=0.0, help="GiB of address space of each step; 0: no limit")
    parser.add_argument("--audit", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.audit:
        audit_here(asked.audit)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = draw_table(asked.images)
        table.to_parquet(folder / "images.parquet")
        write_files(folder, table["image"])
        study = yaml.safe_dump(make_study(asked.seeds, asked.resamples), sort_keys=False)
        (folder / "study.yaml").write_text(study, encoding="utf-8")
        audit, file = str(Path(sys.executable).with_name("audit")), str(folder / "study.yaml")
        common = ["--cache", str(folder / "cache"), "--out"]
        quietly = ["bash", "-c", 'exec "$@" > /dev/null', "bash"]
        print(f"{asked.images:,} images, {len(ARCHIVES) * len(GROUPS)} cohorts x {asked.seeds} seeds", flush=True)
        cohort = [*quietly, audit, "cohort", file, *common, str(folder / "cohorts")]
        timed("cohorts, Table 1, written", cohort, asked.limit)
        plan = [*quietly, audit, "run", file, "--dry-run", *common, str(folder / "run"), "--device", "cpu"]
        timed("plan of the run (--dry-run)", plan, asked.limit)
        timed("audit of all fits", [sys.executable, __file__, "--audit", place], asked.limit)


if __name__ == "__main__":
    main()
