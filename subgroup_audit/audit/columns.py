"""Scores of all fits as columns over the manifest's images: what a table of predictions comes down to."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import TableError

FitKey: TypeAlias = tuple[str, str, str]
Column: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
_NEEDED = ["finding", "fit_id", "image_id", "y_true", "y_score"]


class ScoreColumns:
    """One column of scores per finding and fit, nan where an image has none; filled from one table or several.

    Attributes
    ----------
    images : finding -> keys of the manifest's images of it, which is what a column's places stand for
    columns : finding -> fit -> scores, float32 where that holds them exactly, float64 elsewhere
    """

    def __init__(self, manifest: pd.DataFrame) -> None:
        known = manifest[["finding", "image_id", "y_true"]].drop_duplicates(["finding", "image_id"])
        by_finding = {str(finding): rows for finding, rows in known.groupby("finding", sort=False)}
        self.images = {finding: pd.Index(rows["image_id"]) for finding, rows in by_finding.items()}
        self._labels = {finding: rows["y_true"].to_numpy() for finding, rows in by_finding.items()}
        self.columns: dict[str, dict[str, Column]] = {}
        self._heads: list[pd.DataFrame] = []
        self._wrong: dict[tuple[str, str, int], None] = {}
        self._last: tuple[pd.Series, NDArray[np.intp]] | None = None

    def add(self, frame: pd.DataFrame) -> None:
        """Take the scores of a table of predictions, and note labels that are not the manifest's.

        Raises
        ------
        TableError
            A fit of this table was in an earlier one.
        """
        head = frame.drop_duplicates("fit_id")[["fit_id", "train_cohort", "model", "recipe", "seed"]].copy()
        twice = [fit for fit in head["fit_id"] if any((found["fit_id"] == fit).any() for found in self._heads)]
        if twice:
            raise TableError(f"Predictions: fit '{twice[0]}' is in two tables; all its rows belong into one")
        self._heads.append(head)
        wrong: list[tuple[int, tuple[str, str, int]]] = []
        for (finding, fit), rows in frame[_NEEDED].groupby(["finding", "fit_id"], sort=False):
            if str(finding) in self.images:
                wrong += self._take(str(finding), str(fit), rows)
        self._wrong |= dict.fromkeys(key for _, key in sorted(wrong))

    def checked(self) -> ScoreColumns:
        """These columns; TableError if a label with a score was not the manifest's: rows were shuffled."""
        if self._wrong:
            raise TableError(
                f"Predictions: y_true differs from the cohort's label for {len(self._wrong)} rows, "
                f"the first image '{next(iter(self._wrong))[1]}'; scores and labels do not belong together"
            )
        return self

    def fits(self) -> dict[FitKey, dict[int, str]]:
        """Training cohort, model and recipe -> seed -> fit, seeds rising."""
        if not self._heads:
            return {}
        heads = pd.concat(self._heads, ignore_index=True).drop_duplicates("fit_id")
        found: dict[FitKey, dict[int, str]] = {}
        for row in heads.sort_values("seed", kind="stable").to_dict("records"):
            key = (str(row["train_cohort"]), str(row["model"]), str(row["recipe"]))
            found.setdefault(key, {})[int(row["seed"])] = str(row["fit_id"])
        return found

    def column(self, finding: str, fit: str) -> Column:
        """The scores of one fit, all nan if there are none."""
        found = self.columns[finding].get(fit)
        return np.full(len(self.images[finding]), np.nan, dtype=np.float32) if found is None else found

    def _take(self, finding: str, fit: str, rows: pd.DataFrame) -> list[tuple[int, tuple[str, str, int]]]:
        """Fill one column; the rows whose label is wrong, by their place in the table."""
        places = self._places(finding, rows["image_id"])
        is_known = places >= 0
        column = np.full(len(self.images[finding]), np.nan)
        column[places[is_known]] = rows["y_score"].to_numpy(dtype=np.float64)[is_known]
        self.columns.setdefault(finding, {})[fit] = _smallest(column)
        labels = rows["y_true"].to_numpy()
        differs = np.flatnonzero(is_known & (labels != self._labels[finding][places]))
        images, order = rows["image_id"].to_numpy(dtype=object), rows.index.to_numpy()
        return [(int(order[row]), (finding, str(images[row]), int(labels[row]))) for row in differs]

    def _places(self, finding: str, images: pd.Series) -> NDArray[np.intp]:
        """Where the images stand; fits of one study come with the same images one after the other."""
        images = images.reset_index(drop=True).rename(finding)
        if self._last is None or self._last[0].name != finding or not self._last[0].equals(images):
            self._last = images, self.images[finding].get_indexer(pd.Index(images))
        return self._last[1]


def _smallest(column: NDArray[np.float64]) -> Column:
    """The same numbers in half of the bytes, if they are numbers that a network computed in 32 bits."""
    half = column.astype(np.float32)
    return half if np.array_equal(half.astype(np.float64), column, equal_nan=True) else column
