"""The golden report: a small phantom study with every section, made anew and compared with what is kept.

    make golden                        # reports/golden/, from phantom to paper; what is done is not done again
    python examples/golden.py --check  # train in a fresh folder, and say which numbers differ from those kept

`reports/golden/` holds the page, the tables, the figures, the predictions of phantoms, and of the run's steps what
rendering needs, but no weights and no films. Times and the moment of the run are left out of what is compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom
from subgroup_audit.pipeline import RunOptions, render_again, run_study
from subgroup_audit.steps.place import Place
from subgroup_audit.study_file import load_study

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "reports" / "golden"
STUDY, DESIGN = ROOT / "cohorts" / "golden.yaml", ROOT / "cohorts" / "phantoms" / "golden.yaml"
# The largest difference of any number when stored predictions are audited again; and of an AUC when everything is
# trained again on another machine, whose arithmetic rounds in another order.
SAME_SCORES, TRAINED_AGAIN = 1e-9, 0.05
# What belongs to one moment on one machine.
MOMENT = ("started", "finished", "fit_seconds", "n_fits_reused")
TIMES = ("seconds", "images_per_second", "ran_seconds")
# Tables that no training changes.
COHORTS = ("flow", "ceiling", "counts", "table1", "leakage", "image_level_leakage")
# What of a step the report does not read: weights, stages, scores of single fits.
HEAVY = (".safetensors", ".pt")
HEAVY_TABLES = ("predictions.parquet", "stages.parquet", "features.parquet")
FOLDERS = ("tables", "figures", "paper", "data")
# Of tables and figures one form is kept, the one that shows on a screen; `audit report` writes the others.
FORMS = {"tables": (".csv", ".md"), "figures": (".svg",)}
LARGEST_FIGURE = 300_000


def run_golden(work: Path) -> Path:
    """The folder of the finished run below `work`; what was done before is found done."""
    films = work / "golden"
    if not (films / "truth.json").is_file():
        shutil.rmtree(films, ignore_errors=True)
        design = PhantomDesign.from_dict(yaml.safe_load(DESIGN.read_text(encoding="utf-8")))
        write_phantom(films, design, workers=2)
    place = Place(STUDY.parent, films, work / "golden_run", work / "golden_cache")
    run_study(load_study(STUDY), place, RunOptions(device="cpu", workers=2, command="make golden"))
    return place.out


def without_moment(run: Path) -> None:
    """Take the moment of the run out of its record, and render the report from what is left."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    kept = {name: value for name, value in record["provenance"].items() if name not in MOMENT}
    text = json.dumps({**record, "provenance": kept}, indent=2, ensure_ascii=False)
    (run / "run.json").write_text(text + "\n", encoding="utf-8")
    render_again(run)


def keep(run: Path, target: Path) -> None:
    """Replace `target` by what of the run is kept."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copyfile(run / "report.html", target / "report.html")
    for name in FOLDERS:
        _keep_folder(run / name, target / name, FORMS.get(name, ()))
    shutil.copyfile(run / "run.json", target / "run.json")
    for name in json.loads((run / "run.json").read_text(encoding="utf-8"))["steps"]:
        _keep_step(run / "steps" / name, target / "steps" / name)


def _keep_folder(folder: Path, target: Path, forms: tuple[str, ...]) -> None:
    target.mkdir()
    for path in sorted(folder.rglob("*")):
        is_wanted = path.is_file() and (not forms or path.suffix in forms)
        if is_wanted and not (path.suffix == ".svg" and path.stat().st_size > LARGEST_FIGURE):
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _keep_step(step: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(step.iterdir()):
        is_heavy = path.suffix in HEAVY or path.name in HEAVY_TABLES
        if path.is_file() and not is_heavy:
            shutil.copyfile(path, target / path.name)


def differences(kept: Path, fresh: Path, tolerance: float, names: tuple[str, ...] = ()) -> list[str]:
    """What differs between the tables of two reports, a sentence each; empty where nothing does.

    Parameters
    ----------
    tolerance : largest difference of two numbers that counts as none
    names : tables that are compared; none: every table that is kept
    """
    chosen = [path for path in sorted((kept / "tables").glob("*.csv")) if not names or path.stem in names]
    found = []
    for path in chosen:
        other = fresh / "tables" / path.name
        if other.is_file():
            found += table_differences(path.stem, pd.read_csv(path), pd.read_csv(other), tolerance)
        else:
            found.append(f"{path.stem}: the table is gone")
    return found


def table_differences(name: str, kept: pd.DataFrame, fresh: pd.DataFrame, tolerance: float) -> list[str]:
    """What differs between two tables, times aside."""
    columns = [column for column in kept.columns if column not in TIMES]
    gone = [column for column in columns if column not in fresh.columns]
    if gone:
        return [f"{name}: columns are gone: {', '.join(gone)}"]
    if len(kept) != len(fresh):
        return [f"{name}: {len(kept)} rows are kept, {len(fresh)} came out"]
    found = [_column_difference(f"{name}.{column}", kept[column], fresh[column], tolerance) for column in columns]
    return [sentence for sentence in found if sentence]


def _column_difference(where: str, kept: pd.Series, fresh: pd.Series, tolerance: float) -> str:
    if pd.api.types.is_numeric_dtype(kept) and pd.api.types.is_numeric_dtype(fresh):
        a, b = (values.to_numpy(dtype=float, na_value=np.nan) for values in (kept, fresh))
        apart = ~np.isclose(a, b, rtol=0.0, atol=tolerance, equal_nan=True)
    else:
        apart = (kept.fillna("").astype(str) != fresh.fillna("").astype(str)).to_numpy()
    if not apart.any():
        return ""
    row = int(np.argmax(apart))
    return (
        f"{where}: {int(apart.sum())} of {len(kept)} differ, the first in row {row}: {kept.iloc[row]} is kept, "
        f"{fresh.iloc[row]} came out"
    )


def aucs(run: Path) -> pd.DataFrame:
    """The AUC and the size of every cell, in an order that does not depend on them."""
    keys = ["finding", "train_cohort", "model", "recipe", "split", "test_group"]
    shown = [*keys, "estimate", "n_patients", "n_images", "n_positive"]
    return pd.read_csv(run / "tables" / "estimates.csv")[shown].sort_values(keys, ignore_index=True)


def trained_again(fresh: Path) -> list[str]:
    """What another training gives other than what is kept: cohorts to the digit, AUCs within `TRAINED_AGAIN`."""
    found = differences(GOLDEN, fresh, SAME_SCORES, COHORTS)
    return found + table_differences("estimates", aucs(GOLDEN), aucs(fresh), TRAINED_AGAIN)


def check() -> list[str]:
    """What a training from the start, in a fresh folder, gives other than what is kept."""
    with tempfile.TemporaryDirectory() as folder:
        return trained_again(run_golden(Path(folder)))


def main() -> int:
    """Make the golden report, or check it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="train in a fresh folder and compare")
    if parser.parse_args().check:
        found = check()
        print("\n".join(found) or f"The golden report is reproduced within {TRAINED_AGAIN}.")
        return 1 if found else 0
    run = run_golden(ROOT / "data")
    without_moment(run)
    keep(run, GOLDEN)
    size = sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) / 1e6
    print(f"{GOLDEN.relative_to(ROOT)}/report.html ({size:.1f} MB in all)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
