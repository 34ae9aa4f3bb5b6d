"""How many images of each balance cell and split a cohort gets: cells, shares, quotas, ceilings.

A cohort's size N counts its images over all splits. N is divided among the splits by their fractions, and each
split among the cells by their shares. Sizes that the study leaves open are whole multiples of the block, the
smallest number of images in which every share is a whole number, so that their balance is exact; a size that the
study asks for is kept to the image, and then a cell may differ from its share by less than one image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.cohort.priority import deal_out, largest_remainder, occurrence
from subgroup_audit.cohort.roster import LABEL, Ints, Levels, Mask, Roster, value_texts
from subgroup_audit.cohort.split import TEST
from subgroup_audit.errors import nearest
from subgroup_audit.schema import SPLITS, UNKNOWN
from subgroup_audit.study import Balance, Cohort, Study

Floats = NDArray[np.float64]

LARGEST_BLOCK = 2000  # shares such as 0.3337 have no small common block; their balance is rounded instead


@dataclass(frozen=True, eq=False)
class Cells:
    """The balance cells of a cohort.

    Attributes
    ----------
    names : such as 'label=1, sex=F'; 'all' where nothing is balanced
    shares : of the cohort's images, summing to 1
    block : smallest number of images in which every share is a whole number; 0 where there is no small one
    counts : images of each cell over all splits, where the study counts them; they hold whatever rounding would do
    """

    names: tuple[str, ...]
    shares: Floats
    block: int
    counts: Ints | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """The images that a cohort may draw from, best priority first.

    Attributes
    ----------
    matched : images that match the cohort, before the cap on images of one person
    members : images after the cap
    crowded_out : images beyond the cap
    cell, part : of each member; cell -1 fits no balance cell
    available : (n_splits, n_cells) counts of members
    """

    name: str
    matched: Ints
    members: Ints
    crowded_out: Ints
    cells: Cells
    cell: Ints
    part: Ints
    available: Ints


def matching(roster: Roster, cohort: Cohort) -> Mask:
    """Which images match a cohort: `where`, and the values that its mix draws from."""
    found = np.ones(len(roster), dtype=bool)
    for attribute, values in cohort.where.items():
        found &= roster.levels(attribute).among(value_texts(values))
    for attribute, shares in cohort.mix.items():
        found &= roster.levels(attribute).among(value for value, share in shares.items() if share > 0)
    return found


def fill_pool(study: Study, roster: Roster, label: Levels, name: str, order: Ints, parts: Ints) -> Pool:
    """The images that a cohort may draw from and the cells that they fall into.

    Parameters
    ----------
    order : images by priority
    parts : split of each image, -1 for images that left
    """
    cohort = study.cohorts[name]
    matches = matching(roster, cohort) & (parts >= 0)
    matched = order[matches[order]]
    most = study.balance.max_images_per_person
    is_member = np.ones(len(matched), dtype=bool) if most is None else occurrence(roster.persons[matched]) < most
    members = matched[is_member]
    cells, cell = _find_cells(study.balance, cohort, roster, label, members)
    part = parts[members]
    placed = cell >= 0
    flat = np.bincount(part[placed] * len(cells.names) + cell[placed], minlength=3 * len(cells.names))
    return Pool(name, matched, members, matched[~is_member], cells, cell, part, flat.reshape(3, -1))


def cell_attributes(balance: Balance, cohort: Cohort) -> dict[str, dict[str, float]]:
    """The attributes that make a cohort's cells, and their shares; {} where shares are equal."""
    shares = {**balance.shares, **cohort.shares, **cohort.mix, **_counted_shares(cohort)}
    return {name: shares.get(name, {}) for name in dict.fromkeys([*balance.over, *shares])}


def _counted_shares(cohort: Cohort) -> dict[str, dict[str, float]]:
    return {
        attribute: {value: n / sum(counts.values()) for value, n in counts.items()}
        for attribute, counts in cohort.counts.items()
    }


def _find_cells(
    balance: Balance, cohort: Cohort, roster: Roster, label: Levels, members: Ints
) -> tuple[Cells, Ints]:
    """The cells of a cohort, and the cell of each member."""
    values: list[list[tuple[str, Fraction]]] = []
    cell = np.zeros(len(members), dtype="int64")
    attributes = cell_attributes(balance, cohort)
    for attribute, shares in attributes.items():
        levels = label if attribute == LABEL else roster.levels(attribute)
        named = _value_shares(attribute, shares, levels, members, cohort)
        place = {value: i for i, (value, _) in enumerate(named)}
        position = np.array([place.get(name, -1) for name in levels.names], dtype="int64")
        here = position[levels.codes[members]]
        cell = np.where((cell < 0) | (here < 0), -1, cell * len(named) + here)
        values.append([(f"{attribute}={value}", share) for value, share in named])
    combinations = list(product(*values))
    names = tuple(", ".join(word for word, _ in combination) or "all" for combination in combinations)
    exact = [math.prod((share for _, share in combination), start=Fraction(1)) for combination in combinations]
    block = math.lcm(*(share.denominator for share in exact))
    small = block if block <= LARGEST_BLOCK else 0
    return Cells(names, np.array([float(s) for s in exact]), small, _cell_counts(cohort, attributes, values)), cell


def _cell_counts(
    cohort: Cohort, attributes: Iterable[str], values: list[list[tuple[str, Fraction]]]
) -> Ints | None:
    """Images of each cell over all splits, such that every counted attribute has exactly its counts."""
    if cohort.n_asked is None or not cohort.counts:
        return None
    counts = np.array([cohort.n_asked])
    for attribute, shares in zip(attributes, values, strict=True):
        asked = cohort.counts.get(attribute)
        if asked is not None and len(asked) == len(shares):
            totals = np.array(list(asked.values()))
        else:
            totals = largest_remainder(cohort.n_asked, np.array([float(share) for _, share in shares]))
        counts = deal_out(counts, totals).ravel()
    return counts


def _value_shares(
    attribute: str, shares: dict[str, float], levels: Levels, members: Ints, cohort: Cohort
) -> list[tuple[str, Fraction]]:
    """The values of an attribute that have a share, and the shares, exact and summing to 1.

    Without given shares every value that the cohort has counts the same. An unknown first finding is no label.
    """
    if not shares:
        seen = np.unique(levels.codes[members])
        names = [levels.names[i] for i in seen if not (attribute == LABEL and levels.names[i] == UNKNOWN)]
        return [(name, Fraction(1, len(names))) for name in names] or [("known", Fraction(1))]
    allowed = value_texts(cohort.where[attribute]) if attribute in cohort.where else tuple(shares)
    kept = {value: Fraction(share).limit_denominator(10_000) for value, share in shares.items()}
    kept = {value: share for value, share in kept.items() if share > 0 and value in allowed}
    if not kept:
        return [(" or ".join(shares), Fraction(1))]  # one cell without images, for the message to name
    total = sum(kept.values())
    return [(value, share / total) for value, share in kept.items()]


def unknown_values(study: Study, roster: Roster, label: Levels) -> list[str]:
    """One sentence for each value that shares or a mix names and no image has."""
    places = [("balance.shares", study.balance.shares)]
    for name, cohort in study.cohorts.items():
        places += [(f"cohorts.{name}.shares", cohort.shares), (f"cohorts.{name}.mix", cohort.mix)]
        places += [(f"cohorts.{name}.counts", _counted_shares(cohort))]
    problems = []
    for place, mapping in places:
        for attribute, shares in mapping.items():
            levels = label if attribute == LABEL else roster.levels(attribute)
            known = [name for name in levels.names if not (attribute == LABEL and name == UNKNOWN)]
            for value in (value for value, share in shares.items() if share > 0 and value not in known):
                near = nearest(value, known) or known[:10]
                problems.append(
                    f"{place}.{attribute}: no image has the value '{value}'; nearest: {', '.join(near)}"
                )
    return problems


def quotas(size: int, cells: Cells, fractions: Floats, block: int) -> Ints:
    """How many images each split and cell gets, shape (n_splits, n_cells), summing to `size`."""
    if cells.counts is not None and size == cells.counts.sum():
        return deal_out(split_sizes(size, fractions, block), cells.counts)
    return np.stack([largest_remainder(int(n), cells.shares) for n in split_sizes(size, fractions, block)])


def split_sizes(size: int, fractions: Floats, block: int) -> Ints:
    """How many of `size` images each split gets: whole blocks where `size` is a multiple of the block.

    >>> split_sizes(2152, np.array([0.7, 0.1, 0.2]), 2).tolist()
    [1506, 216, 430]
    """
    if block > 1 and size % block == 0:
        return largest_remainder(size // block, fractions) * block
    return largest_remainder(size, fractions)


def common_block(pools: list[Pool], smallest_pool: int) -> int:
    """The smallest number of images in which every share of all the cohorts is a whole number.

    1 where there is none that is small beside the cohorts: exactness would then cost too many images.
    """
    blocks = [pool.cells.block for pool in pools]
    if not blocks or min(blocks) == 0:
        return 1
    block = math.lcm(*blocks)
    return block if block * 20 <= smallest_pool else 1


def cell_ceilings(pool: Pool, fractions: Floats) -> Floats:
    """The largest cohort that each split and cell allows, in images over all splits."""
    return pool.available / np.outer(fractions, pool.cells.shares)


def limited_splits(balance: Balance) -> list[int]:
    """The splits whose cells limit the size: natural test sets take what there is."""
    return [part for part in range(3) if not (part == TEST and balance.test == "natural")]


def has_enough(pool: Pool, size: int, fractions: Floats, block: int, limited: list[int]) -> bool:
    """Whether every cell of the limited splits has the images that a size needs."""
    return not (quotas(size, pool.cells, fractions, block) > pool.available)[limited].any()


def ceiling(pool: Pool, fractions: Floats, block: int, limited: list[int]) -> int:
    """The largest size, in whole blocks, for which every cell of the limited splits has enough images."""
    size = (size_bound(pool, fractions, limited) // block + 1) * block
    while size > 0 and not has_enough(pool, size, fractions, block, limited):
        size -= block
    return size


def size_bound(pool: Pool, fractions: Floats, limited: list[int]) -> int:
    """A size that rounding cannot bring any cell above: no ceiling is larger."""
    return int(((pool.available + 2) / np.outer(fractions, pool.cells.shares))[limited].min())


def limiting(pool: Pool, fractions: Floats, limited: list[int]) -> tuple[int, int]:
    """The split and the cell that set a cohort's ceiling."""
    ceilings = cell_ceilings(pool, fractions)[limited]
    row, cell = np.unravel_index(int(ceilings.argmin()), ceilings.shape)
    return limited[int(row)], int(cell)


def describe_limit(pool: Pool, fractions: Floats, limited: list[int]) -> str:
    """The cell and split that set a cohort's ceiling, in words."""
    part, cell = limiting(pool, fractions, limited)
    return f"cell {pool.cells.names[cell]} has {pool.available[part, cell]:,} images in split {SPLITS[part]}"
