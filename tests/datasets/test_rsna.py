"""RSNA in Kaggle's layout: persons, classes, boxes, headers; and the published facts, where the metadata are."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from subgroup_audit.datasets import load_source
from subgroup_audit.datasets.rsna_persons import read_shipped_map, write_map
from subgroup_audit.errors import DataError, StudyError
from subgroup_audit.images.store import build_pixel_store
from subgroup_audit.schema import SourceTables
from subgroup_audit.study import Data

METADATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "rsna"
KNOWN = "0004cfab-14fd-4e49-80ba-63a80b6bddd6"  # NIH patient 00019124
NAMES = (KNOWN, "image-b", "image-c", "image-d")
OPACITY, OTHER, NORMAL = "Lung Opacity", "No Lung Opacity / Not Normal", "Normal"


def _write_dicom(path: Path, sex: str, age: str, view: str) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    dataset.StudyInstanceUID = "1.2.3"
    dataset.PatientSex, dataset.ViewPosition = sex, view
    with warnings.catch_warnings():  # RSNA writes the age as no DICOM standard has it
        warnings.simplefilter("ignore")
        dataset.PatientAge = age
    dataset.Modality, dataset.PixelSpacing = "CR", [0.143, 0.143]
    dataset.Rows = dataset.Columns = 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = np.full((8, 8), len(path.name), dtype=np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    path.parent.mkdir(exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


@pytest.fixture
def kaggle(root: Path, put) -> Path:
    put(
        "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\n"
        f"{KNOWN},264.0,152.0,213.0,379.0,1\n{KNOWN},562.0,152.0,256.0,453.0,1\n"
        "image-b,,,,,0\nimage-c,,,,,0\nimage-d,,,,,0\n",
    )
    put(
        "stage_2_detailed_class_info.csv",
        f"patientId,class\n{KNOWN},{OPACITY}\n{KNOWN},{OPACITY}\nimage-b,{OTHER}\nimage-c,{NORMAL}\nimage-d,{NORMAL}\n",
    )
    _write_dicom(root / "stage_2_train_images" / f"{KNOWN}.dcm", "F", "58", "AP")
    _write_dicom(root / "stage_2_train_images" / "image-b.dcm", "M", "151", "PA")
    (root / "stage_2_train_images" / "image-c.dcm").write_text("no image")
    return root


def test_kaggle_layout(load, kaggle: Path) -> None:
    tables = load("rsna")
    frame = tables.images.frame
    assert frame[["image_id", "patient_id", "sex", "view", "age_years"]].to_numpy().tolist() == [
        [KNOWN, "NIH00019124", "F", "AP", 58.0],
        ["image-b", "image-b", "M", "PA", 151.0],
    ]
    assert frame["path"].tolist()[1] == "stage_2_train_images/image-b.dcm"
    assert frame["exam_id"].tolist() == ["1.2.3", "1.2.3"]
    assert frame["pixel_spacing_mm"].tolist() == [0.143, 0.143]
    assert tables.exclusions.frame[["image_id", "step", "reason"]].to_numpy().tolist() == [
        ["image-c", "read", "not a DICOM file"],
        ["image-d", "read", "file is missing"],
    ]
    positive = tables.labels.frame.query("label == 1")
    assert positive[["image_id", "finding"]].to_numpy().tolist() == [[KNOWN, OPACITY], ["image-b", OTHER]]
    assert len(tables.labels) == 6
    assert tables.boxes is not None
    assert tables.boxes.frame["x"].tolist() == [264.0, 562.0]
    assert tables.notes == (
        "A person is the NIH patient on the image, by the shipped match of RSNA and NIH pixels (torchxrayvision); "
        "3 images without one count as a person each.",
    )


def test_official_mapping_is_preferred(load, kaggle: Path, put) -> None:
    name = "pneumonia-challenge-dataset-mappings_2018.json"
    records = [{"subset_img_id": image, "img_id": "00000042_001.png"} for image in NAMES]
    put(name, json.dumps(records))
    tables = load("rsna")
    assert set(tables.images.frame["patient_id"]) == {"NIH00000042"}
    assert tables.notes[0] == f"A person is the NIH patient on the image, by {name}."


def test_a_mapping_outside_the_data_folder_is_refused(load, kaggle: Path) -> None:
    with pytest.raises(StudyError, match=r"mapping.*must lie below the data folder"):
        load("rsna", mapping="../secret.json")


def test_broken_mapping_is_refused(load, kaggle: Path, put) -> None:
    put("pneumonia-challenge-dataset-mappings_2018.json", '[{"img": 1}]')
    with pytest.raises(DataError, match="must be a JSON list of records with 'subset_img_id' and 'img_id'"):
        load("rsna")


def test_pixels_of_the_loaded_images(load, kaggle: Path, tmp_path: Path) -> None:
    images = load("rsna").images
    store, exclusions = build_pixel_store(images, kaggle, size=16, cache=tmp_path, workers=1)
    assert store.gather(store.rows(["image-b"])).mean() == len("image-b.dcm")
    assert len(exclusions) == 0


def test_files_that_disagree_are_refused(load, kaggle: Path, put) -> None:
    put("stage_2_detailed_class_info.csv", f"patientId,class\n{KNOWN},{NORMAL}\nimage-b,{OTHER}\n")
    with pytest.raises(DataError) as caught:
        load("rsna")
    assert str(caught.value) == (
        f"{kaggle}: stage_2_train_labels.csv and stage_2_detailed_class_info.csv disagree on 1 images, the first "
        f"{KNOWN}: Target is 1 where, and only where, the class is 'Lung Opacity'"
    )


def test_unknown_class_is_refused(load, kaggle: Path, put) -> None:
    path = put("stage_2_detailed_class_info.csv", f"patientId,class\n{KNOWN},Opacity\n")
    with pytest.raises(DataError) as caught:
        load("rsna")
    assert str(caught.value) == (
        f"{path}: column 'class' must be one of ['Lung Opacity', 'No Lung Opacity / Not Normal', 'Normal']; "
        "it has 'Opacity'"
    )


def test_missing_root_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_source(Data(source="rsna"), tmp_path / "absent", cache=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/absent: this folder does not exist; source 'rsna' expects there Kaggle's layout: "
        "stage_2_train_images/*.dcm, stage_2_train_labels.csv and stage_2_detailed_class_info.csv; "
        "pneumonia-challenge-dataset-mappings_2018.json is optional"
    )


def test_folder_without_images_is_refused(load, kaggle: Path) -> None:
    (kaggle / "stage_2_train_images").rename(kaggle / "images")
    with pytest.raises(DataError, match="the folder 'stage_2_train_images' is missing"):
        load("rsna")


def test_phantom_needs_its_own_persons(load, kaggle: Path, put) -> None:
    with pytest.raises(DataError, match="the table of persons is missing"):
        load("phantom")
    put(
        "pneumonia-challenge-dataset-mappings_2018.json",
        json.dumps([{"subset_img_id": KNOWN, "img_id": "P7_000.png"}]),
    )
    tables = load("phantom")
    assert tables.images.frame["patient_id"].tolist() == ["P7", "image-b"]
    assert set(tables.images.frame["source"]) == {"phantom"}


def test_shipped_map_has_the_stated_facts() -> None:
    persons = read_shipped_map()
    assert len(persons) == 26_684
    assert persons.index.is_unique
    assert int(persons.isna().sum()) == 98
    assert persons.nunique() == 11_410
    assert persons.dropna().str.fullmatch(r"NIH\d{8}").all()
    assert persons[KNOWN] == "NIH00019124"


def test_map_is_written_alike_every_time(tmp_path: Path) -> None:
    matches = tmp_path / "matches.csv"
    matches.write_text("patientId,nih_image_index,match_mse\nb,00019124_092.png,1.8\na,,99\n")
    write_map(matches, tmp_path / "one.csv.gz")
    time.sleep(0.01)
    write_map(matches, tmp_path / "two.csv.gz")
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    written = pd.read_csv(tmp_path / "one.csv.gz", dtype="str")
    assert written.fillna("").to_numpy().tolist() == [["a", ""], ["b", "00019124"]]


needs_metadata = pytest.mark.skipif(not METADATA.is_dir(), reason="no ../shared/data/rsna")


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> SourceTables:
    return load_source(Data(source="rsna"), METADATA, cache=tmp_path_factory.mktemp("cache"))


@needs_metadata
def test_real_images_and_persons(real: SourceTables) -> None:
    frame = real.images.frame
    assert len(frame) == 26_684
    assert len(real.exclusions) == 0
    matched = frame[frame["patient_id"].str.startswith("NIH")]
    assert len(frame) - len(matched) == 98
    counts = matched["patient_id"].value_counts()
    assert (len(counts), int((counts > 1).sum()), int(counts.max())) == (11_410, 4_342, 65)


@needs_metadata
def test_real_counts_by_class_sex_and_view(real: SourceTables) -> None:
    positive = real.labels.frame.query("label == 1")
    merged = real.images.frame.merge(positive, on="image_id", validate="1:1")
    counts = merged.groupby(["sex", "view", "finding"]).size()
    expected = {
        ("F", "AP"): (1952, 2504, 671),
        ("F", "PA"): (550, 2607, 3234),
        ("M", "AP"): (2712, 3368, 966),
        ("M", "PA"): (798, 3342, 3980),
    }
    for (sex, view), numbers in expected.items():
        assert tuple(counts[sex, view][[OPACITY, OTHER, NORMAL]]) == numbers
    assert counts.sum() == 26_684


@needs_metadata
def test_real_view_alone_separates_opacity(real: SourceTables) -> None:
    positive = real.labels.frame.query(f"finding == '{OPACITY}'").set_index("image_id")["label"]
    label = real.images.frame["image_id"].map(positive)
    is_ap = real.images.frame["view"] == "AP"
    auc = 0.5 + (is_ap[label == 1].mean() - is_ap[label == 0].mean()) / 2
    assert round(float(auc), 3) == 0.706


@needs_metadata
def test_real_image_level_split_leaks_persons(real: SourceTables) -> None:
    person = real.images.frame["patient_id"]
    is_test = np.random.default_rng(0).random(len(person)) < 0.2
    assert 0.68 < person[is_test].isin(person[~is_test]).mean() < 0.72


@needs_metadata
def test_real_ages_are_left_as_they_are(real: SourceTables) -> None:
    ages = real.images.frame["age_years"]
    assert {148.0, 150.0, 151.0, 153.0, 155.0} <= set(ages[ages > 120])


@needs_metadata
def test_real_boxes_belong_to_opacities(real: SourceTables) -> None:
    assert real.boxes is not None
    opaque = real.labels.frame.query(f"finding == '{OPACITY}' and label == 1")["image_id"]
    assert set(real.boxes.frame["image_id"]) == set(opaque)
    assert len(real.boxes) == 9_555


@needs_metadata
def test_real_twins_share_a_person(real: SourceTables) -> None:
    person = real.images.frame.set_index("image_id")["patient_id"]
    twins = person[person.index.str.startswith("08d88a60") | person.index.str.startswith("8f96ca8e")]
    assert len(twins) == 2
    assert twins.nunique() == 1


@needs_metadata
def test_shipped_map_is_what_the_command_writes(tmp_path: Path) -> None:
    write_map(METADATA / "nih_matches.csv", tmp_path / "map.csv.gz")
    again = pd.read_csv(tmp_path / "map.csv.gz", dtype="str").set_index("image_id")["nih_patient"]
    assert again.map("NIH{}".format, na_action="ignore").equals(read_shipped_map())
