"""Phantom data sets on disk, laid out as RSNA's: DICOM files, label tables, person mapping, and the truth."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from subgroup_audit.datasets.phantom_anatomy import Film, coarse_air, take_film
from subgroup_audit.datasets.phantom_design import PhantomDesign, PlannedImage, plan_images
from subgroup_audit.datasets.phantom_dicom import dicom_bytes
from subgroup_audit.datasets.phantom_film import FIELD_CM
from subgroup_audit.datasets.phantom_lateral import draw_lateral
from subgroup_audit.datasets.phantom_person import Acquisition, Opacity, PatientAnatomy
from subgroup_audit.datasets.phantom_truth import Detectability, PhantomTruth, measure_detectability
from subgroup_audit.errors import DataError
from subgroup_audit.images.parallel import interrupts_held

__all__ = ["PhantomDesign", "PhantomTruth", "write_phantom", "write_plan"]

IMAGE_FOLDER = "stage_2_train_images"
LABEL_FILE = "stage_2_train_labels.csv"
CLASS_FILE = "stage_2_detailed_class_info.csv"
MAPPING_FILE = "pneumonia-challenge-dataset-mappings_2018.json"

Progress = Callable[[int, int], None]
Box = tuple[float, float, float, float]
_CHUNK = 16


def write_phantom(
    folder: Path,
    design: PhantomDesign,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PhantomTruth:
    """The truth of a phantom data set just written to `folder`: files, tables, mapping, truth.csv, truth.json.

    Parameters
    ----------
    folder : Path
        Created where absent; refused where it holds anything.
    workers : int, optional
        Processes; all usable cores where None. The bytes written do not depend on it. They are spawned, hence a
        script that calls this needs `if __name__ == "__main__":`.
    progress : callable, optional
        Called with (images written, images in all) as they are written.

    Raises
    ------
    DataError
        Where `folder` is not empty or not a folder.
    """
    return write_plan(folder, plan_images(design), design.to_dict(), workers=workers, progress=progress)


def write_plan(
    folder: Path,
    planned: Sequence[PlannedImage],
    settings: dict[str, Any],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> PhantomTruth:
    """The truth of the planned images, after writing them and their tables to `folder`."""
    with _whole_or_nothing(folder) as draft:
        written = []
        for image in _write_images(planned, draft / IMAGE_FOLDER, workers):
            written.append(image)
            if progress is not None and (len(written) % _CHUNK == 0 or len(written) == len(planned)):
                progress(len(written), len(planned))
        _write_tables(draft, planned, [image.boxes for image in written])
        rows = [_truth_row(plan, image) for plan, image in zip(planned, written, strict=True)]
        truth = PhantomTruth(settings, pd.DataFrame(rows))
        truth.write(draft)
    return truth


@dataclass(frozen=True)
class WrittenImage:
    """What became of one planned image: its boxes as labelled, and what the observer measures."""

    boxes: tuple[Box, ...]
    seen: Detectability | None
    cardiothoracic_ratio: float


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[Path]:
    """A draft folder beside `folder` that takes its name once all is written, and vanishes if not all was."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a phantom needs a folder, this is a file")
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder}: not empty; a phantom is only written to a new or empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        draft.chmod(0o755)
        (draft / IMAGE_FOLDER).mkdir()
        yield draft
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_images(planned: Sequence[PlannedImage], folder: Path, workers: int | None) -> Iterator[WrittenImage]:
    """What became of every image, in order; small jobs stay in this process."""
    # below a hundred images each, starting a process costs more than it saves
    wanted = workers if workers is not None else min(_usable_cores(), len(planned) // 100)
    write_one = partial(_write_image, folder)
    if wanted <= 1:
        yield from map(write_one, planned)
        return
    # spawned, not forked: OpenCV's and torch's threads do not survive a fork
    with ProcessPoolExecutor(wanted, mp_context=get_context("spawn"), initializer=_use_one_thread) as pool:
        with interrupts_held():  # the first task starts the processes
            written = pool.map(write_one, planned, chunksize=_CHUNK)
        yield from written


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _use_one_thread() -> None:
    cv2.setNumThreads(1)


def _write_image(folder: Path, plan: PlannedImage) -> WrittenImage:
    path = folder / f"{plan.image_id}.dcm"
    if plan.defect == "text_files":
        path.write_text("This file is named .dcm and holds text.\n", encoding="utf-8")
        return WrittenImage((), None, float("nan"))
    rng = np.random.default_rng([plan.seed, 13, plan.index])
    patient = PatientAnatomy.draw(
        plan.body_sex, min(plan.age_years, 92.0), np.random.default_rng([plan.seed, 12, plan.person])
    )
    pixels, written = _draw(plan, patient, rng)
    content = dicom_bytes(plan, pixels)
    path.write_bytes(content[: len(content) * 3 // 5] if plan.defect == "truncated" else content)
    return written


def _draw(
    plan: PlannedImage, patient: PatientAnatomy, rng: np.random.Generator
) -> tuple[np.ndarray[Any, Any], WrittenImage]:
    if plan.defect == "lateral":
        acquisition = Acquisition.draw("PA", rng)
        pixels = draw_lateral(patient, acquisition, size=plan.size, rng=rng)
        return pixels, WrittenImage((), None, float("nan"))
    acquisition = _acquire(plan, patient, rng)
    opacities = _place(plan, patient, acquisition, rng)
    drawn = [o for o in opacities if o.contrast > 0]
    bits = 12 if plan.defect == "sixteen_bit" else 8
    film: Film = take_film(patient, acquisition, drawn, size=plan.size, rng=rng, bits=bits)
    boxes = tuple((o.x, o.y, o.width, o.height) for o in opacities) if plan.label else ()
    seen = measure_detectability(film, drawn, plan.size)
    return film.pixels, WrittenImage(boxes, seen, film.cardiothoracic_ratio)


def _acquire(plan: PlannedImage, patient: PatientAnatomy, rng: np.random.Generator) -> Acquisition:
    """The image's acquisition; where boxes are given, of several the one whose lungs hold most of them.

    An image without an opacity is acquired for the boxes of another, so that its geometry does not tell the label.
    """
    boxes = plan.boxes or plan.acquired_for
    draw = partial(
        Acquisition.draw, plan.film_view, rng, abnormality=plan.abnormality, spread=plan.acquisition_spread
    )
    if not boxes:
        return draw()
    tries = [draw() for _ in range(8)]
    scale = 32 / plan.size

    def held(acquisition: Acquisition) -> float:
        air = np.minimum(coarse_air(patient, acquisition, 32), 3.0)
        spans = [[round(side * scale) for side in box] for box in boxes]
        return sum(float(air[y : y + h + 1, x : x + w + 1].sum()) for x, y, w, h in spans)

    return max(tries, key=held)


def _place(
    plan: PlannedImage, patient: PatientAnatomy, acquisition: Acquisition, rng: np.random.Generator
) -> list[Opacity]:
    """The image's opacities: at given boxes, or by lot in the lungs; a false label's boxes have no contrast."""
    if plan.boxes:
        return [Opacity(*box, plan.contrast) for box in plan.boxes]
    if not (plan.has_opacity or plan.label):
        return []
    air = coarse_air(patient, acquisition)
    count = 2 if rng.random() < 0.35 else 1
    first_side = 0 if rng.random() < 0.5 else 1
    return [_place_one(plan, air, (first_side + i) % 2, rng) for i in range(count)]


def _place_one(plan: PlannedImage, air: Any, side: int, rng: np.random.Generator) -> Opacity:
    """One opacity, centred in one lung where there is much air, its box inside the image."""
    weight = np.where(air > 0.45 * air.max(), air, 0.0).astype(np.float64)
    weight[:, 32:] *= side
    weight[:, :32] *= 1 - side
    cell = rng.choice(weight.size, p=(weight / weight.sum()).ravel())
    centre = (np.array([cell % 64, cell // 64]) + rng.random(2)) * plan.size / 64
    width, height = rng.uniform(*plan.opacity_cm, 2) * plan.size / FIELD_CM
    # whole pixels, as the label table holds them
    left, top = np.rint(centre - np.array([width, height]) / 2)
    width, height = np.rint([width, height])
    left, top = np.clip([left, top], 0, plan.size - np.array([width, height]))
    return Opacity(float(left), float(top), float(width), float(height), plan.contrast)


def _write_tables(folder: Path, planned: Sequence[PlannedImage], boxes: Sequence[Sequence[Box]]) -> None:
    """The label table (a row per box), the class table (as RSNA's, as many rows), and the person mapping."""
    labels: list[tuple[Any, ...]] = []
    classes = []
    for plan, found in zip(planned, boxes, strict=True):
        rows = [(*map(_plain, box), 1) for box in found] if plan.label else []
        for row in rows or [("", "", "", "", int(plan.label))]:
            labels.append((plan.image_id, *row))
            classes.append((plan.image_id, plan.class_name))
    _write_csv(folder / LABEL_FILE, ("patientId", "x", "y", "width", "height", "Target"), labels)
    _write_csv(folder / CLASS_FILE, ("patientId", "class"), classes)
    (folder / MAPPING_FILE).write_text(json.dumps(_mapping(planned), indent=0) + "\n", encoding="utf-8")


def _mapping(planned: Sequence[PlannedImage]) -> list[dict[str, str]]:
    """Image id and NIH-like file name of every image whose person is known; follow-ups counted per person."""
    seen: dict[str, int] = {}
    rows = []
    for plan in planned:
        if plan.patient_id != plan.image_id:
            follow_up = seen.get(plan.patient_id, 0)
            seen[plan.patient_id] = follow_up + 1
            name = plan.nih_image or f"{plan.patient_id}_{follow_up:03d}.png"
            rows.append({"subset_img_id": plan.image_id, "img_id": name})
    return rows


def _plain(value: float) -> str:
    return f"{value:.1f}"


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _truth_row(plan: PlannedImage, written: WrittenImage) -> dict[str, Any]:
    seen = written.seen or Detectability(float("nan"), float("nan"), float("nan"))
    return {
        "image_id": plan.image_id,
        "patient_id": plan.patient_id,
        "sex": plan.sex,
        "view": plan.view,
        "age_years": plan.age_years,
        "has_opacity": int(plan.has_opacity),
        "label": int(plan.label),
        "label_is_wrong": int(plan.label != plan.has_opacity),
        "class_name": plan.class_name,
        "contrast": plan.contrast,
        "boxes": ";".join(" ".join(map(_plain, box)) for box in written.boxes),
        "signal": seen.signal,
        "noise": seen.noise,
        "dprime": seen.dprime,
        "abnormality": plan.abnormality,
        "cardiothoracic_ratio": written.cardiothoracic_ratio,
        "defect": plan.defect,
    }
