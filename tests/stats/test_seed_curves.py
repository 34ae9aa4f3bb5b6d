"""Curves averaged over seeds: against plain curves, and how often their bands hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import BinnedScores, reliability_curve
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.seed_curves import (
    FALSE_POSITIVE_RATES,
    seed_precision_recall,
    seed_reliability,
    seed_roc,
)
from subgroup_audit.stats.seed_curves import RECALLS as GRID

RATES = np.array([0.1, 0.3, 0.5])
RECALLS = np.array([0.5, 0.7, 0.9])
RECALLS_OF_60 = np.arange(1, 61) / 60


def _fits(
    rng: np.random.Generator,
    n_seeds: int,
    *,
    n_persons: int = 150,
    most: int = 4,
    tau: float = 0.0,
    apart: float = 1.2,
) -> list[RankedScores]:
    """Fits whose scores correlate by 0.8, on one to `most` images of each person."""
    person = np.repeat(np.arange(n_persons), rng.integers(1, most + 1, n_persons))
    y = (rng.random(n_persons) < 0.4)[person].astype(int)

    def noise() -> NDArray[np.float64]:
        level, own = rng.normal(size=n_persons)[person], rng.normal(size=len(person))
        return np.asarray(np.sqrt(0.5) * (level + own))

    common = noise()
    return [
        rank_scores(y, np.sqrt(0.8) * common + np.sqrt(0.2) * noise() + y * rng.normal(apart, tau), person=person)
        for _ in range(n_seeds)
    ]


def _truth(tau: float, distance: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.stats import norm

    apart = np.random.default_rng(0).normal(distance, tau, 20_000)
    roc = [float(norm.cdf(apart + norm.ppf(rate)).mean()) for rate in RATES]
    alarms = [norm.cdf(norm.ppf(recall) - apart) for recall in RECALLS]
    pr = [float((0.4 * v / (0.4 * v + 0.6 * f)).mean()) for v, f in zip(RECALLS, alarms, strict=True)]
    return np.array(roc), np.array(pr)


def test_the_roc_of_one_fit_follows_its_corners() -> None:
    # no alarm: one of two found; the second is found with one alarm in four, and tied images make a slope
    ranked = rank_scores([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.4, 0.9])
    curve = seed_roc([ranked], rates=np.array([0.0, 0.125, 0.25, 1.0]))
    assert curve.value.tolist() == [0.5, 0.5, 1.0, 1.0]
    tied = rank_scores([0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.5, 0.5, 0.9])
    assert seed_roc([tied], rates=np.array([0.0, 0.125, 0.25])).value.tolist() == [0.5, 0.75, 1.0]
    assert (curve.low <= curve.value).all()
    assert (curve.value <= curve.high).all()


def test_curves_are_averaged_at_the_same_rate_not_at_the_same_threshold() -> None:
    rng = np.random.default_rng(1)
    fits = _fits(rng, 2)
    moved = rank_scores(fits[1].is_positive, 10.0 * fits[1].score - 3.0, person=fits[1].person)
    for made in (seed_roc, seed_precision_recall):
        plain, shifted = made(fits), made([fits[0], moved])
        assert plain.value == pytest.approx(shifted.value)
        assert plain.low == pytest.approx(shifted.low)
        singles = np.mean([made([one]).value for one in fits], axis=0)
        assert plain.value == pytest.approx(singles)


def test_precision_is_that_of_the_fewest_images_that_reach_the_recall() -> None:
    ranked = rank_scores([0, 1, 0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4, 0.8, 0.9])
    curve = seed_precision_recall([ranked], recalls=np.array([1 / 3, 2 / 3, 1.0]))
    assert curve.value == pytest.approx([1 / 2, 2 / 3, 3 / 5])


def test_the_reliability_of_one_fit_is_the_plain_one() -> None:
    rng = np.random.default_rng(2)
    ranked = _fits(rng, 1)[0]
    ranked = rank_scores(ranked.is_positive, 1 / (1 + np.exp(-ranked.score)), person=ranked.person)
    ours, theirs = seed_reliability([ranked]), reliability_curve(BinnedScores(ranked))
    assert ours.x == pytest.approx(theirs.mean_score)
    assert ours.value == pytest.approx(theirs.observed)
    assert ours.low == pytest.approx(theirs.low)
    assert ours.high == pytest.approx(theirs.high)


def test_bins_that_one_fit_leaves_empty_are_of_the_others() -> None:
    y = [0, 1, 0, 1]
    fits = [rank_scores(y, scores) for scores in ([0.15, 0.17, 0.55, 0.56], [0.15, 0.55, 0.16, 0.57])]
    far = rank_scores(y, [0.15, 0.95, 0.16, 0.97])
    curve = seed_reliability([*fits, far])
    assert curve.n_seeds.tolist() == [3, 2, 1]
    assert curve.n_images == pytest.approx([2.0, 4 / 3, 2 / 3])


def test_a_perfect_model_still_has_a_band() -> None:
    ranked = rank_scores([0] * 20 + [1] * 20, np.arange(40.0))
    curve = seed_roc([ranked, ranked], rates=RATES)
    assert (curve.value == 1.0).all()
    assert (curve.low < 0.95).all()
    assert (curve.high == 1.0).all()


@pytest.mark.parametrize("apart", [0.0, 1.2, 3.0])
@pytest.mark.parametrize("n_seeds", [2, 3])
def test_a_band_does_not_widen_suddenly(n_seeds: int, apart: float) -> None:
    # the steps of the curve itself move its limits, so the width at one point may be half more than at the last
    rng = np.random.default_rng(11)
    worst = []
    for _ in range(20):
        fits = _fits(rng, n_seeds, tau=0.15, apart=apart)
        curve = seed_precision_recall(fits)
        widths = np.log(curve.high - curve.low)[3:]
        worst.append(np.exp(np.abs(np.diff(widths)).max()))
    assert np.median(worst) < 1.5, worst
    assert max(worst) < 2.5, worst


def test_before_the_first_false_alarm_the_band_is_that_of_the_images_called() -> None:
    # 40 of 60 positives rank above every negative: no false alarm among the highest 40
    scores = np.concatenate([np.linspace(0, 1, 60), np.linspace(0.4, 0.9, 20), np.linspace(1.1, 2, 40)])
    ranked = rank_scores([0] * 60 + [1] * 60, scores)
    curve = seed_precision_recall([ranked, ranked])
    early = slice(None, 20)
    assert (curve.value[early] == 1.0).all()
    assert (np.diff(curve.low[early]) > 0.0).all()
    called = RECALLS_OF_60[early] * 60
    assert curve.low[early] == pytest.approx(called / (called + 1.96**2), abs=0.015)


def test_a_curve_needs_both_classes() -> None:
    with pytest.raises(StatisticsError, match="a curve over thresholds needs both classes, but only one is there"):
        seed_roc([rank_scores([1, 1], [0.2, 0.3])])


def _coverage(
    n_sets: int, n_seeds: int, tau: float, *, n_persons: int = 150, most: int = 4, apart: float = 1.2
) -> NDArray[np.float64]:
    """Share of data sets in which the bands hold the truth, at each of the rates and then of the recalls."""
    rng = np.random.default_rng(5)
    roc, pr = _truth(tau, apart)
    # read from whole curves, as a report draws them: variances are averaged over neighbouring points
    places = [np.searchsorted(whole, some) for whole, some in ((FALSE_POSITIVE_RATES, RATES), (GRID, RECALLS))]
    covered = np.zeros((n_sets, len(RATES) + len(RECALLS)))
    for place in range(n_sets):
        fits = _fits(rng, n_seeds, n_persons=n_persons, most=most, tau=tau, apart=apart)
        curves = seed_roc(fits), seed_precision_recall(fits)
        covered[place] = [
            low <= true <= high
            for curve, truth, at in zip(curves, (roc, pr), places, strict=True)
            for low, true, high in zip(curve.low[at], truth, curve.high[at], strict=True)
        ]
    return np.asarray(covered.mean(axis=0))


@pytest.mark.parametrize(("n_seeds", "tau"), [(1, 0.0), (3, 0.0), (3, 0.15)])
def test_bands_hold_the_truth_pointwise(n_seeds: int, tau: float) -> None:
    covered = _coverage(250, n_seeds, tau)
    assert (covered >= 0.91).all(), covered


if __name__ == "__main__":
    import sys

    from scipy.stats import norm

    for distance, persons, images, seeds, spread in [
        (1.2, 40, 1, 1, 0.0), (1.2, 200, 1, 1, 0.0), (1.2, 1000, 1, 1, 0.0), (1.2, 150, 4, 1, 0.0),
        (1.2, 150, 4, 2, 0.15), (1.2, 150, 4, 2, 0.4), (1.2, 150, 4, 3, 0.0), (1.2, 150, 4, 3, 0.15),
        (1.2, 600, 4, 3, 0.15), (3.0, 150, 1, 3, 0.15), (3.0, 600, 1, 2, 0.15),
    ]:  # fmt: skip
        found = _coverage(int(sys.argv[1]), seeds, spread, n_persons=persons, most=images, apart=distance)
        named = f"{norm.cdf(distance / np.sqrt(2)):.2f} | {persons:,} | {images} | {seeds} | {spread}"
        print(f"| {named} | {' | '.join(f'{100 * x:.1f}' for x in found)} |")
