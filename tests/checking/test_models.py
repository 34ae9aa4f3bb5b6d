"""A model in the place of predictions: which images it is scored on, with which truth, and what is said of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from subgroup_audit.checking.models import ModelUse, score_model
from subgroup_audit.datasets import load_source
from subgroup_audit.errors import AuditError, DataError
from subgroup_audit.study import Data

BRIGHTNESS = ModelUse(normalise="unit", image_size=32, outputs="probabilities", findings={"opacity": 0})


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class MeanLevel(nn.Module):
    """The mean grey level of each image: a score that can be worked out by hand."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3)).unsqueeze(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A TorchScript file that gives the mean grey level."""
    path = tmp_path_factory.mktemp("model") / "level.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(MeanLevel()), str(path))
    return str(path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def one_message(*words: object, **options: object) -> str:
    with pytest.raises(AuditError) as caught:
        score_model(*words, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_study_says_images_truth_and_groups(
    model: str, cache: Path, small_phantom: Path, study_file: Path
) -> None:
    from subgroup_audit.cohort import design_cohorts
    from subgroup_audit.images.store import build_pixel_store
    from subgroup_audit.study_file import load_study

    frame, notes = score_model(model, BRIGHTNESS, study=study_file, cache=cache)
    study = load_study(study_file)
    tables = load_source(study.data, small_phantom, cache=cache)
    store, unreadable = build_pixel_store(tables.images, small_phantom, size=64, cache=cache, workers=1)
    design = design_cohorts(study, tables, unreadable=unreadable, pixel_digests=store.digests(), describe=False)
    drawn = design.manifest.frame
    expected = drawn[drawn["split"] == "test"].drop_duplicates("image_id").set_index("image_id")
    assert set(frame["image_id"]) == set(expected.index)
    for name in ("y_true", "patient_id", "sex", "view", "age_years"):
        assert (frame[name].to_numpy() == expected.loc[frame["image_id"], name].to_numpy()).all(), name
    levels = store.gather(store.rows(frame["image_id"])).mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(frame["y_score"], levels, atol=0.01)
    assert list(frame.columns[:7]) == ["model", "image_id", "patient_id", "split", "finding", "y_true", "y_score"]
    assert set(frame["split"]) == {"test"}
    n_persons = frame["patient_id"].nunique()
    assert (
        notes[0]
        == "Model level.ts (TorchScript file): images of 32 px, grey in three channels, grey levels from 0 to 1."
    )
    whose = f"{len(frame)} images of {n_persons} persons"
    assert f"Images: the {whose} of the test split of study 'small', as `audit run` draws it." in notes
    left = next(note for note in notes if note.startswith("Left out"))
    n_left = design.exclusions.frame.loc[lambda f: ~f["step"].str.startswith("balance"), "image_id"].nunique()
    assert left.startswith(f"Left out of 170 images: {n_left} (")
    assert notes[-1].startswith("Nothing here says whether the model was trained on these persons")


def test_several_splits_of_a_study(model: str, cache: Path, study_file: Path) -> None:
    frame, _ = score_model(model, BRIGHTNESS, study=study_file, splits=("val", "test"), cache=cache)
    assert set(frame["split"]) == {"val", "test"}
    assert frame.groupby("patient_id")["split"].nunique().max() == 1


def test_a_folder_is_known_by_its_files(model: str, cache: Path, small_phantom: Path) -> None:
    use = ModelUse(
        normalise="unit", image_size=32, outputs="probabilities", findings={"opacity": 0},
        labels={"opacity": ("Lung Opacity",)},
    )  # fmt: skip
    frame, notes = score_model(model, use, data=small_phantom, cache=cache)
    tables = load_source(Data(source="phantom"), small_phantom, cache=cache)
    images = tables.images.frame.set_index("image_id")
    eligible = images[images["sex"].isin(["F", "M"]) & images["view"].isin(["AP", "PA"])]
    eligible = eligible[eligible["age_years"].between(0, 120)]
    assert set(frame["image_id"]) <= set(eligible.index)
    assert len(eligible) - len(frame) <= 2  # the files that cannot be read
    assert "split" not in frame
    stated = tables.labels.frame
    positive = set(stated.loc[(stated["finding"] == "Lung Opacity") & (stated["label"] == 1), "image_id"])
    assert (frame["image_id"].isin(positive) == (frame["y_true"] == 1)).all()
    assert any(note.startswith(f"Images: the {len(frame)} images of ") for note in notes)
    left = next(note for note in notes if note.startswith("Left out of "))
    assert "2 x view is Lateral, not AP or PA" in left
    n_left = len(tables.images) + len(tables.exclusions) - len(frame)
    assert left.startswith(f"Left out of 170 images: {n_left} (")


def test_a_larger_model_gets_larger_pixels(model: str, cache: Path, study_file: Path) -> None:
    use = ModelUse(normalise="unit", image_size=96, outputs="probabilities", findings={"opacity": 0})
    large, _ = score_model(model, use, study=study_file, cache=cache)
    small, _ = score_model(model, BRIGHTNESS, study=study_file, cache=cache)
    assert large["image_id"].tolist() == small["image_id"].tolist()
    np.testing.assert_allclose(large["y_score"], small["y_score"], atol=0.02)
    assert list((cache / "pixels").glob("96px-*"))


def test_what_is_missing_is_said(
    model: str, cache: Path, small_phantom: Path, study_file: Path, tmp_path: Path
) -> None:
    assert (
        one_message(model, BRIGHTNESS, cache=cache)
        == "a model is scored on images; say where they lie: --data FOLDER"
    )
    assert one_message(model, BRIGHTNESS, data=tmp_path / "no", cache=cache) == (
        f"{tmp_path / 'no'}: no such folder; --data must name the folder of the images and their labels"
    )
    (tmp_path / "bare").mkdir()
    assert one_message(model, BRIGHTNESS, data=tmp_path / "bare", cache=cache) == (
        f"{tmp_path / 'bare'}: which data set is this? None is known by its files; say --dataset NAME "
        "(chexpert, folder, mimic_cxr, nih, phantom, rsna, table), or --study FILE, which can also describe a "
        "table of your own"
    )
    assert one_message(model, BRIGHTNESS, data=small_phantom, cache=cache) == (
        "finding 'opacity': no image carries the label 'opacity'; there are Lung Opacity. Say which it is: "
        "--label 'opacity:LABEL', or describe the findings in a study: --study FILE"
    )
    unnamed = ModelUse(normalise="unit", image_size=32)
    assert one_message(model, unnamed, data=small_phantom, cache=cache) == (
        f"model '{model}' has 1 output without names; say which is which: --finding NAME=INDEX"
    )
    strange = ModelUse(normalise="unit", image_size=32, findings={"opacities": 0})
    assert one_message(model, strange, study=study_file, cache=cache) == (
        "--finding opacities: no such finding; nearest: opacity"
    )


def test_images_that_cannot_be_told_are_an_error_not_a_guess(model: str, cache: Path, small_phantom: Path) -> None:
    with pytest.raises(DataError, match=r"This source expects the NIH release"):
        score_model(model, BRIGHTNESS, data=small_phantom, dataset="nih", cache=cache)


def test_a_model_is_checked_from_the_command_line(
    model: str,
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a file of a network to a verdict; the same as of the table that its scores make."""
    from subgroup_audit.cli import main

    def audit(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["audit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    cache = str(tmp_path / "cache")
    asked = ["--group", "sex", "--reference", "sex=M", "--resamples", "200", "--format", "concise"]
    how = ["--normalise", "unit", "--image-size", "32", "--outputs", "probabilities"]
    code, said = audit("check", model, "--study", str(study_file), "--cache", cache, *how, *asked)
    frame, _ = score_model(model, BRIGHTNESS, study=study_file, cache=Path(cache))
    frame.to_csv(tmp_path / "scores.csv", index=False)
    again, table = audit("check", str(tmp_path / "scores.csv"), *asked)
    assert (code, said.replace(model, "FILE")) == (again, table.replace(str(tmp_path / "scores.csv"), "FILE"))
    assert "AUC for opacity, sex: F minus M" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["scores.csv", "--study", "a.yaml"],
            "scores.csv: by its name this is a table of predictions, and --study is for a model",
        ),
        (
            ["net.onnx", "--score", "p"],
            "--score: a model has no columns to name; this is for a table of predictions",
        ),
        (["net.onnx", "--finding", "a"], "--finding a: of a model, write FINDING=INDEX, for example pneumonia=0"),
        (
            ["net.onnx", "--label", "a"],
            "--label a: of a model, write FINDING:LABEL, for example 'pneumonia:Lung Opacity'",
        ),
        (
            ["net.onnx", "--outputs", "logit"],
            "--outputs must be one of auto, logits, softmax, probabilities; it is 'logit'; nearest: logits",
        ),
        (["net.onnx", "--data", "."], "model 'net.onnx': no such file"),
    ],
)
def test_options_that_do_not_fit(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from subgroup_audit.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "stage_2_train_labels.csv").write_text("patientId\n")
    monkeypatch.setattr("sys.argv", ["audit", "check", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip("\n") == f"audit: {said}"
