"""`audit predict` of a run's fits, and `audit check` of one of them: keys carried, nothing dropped in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.datasets import load_source
from subgroup_audit.errors import PixelError
from subgroup_audit.images.batches import decode_file
from subgroup_audit.images.store import build_pixel_store
from subgroup_audit.schema import CohortManifest
from subgroup_audit.steps.fits import target_rows, training_rows
from subgroup_audit.store import RunFolder, Step, write_frames
from subgroup_audit.study import Study
from subgroup_audit.study_file import load_study
from subgroup_audit.submission import list_images
from subgroup_audit.training import FitSpec, run_fit

Audit = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fit(study: Study, folder: RunFolder, cohort: str, seed: int, manifest: CohortManifest, pixels: Any) -> str:
    """One fit of the study, as a step of the folder; returns the step's name."""
    recipe = study.recipes["default"].model_copy(update={"epochs": 1})
    settings = {
        "cohort": cohort,
        "model_name": "small_cnn",
        "recipe_name": "default",
        "seed": seed,
        "findings": ["opacity"],
        "stored_size": study.data.stored_size,
    }
    step = Step("fit", 1, settings)
    spec = FitSpec(
        fit_id=step.folder_name,
        train_cohort=cohort,
        model_name="small_cnn",
        model=study.models["small_cnn"],
        recipe_name="default",
        recipe=recipe,
        seed=seed,
        findings=("opacity",),
    )
    rows, targets = training_rows(manifest, cohort), target_rows(manifest)
    with folder.writing(step) as work:
        run_fit(spec, rows, targets, pixels, device="cpu", folder=work)
    return step.folder_name


@pytest.fixture(scope="module")
def run(
    small_phantom: Path, tmp_path_factory: pytest.TempPathFactory, write_small_study: Callable[[Path, Path], Path]
) -> Path:
    """The folder of a run with three fits: two seeds on everybody, one on women."""
    here = tmp_path_factory.mktemp("run")
    study = load_study(write_small_study(here, small_phantom))
    tables = load_source(study.data, small_phantom, cache=here)
    pixels, unreadable = build_pixel_store(tables.images, small_phantom, size=64, cache=here, workers=1)
    design = design_cohorts(study, tables, unreadable=unreadable, pixel_digests=pixels.digests(), describe=False)
    with RunFolder(here / "out", study.study).held() as folder:
        names = [
            fit(study, folder, cohort, seed, design.manifest, pixels)
            for cohort, seed in (("all", 0), ("all", 1), ("F", 0))
        ]
        definition = study.model_dump(mode="json")
        folder.write_record({"study": study.study, "definition": definition, "steps": names})
    write_frames(here, {"manifest": design.manifest.frame})
    return here / "out"


def is_readable(path: Path) -> bool:
    try:
        return bool(decode_file(path, 64).std() > 0)
    except PixelError:
        return False


@pytest.fixture
def images(small_phantom: Path, tmp_path: Path) -> Path:
    """Four DICOM files, one in a folder below and one without an ending, a text file, and a file that is cut."""
    folder = tmp_path / "new"
    (folder / "below").mkdir(parents=True)
    readable = [path for path in sorted(small_phantom.rglob("*.dcm")) if is_readable(path)][:4]
    for path, name in zip(readable, ("b.dcm", "a.dcm", "below/c.dcm", "plain"), strict=True):
        shutil.copy(path, folder / name)
    (folder / "cut.dcm").write_bytes(readable[0].read_bytes()[:400])
    (folder / "notes.txt").write_text("not an image")
    return folder


def stored(run: Path, cohort: str, seed: int) -> pd.DataFrame:
    for folder in sorted(run.glob("steps/fit-*")):
        frame = pd.read_parquet(folder / "predictions.parquet")
        if (frame["train_cohort"].iloc[0], frame["seed"].iloc[0]) == (cohort, seed):
            return frame[frame["split"] == "test"]
    raise AssertionError(f"no fit on {cohort} with seed {seed}")


def test_one_fit_makes_a_submission_of_images_and_findings(audit: Audit, run: Path, images: Path) -> None:
    answer = audit(
        "predict", run, "--images", images, "--cohort", "F", "--output", "out/sub.csv", "--device", "cpu"
    )
    assert answer.code == 0
    assert answer.out == (
        "out/sub.csv: 5 images, 1 fit\n"
        "  F / small_cnn / default / seed 0\n"
        "Without a score, since they cannot be read: 1\n"
        "  cut: the DICOM file holds no pixel data\n"
    )
    frame = pd.read_csv("out/sub.csv", dtype={"image_id": "str"})
    assert list(frame.columns) == ["image_id", "opacity"]
    assert frame["image_id"].tolist() == ["a", "b", "below/c", "cut", "plain"]
    assert frame["opacity"].isna().tolist() == [False, False, False, True, False]
    assert frame["opacity"].dropna().between(0, 1).all()


def test_unique_identifiers_are_names_without_an_ending(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    for name, source in (("1.2.840.7", "a.dcm"), ("1.2.840.8", "b.dcm"), ("1.2.840.9.dcm", "plain")):
        shutil.copy(images / source, folder / name)
    assert list_images(folder).frame["image_id"].tolist() == ["1.2.840.7", "1.2.840.8", "1.2.840.9"]


def test_a_challenge_gets_the_columns_that_it_wants(audit: Audit, run: Path, images: Path) -> None:
    asked = ("predict", run, "--images", images, "--cohort", "all", "--mean-over-seeds", "--device", "cpu")
    assert audit(*asked, "-o", "plain.csv").code == 0
    assert audit(*asked, "-o", "sub.csv", "--columns", "id, label").code == 0
    frame = pd.read_csv("sub.csv", dtype={"id": "str"})
    assert list(frame.columns) == ["id", "label"]
    plain = pd.read_csv("plain.csv", dtype={"image_id": "str"})
    pd.testing.assert_frame_equal(frame, plain.set_axis(["id", "label"], axis="columns"))


def test_columns_that_a_challenge_could_not_have_meant(audit: Audit, run: Path) -> None:
    answer = audit("predict", run, "-o", "sub.csv", "--columns", "id,label,label")
    assert answer.code == 2
    assert answer.message.splitlines() == [
        "--columns id,label,label: 3 fits are left, and a challenge wants one row an image; choose one by "
        "--cohort, --model, --seed or --fit, or average seeds by --mean-over-seeds",
        "3 names for 2 columns, which are image_id, opacity",
        "label is there twice",
    ]
    assert not Path("sub.csv").exists()
    assert audit("predict", run, "-o", "sub.csv", "--cohort", "F", "--columns", "id,").message == (
        "--columns id,: a name is empty"
    )


def test_scores_follow_the_image_and_not_its_place(audit: Audit, run: Path, images: Path) -> None:
    audit("predict", run, "--images", images, "--cohort", "F", "-o", "first.csv", "--device", "cpu")
    (images / "b.dcm").rename(images / "z.dcm")
    audit("predict", run, "--images", images, "--cohort", "F", "-o", "then.csv", "--device", "cpu")
    first, then = (pd.read_csv(name).set_index("image_id")["opacity"] for name in ("first.csv", "then.csv"))
    assert first["b"] == pytest.approx(then["z"], abs=1e-6)
    assert first[["a", "below/c", "plain"]].to_numpy() == pytest.approx(
        then[["a", "below/c", "plain"]].to_numpy(), abs=1e-6
    )


def test_seeds_are_averaged_by_image(audit: Audit, run: Path) -> None:
    answer = audit("predict", run, "--cohort", "all", "--mean-over-seeds", "-o", "mean.csv")
    assert answer.code == 0
    frame = pd.read_csv("mean.csv", dtype={"image_id": "str"}).set_index("image_id")
    each = [stored(run, "all", seed).set_index("image_id")["y_score"] for seed in (0, 1)]
    expected = ((each[0] + each[1]) / 2).reindex(frame.index)
    np.testing.assert_allclose(frame["opacity"], expected)


def test_several_fits_are_told_apart(audit: Audit, run: Path) -> None:
    audit("predict", run, "-o", "every.csv")
    frame = pd.read_csv("every.csv", dtype={"image_id": "str"})
    assert list(frame.columns) == ["train_cohort", "model", "recipe", "seed", "image_id", "opacity"]
    women = frame[frame["train_cohort"] == "F"].set_index("image_id")["opacity"]
    expected = stored(run, "F", 0).set_index("image_id")["y_score"].reindex(women.index)
    np.testing.assert_allclose(women, expected)


def test_what_cannot_be_asked_for(audit: Audit, run: Path, images: Path, tmp_path: Path) -> None:
    wrong = audit("predict", run, "--cohort", "al", "--seed", "7", "--fit", "x", "-o", "a.csv")
    names = [path.name for path in run.glob("steps/fit-*")]
    assert wrong.code == 2
    lines = wrong.message.splitlines()
    assert lines[0] == f"{run}: --cohort al: the run has none; nearest: all"
    assert lines[1] == "--seed 7: the run has none; nearest: 0, 1"
    assert lines[2].startswith("--fit x: no fit's folder begins so; there are ")
    assert all(name in lines[2] for name in names)
    both = audit("predict", run, "--cohort", "F", "--seed", "1", "-o", "a.csv")
    assert both.message == f"{run}: none of its 3 fits is all that is asked for at once"
    assert audit("predict", tmp_path, "-o", "a.csv").message == (
        "HERE: no finished run lies here; `audit run STUDY --out HERE` makes one"
    )
    shutil.copy(images / "a.dcm", images / "a.png")
    twice = audit("predict", run, "--images", images, "-o", "a.csv")
    assert twice.message == "new: 1 names stand for two images each, the first a.dcm and a.png"
    (tmp_path / "empty").mkdir()
    assert audit("predict", run, "--images", "empty", "-o", "a.csv").message == (
        "empty: no radiograph lies there (jpg, png, tif, bmp, dcm, or DICOM without an ending)"
    )


def test_a_fit_of_a_run_is_checked_on_the_test_images_of_its_study(
    audit: Audit, run: Path, small_phantom: Path
) -> None:
    from subgroup_audit.checking.models import score_model

    folder = next(p for p in run.glob("steps/fit-*") if "F" in (p / "model.json").read_text())
    frame, notes = score_model(str(folder / "checkpoint.safetensors"), data=small_phantom, cache=run / "cache")
    expected = pd.read_parquet(folder / "predictions.parquet")
    expected = expected[expected["split"] == "test"]
    both = frame.merge(expected, on=["image_id", "finding"], suffixes=("", "_stored"), validate="one_to_one")
    assert len(both) == len(frame) == len(expected)
    np.testing.assert_allclose(both["y_score"], both["y_score_stored"], atol=1e-6)
    assert (both["y_true"] == both["y_true_stored"]).all()
    assert notes[0] == "A fit of this package: images of 32 px, normalised as it was fitted."
    assert not any("training or validation" in note for note in notes)
    answer = audit("check", folder, "--data", small_phantom, "--group", "sex", "--resamples", "200")
    assert answer.code in (0, 1, 5)
    assert "opacity (test images)" in answer.out
    assert "of the test split of study 'small'" in " ".join(answer.out.split())


def test_the_images_that_a_fit_learned_from_are_marked(run: Path, small_phantom: Path) -> None:
    from subgroup_audit.checking.models import ModelUse, score_model

    folder = next(p for p in run.glob("steps/fit-*"))
    use = ModelUse(labels={"opacity": ("Lung Opacity",)})
    frame, notes = score_model(str(folder), use, data=small_phantom, dataset="phantom", cache=run / "cache")
    known = pd.read_parquet(folder / "predictions.parquet").drop_duplicates("patient_id")
    expected = frame["patient_id"].map(known.set_index("patient_id")["split"]).fillna("test")
    assert (frame["split"] == expected).all()
    assert set(frame["split"]) == {"train", "val", "test"}
    n_seen = frame.loc[frame["split"] != "test", "image_id"].nunique()
    said = f"{n_seen:,} of {len(frame):,} images show persons whom the fit's run used for training or validation."
    assert said in notes
