"""CheXpert, as Stanford publishes it (full size or small).

Irvin J et al. 2019, AAAI, doi:10.1609/aaai.v33i01.3301590.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.labels import stack_columns
from subgroup_audit.datasets.reading import find_file, need_file, read_table
from subgroup_audit.schema import SourceTables

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
SPLIT_FILES = {"train.csv": "train", "valid.csv": "val", "test.csv": "test"}
NEEDED = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
RELEASE = r"^CheXpert-v1\.0[^/]*/"  # the folder that every published path starts with


class CheXpertOptions(Options):
    """Settings of source `chexpert`.

    Attributes
    ----------
    blank_is_negative : whether a finding that the report does not mention counts as absent; otherwise the image
        says nothing about it
    """

    blank_is_negative: bool = False


class CheXpert:
    """224,316 images of 65,240 persons; labels 1, 0, -1 (uncertain) or blank, mined from reports."""

    expects: ClassVar[str] = "CheXpert's train.csv (and valid.csv, test.csv) beside the folders train/ and valid/"
    Options = CheXpertOptions

    def load(
        self, root: Path, options: CheXpertOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per image; the person is the patient folder, the split the file that lists it."""
        del cache, progress
        need_file(root, list(SPLIT_FILES), self.expects)
        files = {split: find_file(root, [name]) for name, split in SPLIT_FILES.items()}
        tables = {split: read_table(path, [*NEEDED, *FINDINGS]) for split, path in files.items() if path}
        parts = [table.assign(official_split=split) for split, table in tables.items()]
        table = pd.concat(parts, ignore_index=True)
        table["image_id"] = table["Path"].str.replace(RELEASE, "", regex=True)
        raw = RawTables(
            source="chexpert",
            origin=root / "train.csv",
            images=_images(table),
            labels=stack_columns(
                table, FINDINGS, blank_is_negative=options.blank_is_negative, origin=f"{root}/*.csv"
            ),
            label_source="CheXpert labeler",
            notes=(describe_blanks(is_negative=options.blank_is_negative),),
        )
        return assemble(raw, root)


def describe_blanks(*, is_negative: bool) -> str:
    """The note that says what an empty field of the label table means."""
    meaning = "counts as absent" if is_negative else "says nothing about the image"
    return f"A finding that the report does not mention {meaning}."


def _images(table: pd.DataFrame) -> pd.DataFrame:
    place = table["image_id"].str.extract(r"(patient\d+)/(study\d+)/")
    is_lateral = table["Frontal/Lateral"].str.strip().str.lower() == "lateral"
    return pd.DataFrame(
        {
            "image_id": table["image_id"],
            "patient_id": place[0],
            "exam_id": place[0] + "/" + place[1],
            "path": table["image_id"],
            "sex": table["Sex"],
            "view": table["AP/PA"].mask(is_lateral, "Lateral"),
            "age_years": table["Age"],
            "official_split": table["official_split"],
        }
    )
