"""What a narrower interval would cost: the percentile bootstrap of gaps, 15 % wider, beside the default."""

from __future__ import annotations

import numpy as np
from simulations.draws import draw_images, draw_pair
from simulations.judged import Rates, average, beside_bootstrap, within

from subgroup_audit.stats import auc_components, auc_gap, bootstrap_interval, stratified_auc_replicates

ENGINE = "numba"
FAR = 10**6
MOST = 1.15


def stretched(estimate, replicates, truth) -> Rates:
    """Coverage of the percentile interval with both limits 15 % further from the estimate."""
    found = bootstrap_interval(replicates, estimate)
    limits = tuple(estimate + MOST * (limit - estimate) for limit in (found.low, found.high))
    return {"percentile, 15 % wider": within(limits, truth)}


def stretched_gap(rng, n_sets, *, sizes, values, n_resamples=1000) -> Rates:
    """Of two groups of different persons."""
    truth = values[0] - values[1]

    def one_set() -> Rates:
        cells, replicates = [], []
        for size, value, first in zip(sizes, values, (0, FAR), strict=True):
            labels, scores = draw_images(rng, *size, value)
            cells.append(auc_components(labels, scores, person=first + np.arange(len(labels))))
            seed = int(rng.integers(2**31))
            replicates.append(stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)[0])
        gap, difference = auc_gap(*cells), replicates[0] - replicates[1]
        return beside_bootstrap(gap, difference, truth) | stretched(gap.estimate, difference, truth)

    return average(one_set, n_sets)


def stretched_pair(rng, n_sets, *, m, n, values, correlation, n_resamples=1000) -> Rates:
    """Of two models on the same images."""
    labels, keys = np.repeat([True, False], [m, n]), np.arange(m + n)
    truth = values[0] - values[1]

    def one_set() -> Rates:
        scores = draw_pair(rng, labels, values, correlation)
        gap = auc_gap(*(auc_components(labels, row, person=keys) for row in scores))
        seed = int(rng.integers(2**31))
        a, b = stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)
        return beside_bootstrap(gap, a - b, truth) | stretched(gap.estimate, a - b, truth)

    return average(one_set, n_sets)
