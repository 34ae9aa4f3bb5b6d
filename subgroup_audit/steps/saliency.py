"""The step that asks where the networks look, where the study asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit import training
from subgroup_audit.diagnosis import Heat, box_masks, draw_cells, find_errors, heat_in_boxes
from subgroup_audit.errors import ModelError
from subgroup_audit.images.grey import fit_square
from subgroup_audit.images.headers import scan_headers
from subgroup_audit.report.contents import HeatMaps
from subgroup_audit.schema import (
    BOX_HEAT_COLUMNS,
    SALIENCY_COLUMNS,
    BoxTable,
    CohortManifest,
    ImageTable,
    Predictions,
)
from subgroup_audit.steps.data import open_pixels, read_source_tables
from subgroup_audit.steps.encoding import fits_by_kind, look_inputs, look_settings
from subgroup_audit.steps.place import Doing, Place
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

SALIENCY_VERSION = 2
SALIENCY_FRAMES = ("saliency", "box_heat", "errors")
PICTURE_SIZE = 112
MAP_SIZE = 56

Maps = NDArray[np.float32]
Pictures = NDArray[np.uint8]


def saliency_step(
    study: Study, device: str, source: Done, cohorts: Done, predictions: Done, fits: Sequence[Done]
) -> Step:
    """Where networks look: depends on the fits, the cohorts, the boxes, the analysis and the kind of device."""
    inputs = {**look_inputs(cohorts, predictions, fits), "source": source.content}
    return Step("saliency", SALIENCY_VERSION, look_settings(study, device), inputs)


@dataclass(frozen=True, eq=False)
class _Scene:
    """What all fits of a study are looked at with.

    Attributes
    ----------
    cells : images drawn of every finding, test group and label
    masks : what the boxes of a drawn positive image cover, by image; empty without boxes
    """

    study: Study
    manifest: CohortManifest
    predictions: Predictions
    pixels: training.Pixels
    cells: pd.DataFrame
    masks: Mapping[str, Maps]

    def pictures(self, image_ids: Sequence[str]) -> Pictures:
        """The radiographs [n, PICTURE_SIZE, PICTURE_SIZE] as they are shown."""
        stored = self.pixels.gather(self.pixels.rows(list(image_ids)))
        return np.stack([fit_square(image, PICTURE_SIZE) for image in stored])


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was seen so far: rows of the three frames, and the arrays that they point into."""

    cells: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[pd.DataFrame] = field(default_factory=list)
    errors: list[pd.DataFrame] = field(default_factory=list)
    maps: list[Maps] = field(default_factory=list)
    means: list[Pictures] = field(default_factory=list)
    error_maps: list[Maps] = field(default_factory=list)
    error_pictures: list[Pictures] = field(default_factory=list)


def draw_saliency(doing: Doing) -> None:
    """Write mean maps by group and label, heat inside boxes, and confident errors with their maps; no ids."""
    scene = _set_scene(doing)
    fits = [done for done in doing.inputs if done.step.name == "fit"]
    seen, n_done = _Seen(), 0
    for key, seeds in fits_by_kind(fits).items():
        name = dict(zip(("train_cohort", "model", "recipe"), key, strict=True))
        try:
            _look(scene, seen, key, name, seeds, doing.device)
        except ModelError as error:
            seen.cells.extend(name | row for row in _unavailable(scene.cells, len(seeds), str(error)))
        n_done += len(seeds)
        doing.progress(n_done, len(fits))
    _write(doing.work, seen)


def _set_scene(doing: Doing) -> _Scene:
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    tables = read_source_tables(doing.input("source"))
    pixels, _ = open_pixels(doing.study, doing.place, tables.images)
    cells = draw_cells(doing.study, manifest)
    masks = {} if tables.boxes is None else _masks(doing.place, tables.images, tables.boxes, cells)
    return _Scene(doing.study, manifest, predictions, pixels, cells, masks)


def _masks(place: Place, images: ImageTable, boxes: BoxTable, cells: pd.DataFrame) -> dict[str, Maps]:
    """What the boxes cover of each drawn image that has any; the extents are those of the files' headers."""
    positive = set(cells.loc[cells["label"] == "positive", "image_id"])
    wanted = sorted(positive & set(boxes.frame["image_id"]))
    if not wanted:
        return {}
    paths = images.frame.set_index("image_id")["path"].reindex(wanted)
    headers = scan_headers(place.root, paths.tolist(), cache=place.cache).set_index("path")
    extents = headers.loc[paths, ["Columns", "Rows"]].astype("float64").set_axis(["width", "height"], axis=1)
    masks = box_masks(boxes.frame, extents.set_axis(wanted, axis=0), wanted, MAP_SIZE)
    return dict(zip(wanted, masks, strict=True))


def _look(
    scene: _Scene,
    seen: _Seen,
    key: tuple[str, str, str],
    name: dict[str, str],
    seeds: Sequence[Done],
    device: str,
) -> None:
    errors = find_errors(scene.study, scene.manifest, scene.predictions, key)
    image_ids = sorted({*scene.cells["image_id"], *errors["image_id"]})
    heat = _heat(seeds, device, scene.pixels, image_ids)
    seen.cells.extend(name | row for row in _mean_rows(scene, seen, heat, len(seeds)))
    _add_errors(scene, seen, heat, errors.assign(**name))
    if scene.masks:
        boxed = sorted(scene.masks)
        untrained = _heat(seeds, device, scene.pixels, boxed, is_untrained=True)
        for source, found, before in (("fitted", heat, untrained), ("untrained", untrained, None)):
            rows = heat_in_boxes(scene.study, scene.cells, scene.masks, found, before)
            seen.boxes.append(rows.assign(**name, source=source))


def _heat(
    seeds: Sequence[Done],
    device: str,
    pixels: training.Pixels,
    image_ids: Sequence[str],
    *,
    is_untrained: bool = False,
) -> Heat:
    """The maps of these images by every seed's network, or by the same networks with random weights."""
    maps: list[Maps] = []
    findings: tuple[str, ...] = ()
    for done in seeds:
        network = training.load_fitted(done.folder, device)
        findings = network.findings
        if is_untrained:
            network = training.untrained_twin(network, done.folder, int(done.step.settings["seed"]))
        maps.append(training.heat_maps(network, pixels, image_ids))
    return Heat(tuple(image_ids), findings, np.stack(maps))


def _mean_rows(scene: _Scene, seen: _Seen, heat: Heat, n_seeds: int) -> Iterator[dict[str, Any]]:
    fewest = scene.study.analysis.min_persons
    for row, part in _described(scene.cells, n_seeds):
        mean, n_cold = heat.mean(part["image_id"].tolist(), str(row["finding"]))
        row |= {"n_without_heat": n_cold}
        if mean is None:
            yield row | {"place": -1, "status": "not available", "reason": "no map has any heat"}
            continue
        pictures = scene.pictures(part["image_id"].tolist())
        seen.maps.append(mean)
        seen.means.append(np.rint(pictures.mean(axis=0)).astype(np.uint8))
        is_small = row["n_patients"] < fewest
        reason = f"{row['n_patients']} persons" if is_small else ""
        yield row | {"place": len(seen.maps) - 1, "status": "small" if is_small else "ok", "reason": reason}


def _described(cells: pd.DataFrame, n_seeds: int) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each cell's names and counts, with its images."""
    for (finding, group, label), part in cells.groupby(["finding", "test_group", "label"], sort=True):
        yield (
            {
                "finding": finding,
                "test_group": group,
                "label": label,
                "n_available": int(part["n_available"].iloc[0]),
                "n_images": len(part),
                "n_patients": int(part["person"].nunique()),
                "n_seeds": n_seeds,
            },
            part,
        )


def _unavailable(cells: pd.DataFrame, n_seeds: int, reason: str) -> Iterator[dict[str, Any]]:
    for row, _ in _described(cells, n_seeds):
        yield row | {"place": -1, "n_without_heat": 0, "status": "not available", "reason": reason}


def _add_errors(scene: _Scene, seen: _Seen, heat: Heat, errors: pd.DataFrame) -> None:
    """Keep the errors' radiographs and maps, and their rows without who they are of."""
    if errors.empty:
        return
    for row in errors.to_dict("records"):
        maps = heat.of([str(row["image_id"])], str(row["finding"]))[:, 0]
        seen.error_maps.append(maps.mean(axis=0, dtype=np.float64).astype(np.float32))
    seen.error_pictures.extend(scene.pictures(errors["image_id"].tolist()))
    seen.errors.append(errors.drop(columns=["image_id", "person", "label"]))


def _write(work: Path, seen: _Seen) -> None:
    box_columns = [column.name for column in BOX_HEAT_COLUMNS]
    frames = {
        "saliency": pd.DataFrame(seen.cells, columns=[column.name for column in SALIENCY_COLUMNS]),
        "box_heat": pd.concat(seen.boxes, ignore_index=True)[box_columns] if seen.boxes else None,
        "errors": pd.concat(seen.errors, ignore_index=True) if seen.errors else None,
    }
    write_frames(work, frames)
    np.savez_compressed(
        work / "saliency.npz",
        maps=_stacked(seen.maps, MAP_SIZE, np.float32),
        means=_stacked(seen.means, PICTURE_SIZE, np.uint8),
        error_maps=_stacked(seen.error_maps, MAP_SIZE, np.float32),
        error_pictures=_stacked(seen.error_pictures, PICTURE_SIZE, np.uint8),
    )


def _stacked(images: Sequence[NDArray[Any]], side: int, kind: type) -> NDArray[Any]:
    return np.stack(images) if images else np.empty((0, side, side), dtype=kind)


def read_saliency(done: Done | None) -> HeatMaps | None:
    """What a finished saliency step has stored; None where the study asked for none."""
    if done is None:
        return None
    frames = read_frames(done.folder, SALIENCY_FRAMES)
    cells = frames["saliency"]
    if cells is None:
        return None
    boxes = frames["box_heat"]
    if boxes is not None:  # a run of before the gain was measured still shows the rest
        boxes = boxes.reindex(columns=[column.name for column in BOX_HEAT_COLUMNS])
    with np.load(done.folder / "saliency.npz") as stored:
        arrays = {name: stored[name] for name in ("maps", "means", "error_maps", "error_pictures")}
    return HeatMaps(cells, boxes, frames["errors"], **arrays)
