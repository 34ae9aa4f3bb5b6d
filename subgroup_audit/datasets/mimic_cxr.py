"""MIMIC-CXR-JPG 2.0.0, as PhysioNet publishes it.

Johnson AEW et al. 2019, arXiv:1901.07042, doi:10.13026/8360-t248.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.chexpert import FINDINGS, describe_blanks
from subgroup_audit.datasets.labels import stack_columns
from subgroup_audit.datasets.reading import find_file, need_file, read_table
from subgroup_audit.errors import DataError
from subgroup_audit.schema import SourceTables

METADATA, LABELS = "mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-{labeler}.csv"
SPLIT, PATIENTS = "mimic-cxr-2.0.0-split.csv", "patients.csv"
SPLIT_WORDS = {"train": "train", "validate": "val", "test": "test"}


class MimicCXROptions(Options):
    """Settings of source `mimic_cxr`.

    Attributes
    ----------
    labeler : `chexpert` or `negbio`: which of the two published label tables is read
    blank_is_negative : whether a finding that the report does not mention counts as absent; otherwise the image
        says nothing about it
    """

    labeler: Literal["chexpert", "negbio"] = "chexpert"
    blank_is_negative: bool = False


class MimicCXR:
    """377,110 images of 65,379 persons; labels of the report that an image belongs to."""

    expects: ClassVar[str] = (
        "MIMIC-CXR-JPG: mimic-cxr-2.0.0-metadata.csv[.gz] and -chexpert.csv[.gz] beside files/; optionally "
        "-split.csv[.gz], and MIMIC-IV's patients.csv[.gz] for sex and age"
    )
    Options = MimicCXROptions

    def load(
        self, root: Path, options: MimicCXROptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per image; sex and age from MIMIC-IV's `patients.csv`, else Unknown and missing."""
        del cache, progress
        origin = need_file(root, [METADATA], self.expects)
        metadata = read_table(
            origin, ["dicom_id", "subject_id", "study_id", "ViewPosition"], optional=["StudyDate"]
        )
        stated = need_file(root, [LABELS.format(labeler=options.labeler)], self.expects)
        reports = read_table(stated, ["subject_id", "study_id", *FINDINGS])
        images, note = _add_persons(root, metadata, _images(metadata))
        columns = _labels_of_images(images, reports)
        raw = RawTables(
            source="mimic_cxr",
            origin=origin,
            images=_add_split(root, images),
            labels=stack_columns(
                columns, FINDINGS, blank_is_negative=options.blank_is_negative, origin=f"{stated}"
            ),
            label_source=f"{options.labeler} labeler",
            notes=(describe_blanks(is_negative=options.blank_is_negative), *note),
        )
        return assemble(raw, root)


def _images(metadata: pd.DataFrame) -> pd.DataFrame:
    person, exam = metadata["subject_id"], metadata["study_id"]
    folder = "files/p" + person.str.slice(0, 2) + "/p" + person + "/s" + exam
    return pd.DataFrame(
        {
            "image_id": metadata["dicom_id"],
            "patient_id": person,
            "exam_id": exam,
            "path": folder + "/" + metadata["dicom_id"] + ".jpg",
            "view": metadata["ViewPosition"],
        }
    )


def _add_persons(root: Path, metadata: pd.DataFrame, images: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The images with sex and age; dates and anchor years are shifted alike, so differences hold."""
    path = find_file(root, [PATIENTS])
    if path is None:
        return images, (f"Sex and age are unknown: MIMIC-IV's {PATIENTS} does not lie in the data folder.",)
    patients = read_table(path, ["subject_id", "gender", "anchor_age"], optional=["anchor_year"])
    if patients["subject_id"].duplicated().any():
        raise DataError(f"{path}: column 'subject_id' names a person twice")
    known = patients.set_index("subject_id").reindex(images["patient_id"]).reset_index(drop=True)
    age = pd.to_numeric(known["anchor_age"])
    if "anchor_year" in known and "StudyDate" in metadata:
        year = pd.to_numeric(metadata["StudyDate"].str.slice(0, 4), errors="coerce").reset_index(drop=True)
        age = age + (year - pd.to_numeric(known["anchor_year"]))
    return images.assign(sex=known["gender"].to_numpy(), age_years=age.to_numpy()), ()


def _add_split(root: Path, images: pd.DataFrame) -> pd.DataFrame:
    path = find_file(root, [SPLIT])
    if path is None:
        return images
    table = read_table(path, ["dicom_id", "split"]).drop_duplicates("dicom_id")
    word = images["image_id"].map(table.set_index("dicom_id")["split"])
    return images.assign(official_split=word.map(SPLIT_WORDS))


def _labels_of_images(images: pd.DataFrame, reports: pd.DataFrame) -> pd.DataFrame:
    """One row per image with the finding columns of its report."""
    stated = reports.drop_duplicates()
    return images[["image_id", "exam_id"]].merge(
        stated.rename(columns={"study_id": "exam_id"}), on="exam_id", how="inner"
    )
