"""NIH, CheXpert and MIMIC-CXR in the layouts and with the column names that were published."""

from __future__ import annotations

import gzip

import pytest

from subgroup_audit.datasets.chexpert import FINDINGS
from subgroup_audit.errors import DataError

NIH_2017 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    "00000001_000.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    "00000001_001.png,No Finding,1,1,059Y,M,AP,2682,2749,0.143,0.143,\n"
    "00000013_020.png,Infiltration,20,13,018M,F,AP,2682,2749,0.143,0.143,\n"
)
NIH_2020 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,View Position,"
    "OriginalImageWidth,OriginalImageHeight,OriginalImagePixelSpacing_x,OriginalImagePixelSpacing_y\n"
    "00000001_000.png,Cardiomegaly|Emphysema,0,1,58,M,PA,2682,2749,0.143,0.143\n"
)


def test_nih(load, put) -> None:
    put("Data_Entry_2017.csv", NIH_2017)
    put("train_val_list.txt", "00000001_000.png\n00000001_001.png")
    put("test_list.txt", "00000013_020.png\r\n")
    put("images_001/images/00000001_000.png")
    put("images_001/images/00000001_001.png")
    put("images_002/images/00000013_020.png")
    tables = load("nih")
    frame = tables.images.frame
    assert frame["path"].tolist()[2] == "images_002/images/00000013_020.png"
    assert frame["patient_id"].tolist() == ["NIH00000001", "NIH00000001", "NIH00000013"]
    assert frame["age_years"].tolist() == [58.0, 59.0, 1.5]
    assert frame["official_split"].tolist() == ["train", "train", "test"]
    labels = tables.labels.frame
    assert len(labels) == 3 * 15
    assert labels.query("label == 1")["finding"].tolist() == [
        "Cardiomegaly",
        "Emphysema",
        "No Finding",
        "Infiltration",
    ]


def test_nih_2020_without_pixels_or_lists(load, put) -> None:
    put("Data_Entry_2017_v2020.csv", NIH_2020)
    tables = load("nih")
    assert tables.images.frame["sex"].tolist() == ["M"]
    assert "official_split" not in tables.images.frame
    assert tables.notes[-1].startswith("There are no pixels")


def test_nih_without_its_table(load, put, root) -> None:
    put("Data_Entry.csv", NIH_2017)
    with pytest.raises(DataError) as caught:
        load("nih")
    assert str(caught.value).startswith(f"{root}: 'Data_Entry_2017*.csv' is missing; there lie Data_Entry.csv.")


CHEXPERT = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(FINDINGS) + "\n"


@pytest.mark.parametrize("release", ["CheXpert-v1.0-small/", "CheXpert-v1.0/", ""])
def test_chexpert(load, put, release: str) -> None:
    blank = "," * 12
    put(
        "train.csv",
        CHEXPERT
        + f"{release}train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,-1.0{blank}\n"
        + f"{release}train/patient00001/study1/view2_lateral.jpg,Female,68,Lateral,,0.0,{blank}\n",
    )
    put(
        "valid.csv",
        CHEXPERT + f"{release}valid/patient00007/study3/view1_frontal.jpg,Unknown,0,Frontal,PA,,{blank}\n",
    )
    for name in ("train/patient00001/study1/view1_frontal.jpg", "train/patient00001/study1/view2_lateral.jpg"):
        put(name)
    put("valid/patient00007/study3/view1_frontal.jpg")
    tables = load("chexpert")
    frame = tables.images.frame
    assert frame["patient_id"].tolist() == ["patient00001", "patient00001", "patient00007"]
    assert frame["exam_id"].tolist()[0] == "patient00001/study1"
    assert frame["view"].tolist() == ["AP", "Lateral", "PA"]
    assert frame["sex"].tolist() == ["F", "F", "Unknown"]
    assert frame["official_split"].tolist() == ["train", "train", "val"]
    stated = tables.labels.frame[["image_id", "finding", "label"]].to_numpy().tolist()
    frontal, lateral = frame["image_id"].tolist()[:2]
    assert stated == [
        [frontal, "No Finding", 1],
        [lateral, "No Finding", 0],
        [frontal, "Enlarged Cardiomediastinum", -1],
    ]
    assert len(load("chexpert", blank_is_negative=True).labels) == 3 * 14


MIMIC_META = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime\n"
    "02aa804e,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531\n"
    "174413ec,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531\n"
    "2a2277a9,10000764,57375967,CHEST (PORTABLE AP),,3056,2544,21300826,0\n"
)


def _mimic(put, root) -> None:
    with gzip.open(root / "mimic-cxr-2.0.0-metadata.csv.gz", "wt") as handle:
        handle.write(MIMIC_META)
    columns = sorted(FINDINGS)
    put(
        "mimic-cxr-2.0.0-chexpert.csv",
        "subject_id,study_id," + ",".join(columns) + "\n10000032,50414267,1.0,-1.0" + "," * 12 + "\n",
    )
    for place in ("p10000032/s50414267/02aa804e", "p10000032/s50414267/174413ec", "p10000764/s57375967/2a2277a9"):
        put(f"files/p10/{place}.jpg")


def test_mimic(load, put, root) -> None:
    _mimic(put, root)
    put(
        "patients.csv",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2178,2014,\n",
    )
    put(
        "mimic-cxr-2.0.0-split.csv",
        "dicom_id,study_id,subject_id,split\n02aa804e,50414267,10000032,validate\n2a2277a9,57375967,10000764,train\n",
    )
    tables = load("mimic_cxr")
    frame = tables.images.frame
    assert frame["path"].tolist()[0] == "files/p10/p10000032/s50414267/02aa804e.jpg"
    assert frame["view"].tolist() == ["PA", "Lateral", "Unknown"]
    assert frame["sex"].tolist() == ["F", "F", "Unknown"]
    assert frame["age_years"].fillna(-1).tolist() == [54.0, 54.0, -1.0]
    assert frame["official_split"].fillna("-").tolist() == ["val", "-", "train"]
    labels = tables.labels.frame
    assert labels[["image_id", "finding", "label"]].to_numpy().tolist() == [
        ["02aa804e", "Cardiomegaly", -1],
        ["174413ec", "Cardiomegaly", -1],
        ["02aa804e", "Atelectasis", 1],
        ["174413ec", "Atelectasis", 1],
    ]


def test_mimic_without_patients(load, put, root) -> None:
    _mimic(put, root)
    tables = load("mimic_cxr")
    assert set(tables.images.frame["sex"]) == {"Unknown"}
    assert tables.notes[1] == "Sex and age are unknown: MIMIC-IV's patients.csv does not lie in the data folder."


def test_mimic_labeler_must_be_known(load) -> None:
    from subgroup_audit.errors import StudyError

    with pytest.raises(StudyError) as caught:
        load("mimic_cxr", labeler="chexbert")
    assert str(caught.value) == (
        "source 'mimic_cxr': data.options.labeler: must be 'chexpert' or 'negbio'; it is 'chexbert'"
    )
