"""From what a source read to checked tables: the rules that hold for every data set, in one place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from subgroup_audit.datasets.normalise import normalise_sex, normalise_view, parse_age
from subgroup_audit.errors import DataError
from subgroup_audit.images.store import leaves_root
from subgroup_audit.schema import BoxTable, ExclusionTable, ImageTable, LabelTable, SourceTables

FIXED = ("image_id", "patient_id", "exam_id", "path", "sex", "view", "age_years", "photometric", "source")


@dataclass(frozen=True)
class RawTables:
    """What a source read, in its own spelling.

    Parameters
    ----------
    source : name of the data set
    origin : file that names the images, for messages
    images : text columns image_id, patient_id, path; exam_id, sex, view, age_years, photometric where known; every
        further column becomes an attribute
    labels : image_id, finding, label (1, 0, -1)
    label_source : who or what gave the labels
    unreadable : image_id, reason of images that the source itself could not read
    boxes : as `BoxTable`
    notes : sentences that a reader of the report must know
    """

    source: str
    origin: Path
    images: pd.DataFrame
    labels: pd.DataFrame
    label_source: str
    unreadable: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"image_id": [], "reason": []}))
    boxes: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


def assemble(raw: RawTables, root: Path) -> SourceTables:
    """Checked tables: sex, view and age in one spelling, and what cannot be used listed with its reason.

    Left out, as step 'read': images without a person, images whose rows or labels contradict each other (no row
    is preferred; rows that are equal throughout count once), paths that leave the root, and missing files. Where
    not even the folder of the pixels exists, files are not asked for and a note says so: metadata alone carry
    cohorts and power.

    Raises
    ------
    DataError
        No image is left.
    """
    labels = raw.labels.drop_duplicates()
    rows, repeated, n_repeats = _settle_repeats(raw.images)
    reasons, notes = _judge(rows, root)
    contradicting = labels.loc[labels.duplicated(["image_id", "finding"]), "image_id"]
    reasons = reasons.mask(rows["image_id"].isin(contradicting), "its labels contradict each other")
    usable = reasons.isna().to_numpy()
    listed = pd.DataFrame({"image_id": rows["image_id"], "reason": reasons})[~usable]
    left = pd.concat([raw.unreadable, repeated, listed], ignore_index=True)
    rows = rows[usable].reset_index(drop=True)
    if rows.empty:
        raise DataError(_nothing_left(raw, root, left))
    if n_repeats:
        notes += (f"{n_repeats} rows repeated an image with the same values and were counted once.",)
    return SourceTables(
        images=_image_table(rows, raw.source),
        labels=_label_table(raw, labels, rows["image_id"]),
        exclusions=ExclusionTable(left.assign(step="read")),
        boxes=_box_table(raw, rows["image_id"]),
        notes=(*raw.notes, *notes),
    )


def _settle_repeats(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Rows that stand alone, the images whose rows contradict each other, and how many equal rows were dropped."""
    if not rows["image_id"].duplicated().any():
        return rows.reset_index(drop=True), pd.DataFrame({"image_id": [], "reason": []}), 0
    single = rows.drop_duplicates()
    again = single["image_id"].duplicated(keep=False)
    groups = single[again].groupby("image_id", sort=False)
    differing = {key: [str(c) for c in group if group[c].nunique(dropna=False) > 1] for key, group in groups}
    reasons = [f"the rows of this image differ in {', '.join(names)}" for names in differing.values()]
    contradicting = pd.DataFrame({"image_id": list(differing), "reason": reasons})
    return single[~again].reset_index(drop=True), contradicting, len(rows) - len(single)


def _judge(rows: pd.DataFrame, root: Path) -> tuple[pd.Series, tuple[str, ...]]:
    """Why each row cannot be used (missing where it can), and notes."""
    reasons = pd.Series(None, index=rows.index, dtype="str")
    named = rows["path"].notna()
    escaping = rows["path"].fillna("").map(leaves_root).astype("bool")
    reasons = reasons.mask(rows["patient_id"].isna(), "no patient is named")
    reasons = reasons.mask(~named, "no file is named").mask(escaping, "the path leaves the data folder")
    asked = reasons.isna()
    paths = rows.loc[asked, "path"].tolist()
    if paths and not _has_pixel_folder(root, paths):
        return reasons, (
            "There are no pixels below the data folder, only metadata: nothing can be trained on it.",
        )
    exists = np.ones(len(rows), dtype=np.bool_)
    exists[asked.to_numpy()] = _is_file(root, paths)
    return reasons.mask(~exists, "file is missing"), ()


def _has_pixel_folder(root: Path, paths: Sequence[str]) -> bool:
    tops = {path.split("/", 1)[0] if "/" in path else "." for path in paths}
    return any((root / top).is_dir() for top in tops)


def _is_file(root: Path, paths: Sequence[str]) -> npt.NDArray[np.bool_]:
    base = os.fspath(root)
    found = (os.path.isfile(f"{base}/{path}") for path in paths)  # noqa: PTH113  (there may be 300,000)
    return np.fromiter(found, dtype=np.bool_, count=len(paths))


def _nothing_left(raw: RawTables, root: Path, left: pd.DataFrame) -> str:
    counts = left["reason"].value_counts().head(3)
    why = "; ".join(f"{n} x {reason}" for reason, n in counts.items())
    example = f"; the first file named is '{raw.images['path'].iloc[0]}'" if len(raw.images) else ""
    return f"{raw.origin}: no image that it names can be used below {root} ({why or 'it names none'}){example}"


def _image_table(rows: pd.DataFrame, source: str) -> ImageTable:
    absent = pd.Series(np.nan, index=rows.index, dtype="str")
    fixed = {
        "exam_id": rows.get("exam_id", absent),
        "sex": normalise_sex(rows.get("sex", absent)),
        "view": normalise_view(rows.get("view", absent)),
        "age_years": parse_age(rows.get("age_years", absent)),
        "photometric": rows.get("photometric", absent),
    }
    return ImageTable(rows.assign(**fixed, source=source), origin=source)


def _label_table(raw: RawTables, labels: pd.DataFrame, kept: pd.Series) -> LabelTable:
    of_kept = labels[labels["image_id"].isin(kept)]
    return LabelTable(of_kept.assign(label_source=raw.label_source), origin=f"{raw.origin}")


def _box_table(raw: RawTables, kept: pd.Series) -> BoxTable | None:
    if raw.boxes is None:
        return None
    return BoxTable(raw.boxes[raw.boxes["image_id"].isin(kept)], origin=f"{raw.origin}")
