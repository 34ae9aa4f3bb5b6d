"""The shipped studies of published experiments, planned and run end to end on tiny data of the same layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from subgroup_audit import engine, pipeline
from subgroup_audit.engine import FitFailure, FitJob
from subgroup_audit.pipeline import RunOptions, RunSummary, run_study
from subgroup_audit.plan import plan_run
from subgroup_audit.report.paper_figures import files
from subgroup_audit.steps import Place
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study

COHORTS = Path(__file__).parents[2] / "cohorts"
PUBLISHED = (
    "rsna_paper_curves",
    "rsna_paper_three_class",
    "rsna_lung_masked_paper",
    "guangzhou_pneumonia",
    "resnet50_heads",
    "metastases_patches",
    "ild_slices",
    "nih_composition",
    "rsna_composition",
)


@pytest.fixture(scope="module")
def in_this_process() -> Any:
    """Fits done one after another in this process, and figures in one format: it saves most of the time."""

    def run_here(jobs: list[FitJob], *, device: str, done: Any, **_: Any) -> list[FitFailure]:
        for job in jobs:
            engine.do_fit(job, device=device, threads=1, tell=lambda _: None)
            done(job, 0.0)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "run_fits", run_here)
        patch.setattr(files, "FORMATS", ("svg",))
        yield


@pytest.fixture(scope="module")
def run_shipped(
    tmp_path_factory: pytest.TempPathFactory,
    stand_in: Callable[[str], Path],
    shrink: Callable[[Study], Study],
    in_this_process: None,
) -> Callable[[str], tuple[Study, Place, RunSummary]]:
    """A function that runs a shipped study in small, once."""
    finished: dict[str, tuple[Study, Place, RunSummary]] = {}

    def run(name: str) -> tuple[Study, Place, RunSummary]:
        if name not in finished:
            study = shrink(load_study(COHORTS / f"{name}.yaml"))
            folder = tmp_path_factory.mktemp(name)
            place = Place(COHORTS, stand_in(name), folder / "out", folder / "cache")
            finished[name] = (study, place, run_study(study, place, RunOptions(device="cpu")))
        return finished[name]

    return run


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_study_runs_end_to_end_in_small(name: str, run_shipped: Any) -> None:
    study, place, summary = run_shipped(name)
    assert not summary.failures
    fitted = pd.read_csv(place.out / "tables" / "history.csv")["fit_id"].nunique()
    assert fitted == len(study.fit_combinations())
    assert summary.estimates is not None
    assert summary.estimates["estimate"].notna().any()
    assert summary.report.is_file()


def test_a_plan_counts_the_fits_of_the_file_itself(
    stand_in: Callable[[str], Path], tmp_path: Path, shrink: Callable[[Study], Study]
) -> None:
    study = load_study(COHORTS / "guangzhou_pneumonia.yaml")
    plan = plan_run(study, Place(COHORTS, stand_in(study.study), tmp_path / "out", tmp_path / "cache"), "cpu", 1)
    assert [(fit.model, fit.recipe) for fit, _, _ in plan.fits] == [
        ("five blocks", "128 px"),
        ("vgg16", "256 px"),
        ("resnet50", "class weighted"),
    ]
    sizes = plan.sizes.set_index("split")["n_images"]
    assert sizes.to_dict() == {"train": 48, "val": 8, "test": 20}


def test_a_study_of_compositions_draws_its_curves_by_share(run_shipped: Any) -> None:
    _, place, summary = run_shipped("rsna_composition")
    table = pd.read_csv(place.out / "tables" / "composition.csv")
    assert set(table["attribute"] + " " + table["value"]) == {"sex F"}
    assert sorted(table.loc[table["test_group"] == "F", "share"]) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert set(table["test_group"]) == {"F", "M"}
    assert (place.out / "figures" / "composition.svg").is_file()
    page = summary.report.read_text(encoding="utf-8")
    assert '<section id="composition"' in page
    assert "Reported, %{x:.0%} in training" in page


def test_a_study_without_mixes_has_no_composition_curves(run_shipped: Any) -> None:
    _, place, summary = run_shipped("resnet50_heads")
    assert not (place.out / "figures" / "composition.svg").exists()
    assert '<section id="composition"' not in summary.report.read_text(encoding="utf-8")


def test_the_table_of_fits_holds_test_accuracy_and_time_beside_what_was_reported(run_shipped: Any) -> None:
    _, place, summary = run_shipped("resnet50_heads")
    table = pd.read_csv(place.out / "tables" / "fit_summary.csv")
    assert len(table) == 7
    assert table["test_accuracy"].between(0, 1).all()
    assert (table["test_accuracy_low"] < table["test_accuracy"]).all()
    assert (table["test_accuracy"] < table["test_accuracy_high"]).all()
    assert (table["seconds"] > 0).all()
    assert table["reported"].iloc[0] == "test accuracy 0.9769 (45 min)"
    assert "Every fit: time and accuracy" in summary.report.read_text(encoding="utf-8")
    predictions = pd.read_parquet(place.out / "data" / "predictions.parquet")
    own = predictions[(predictions["split"] == "test") & (predictions["model"] == table["model"].iloc[0])]
    own = own[own["recipe"] == table["recipe"].iloc[0]]
    assert table["test_accuracy"].iloc[0] == pytest.approx(
        ((own["y_score"] >= 0.5) == (own["y_true"] == 1)).mean()
    )
    assert table["n_test"].iloc[0] == len(own)


def test_fifteen_runs_are_fifteen_tiles_with_what_was_reported(run_shipped: Any) -> None:
    study, place, summary = run_shipped("rsna_paper_curves")
    page = summary.report.read_text(encoding="utf-8")
    assert len(study.reference) == 27
    assert "Published figures without a matching cell" not in page
    drawn = (place.out / "figures" / "curves.svg").read_text(encoding="utf-8")
    assert drawn.count(">Loss<") == 15
    assert "reported, training" in drawn
    assert "reported, test" in drawn
