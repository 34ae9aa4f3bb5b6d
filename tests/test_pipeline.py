"""The whole job on a small phantom: steps reused, resumed, and redone when what they depend on changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pydicom
import pytest

from subgroup_audit.errors import StatisticsError, StepError, StoreError
from subgroup_audit.pipeline import RunOptions, RunSummary, render_again, run_study
from subgroup_audit.plan import plan_run
from subgroup_audit.schema import Predictions
from subgroup_audit.steps.data import cohort_settings
from subgroup_audit.steps.place import Place
from subgroup_audit.store import digest
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study

STEPS = [
    *("source", "pixels", "copies", "cohorts", "samples", "differences", "predictions", "audit", "performance"),
    *("order", "errors", "diagnosis", "causes", "report"),
]


@pytest.fixture(scope="module")
def finished(
    small_phantom: Path, tmp_path_factory: pytest.TempPathFactory, write_small_study: Callable[[Path, Path], Path]
) -> tuple[Study, Place, RunSummary]:
    """A finished run of the small study."""
    folder = tmp_path_factory.mktemp("run")
    path = write_small_study(folder, small_phantom)
    study = load_study(path)
    place = Place(folder, small_phantom, folder / "out", folder / "cache")
    return study, place, run_study(study, place, RunOptions(device="cpu", command="audit run study.yaml"))


def _again(study: Study, place: Place) -> RunSummary:
    return run_study(study, place, RunOptions(device="cpu"))


def test_a_run_leaves_report_tables_and_figures(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, summary = finished
    assert summary.done == STEPS
    assert summary.n_fits_done == 3
    page = summary.report.read_text(encoding="utf-8")
    assert "Does the whole job run?" in page
    names = {path.suffix for path in (place.out / "tables").iterdir()}
    assert {".csv", ".parquet", ".tex"} <= names
    assert list((place.out / "figures").glob("*.svg"))
    assert {path.stem for path in (place.out / "data").iterdir()} == {
        "manifest",
        "exclusions",
        "predictions",
        "person_errors",
    }
    assert not [path for path in (place.out / "work").iterdir() if path.is_dir()]


def test_every_fit_is_scored_on_every_cohort(finished: tuple[Study, Place, RunSummary]) -> None:
    study, _, summary = finished
    assert summary.estimates is not None
    tests = summary.estimates[summary.estimates["split"] == "test"]
    assert set(zip(tests["train_cohort"], tests["test_group"], strict=True)) == {
        (a, b) for a in study.cohorts for b in study.cohorts
    }
    assert (tests["n_positive"] > 0).all()
    assert set(summary.contrasts["kind"]) == {"generalization_gap", "subgroup_gap", "transfer_gap"}  # type: ignore[index]


def test_predictions_carry_keys_and_no_person_is_in_two_splits(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, _ = finished
    frame = pd.read_parquet(next(place.out.glob("steps/predictions-*/predictions.parquet")))
    Predictions(frame)
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert frame["y_score"].between(0, 1).all()


def test_damaged_files_are_exclusions_with_their_reason(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, _ = finished
    exclusions = pd.read_parquet(next(place.out.glob("steps/cohorts-*/exclusions.parquet")))
    reasons = " | ".join(exclusions["reason"])
    for said in ("age 151 is above 120", "Lateral", "sex"):
        assert said in reasons
    assert (exclusions["step"] == "pixels").sum() == 1


def test_an_unchanged_run_does_nothing(finished: tuple[Study, Place, RunSummary]) -> None:
    study, place, first = finished
    before = first.report.stat().st_mtime_ns
    second = _again(study, place)
    assert second.is_unchanged
    assert second.reused == STEPS
    assert second.n_fits_reused == 3
    assert second.report.stat().st_mtime_ns == before


def test_a_touched_file_reads_the_source_again_and_stops_there(finished: tuple[Study, Place, RunSummary]) -> None:
    study, place, _ = finished
    os.utime(place.root / "truth.json")
    assert _again(study, place).done == ["source", "pixels"]


def test_an_image_that_changed_under_its_name_is_trained_on_anew(
    small_phantom: Path, tmp_path: Path, write_small_study: Callable[[Path, Path], Path]
) -> None:
    phantom = tmp_path / "phantom"
    shutil.copytree(small_phantom, phantom)
    study = load_study(write_small_study(tmp_path, phantom))
    place = Place(tmp_path, phantom, tmp_path / "out", tmp_path / "cache")
    _again(study, place)
    manifest = pd.read_parquet(next(place.out.glob("steps/cohorts-*/manifest.parquet")))
    changed, other = manifest["image_id"].unique()[:2]
    dataset = pydicom.dcmread(phantom / "stage_2_train_images" / f"{other}.dcm")
    old = pydicom.dcmread(phantom / "stage_2_train_images" / f"{changed}.dcm")
    old.PixelData, old.file_meta = dataset.PixelData, dataset.file_meta
    old.save_as(phantom / "stage_2_train_images" / f"{changed}.dcm")
    assert _again(study, place).n_fits_done == 3


def test_a_changed_analysis_keeps_the_fits(finished: tuple[Study, Place, RunSummary]) -> None:
    study, place, _ = finished
    changed = Study.model_validate(
        {**study.model_dump(mode="json"), "analysis": {"margin": 0.1, "n_resamples": 100}}
    )
    summary = _again(changed, place)
    assert summary.done == ["audit", "performance", "diagnosis", "causes", "report"]
    assert summary.n_fits_reused == 3


def test_going_back_to_an_earlier_form_of_a_study_shows_its_report_again(
    finished: tuple[Study, Place, RunSummary],
) -> None:
    study, place, first = finished
    asked = Study.model_validate({**study.model_dump(mode="json"), "question": "Another question?"})
    _again(asked, place)
    assert "Another question?" in first.report.read_text(encoding="utf-8")
    assert _again(study, place).done == ["report"]
    assert "Another question?" not in first.report.read_text(encoding="utf-8")
    assert json.loads((place.out / "run.json").read_text())["definition"]["question"] == study.question


def test_the_order_of_findings_decides_the_cohorts(finished: tuple[Study, Place, RunSummary]) -> None:
    """Cells and strata are of the first finding."""
    study, _, _ = finished
    rules = {"opacity": {"positive": ["Lung Opacity"]}, "normal": {"positive": ["Normal"]}}
    plain = study.model_dump(mode="json")
    orders = [rules, dict(reversed(rules.items()))]
    first, second = (cohort_settings(Study.model_validate({**plain, "findings": order})) for order in orders)
    assert digest(first) != digest(second)


def test_the_cohorts_that_are_fitted_decide_the_certificate_of_leakage(
    finished: tuple[Study, Place, RunSummary],
) -> None:
    study, _, _ = finished
    plain = study.model_dump(mode="json")
    some, more, every = (
        digest(cohort_settings(Study.model_validate({**plain, "fits": [{"cohorts": names}]})))
        for names in (["F"], ["F", "M"], ["all", "F", "M"])
    )
    assert len({some, more, every}) == 3
    assert every == digest(cohort_settings(study))


def test_the_report_is_rendered_again_from_stored_numbers(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, summary = finished
    summary.report.unlink()
    assert render_again(place.out) == summary.report
    assert "Does the whole job run?" in summary.report.read_text(encoding="utf-8")


def test_a_report_that_was_killed_while_it_was_published_is_published_again(
    finished: tuple[Study, Place, RunSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, place, summary = finished
    _again(study, place)
    asked = Study.model_validate({**study.model_dump(mode="json"), "question": "A third question?"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", killed)
        with pytest.raises(KeyboardInterrupt):
            _again(asked, place)
    assert "A third question?" in summary.report.read_text(encoding="utf-8")
    _again(study, place)
    assert "A third question?" not in summary.report.read_text(encoding="utf-8")
    assert (place.out / "tables").is_dir()


def test_a_folder_without_a_run_cannot_be_rendered(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no finished run lies here"):
        render_again(tmp_path)


def test_a_run_of_an_older_grammar_cannot_be_rendered(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"study": "s", "steps": [], "definition": {"study": "s"}}')
    with pytest.raises(StoreError, match="its study breaks a rule of this version"):
        render_again(tmp_path)


def test_no_report_names_a_person_or_a_folder(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, summary = finished
    manifest = pd.read_parquet(next(place.out.glob("steps/cohorts-*/manifest.parquet")))
    page = summary.report.read_text(encoding="utf-8")
    shown = [key for key in {*manifest["patient_id"], *manifest["image_id"]} if key in page]
    assert shown == []
    assert str(place.out.parent) not in page


def test_a_plan_counts_what_is_stored_and_changes_nothing(finished: tuple[Study, Place, RunSummary]) -> None:
    study, place, _ = finished
    before = sorted((str(p), p.stat().st_mtime_ns) for p in place.out.parent.rglob("*"))
    plan = plan_run(study, place, "cpu", None)
    assert [stored for _, stored, _ in plan.fits] == [True, True, True]
    assert plan.seconds == 0.0
    fresh = plan_run(
        study, Place(place.study_folder, place.root, place.out.parent / "new", place.cache), "cpu", None
    )
    assert fresh.n_stored == 0
    assert fresh.seconds > 0
    assert sorted((str(p), p.stat().st_mtime_ns) for p in place.out.parent.rglob("*")) == before


def test_the_record_names_the_steps_that_the_report_shows(finished: tuple[Study, Place, RunSummary]) -> None:
    _, place, _ = finished
    record = json.loads((place.out / "run.json").read_text())
    assert record["study"] == "small"
    assert sum(name.startswith("fit-") for name in record["steps"]) == 3
    assert record["provenance"]["device"] == "cpu"


def test_a_failed_audit_leaves_a_report_that_says_so(
    finished: tuple[Study, Place, RunSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, place, _ = finished
    changed = Study.model_validate({**study.model_dump(mode="json"), "analysis": {"n_resamples": 120}})

    def refuse(doing: object) -> None:
        raise StatisticsError(f"{place.cache}/pixels.npz: scores are not finite")

    monkeypatch.setattr("subgroup_audit.steps.audit_cells", refuse)
    report = place.out / "report.html"
    with pytest.raises(StepError) as caught:
        _again(changed, place)
    assert str(caught.value) == (
        f"1 step of study 'small' failed. audit: {place.cache}/pixels.npz: scores are not finite. What was "
        f"finished is kept. The report shows what there is and what is missing: {report}"
    )
    assert caught.value.exit_code == 2
    page = report.read_text(encoding="utf-8")
    assert "No verdict" in page
    assert "1 step of this run failed" in page
    assert "estimates and gaps are missing: step &#39;audit&#39; failed. cache/pixels.npz: scores are not" in page
    assert str(place.cache) not in page
    assert "Curves and decisions by group" in page or "Where the gap comes from" in page
    assert render_again(place.out).read_text(encoding="utf-8") == page
    monkeypatch.undo()
    assert "audit" in _again(changed, place).done
    assert "No verdict" not in report.read_text(encoding="utf-8")


def test_a_defect_in_several_steps_is_ours_and_costs_only_these(
    finished: tuple[Study, Place, RunSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, place, _ = finished
    changed = Study.model_validate({**study.model_dump(mode="json"), "analysis": {"confidence_level": 0.9}})

    def break_down(doing: object) -> None:
        raise ZeroDivisionError("float division by zero")

    for name in ("measure_performance", "diagnose"):
        monkeypatch.setattr(f"subgroup_audit.steps.{name}", break_down)
    with pytest.raises(StepError) as caught:
        _again(changed, place)
    assert str(caught.value).startswith(
        "2 steps of study 'small' failed. performance: internal error, ZeroDivisionError: float division by zero; "
        "diagnosis: internal error, ZeroDivisionError: float division by zero."
    )
    assert caught.value.exit_code == 3
    page = (place.out / "report.html").read_text(encoding="utf-8")
    assert "The gap waterfall is missing: step &#39;diagnosis&#39; failed." in page
    assert "No verdict" not in page
    assert "Traceback (most recent call last)" in page
    assert str(Path(__file__).parents[1]) not in page
