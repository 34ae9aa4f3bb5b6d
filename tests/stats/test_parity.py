"""Parity against fairlearn on the same decisions, and where fairlearn must not be believed."""

from __future__ import annotations

import fairlearn.metrics
import numpy as np
import pytest

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.parity import PARITIES, measure_parities, measure_parity
from subgroup_audit.stats.ranked import rank_scores
from subgroup_audit.stats.rates import Outcomes, decide

RNG = np.random.default_rng(21)
N = 900
GROUP = RNG.choice(["a", "b", "c"], N, p=[0.5, 0.3, 0.2])
LABEL = RNG.integers(0, 2, N)
SCORE = 0.6 * RNG.random(N) + 0.3 * LABEL + 0.1 * (GROUP == "b")


def _groups(
    label: np.ndarray, score: np.ndarray, group: np.ndarray, person: np.ndarray
) -> list[tuple[str, Outcomes]]:
    return [
        (name, decide(rank_scores(label[group == name], score[group == name], person=person[group == name]), 0.5))
        for name in np.unique(group)
    ]


@pytest.mark.parametrize("metric", PARITIES)
def test_it_is_fairlearns(metric: str) -> None:
    found = measure_parity(_groups(LABEL, SCORE, GROUP, np.arange(N)), metric)
    expected = getattr(fairlearn.metrics, metric)(LABEL, SCORE >= 0.5, sensitive_features=GROUP)
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    assert found.low <= found.estimate <= found.high
    assert found.n_patients == N


@pytest.mark.parametrize(
    "metric", ["equalized_odds_difference", "equal_opportunity_ratio", "equalized_odds_ratio"]
)
def test_a_group_without_a_class_is_not_estimable_never_parity(metric: str) -> None:
    label = np.where(GROUP == "c", 0, LABEL)
    found = measure_parity(_groups(label, SCORE, GROUP, np.arange(N)), metric)
    assert (found.status, found.estimate, found.low) == ("not estimable", None, None)
    assert found.reason == "c: no positive image: sensitivity has nothing to be a share of"


def test_one_group_is_nothing_to_compare() -> None:
    found = measure_parity(_groups(LABEL, SCORE, np.full(N, "a"), np.arange(N)), "demographic_parity_difference")
    assert found.reason == "there is only one group: nothing to compare"


def test_a_ratio_of_nothing_is_not_estimable() -> None:
    found = measure_parity(_groups(LABEL, SCORE - 1.0, GROUP, np.arange(N)), "demographic_parity_ratio")
    assert found.reason == "the selection_rate is 0 in every group: a ratio cannot be had"
    difference = measure_parity(_groups(LABEL, SCORE - 1.0, GROUP, np.arange(N)), "demographic_parity_difference")
    assert difference.estimate == 0.0
    assert difference.high > 0.0


def test_a_rate_of_0_in_one_group_gives_a_ratio_of_0_with_an_upper_limit() -> None:
    score = np.where(GROUP == "c", 0.0, SCORE)
    found = measure_parity(_groups(LABEL, score, GROUP, np.arange(N)), "demographic_parity_ratio")
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert 0.0 < found.high < 0.2


def test_repeated_persons_widen_it() -> None:
    person = np.arange(N) // 6
    score = SCORE + 0.5 * RNG.normal(size=N)[person]
    alone = measure_parity(_groups(LABEL, score, GROUP, np.arange(N)), "demographic_parity_difference")
    clustered = measure_parity(_groups(LABEL, score, GROUP, person), "demographic_parity_difference")
    assert clustered.estimate == alone.estimate
    assert clustered.n_patients == 150


def test_all_at_once_are_the_single_ones() -> None:
    groups = _groups(LABEL, SCORE, GROUP, np.arange(N))
    together = measure_parities(groups)
    for metric in PARITIES:
        assert together[metric] == measure_parity(groups, metric)


def test_small_groups_are_named() -> None:
    group = np.where(np.arange(N) < 5, "tiny", GROUP)
    found = measure_parity(_groups(LABEL, SCORE, group, np.arange(N)), "demographic_parity_difference")
    assert (found.status, found.reason) == ("small", "tiny: 5 patients to take the share of: fewer than 10")


def test_other_words_are_refused() -> None:
    with pytest.raises(StatisticsError, match="metric must be one of demographic_parity_difference"):
        measure_parity(_groups(LABEL, SCORE, GROUP, np.arange(N)), "parity")
