"""Rates, calibration and average precision over seeds: against one fit's own, and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    BinnedScores,
    decide,
    measure_average_precision,
    measure_calibration,
    measure_error,
)
from subgroup_audit.stats.measurement import Measurement, measurement_gap
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.rates import RATES, measure_rate
from subgroup_audit.stats.seed_means import OUTER, gap_over_seeds, measure_over_seeds


def _ranked(rng: np.random.Generator, n_persons: int = 120, *, shift: float = 0.0) -> list[RankedScores]:
    """Three fits' scores of the same images, one to three of a person."""
    person = np.repeat(np.arange(n_persons), rng.integers(1, 4, n_persons))
    y = (rng.random(n_persons) < 0.4)[person].astype(int)
    common = 1.2 * y + rng.normal(size=len(y)) + shift
    noise = [common + rng.normal(0, 0.5, len(y)) for _ in range(3)]
    return [rank_scores(y, 1 / (1 + np.exp(-score)), person=person) for score in noise]


def _rate(ranked: RankedScores, metric: str = "sensitivity") -> Measurement:
    return measure_rate(decide(ranked, 0.6), metric)


MEASURES: dict[str, tuple[str, Callable[[RankedScores], Measurement]]] = {
    **{metric: ("share", partial(_rate, metric=metric)) for metric in RATES if metric != "f1"},
    "average_precision": ("logit", measure_average_precision),
    "slope": ("free", lambda ranked: measure_calibration(ranked, "calibration_slope")),
    "brier": ("logit", lambda ranked: measure_calibration(ranked, "brier_score")),
    "ece": ("outer", lambda ranked: measure_error(BinnedScores(ranked))),
}


@pytest.mark.parametrize("name", MEASURES)
def test_one_seed_is_that_fits_own_number(name: str) -> None:
    scale, measure = MEASURES[name]
    ranked = _ranked(np.random.default_rng(1))[0]
    average = measure_over_seeds([measure(ranked)], scale=scale)  # type: ignore[arg-type]
    assert average.found == measure(ranked).found
    assert average.seed_sd is None


@pytest.mark.parametrize("name", MEASURES)
def test_fits_that_are_the_same_leave_the_interval_as_it_is(name: str) -> None:
    scale, measure = MEASURES[name]
    one = measure(_ranked(np.random.default_rng(2))[0])
    average = measure_over_seeds([one, one, one], scale=scale)  # type: ignore[arg-type]
    assert average.found.estimate == pytest.approx(one.found.estimate)
    assert average.found.low == pytest.approx(one.found.low, abs=1e-6)
    assert average.found.high == pytest.approx(one.found.high, abs=1e-6)
    assert average.seed_sd == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_the_mean_is_of_the_fits_and_seeds_widen_it(name: str) -> None:
    scale, measure = MEASURES[name]
    rng = np.random.default_rng(3)
    alike = _ranked(rng)
    apart = [rank_scores(one.is_positive, np.clip(one.score * factor, 0, 1), person=one.person)
             for one, factor in zip(alike, (0.7, 1.0, 1.25), strict=True)]  # fmt: skip
    averages = [measure_over_seeds([measure(one) for one in fits], scale=scale) for fits in (alike, apart)]  # type: ignore[arg-type]
    for average in averages:
        assert average.found.estimate == pytest.approx(np.mean(average.values))
        assert average.found.low <= average.found.estimate <= average.found.high  # type: ignore[operator]
    widths = [average.found.high - average.found.low for average in averages]  # type: ignore[operator]
    if averages[1].seed_sd > 2 * averages[0].seed_sd:  # type: ignore[operator]
        assert widths[1] > widths[0]


def test_the_calibration_error_has_the_outer_limits_of_the_seeds() -> None:
    found = [measure_error(BinnedScores(one)) for one in _ranked(np.random.default_rng(4))]
    average = measure_over_seeds(found, scale="outer").found
    assert average.low == min(one.found.low or 0.0 for one in found)
    assert average.high == max(one.found.high or 0.0 for one in found)
    assert average.method == OUTER


def test_a_number_that_one_seed_lacks_is_not_estimable_and_says_in_how_many() -> None:
    ranked = _ranked(np.random.default_rng(5))
    found = [measure_rate(decide(one, at), "ppv") for one, at in zip(ranked, (0.6, 2.0, 0.6), strict=True)]
    average = measure_over_seeds(found, scale="share")
    assert average.found.estimate is None
    assert average.found.reason == (
        "in 1 of 3 seeds: no image is called positive at this operating point: ppv has nothing to be a share of"
    )


def test_seeds_of_other_images_are_refused() -> None:
    rng = np.random.default_rng(6)
    found = [_rate(_ranked(rng, n)[0]) for n in (50, 60)]
    with pytest.raises(StatisticsError, match="all seeds must be scored on the same images"):
        measure_over_seeds(found, scale="share")


def test_the_gap_of_one_seed_is_the_measurement_gap() -> None:
    rng = np.random.default_rng(7)
    a, b = (_rate(_ranked(rng)[0]) for _ in range(2))
    ours = gap_over_seeds(*(measure_over_seeds([one], scale="share") for one in (a, b)))
    theirs = measurement_gap(a, b)
    assert (ours.estimate, ours.low, ours.high) == (theirs.estimate, theirs.low, theirs.high)


def test_gaps_are_antisymmetric_and_a_group_has_none_with_itself() -> None:
    rng = np.random.default_rng(8)
    a, b = (measure_over_seeds([_rate(one) for one in _ranked(rng)], scale="share") for _ in range(2))
    there, back = gap_over_seeds(a, b), gap_over_seeds(b, a)
    assert there.estimate == pytest.approx(-back.estimate)  # type: ignore[operator]
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))  # type: ignore[operator]
    same = gap_over_seeds(a, a)
    assert same.estimate == 0.0
    assert same.high - same.low < 0.02  # type: ignore[operator]


def _coverage(rng: np.random.Generator, n_sets: int, tau: float) -> NDArray[np.float64]:
    """Share of data sets in which the limits of a mean over three seeds hold the truth: rate, precision, gap."""
    from scipy.stats import norm

    truth = float(norm.sf(0.6, loc=1.0, scale=np.sqrt(1 + tau**2)))
    covered = np.zeros((n_sets, 2))
    for place in range(n_sets):
        sides = []
        levels = rng.normal(0, tau, 3)
        for _ in range(2):
            person = np.repeat(np.arange(80), rng.integers(1, 4, 80))
            y = (np.arange(80) % 2)[person]
            own = np.sqrt(0.5) * rng.normal(size=80)[person]
            fits = []
            for level in levels:
                score = y + level + own + np.sqrt(0.5) * rng.normal(size=len(y))
                fits.append(measure_rate(decide(rank_scores(y, score, person=person), 0.6), "sensitivity"))
            sides.append(measure_over_seeds(fits, scale="share"))
        gap = gap_over_seeds(*sides)
        found = sides[0].found
        covered[place] = (found.low <= truth <= found.high), (gap.low <= 0.0 <= gap.high)  # type: ignore[operator]
    return np.asarray(covered.mean(axis=0))


@pytest.mark.parametrize("tau", [0.0, 0.2])
def test_limits_over_seeds_cover_persons_and_seeds(tau: float) -> None:
    covered = _coverage(np.random.default_rng(9), 300, tau)
    assert (covered >= 0.92).all(), covered


if __name__ == "__main__":
    import sys

    for spread in (0.0, 0.1, 0.2, 0.4):
        print(spread, _coverage(np.random.default_rng(1), int(sys.argv[1]), spread))
