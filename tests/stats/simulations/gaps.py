"""Coverage of gaps, and the size of their tests: of two groups, of two models, of groups that share persons."""

from __future__ import annotations

import math

import numpy as np
from simulations.draws import (
    cut_points,
    draw_clustered,
    draw_images,
    draw_overlap,
    draw_pair,
    rounded,
    shift,
    true_auc,
)
from simulations.judged import Rates, average, beside_bootstrap, within

from subgroup_audit.stats import (
    AucComponents,
    PersonDraws,
    auc_components,
    auc_gap,
    permutation_gap_test,
    permutation_pair_test,
    stratified_auc_replicates,
)
from subgroup_audit.stats.limits import MoverLimits, WaldLimits

ENGINE = "numba"
N_PERMUTATIONS = 499
FAR = 10**6


def wald_gap(a: AucComponents, b: AucComponents) -> tuple[float, float]:
    """The plain DeLong z interval of two independent AUCs."""
    variance = sum(a.variance_terms()) + sum(b.variance_terms())
    return WaldLimits(a.auc - b.auc, math.sqrt(max(variance, 0.0)), math.inf).at_tail(0.025)


def group_gap(rng, n_sets, *, sizes, values, spread=1.0, levels=None, is_shifted=False, n_resamples=1000) -> Rates:
    """Coverage for the gap of two groups of different persons; `spread` is that of B's positives.

    B's scores are doubled and moved if `is_shifted`, which its AUC does not notice, but a permutation might.
    """
    spreads = (1.0, spread)
    cuts = [levels and cut_points(value, levels, each) for value, each in zip(values, spreads, strict=True)]
    truths = [true_auc(*item) for item in zip(values, cuts, spreads, strict=True)]
    truth = truths[0] - truths[1]
    in_a = np.repeat([True, False], [sum(size) for size in sizes])

    def one_set() -> Rates:
        data = []
        for size, value, each, cut in zip(sizes, values, spreads, cuts, strict=True):
            labels, scores = draw_images(rng, *size, value, each)
            data.append((labels, rounded(scores, cut)))
        if is_shifted:
            data[1] = (data[1][0], 1.0 + 2.0 * data[1][1])
        cells, replicates = [], []
        for (labels, scores), first in zip(data, (0, FAR), strict=True):
            cells.append(auc_components(labels, scores, person=first + np.arange(len(labels))))
            seed = int(rng.integers(2**31))
            replicates.append(stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)[0])
        gap = auc_gap(*cells)
        rates = beside_bootstrap(gap, replicates[0] - replicates[1], truth)
        rates |= {"DeLong z": within(wald_gap(*cells), truth)}
        return rates | sizes_of_tests(rng, gap, truth, *map(np.concatenate, zip(*data, strict=True)), in_a)

    return average(one_set, n_sets)


def sizes_of_tests(rng, gap, truth, labels, scores, in_a, person=None) -> Rates:
    """Whether each test rejects equal AUCs at 5 %; nan where they are not equal, for that is no error."""
    if truth != 0.0:
        return {"p < 0.05, interval": math.nan, "p < 0.05, permutation": math.nan}
    seed = int(rng.integers(2**31))
    permuted = permutation_gap_test(
        labels, scores, in_a, person=person, n_permutations=N_PERMUTATIONS, seed=seed, engine=ENGINE
    )
    return {
        "p < 0.05, interval": float(gap.p_value < 0.05),
        "p < 0.05, permutation": float(permuted <= 0.05),
    }


def clustered_gap(rng, n_sets, *, clusters, value, labels_per, levels=None, n_resamples=500) -> Rates:
    """Coverage for the gap of two groups of different persons with several images each."""
    cuts = levels and cut_points(value, levels)

    def one_set() -> Rates | None:
        sides = []
        for place, size in enumerate(clusters):
            labels, scores, person = draw_clustered(rng, *size, value, labels_per=labels_per)
            if labels.all() or not labels.any():
                return None
            sides.append((labels, rounded(scores, cuts), person + place * FAR))
        cells = [auc_components(labels, scores, person=person) for labels, scores, person in sides]
        alone = [auc_components(labels, scores, person=np.arange(len(labels)) + place * FAR)
                 for place, (labels, scores, _) in enumerate(sides)]  # fmt: skip
        a, b = _person_replicates(rng, sides, n_resamples)
        gap, wrong = auc_gap(*cells), auc_gap(*alone)
        labels, scores, person = map(np.concatenate, zip(*sides, strict=True))
        return (
            beside_bootstrap(gap, a - b, 0.0)
            | {"image level (control)": within((wrong.low, wrong.high), 0.0)}
            | sizes_of_tests(rng, gap, 0.0, labels, scores, person < FAR, person)
        )

    return average(one_set, n_sets)


def _person_replicates(rng, sides, n_resamples):
    """Replicates of both sides from one draw of persons, within those with and without a positive image."""
    labels, _, person = map(np.concatenate, zip(*sides, strict=True))
    present, codes = np.unique(person, return_inverse=True)
    strata = np.bincount(codes, labels) > 0
    seed = int(rng.integers(2**31))
    draws = PersonDraws(present, strata, n_resamples=n_resamples, seed=seed, engine=ENGINE)
    return draws.auc_replicates_many(sides)


def zou_limits(gap) -> tuple[float, float]:
    """MOVER with correlation as published: opposite limits of the two AUCs also in the correlated part."""
    a, b, r = gap.limits.minuend, gap.limits.subtrahend, gap.correlation
    (low_a, high_a), (low_b, high_b) = a.at_tail(0.025), b.at_tail(0.025)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(x * x + y * y - 2 * r * x * y, 0.0))

    return (
        gap.estimate - reach(a.estimate - low_a, high_b - b.estimate),
        gap.estimate + reach(high_a - a.estimate, b.estimate - low_b),
    )


def paired_gap(rng, n_sets, *, m, n, values, correlation, levels=None, n_resamples=1000) -> Rates:
    """Coverage for the gap of two models on the same images, beside treating them as independent."""
    labels, keys = np.repeat([True, False], [m, n]), np.arange(m + n)
    cuts = [levels and cut_points(value, levels) for value in values]
    truths = [true_auc(value, cut) for value, cut in zip(values, cuts, strict=True)]
    truth = truths[0] - truths[1]

    def one_set() -> Rates:
        scores = draw_pair(rng, labels, values, correlation)
        scores = np.array([rounded(row, cut) for row, cut in zip(scores, cuts, strict=True)])
        gap = auc_gap(*(auc_components(labels, row, person=keys) for row in scores))
        seed = int(rng.integers(2**31))
        a, b = stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)
        apart = MoverLimits(gap.limits.minuend, gap.limits.subtrahend, 0.0).at_tail(0.025)
        return (
            beside_bootstrap(gap, a - b, truth)
            | {
                "Zou": within(zou_limits(gap), truth),
                "as if independent (control)": within(apart, truth),
                "width as if independent": apart[1] - apart[0],
            }
            | sizes_of_pair_tests(rng, gap, truth, labels, scores)
        )

    return average(one_set, n_sets)


def sizes_of_pair_tests(rng, gap, truth, labels, scores, person=None) -> Rates:
    """Whether each test rejects equal AUCs of two models at 5 %; nan where they are not equal."""
    if truth != 0.0:
        return {"p < 0.05, interval": math.nan, "p < 0.05, permutation": math.nan}
    seed = int(rng.integers(2**31))
    permuted = permutation_pair_test(
        labels, *scores, person=person, n_permutations=N_PERMUTATIONS, seed=seed, engine=ENGINE
    )
    return {
        "p < 0.05, interval": float(gap.p_value < 0.05),
        "p < 0.05, permutation": float(permuted <= 0.05),
    }


def clustered_pair(rng, n_sets, *, clusters, value, correlation, n_resamples=500) -> Rates:
    """Coverage for the gap of two models on several images a person."""

    def one_set() -> Rates | None:
        labels, first, person = draw_clustered(rng, *clusters, value, labels_per="image")
        if labels.all() or not labels.any():
            return None
        _, level = np.unique(person, return_inverse=True)
        own = math.sqrt(0.5) * (rng.standard_normal(level.max() + 1)[level] + rng.standard_normal(len(labels)))
        moved = shift(value) * labels
        second = correlation * (first - moved) + math.sqrt(1.0 - correlation**2) * own + moved
        scores = np.array([first, second])
        gap = auc_gap(*(auc_components(labels, row, person=person) for row in scores))
        wrong = auc_gap(*(auc_components(labels, row, person=np.arange(len(labels))) for row in scores))
        a, b = _person_replicates(rng, [(labels, row, person) for row in scores], n_resamples)
        return (
            beside_bootstrap(gap, a - b, 0.0)
            | {"image level (control)": within((wrong.low, wrong.high), 0.0)}
            | sizes_of_pair_tests(rng, gap, 0.0, labels, scores, person)
        )

    return average(one_set, n_sets)


def shared_person_gap(rng, n_sets, *, n_persons, shared, value, levels=None, n_resamples=1000) -> Rates:
    """Coverage for the gap of two groups that share persons, beside taking them for disjoint."""
    cuts = levels and cut_points(value, levels)

    def one_set() -> Rates | None:
        group, labels, scores, person = draw_overlap(rng, n_persons, shared, value)
        scores = rounded(scores, cuts)
        sides = [(labels[group == side], scores[group == side], person[group == side]) for side in (0, 1)]
        cells, apart = (
            [auc_components(y, s, person=who + side * far) for side, (y, s, who) in enumerate(sides)]
            for far in (0, FAR)
        )
        if not all(cell.is_estimable for cell in cells):
            return None
        a, b = _person_replicates(rng, sides, n_resamples)
        gap, wrong = auc_gap(*cells), auc_gap(*apart)
        return beside_bootstrap(gap, a - b, 0.0) | {
            "width as if other persons": wrong.high - wrong.low,
            "p < 0.05, interval": float(gap.p_value < 0.05),
        }

    return average(one_set, n_sets)
