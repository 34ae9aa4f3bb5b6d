"""The report that is kept: rendered again from stored numbers, and audited again from stored predictions."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from subgroup_audit.audit import audit_predictions
from subgroup_audit.comparison import compare
from subgroup_audit.pipeline import render_again
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study

ROOT = Path(__file__).resolve().parents[2]
CHANGED = "the golden report changed; if that was meant, bump the step's VERSION and run `make golden`:\n"


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    """examples/golden.py."""
    spec = importlib.util.spec_from_file_location("golden_report", ROOT / "examples" / "golden.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _record(golden: ModuleType) -> dict[str, object]:
    return dict(json.loads((golden.GOLDEN / "run.json").read_text(encoding="utf-8")))


def test_the_kept_study_is_the_one_in_the_repository(golden: ModuleType) -> None:
    kept = Study.model_validate(_record(golden)["definition"])
    assert kept == load_study(golden.STUDY), "cohorts/golden.yaml changed: run `make golden`"


def test_rendering_the_stored_numbers_gives_the_kept_tables(golden: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(golden.GOLDEN, tmp_path / "run")
    page = render_again(tmp_path / "run").read_text(encoding="utf-8")
    found = golden.differences(golden.GOLDEN, tmp_path / "run", golden.SAME_SCORES)
    assert not found, CHANGED + "\n".join(found)
    assert load_study(golden.STUDY).question in page


def test_auditing_the_stored_predictions_gives_the_kept_numbers(golden: ModuleType) -> None:
    study = load_study(golden.STUDY)
    manifest = CohortManifest(pd.read_parquet(golden.GOLDEN / "data" / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(golden.GOLDEN / "data" / "predictions.parquet"))
    result = audit_predictions(study, manifest, predictions)
    kept = pd.read_csv(golden.GOLDEN / "tables" / "estimates.csv")
    found = golden.table_differences("estimates", kept, result.estimates, golden.SAME_SCORES)
    keys = ["kind", "finding", "model", "recipe", "train_cohort", "test_group", "other"]
    gaps = pd.read_csv(golden.GOLDEN / "tables" / "gaps.csv").sort_values(keys, ignore_index=True)
    fresh = result.contrasts.sort_values(keys, ignore_index=True)
    found += golden.table_differences("gaps", gaps, fresh, golden.SAME_SCORES)
    assert not found, CHANGED + "\n".join(found)


def test_a_changed_number_is_named(golden: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(golden.GOLDEN / "tables", tmp_path / "tables")
    path = tmp_path / "tables" / "estimates.csv"
    frame = pd.read_csv(path)
    before = frame.loc[0, "estimate"]
    frame.loc[0, "estimate"] = 0.25
    frame.to_csv(path, index=False)
    found = golden.differences(golden.GOLDEN, tmp_path, golden.SAME_SCORES)
    assert found == [
        f"estimates.estimate: 1 of {len(frame)} differ, the first in row 0: {before} is kept, 0.25 came out"
    ]


def test_the_golden_run_compared_with_itself_is_identical(golden: ModuleType) -> None:
    result = compare(golden.GOLDEN, golden.GOLDEN)
    assert result.verdict == "identical"
    assert result.is_design_unchanged


def test_what_is_kept_is_small_and_names_no_machine(golden: ModuleType) -> None:
    files = [path for path in golden.GOLDEN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10_000_000
    text = [path for path in files if path.suffix in (".html", ".json", ".md", ".tex", ".csv", ".bib", ".svg")]
    for path in text:
        content = path.read_text(encoding="utf-8")
        assert "/home/" not in content, path
        assert str(ROOT) not in content, path
    provenance = _record(golden)["provenance"]
    assert not {"started", "finished"} & set(provenance)  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_training_again_gives_the_kept_aucs_within_the_stated_tolerance(
    golden: ModuleType, tmp_path: Path
) -> None:
    found = golden.trained_again(golden.run_golden(tmp_path))
    assert not found, CHANGED + "\n".join(found)
