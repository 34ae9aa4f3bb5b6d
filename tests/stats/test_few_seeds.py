"""Coverage of the mean over two or three training seeds, where the variance between seeds is barely known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from subgroup_audit.stats import auc_components, average_over_seeds, seed_gap
from subgroup_audit.stats.components import AucComponents

N = 100
PERSON = np.arange(2 * N)
LABEL = np.repeat([1, 0], N)


def _fits(n_seeds: int, correlation: float, tau: float, rng: np.random.Generator) -> list[AucComponents]:
    """Fits whose scores share `correlation` of their noise, and whose true distance varies by `tau`."""
    common = np.sqrt(correlation) * rng.normal(size=2 * N)
    return [
        auc_components(
            LABEL,
            common + np.sqrt(1 - correlation) * rng.normal(size=2 * N) + LABEL * (1 + tau * rng.normal()),
            person=PERSON,
        )
        for _ in range(n_seeds)
    ]


def _coverage(n_seeds: int, correlation: float, tau: float, *, n_sets: int) -> tuple[float, float]:
    """Share of data sets covered by the default, and by the seeds' own variance as if it were all there is."""
    rng = np.random.default_rng(2)
    truth = norm.cdf(1 / np.sqrt(2))
    covered = naive = 0
    for _ in range(n_sets):
        fits = _fits(n_seeds, correlation, tau, rng)
        found = average_over_seeds(fits)
        covered += found.low <= truth <= found.high
        values = np.array([fit.auc for fit in fits])
        reach = 1.96 * values.std(ddof=1) / np.sqrt(n_seeds)
        naive += abs(values.mean() - truth) <= reach
    return covered / n_sets, naive / n_sets


@pytest.mark.slow
@pytest.mark.parametrize("n_seeds", [2, 3])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("tau", [0.0, 0.1])
def test_few_seeds_are_covered(n_seeds: int, correlation: float, tau: float) -> None:
    covered, naive = _coverage(n_seeds, correlation, tau, n_sets=1500)
    assert covered >= 0.935 - 2.6 * np.sqrt(0.95 * 0.05 / 1500)
    assert naive < 0.9  # the control: seeds alone, with a normal quantile


def test_seeds_that_agree_by_chance_do_not_make_the_interval_vanish() -> None:
    """Two fits with equal AUCs but unrelated scores: s is 0, and yet each has its own chance."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=2 * N) + LABEL
    turned = np.concatenate([scores[:N][::-1], scores[N:][::-1]])
    fits = [auc_components(LABEL, one, person=PERSON) for one in (scores, turned)]
    assert fits[0].auc == fits[1].auc
    found = average_over_seeds(fits)
    single = average_over_seeds(fits[:1])
    assert found.standard_error is not None
    assert single.standard_error is not None
    assert 0.6 * single.standard_error < found.standard_error < single.standard_error


def test_a_recipe_against_itself_has_no_gap_and_no_width() -> None:
    fits = _fits(3, 0.5, 0.05, np.random.default_rng(1))
    gap = seed_gap(fits, fits, paired_seeds=True)
    assert gap.estimate == 0.0
    assert gap.high is not None
    assert gap.high < 1e-6
