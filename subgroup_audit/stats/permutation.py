"""The studentised permutation test of a gap between two groups: a check where cells are small."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import auc_components
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_labels, check_persons, check_scores


def permutation_gap_test(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    *,
    person: ArrayLike | None = None,
    n_permutations: int = 999,
    seed: int = 0,
) -> float:
    """The two-sided p-value of no gap between two groups of different persons (0 to 1).

    Group labels are exchanged between persons of the same class (those with a positive image, and those
    without), and the gap is divided by its own standard error each time, so that the test holds when the
    groups differ in spread as well (Pauly, Asendorf & Konietschke 2016, doi:10.1002/bimj.201500105). The
    smallest p-value is 1 / (n_permutations + 1).

    Raises
    ------
    StatisticsError
        As `auc_components`; a person in both groups; or a group that lacks a class.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    keys = np.arange(len(is_positive)) if person is None else check_persons(person, len(is_positive))
    group = np.asarray(is_in_a, dtype=bool)
    if n_permutations < 1:
        raise StatisticsError(f"n_permutations must be 1 or more, not {n_permutations}")
    codes, members, strata = _by_person(keys, group, is_positive)
    order = np.argsort(scores)
    sorted_cell = is_positive[order], scores[order], codes[order]
    observed = abs(_studentised_gap(*sorted_cell, members))
    if math.isnan(observed):
        raise StatisticsError("a permutation test needs both classes in both groups")
    rng = np.random.default_rng(seed)
    shuffled = members.copy()
    reached = 0
    for _ in range(n_permutations):
        for rows in strata:
            shuffled[rows] = rng.permutation(members[rows])
        # A resample whose statistic cannot be had counts against the gap.
        statistic = abs(_studentised_gap(*sorted_cell, shuffled))
        reached += not statistic < observed * (1.0 - 1e-12)
    return (1 + reached) / (1 + n_permutations)


def _by_person(
    keys: ArrayLike, group: BoolArray, is_positive: BoolArray
) -> tuple[IntArray, BoolArray, tuple[IntArray, IntArray]]:
    """Each row's person code, each person's group, and the persons with and without a positive image."""
    persons, codes = np.unique(keys, return_inverse=True)
    if group.shape != is_positive.shape:
        raise StatisticsError(f"is_in_a has {len(group)} rows, but y_true has {len(is_positive)}")
    share = np.bincount(codes, group, len(persons)) / np.bincount(codes, minlength=len(persons))
    n_in_both = int(((share > 0.0) & (share < 1.0)).sum())
    if n_in_both:
        raise StatisticsError(f"a permutation test needs groups of different persons, but {n_in_both} are in both")
    has_positive = np.bincount(codes, is_positive, len(persons)) > 0
    return codes, share == 1.0, (np.flatnonzero(has_positive), np.flatnonzero(~has_positive))


def _studentised_gap(is_positive: BoolArray, scores: FloatArray, codes: IntArray, members: BoolArray) -> float:
    """The gap over its standard error; inf for a gap without variance, nan where a class is missing."""
    rows = members[codes]
    if rows.all() or not rows.any():
        return math.nan
    a, b = (auc_components(is_positive[part], scores[part], person=codes[part]) for part in (rows, ~rows))
    if not (a.is_estimable and b.is_estimable):
        return math.nan
    gap, variance = a.auc - b.auc, sum(a.variance_terms()) + sum(b.variance_terms())
    if not variance > 0.0:
        return math.inf if gap else 0.0
    return gap / math.sqrt(variance)
