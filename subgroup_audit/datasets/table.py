"""Any data set that one CSV or Parquet file describes, whatever its columns are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import pandas as pd
from pydantic import Field, field_validator

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import FIXED, RawTables, assemble
from subgroup_audit.datasets.labels import expand_classes, stack_columns
from subgroup_audit.datasets.reading import read_table
from subgroup_audit.errors import StudyError
from subgroup_audit.images.store import require_below_root
from subgroup_audit.schema import SourceTables


class TableColumns(Options):
    """Which column of the file holds what."""

    path: Annotated[str, Field(description="image file, relative to the root or to `image_folder`")]
    patient_id: Annotated[str, Field(description="the person")]
    image_id: Annotated[str | None, Field(description="key of the image; absent: its path")] = None
    exam_id: Annotated[str | None, Field(description="the exam")] = None
    sex: Annotated[str | None, Field(description="F/M, female/male")] = None
    view: Annotated[str | None, Field(description="AP, PA, lateral")] = None
    age_years: Annotated[str | None, Field(description="years, or a DICOM age such as 018M")] = None
    photometric: Annotated[str | None, Field(description="PhotometricInterpretation")] = None
    label: Annotated[str | None, Field(description="class, or several findings with a separator")] = None


class TableOptions(Options):
    """Settings of source `table`."""

    file: Annotated[str, Field(description="CSV or Parquet file below the root")]
    columns: TableColumns
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    image_folder: Annotated[str, Field(description="stands before every path; empty: the root")] = ""
    image_suffix: Annotated[
        str, Field(description="stands after every path, e.g. .tif where the table names ids")
    ] = ""
    label_separator: Annotated[str | None, Field(description="stands between the findings of one label field")] = (
        None
    )
    label_columns: Annotated[
        tuple[str, ...], Field(description="columns that each hold one finding: 1, 0, -1 or blank")
    ] = ()
    blank_is_negative: Annotated[bool, Field(description="an empty label column says absent")] = False
    attributes: Annotated[tuple[str, ...], Field(description="further columns to keep, e.g. race")] = ()
    label_source: Annotated[str, Field(description="who or what gave the labels")] = "as in the table"
    name: Annotated[str, Field(min_length=1, description="name of the data set in reports")] = "table"

    @field_validator("file", "image_folder")
    @classmethod
    def _below_root(cls, value: str) -> str:
        return require_below_root(value)

    @field_validator("attributes")
    @classmethod
    def _not_fixed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        taken = [name for name in value if name in FIXED]
        if taken:
            raise ValueError(f"{taken} are set by `columns`, not as attributes")
        return value


class Table:
    """Images and labels from one table."""

    expects: ClassVar[str] = "the table that `data.options.file` names, and the image files that it names"
    Options = TableOptions

    def load(
        self, root: Path, options: TableOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """One row per row of the table; no labels, and a note, where neither label nor label_columns is given."""
        del cache, progress
        if options.columns.label and options.label_columns:
            raise StudyError("data.options: give either `columns.label` or `label_columns`, not both")
        path = root / options.file
        mapped = options.columns.model_dump(exclude_none=True)
        asked = [*mapped.values(), *options.label_columns, *options.attributes]
        rows = read_table(path, list(dict.fromkeys(asked)), delimiter=options.delimiter)
        images = _images(rows, mapped, options)
        raw = RawTables(
            source=options.name,
            origin=path,
            images=images,
            labels=_labels(rows, images["image_id"], options, path),
            label_source=options.label_source,
            notes=() if options.columns.label or options.label_columns else ("The table states no labels.",),
        )
        return assemble(raw, root)


def _images(rows: pd.DataFrame, mapped: dict[str, str], options: TableOptions) -> pd.DataFrame:
    images = pd.DataFrame({name: rows[column] for name, column in mapped.items() if name != "label"})
    images["path"] = images["path"].str.replace("\\", "/", regex=False).str.removeprefix("./")
    if options.image_folder:
        images["path"] = options.image_folder.rstrip("/") + "/" + images["path"]
    images["path"] = images["path"] + options.image_suffix
    if "image_id" not in images:
        images["image_id"] = images["path"]
    images["image_id"] = _named(images["image_id"])
    return images.assign(**{name: rows[name] for name in options.attributes})


def _named(image_ids: pd.Series) -> pd.Series:
    """The ids, with 'row N' where a row names no image, so that its exclusion can be listed."""
    rows = pd.Series([f"row {number}" for number in range(2, len(image_ids) + 2)], index=image_ids.index)
    return image_ids.where(image_ids.notna(), rows.astype("str"))


def _labels(rows: pd.DataFrame, image_ids: pd.Series, options: TableOptions, path: Path) -> pd.DataFrame:
    if options.columns.label:
        return expand_classes(image_ids, rows[options.columns.label], separator=options.label_separator)
    if options.label_columns:
        return stack_columns(
            rows.assign(image_id=image_ids),
            options.label_columns,
            blank_is_negative=options.blank_is_negative,
            origin=f"{path}",
        )
    return pd.DataFrame({"image_id": [], "finding": [], "label": []})
