"""The permutation test over several fits: its statistic, its size, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import auc_components, exchange_test, permutation_gap_test
from subgroup_audit.stats.exchange import _prepare, _statistics


def make_groups(rng, n: int, shifts=(1.0, 1.0), *, n_fits: int = 1, images_a_person: int = 1, decimals: int = 9):
    """Labels, scores [fits, 2n], group and person; scores rounded to give ties."""
    person = np.arange(2 * n) // images_a_person
    group = person < n // images_a_person
    labels = rng.integers(0, 2, 2 * n)
    common = rng.standard_normal(2 * n)
    scores = [
        np.round(0.7 * common + 0.7 * rng.standard_normal(2 * n) + labels * np.where(group, *shifts), decimals)
        for _ in range(n_fits)
    ]
    return labels, np.stack(scores), group, person


@pytest.mark.parametrize("images_a_person", [1, 3])
@pytest.mark.parametrize("decimals", [9, 0])
def test_the_statistic_is_the_studentised_gap(images_a_person: int, decimals: int) -> None:
    labels, scores, group, person = make_groups(
        np.random.default_rng(0), 60, (1.5, 0.5), images_a_person=images_a_person, decimals=decimals
    )
    a, b = (auc_components(labels[rows], scores[0][rows], person=person[rows]) for rows in (group, ~group))
    expected = (a.auc - b.auc) / np.sqrt(sum(a.variance_terms()) + sum(b.variance_terms()))
    cell, members, _ = _prepare(labels, scores, group, person)
    assert _statistics(cell, members[:, None].astype(float))[0] == pytest.approx(expected, rel=1e-10)


def test_several_fits_are_averaged_by_their_placements() -> None:
    labels, scores, group, person = make_groups(np.random.default_rng(1), 50, n_fits=3)
    cell, members, _ = _prepare(labels, scores, group, person)
    value, variance = cell.gap_terms(members[:, None].astype(float))[0]
    parts = [auc_components(labels[group], row[group], person=person[group]) for row in scores]
    assert value[0] == pytest.approx(np.mean([part.auc for part in parts]))
    from subgroup_audit.stats import auc_covariance

    assert variance[0] == pytest.approx(auc_covariance(parts).mean(), rel=1e-10)


def test_one_fit_agrees_with_the_plain_test() -> None:
    labels, scores, group, person = make_groups(np.random.default_rng(2), 40, (1.4, 0.7))
    plain = permutation_gap_test(labels, scores[0], group, person=person, n_permutations=4000)
    assert exchange_test(labels, scores, group, person=person, n_permutations=4000) == pytest.approx(
        plain, abs=0.015
    )


def test_a_planted_gap_is_found_and_the_size_holds() -> None:
    rng = np.random.default_rng(3)
    labels, scores, group, person = make_groups(rng, 150, (2.5, 0.3), n_fits=2)
    assert exchange_test(labels, scores, group, person=person) == 0.001
    found = [
        exchange_test(*(drawn := make_groups(rng, 25, n_fits=2))[:3], person=drawn[3], n_permutations=99)
        for _ in range(200)
    ]
    # Of 200 tests at 5 %, 21 or more come out by chance with probability 0.001.
    assert sum(p <= 0.05 for p in found) <= 20


def test_what_cannot_be_exchanged_is_refused() -> None:
    labels, scores, group, person = make_groups(np.random.default_rng(4), 10)
    with pytest.raises(StatisticsError, match="needs groups of different persons, but 10 are in both"):
        exchange_test(labels, scores, group, person=np.arange(20) % 10)
    with pytest.raises(StatisticsError, match="a permutation test needs both classes in both groups"):
        exchange_test(group.astype(int), scores, group, person=person)
    with pytest.raises(StatisticsError, match="n_permutations must be 1 or more, not 0"):
        exchange_test(labels, scores, group, person=person, n_permutations=0)
