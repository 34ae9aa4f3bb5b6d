"""Columns that are one are named; two models that merely agree well are not."""

from __future__ import annotations

import numpy as np
import pytest

from subgroup_audit.diagnosis.same_scores import same_scores

N = 300


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=N)


@pytest.mark.parametrize(
    ("change", "relation"),
    [
        (lambda s: s.copy(), "the same scores"),
        (lambda s: 1 / (1 + np.exp(-s)), "the same order"),
        (lambda s: np.round(1 / (1 + np.exp(-s)), 2), "the same order"),
        (lambda s: 1 - s, "the opposite order"),
    ],
)
def test_a_function_of_the_scores_is_named(scores, change, relation):
    assert list(same_scores({"a": scores, "b": change(scores)})) == [("a", "b", relation, N)]


def test_one_exchange_makes_two_models(scores):
    other = scores.copy()
    first, last = np.argmin(scores), np.argmax(scores)
    other[[first, last]] = other[[last, first]]
    assert list(same_scores({"a": scores, "b": other})) == []


def test_an_exchange_outside_the_probes_is_seen():
    scores = np.arange(float(N))
    other = scores.copy()
    other[[1, 2]] = other[[2, 1]]
    assert list(same_scores({"a": scores, "b": other})) == []


def test_images_that_one_lacks_do_not_count(scores):
    other = scores * 2
    other[:100] = np.nan
    assert list(same_scores({"a": scores, "b": other})) == [("a", "b", "the same order", 200)]


def test_calls_of_few_values_are_no_copies(scores):
    calls = (scores > 0).astype(float)
    assert list(same_scores({"a": scores, "b": calls, "c": calls.copy()})) == []


def test_columns_without_a_common_image_are_not_compared(scores):
    a, b = scores.copy(), scores.copy()
    a[:150], b[150:] = np.nan, np.nan
    assert list(same_scores({"a": a, "b": b})) == []
