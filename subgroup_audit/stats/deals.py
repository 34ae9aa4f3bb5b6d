"""AUCs of items dealt out to two sides, and the variance of their difference, for many deals at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray

Sides: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Items:
    """What is dealt out: the images of two groups, or each image of two models (then it is here twice).

    All arrays are in order of score. `persons` says whom an item is of; `flips` is 1 where an item lies on
    the other side than its person was dealt to (the second model's); `starts` and `ends` bound each item's
    run of ties. `is_paired` means that both sides hold the same images.
    """

    is_positive: BoolArray
    persons: IntArray
    flips: Sides
    starts: IntArray
    ends: IntArray
    n_persons: int
    is_paired: bool


def rank_items(
    is_positive: BoolArray, scores: FloatArray, persons: IntArray, flips: Sides, *, is_paired: bool
) -> Items:
    """The items in order of score, sorted once for all deals."""
    order = np.argsort(scores)
    starts, ends = tie_bounds(scores[order])
    n_persons = int(persons.max()) + 1
    return Items(is_positive[order], persons[order], flips[order], starts, ends, n_persons, is_paired)


def measure_numpy(items: Items, sides: Sides) -> tuple[FloatArray, FloatArray]:
    """AUC of side 0 minus that of side 1, and its variance, for each column of `sides` [n_persons, lanes].

    DeLong's variance, or Obuchowski's by persons. The gap is nan where a side lacks a class, the variance
    nan where a class of a side rests on one person.
    """
    lies_on = [(sides[items.persons] ^ items.flips[:, None]) == side for side in (0, 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [_place(items, on) for on in lies_on]
        (auc_a, positive_a, negative_a), (auc_b, positive_b, negative_b) = parts
        sign = -1.0 if items.is_paired else 1.0
        pulls = _sum_by_person(items, items.is_positive, positive_a + sign * positive_b)
        pushes = _sum_by_person(items, ~items.is_positive, negative_a + sign * negative_b)
        return auc_a - auc_b, _variance(items, sides, pulls, pushes)


def _place(items: Items, on: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One side's AUC [lanes], and what each of its positives and negatives adds to it beyond the mean."""
    is_positive = items.is_positive
    m, n = on[is_positive].sum(axis=0), on[~is_positive].sum(axis=0)
    above = _twice_counts(items, on, ~is_positive)[is_positive] / (2.0 * n)
    below = 1.0 - _twice_counts(items, on, is_positive)[~is_positive] / (2.0 * m)
    auc = np.sum(above, axis=0, where=on[is_positive]) / m
    positive = np.where(on[is_positive], (above - auc) / m, 0.0)
    negative = np.where(on[~is_positive], (below - auc) / n, 0.0)
    return auc, positive, negative


def _twice_counts(items: Items, on: BoolArray, is_counted: BoolArray) -> IntArray:
    """Twice the mid-count of a side's items of one class up to each item, shape [items, lanes]."""
    upto = np.zeros((len(on) + 1, on.shape[1]), dtype=np.int32)
    np.cumsum(on & is_counted[:, None], axis=0, out=upto[1:])
    return np.asarray(upto[items.starts] + upto[items.ends])


def _sum_by_person(items: Items, rows: BoolArray, values: FloatArray) -> FloatArray:
    """Sums of a class's values over each person, shape [n_persons, lanes]."""
    persons = items.persons[rows]
    order = np.argsort(persons, kind="stable")
    present, first = np.unique(persons[order], return_index=True)
    out = np.zeros((items.n_persons, values.shape[1]))
    if len(present):
        out[present] = np.add.reduceat(values[order], first, axis=0)
    return out


def _variance(items: Items, sides: Sides, pulls: FloatArray, pushes: FloatArray) -> FloatArray:
    """Obuchowski's sum over persons; of both sides one by one, unless they hold the same persons."""
    has_positive, has_negative = (
        np.bincount(items.persons[rows], minlength=items.n_persons) > 0
        for rows in (items.is_positive, ~items.is_positive)
    )
    members = [np.ones(sides.shape, bool)] if items.is_paired else [sides == 0, sides == 1]
    total = np.zeros(sides.shape[1])
    for member in members:
        total += _correction(member[has_positive]) * np.sum(pulls**2, axis=0, where=member)
        total += _correction(member[has_negative]) * np.sum(pushes**2, axis=0, where=member)
        total += 2.0 * _correction(member) * np.sum(pulls * pushes, axis=0, where=member)
    return total


def _correction(member: BoolArray) -> FloatArray:
    """K/(K-1) for the K members of each lane; nan for one."""
    n_persons = member.sum(axis=0)
    return np.where(n_persons > 1, n_persons / (n_persons - 1.0), np.nan)


def arrange_numpy(picks: FloatArray, columns: Sides) -> None:
    """Mark len(picks) different rows of each column with 1, in place, by a Fisher-Yates shuffle cut short.

    `picks` [n_marked, lanes] are uniform in 0..1; all sets of rows are equally probable.
    """
    size, lanes = len(columns), np.arange(columns.shape[1])
    rows = np.tile(np.arange(size)[:, None], (1, len(lanes)))
    for step, pick in enumerate(picks):
        chosen = step + (pick * (size - step)).astype(np.int64)
        rows[step], rows[chosen, lanes] = rows[chosen, lanes], rows[step].copy()
    columns[rows[: len(picks)], lanes] = 1
