"""Scores of a run's fits for images without labels, as a table that a challenge takes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.engine import resolve_device
from subgroup_audit.errors import DataError, ModelError, StoreError, nearest
from subgroup_audit.images.plain import SUFFIXES
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.schema import UNKNOWN, ImageTable
from subgroup_audit.store import Done, RunFolder, read_json
from subgroup_audit.watcher import Silence, Watcher

FIT_COLUMNS = ("train_cohort", "model", "recipe", "seed")
_SETTINGS = {"train_cohort": "cohort", "model": "model_name", "recipe": "recipe_name", "seed": "seed"}
_DICOM = (".dcm", ".dicom")
_DICOM_MARK = 128  # where a DICOM file says that it is one


@dataclass(frozen=True)
class FitChoice:
    """Which fits of a run, all where nothing is said, and whether their seeds are averaged.

    Attributes
    ----------
    fits : names of fits' folders, or how they begin
    averages_seeds : one score per training cohort, model and recipe: the mean of the seeds' probabilities
    """

    fits: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    averages_seeds: bool = False


@dataclass(frozen=True, eq=False)
class Submission:
    """Scores, one row an image, and a row for each fit where there are several.

    Attributes
    ----------
    frame : image_id and a column of probabilities per finding, or the names asked for; before them train_cohort,
        model, recipe and seed where several fits are told apart
    fits : the fits that were used, in words
    unreadable : image_id and reason of images without a score
    """

    frame: pd.DataFrame
    fits: tuple[str, ...]
    unreadable: pd.DataFrame


def predict_run(
    run: Path,
    choice: FitChoice,
    images: Path | None,
    *,
    cache: Path,
    columns: Sequence[str] | None = None,
    device: str = "auto",
    watcher: Watcher | None = None,
) -> Submission:
    """The scores of a run's fits.

    Parameters
    ----------
    run : folder of a finished run
    images : folder of radiographs, of any depth; None: the run's own test images, as it stored their scores
    cache : folder of decoded pixels
    columns : names of the table's columns as a challenge wants them, the image's first; then there may be only one
        row an image

    Raises
    ------
    StoreError
        The folder holds no finished run.
    ModelError
        No fit is as asked.
    DataError
        The folder of images holds none that can be read, or two of one name; or `columns` do not fit.
    """
    record = read_json(run / "run.json")
    if "steps" not in record:
        raise StoreError(f"{run}: no finished run lies here; `audit run STUDY --out {run}` makes one")
    fits = choose_fits(run, record["steps"], record["study"], choice)
    if columns is not None:
        _check_columns(columns, fits, choice)
    if images is None:
        frames, left = [_stored_scores(fit) for fit in fits], _no_images()
    else:
        store, left = _read_images(images, _stored_size(fits), cache, watcher or Silence())
        frames = _new_scores(fits, store, resolve_device(device), watcher or Silence())
        frames = [_with_unreadable(frame, left) for frame in frames]
    table = pd.concat([_named(frame, fit) for frame, fit in zip(frames, fits, strict=True)], ignore_index=True)
    frame = _arrange(table, choice)
    if columns is not None:
        frame = frame.set_axis(list(columns), axis="columns")
    return Submission(frame, tuple(_label(fit) for fit in fits), left)


def _check_columns(columns: Sequence[str], fits: Sequence[Done], choice: FitChoice) -> None:
    """Refuse names that do not fit the table to come, before any image is scored; all that is wrong at once."""
    keys = [name for name in FIT_COLUMNS if name != "seed" or not choice.averages_seeds]
    n_fits = len({tuple(fit.step.settings[_SETTINGS[name]] for name in keys) for fit in fits})
    wide = ["image_id", *dict.fromkeys(name for fit in fits for name in fit.step.settings["findings"])]
    problems = []
    if n_fits > 1:
        problems.append(
            f"{n_fits} fits are left, and a challenge wants one row an image; "
            f"choose one by --cohort, --model, --seed or --fit, or average seeds by --mean-over-seeds"
        )
    if len(columns) != len(wide):
        problems.append(f"{len(columns)} names for {len(wide)} columns, which are {', '.join(wide)}")
    if not all(columns):
        problems.append("a name is empty")
    problems += [f"{name} is there twice" for name in sorted(set(columns)) if name and columns.count(name) > 1]
    if problems:
        raise DataError(f"--columns {','.join(columns)}: " + "\n".join(problems))


def choose_fits(run: Path, steps: Sequence[str], study: str, choice: FitChoice) -> list[Done]:
    """The fits of a run that are asked for, in its order; raises `ModelError` where a wish fits none."""
    folder = RunFolder(run, study)
    fits = [folder.find(name) for name in steps if name.startswith("fit-")]
    problems = [
        *_unknown("--cohort", choice.cohorts, [fit.step.settings["cohort"] for fit in fits]),
        *_unknown("--model", choice.models, [fit.step.settings["model_name"] for fit in fits]),
        *_unknown("--seed", map(str, choice.seeds), [str(fit.step.settings["seed"]) for fit in fits]),
        *[
            f"--fit {name}: no fit's folder begins so; there are {', '.join(fit.folder.name for fit in fits[:5])}"
            for name in choice.fits
            if not any(fit.folder.name.startswith(name) for fit in fits)
        ],
    ]
    if problems:
        raise ModelError(f"{run}: " + "\n".join(problems))
    chosen = [fit for fit in fits if _is_wanted(fit, choice)]
    if not chosen:
        raise ModelError(f"{run}: none of its {len(fits)} fits is all that is asked for at once")
    return chosen


def _unknown(option: str, wanted: Any, known: Sequence[str]) -> list[str]:
    there = list(dict.fromkeys(known))
    return [
        f"{option} {name}: the run has none; nearest: {', '.join(nearest(name, there) or there[:5])}"
        for name in wanted
        if name not in there
    ]


def _is_wanted(fit: Done, choice: FitChoice) -> bool:
    settings = fit.step.settings
    return (
        (not choice.cohorts or settings["cohort"] in choice.cohorts)
        and (not choice.models or settings["model_name"] in choice.models)
        and (not choice.seeds or settings["seed"] in choice.seeds)
        and (not choice.fits or fit.folder.name.startswith(choice.fits))
    )


def _label(fit: Done) -> str:
    return " / ".join(str(fit.step.settings[_SETTINGS[name]]) for name in FIT_COLUMNS[:3]) + (
        f" / seed {fit.step.settings['seed']}"
    )


def _stored_scores(fit: Done) -> pd.DataFrame:
    """image_id and a column per finding, of the run's test images."""
    rows = pd.read_parquet(fit.folder / "predictions.parquet")
    rows = rows[rows["split"] == "test"]
    wide = rows.pivot_table(index="image_id", columns="finding", values="y_score", aggfunc="first")
    return wide.reindex(columns=fit.step.settings["findings"]).reset_index()


def _no_images() -> pd.DataFrame:
    return pd.DataFrame({"image_id": [], "reason": []}, dtype="str")


def _stored_size(fits: Sequence[Done]) -> int:
    """The size at which the fits saw their images, px; one run stores all of them alike."""
    return max(int(fit.step.settings["stored_size"]) for fit in fits)


def _read_images(root: Path, size: int, cache: Path, watcher: Watcher) -> tuple[PixelStore, pd.DataFrame]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; --images must name a folder of radiographs")
    table = list_images(root)
    watcher.begin("decoding", len(table))
    started = time.perf_counter()
    store, left = build_pixel_store(table, root, size=size, cache=cache, progress=watcher.advance)
    watcher.end("decoding", time.perf_counter() - started)
    return store, left.frame[["image_id", "reason"]]


def list_images(root: Path) -> ImageTable:
    """Every radiograph below a folder: JPEG, PNG, TIFF, BMP, and DICOM whatever its name. Its image_id is its path
    below the folder without the ending.

    Raises
    ------
    DataError
        There is none, or two have one image_id.
    """
    paths = list(_walk(root))
    if not paths:
        raise DataError(f"{root}: no radiograph lies there (jpg, png, tif, bmp, dcm, or DICOM without an ending)")
    ids = pd.Series([_without_ending(path) for path in paths], dtype="str")
    twice = ids[ids.duplicated()]
    if len(twice):
        same = [path for path, key in zip(paths, ids, strict=True) if key == twice.iloc[0]]
        raise DataError(
            f"{root}: {len(twice)} names stand for two images each, the first {' and '.join(same[:2])}"
        )
    unknown = pd.Series(UNKNOWN, index=ids.index, dtype="str")
    return ImageTable(
        pd.DataFrame(
            {
                "image_id": ids,
                "patient_id": ids,
                "exam_id": ids,
                "path": pd.Series(paths, dtype="str"),
                "sex": unknown,
                "view": unknown,
                "age_years": np.full(len(ids), np.nan),
                "photometric": unknown,
                "source": "folder",
            }
        ),
        origin=str(root),
    )


def _without_ending(path: str) -> str:
    """A path without the ending of an image's kind; the last number of a unique identifier is no ending.

    >>> _without_ending("a/b.dcm"), _without_ending("a/1.2.840.7")
    ('a/b', 'a/1.2.840.7')
    """
    ending = Path(path).suffix
    return path.removesuffix(ending) if ending.lower() in (*SUFFIXES, *_DICOM) else path


def _walk(root: Path) -> Iterator[str]:
    for folder, below, files in os.walk(root):
        below.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if name[0] != "." and _is_image(path):
                yield path.relative_to(root).as_posix()


def _is_image(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending in SUFFIXES or ending in _DICOM:
        return True
    if ending and not ending[1:].isdigit():  # unique identifiers end in numbers, and many DICOM files bear them
        return False
    with path.open("rb") as stream:
        return stream.read(_DICOM_MARK + 4)[_DICOM_MARK:] == b"DICM"


def _new_scores(fits: Sequence[Done], store: PixelStore, device: str, watcher: Watcher) -> list[pd.DataFrame]:
    from subgroup_audit.training import load_fitted, predict

    frames = []
    watcher.begin("scoring", len(fits))
    started = time.perf_counter()
    for done, fit in enumerate(fits, start=1):
        fitted = load_fitted(fit.folder, device)
        scores = predict(fitted, store, store.image_ids).astype(np.float64)
        columns = {name: scores[:, i] for i, name in enumerate(fitted.findings)}
        frames.append(pd.DataFrame({"image_id": pd.Series(store.image_ids, dtype="str"), **columns}))
        watcher.advance(done, len(fits))
    watcher.end("scoring", time.perf_counter() - started)
    return frames


def _with_unreadable(frame: pd.DataFrame, left: pd.DataFrame) -> pd.DataFrame:
    """The frame with a row without a score for each image that could not be read, in order of image."""
    ids = sorted([*frame["image_id"], *left["image_id"]])
    return frame.set_index("image_id").reindex(pd.Index(ids, name="image_id")).reset_index()


def _named(frame: pd.DataFrame, fit: Done) -> pd.DataFrame:
    settings = {name: fit.step.settings[key] for name, key in _SETTINGS.items()}
    return frame.assign(**settings)


def _arrange(table: pd.DataFrame, choice: FitChoice) -> pd.DataFrame:
    """Image and findings, with the columns that tell fits apart before them where there are several fits."""
    findings = [name for name in table.columns if name not in ("image_id", *FIT_COLUMNS)]
    keys = list(FIT_COLUMNS)
    if choice.averages_seeds:
        keys.remove("seed")
        grouped = table.groupby([*keys, "image_id"], sort=False)[findings]
        table = grouped.mean().reset_index()
    if len(table[keys].drop_duplicates()) == 1:
        keys = []
    return pd.DataFrame(table[[*keys, "image_id", *findings]].reset_index(drop=True))
