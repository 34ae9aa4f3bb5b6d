"""Differences between runs and models: their size, their pairing, their verdicts, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit import compare as offered
from subgroup_audit.comparison import compare, compare_runs
from subgroup_audit.comparison.runs import Run
from subgroup_audit.errors import ModelError, StatisticsError, StoreError, TableError
from subgroup_audit.stats import auc
from subgroup_audit.study import Study


def _row(frame: pd.DataFrame, **wanted: str) -> pd.Series:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_a_better_model_is_found_and_every_difference_is_compared_minus_reference(old: Run, better: Run) -> None:
    result = compare_runs([old, better])
    row = _row(result.differences, kind="auc", train_cohort="all", test_group="all", split="test")
    assert row["estimate"] == pytest.approx(row["compared_estimate"] - row["reference_estimate"])
    assert row["estimate"] > 0.1
    assert row["low"] < row["estimate"] < row["high"]
    assert row["verdict"] == "difference"
    assert result.title.endswith("differences were found")
    assert result.exit_code() == 1
    turned = compare_runs([better, old])
    back = _row(turned.differences, kind="auc", train_cohort="all", test_group="all", split="test")
    assert back["estimate"] == pytest.approx(-row["estimate"])
    assert (back["low"], back["high"]) == pytest.approx((-row["high"], -row["low"]))


def test_the_aucs_are_those_of_the_scores_themselves(old: Run, better: Run) -> None:
    row = _row(compare_runs([old, better]).differences, kind="auc", train_cohort="F", test_group="M", split="test")
    for run, column in ((old, "reference_estimate"), (better, "compared_estimate")):
        frame = run.predictions.frame
        rows = frame[(frame["train_cohort"] == "F") & (frame["split"] == "test") & (frame["sex"] == "M")]
        by_seed = [auc(part["y_true"], part["y_score"]) for _, part in rows.groupby("seed")]
        assert row[column] == pytest.approx(np.mean(by_seed))


def test_pairing_makes_the_interval_narrower_than_that_of_two_groups_of_other_persons(
    old: Run, better: Run
) -> None:
    row = _row(
        compare_runs([old, better]).differences, kind="auc", train_cohort="all", test_group="all", split="test"
    )
    alone = [
        _row(compare_runs([run, run]).differences, kind="auc", train_cohort="all", test_group="all", split="test")
        for run in (old, better)
    ]
    assert alone[0]["n_patients"] == row["n_patients"]
    assert row["standard_error"] < 0.03


def test_a_run_compared_with_itself_is_identical_and_nothing_is_tested(old: Run) -> None:
    result = compare_runs([old, old])
    assert set(result.judged["verdict"]) == {"identical"}
    assert (result.judged["estimate"] == 0.0).all()
    assert result.judged["p_adjusted"].isna().all()
    assert result.title == "Identical: the same numbers to the digit"
    assert result.is_design_unchanged
    assert result.exit_code(strict=True) == 0


def test_the_bootstrap_limits_lie_near_the_default_ones(old: Run, better: Run) -> None:
    tested = compare_runs([old, better]).judged
    assert np.abs(tested["bootstrap_low"] - tested["low"]).max() < 0.05
    assert np.abs(tested["bootstrap_high"] - tested["high"]).max() < 0.05


def test_a_gap_that_grew_is_a_difference_of_gaps(old: Run, build_run: Callable[..., Run]) -> None:
    result = compare_runs([old, build_run("new", women_lose=0.95, noise_seed=3)])
    row = _row(result.differences, kind="subgroup_gap", train_cohort="all", test_group="F", other="M")
    cells = [
        _row(result.differences, kind="auc", train_cohort="all", test_group=group, split="test") for group in "FM"
    ]
    assert row["estimate"] == pytest.approx(cells[0]["estimate"] - cells[1]["estimate"])
    assert row["high"] < 0
    assert row["verdict"] == "difference"


def test_training_images_are_described_and_not_judged(old: Run, better: Run) -> None:
    seen = compare_runs([old, better]).differences.query("split == 'train'")
    assert set(seen["verdict"]) == {"descriptive"}
    assert seen["margin"].isna().all()
    assert seen["p_value"].isna().all()
    assert set(seen["kind"]) == {"auc", "generalization_gap"}


def test_two_null_runs_show_a_difference_no_more_often_than_the_level_allows(
    build_run: Callable[..., Run],
) -> None:
    runs = [build_run(f"r{number}", noise_seed=100 + number) for number in range(6)]
    found = compare_runs(runs)
    assert found.counts["difference"] == 0
    assert (found.judged["p_value"] < 0.05).mean() < 0.15


def test_two_models_of_one_run_are_compared(
    build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    run = build_run(study=build_study(models=["net", "other"]))
    result = compare_runs([run], models=["net", "other"])
    assert result.reference == "old: net"
    assert result.compared == ("old: other",)
    assert set(result.differences["model"]) == {"other"}
    assert set(result.differences["reference_model"]) == {"net"}
    assert result.settings["is_one_run"]
    assert result.is_design_unchanged


def test_runs_of_differently_named_single_models_are_matched(
    old: Run, build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    other = build_run("new", study=build_study(models=["renamed"]), noise_seed=3)
    result = compare_runs([old, other])
    assert set(zip(result.differences["reference_model"], result.differences["model"], strict=True)) == {
        ("net", "renamed")
    }
    assert "models.renamed is in new alone" in " ".join(result.changes["sentence"])


def test_the_macro_mean_of_findings_is_compared_too(
    build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    rule = {"positive": ["yes"]}
    study = build_study(findings={"a": rule, "b": rule})
    result = compare_runs([build_run(study=study), build_run("new", study=study, noise_seed=7)])
    cell = {"kind": "auc", "train_cohort": "all", "test_group": "F", "split": "test"}
    parts = [_row(result.differences, finding=name, **cell)["estimate"] for name in ("a", "b")]
    assert _row(result.differences, finding="macro mean", **cell)["estimate"] == pytest.approx(np.mean(parts))


def test_images_are_matched_by_file_name_where_folders_and_endings_differ(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    images = build_images()
    renamed = images["image_id"].str.replace("films/", "png/").str.replace(".dcm", ".png", regex=False)
    other = build_run("new", images=images.assign(image_id=renamed), noise_seed=2)
    result = compare_runs([old, other])
    assert result.matching["by"].tolist() == ["file name"]
    assert result.matching["images_in_both"].tolist() == [len(images)]
    assert "matched by file name" in result.notes[0]


def test_images_of_one_run_alone_are_left_out_and_counted(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    images = build_images()
    fewer = images[images["patient_id"] > "p00040"].reset_index(drop=True)
    result = compare_runs([old, build_run("new", images=fewer, noise_seed=2)])
    assert result.matching["images_in_reference_only"].tolist() == [len(images) - len(fewer)]
    row = _row(result.differences, kind="auc", train_cohort="all", test_group="all", split="test")
    assert row["n_images"] == int((fewer["split"] == "test").sum())
    assert row["n_images_reference_only"] == int((images["split"] == "test").sum()) - row["n_images"]
    assert "has images that new has not scored" in result.notes[0]


def test_nothing_in_common_is_refused(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    images = build_images()
    other = build_run("new", images=images.assign(image_id="other-" + images["image_id"].str[6:]))
    with pytest.raises(TableError) as refused:
        compare_runs([old, other])
    assert str(refused.value) == (
        "'old' and 'new' have no image in common: 480 images, the first 'films/i00000.dcm', and 480, the first "
        "'other-i00000.dcm'; only runs on the same images can be compared"
    )


def test_other_labels_are_refused(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    images = build_images()
    images.loc[3, "y_true"] = 1 - images.loc[3, "y_true"]
    with pytest.raises(
        TableError, match=r"1 of 480 common labels differ, the first for 'opacity' of image 'films/i00003"
    ):
        compare_runs([old, build_run("new", images=images)])


def test_other_persons_are_refused(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    images = build_images()
    shifted = images.assign(patient_id="q" + images["patient_id"].str[1:])
    with pytest.raises(
        TableError, match="480 of 480 common images are of different persons, the first 'films/i00000"
    ):
        compare_runs([old, build_run("new", images=shifted)])


def test_test_persons_that_the_other_run_has_trained_on_are_named_as_leakage(
    old: Run, build_run: Callable[..., Run], build_images: Callable[..., pd.DataFrame]
) -> None:
    other = build_run("new", images=build_images(split_seed=3), noise_seed=2)
    tested = [set(run.images.loc[run.images["split"] == "test", "patient_id"]) for run in (old, other)]
    with pytest.raises(TableError) as refused:
        compare_runs([old, other])
    assert str(refused.value) == (
        f"leakage between the runs: {len(tested[0] - tested[1])} test persons of 'old' are in the training or "
        f"validation split of 'new' and {len(tested[1] - tested[0])} test persons of 'new' are in the training or "
        "validation split of 'old'. A model's AUC on persons that it has seen is no fair rival of one on persons "
        f"that it has not. {len(tested[0] & tested[1])} persons are tested in both; --allow-other-split compares "
        "on these alone"
    )
    allowed = compare_runs([old, other], allow_other_split=True)
    row = _row(allowed.differences, kind="auc", train_cohort="all", test_group="all", split="test")
    assert row["n_patients"] == len(tested[0] & tested[1])
    assert allowed.matching["patients_crossing"].tolist() == [len(tested[0] ^ tested[1])]
    assert "They are left out" in allowed.notes[0]


def test_what_is_asked_for_must_be_there(old: Run, better: Run) -> None:
    with pytest.raises(ModelError, match=r"--models nett: run 'old' has no such model; nearest: net"):
        compare_runs([old, better], models=["nett", "net"])
    with pytest.raises(ModelError, match="one run alone is nothing to compare"):
        compare_runs([old])
    with pytest.raises(ModelError, match="3 models for 2 runs"):
        compare_runs([old, better], models=["net", "net", "net"])
    with pytest.raises(StatisticsError, match=r"--margin 0\.7: a margin of AUC must lie between 0 and 0.5"):
        compare_runs([old, better], margin=0.7)


def test_several_models_of_other_names_ask_which(
    build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    runs = [
        build_run(study=build_study(models=["a", "b"])),
        build_run("new", study=build_study(models=["c", "d"])),
    ]
    with pytest.raises(ModelError, match="none has the name of another; say which to compare"):
        compare_runs(runs)


def test_one_seed_against_two_compares_the_first_models_and_says_so(
    old: Run, build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    other = build_run("new", study=build_study(seeds=[0]), noise_seed=2)
    result = compare_runs([old, other])
    assert result.notes == (
        "new: one side has a single training seed, whose variance nobody knows, so that the intervals are for the "
        "first trained model of each side.",
    )
    row = _row(result.differences, kind="auc", train_cohort="all", test_group="all", split="test")
    assert row["estimate"] == pytest.approx(row["compared_estimate"] - row["reference_estimate"])


def test_what_changed_in_the_design_is_said_in_words(
    old: Run, build_run: Callable[..., Run], build_study: Callable[..., Study]
) -> None:
    study = build_study(seeds=[0, 2], recipes={"default": {"epochs": 7}})
    ran = {"version": "0.2.0", "device": "cuda", "libraries": {"torch": "3"}}
    result = compare_runs([old, build_run("new", study=study, provenance=ran)])
    assert result.changes["sentence"].tolist() == [
        "recipes.default.epochs changed from 10 to 7.",
        "seeds changed from 0, 1 to 0, 2.",
        "subgroup_audit changed from 0.1.0 to 0.2.0.",
        "device changed from cpu to cuda.",
        "torch changed from 2 to 3.",
    ]
    assert not result.is_design_unchanged


def test_folders_are_read_and_the_same_results_are_said_to_be_the_same(
    written: tuple[Path, Path], tmp_path: Path
) -> None:
    result = offered(*written)
    assert offered is compare
    assert result.reference == "old"
    assert result.settings["same_results"] == {"new": {"predictions": False}}
    document = json.loads(result.to_json())
    assert document["schema"] == "subgroup_audit/compare/1"
    assert len(document["differences"]) == len(result.differences)
    with pytest.raises(StoreError, match="no finished run lies here"):
        compare(tmp_path / "nothing", written[0])
    (written[1] / "data" / "predictions.parquet").unlink()
    with pytest.raises(StoreError, match="this table of the run is gone"):
        compare(*written)
