"""The images that a model is checked on, with their truth: a study's test images, or a whole data folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.cohort.departures import Departures, departed_rows, nobody_left
from subgroup_audit.cohort.eligibility import leave_ineligible, rules_in_force
from subgroup_audit.cohort.labels import leave_unlabelled
from subgroup_audit.cohort.roster import Roster, read_roster
from subgroup_audit.cohort.split import OFFICIAL_NAMES
from subgroup_audit.datasets import load_source, source_names
from subgroup_audit.datasets.reading import find_file
from subgroup_audit.errors import DataError, nearest
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.schema import SPLITS, ExclusionTable, ImageTable, SourceTables
from subgroup_audit.study import Cohort, Data, FindingRule, Model, Study
from subgroup_audit.watcher import Watcher

MARKS = {
    "phantom": ("stage_2_train_labels.csv", "truth.json"),
    "rsna": ("stage_2_train_labels.csv",),
    "nih": ("Data_Entry_2017*.csv",),
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv",),
    "chexpert": ("train.csv",),
}
"""Files by which a data folder is known, the first that fits; others have to be named."""

STORED_SIZE = 256
OFFICIAL = "official_split"
_SHOWN_REASONS = 4


@dataclass(frozen=True)
class Place:
    """Where the data lie, where decoded pixels are kept, and who hears of progress."""

    root: Path
    cache: Path
    watcher: Watcher


@dataclass(frozen=True, eq=False)
class CheckImages:
    """Images with what is known of them.

    Attributes
    ----------
    rows : image_id, patient_id, split (where a study says it), group columns, age_years, finding, y_true
    pixels : where each of them is found
    notes : which images these are, and how many were left out and why
    """

    rows: pd.DataFrame
    pixels: PixelStore
    notes: tuple[str, ...]


@contextmanager
def timed(watcher: Watcher, name: str, total: int | None = None) -> Iterator[None]:
    """A block that a watcher hears of."""
    watcher.begin(name, total)
    started = time.perf_counter()
    yield
    watcher.end(name, time.perf_counter() - started)


def find_data(study: Study | None, study_folder: Path | None, given: Path | None) -> Path:
    """The folder of the data: the one given, or the study's; raises `DataError` if there is none."""
    root = given
    if root is None and study is not None and study_folder is not None and study.data.root is not None:
        root = study_folder / study.data.root
    if root is None:
        raise DataError("a model is scored on images; say where they lie: --data FOLDER")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; --data must name the folder of the images and their labels")
    return root.resolve()


def find_dataset(root: Path, given: str | None) -> str:
    """The data set in a folder: as named, or known by its files; raises `DataError` where it is not."""
    if given is not None:
        return given
    known = [name for name, files in MARKS.items() if all(find_file(root, [file]) for file in files)]
    if not known:
        raise DataError(
            f"{root}: which data set is this? None is known by its files; say --dataset NAME "
            f"({', '.join(source_names())}), or --study FILE, which can also describe a table of your own"
        )
    return known[0]


def study_images(
    study: Study, place: Place, findings: Sequence[str], size: int, splits: Sequence[str] = ("test",)
) -> CheckImages:
    """The images of a study's cohorts in these splits, as `audit run` draws them from the same files.

    Parameters
    ----------
    size : side of the model's input, px; images are stored as the study says, and larger where the model is
    """
    tables = read_tables(study.data, place)
    store, unreadable = _decode(tables.images, place, study.data.stored_size)
    design = design_cohorts(study, tables, unreadable=unreadable, pixel_digests=store.digests(), describe=False)
    drawn = design.manifest.frame
    chosen = (
        drawn["cohort"].isin(study.test_cohorts) & drawn["split"].isin(splits) & drawn["finding"].isin(findings)
    )
    rows = drawn[chosen].drop_duplicates(["image_id", "finding"]).drop(columns=["cohort", "weight"])
    left = design.exclusions.frame
    left = left[~left["step"].str.startswith("balance")]
    split = " and ".join(splits)
    note = f"Images: the {_count(rows)} of the {split} split of study '{study.study}', as `audit run` draws it."
    if size > study.data.stored_size:
        shown = tables.images.frame[tables.images.frame["image_id"].isin(rows["image_id"])]
        store, _ = _decode(ImageTable(shown), place, size)
    return CheckImages(_in_order(rows), store, (note, *_say_left(left, _n_found(tables)), *tables.notes))


def folder_images(
    dataset: str, tables: SourceTables, place: Place, labels: Mapping[str, tuple[str, ...]], size: int
) -> CheckImages:
    """Every eligible image of a data set, each finding positive by its source labels, negative by any other.

    Eligible is what a study takes that says nothing else: sex F or M, view AP or PA, age 0 to 120, each as far as
    the data set states it at all.
    """
    study = _plain_study(dataset, labels)
    store, unreadable = _decode(tables.images, place, max(size, STORED_SIZE))
    roster = read_roster(study, tables)
    rules, lifted = rules_in_force(study, roster)
    departures = nobody_left(len(roster))
    _leave_unreadable(departures, roster, unreadable)
    leave_ineligible(departures, roster, rules)
    truth = leave_unlabelled(departures, roster, tables.labels, study)
    if not departures.is_in.any():
        said = "; ".join(_say_left(departed_rows(roster, departures), len(roster)))
        raise DataError(f"{place.root}: no image is left to score. {said}")
    rows, own = _own_split(_rows(roster, departures, truth.y, tuple(labels)))
    left = pd.concat([tables.exclusions.frame, departed_rows(roster, departures)], ignore_index=True)
    note = f"Images: the {_count(rows)} that are eligible in data set '{dataset}'."
    lifted = [f"{line[0].upper()}{line[1:]}." for line in lifted]
    return CheckImages(
        _in_order(rows), store, (note, *_say_left(left, _n_found(tables)), *lifted, *own, *tables.notes)
    )


def read_tables(data: Data, place: Place) -> SourceTables:
    """The tables of the data set."""
    with timed(place.watcher, "reading the data set"):
        return load_source(data, place.root, cache=place.cache, progress=place.watcher.advance)


def source_labels(
    tables: SourceTables, findings: Sequence[str], given: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The source labels of each finding: as given, else the label of its name.

    Raises
    ------
    DataError
        No image carries one of them; all are listed.
    """
    carried = sorted(tables.labels.frame["finding"].unique())
    wanted = {name: tuple(given.get(name, (name,))) for name in findings}
    problems = []
    for name, listed in wanted.items():
        for label in listed:
            if label not in carried:
                near = nearest(label, carried) or carried[:20]
                problems.append(
                    f"finding '{name}': no image carries the label '{label}'; there are {', '.join(near)}. Say "
                    f"which it is: --label '{name}:LABEL', or describe the findings in a study: --study FILE"
                )
    if problems:
        raise DataError("\n".join(problems))
    return wanted


def _plain_study(dataset: str, labels: Mapping[str, tuple[str, ...]]) -> Study:
    """The study that says nothing beyond its findings."""
    return Study(
        study="check",
        data=Data(source=dataset),
        findings={name: FindingRule(positive=listed) for name, listed in labels.items()},
        cohorts={"all": Cohort()},
        models={"any": Model(architecture="small_cnn")},
    )


def _decode(images: ImageTable, place: Place, size: int) -> tuple[PixelStore, ExclusionTable]:
    with timed(place.watcher, "decoding", len(images)):
        return build_pixel_store(images, place.root, size=size, cache=place.cache, progress=place.watcher.advance)


def _leave_unreadable(departures: Departures, roster: Roster, unreadable: ExclusionTable) -> None:
    for reason, rows in unreadable.frame.groupby("reason", sort=True):
        who = roster.frame["image_id"].isin(rows["image_id"]).to_numpy(dtype=bool)
        departures.leave("pixels", str(reason), who)


def _rows(roster: Roster, departures: Departures, y: np.ndarray, findings: tuple[str, ...]) -> pd.DataFrame:
    """One row per eligible image and known finding, with sex, view, age and whatever else the source states."""
    further = [name for name in roster.attributes if name not in ("photometric", "source")]
    images = roster.frame[["image_id", "patient_id", *further]]
    parts = []
    for i, name in enumerate(findings):
        known = departures.is_in & ~np.isnan(y[:, i])
        parts.append(images[known].assign(finding=name, y_true=y[known, i].astype("int64")))
    return pd.DataFrame(pd.concat(parts, ignore_index=True))


def _own_split(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows with the data set's own split, where it has one for all of them."""
    if OFFICIAL not in rows:
        return rows, []
    split = rows[OFFICIAL].map(OFFICIAL_NAMES.get).map(dict(enumerate(SPLITS)))
    without = rows.drop(columns=OFFICIAL)
    if split.isna().any():
        return without, []
    return pd.DataFrame(without.assign(split=split.astype("str"))), ["The split is the data set's own."]


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(rows.sort_values(["image_id", "finding"], kind="stable", ignore_index=True))


def _count(rows: pd.DataFrame) -> str:
    n_images, n_persons = rows["image_id"].nunique(), rows["patient_id"].nunique()
    return f"{n_images:,} images of {n_persons:,} persons"


def _n_found(tables: SourceTables) -> int:
    return len(tables.images) + len(tables.exclusions)


def _say_left(left: pd.DataFrame, n_found: int) -> list[str]:
    """How many images were left out, and the reasons of most of them."""
    left = left.drop_duplicates("image_id")
    if left.empty:
        return []
    counts = left["reason"].value_counts()
    said = [f"{n:,} x {reason}" for reason, n in counts.head(_SHOWN_REASONS).items()]
    rest = int(counts.iloc[_SHOWN_REASONS:].sum())
    said += [f"{rest:,} for other reasons"] if rest else []
    return [f"Left out of {n_found:,} images: {len(left):,} ({'; '.join(said)})."]
