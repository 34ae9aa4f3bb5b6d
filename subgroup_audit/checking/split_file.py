"""What the splits of a user's own file share: persons, images, and pictures where a folder of them is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.names import IMAGES, PERSONS, SPLIT_WORDS, SPLITS, find_role, plain
from subgroup_audit.checking.opened import Opened, Texts, count, quote
from subgroup_audit.checking.opening import open_source
from subgroup_audit.errors import DataError, TableError, nearest
from subgroup_audit.schema import UNKNOWN, ImageTable

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

IN_ORDER = ("train", "val", "test")
MAX_SPLITS = 20
STORED_SIZE = 256
SHARED = ("shared_persons", "shared_images", "shared_pixels", "shared_near_pixels")


@dataclass(frozen=True, eq=False)
class SplitFile:
    """Images with their person and their split; an image of two splits has two rows.

    Attributes
    ----------
    image : names, array of str [n], '' where a row has none; None where no column names images, and every row
        counts as one
    person : int array [n], a code per person
    split : int array [n], positions in `splits`
    notes : how the columns were read, one sentence each
    """

    origin: str
    image: NDArray[np.object_] | None
    person: Ints
    split: Ints
    splits: tuple[str, ...]
    notes: tuple[str, ...]


def read_split_file(
    source: Any,
    *,
    person: str | None = None,
    split: str | None = None,
    image: str | None = None,
    encoding: str | None = None,
) -> SplitFile:
    """The splits of a file; columns that are not named are guessed from common names.

    Parameters
    ----------
    source : path of a CSV or Parquet file, a DataFrame, or a mapping of column names to arrays

    Raises
    ------
    DataError
        The file cannot be read.
    TableError
        A column is not there, or only a person can choose it; or the splits are none.
    """
    opened = open_source(source, encoding)
    columns = _columns(opened, {"person": person, "split": split, "image": image})
    opened.load([name for name in columns.values() if name])
    if opened.n_rows == 0:
        raise TableError(f"{opened.origin}: it has column names and no rows")
    notes = [*opened.notes, *(f"{role.capitalize()}: '{name}'." for role, name in columns.items() if name)]
    parts = opened.texts(str(columns["split"]))
    splits, code = _splits(opened, str(columns["split"]), parts, notes)
    who = _persons(opened.texts(str(columns["person"])), notes)
    names = opened.texts(str(columns["image"])) if columns["image"] else None
    if names is not None and names.is_missing.any():
        unnamed = count(int(names.is_missing.sum()), "row")
        notes.append(f"Caution: {unnamed} without an image; whether another split has it cannot be told.")
    keep = _distinct(code, names)
    image_id = None if names is None else _words(names)[keep]
    return SplitFile(opened.origin, image_id, who[keep], code[keep], splits, tuple(notes))


def _columns(opened: Opened, said: Mapping[str, str | None]) -> dict[str, str | None]:
    """The column of each role; raises `TableError` with every one that is missing or a question."""
    lines = {"person": PERSONS, "split": SPLITS, "image": IMAGES}
    found: dict[str, str | None] = {}
    problems = []
    for role, name in said.items():
        guessed = find_role(opened.names, lines[role])
        if name is not None and name not in opened.names:
            near = nearest(name, opened.names) or opened.names[:8]
            problems.append(f"--{role} {name}: there is no such column; nearest or first: {quote(near)}")
        elif name is None and len(guessed) > 1:
            problems.append(f"which column is the {role}? By their names {quote(guessed)}: say --{role} COLUMN")
        elif name is None and not guessed and role != "image":
            problems.append(f"no column is named like a {role}; say --{role} COLUMN. It has {quote(opened.names)}")
        found[role] = name or (guessed[0] if guessed else None)
    if problems:
        raise TableError(f"{opened.origin}: " + "; ".join(problems))
    return found


def _splits(opened: Opened, column: str, texts: Texts, notes: list[str]) -> tuple[tuple[str, ...], Ints]:
    """Names of the splits in order, and the position of each row's; -1 where it has none."""
    known = [SPLIT_WORDS.get(plain(word)) for word in texts.words]
    words = [str(name) for name in known] if all(known) else list(texts.words)
    names = [name for name in IN_ORDER if name in words] if all(known) else sorted(words)
    if not 2 <= len(names) <= MAX_SPLITS:
        raise TableError(
            f"{opened.origin}: split column '{column}' has {count(len(names), 'value')} ({quote(names, 4)}); "
            f"a split has 2 to {MAX_SPLITS}. If it is another column: --split COLUMN"
        )
    renamed = [f"'{old}' is {new}" for old, new in zip(texts.words, words, strict=True) if old != new]
    if renamed:
        notes.append(f"Split: {', '.join(renamed)}.")
    if texts.is_missing.any():
        notes.append(f"Left out: {count(int(texts.is_missing.sum()), 'row')} without a split.")
    place = np.array([*(names.index(word) for word in words), -1], dtype=np.int64)
    return tuple(names), place[texts.codes]


def _persons(texts: Texts, notes: list[str]) -> Ints:
    missing = texts.is_missing
    if missing.any():
        n = int(missing.sum())
        notes.append(f"Caution: {count(n, 'row')} without a person; each counts as a person of its own.")
    return np.where(missing, len(texts.words) + np.cumsum(missing) - 1, texts.codes)


def _words(texts: Texts) -> NDArray[np.object_]:
    return np.array([*texts.words, ""], dtype=object)[texts.codes]


def _distinct(split: Ints, names: Texts | None) -> Ints:
    """Rows that have a split, each image of each split once."""
    rows = np.flatnonzero(split >= 0)
    if names is None:
        return rows
    frame = pd.DataFrame({"image": names.codes[rows], "split": split[rows]})
    repeated = frame.duplicated() & (frame["image"] >= 0)
    return np.asarray(rows[~repeated.to_numpy()])


def split_certificate(file: SplitFile, data: Path | None = None, cache: Path | None = None) -> pd.DataFrame:
    """What the splits share: one row for each split that is tested and what was seen before it.

    Of train, val and test, val and test are compared with train and test with val; of other splits, as folds, each
    with all the others together.

    Parameters
    ----------
    data : folder of the images, each found there by the name that the file gives it, with or without suffix
    cache : folder of decoded pixels; needed with `data`

    Columns
    -------
    seen, tested : splits
    n_images, n_persons : of the tested split
    shared_persons : persons of it that were seen
    images_of_seen_persons, share_of_seen_persons : its images that show them, and their share in [0, 1]
    shared_images : its images whose name was seen; missing where no column names images
    n_pictures : its images that were found in the folder and could be decoded; missing without `data`
    shared_pixels, shared_near_pixels : of those, images of which the same picture, or a near copy, was seen under
        another name; missing without `data`

    Raises
    ------
    DataError
        None of the images is in the folder.
    """
    image = None
    if file.image is not None:
        image = np.where(file.image == "", -1, pd.factorize(file.image)[0]).astype(np.int64)
    pictures = None if data is None else _pictures(file, data, cache or data)
    rows = [_compare(file, seen, tested, image, pictures) for seen, tested in _pairs(file)]
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys((*SHARED, "n_pictures"), "Int64"))


def has_shared(certificate: pd.DataFrame) -> bool:
    """Whether any two splits share anything."""
    return bool((certificate[list(SHARED)].fillna(0) > 0).any(axis=None))


def _pairs(file: SplitFile) -> list[tuple[tuple[int, ...], int]]:
    places = range(len(file.splits))
    if set(file.splits) <= set(IN_ORDER):
        return [((seen,), tested) for tested in places for seen in places if seen < tested]
    return [(tuple(seen for seen in places if seen != tested), tested) for tested in places]


@dataclass(frozen=True, eq=False)
class _Pictures:
    """A code per distinct picture of each row, -1 where unknown, and pairs of codes that are near copies."""

    code: Ints
    near: Ints


def _compare(
    file: SplitFile, seen: Sequence[int], tested: int, image: Ints | None, pictures: _Pictures | None
) -> dict[str, Any]:
    is_seen, is_tested = np.isin(file.split, seen), file.split == tested
    of_seen = np.isin(file.person[is_tested], file.person[is_seen])
    n_images = int(is_tested.sum())
    again = None if image is None else np.isin(image[is_tested], image[is_seen & (image >= 0)])
    return {
        "seen": " + ".join(file.splits[place] for place in seen),
        "tested": file.splits[tested],
        "n_images": n_images,
        "n_persons": len(np.unique(file.person[is_tested])),
        "shared_persons": len(np.unique(file.person[is_tested][of_seen])),
        "images_of_seen_persons": int(of_seen.sum()),
        "share_of_seen_persons": float(of_seen.mean()) if n_images else 0.0,
        "shared_images": None if again is None else int(again.sum()),
        **_compare_pictures(pictures, is_seen, is_tested, again),
    }


def _compare_pictures(
    pictures: _Pictures | None, is_seen: Mask, is_tested: Mask, again: Mask | None
) -> dict[str, int | None]:
    if pictures is None or again is None:
        return {"n_pictures": None, "shared_pixels": None, "shared_near_pixels": None}
    tested = pictures.code[is_tested]
    met = np.unique(pictures.code[is_seen & (pictures.code >= 0)])
    near = np.concatenate([pictures.near, pictures.near[:, ::-1]])
    near_to_seen = near[np.isin(near[:, 1], met), 0]
    return {
        "n_pictures": int((tested >= 0).sum()),
        "shared_pixels": int((np.isin(tested, met) & ~again).sum()),
        "shared_near_pixels": int((np.isin(tested, near_to_seen) & ~np.isin(tested, met)).sum()),
    }


def _pictures(file: SplitFile, data: Path, cache: Path) -> _Pictures:
    from subgroup_audit.images.alike import find_near_copies
    from subgroup_audit.images.store import build_pixel_store

    if file.image is None:
        raise TableError(f"{file.origin}: no column names the images of {data}; say --image COLUMN")
    paths = _find_files(file, data)
    names = list(paths)
    frame = pd.DataFrame({"image_id": names, "path": [paths[name] for name in names]})
    for name in ("patient_id", "exam_id", "photometric", "source"):
        frame[name] = ""
    images = ImageTable(frame.assign(sex=UNKNOWN, view=UNKNOWN, age_years=np.nan))
    store, _ = build_pixel_store(images, data, size=STORED_SIZE, cache=cache)
    code, _ = pd.factorize(store.table["pixel_digest"])
    by_name = pd.Series(code, index=store.table["image_id"])
    near = find_near_copies(store)
    pairs = np.column_stack([by_name.reindex(near[name]).to_numpy() for name in ("image_id", "other_id")])
    of_row = by_name.reindex(file.image).fillna(-1).to_numpy(dtype=np.int64)
    return _Pictures(of_row, pairs.astype(np.int64))


def _find_files(file: SplitFile, data: Path) -> dict[str, str]:
    """The path below the folder of each image that is there, by its name in the file."""
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; --data must name the folder of the images")
    found: dict[str, str | None] = {}
    for path in sorted(data.rglob("*")):
        if path.is_file():
            below = path.relative_to(data).as_posix()
            for name in {below, path.name, path.stem}:
                found[name] = below if found.get(name, below) == below else None  # two files of one name: neither
    wanted = dict.fromkeys(str(name) for name in file.image if name) if file.image is not None else {}
    paths = {name: place for name in wanted if (place := found.get(name)) is not None}
    if not paths:
        first = next(iter(wanted), "")
        raise DataError(
            f"{data}: none of the {len(wanted):,} images of {file.origin} is there; the first is '{first}'"
        )
    return paths
