"""Thresholds by rule against scikit-learn's curves, and cross-fitted over persons."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_curve

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.operating_points import choose_threshold, cross_fit_thresholds, parse_rule
from subgroup_audit.stats.ranked import rank_scores
from subgroup_audit.stats.rates import net_benefit, rate_interval
from subgroup_audit.stats.threshold_curves import decision_curve, threshold_and_decision_curve, threshold_curve

RNG = np.random.default_rng(8)
LABEL = RNG.integers(0, 2, 500)
SCORE = np.round(0.7 * RNG.random(500) + 0.25 * LABEL, 2)
PERSON = np.arange(500) // 3


def test_youden_is_the_top_of_scikit_learns_roc_curve() -> None:
    alarms, hits, thresholds = roc_curve(LABEL, SCORE)
    assert choose_threshold(LABEL, SCORE, "youden") == thresholds[np.argmax(hits - alarms)]


def test_f1_is_the_best_of_all_thresholds() -> None:
    chosen = choose_threshold(LABEL, SCORE, "f1")
    best = max(f1_score(LABEL, t <= SCORE) for t in np.unique(SCORE))
    assert f1_score(LABEL, chosen <= SCORE) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 1.0])
def test_targets_are_just_reached(target: float) -> None:
    chosen = choose_threshold(LABEL, SCORE, f"sensitivity={target}")
    assert np.mean(SCORE[LABEL == 1] >= chosen) >= target
    assert np.mean(SCORE[LABEL == 1] > chosen) < target
    chosen = choose_threshold(LABEL, SCORE, f"specificity={target}")
    assert np.mean(SCORE[LABEL == 0] < chosen) >= target
    lower = SCORE[chosen > SCORE].max()
    assert np.mean(SCORE[LABEL == 0] < lower) < target


@pytest.mark.parametrize("rule", ["best", "sensitivity", "sensitivity=2", "youden=0.3", "specificity=x"])
def test_other_rules_are_refused(rule: str) -> None:
    with pytest.raises(StatisticsError, match="a threshold rule must be youden, f1, sensitivity=TARGET or specif"):
        parse_rule(rule)


def test_a_threshold_needs_both_classes() -> None:
    with pytest.raises(StatisticsError, match="a threshold needs both classes, but only one is there"):
        choose_threshold([1, 1], [0.2, 0.3])


def test_cross_fitting_chooses_without_the_person() -> None:
    """Changing one person's labels and scores leaves that person's own threshold as it is."""
    rule = parse_rule("youden")
    ranked = rank_scores(LABEL, SCORE, person=PERSON)
    before = cross_fit_thresholds(ranked, rule, seed=1).threshold[ranked.person == 7]
    score, changed = SCORE.copy(), LABEL.copy()
    score[PERSON == 7] = [0.01, 0.5, 0.99]
    again = rank_scores(changed, score, person=PERSON)
    after = cross_fit_thresholds(again, rule, seed=1).threshold[again.person == 7]
    assert set(before) == set(after)
    assert len(set(before)) == 1


def test_folds_have_about_as_many_persons_and_both_classes() -> None:
    ranked = rank_scores(LABEL, SCORE, person=PERSON)
    found = cross_fit_thresholds(ranked, parse_rule("sensitivity=0.9"), seed=0)
    assert len(found.by_fold) == 5
    assert not np.isnan(found.by_fold).any()
    assert not np.isnan(found.threshold).any()


def test_one_positive_person_leaves_a_fold_without_a_threshold() -> None:
    ranked = rank_scores([1] + [0] * 20, np.linspace(0, 1, 21), person=np.arange(21))
    found = cross_fit_thresholds(ranked, parse_rule("youden"))
    assert np.isnan(found.by_fold).sum() == 1


@pytest.mark.parametrize("person", [PERSON, np.arange(500)], ids=["three images", "one image"])
def test_curves_have_the_limits_that_single_rates_have(person: np.ndarray) -> None:
    ranked = rank_scores(LABEL, SCORE, person=person)
    curve = threshold_curve(ranked)
    for metric, band in (
        ("sensitivity", curve.sensitivity),
        ("false_positive_rate", curve.false_positive_rate),
        ("ppv", curve.precision),
    ):
        for place, threshold in enumerate(curve.threshold):
            found = rate_interval(LABEL, SCORE, metric, threshold=threshold, person=person)
            if found.estimate is None:
                assert np.isnan(band.value[place])
                continue
            expected = (found.estimate, found.low, found.high)
            assert (band.value[place], band.low[place], band.high[place]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("person", [PERSON, np.arange(500)], ids=["three images", "one image"])
def test_decision_curve_has_the_limits_that_single_net_benefits_have(person: np.ndarray) -> None:
    ranked = rank_scores(LABEL, SCORE, person=person)
    curve = decision_curve(ranked, [0.1, 0.35, 0.5, 0.8, 0.95])
    for place, threshold in enumerate(curve.threshold):
        found = net_benefit(LABEL, SCORE, threshold=threshold, person=person)
        band = curve.net_benefit
        expected = (found.estimate, found.low, found.high)
        assert (band.value[place], band.low[place], band.high[place]) == pytest.approx(expected, abs=1e-12)
        assert curve.treat_all[place] == pytest.approx(
            LABEL.mean() - threshold / (1 - threshold) * (1 - LABEL.mean())
        )


def test_both_curves_at_once_are_the_two_curves() -> None:
    ranked = rank_scores(LABEL, SCORE, person=PERSON)
    curve, decision = threshold_and_decision_curve(ranked)
    np.testing.assert_array_equal(curve.sensitivity.low, threshold_curve(ranked).sensitivity.low)
    np.testing.assert_array_equal(decision.net_benefit.high, decision_curve(ranked).net_benefit.high)


def test_the_curve_runs_from_nothing_to_everything() -> None:
    curve = threshold_curve(rank_scores(LABEL, SCORE))
    assert (curve.sensitivity.value[0], curve.false_positive_rate.value[0]) == (0.0, 0.0)
    assert (curve.sensitivity.value[-1], curve.false_positive_rate.value[-1]) == (1.0, 1.0)
    assert (np.diff(curve.sensitivity.value) >= 0).all()
