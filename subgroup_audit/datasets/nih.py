"""NIH ChestX-ray14, as the NIH Clinical Center publishes it.

Wang X et al. 2017, CVPR, doi:10.1109/CVPR.2017.369.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.labels import expand_classes
from subgroup_audit.datasets.reading import find_file, need_file, read_table
from subgroup_audit.errors import DataError
from subgroup_audit.schema import SourceTables

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "No Finding",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
SPLIT_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
SEX_COLUMNS = ("Patient Gender", "Patient Sex")  # 2017, and the corrected table of 2020
NEEDED = ("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "View Position")


class NIHOptions(Options):
    """Settings of source `nih`: there are none."""


class NIH:
    """112,120 frontal images of 30,805 persons with labels mined from reports."""

    expects: ClassVar[str] = (
        "the NIH release: Data_Entry_2017*.csv, images in images*/ folders, and optionally "
        "train_val_list.txt and test_list.txt"
    )
    Options = NIHOptions

    def load(
        self, root: Path, options: NIHOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per image; the official division, where its lists are there, as attribute `official_split`."""
        del options, cache, progress
        entries = need_file(root, ["Data_Entry_2017*.csv"], self.expects)
        table = read_table(entries, NEEDED, optional=SEX_COLUMNS)
        sex = next((name for name in SEX_COLUMNS if name in table), None)
        if sex is None:
            raise DataError(f"{entries}: column '{SEX_COLUMNS[0]}' is missing, and '{SEX_COLUMNS[1]}' too")
        images = pd.DataFrame(
            {
                "image_id": table["Image Index"],
                "patient_id": table["Patient ID"].str.zfill(8).map("NIH{}".format, na_action="ignore"),
                "path": _find_paths(root, table["Image Index"]),
                "sex": table[sex],
                "view": table["View Position"],
                "age_years": table["Patient Age"],
                "follow_up": pd.to_numeric(table["Follow-up #"], errors="coerce"),
            }
        )
        split, note = _official_split(root, table["Image Index"])
        if split is not None:
            images["official_split"] = split
        raw = RawTables(
            source="nih",
            origin=entries,
            images=images,
            labels=expand_classes(
                table["Image Index"], table["Finding Labels"], separator="|", findings=_findings(table)
            ),
            label_source="NIH report mining",
            notes=("Labels were mined from reports and are wrong for some images (Wang et al. 2017).", *note),
        )
        return assemble(raw, root)


def _findings(table: pd.DataFrame) -> list[str]:
    """The published findings, and whatever else the table names, so that nothing is lost unseen."""
    named = set("|".join(table["Finding Labels"].dropna().unique()).split("|"))
    return [*FINDINGS, *sorted(named - {*FINDINGS, ""})]


def _find_paths(root: Path, names: pd.Series) -> pd.Series:
    """Where each image lies: `images_001/images/NAME` as published, or any `images*` folder."""
    where: dict[str, str] = {}
    folders = sorted(folder for folder in root.glob("images*") if folder.is_dir())
    for folder in [inner for outer in folders for inner in (outer, outer / "images") if inner.is_dir()]:
        below = folder.relative_to(root).as_posix()
        where.update({path.name: f"{below}/{path.name}" for path in folder.iterdir() if path.suffix})
    return names.map(lambda name: where.get(name, f"images/{name}"), na_action="ignore")


def _official_split(root: Path, names: pd.Series) -> tuple[pd.Series | None, tuple[str, ...]]:
    """'train' or 'test' for each image, or nothing where the lists are not there."""
    found = {split: find_file(root, [file]) for file, split in SPLIT_LISTS.items()}
    lists = {split: set(path.read_text(encoding="utf-8").split()) for split, path in found.items() if path}
    if not lists:
        return None, ()
    split = pd.Series(None, index=names.index, dtype="str")
    for name, members in lists.items():
        split = split.mask(names.isin(members), name)
    n_unlisted = int(split.isna().sum())
    note = (f"{n_unlisted} images stand in no official list and have no official split.",) if n_unlisted else ()
    return split, note
