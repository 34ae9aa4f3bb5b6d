"""Which images each number is of: one model's scores for one finding, on one group of one split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.scored import EVERYBODY, ScoredTable, Task
from subgroup_audit.schema import UNKNOWN
from subgroup_audit.stats.ranked import RankedScores, compact

IntArray: TypeAlias = NDArray[np.int64]
GroupKey: TypeAlias = tuple[str, str]

ALL_IMAGES: GroupKey = ("", EVERYBODY)


@dataclass(frozen=True)
class SampleName:
    """Whose scores, of what, on which images."""

    model: str
    finding: str
    split: str
    attribute: str
    group: str


@dataclass(frozen=True, eq=False)
class Sample:
    """One group's images of one task, in order of score.

    Attributes
    ----------
    ranked : labels, scores and persons
    places : int array [n], position of each image in the arrays of the task
    """

    name: SampleName
    ranked: RankedScores
    places: IntArray


class Layout:
    """A scored table's splits, persons and groups, made ready once for every task.

    Attributes
    ----------
    person : int array [n], persons as codes below `n_codes`
    judged_split : 'test' where the table has test images or no splits; otherwise 'val', or 'train'
    """

    def __init__(self, table: ScoredTable) -> None:
        self.table = table
        self.person, self.n_codes = _dense_persons(table.person)
        self.judged_split = _judged_split(table.split)
        self._groups = {str(name): _categories(table.groups[name]) for name in table.groups.columns}

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes and intersections, in the order of the table."""
        return tuple(self._groups)

    @property
    def has_train(self) -> bool:
        """Whether a train/test gap can be had."""
        return self.table.split is not None and self.judged_split == "test" and bool(self.is_in("train").any())

    def groups_of(self, attribute: str) -> tuple[str, ...]:
        """Groups of one attribute that have an image in the table."""
        names, codes = self._groups[attribute]
        counts = np.bincount(codes, minlength=len(names))
        return tuple(name for name, count in zip(names, counts, strict=True) if count)

    def is_in(self, split: str) -> NDArray[np.bool_]:
        """Whether each image is of this split; a table without splits is all of the judged one."""
        if self.table.split is None:
            return np.full(self.table.n_images, split == self.judged_split)
        return np.asarray(self.table.split == split, dtype=bool)

    def members(self, rows: IntArray, key: GroupKey) -> NDArray[np.bool_]:
        """Which of these rows are of the group."""
        if key == ALL_IMAGES:
            return np.ones(len(rows), dtype=bool)
        names, codes = self._groups[key[0]]
        return np.asarray(codes[rows] == names.index(key[1]))

    def group_keys(self) -> tuple[GroupKey, ...]:
        """Everybody, then every group of every attribute."""
        return (ALL_IMAGES, *((a, group) for a in self.attributes for group in self.groups_of(a)))

    def samples(self, task: Task, split: str) -> Iterator[Sample]:
        """Every group's images of one split of a task; the scores are sorted once."""
        places = np.flatnonzero(self.is_in(split)[task.rows])
        places = places[np.argsort(task.y_score[places], kind="stable")]
        codes, present = compact(self.person[task.rows[places]], self.n_codes)
        whole = RankedScores(task.y_true[places] == 1, task.y_score[places].astype(float), codes, present)
        for key in self.group_keys():
            name = SampleName(task.model, task.finding, split, *key)
            if key == ALL_IMAGES:
                yield Sample(name, whole, places)
                continue
            chosen = self.members(task.rows[places], key)
            yield Sample(name, whole.take(chosen), places[chosen])

    def references(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Reference group of every attribute: the one asked for, or else the one with most judged images."""
        return {a: self._asked(a, chosen) or self._largest(a) for a in self.attributes if self.groups_of(a)}

    def _asked(self, attribute: str, chosen: Mapping[str, str]) -> str | None:
        """The group that was asked for; that of an intersection follows from its parts."""
        parts = attribute.split(" x ")
        if attribute in chosen:
            group = chosen[attribute]
        elif len(parts) > 1 and all(part in chosen for part in parts):
            group = ", ".join(chosen[part] for part in parts)
        else:
            return None
        return group if group in self.groups_of(attribute) else None

    def _largest(self, attribute: str) -> str:
        names, codes = self._groups[attribute]
        counts = np.bincount(codes[self.is_in(self.judged_split)], minlength=len(names))
        known = [place for place, name in enumerate(names) if UNKNOWN not in name.split(", ")]
        candidates = known if any(counts[place] for place in known) else range(len(names))
        return names[max(candidates, key=lambda place: counts[place])]


def _dense_persons(person: IntArray) -> tuple[IntArray, int]:
    codes = np.asarray(person, dtype=np.int64)
    if not len(codes):
        return codes, 0
    if codes.min() >= 0 and codes.max() < 2 * len(codes) + 1000:
        return codes, int(codes.max()) + 1
    distinct, inverse = np.unique(codes, return_inverse=True)
    return inverse, len(distinct)


def _judged_split(split: NDArray[np.object_] | None) -> str:
    if split is None:
        return "test"
    return next((name for name in ("test", "val", "train") if bool(np.any(split == name))), "test")


def _categories(column: pd.Series) -> tuple[list[str], IntArray]:
    """Names of the groups, and each image's position among them; a missing value is Unknown."""
    held = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    if held.isna().any():
        known = held.cat.categories
        held = (held if UNKNOWN in known else held.cat.add_categories([UNKNOWN])).fillna(UNKNOWN)
    return [str(name) for name in held.cat.categories], np.asarray(held.cat.codes, dtype=np.int64)
