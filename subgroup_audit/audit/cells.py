"""Cells of the matrix: which images, of which persons, with which scores, joined by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import TableError
from subgroup_audit.schema import UNKNOWN, CohortManifest, Predictions

FitKey = tuple[str, str, str]


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
class Cell:
    """A cell's images: labels, persons, and one column of scores per training seed.

    Attributes
    ----------
    y_true : int array [n]
    person : int array [n], position of the person in `Scores.persons`
    image_id : text array [n], the images, by which further attributes are looked up
    by_seed : training seed -> float array [n]
    """

    name: CellName
    y_true: NDArray[np.int64]
    person: NDArray[np.int64]
    by_seed: Mapping[int, NDArray[np.float64]]
    image_id: NDArray[np.object_]


class Scores:
    """All predictions of a study, one column per fit, to be looked up by image.

    Parameters
    ----------
    manifest : the cohorts, which say what belongs to a cell and what its label is
    predictions : scores by fit, image and finding

    Raises
    ------
    TableError
        A fit lacks the prediction of an image, a prediction's label is not the manifest's, or a person has
        two sexes.
    """

    def __init__(self, manifest: CohortManifest, predictions: Predictions) -> None:
        self.manifest = manifest.frame
        self.persons = np.unique(self.manifest["patient_id"].to_numpy(dtype=object).astype(str))
        self._tables = {
            str(finding): rows.pivot(index="image_id", columns="fit_id", values="y_score")
            for finding, rows in predictions.frame.groupby("finding", sort=False)
        }
        self._check_labels(predictions.frame)
        _check_persons(self.manifest)
        fits = predictions.frame.drop_duplicates("fit_id")
        self.fits: dict[FitKey, dict[int, str]] = {}
        for row in fits.sort_values("seed", kind="stable").to_dict("records"):
            key = (str(row["train_cohort"]), str(row["model"]), str(row["recipe"]))
            self.fits.setdefault(key, {})[int(row["seed"])] = str(row["fit_id"])

    def _check_labels(self, predictions: pd.DataFrame) -> None:
        """A label that came back with a score must be the manifest's: otherwise rows were shuffled."""
        ours = self.manifest.drop_duplicates(["image_id", "finding"])[["image_id", "finding", "y_true"]]
        theirs = predictions.drop_duplicates(["image_id", "finding", "y_true"])[["image_id", "finding", "y_true"]]
        both = theirs.merge(ours, on=["image_id", "finding"], suffixes=("", "_manifest"))
        wrong = both[both["y_true"] != both["y_true_manifest"]]
        if len(wrong):
            raise TableError(
                f"Predictions: y_true differs from the cohort's label for {len(wrong)} rows, "
                f"the first image '{wrong['image_id'].iloc[0]}'; scores and labels do not belong together"
            )

    def cell(self, name: CellName, members: pd.DataFrame) -> Cell:
        """The cell of these manifest rows, which are of one cohort, split and finding."""
        table = self._tables[name.finding]
        seeds = self.fits[name.train_cohort, name.model, name.recipe]
        scores = table[list(seeds.values())].reindex(members["image_id"]).to_numpy(dtype=float)
        absent = np.isnan(scores).any(axis=1)
        if absent.any():
            raise TableError(
                f"Predictions: {int(absent.sum())} images of cohort '{name.test_group}' ({name.split}) have no "
                f"score from the fits of '{name.train_cohort}'; the first is "
                f"'{members['image_id'].iloc[int(absent.argmax())]}'"
            )
        person = np.searchsorted(self.persons, members["patient_id"].to_numpy(dtype=object).astype(str))
        by_seed = {seed: np.ascontiguousarray(scores[:, i]) for i, seed in enumerate(seeds)}
        image_id = members["image_id"].to_numpy(dtype=object)
        return Cell(name, members["y_true"].to_numpy(dtype=np.int64), person, by_seed, image_id)

    def cells(self, findings: tuple[str, ...], test_groups: tuple[str, ...]) -> Iterator[Cell]:
        """Every test cell, and every fit's own training and validation cell, in the order of the study."""
        ordered = self.manifest.sort_values("image_id")
        groups = dict(iter(ordered.groupby(["finding", "cohort", "split"], sort=False)))
        for finding in findings:
            for cohort, model, recipe in self.fits:
                for group, split in [(cohort, "train"), (cohort, "val"), *((g, "test") for g in test_groups)]:
                    members = groups.get((finding, group, split))
                    if members is not None and finding in self._tables:
                        yield self.cell(CellName(finding, cohort, model, recipe, split, group), members)

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
