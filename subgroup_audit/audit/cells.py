"""Cells of the matrix: which images, of which persons, with which scores, joined by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.columns import Column, ScoreColumns
from subgroup_audit.errors import TableError
from subgroup_audit.schema import UNKNOWN, CohortManifest, Predictions

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class CellName:
    """What a cell is: fits of one cohort, model and recipe, scored on one group of one split."""

    finding: str
    train_cohort: str
    model: str
    recipe: str
    split: str
    test_group: str


@dataclass(frozen=True, eq=False)
class Members:
    """The images of one finding, cohort and split, in the order of their keys: what all cells on them share.

    Attributes
    ----------
    y_true : int array [n]
    person : int array [n], position of the person in `Scores.persons`
    image_id : text array [n], the images, by which further attributes are looked up
    places : int array [n], where each image stands in a fit's column of scores
    """

    y_true: NDArray[np.int64]
    person: NDArray[np.int64]
    image_id: NDArray[np.object_]
    places: NDArray[np.int32]


class ScoresBySeed(Mapping[int, FloatArray]):
    """Training seed -> scores of a cell's images, float array [n]; looked up when asked for."""

    def __init__(self, columns: Mapping[int, Column], places: NDArray[np.int32]) -> None:
        self._columns, self._places = columns, places

    def __getitem__(self, seed: int) -> FloatArray:
        """One seed's scores."""
        return self._columns[seed][self._places].astype(np.float64)

    def __iter__(self) -> Iterator[int]:
        """The seeds, in their order."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Number of seeds."""
        return len(self._columns)


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell: what it is, its images, and their scores under every training seed."""

    name: CellName
    members: Members
    by_seed: Mapping[int, FloatArray]

    @property
    def y_true(self) -> NDArray[np.int64]:
        """Labels, int array [n]."""
        return self.members.y_true

    @property
    def person(self) -> NDArray[np.int64]:
        """Positions of the persons in `Scores.persons`, int array [n]."""
        return self.members.person

    @property
    def image_id(self) -> NDArray[np.object_]:
        """Keys of the images, text array [n]."""
        return self.members.image_id


class Scores:
    """All predictions of a study, one column of scores per fit and finding, to be looked up by image.

    Columns hold the manifest's images, in 4 bytes a score where these hold it exactly, as they do what a network
    computed; so that memory goes with fits x images, whatever the frames of the predictions hold besides.

    Parameters
    ----------
    manifest : the cohorts, which say what belongs to a cell and what its label is
    predictions : scores by fit, image and finding; in one table, or in several that are looked at one by one

    Raises
    ------
    TableError
        A fit lacks the prediction of an image, or has two of it; a prediction's label is not the manifest's; or a
        person has two sexes.
    """

    def __init__(self, manifest: CohortManifest, predictions: Predictions | Iterable[Predictions]) -> None:
        self.manifest = manifest.frame
        self.persons = np.unique(self.manifest["patient_id"].to_numpy(dtype=object).astype(str))
        columns = ScoreColumns(self.manifest)
        for table in [predictions] if isinstance(predictions, Predictions) else predictions:
            columns.add(table.frame)
        self._columns = columns.checked()
        _check_persons(self.manifest)
        self.fits = columns.fits()

    def cell(self, name: CellName, members: Members) -> Cell:
        """The cell of these images, which are of one cohort, split and finding."""
        seeds = self.fits[name.train_cohort, name.model, name.recipe]
        columns = {seed: self._columns.column(name.finding, fit) for seed, fit in seeds.items()}
        scores = ScoresBySeed(columns, members.places)
        absent = np.zeros(len(members.places), dtype=bool)
        for seed in scores:
            absent |= np.isnan(scores[seed])
        if absent.any():
            raise TableError(
                f"Predictions: {int(absent.sum())} images of cohort '{name.test_group}' ({name.split}) have no "
                f"score from the fits of '{name.train_cohort}'; the first is "
                f"'{members.image_id[int(absent.argmax())]}'"
            )
        return Cell(name, members, scores)

    def _members(self, rows: pd.DataFrame, finding: str) -> Members:
        ordered = rows.sort_values("image_id")
        return Members(
            y_true=ordered["y_true"].to_numpy(dtype=np.int64),
            person=np.searchsorted(self.persons, ordered["patient_id"].to_numpy(dtype=object).astype(str)),
            image_id=ordered["image_id"].to_numpy(dtype=object),
            places=self._columns.images[finding].get_indexer(ordered["image_id"]).astype(np.int32),
        )

    def cells(self, findings: tuple[str, ...], test_groups: tuple[str, ...]) -> Iterator[Cell]:
        """Every test cell, and every fit's own training and validation cell, in the order of the study."""
        rows = self.manifest[["finding", "cohort", "split", "image_id", "patient_id", "y_true"]]
        places = rows.groupby(["finding", "cohort", "split"], sort=False).indices
        known: dict[tuple[str, str, str], Members] = {}
        for finding in (name for name in findings if name in self._columns.columns):
            for cohort, model, recipe in self.fits:
                for group, split in [(cohort, "train"), (cohort, "val"), *((g, "test") for g in test_groups)]:
                    key = finding, group, split
                    if key not in places:
                        continue
                    if key not in known:
                        known[key] = self._members(rows.iloc[places[key]], finding)
                    yield self.cell(CellName(finding, cohort, model, recipe, split, group), known[key])

    def person_strata(self) -> NDArray[np.int64]:
        """A code per person, so that resamples keep how many persons have a positive image in each split."""
        first = self.manifest["finding"].iloc[0]
        rows = self.manifest[self.manifest["finding"] == first]
        by_person = rows.groupby("patient_id").agg(positive=("y_true", "max"), split=("split", "min"))
        aligned = by_person.reindex(self.persons)
        splits = np.asarray(pd.Categorical(aligned["split"]).codes, dtype=np.int64)
        positive = aligned["positive"].fillna(2).to_numpy(dtype=np.int64)
        return np.asarray(splits * 3 + positive)


def _check_persons(manifest: pd.DataFrame) -> None:
    """A person of two sexes would be in both groups of a gap between sexes: then keys or attributes are wrong."""
    if "sex" not in manifest.columns:
        return
    known = manifest.loc[manifest["sex"].notna() & (manifest["sex"] != UNKNOWN), ["patient_id", "sex"]]
    counts = known.drop_duplicates().groupby("patient_id", sort=True)["sex"].agg(["size", "unique"])
    twofold = counts[counts["size"] > 1]
    if len(twofold):
        values = ", ".join(sorted(map(str, twofold["unique"].iloc[0])))
        raise TableError(
            f"Cohorts: {len(twofold)} of {len(counts)} persons have more than one sex, the first is patient_id "
            f"'{twofold.index[0]}' ({values}); either patient_id does not tell persons apart, or sex is wrong "
            f"on some of their images"
        )
