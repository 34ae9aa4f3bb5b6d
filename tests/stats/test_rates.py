"""Rates against scikit-learn, statsmodels and a plain ratio estimator; their gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import auc_components
from subgroup_audit.stats.measurement import measurement_gap, overlap_of
from subgroup_audit.stats.ranked import components_of, rank_scores
from subgroup_audit.stats.rates import RATES, decide, measure_net_benefit, measure_rate, net_benefit, rate_interval

RNG = np.random.default_rng(3)
LABEL = RNG.integers(0, 2, 400)
SCORE = np.round(0.6 * RNG.random(400) + 0.3 * LABEL, 2)
PERSON = np.arange(400) // 3

SKLEARN = {
    "sensitivity": lambda y, d: metrics.recall_score(y, d),
    "specificity": lambda y, d: metrics.recall_score(y, d, pos_label=0),
    "ppv": lambda y, d: metrics.precision_score(y, d),
    "npv": lambda y, d: metrics.precision_score(y, d, pos_label=0),
    "selection_rate": lambda y, d: d.mean(),
    "accuracy": lambda y, d: metrics.accuracy_score(y, d),
    "f1": lambda y, d: metrics.f1_score(y, d),
    "false_negative_rate": lambda y, d: 1 - metrics.recall_score(y, d),
    "false_positive_rate": lambda y, d: 1 - metrics.recall_score(y, d, pos_label=0),
}


@pytest.mark.parametrize("metric", RATES)
@pytest.mark.parametrize("threshold", [0.2, 0.45, 0.7])
def test_rates_are_those_of_scikit_learn(metric: str, threshold: float) -> None:
    found = rate_interval(LABEL, SCORE, metric, threshold=threshold, person=PERSON)
    assert found.estimate == pytest.approx(SKLEARN[metric](LABEL, threshold <= SCORE), abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "counted", "over"),
    [
        ("sensitivity", lambda y, d: y & d, lambda y, d: y),
        ("ppv", lambda y, d: y & d, lambda y, d: d),
        ("accuracy", lambda y, d: y == d, lambda y, d: y | ~y),
    ],
)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_one_image_a_person_gives_wilson_as_statsmodels_has_it(metric, counted, over, level) -> None:
    y, d = LABEL == 1, SCORE >= 0.45
    found = rate_interval(LABEL, SCORE, metric, threshold=0.45, confidence_level=level)
    expected = proportion_confint(counted(y, d).sum(), over(y, d).sum(), alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
    assert found.method == "Wilson"


def test_f1_is_a_rising_function_of_a_share() -> None:
    y, d = LABEL == 1, SCORE >= 0.45
    low, high = proportion_confint((y & d).sum(), (y | d).sum(), method="wilson")
    found = rate_interval(LABEL, SCORE, "f1", threshold=0.45)
    assert (found.low, found.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-12)


def test_standard_error_of_repeated_persons_is_the_ratio_estimators() -> None:
    y, d = LABEL == 1, SCORE >= 0.45
    n_persons = PERSON.max() + 1
    hits, all_positive = np.bincount(PERSON, y & d, n_persons), np.bincount(PERSON, y, n_persons)
    has = all_positive > 0
    share = hits.sum() / all_positive.sum()
    variance = (
        ((hits - share * all_positive)[has] ** 2).sum() * has.sum() / (has.sum() - 1) / all_positive.sum() ** 2
    )
    found = rate_interval(LABEL, SCORE, "sensitivity", threshold=0.45, person=PERSON)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert found.df == has.sum() - 1


def test_images_of_one_person_are_not_many_persons() -> None:
    """Twenty persons with ten images each that all agree are worth twenty."""
    label = np.ones(200, dtype=int)
    score = np.repeat(np.arange(20) < 14, 10).astype(float)
    person = np.repeat(np.arange(20), 10)
    clustered = rate_interval(label, score, "sensitivity", threshold=0.5, person=person)
    naive = rate_interval(label, score, "sensitivity", threshold=0.5)
    assert clustered.high - clustered.low > 2.8 * (naive.high - naive.low)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_at_the_end_the_interval_still_has_a_width_that_counts_persons(share: float) -> None:
    label, score, person = np.ones(60, dtype=int), np.full(60, share), np.repeat(np.arange(20), 3)
    found = rate_interval(label, score, "sensitivity", threshold=0.5, person=person)
    low, high = proportion_confint(20 * share, 20, method="wilson")
    assert found.estimate == share
    assert found.low <= low + 1e-12
    assert found.high >= high - 1e-12
    assert found.high - found.low > 0.15


@pytest.mark.parametrize(
    ("label", "metric", "reason"),
    [
        (0, "sensitivity", "no positive image: sensitivity has nothing to be a share of"),
        (1, "specificity", "no negative image: specificity has nothing to be a share of"),
        (0, "ppv", "no positive among 12 images: ppv needs both classes"),
        (1, "npv", "no negative among 12 images: npv needs both classes"),
        (0, "f1", "no positive among 12 images: f1 needs both classes"),
    ],
)
def test_a_missing_class_is_not_estimable_and_says_why(label: int, metric: str, reason: str) -> None:
    found = rate_interval([label] * 12, np.linspace(0, 1, 12), metric, threshold=0.5)
    assert found.status == "not estimable"
    assert found.reason == reason
    assert found.estimate is None
    assert found.low is None


def test_no_image_called_positive_leaves_ppv_not_estimable() -> None:
    found = rate_interval([0, 1] * 6, [0.1] * 12, "ppv", threshold=0.5)
    assert found.reason == "no image is called positive at this operating point: ppv has nothing to be a share of"


def test_few_persons_are_small() -> None:
    found = rate_interval([0, 1] * 20, [0.1] * 40, "selection_rate", threshold=0.5, person=np.arange(40) // 5)
    assert (found.status, found.reason) == ("small", "8 patients to take the share of: fewer than 10")


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"metric must be one of sensitivity, .*, not 'recall'"):
        rate_interval([0, 1], [0.1, 0.9], "recall", threshold=0.5)


@pytest.mark.parametrize("metric", ["sensitivity", "specificity", "accuracy"])
def test_gap_of_disjoint_persons_is_newcombes(metric: str) -> None:
    a = measure_rate(decide(rank_scores(LABEL[:150], SCORE[:150], person=np.arange(150)), 0.45), metric)
    b = measure_rate(decide(rank_scores(LABEL[150:], SCORE[150:], person=np.arange(150, 400)), 0.45), metric)
    y, d = LABEL == 1, SCORE >= 0.45
    right = {"sensitivity": y & d, "specificity": ~y & ~d, "accuracy": y == d}[metric]
    over = {"sensitivity": y, "specificity": ~y, "accuracy": y | ~y}[metric]
    expected = confint_proportions_2indep(
        right[:150].sum(), over[:150].sum(), right[150:].sum(), over[150:].sum(), method="newcomb", compare="diff"
    )
    gap = measurement_gap(a, b)
    assert (gap.low, gap.high) == pytest.approx(expected, abs=1e-12)
    assert gap.limits is not None
    assert gap.limits.at_tail(0.025) == pytest.approx(expected, abs=1e-12)
    assert gap.correlation == 0.0


def test_two_models_on_the_same_images_are_paired_by_phi() -> None:
    """With one image a person the correlation is that of the two decisions among the positives."""
    other = np.clip(SCORE + 0.1 * np.random.default_rng(1).normal(size=400), 0, 1)
    a, b = (
        measure_rate(decide(rank_scores(LABEL, s, person=np.arange(400)), 0.45), "sensitivity")
        for s in (SCORE, other)
    )
    phi = np.corrcoef((SCORE >= 0.45)[LABEL == 1], (other >= 0.45)[LABEL == 1])[0, 1]
    assert measurement_gap(a, b).correlation == pytest.approx(phi, abs=1e-12)


def test_a_model_compared_with_itself_has_no_gap_and_no_width() -> None:
    a = measure_rate(decide(rank_scores(LABEL, SCORE, person=PERSON), 0.45), "ppv")
    gap = measurement_gap(a, a)
    assert (gap.estimate, gap.p_value) == (0.0, 1.0)
    assert gap.high - gap.low < 1e-7


def test_shared_products_give_the_same_correlation_as_the_pulls() -> None:
    """Two views of the same persons, some of whom have both."""
    view = np.arange(400) % 2 == 0
    a, b = (
        measure_rate(decide(rank_scores(LABEL[rows], SCORE[rows], person=PERSON[rows]), 0.45), "accuracy")
        for rows in (view, ~view)
    )
    overlap = overlap_of(a.persons, b.persons)
    pull_a, pull_b = a.pull(), b.pull()
    direct = overlap.dot(pull_a, pull_b) / np.sqrt((pull_a @ pull_a) * (pull_b @ pull_b))
    assert measurement_gap(a, b).correlation == pytest.approx(float(direct), abs=1e-12)
    assert overlap.n_shared == len(np.intersect1d(PERSON[view], PERSON[~view]))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5])
def test_net_benefit_is_vickers_and_elkins(threshold: float) -> None:
    y, d = LABEL == 1, threshold <= SCORE
    expected = (y & d).sum() / 400 - (~y & d).sum() / 400 * threshold / (1 - threshold)
    found = net_benefit(LABEL, SCORE, threshold=threshold)
    assert found.estimate == pytest.approx(expected, abs=1e-12)
    per_image = np.where(d, np.where(y, 1.0, -threshold / (1 - threshold)), 0.0)
    assert found.standard_error == pytest.approx(per_image.std() / 20, rel=1e-12)


def test_net_benefit_without_a_flagged_image_is_zero_with_a_width() -> None:
    found = net_benefit(LABEL, SCORE, threshold=0.99)
    assert found.estimate == 0.0
    assert found.low < 0.0 < found.high


def test_a_threshold_of_one_has_no_net_benefit() -> None:
    with pytest.raises(StatisticsError, match="threshold must be a probability of 0 or more and below 1, not 1"):
        net_benefit(LABEL, SCORE, threshold=1.0)
    outcomes = decide(rank_scores(LABEL, SCORE), 1.0)
    assert measure_net_benefit(outcomes, np.inf).found.reason == (
        "a threshold probability of 1 makes a false positive infinitely bad"
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 7)), min_size=2, max_size=60))
def test_cells_add_up_and_gaps_turn_round(rows: list[tuple[bool, int, int]]) -> None:
    label, score, person = (np.array(column) for column in zip(*rows, strict=True))
    outcomes = decide(rank_scores(label, score / 5, person=person), 0.5)
    assert outcomes.totals.sum() == len(rows)
    assert outcomes.by_person().sum(axis=0).tolist() == np.unique(person, return_counts=True)[1].tolist()
    assert outcomes.presence.sum() == len(np.unique(person))
    other = decide(rank_scores(label, 1 - score / 5, person=person), 0.5)
    for metric in RATES:
        a, b = measure_rate(outcomes, metric), measure_rate(other, metric)
        if a.found.estimate is None or b.found.estimate is None:
            continue
        assert 0.0 <= a.found.low <= a.found.estimate <= a.found.high <= 1.0
        there, back = measurement_gap(a, b), measurement_gap(b, a)
        assert there.estimate == pytest.approx(-back.estimate, abs=1e-12)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


def test_sorted_images_have_the_components_that_unsorted_ones_have() -> None:
    ranked = components_of(rank_scores(LABEL, SCORE, person=PERSON))
    direct = auc_components(LABEL, SCORE, person=PERSON)
    assert ranked.auc == direct.auc
    assert ranked.variance_terms() == pytest.approx(direct.variance_terms(), rel=1e-12)
    assert ranked.influence() == pytest.approx(direct.influence(), abs=1e-15)
