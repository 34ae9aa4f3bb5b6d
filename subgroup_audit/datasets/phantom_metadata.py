"""Phantom pixels under real headers: RSNA's own persons, views, ages, boxes and classes, without RSNA's pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.datasets.phantom_design import (
    GROUPS,
    NORMAL,
    NOT_NORMAL,
    OPACITY,
    PhantomDesign,
    PlannedImage,
    draw_contrast,
)
from subgroup_audit.datasets.phantom_person import ABNORMALITIES
from subgroup_audit.datasets.phantom_truth import PhantomTruth
from subgroup_audit.datasets.phantom_writer import Progress, write_plan
from subgroup_audit.errors import DataError, StudyError

_RSNA_SIZE = 1024
_TABLES = {
    "dicom_headers.csv": ("PatientID", "PatientSex", "PatientAge", "ViewPosition", "PixelSpacing"),
    "stage_2_train_labels.csv": ("patientId", "x", "y", "width", "height", "Target"),
    "stage_2_detailed_class_info.csv": ("patientId", "class"),
    "nih_matches.csv": ("patientId", "nih_image_index"),
}


@dataclass(frozen=True)
class MetadataPhantom:
    """How phantom pixels are drawn under real headers.

    Attributes are those of `PhantomDesign` of the same name. Nothing but contrast is planted: prevalence by sex,
    view and age, boxes and images per person are RSNA's own.

    Attributes
    ----------
    min_images_per_person : int
        Persons who have fewer images, of the classes that are drawn, are passed over.
    classes : tuple of str
        Classes whose images are drawn.
    film_view : {"AP", "PA"} or None
        Every film is drawn in this view, whatever its header says; None: as the header says.
    acquisition_spread : float
        How much films differ in position, inspiration and exposure, as a multiple of the usual spread.
    """

    n_images: int | None = None
    min_images_per_person: int = 1
    classes: tuple[str, ...] = (OPACITY, NOT_NORMAL, NORMAL)
    film_view: str | None = None
    acquisition_spread: float = 1.0
    contrast: float = 0.4
    contrast_by_sex: Mapping[str, float] = field(default_factory=lambda: {"F": 1.0, "M": 1.0})
    contrast_by_view: Mapping[str, float] = field(default_factory=lambda: {"AP": 1.0, "PA": 1.0})
    contrast_spread: float = 0.25
    size: int = 256
    seed: int = 0
    transfer_syntax: str = "jpeg"


def write_phantom_of_metadata(
    folder: Path,
    metadata_root: Path,
    n_images: int | None = None,
    seed: int = 0,
    *,
    size: int = 256,
    min_images_per_person: int = 1,
    classes: Sequence[str] = (OPACITY, NOT_NORMAL, NORMAL),
    film_view: str | None = None,
    acquisition_spread: float = 1.0,
    contrast: float = 0.4,
    contrast_by_sex: Mapping[str, float] | None = None,
    contrast_by_view: Mapping[str, float] | None = None,
    transfer_syntax: str = "jpeg",
    workers: int | None = None,
    progress: Progress | None = None,
) -> PhantomTruth:
    """The truth of a phantom written under RSNA's real ids, headers, boxes and classes.

    Parameters
    ----------
    folder : Path
        New or empty.
    metadata_root : Path
        Holds dicom_headers.csv, stage_2_train_labels.csv, stage_2_detailed_class_info.csv and nih_matches.csv.
    n_images : int, optional
        How many images; all where None. Persons are drawn whole, in random order, passing over those who have more
        images than are still wanted, so that persons keep their several images.
    size : int
        Pixels a side. Boxes are RSNA's, on 1024 pixels, scaled to it: at 1024 the label tables are RSNA's own.
    min_images_per_person : int
        Persons who have fewer images, of the classes that are drawn, are passed over: a leak needs
        persons who were filmed again.
    classes : sequence of str
        Classes whose images are drawn, of RSNA's three.
    film_view : {"AP", "PA"}, optional
        The view in which every film is drawn, whatever its header says: pixels then do not tell the view.
    acquisition_spread : float
        Multiple, 0 to 2, of the standard deviations by which position, inspiration and exposure differ from one
        film to another: the smaller, the more alike are the films of one person.
    contrast, contrast_by_sex, contrast_by_view, transfer_syntax
        As in `PhantomDesign`.

    Raises
    ------
    DataError
        Where a table is absent or lacks a column, no person has enough images, or `folder` is not empty.
    StudyError
        Where a value is out of range, in the words of `PhantomDesign`.
    """
    design = MetadataPhantom(
        n_images=n_images,
        min_images_per_person=min_images_per_person,
        classes=tuple(classes),
        film_view=film_view,
        acquisition_spread=acquisition_spread,
        contrast=contrast,
        contrast_by_sex=dict(contrast_by_sex or {"F": 1.0, "M": 1.0}),
        contrast_by_view=dict(contrast_by_view or {"AP": 1.0, "PA": 1.0}),
        size=size,
        seed=seed,
        transfer_syntax=transfer_syntax,
    )
    planned = plan_of_metadata(metadata_root, design)
    settings: dict[str, Any] = {**design.__dict__, "pixels_of": "rsna metadata"}
    return write_plan(folder, planned, settings, workers=workers, progress=progress)


def plan_of_metadata(metadata_root: Path, design: MetadataPhantom) -> list[PlannedImage]:
    """The planned images of the chosen persons, in writing order."""
    _check(design)
    tables = {name: _read(metadata_root / name, columns) for name, columns in _TABLES.items()}
    images = _of_persons_filmed_again(_join(tables), design)
    rng = np.random.default_rng([design.seed, 17])
    chosen = _choose_persons(images, design.n_images, rng)
    boxes = _boxes(tables["stage_2_train_labels.csv"], chosen["image_id"], design.size / _RSNA_SIZE)
    rows = (dict(zip(chosen.columns, row, strict=True)) for row in chosen.itertuples(index=False, name=None))
    plans = [_plan(i, row, boxes.get(row["image_id"], ()), design, rng) for i, row in enumerate(rows)]
    return _acquired_alike(plans, np.random.default_rng([design.seed, 18]))


def _acquired_alike(plans: list[PlannedImage], rng: np.random.Generator) -> list[PlannedImage]:
    """The plans, each one without boxes acquired for those of another that has some, drawn by lot.

    The acquisition of an image with boxes is picked so that its lungs hold them; were the others' not, a network
    could tell the label by inspiration and position alone.
    """
    boxes = [plan.boxes for plan in plans if plan.boxes]
    if not boxes:
        return plans
    lots = rng.integers(len(boxes), size=len(plans))
    return [
        plan if plan.boxes else replace(plan, acquired_for=boxes[lot])
        for plan, lot in zip(plans, lots, strict=True)
    ]


def _check(design: MetadataPhantom) -> None:
    """Refuse what `PhantomDesign` would refuse, in its words."""
    problems = list(_problems(design))
    if problems:
        raise StudyError("phantom design:\n" + "\n".join(f"- {problem}" for problem in problems))
    own = ("n_images", "min_images_per_person", "classes", "film_view", "acquisition_spread")
    shared = {name: value for name, value in design.__dict__.items() if name not in own}
    PhantomDesign(n_images=1 if design.n_images is None else design.n_images, **shared)


def _problems(design: MetadataPhantom) -> Iterator[str]:
    """What is wrong with the keys that no other phantom has."""
    fewest, known = design.min_images_per_person, (OPACITY, NOT_NORMAL, NORMAL)
    if not isinstance(fewest, int) or isinstance(fewest, bool) or fewest < 1:
        yield f"min_images_per_person must be a whole number of at least 1, not {fewest!r}"
    if not design.classes or not set(design.classes) <= set(known):
        yield f"classes must be some of {', '.join(known)}; not {list(design.classes)}"
    if design.film_view not in (None, *GROUPS["view"]):
        yield f"film_view must be AP or PA, not {design.film_view!r}"
    spread = design.acquisition_spread
    if not isinstance(spread, int | float) or isinstance(spread, bool) or not 0 <= spread <= 2:
        yield f"acquisition_spread must be a number in [0, 2], not {spread!r}"


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: no such file; RSNA's metadata folder needs {', '.join(_TABLES)}")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise DataError(f"{path}: column {', '.join(absent)} is missing; it has {', '.join(frame.columns)}")
    return frame.loc[:, list(columns)]


def _join(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per image, keyed by its id, in the order of the ids."""
    headers = tables["dicom_headers.csv"].rename(columns={"PatientID": "patientId"})
    classes = tables["stage_2_detailed_class_info.csv"].drop_duplicates("patientId")
    target = tables["stage_2_train_labels.csv"][["patientId", "Target"]].drop_duplicates("patientId")
    joined = headers.merge(classes, on="patientId", validate="1:1").merge(target, on="patientId", validate="1:1")
    joined = joined.merge(tables["nih_matches.csv"], on="patientId", how="left", validate="1:1")
    if len(joined) != len(headers):
        raise DataError(
            f"dicom_headers.csv has {len(headers)} images; "
            f"{len(headers) - len(joined)} of them are in no label table"
        )
    joined["nih_image_index"] = joined["nih_image_index"].fillna("")
    joined["patient_id"] = joined["nih_image_index"].str[:8]
    joined["person_key"] = joined["patient_id"].where(joined["patient_id"] != "", joined["patientId"])
    return joined.rename(columns={"patientId": "image_id"}).sort_values("image_id", ignore_index=True)


def _of_persons_filmed_again(images: pd.DataFrame, design: MetadataPhantom) -> pd.DataFrame:
    """The images of the design's classes, of persons who have enough of them."""
    images = images[images["class"].isin(design.classes)]
    per_person = images.groupby("person_key")["image_id"].transform("size")
    kept = images[per_person >= design.min_images_per_person]
    if kept.empty:
        raise DataError(
            f"dicom_headers.csv: no person has {design.min_images_per_person} images (min_images_per_person); "
            f"the most is {per_person.max()}"
        )
    return kept


def _choose_persons(images: pd.DataFrame, wanted: int | None, rng: np.random.Generator) -> pd.DataFrame:
    """The images of whole persons, as many as wanted (fewer only where no person fits in the rest)."""
    keys, counts = np.unique(images["person_key"].to_numpy(dtype=object), return_counts=True)
    left = len(images) if wanted is None else wanted
    chosen: dict[str, int] = {}
    for index in rng.permutation(len(keys)):
        if counts[index] <= left:
            chosen[str(keys[index])] = len(chosen)
            left -= int(counts[index])
    picked = images[images["person_key"].isin(list(chosen))].copy()
    picked["person"] = picked["person_key"].map(chosen)
    return picked


def _boxes(
    labels: pd.DataFrame, image_ids: pd.Series, scale: float
) -> dict[str, tuple[tuple[float, float, float, float], ...]]:
    rows = labels[(labels["Target"] == "1") & labels["patientId"].isin(list(image_ids))]
    sides = rows[["x", "y", "width", "height"]].astype(float) * scale
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for image_id, box in zip(rows["patientId"], sides.itertuples(index=False, name=None), strict=True):
        found.setdefault(image_id, []).append(box)
    return {image_id: tuple(boxes) for image_id, boxes in found.items()}


def _plan(
    index: int,
    row: Mapping[str, Any],
    boxes: tuple[tuple[float, float, float, float], ...],
    design: MetadataPhantom,
    rng: np.random.Generator,
) -> PlannedImage:
    label = row["Target"] == "1"
    view = row["ViewPosition"]
    abnormality = str(rng.choice(ABNORMALITIES))
    contrast = draw_contrast(design, row["PatientSex"], view, rng)
    return PlannedImage(
        index=index,
        image_id=row["image_id"],
        patient_id=row["person_key"],
        person=int(row["person"]),
        sex=row["PatientSex"],
        view=view,
        age_years=float(row["PatientAge"]),
        body_sex=row["PatientSex"],
        film_view=design.film_view or view,
        has_opacity=label,
        label=label,
        class_name=row["class"] if not label else OPACITY,
        abnormality=abnormality if row["class"] == NOT_NORMAL else "",
        contrast=contrast if label else 0.0,
        defect="",
        size=design.size,
        seed=design.seed,
        transfer_syntax=design.transfer_syntax,
        boxes=boxes,
        pixel_spacing_mm=float(row["PixelSpacing"]) * _RSNA_SIZE / design.size,
        nih_image=row["nih_image_index"],
        acquisition_spread=design.acquisition_spread,
    )
