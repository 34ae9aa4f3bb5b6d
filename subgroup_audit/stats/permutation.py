"""Studentised permutation tests: of a gap between two groups, and between two models on the same images."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.deals import Items, Sides, arrange_numpy, measure_numpy, rank_items
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    check_choice,
    check_labels,
    check_persons,
    check_scores,
)

Deal: TypeAlias = Callable[[int], Sides]
Arrange: TypeAlias = Callable[[FloatArray, Sides], None]
Measure: TypeAlias = Callable[[Items, Sides], tuple[FloatArray, FloatArray]]

ENGINES = ("auto", "numpy", "numba")
_COMPILED = "subgroup_audit.stats.compiled_deals"

# Rows x permutations that are measured at a time, and from which compiled code is worth its import.
_ENTRIES_AT_A_TIME = 100_000
_WORTH_IF_LOADED = 10_000
_WORTH_IMPORTING = 40_000_000
# Statistics that differ by less are the same one, added up in another order.
_TOLERANCE = 1e-9


def permutation_gap_test(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    *,
    person: ArrayLike | None = None,
    n_permutations: int = 999,
    seed: int = 0,
    engine: str = "auto",
) -> float:
    """The two-sided p-value of no gap between two groups of different persons (0 to 1).

    Group labels are exchanged between persons of the same class (those with a positive image, and those
    without), and the gap is divided by its own standard error each time, so that the test holds when the
    groups differ in spread as well (Pauly, Asendorf & Konietschke 2016, doi:10.1002/bimj.201500105). The
    smallest p-value is 1 / (n_permutations + 1). `engine` is 'auto', 'numpy' or 'numba', as for `PersonDraws`.

    Raises
    ------
    StatisticsError
        As `auc_components`; a person in both groups; or a group that lacks a class.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    keys = np.arange(len(is_positive)) if person is None else check_persons(person, len(is_positive))
    group = np.asarray(is_in_a, dtype=bool)
    _check_options(n_permutations, engine)
    codes, sides, strata = _by_person(keys, group, is_positive)
    items = rank_items(is_positive, scores, codes, np.zeros(len(codes), np.uint8), is_paired=False)
    measure, arrange = _choose_passes(engine, len(codes) * n_permutations)
    deal = _deal_groups(np.random.default_rng(seed), sides, strata, arrange)
    return _p_value(items, sides, deal, n_permutations, measure)


def permutation_pair_test(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    person: ArrayLike | None = None,
    n_permutations: int = 999,
    seed: int = 0,
    engine: str = "auto",
) -> float:
    """The two-sided p-value of no gap between two models on the same images (0 to 1).

    The two models' ranks are swapped within persons, all images of a person or none (Bandos, Rockette & Gur
    2005, doi:10.1002/sim.2149), and the gap is divided by its own paired standard error each time, so that
    the test is for equal AUCs and not for equal curves (Konietschke & Pauly 2012, doi:10.1214/12-EJS714).
    Ranks are among all images of a model, ties sharing theirs: a monotone transform of a model's scores
    changes nothing. The smallest p-value is 1 / (n_permutations + 1).

    Raises
    ------
    StatisticsError
        As `auc_components`; or one class only.
    """
    is_positive = check_labels(y_true)
    n = len(is_positive)
    ranks = [_mid_ranks(check_scores(row, n, name)) for row, name in ((score_a, "score_a"), (score_b, "score_b"))]
    keys = np.arange(n) if person is None else check_persons(person, n)
    _check_options(n_permutations, engine)
    persons, codes = np.unique(keys, return_inverse=True)
    flips = np.repeat(np.array([0, 1], np.uint8), n)
    labels_twice, codes_twice = np.tile(is_positive, 2), np.tile(codes, 2)
    items = rank_items(labels_twice, np.concatenate(ranks), codes_twice, flips, is_paired=True)
    rng = np.random.default_rng(seed)

    def deal(n_lanes: int) -> Sides:
        return rng.integers(0, 2, (n_lanes, len(persons)), dtype=np.uint8).T

    measure, _ = _choose_passes(engine, 2 * n * n_permutations)
    return _p_value(items, np.zeros(len(persons), np.uint8), deal, n_permutations, measure)


def _p_value(items: Items, observed_sides: Sides, deal: Deal, n_permutations: int, measure: Measure) -> float:
    observed = float(np.abs(_studentise(*measure(items, observed_sides[:, None])))[0])
    if math.isnan(observed):
        where = "" if items.is_paired else " in both groups"
        raise StatisticsError(f"a permutation test needs both classes{where}")
    reached = 0
    n_lanes = 64 * max(_ENTRIES_AT_A_TIME // (64 * len(items.persons)), 1)
    for start in range(0, n_permutations, n_lanes):
        sides = deal(min(n_lanes, n_permutations - start))
        found = np.abs(_studentise(*measure(items, sides)))
        # A permutation whose statistic cannot be had counts against the gap.
        reached += int(np.count_nonzero(~(found < observed * (1.0 - _TOLERANCE))))
    return (1 + reached) / (1 + n_permutations)


def _studentise(gaps: FloatArray, variances: FloatArray) -> FloatArray:
    """Gaps over their standard errors; inf for a gap without variance, nan where a class is missing."""
    has_variance = variances > 0.0
    ratio = gaps / np.sqrt(np.where(has_variance, variances, 1.0))
    bare = np.where(np.isnan(gaps), np.nan, np.where(gaps == 0.0, 0.0, np.inf))
    return np.where(has_variance, ratio, bare)


def _choose_passes(engine: str, work: int) -> tuple[Measure, Arrange]:
    """The two inner loops in numpy, or compiled where that is asked for or worth its import."""
    worth = _WORTH_IF_LOADED if _COMPILED in sys.modules else _WORTH_IMPORTING
    if engine == "numpy" or (engine == "auto" and work < worth):
        return measure_numpy, arrange_numpy
    try:
        compiled = importlib.import_module(_COMPILED)
    except (ImportError, RuntimeError):
        if engine == "numba":
            raise
        return measure_numpy, arrange_numpy
    return compiled.measure, compiled.arrange


def _deal_groups(
    rng: np.random.Generator, sides: Sides, strata: tuple[IntArray, IntArray], arrange: Arrange
) -> Deal:
    """Group labels exchanged between the persons of a stratum, with a stream of its own for each stratum."""
    streams = rng.spawn(len(strata))

    def deal(n_lanes: int) -> Sides:
        dealt = np.empty((len(sides), n_lanes), np.uint8)
        for stream, rows in zip(streams, strata, strict=True):
            dealt[rows] = _shuffle(stream, sides[rows], n_lanes, arrange)
        return dealt

    return deal


def _shuffle(stream: np.random.Generator, sides: Sides, n_lanes: int, arrange: Arrange) -> Sides:
    """Columns in which as many rows are 1 as in `sides`, all arrangements equally probable."""
    n_ones = int(sides.sum())
    n_marked = min(n_ones, len(sides) - n_ones)
    columns = np.zeros((len(sides), n_lanes), np.uint8)
    arrange(stream.random((n_lanes, n_marked)).T, columns)
    return columns if n_marked == n_ones else 1 - columns


def _by_person(
    keys: ArrayLike, group: BoolArray, is_positive: BoolArray
) -> tuple[IntArray, Sides, tuple[IntArray, IntArray]]:
    """Each row's person code, each person's side (0 is A), and the persons with and without a positive image."""
    persons, codes = np.unique(keys, return_inverse=True)
    if group.shape != is_positive.shape:
        raise StatisticsError(f"is_in_a has {len(group)} rows, but y_true has {len(is_positive)}")
    share = np.bincount(codes, group, len(persons)) / np.bincount(codes, minlength=len(persons))
    n_in_both = int(((share > 0.0) & (share < 1.0)).sum())
    if n_in_both:
        raise StatisticsError(f"a permutation test needs groups of different persons, but {n_in_both} are in both")
    has_positive = np.bincount(codes, is_positive, len(persons)) > 0
    sides = (share == 0.0).astype(np.uint8)
    return codes, sides, (np.flatnonzero(has_positive), np.flatnonzero(~has_positive))


def _mid_ranks(scores: FloatArray) -> FloatArray:
    """Twice the rank of each score, ties sharing theirs."""
    order = np.argsort(scores)
    starts, ends = tie_bounds(scores[order])
    ranks = np.empty(len(scores))
    ranks[order] = starts + ends
    return ranks


def _check_options(n_permutations: int, engine: str) -> None:
    if n_permutations < 1:
        raise StatisticsError(f"n_permutations must be 1 or more, not {n_permutations}")
    check_choice(engine, ENGINES, "engine")
