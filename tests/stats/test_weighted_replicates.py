"""Replicates of a weighted AUC: a person's weights multiply the drawn counts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import PersonDraws

N_IMAGES = 1500


def draw_images(decimals):
    rng = np.random.default_rng(21)
    person = rng.integers(0, 400, N_IMAGES)
    labels = rng.random(N_IMAGES) < 0.3
    scores = np.round(rng.standard_normal(N_IMAGES) + labels, decimals)
    return labels, scores, person, rng.exponential(size=N_IMAGES) * (rng.random(N_IMAGES) < 0.9)


def draw_persons(n_resamples=100, **options):
    return PersonDraws(np.arange(400), np.arange(400) % 3, n_resamples=n_resamples, seed=4, **options)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_replicates_are_scikit_learns_with_weights_times_counts(decimals):
    labels, scores, person, weight = draw_images(decimals)
    draws = draw_persons()
    found = draws.weighted_auc_replicates(labels, scores, person, weight)
    codes = draws.codes(person)
    for lanes, counts in draws.count_blocks():
        expected = [roc_auc_score(labels, scores, sample_weight=weight * column) for column in counts[codes].T]
        np.testing.assert_allclose(found[lanes], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_engines_and_threads_give_the_same_weighted_numbers(decimals):
    images = draw_images(decimals)
    plain = draw_persons(engine="numpy").weighted_auc_replicates(*images)
    for engine in ("numpy", "numba"):
        for n_threads in (1, 2, 4):
            draws = draw_persons(engine=engine, n_threads=n_threads)
            np.testing.assert_array_equal(draws.weighted_auc_replicates(*images), plain)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_equal_weights_change_nothing(engine):
    labels, scores, person, _ = draw_images(1)
    draws = draw_persons(engine=engine)
    weighted = draws.weighted_auc_replicates(labels, scores, person, np.full(N_IMAGES, 2.0))
    np.testing.assert_allclose(weighted, draws.auc_replicates(labels, scores, person), atol=1e-15, rtol=0)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_images_of_weight_zero_are_not_there(engine):
    labels, scores, person, weight = draw_images(8)
    draws, kept = draw_persons(engine=engine), weight > 0
    np.testing.assert_array_equal(
        draws.weighted_auc_replicates(labels, scores, person, weight),
        draws.weighted_auc_replicates(labels[kept], scores[kept], person[kept], weight[kept]),
    )


def test_resample_whose_drawn_weights_are_zero_in_a_class_is_nan():
    draws = PersonDraws(["a", "b", "c"], n_resamples=500)
    found = draws.weighted_auc_replicates([1, 1, 0], [3, 2, 1], ["a", "b", "c"], [1.0, 0.0, 1.0])
    plain = draws.auc_replicates([1, 0], [3, 1], ["a", "c"])
    np.testing.assert_array_equal(found, plain)
    assert 0 < np.isnan(found).sum() < 500


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, -1.0], "sample_weight must not be negative, but row 1 is -1.0"),
        ([0.0, 0.0], "sample_weight must not be zero in every row"),
        ([1.0], "sample_weight has 1 rows, but y_true has 2"),
    ],
)
def test_refuses_bad_weights(weight, message):
    with pytest.raises(StatisticsError) as raised:
        PersonDraws(["a", "b"]).weighted_auc_replicates([0, 1], [1, 2], ["a", "b"], weight)
    assert str(raised.value) == message
