"""Phantom data sets: valid files, the same bytes every time, and every planted effect where it was planted."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

from subgroup_audit.datasets.phantom_anatomy import take_film
from subgroup_audit.datasets.phantom_design import PhantomDesign, PlannedImage, plan_images
from subgroup_audit.datasets.phantom_metadata import MetadataPhantom, plan_of_metadata, write_phantom_of_metadata
from subgroup_audit.datasets.phantom_person import Acquisition, PatientAnatomy
from subgroup_audit.datasets.phantom_truth import PhantomTruth, ideal_observer_auc, metadata_auc, summarise
from subgroup_audit.datasets.phantom_writer import _acquire, write_phantom
from subgroup_audit.errors import DataError, StudyError
from subgroup_audit.stats import auc_interval

RSNA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "rsna"


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def read_image(folder: Path, image_id: str) -> pydicom.FileDataset:
    return pydicom.dcmread(folder / "stage_2_train_images" / f"{image_id}.dcm")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "planted"
    design = PhantomDesign(
        n_images=240,
        size=128,
        seed=4,
        contrast=0.5,
        contrast_by_sex={"F": 0.4, "M": 1.0},
        prevalence={"AP": 0.75, "PA": 0.35},
        wrong_label_share={"F": 0.2, "M": 0.0},
        images_per_person=2.0,
    )
    return folder, design, write_phantom(folder, design, workers=1)


@pytest.fixture(scope="module")
def defective(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "defective"
    counts = {"monochrome1": 3, "sixteen_bit": 3, "lateral": 2, "missing_sex": 2, "age_151": 1}
    counts |= {"truncated": 1, "text_files": 1}
    design = PhantomDesign(n_images=24, size=128, seed=2, **{f"n_{k}": v for k, v in counts.items()})
    return folder, counts, write_phantom(folder, design, workers=1)


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    design = PhantomDesign(n_images=20, size=64, seed=9, n_monochrome1=1, n_text_files=1)
    alone = write_phantom(tmp_path / "one", design, workers=1)
    shared = write_phantom(tmp_path / "two", design, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    pd.testing.assert_frame_equal(alone.frame, shared.frame)


def test_another_seed_gives_other_images_and_ids():
    one, other = (plan_images(PhantomDesign(n_images=5, seed=s)) for s in (1, 2))
    assert not {p.image_id for p in one} & {p.image_id for p in other}


def test_progress_ends_with_all_images(tmp_path):
    seen = []
    write_phantom(
        tmp_path / "p", PhantomDesign(n_images=18, size=64), workers=1, progress=lambda *a: seen.append(a)
    )
    assert seen == [(16, 18), (18, 18)]


def test_layout_is_rsnas(planted):
    folder, design, truth = planted
    labels = pd.read_csv(folder / "stage_2_train_labels.csv")
    classes = pd.read_csv(folder / "stage_2_detailed_class_info.csv")
    mapping = json.loads((folder / "pneumonia-challenge-dataset-mappings_2018.json").read_text())
    assert list(labels.columns) == ["patientId", "x", "y", "width", "height", "Target"]
    assert list(classes.columns) == ["patientId", "class"]
    ids = set(truth.frame["image_id"])
    assert len(ids) == design.n_images
    assert set(labels["patientId"]) == set(classes["patientId"]) == {m["subset_img_id"] for m in mapping} == ids
    assert {p.stem for p in (folder / "stage_2_train_images").iterdir()} == ids
    assert len(labels) == len(classes)
    assert labels["x"].notna().equals(labels["Target"] == 1)
    person = {m["subset_img_id"]: m["img_id"][:8] for m in mapping}
    assert truth.frame.set_index("image_id")["patient_id"].to_dict() == person
    assert len({m["img_id"] for m in mapping}) == len(mapping)
    allowed = {"Lung Opacity", "No Lung Opacity / Not Normal", "Normal"}
    assert set(classes["class"]) == allowed
    by_label = classes.drop_duplicates().merge(labels[["patientId", "Target"]].drop_duplicates(), on="patientId")
    assert ((by_label["class"] == "Lung Opacity") == (by_label["Target"] == 1)).all()


def test_boxes_lie_inside_the_image(planted):
    folder, design, _ = planted
    boxes = pd.read_csv(folder / "stage_2_train_labels.csv").dropna()
    assert len(boxes) > 60
    assert (boxes[["x", "y"]] >= 0).all(axis=None)
    assert (boxes["x"] + boxes["width"] <= design.size).all()
    assert (boxes["y"] + boxes["height"] <= design.size).all()
    assert (boxes[["width", "height"]] >= 4.0 / 40 * design.size - 1).all(axis=None)


@pytest.mark.parametrize("syntax", ["jpeg", "explicit", "rle", "jpeg2000"])
def test_files_are_dicom_and_decode_to_the_drawn_pixels(tmp_path, syntax, monkeypatch):
    drawn = []

    def remembering(*args, **kwargs):
        drawn.append(take_film(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr("subgroup_audit.datasets.phantom_writer.take_film", remembering)
    design = PhantomDesign(n_images=3, size=96, transfer_syntax=syntax)
    truth = write_phantom(tmp_path / "p", design, workers=1)
    for image_id, film in zip(truth.frame["image_id"], drawn, strict=True):
        decoded = read_image(tmp_path / "p", image_id).pixel_array
        change = np.abs(decoded.astype(int) - film.pixels)
        assert change.mean() <= (2.5 if syntax == "jpeg" else 0)


def test_headers_are_rsnas(planted):
    folder, design, truth = planted
    row = truth.frame.iloc[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        read = read_image(folder, row.image_id)
        age = read.PatientAge
    assert read.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit
    assert read.SOPClassUID == pydicom.uid.ComputedRadiographyImageStorage
    assert read.PatientID == row.image_id
    assert (read.PatientSex, read.ViewPosition, age) == (row.sex, row["view"], f"{row.age_years:.0f}")
    assert (read.Modality, read.BodyPartExamined, read.ConversionType) == ("CR", "CHEST", "WSD")
    assert (read.Rows, read.Columns, read.PhotometricInterpretation) == (128, 128, "MONOCHROME2")
    assert float(read.PixelSpacing[0]) == pytest.approx(400 / design.size)
    assert pydicom.uid.UID(read.SOPInstanceUID).is_valid
    uids = {read_image(folder, i).SOPInstanceUID for i in truth.frame["image_id"][:20]}
    assert len(uids) == 20


def box_contrast(folder: Path, row) -> float:
    """Mean grey of the box's core less that of the whole image's middle rows, from the file."""
    pixels = read_image(folder, row.image_id).pixel_array.astype(float)
    x, y, w, h = (float(v) for v in row.boxes.split(";")[0].split())
    core = pixels[int(y + h / 4) : int(y + 3 * h / 4), int(x + w / 4) : int(x + 3 * w / 4)].mean()
    # the same place in the other lung, mirrored, is what it would be without
    mirrored = pixels[:, ::-1][int(y + h / 4) : int(y + 3 * h / 4), int(x + w / 4) : int(x + 3 * w / 4)].mean()
    return core - mirrored


def test_planted_contrast_is_in_truth_and_in_pixels(planted):
    folder, _, truth = planted
    shown = truth.frame[(truth.frame["has_opacity"] == 1) & (truth.frame["label"] == 1)]
    by_sex = shown.groupby("sex")
    ratio = by_sex["contrast"].median()["F"] / by_sex["contrast"].median()["M"]
    assert ratio == pytest.approx(0.4, rel=0.15)
    single = shown[~shown["boxes"].str.contains(";")]
    grey = {sex: np.median([box_contrast(folder, r) for r in g.itertuples()]) for sex, g in single.groupby("sex")}
    assert grey["M"] > grey["F"] + 8
    assert by_sex["dprime"].median()["M"] > 1.6 * by_sex["dprime"].median()["F"]


def test_planted_contrast_gap_has_its_sign_for_the_ideal_observer(planted):
    _, _, truth = planted
    by_sex = {s: ideal_observer_auc(truth, {"sex": s}, label="has_opacity") for s in ("F", "M")}
    assert by_sex["M"] - by_sex["F"] > 0.08
    # a fifth of the women's labels are wrong: their AUC against labels is lower still
    assert ideal_observer_auc(truth, {"sex": "F"}) < by_sex["F"] - 0.05
    assert ideal_observer_auc(truth, {"sex": "M"}) == by_sex["M"]


def test_the_shortcut_and_the_wrong_labels_are_as_planted():
    design = PhantomDesign(
        n_images=6000,
        prevalence={"AP": 0.5, "PA": 0.3},
        wrong_label_share={"F": 0.1, "M": 0.0},
        share_ap={"F": 0.7, "M": 0.3},
        share_female=0.4,
        images_per_person=2.5,
        max_images_per_person=6,
    )
    plan = pd.DataFrame([p.__dict__ for p in plan_images(design)])
    prevalence = plan.groupby("view")["has_opacity"].mean()
    assert prevalence["AP"] == pytest.approx(0.5, abs=0.03)
    assert prevalence["PA"] == pytest.approx(0.3, abs=0.03)
    wrong = (plan["label"] != plan["has_opacity"]).groupby(plan["sex"]).mean()
    assert wrong["F"] == pytest.approx(0.1, abs=0.02)
    assert wrong["M"] == 0
    ap = (plan["view"] == "AP").groupby(plan["sex"]).mean()
    assert ap["F"] == pytest.approx(0.7, abs=0.04)
    assert ap["M"] == pytest.approx(0.3, abs=0.04)
    persons = plan.groupby("patient_id").agg(
        n=("image_id", "size"), sexes=("sex", "nunique"), sex=("sex", "first")
    )
    assert persons["n"].max() == 6
    assert (persons["sexes"] == 1).all()
    assert (persons["sex"] == "F").mean() == pytest.approx(0.4, abs=0.03)


def test_persistence_makes_a_persons_labels_agree():
    free, bound = (
        pd.DataFrame(
            [
                p.__dict__
                for p in plan_images(PhantomDesign(n_images=3000, images_per_person=3.0, label_persistence=share))
            ]
        )
        for share in (0.0, 1.0)
    )
    assert bound.groupby("patient_id")["has_opacity"].nunique().max() == 1
    assert free.groupby("patient_id")["has_opacity"].nunique().max() == 2


def test_a_clean_design_plants_no_difference():
    design = PhantomDesign(n_images=6000)
    plan = pd.DataFrame([p.__dict__ for p in plan_images(design)])
    assert (plan["label"] == plan["has_opacity"]).all()
    assert (plan["defect"] == "").all()
    for attribute in ("sex", "view"):
        share = plan.groupby(attribute)["has_opacity"].mean()
        assert abs(share.iloc[0] - share.iloc[1]) < 0.04
        contrast = plan[plan["has_opacity"]].groupby(attribute)["contrast"].mean()
        assert abs(contrast.iloc[0] - contrast.iloc[1]) < 0.015


def test_anatomy_can_be_made_blind_to_sex_and_view():
    design = PhantomDesign(n_images=3000, anatomy_follows_sex=False, anatomy_follows_view=False)
    plan = pd.DataFrame([p.__dict__ for p in plan_images(design)])
    assert (plan["body_sex"] == plan["sex"]).mean() == pytest.approx(0.5, abs=0.05)
    assert (plan["film_view"] == plan["view"]).mean() == pytest.approx(0.5, abs=0.04)


def decode_quietly(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return pydicom.dcmread(io.BytesIO(path.read_bytes())).pixel_array


def test_every_defect_exists(defective):
    folder, counts, truth = defective
    found = truth.frame["defect"].value_counts()
    assert {k: int(found[k]) for k in counts} == counts
    rows = {d: truth.frame[truth.frame["defect"] == d].iloc[0] for d in counts}
    inverted = read_image(folder, rows["monochrome1"].image_id)
    assert inverted.PhotometricInterpretation == "MONOCHROME1"
    assert np.median(inverted.pixel_array[:8, 20:108]) > 100
    wide = read_image(folder, rows["sixteen_bit"].image_id)
    assert (wide.BitsAllocated, wide.BitsStored, float(wide.RescaleSlope)) == (16, 12, 2.0)
    assert (float(wide.WindowCenter), float(wide.WindowWidth)) == (3096.0, 8192.0)
    assert 255 < wide.pixel_array.max() <= 4095
    assert read_image(folder, rows["lateral"].image_id).ViewPosition == "LL"
    assert read_image(folder, rows["missing_sex"].image_id).PatientSex == ""
    assert rows["age_151"].age_years == 151
    broken = folder / "stage_2_train_images" / f"{rows['truncated'].image_id}.dcm"
    with pytest.raises((ValueError, EOFError, AttributeError, OSError)):
        decode_quietly(broken)
    with pytest.raises(pydicom.errors.InvalidDicomError):
        read_image(folder, rows["text_files"].image_id)


def test_laterals_never_have_an_opacity(defective):
    _, _, truth = defective
    lateral = truth.frame[truth.frame["defect"] == "lateral"]
    assert lateral["has_opacity"].sum() == 0
    assert lateral["dprime"].isna().all()


def test_truth_reads_back_as_it_was_written(planted):
    folder, design, truth = planted
    read = PhantomTruth.read(folder)
    assert PhantomDesign.from_dict(read.settings) == design
    assert list(read.frame.columns) == list(truth.frame.columns)
    assert ideal_observer_auc(read, {"sex": "F"}) == pytest.approx(
        ideal_observer_auc(truth, {"sex": "F"}), abs=1e-4
    )
    assert json.loads((folder / "truth.json").read_text())["planted"] == summarise(truth)


def truth_of(dprime, label, **columns) -> PhantomTruth:
    frame = pd.DataFrame({"dprime": dprime, "label": label, "has_opacity": label, **columns})
    return PhantomTruth({}, frame)


def test_ideal_observer_agrees_with_simulated_scores():
    rng = np.random.default_rng(0)
    dprime = np.concatenate([rng.uniform(0.5, 2.5, 40), np.zeros(50), rng.uniform(1, 2, 10)])
    label = np.repeat([1, 0], [40, 60])
    exact = ideal_observer_auc(truth_of(dprime, label))
    scores = dprime + rng.standard_normal((4000, 100))
    wins = scores[:, :40, None] > scores[:, None, 40:]
    assert exact == pytest.approx(wins.mean(), abs=0.005)


def test_ideal_observer_without_signal_is_a_coin_toss():
    assert ideal_observer_auc(truth_of(np.zeros(10), np.arange(10) % 2)) == pytest.approx(0.5)


def test_ideal_observer_needs_both_labels():
    truth = truth_of(np.ones(3), np.ones(3, dtype=int), sex="F")
    with pytest.raises(
        DataError, match=r"^truth.csv: group \{'sex': 'F'\} has 3 positive and 0 negative images; an AUC"
    ):
        ideal_observer_auc(truth, {"sex": "F"})


def test_metadata_auc_of_a_shortcut():
    view = np.repeat(["AP", "PA"], 100)
    label = np.concatenate([np.repeat([1, 0], [60, 40]), np.repeat([1, 0], [20, 80])])
    assert metadata_auc(truth_of(np.zeros(200), label, view=view), "view") == pytest.approx(
        (0.75 + (1 - 40 / 120)) / 2
    )


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError) as problem:
        write_phantom(tmp_path, PhantomDesign(n_images=1), workers=1)
    assert str(problem.value) == f"{tmp_path}: not empty; a phantom is only written to a new or empty folder"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_phantom_that_was_interrupted_leaves_nothing_behind(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_phantom(tmp_path / "p", PhantomDesign(n_images=3, size=64), workers=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    write_phantom(tmp_path / "p", PhantomDesign(n_images=3, size=64), workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_all_problems_of_a_design_are_listed():
    with pytest.raises(StudyError) as problem:
        PhantomDesign(n_images=4, prevalence={"AP": 0.5}, share_female=1.5, n_truncated=5, transfer_syntax="png")
    assert str(problem.value) == (
        "phantom design:\n"
        "- share_female must lie in [0, 1], not 1.5\n"
        "- prevalence must name exactly AP, PA, not AP\n"
        "- n_truncated must lie in [0, 4], not 5\n"
        "- the defects need 5 files, n_images is 4\n"
        "- transfer_syntax must be one of jpeg, explicit, rle, jpeg2000, not 'png'"
    )


def test_values_of_the_wrong_kind_are_listed():
    strange = {"n_images": 2.5, "prevalence": {"AP": "half", "PA": 0.1}, "contrast": None, "opacity_cm": 4}
    with pytest.raises(StudyError) as problem:
        PhantomDesign.from_dict(
            {**strange, "contrast_by_sex": 0.5, "anatomy_follows_sex": "no", "age_sd": {"F": 1}}
        )
    assert str(problem.value) == (
        "phantom design:\n"
        "- n_images must be a whole number, not 2.5\n"
        "- prevalence[AP] must be a number, not 'half'\n"
        "- contrast must be a number, not None\n"
        "- contrast_by_sex must be a mapping, not 0.5\n"
        "- opacity_cm must be two numbers, not 4\n"
        "- age_sd must be a number, not a mapping\n"
        "- anatomy_follows_sex must be true or false, not 'no'"
    )


def test_a_phantom_of_metadata_is_refused_in_the_words_of_a_design(tmp_path):
    with pytest.raises(StudyError, match=r"^phantom design:\n- size must lie in \[64, 2048\], not 9$"):
        write_phantom_of_metadata(tmp_path / "out", tmp_path, 5, size=9)


def test_every_wrong_key_that_only_a_phantom_of_metadata_has_is_named(tmp_path):
    with pytest.raises(StudyError) as problem:
        write_phantom_of_metadata(
            tmp_path / "out",
            tmp_path,
            min_images_per_person=True,
            classes=["Opacity"],
            film_view="LL",
            acquisition_spread=2.5,
        )
    assert str(problem.value) == (
        "phantom design:\n"
        "- min_images_per_person must be a whole number of at least 1, not True\n"
        "- classes must be some of Lung Opacity, No Lung Opacity / Not Normal, Normal; not ['Opacity']\n"
        "- film_view must be AP or PA, not 'LL'\n"
        "- acquisition_spread must be a number in [0, 2], not 2.5"
    )


def test_films_without_a_spread_of_acquisition_are_taken_in_one_way():
    first, second = (Acquisition.draw("AP", np.random.default_rng(seed), spread=0.0) for seed in (1, 2))
    for name in ("inspiration", "rotation_degrees", "shift_x", "zoom", "brightness", "photons"):
        assert getattr(first, name) == getattr(second, name)
    usual = Acquisition.draw("AP", np.random.default_rng(1))
    half = Acquisition.draw("AP", np.random.default_rng(1), spread=0.5)
    assert half.shift_x == pytest.approx(usual.shift_x / 2)


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(
        StudyError, match=r"^phantom design: unknown key 'prevalance'; did you mean 'prevalence'\?$"
    ):
        PhantomDesign.from_dict({"prevalance": 0.3})


def test_every_key_and_column_is_in_the_docs(planted):
    page = (Path(__file__).resolve().parents[2] / "docs" / "phantom.md").read_text(encoding="utf-8")
    keys = [f.name for f in dataclasses.fields(PhantomDesign)]
    assert [k for k in keys if f"`{k}`" not in page] == []
    assert [c for c in planted[2].frame.columns if c not in page] == []


def test_no_truth_no_reading(tmp_path):
    with pytest.raises(
        DataError, match=r"no truth.csv and truth.json; is this a folder that `audit phantom` wrote"
    ):
        PhantomTruth.read(tmp_path)


@pytest.mark.skipif(not RSNA.is_dir(), reason="RSNA metadata (shared/data/rsna) is not here")
def test_real_headers_over_phantom_pixels(tmp_path):
    truth = write_phantom_of_metadata(tmp_path / "p", RSNA, 60, seed=5, size=128, workers=1)
    assert len(truth.frame) == 60
    headers = pd.read_csv(RSNA / "dicom_headers.csv").set_index("PatientID")
    real = headers.loc[truth.frame["image_id"]]
    assert list(real["PatientSex"]) == list(truth.frame["sex"])
    assert list(real["ViewPosition"]) == list(truth.frame["view"])
    assert list(real["PatientAge"]) == list(truth.frame["age_years"])
    labels = pd.read_csv(RSNA / "stage_2_train_labels.csv")
    labels = labels[labels["patientId"].isin(truth.frame["image_id"])]
    written = pd.read_csv(tmp_path / "p" / "stage_2_train_labels.csv")
    order = ["patientId", "x"]
    pd.testing.assert_frame_equal(
        written.sort_values(order, ignore_index=True)[["patientId", "Target"]],
        labels.sort_values(order, ignore_index=True)[["patientId", "Target"]],
    )
    scaled = labels.sort_values(order)[["x", "y", "width", "height"]].dropna().to_numpy() / 8
    assert (
        np.abs(written.sort_values(order)[["x", "y", "width", "height"]].dropna().to_numpy() - scaled).max()
        <= 0.051
    )
    matches = pd.read_csv(RSNA / "nih_matches.csv").set_index("patientId")["nih_image_index"]
    mapping = json.loads((tmp_path / "p" / "pneumonia-challenge-dataset-mappings_2018.json").read_text())
    assert all(matches[m["subset_img_id"]] == m["img_id"] for m in mapping)
    person = matches.str[:8].fillna(matches.index.to_series())
    assert truth.frame.set_index("image_id")["patient_id"].to_dict() == person[truth.frame["image_id"]].to_dict()
    whole = person.value_counts()
    # persons come whole, with all the images that RSNA has of them
    assert (
        truth.frame["patient_id"].value_counts().to_dict() == whole[truth.frame["patient_id"].unique()].to_dict()
    )
    assert (truth.frame.loc[truth.frame["has_opacity"] == 1, "signal"] > 0.01).all()


@pytest.mark.skipif(not RSNA.is_dir(), reason="RSNA metadata (shared/data/rsna) is not here")
def test_persons_with_fewer_images_of_the_classes_are_passed_over():
    classes = ("Lung Opacity", "Normal")
    design = MetadataPhantom(
        min_images_per_person=8, classes=classes, film_view="PA", acquisition_spread=0.5, size=64
    )
    plans = plan_of_metadata(RSNA, design)
    found = pd.read_csv(RSNA / "stage_2_detailed_class_info.csv").drop_duplicates("patientId")
    found = found[found["class"].isin(classes)].merge(pd.read_csv(RSNA / "nih_matches.csv").dropna())
    whole = found["nih_image_index"].str[:8].value_counts()
    drawn = pd.Series([plan.patient_id for plan in plans]).value_counts()
    assert drawn.to_dict() == whole[whole >= 8].to_dict()
    # the header keeps its view, the film is drawn in another
    assert {plan.view for plan in plans} == {"AP", "PA"}
    assert {(plan.film_view, plan.acquisition_spread) for plan in plans} == {("PA", 0.5)}
    with pytest.raises(DataError) as problem:
        plan_of_metadata(RSNA, MetadataPhantom(min_images_per_person=1000, size=64))
    assert str(problem.value) == (
        "dicom_headers.csv: no person has 1000 images (min_images_per_person); the most is 65"
    )


@pytest.mark.skipif(not RSNA.is_dir(), reason="RSNA metadata (shared/data/rsna) is not here")
def test_the_acquisition_under_real_headers_does_not_tell_the_label():
    plans = plan_of_metadata(RSNA, MetadataPhantom(n_images=900, size=64, seed=2))
    assert all(plan.boxes or plan.acquired_for for plan in plans)
    assert not any(plan.boxes and plan.acquired_for for plan in plans)
    # of one sex and view and grown up, so that nothing but the label is left to differ
    alike = [plan for plan in plans if (plan.sex, plan.view) == ("M", "AP") and plan.age_years >= 18]
    y_true, inspiration = [], []
    for plan in alike:
        rng = np.random.default_rng([plan.seed, 13, plan.index])
        person = np.random.default_rng([plan.seed, 12, plan.person])
        patient = PatientAnatomy.draw(plan.body_sex, min(plan.age_years, 92.0), person)
        inspiration.append(_acquire(plan, patient, rng).inspiration)
        y_true.append(int(plan.label))
    assert min(sum(y_true), len(y_true) - sum(y_true)) > 30
    found = auc_interval(y_true, inspiration)
    assert found.low < 0.5 < found.high


def test_metadata_without_its_tables_says_which(tmp_path):
    with pytest.raises(DataError) as problem:
        write_phantom_of_metadata(tmp_path / "out", tmp_path, 5)
    assert str(problem.value) == (
        f"{tmp_path / 'dicom_headers.csv'}: no such file; RSNA's metadata folder needs dicom_headers.csv, "
        "stage_2_train_labels.csv, stage_2_detailed_class_info.csv, nih_matches.csv"
    )


def test_a_plan_is_independent_of_the_images_after_it():
    short, long = (plan_images(PhantomDesign(n_images=n, images_per_person=1)) for n in (10, 20))
    assert isinstance(short[0], PlannedImage)
    assert short == long[:10]
