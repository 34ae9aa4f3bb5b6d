"""Steps from files to cohorts: source tables, pixels, cohort design, sample radiographs."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.cohort import CohortDesign, design_cohorts
from subgroup_audit.datasets import Progress, load_source
from subgroup_audit.images.alike import MAX_DISTANCE, MIN_CORRELATION, THUMBNAIL, find_near_copies
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.schema import BoxTable, CohortManifest, ExclusionTable, ImageTable, LabelTable, SourceTables
from subgroup_audit.steps.place import Doing, Place
from subgroup_audit.store import Done, Step, fingerprint, read_frames, read_json, write_frames, write_json
from subgroup_audit.study import Study

SOURCE_VERSION = 1
PIXELS_VERSION = 1
COPIES_VERSION = 1
COHORTS_VERSION = 1
SAMPLES_VERSION = 1

DESIGN_FRAMES = ("flow", "ceiling", "counts", "table1", "leakage", "image_level_leakage")
SAMPLES_PER_CELL = 4
SAMPLE_SIZE = 160


def source_step(study: Study, root: Path) -> Step:
    """Reading the data set: depends on how it is described and on every file below its root."""
    described = study.data.model_dump(mode="json", exclude={"root", "stored_size"})
    return Step("source", SOURCE_VERSION, described, {"files": fingerprint(root)})


def read_source(doing: Doing) -> None:
    """Write the source's tables."""
    tables = load_source(doing.study.data, doing.place.root, cache=doing.place.cache, progress=doing.progress)
    write_frames(
        doing.work,
        {
            "images": tables.images.frame,
            "labels": tables.labels.frame,
            "exclusions": tables.exclusions.frame,
            "boxes": tables.boxes.frame if tables.boxes else None,
        },
    )
    write_json(doing.work / "notes.json", {"notes": list(tables.notes)})


def read_source_tables(folder: Path) -> SourceTables:
    """The tables that `read_source` wrote."""
    frames = read_frames(folder, ("images", "labels", "exclusions", "boxes"))
    boxes = frames["boxes"]
    return SourceTables(
        ImageTable(_frame(frames["images"])),
        LabelTable(_frame(frames["labels"])),
        ExclusionTable(_frame(frames["exclusions"])),
        BoxTable(boxes) if boxes is not None else None,
        tuple(read_json(folder / "notes.json").get("notes", ())),
    )


def _frame(frame: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if frame is None else frame


def pixels_step(study: Study, source: Done) -> Step:
    """Decoding: which images cannot be, and a digest of each that can.

    It depends on the files themselves: an image may change while all that the source says of it stays the same.
    """
    settings = {"size": study.data.stored_size, "decoders": _optional_decoders()}
    inputs = {"source": source.content, "files": source.step.inputs["files"]}
    return Step("pixels", PIXELS_VERSION, settings, inputs)


def _optional_decoders() -> list[str]:
    """What is installed beyond the required decoders: a file that could not be decoded may be one day."""
    return [name for name in ("pylibjpeg", "libjpeg", "openjpeg", "gdcm") if find_spec(name)]


def decode_pixels(doing: Doing) -> None:
    """Decode every image into the shared cache; write what could not be decoded and the digests of the rest."""
    images = read_source_tables(doing.input("source")).images
    store, unreadable = open_pixels(doing.study, doing.place, images, doing.progress)
    write_frames(doing.work, {"unreadable": unreadable.frame, "digests": store.digests()})


def open_pixels(
    study: Study, place: Place, images: ImageTable, progress: Progress | None = None
) -> tuple[PixelStore, ExclusionTable]:
    """The pixels of these images, decoded now where the cache has lost them."""
    return build_pixel_store(
        images,
        place.root,
        size=study.data.stored_size,
        cache=place.cache,
        progress=progress,
    )


def copies_step(pixels: Done) -> Step:
    """Which pictures are nearly the same: depends on the pixels alone, and no fit depends on it."""
    settings = {"distance": MAX_DISTANCE, "correlation": MIN_CORRELATION, "thumbnail": THUMBNAIL}
    return Step("copies", COPIES_VERSION, settings, {"pixels": pixels.content})


def find_copies(doing: Doing) -> None:
    """Write every pair of pictures that are nearly the same."""
    images = read_source_tables(doing.input("source")).images
    store, _ = open_pixels(doing.study, doing.place, images)
    write_frames(doing.work, {"near_copies": find_near_copies(store, doing.progress)})


def cohorts_step(study: Study, source: Done, pixels: Done, copies: Done) -> Step:
    """Cohorts: depend on the tables, the decodable images, and every part of the study that draws them."""
    inputs = {"source": source.content, "pixels": pixels.content, "copies": copies.content}
    return Step("cohorts", COHORTS_VERSION, cohort_settings(study), inputs)


def cohort_settings(study: Study) -> dict[str, object]:
    """The parts of a study that decide which images are in which cohort, as one text: their order decides too.

    The certificate of leakage is of the cohorts that are fitted: where `fits` leaves some out, these belong to it.
    """
    parts = {"findings", "classes", "eligible", "age_bands", "cohorts", "train_on", "test_on", "balance", "split"}
    design: dict[str, object] = {"design": study.model_dump_json(include=parts)}
    fitted = list(dict.fromkeys(cohort for cohort, *_ in study.fit_combinations()))
    return design if fitted == list(study.train_cohorts) else {**design, "fitted": fitted}


def build_cohorts(doing: Doing) -> None:
    """Write the manifest, the exclusions, and the frames that describe the design."""
    tables = read_source_tables(doing.input("source"))
    frames = read_frames(doing.input("pixels"), ("unreadable", "digests"))
    design = design_cohorts(
        doing.study,
        tables,
        unreadable=ExclusionTable(_frame(frames["unreadable"])),
        pixel_digests=frames["digests"],
        near_copies=pd.read_parquet(doing.input("copies") / "near_copies.parquet"),
    )
    write_design(doing.work, design)


def write_design(folder: Path, design: CohortDesign) -> None:
    """Write a cohort design as frames and notes."""
    described = {name: getattr(design, name) for name in DESIGN_FRAMES}
    write_frames(folder, {"manifest": design.manifest.frame, "exclusions": design.exclusions.frame, **described})
    write_json(folder / "notes.json", {"notes": list(design.notes)})


def read_manifest(cohorts: Done) -> CohortManifest:
    """The manifest of a finished cohorts step."""
    return CohortManifest(pd.read_parquet(cohorts.folder / "manifest.parquet"))


def samples_step(study: Study, cohorts: Done, pixels: Done) -> Step:
    """Sample radiographs for the report."""
    settings = {"per_cell": SAMPLES_PER_CELL, "size": SAMPLE_SIZE, "stored": study.data.stored_size}
    return Step("samples", SAMPLES_VERSION, settings, {"cohorts": cohorts.content, "pixels": pixels.content})


def draw_samples(doing: Doing) -> None:
    """Write a few radiographs of every cohort and label, chosen by a hash, without their ids."""
    manifest = pd.read_parquet(doing.input("cohorts") / "manifest.parquet")
    images = read_source_tables(doing.input("source")).images
    store, _ = open_pixels(doing.study, doing.place, images)
    chosen = choose_samples(manifest, doing.study)
    pixels = store.gather(store.rows(chosen["image_id"].tolist()))
    np.savez_compressed(doing.work / "samples.npz", pixels=_shrink(pixels))
    write_frames(doing.work, {"samples": chosen.drop(columns="image_id")})


def choose_samples(manifest: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A few images of every test cohort and label: [cohort, label, caption, image_id], the same at every run."""
    rows = manifest[manifest["cohort"].isin(study.test_cohorts)].assign(
        label=lambda frame: frame["finding"].where(frame["y_true"] == 1, "not " + frame["finding"]),
        rank=lambda frame: [hashlib.sha256(key.encode()).hexdigest() for key in frame["image_id"]],
    )
    if study.is_multiclass:
        rows = rows[rows["y_true"] == 1]
    chosen = rows.sort_values("rank").groupby(["cohort", "label"], sort=False).head(SAMPLES_PER_CELL)
    order = {name: i for i, name in enumerate(study.test_cohorts)}
    chosen = chosen.sort_values(
        ["cohort", "label", "rank"], key=lambda c: c.map(order) if c.name == "cohort" else c
    )
    return chosen.assign(caption=[_caption(row) for row in chosen.to_dict("records")])[
        ["cohort", "label", "caption", "image_id"]
    ].reset_index(drop=True)


def _caption(row: Mapping[Hashable, Any]) -> str:
    return f"{row.get('sex', '')} {row.get('view', '')}, {row['label']}".strip(" ,")


def _shrink(pixels: np.ndarray) -> np.ndarray:
    """Images at most `SAMPLE_SIZE` on a side, by averaging whole blocks and cropping the remainder."""
    factor = max(1, pixels.shape[1] // SAMPLE_SIZE)
    side = pixels.shape[1] // factor
    blocks = pixels[:, : side * factor, : side * factor].reshape(len(pixels), side, factor, side, factor)
    return np.asarray(blocks.mean(axis=(2, 4)).round(), dtype=np.uint8)
