"""One split of persons for all cohorts, so that every fit meets the same test patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.departures import Departures
from subgroup_audit.cohort.priority import largest_remainder, occurrence, priority
from subgroup_audit.cohort.roster import Ints, Mask, Roster
from subgroup_audit.errors import CohortError
from subgroup_audit.schema import SPLITS
from subgroup_audit.study import Split

Floats = NDArray[np.float64]

TRAIN, VAL, TEST = range(3)
OFFICIAL_NAMES = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "test": TEST,
    "testing": TEST,
}  # fmt: skip


def unite_persons(roster: Roster, digests: NDArray[np.object_] | None, is_in: Mask) -> tuple[Ints, int]:
    """The group of persons of each image, and how many persons were united with another.

    Persons who share identical pixels may be one person under two ids, and would leak in any case: they form one
    group, and groups are what is split.
    """
    persons = roster.persons
    if digests is None:
        return persons, 0
    rows = np.flatnonzero(is_in & pd.notna(digests))
    pictures = pd.factorize(digests[rows])[0]
    group = _connect(persons, persons[rows], pictures)
    united = len(np.unique(persons[is_in])) - len(np.unique(group[is_in]))
    return group, united


def _connect(persons: Ints, seen: Ints, pictures: Ints) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_persons, n_pictures = int(persons.max(initial=-1)) + 1, int(pictures.max(initial=-1)) + 1
    size = n_persons + n_pictures
    links = coo_array((np.ones(len(seen), dtype="int8"), (seen, n_persons + pictures)), shape=(size, size))
    component = connected_components(links, directed=False)[1].astype("int64")
    return np.asarray(component[persons])


def split_units(roster: Roster, groups: Ints, split: Split) -> tuple[Ints, pd.Series]:
    """What is divided: the code of each image's unit, and the name of each unit, by which it is ordered."""
    if split.unit == "image":
        return np.arange(len(roster), dtype="int64"), roster.frame["image_id"]
    units, _ = pd.factorize(groups)
    smallest = roster.frame["patient_id"].groupby(units).min()  # no matter in which order the images stand
    return units.astype("int64"), smallest


def divide(units: Ints, names: pd.Series, strata: Ints, split: Split, is_in: Mask) -> Ints:
    """The split of each image, 0 train, 1 val, 2 test; -1 where it is not in. Whole units stay together.

    Parameters
    ----------
    units : code of the unit of each image
    names : name of each unit
    strata : code of the balance cell of each image: every cell is divided as nearly by the fractions as it can be
    """
    fractions = np.array([split.train, split.val, split.test])
    return _divide_among(units, names, strata, fractions, split.seed, is_in)


def follow_official(roster: Roster, split: Split, departures: Departures, units: Ints, names: pd.Series,
                    strata: Ints) -> Ints:  # fmt: skip
    """The split that an attribute fixes; images without one leave; a missing val is cut from train.

    Raises
    ------
    CohortError
        The attribute has other values than names of splits, has no train or no test, or divides a person.
    """
    attribute = str(split.official)
    levels = roster.levels(attribute)
    meaning = np.array([OFFICIAL_NAMES.get(name.lower(), -1) for name in levels.names], dtype="int64")
    missing = roster.is_missing(attribute)
    part = np.where(missing, -1, meaning[levels.codes])
    departures.leave("split", "no official split", missing)
    is_in = departures.is_in
    problems = _official_problems(attribute, levels.names, part, is_in, units, split)
    if problems:
        raise CohortError("; ".join(problems))
    if not (part[is_in] == VAL).any():
        fractions = np.array([split.train, split.val]) / (split.train + split.val)
        rest = is_in & (part == TRAIN)
        part = np.where(rest, _divide_among(units, names, strata, fractions, split.seed, rest), part)
    return np.where(is_in, part, -1)


def _official_problems(
    attribute: str, names: Sequence[str], part: Ints, is_in: Mask, units: Ints, split: Split
) -> list[str]:
    strange = [name for name in names if name.lower() not in OFFICIAL_NAMES and name != "Unknown"]
    if strange:
        return [f"split.official: '{attribute}' must hold train, val or test; it has {', '.join(strange[:3])}"]
    problems = [
        f"split.official: '{attribute}' puts no eligible image in {SPLITS[wanted]}"
        for wanted in (TRAIN, TEST)
        if not (part[is_in] == wanted).any()
    ]
    pairs = pd.DataFrame({"unit": units[is_in], "part": part[is_in]}).drop_duplicates()
    straddling = int(pairs["unit"].duplicated().groupby(pairs["unit"]).any().sum())
    if straddling and split.unit == "person":
        problems.append(
            f"split.official: '{attribute}' puts {straddling} persons in more than one split; leave it out "
            "to split by person, or say `unit: image` to follow it and have the report say that persons are shared"
        )
    return problems


def _divide_among(units: Ints, names: pd.Series, strata: Ints, fractions: Floats, seed: int, is_in: Mask) -> Ints:
    rows = np.flatnonzero(is_in)
    _, cell = np.unique(strata[rows], return_inverse=True)
    present, unit = np.unique(units[rows], return_inverse=True)
    order = priority(names.iloc[present], purpose="part", seed=seed)
    targets = np.outer(np.bincount(cell), fractions)
    sizes = np.bincount(unit)
    chosen = np.full(len(present), -1, dtype="int64")
    filled = _place_large(unit, cell, sizes, order, targets, chosen)
    _place_single(unit, cell, sizes, order, targets - filled, chosen)
    parts = np.full(len(units), -1, dtype="int64")
    parts[rows] = chosen[unit]
    return parts


def _place_large(unit: Ints, cell: Ints, sizes: Ints, order: NDArray[np.uint64], targets: Floats,
                 chosen: Ints) -> Floats:  # fmt: skip
    """Place units of several images, largest first, each where it brings the cells nearest to their targets.

    The cost of a split is the sum over cells of (filled - target)^2 / target; a unit goes where the cost rises
    least. Single images, placed after, make up what is left over. Returns the filled counts, cells x splits.
    """
    n_cells, n_parts = targets.shape
    large = np.flatnonzero(sizes > 1)
    large = large[np.lexsort((order[large], -sizes[large]))]
    counted, count = np.unique(unit * n_cells + cell, return_counts=True)
    owner, held = np.divmod(counted, n_cells)
    starts = np.searchsorted(owner, np.arange(len(sizes) + 1)).tolist()
    held_list, count_list = held.tolist(), count.tolist()
    gap = (-targets).tolist()  # filled minus target; plain lists, since these are millions of tiny steps
    weight = (1.0 / targets).tolist()
    for u in large.tolist():
        cells = [(held_list[i], count_list[i]) for i in range(starts[u], starts[u + 1])]
        cost = [sum((2.0 * gap[k][s] + c) * c * weight[k][s] for k, c in cells) for s in range(n_parts)]
        best = cost.index(min(cost))
        chosen[u] = best
        for k, c in cells:
            gap[k][best] += c
    return np.asarray(gap) + targets


def _place_single(unit: Ints, cell: Ints, sizes: Ints, order: NDArray[np.uint64], wanted: Floats,
                  chosen: Ints) -> None:  # fmt: skip
    """Place units of one image: each cell's in random order, by what its splits still want.

    What rounding leaves of one cell is carried to the next, so that small cells do not all favour one split.
    """
    rows = np.flatnonzero(sizes[unit] == 1)
    rows = rows[np.lexsort((order[unit[rows]], cell[rows]))]
    n_single = np.bincount(cell[rows], minlength=len(wanted))
    carry = np.zeros(wanted.shape[1])
    quotas = np.zeros(wanted.shape, dtype="int64")
    for k in np.flatnonzero(n_single):
        need = wanted[k] + carry
        share = np.clip(need, 1e-9, None)  # a split may have too many already; it then gets none
        quotas[k] = largest_remainder(int(n_single[k]), share / share.sum())
        carry = np.clip(need - quotas[k], -1.0, 1.0)
    bounds = np.cumsum(quotas, axis=1)[cell[rows]]
    chosen[unit[rows]] = (occurrence(cell[rows])[:, None] >= bounds).sum(axis=1)
