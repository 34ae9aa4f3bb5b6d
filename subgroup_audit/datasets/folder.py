"""Images sorted into folders by class, perhaps below train/, val/ and test/."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import pandas as pd
from pydantic import Field, field_validator

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.labels import expand_classes
from subgroup_audit.errors import DataError
from subgroup_audit.schema import SourceTables

SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom")
OWN = frozenset({"image_id", "path", "label", "source", "official_split"})


class FolderOptions(Options):
    """Settings of source `folder`.

    Attributes
    ----------
    name_pattern : regular expression searched in each file name; its named groups become attributes, above all
        `patient_id`, e.g. `(?P<patient_id>person\\d+)_`
    constants : attributes that all images share, e.g. `view: AP`
    name : name of the data set in reports
    """

    name_pattern: str | None = None
    constants: Annotated[dict[str, str], Field(default_factory=dict)]
    name: Annotated[str, Field(min_length=1)] = "folder"

    @field_validator("name_pattern")
    @classmethod
    def _is_pattern(cls, value: str | None) -> str | None:
        try:
            groups = re.compile(value or "").groupindex
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        taken = sorted(OWN & set(groups))
        if value and (not groups or taken):
            raise ValueError(f"needs named groups, e.g. (?P<patient_id>person\\d+), and none named {sorted(OWN)}")
        return value

    @field_validator("constants")
    @classmethod
    def _not_own(cls, value: dict[str, str]) -> dict[str, str]:
        taken = sorted(OWN & set(value))
        if taken:
            raise ValueError(f"{taken} come from the files themselves")
        return value


class Folder:
    """Images whose folder is their class."""

    expects: ClassVar[str] = "CLASS/*.jpg (png, tif, dcm), or train/CLASS/..., val/CLASS/..., test/CLASS/..."
    Options = FolderOptions

    def load(
        self, root: Path, options: FolderOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per image file; each its own person, with a note, unless `name_pattern` finds `patient_id`."""
        del cache, progress
        rows = pd.DataFrame(list(_walk(root)), columns=["path", "label", "official_split"], dtype="str")
        if rows.empty:
            raise DataError(f"{root}: no class folder with images; source 'folder' expects there {self.expects}")
        images = rows[["path"]].assign(image_id=rows["path"], **options.constants)
        if rows["official_split"].notna().any():
            images["official_split"] = rows["official_split"]
        images, notes = _name_persons(_read_names(images, options), options)
        raw = RawTables(
            source=options.name,
            origin=root,
            images=images,
            labels=expand_classes(rows["path"], rows["label"]),
            label_source="folder names",
            notes=notes,
        )
        return assemble(raw, root)


def _walk(root: Path) -> Iterator[tuple[str, str, str | None]]:
    """Path, class and split of each image file, in order; files that lie in no class folder are passed over."""
    for folder, below, files in os.walk(root):
        below.sort()
        place = Path(folder).relative_to(root).parts
        split = SPLIT_FOLDERS.get(place[0].lower()) if place else None
        classes = place[1:] if split else place
        if classes:
            named = sorted(name for name in files if name.lower().endswith(SUFFIXES) and name[0] != ".")
            yield from (("/".join((*place, name)), classes[0], split) for name in named)


def _read_names(images: pd.DataFrame, options: FolderOptions) -> pd.DataFrame:
    if options.name_pattern is None:
        return images
    names = images["path"].str.rsplit("/", n=1).str[-1]
    found = names.str.extract(options.name_pattern)
    return images.assign(**{str(group): found[group] for group in re.compile(options.name_pattern).groupindex})


def _name_persons(images: pd.DataFrame, options: FolderOptions) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The images with a person each, and the sentence that says how sure that is."""
    if "patient_id" not in images:
        note = (
            "Each file counts as a person of its own, since file names were not read for persons (name_pattern)."
        )
        return images.assign(patient_id=images["image_id"]), (note,)
    unknown = images["patient_id"].isna()
    note = f"A person is what '{options.name_pattern}' finds in the file name"
    note += (
        f"; {int(unknown.sum())} files where it finds nothing count as a person each." if unknown.any() else "."
    )
    return images.assign(patient_id=images["patient_id"].mask(unknown, images["image_id"])), (note,)
