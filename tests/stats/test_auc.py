"""The area itself: against scikit-learn, its invariances, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import auc, auc_components, auc_interval, macro_auc

labelled = st.lists(st.tuples(st.booleans(), st.integers(-4, 4)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


@pytest.mark.parametrize("n", [2, 20, 500, 5000])
@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_agrees_with_scikit_learn(n, decimals):
    rng = np.random.default_rng([n, decimals])
    labels = np.r_[True, False, rng.random(n - 2) < 0.3]
    scores = np.round(rng.standard_normal(n) + labels, decimals)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("whole", [True, False])
def test_weighted_agrees_with_scikit_learn(whole):
    rng = np.random.default_rng(11)
    labels = rng.random(3000) < 0.2
    scores = np.round(rng.standard_normal(3000) + labels, 1)
    weights = rng.integers(0, 4, 3000) if whole else rng.exponential(size=3000)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc(labels, scores, sample_weight=weights) == pytest.approx(expected, abs=1e-12)


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(12)
    labels, scores = rng.random(50) < 0.5, rng.integers(0, 9, 50)
    assert auc(labels, scores, sample_weight=np.full(50, 2.5)) == pytest.approx(auc(labels, scores), abs=1e-15)


@given(labelled)
def test_equals_the_count_of_pairs(rows):
    positive = [score for label, score in rows if label]
    negative = [score for label, score in rows if not label]
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    found = auc([label for label, _ in rows], [score for _, score in rows])
    assert found == wins / (len(positive) * len(negative))


@given(labelled, st.permutations(range(60)))
def test_does_not_change_with_order_or_a_monotone_transform(rows, order):
    chosen = [rows[place] for place in order if place < len(rows)]
    plain = auc([label for label, _ in rows], [score for _, score in rows])
    assert auc([label for label, _ in chosen], [np.exp(score / 2) for _, score in chosen]) == plain


@given(labelled)
def test_turned_scores_and_turned_labels_mirror_it(rows):
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assert auc(labels, -scores) == pytest.approx(1.0 - auc(labels, scores), abs=1e-15)
    assert auc(~labels, scores) == pytest.approx(1.0 - auc(labels, scores), abs=1e-15)


@given(labelled)
def test_components_have_the_same_area_and_placements_average_to_it(rows):
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    cell = auc_components(labels, scores)
    assert cell.auc == auc(labels, scores)
    assert cell.positive_placements.mean() == pytest.approx(cell.auc, abs=1e-14)
    assert cell.negative_placements.mean() == pytest.approx(cell.auc, abs=1e-14)


def test_macro_mean_is_that_of_scikit_learn():
    rng = np.random.default_rng(13)
    classes = rng.integers(0, 3, 400)
    scores = rng.random((400, 3)) + np.eye(3)[classes] * 0.4
    shares = scores / scores.sum(axis=1, keepdims=True)
    expected = roc_auc_score(classes, shares, multi_class="ovr", average="macro")
    assert macro_auc(classes, shares) == pytest.approx(expected, abs=1e-12)


def test_macro_mean_refuses_an_absent_class():
    with pytest.raises(StatisticsError, match=r"^no row of class 2: the macro mean cannot be had$"):
        macro_auc([0, 1, 1], np.eye(3))


@pytest.mark.parametrize(
    ("y_true", "y_score", "message"),
    [
        ([], [], "y_true is empty: there is no row to work on"),
        ([[0, 1]], [0.1], "y_true must be one-dimensional, not of shape (1, 2)"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "y_true must hold only 0 and 1, but row 2 is 2 (1 such rows)"),
        ([0, 1, np.nan], [0.1, 0.2, 0.3], "y_true must hold only 0 and 1, but row 2 is nan (1 such rows)"),
        ([0, 1], [0.1], "y_score has 1 rows, but y_true has 2"),
        ([0, 1], [0.1, np.nan], "y_score must be finite, but row 1 is nan (1 such rows)"),
        ([0, 1], [-np.inf, np.inf], "y_score must be finite, but row 0 is -inf (2 such rows)"),
        ([0, 1], ["a", "b"], "y_score must hold numbers: could not convert string to float: 'a'"),
        ([1, 1], [0.1, 0.2], "an AUC needs both classes, but no row is negative"),
        ([0, 0], [0.1, 0.2], "an AUC needs both classes, but no row is positive"),
    ],
)
def test_refuses_bad_input(y_true, y_score, message):
    with pytest.raises(StatisticsError) as raised:
        auc(y_true, y_score)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], "sample_weight must not be negative, but row 1 is -1.0"),
        ([0.0, 0.0], "sample_weight must not be zero in every row"),
        ([1.0, 0.0], "an AUC needs both classes, but no row of weight above 0 is positive"),
        ([1.0], "sample_weight has 1 rows, but y_true has 2"),
        ([1.0, np.nan], "sample_weight must be finite, but row 1 is nan (1 such rows)"),
    ],
)
def test_refuses_bad_weights(weights, message):
    with pytest.raises(StatisticsError) as raised:
        auc([0, 1], [0.1, 0.2], sample_weight=weights)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"person": ["a", None]}, "person must name a person in every row, but row 1 is missing (1 such rows)"),
        ({"person": [1.0, np.nan]}, "person must name a person in every row, but row 1 is missing (1 such rows)"),
        ({"person": ["a"]}, "person has 1 rows, but y_true has 2"),
        ({"confidence_level": 1.0}, "confidence_level must lie between 0 and 1, not 1.0"),
        (
            {"method": "wald"},
            "method must be one of default, delong, logit, newcombe5, obuchowski, hanley-mcneil, not 'wald'",
        ),
    ],
)
def test_interval_refuses_bad_arguments(arguments, message):
    with pytest.raises(StatisticsError) as raised:
        auc_interval([0, 1], [0.1, 0.2], **arguments)
    assert str(raised.value) == message
