"""RSNA Pneumonia Detection Challenge (stage 2, train), as Kaggle ships it.

Shih G et al. 2019, Radiology: Artificial Intelligence, doi:10.1148/ryai.2019180041.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import pandas as pd
from pydantic import AfterValidator

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.labels import expand_classes
from subgroup_audit.datasets.reading import find_file, need_file, read_table
from subgroup_audit.datasets.rsna_persons import read_official_map, read_shipped_map
from subgroup_audit.errors import DataError
from subgroup_audit.images.headers import scan_headers
from subgroup_audit.images.store import require_below_root
from subgroup_audit.schema import SourceTables

IMAGE_FOLDER = "stage_2_train_images"
LABEL_FILE = "stage_2_train_labels.csv"
CLASS_FILE = "stage_2_detailed_class_info.csv"
MAPPING_FILE = "pneumonia-challenge-dataset-mappings_2018.json"
HEADER_FILE = "dicom_headers.csv"
CLASSES = ("Lung Opacity", "No Lung Opacity / Not Normal", "Normal")
ATTRIBUTES = {  # DICOM keyword -> column
    "PatientSex": "sex",
    "PatientAge": "age_years",
    "ViewPosition": "view",
    "StudyInstanceUID": "exam_id",
    "PhotometricInterpretation": "photometric",
    "Modality": "modality",
    "BodyPartExamined": "body_part",
    "PixelSpacing": "pixel_spacing_mm",
}


class RSNAOptions(Options):
    """Settings of source `rsna`."""

    # RSNA's table of the NIH image behind each challenge image, below the root
    mapping: Annotated[str, AfterValidator(require_below_root)] = MAPPING_FILE


class RSNA:
    """The challenge's training images with class, boxes, header fields, and the NIH patient as the person."""

    name: ClassVar[str] = "rsna"
    label_source: ClassVar[str] = "RSNA radiologists"
    uses_shipped_map: ClassVar[bool] = True
    expects: ClassVar[str] = (
        f"Kaggle's layout: {IMAGE_FOLDER}/*.dcm, {LABEL_FILE} and {CLASS_FILE}; {MAPPING_FILE} is optional"
    )
    Options = RSNAOptions

    def load(
        self, root: Path, options: RSNAOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per labelled image: three classes, boxes in pixels, sex, age and view from the DICOM headers.

        Without DICOM files, `dicom_headers.csv` (columns Filename and the DICOM keywords) stands in for them.
        """
        classes, boxes = self._read_labels(root)
        headers, notes = self._read_headers(root, classes["image_id"], cache, progress)
        person, person_note = self._read_persons(root, options, classes["image_id"])
        unreadable = headers.loc[headers["reason"].notna(), ["image_id", "reason"]]
        images = headers[headers["reason"].isna()].drop(columns="reason")
        images.insert(1, "patient_id", images["image_id"].map(person))
        raw = RawTables(
            source=self.name,
            origin=root / CLASS_FILE,
            images=images,
            labels=expand_classes(classes["image_id"], classes["class"], findings=CLASSES),
            label_source=self.label_source,
            unreadable=unreadable,
            boxes=boxes,
            notes=(person_note, *notes),
        )
        return assemble(raw, root)

    def _read_labels(self, root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The class of each image, and the boxes."""
        targets = read_table(
            need_file(root, [LABEL_FILE], self.expects), ["patientId", "x", "y", "width", "height", "Target"]
        )
        classes = read_table(need_file(root, [CLASS_FILE], self.expects), ["patientId", "class"])
        classes = classes.rename(columns={"patientId": "image_id"}).drop_duplicates(ignore_index=True)
        self._check_classes(root, classes, targets)
        numbers = targets[["x", "y", "width", "height"]].astype("float64")
        boxes = pd.concat([targets["patientId"].rename("image_id"), numbers], axis=1)
        return classes, boxes[targets["x"].notna()].reset_index(drop=True)

    def _check_classes(self, root: Path, classes: pd.DataFrame, targets: pd.DataFrame) -> None:
        strange = sorted(set(classes["class"].dropna()) - set(CLASSES))
        if strange:
            raise DataError(
                f"{root / CLASS_FILE}: column 'class' must be one of {list(CLASSES)}; it has {strange[0]!r}"
            )
        positive = set(targets.loc[targets["Target"] == "1", "patientId"])
        opaque = set(classes.loc[classes["class"] == CLASSES[0], "image_id"])
        if positive != opaque:
            example = sorted(positive ^ opaque)[0]
            raise DataError(
                f"{root}: {LABEL_FILE} and {CLASS_FILE} disagree on {len(positive ^ opaque)} images, the first "
                f"{example}: Target is 1 where, and only where, the class is '{CLASSES[0]}'"
            )

    def _read_headers(
        self, root: Path, image_ids: pd.Series, cache: Path, progress: Progress | None
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """image_id, path, the header's attributes, and `reason` where a file cannot be read."""
        ids = pd.Index(image_ids.drop_duplicates())
        paths = [f"{IMAGE_FOLDER}/{image}.dcm" for image in ids]
        stand_in = find_file(root, [HEADER_FILE])
        if (root / IMAGE_FOLDER).is_dir():
            headers = scan_headers(root, paths, cache=cache, progress=progress)
            headers["reason"] = headers["reason"].mask(headers["reason"] == "")
            notes: tuple[str, ...] = ()
        elif stand_in is not None:
            headers = self._from_stand_in(stand_in, ids)
            notes = (f"Sex, age and view come from {HEADER_FILE}; the DICOM files are absent.",)
        else:
            raise DataError(f"{root}: the folder '{IMAGE_FOLDER}' is missing. This source expects {self.expects}")
        attributes = headers.reindex(columns=["reason", *ATTRIBUTES]).rename(columns=ATTRIBUTES)
        spacing = attributes["pixel_spacing_mm"].str.split("\\").str[0]
        attributes["pixel_spacing_mm"] = pd.to_numeric(spacing, errors="coerce").astype("float64")
        return pd.concat([pd.DataFrame({"image_id": ids, "path": paths}), attributes], axis=1), notes

    def _from_stand_in(self, path: Path, ids: pd.Index) -> pd.DataFrame:
        table = read_table(path, ["Filename"], optional=list(ATTRIBUTES))
        table.index = pd.Index(table["Filename"].str.removesuffix(".dcm"))
        if table.index.has_duplicates:
            raise DataError(
                f"{path}: column 'Filename' names a file twice, the first {_first_repeat(table.index)}"
            )
        headers = table.reindex(ids).reset_index(drop=True)
        headers["reason"] = headers["Filename"].isna().map({True: f"no row in {HEADER_FILE}", False: None})
        return headers

    def _read_persons(self, root: Path, options: RSNAOptions, image_ids: pd.Series) -> tuple[pd.Series, str]:
        """The person of each image, by image id, and the sentence that says how they are known."""
        official = root / options.mapping
        if official.is_file():
            known, how = read_official_map(official), f"by {options.mapping}"
        elif self.uses_shipped_map and options.mapping == MAPPING_FILE:
            known, how = read_shipped_map(), "by the shipped match of RSNA and NIH pixels (torchxrayvision)"
        else:
            raise DataError(f"{official}: the table of persons is missing")
        ids = pd.Index(image_ids.drop_duplicates())
        person = known.reindex(ids)
        n_unknown = int(person.isna().sum())
        note = f"A person is the NIH patient on the image, {how}"
        note += f"; {n_unknown} images without one count as a person each." if n_unknown else "."
        return person.where(person.notna(), ids.to_series()), note


def _first_repeat(index: pd.Index) -> str:
    return str(index[index.duplicated()][0])
