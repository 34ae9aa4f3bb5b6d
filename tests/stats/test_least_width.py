"""The lower bound on the width of any interval of a gap: its pieces, where the answer is known."""

from __future__ import annotations

import math
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulations.least_width import (
    LEVEL,
    World,
    best_weights,
    bound_at,
    integral,
    log_rank_chances,
    neighbours,
    paired_counts,
)


@pytest.mark.parametrize("world", [World(0.8), World(0.95, 2.0), World(0.6, 0.5)])
def test_chances_of_all_arrangements_add_up_to_one_and_give_the_auc(world):
    m, n = 2, 3
    rows = np.zeros((math.comb(m + n, m), m + n), dtype=bool)
    for row, places in zip(rows, combinations(range(m + n), m), strict=True):
        row[list(places)] = True
    chances = np.exp(log_rank_chances(rows, world)) * math.factorial(m) * math.factorial(n)
    assert chances.sum() == pytest.approx(1.0, abs=0.01)
    aucs = [np.mean([(~row[:place]).sum() / n for place in np.flatnonzero(row)]) for row in rows]
    assert chances @ aucs == pytest.approx(world.value, abs=0.01)


def test_a_null_that_cannot_be_told_from_the_truth_is_held_as_often_as_the_level_says():
    same = np.ones((500, 3))
    assert bound_at(same, best_weights(same)) == pytest.approx(1.0 - LEVEL, abs=1e-6)
    apart = np.zeros((500, 3))
    assert bound_at(apart, best_weights(apart)) == 0.0
    gaps = np.array([0.1, 0.2])
    assert integral(gaps, [1.0 - LEVEL, 0.0]) == pytest.approx(2 * 0.1 * (1.0 - LEVEL) * 1.5)


def test_nulls_differ_by_the_gap():
    for gap in (0.01, 0.3):
        pairs = list(neighbours(gap))
        assert len(pairs) > 50
        assert {round(a.value - b.value, 6) for a, b in pairs} == {gap}
        assert min(b.value for _, b in pairs) > 0.5


def test_counts_of_two_models_are_those_of_their_scores():
    worlds = [World(0.8), World(0.95, 2.0)]
    found = paired_counts(3, 20, 30, 0.9, worlds, 4000)
    for side in found:
        np.testing.assert_allclose(side.mean(axis=1) / 600, [0.8, 0.95], atol=0.01)
    assert np.corrcoef(found[0][0], found[1][0])[0, 1] > 0.8
