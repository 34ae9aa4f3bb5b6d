"""The rate of turned labels is found where labels are turned, and not where a task is merely hard."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import ndtri
from scipy.stats import rankdata

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import label_flip_rate


def draw(auc: float, flipped: float, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    scores = rng.standard_normal(n) + np.sqrt(2.0) * ndtri(auc) * truth
    return np.where(rng.random(n) < flipped, 1 - truth, truth), scores


def test_the_rate_maximises_the_likelihood_that_a_general_optimiser_finds() -> None:
    labels, scores = draw(0.95, 0.2, 800, 0)
    q = ndtri((rankdata(scores) - 0.5) / len(scores))

    def loss(parameters: np.ndarray) -> float:
        level, slope, odds = parameters
        rate = 0.5 / (1.0 + np.exp(-odds))
        chance = rate + (1 - 2 * rate) / (1 + np.exp(-(level + slope * q)))
        return -float(np.log(np.where(labels == 1, chance, 1 - chance)).sum())

    best = min(
        (
            minimize(loss, [0.0, slope, odds], method="Nelder-Mead", options={"maxiter": 5000, "xatol": 1e-6})
            for slope in (1.0, 4.0)
            for odds in (-2.0, 0.0)
        ),
        key=lambda found: found.fun,
    )
    found = label_flip_rate(labels, scores, n_resamples=64)
    assert found.estimate == pytest.approx(0.5 / (1.0 + np.exp(-best.x[2])), abs=0.01)


def test_turned_labels_are_found_and_hard_tasks_are_not() -> None:
    turned = [label_flip_rate(*draw(0.98, 0.25, 500, seed), n_resamples=100, seed=seed) for seed in range(8)]
    assert np.mean([found.estimate for found in turned]) == pytest.approx(0.25, abs=0.04)
    assert np.mean([found.low > 0.05 for found in turned]) > 0.7
    hard = [label_flip_rate(*draw(0.72, 0.0, 500, seed), n_resamples=100, seed=seed) for seed in range(8)]
    assert np.mean([found.low > 0.05 for found in hard]) == 0.0


def test_a_monotone_transform_changes_nothing() -> None:
    labels, scores = draw(0.9, 0.1, 200, 3)
    a = label_flip_rate(labels, scores, n_resamples=64)
    b = label_flip_rate(labels, np.exp(scores), n_resamples=64)
    assert (a.estimate, a.low, a.high) == (b.estimate, b.low, b.high)


def test_persons_are_resampled_whole() -> None:
    labels, scores = draw(0.95, 0.2, 150, 4)
    alone = label_flip_rate(labels, scores, n_resamples=200)
    thrice = label_flip_rate(
        np.repeat(labels, 3), np.repeat(scores, 3), person=np.repeat(np.arange(150), 3), n_resamples=200
    )
    assert thrice.estimate == pytest.approx(alone.estimate, abs=0.02)
    assert thrice.high - thrice.low == pytest.approx(alone.high - alone.low, rel=0.25)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"^a rate of wrong labels needs both classes$"):
        label_flip_rate([1, 1, 1], [0.1, 0.2, 0.3])
