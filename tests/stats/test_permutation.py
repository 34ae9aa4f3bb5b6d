"""Permutation tests: what they permute, that both engines agree, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    auc_components,
    auc_covariance,
    permutation_gap_test,
    permutation_pair_test,
)
from subgroup_audit.stats.deals import arrange_numpy, measure_numpy, rank_items


def draw_images(seed, n=60, n_persons=25, levels=None):
    """Labels, two models' scores and persons; rounded, so that there are ties, if `levels` is given."""
    rng = np.random.default_rng(seed)
    labels, person = rng.random(n) < 0.4, rng.integers(0, n_persons, n)
    scores = rng.standard_normal((2, n)) + labels
    return labels, scores if levels is None else np.round(levels * scores) / levels, person


def groups_as_items(labels, scores, person):
    codes = np.unique(person, return_inverse=True)[1]
    return rank_items(labels, scores, codes, np.zeros(len(codes), np.uint8), is_paired=False), codes


def models_as_items(labels, scores, person):
    codes = np.tile(np.unique(person, return_inverse=True)[1], 2)
    flips = np.repeat(np.array([0, 1], np.uint8), len(labels))
    return rank_items(np.tile(labels, 2), np.concatenate(scores), codes, flips, is_paired=True), codes


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("n_persons", [25, 10**6])
def test_gap_and_variance_of_two_groups_are_obuchowskis(levels, n_persons):
    labels, (scores, _), person = draw_images(1, n_persons=n_persons, levels=levels)
    items, codes = groups_as_items(labels, scores, person)
    sides = (np.arange(codes.max() + 1) % 2).astype(np.uint8)
    gap, variance = measure_numpy(items, sides[:, None])
    cells = [
        auc_components(labels[rows], scores[rows], person=person[rows])
        for rows in (sides[codes] == 0, sides[codes] == 1)
    ]
    assert gap[0] == pytest.approx(cells[0].auc - cells[1].auc, abs=1e-12)
    assert variance[0] == pytest.approx(sum(sum(cell.variance_terms()) for cell in cells), abs=1e-12)


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("n_persons", [25, 10**6])
def test_gap_and_variance_of_two_models_are_those_of_their_covariance(levels, n_persons):
    labels, scores, person = draw_images(2, n_persons=n_persons, levels=levels)
    items, codes = models_as_items(labels, scores, person)
    gap, variance = measure_numpy(items, np.zeros((codes.max() + 1, 1), np.uint8))
    cells = [auc_components(labels, row, person=person) for row in scores]
    covariance = auc_covariance(cells)
    assert gap[0] == pytest.approx(cells[0].auc - cells[1].auc, abs=1e-12)
    assert variance[0] == pytest.approx(np.diag(covariance).sum() - 2 * covariance[0, 1], abs=1e-12)


@pytest.mark.parametrize("levels", [None, 2])
@pytest.mark.parametrize("seed", range(4))
def test_compiled_code_gives_the_same_p_values(seed, levels):
    labels, scores, person = draw_images(seed, levels=levels)
    in_a = person % 2 == 0
    by_groups, by_models = (
        {
            test(labels, *given, person=person, n_permutations=199, seed=seed, engine=engine)
            for engine in ("numpy", "numba")
        }
        for test, given in ((permutation_gap_test, (scores[0], in_a)), (permutation_pair_test, scores))
    )
    assert len(by_groups) == 1
    assert len(by_models) == 1


def test_all_arrangements_are_equally_probable():
    picks = np.random.default_rng(3).random((2, 60_000))
    columns = np.zeros((4, 60_000), np.uint8)
    arrange_numpy(picks, columns)
    counts = [int((columns[[a, b]].sum(axis=0) == 2).sum()) for a, b in itertools.combinations(range(4), 2)]
    assert sum(counts) == 60_000
    assert np.abs(np.array(counts) - 10_000).max() < 4 * np.sqrt(60_000 * (1 / 6) * (5 / 6))


def test_permuted_gaps_are_those_of_all_exchanges_within_a_class():
    """Four positives and four negatives: the Monte-Carlo p-value against all 36 exchanges, one by one."""
    labels = np.repeat([True, False], 4)
    scores = np.array([2.1, 0.3, 1.7, 0.9, 0.2, 1.1, -0.4, 0.8])
    in_a = np.tile([True, True, False, False], 2)

    def statistic(rows):
        cells = [auc_components(labels[part], scores[part]) for part in (rows, ~rows)]
        gap, variance = cells[0].auc - cells[1].auc, sum(sum(cell.variance_terms()) for cell in cells)
        return abs(gap) / np.sqrt(variance) if variance > 0 else (np.inf if gap else 0.0)

    pairs = list(itertools.combinations(range(4), 2))
    found = [
        statistic(np.isin(np.arange(8), [*p, 4 + q[0], 4 + q[1]])) for p, q in itertools.product(pairs, pairs)
    ]
    exact = np.mean(np.array(found) >= statistic(in_a) - 1e-9)
    assert 0.05 < exact < 0.95
    estimated = permutation_gap_test(labels, scores, in_a, n_permutations=20_000)
    assert estimated == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_a_model_against_itself_or_its_transform_has_no_gap():
    labels, (scores, _), person = draw_images(5)
    assert permutation_pair_test(labels, scores, scores, person=person) == 1.0
    assert permutation_pair_test(labels, scores, np.exp(3 * scores), person=person) == 1.0


def test_swapping_the_models_changes_no_p_value():
    labels, scores, person = draw_images(6, levels=3)
    forth = permutation_pair_test(labels, *scores, person=person, seed=1)
    assert permutation_pair_test(labels, *scores[::-1], person=person, seed=1) == forth


def test_pair_test_finds_a_better_model_and_keeps_still_without_one():
    rng = np.random.default_rng(7)
    labels = np.repeat([True, False], [20, 60])
    weak, strong = (rng.standard_normal(80) + distance * labels for distance in (0.3, 2.5))
    assert permutation_pair_test(labels, strong, weak, n_permutations=999) == 0.001
    equal = [
        permutation_pair_test(labels, *(rng.standard_normal((2, 80)) + labels), n_permutations=99, seed=s)
        for s in range(200)
    ]
    assert np.mean(np.array(equal) <= 0.05) < 0.12
    assert 0.4 < np.mean(equal) < 0.6


def test_images_of_a_person_are_exchanged_together():
    """Each image thrice says nothing new: the p-value stays, where as many persons would make it small."""
    labels, (scores, _), _ = draw_images(8, n=40)
    in_a = np.arange(40) % 2 == 0
    scores = scores + labels * in_a
    once = permutation_gap_test(labels, scores, in_a, person=np.arange(40), seed=2)
    again = [np.repeat(values, 3) for values in (labels, scores, in_a)]
    thrice = permutation_gap_test(*again, person=np.repeat(np.arange(40), 3), seed=2)
    apart = permutation_gap_test(*again, person=np.arange(120), seed=2)
    assert thrice == pytest.approx(once, abs=0.02)
    assert apart < once / 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: permutation_gap_test([0, 1, 0, 1], [1, 2, 3, 4], [True, True, False, False], n_permutations=0),
            "n_permutations must be 1 or more, not 0",
        ),
        (
            lambda: permutation_gap_test([0, 1, 0, 0], [1, 2, 3, 4], [True, True, False, False]),
            "a permutation test needs both classes in both groups",
        ),
        (
            lambda: permutation_gap_test([0, 1], [1, 2], [True]),
            "is_in_a has 1 rows, but y_true has 2",
        ),
        (
            lambda: permutation_pair_test([1, 1], [1, 2], [2, 1]),
            "a permutation test needs both classes",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(call, sentence):
    with pytest.raises(StatisticsError) as raised:
        call()
    assert str(raised.value) == sentence
