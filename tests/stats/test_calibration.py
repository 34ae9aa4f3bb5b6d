"""Calibration against statsmodels and scikit-learn; the expected calibration error and its bias."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.calibration import calibration_interval
from subgroup_audit.stats.ranked import rank_scores
from subgroup_audit.stats.reliability import (
    BinnedScores,
    decompose_brier,
    expected_calibration_error,
    plain_error,
    reliability_curve,
)

RNG = np.random.default_rng(11)
ODDS = RNG.normal(-1.0, 1.5, 600)
SCORE = 1 / (1 + np.exp(-ODDS))
LABEL = (RNG.random(600) < 1 / (1 + np.exp(-0.3 - 0.7 * ODDS))).astype(int)
PERSON = np.arange(600) // 4


@pytest.mark.parametrize("person", [PERSON, np.arange(600)], ids=["four images", "one image"])
def test_slope_is_statsmodels_logistic_regression_with_its_sandwich(person: np.ndarray) -> None:
    model = sm.GLM(LABEL, sm.add_constant(ODDS), family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": person})
    found = calibration_interval(LABEL, SCORE, "calibration_slope", person=person)
    assert found.estimate == pytest.approx(fit.params[1], abs=1e-10)
    assert found.standard_error == pytest.approx(fit.bse[1], rel=1e-9)


def test_intercept_is_statsmodels_with_the_log_odds_as_offset() -> None:
    model = sm.GLM(LABEL, np.ones(600), offset=ODDS, family=sm.families.Binomial())
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": PERSON})
    found = calibration_interval(LABEL, SCORE, "calibration_intercept", person=PERSON)
    assert found.estimate == pytest.approx(fit.params[0], abs=1e-10)
    assert found.standard_error == pytest.approx(fit.bse[0], rel=1e-9)


def test_sandwich_is_that_of_gee_with_independence() -> None:
    fit = sm.GEE(LABEL, sm.add_constant(ODDS), groups=PERSON, family=sm.families.Binomial()).fit()
    found = calibration_interval(LABEL, SCORE, "calibration_slope", person=PERSON)
    persons = PERSON.max() + 1
    factor = np.sqrt(persons / (persons - 1) * 599 / 598)
    assert found.standard_error == pytest.approx(fit.standard_errors()[1] * factor, rel=1e-6)


def test_brier_score_is_scikit_learns() -> None:
    found = calibration_interval(LABEL, SCORE, "brier_score", person=PERSON)
    assert found.estimate == pytest.approx(brier_score_loss(LABEL, SCORE), abs=1e-12)
    alone = calibration_interval(LABEL, SCORE, "brier_score")
    assert alone.standard_error == pytest.approx(((SCORE - LABEL) ** 2).std(ddof=1) / np.sqrt(600), rel=1e-12)


def test_separated_classes_have_no_slope() -> None:
    found = calibration_interval([0] * 20 + [1] * 20, np.linspace(0.1, 0.9, 40), "calibration_slope")
    assert (found.status, found.estimate) == ("not estimable", None)
    assert found.reason == "the scores separate the classes: the slope has no finite estimate"


def test_equal_scores_have_no_slope_but_an_intercept() -> None:
    label = [0, 1] * 20
    slope = calibration_interval(label, [0.3] * 40, "calibration_slope")
    assert slope.reason == "all scores are the same: a slope needs scores that differ"
    intercept = calibration_interval(label, [0.3] * 40, "calibration_intercept")
    assert intercept.estimate == pytest.approx(np.log(0.7 / 0.3), abs=1e-9)


@pytest.mark.parametrize("metric", ["calibration_slope", "calibration_intercept"])
def test_one_class_is_not_estimable(metric: str) -> None:
    found = calibration_interval([0] * 40, SCORE[:40], metric)
    assert found.reason == f"no positive among 40 images: {metric} needs both classes"


def test_scores_of_0_and_1_are_taken_for_next_to_it() -> None:
    score = SCORE.copy()
    score[:3] = [0.0, 1.0, 1.0]
    assert np.isfinite(calibration_interval(LABEL, score, "calibration_slope").estimate)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(
        StatisticsError, match=r"calibration needs probabilities from 0 to 1, but there is a score of 2"
    ):
        calibration_interval([0, 1], [0.5, 2.0], "brier_score")


def test_bins_are_scikit_learns() -> None:
    curve = reliability_curve(BinnedScores(rank_scores(LABEL, SCORE)))
    observed, predicted = calibration_curve(LABEL, SCORE, n_bins=10, strategy="uniform")
    assert curve.observed == pytest.approx(observed, abs=1e-12)
    assert curve.mean_score == pytest.approx(predicted, abs=1e-12)
    assert curve.n_images.sum() == 600
    assert ((curve.low <= curve.observed) & (curve.observed <= curve.high)).all()


def test_plain_error_is_the_weighted_distance_of_the_bins() -> None:
    binned = BinnedScores(rank_scores(LABEL, SCORE))
    curve = reliability_curve(binned)
    expected = (curve.n_images * np.abs(curve.observed - curve.mean_score)).sum() / 600
    assert plain_error(binned) == pytest.approx(expected, abs=1e-12)


def test_brier_parts_add_up() -> None:
    parts = decompose_brier(BinnedScores(rank_scores(LABEL, SCORE)))
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(brier_score_loss(LABEL, SCORE), abs=1e-12)
    discrete = np.round(SCORE, 1)
    assert decompose_brier(BinnedScores(rank_scores(LABEL, discrete))).within == pytest.approx(0.0, abs=1e-3)


def test_the_plain_error_grows_in_small_groups_and_the_corrected_one_hardly() -> None:
    """Perfect calibration: 100 images show a plain error of 0.09, and 2,000 one of 0.02."""
    rng = np.random.default_rng(4)
    plain, corrected, held = {}, {}, 0
    for n in (100, 2000):
        found = []
        for _ in range(150):
            score = 1 / (1 + np.exp(-rng.normal(-1.0, 1.5, n)))
            label = rng.random(n) < score
            estimate = expected_calibration_error(label, score)
            held += estimate.low == 0.0
            found.append((plain_error(BinnedScores(rank_scores(label, score))), estimate.estimate))
        plain[n], corrected[n] = np.mean(found, axis=0)
    assert plain[100] == pytest.approx(0.09, abs=0.01)
    assert plain[2000] == pytest.approx(0.021, abs=0.003)
    assert corrected[100] < 0.035
    assert corrected[2000] < 0.01
    assert held >= 0.95 * 300 - 12


def test_a_known_error_is_found() -> None:
    rng = np.random.default_rng(6)
    score = rng.random(20_000)
    label = rng.random(20_000) < np.clip(score + 0.1, 0, 1)
    found = expected_calibration_error(label, score, person=np.arange(20_000) // 2)
    assert found.low < 0.095 < found.high  # 0.1 but for the clipped tenth, whose mean is 0.05
    assert found.high - found.low < 0.025


def test_errors_that_do_not_vary_are_degenerate() -> None:
    found = expected_calibration_error([0, 1] * 10, [0.0, 1.0] * 10)
    assert (found.status, found.estimate, found.low) == ("degenerate", 0.0, 0.0)
    assert found.high > 0.1
