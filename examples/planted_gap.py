"""Does the audit's interval cover the truth? Ask the phantom itself.

A phantom's design can draw as many new radiographs as one likes. This script takes a finished run on a phantom,
draws a large new population from the same design (other persons, another seed), scores it with the run's own fits,
and sets the gap found there beside the interval that the audit gave from its few hundred test images.

    audit phantom data/demo --design cohorts/phantoms/demo.yaml
    audit run cohorts/demo.yaml
    python examples/planted_gap.py reports/demo data/demo --images 6000

About three minutes on two cores for the demo. It prints one line per subgroup gap and exits with 1 if fewer than
expected are covered.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.datasets import load_source
from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.images.store import build_pixel_store
from subgroup_audit.stats import auc
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Balance, Study
from subgroup_audit.training import load_fitted, predict

NEW_SEED = 1_000_003


def new_population(data: Path, n_images: int, folder: Path) -> Path:
    """A phantom of the same design as the one in `data`, with other persons and without damaged files."""
    settings = json.loads((data / "truth.json").read_text(encoding="utf-8"))["settings"]
    design = PhantomDesign.from_dict(settings)
    intact = {f.name: 0 for f in dataclasses.fields(design) if f.name.startswith("n_")}
    changed = {**intact, "n_images": n_images, "seed": design.seed + NEW_SEED}
    write_phantom(folder / "population", dataclasses.replace(design, **changed))
    return folder / "population"


def score_population(run: Path, study: Study, root: Path, cache: Path) -> pd.DataFrame:
    """AUC of every fit on every test group of the new population: [train_cohort, model, recipe, group, auc]."""
    tables = load_source(study.data, root, cache=cache)
    everyone = study.model_copy(update={"balance": Balance(size="all", test="natural")})
    manifest = design_cohorts(everyone, tables, describe=False).manifest.frame
    pixels, _ = build_pixel_store(tables.images, root, size=study.data.stored_size, cache=cache)
    images = manifest.drop_duplicates("image_id")["image_id"].tolist()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    rows = []
    for done in (RunFolder(run, study.study).find(n) for n in record["steps"] if n.startswith("fit-")):
        scores = pd.Series(predict(load_fitted(done.folder), pixels, images)[:, 0], index=images)
        settings = done.step.settings
        named = {
            "train_cohort": settings["cohort"],
            "model": settings["model_name"],
            "recipe": settings["recipe_name"],
        }
        for group in study.test_cohorts:
            members = manifest[manifest["cohort"] == group]
            value = auc(members["y_true"].to_numpy(), scores.loc[members["image_id"]].to_numpy())
            rows.append({**named, "group": group, "auc": value, "n_images": len(members)})
    return pd.DataFrame(rows)


def compare(run: Path, study: Study, truth: pd.DataFrame) -> pd.DataFrame:
    """Each subgroup gap of the run, its interval, and the same gap in the population (mean over seeds)."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    audit = next(name for name in record["steps"] if name.startswith("audit-"))
    contrasts = pd.read_parquet(run / "steps" / audit / "contrasts.parquet")
    gaps = contrasts[(contrasts["kind"] == "subgroup_gap") & (contrasts["finding"] == study.finding_names[0])]
    mean = truth.groupby(["train_cohort", "model", "recipe", "group"])["auc"].mean()
    rows = []
    for gap in gaps.to_dict("records"):
        fit = (gap["train_cohort"], gap["model"], gap["recipe"])
        true_gap = mean[(*fit, gap["test_group"])] - mean[(*fit, gap["other"])]
        rows.append({**gap, "truth": true_gap, "covered": gap["low"] <= true_gap <= gap["high"]})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the comparison; exit with 1 if fewer intervals cover than 95 % ones should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run on a phantom")
    parser.add_argument("data", type=Path, help="folder of the phantom that the run read")
    parser.add_argument("--images", type=int, default=6000, help="size of the new population")
    chosen = parser.parse_args()
    study = Study.model_validate(json.loads((chosen.run / "run.json").read_text(encoding="utf-8"))["definition"])
    with tempfile.TemporaryDirectory() as scratch:
        root = new_population(chosen.data, chosen.images, Path(scratch))
        found = compare(chosen.run, study, score_population(chosen.run, study, root, Path(scratch) / "cache"))
    for row in found.to_dict("records"):
        print(
            f"trained on {row['train_cohort']}, {row['model']}: {row['test_group']} minus {row['other']}: "
            f"audit {row['estimate']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}), {row['verdict']}; "
            f"population {row['truth']:+.3f}: {'covered' if row['covered'] else 'NOT covered'}"
        )
    n_covered, n_gaps = int(np.sum(found["covered"])), len(found)
    print(f"{n_covered} of {n_gaps} intervals cover the gap in {chosen.images:,} new radiographs")
    raise SystemExit(int(n_covered < binom.ppf(0.005, n_gaps, 0.95)))


if __name__ == "__main__":
    main()
