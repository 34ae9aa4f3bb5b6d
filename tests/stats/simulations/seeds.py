"""Coverage of means over training seeds and of their gaps, and of the limits of a whole matrix."""

from __future__ import annotations

import math

import numpy as np
from simulations.draws import draw_seeds
from simulations.judged import Rates, average, beside_bootstrap, holds, within

from subgroup_audit.stats import (
    auc_components,
    auc_covariance,
    auc_gap,
    average_over_seeds,
    estimate_auc,
    max_t,
    seed_gap,
    stratified_auc_replicates,
)
from subgroup_audit.stats.limits import WaldLimits

ENGINE = "numba"


def hierarchical_replicates(rng, labels, scores, n_resamples) -> np.ndarray:
    """Means over resampled seeds in resampled images: the percentile interval that papers print."""
    table = stratified_auc_replicates(labels, scores, n_resamples, int(rng.integers(2**31)), engine=ENGINE)
    chosen = rng.integers(0, len(table), table.shape)
    return np.take_along_axis(table, chosen, axis=0).mean(axis=0)


def seed_average(rng, n_sets, *, n, tau, n_seeds, value=0.8, n_resamples=500) -> Rates:
    """Coverage for the expected AUC over trainings, beside patients only and seeds only."""
    labels, keys = np.arange(n) < n // 5, np.arange(n)

    def one_set() -> Rates:
        values = rng.normal(value, tau, n_seeds)
        scores = np.array(draw_seeds(rng, labels, values))
        cells = [auc_components(labels, row, person=keys) for row in scores]
        found = average_over_seeds(cells)
        reach = found.between_seed_sd / math.sqrt(n_seeds)
        seeds_only = WaldLimits(found.estimate, reach, n_seeds - 1.0).at_tail(0.025)
        patients_only = WaldLimits(found.estimate, found.patient_se, math.inf).at_tail(0.025)
        replicates = hierarchical_replicates(rng, labels, scores, n_resamples)
        return beside_bootstrap(found, replicates, value) | {
            "one seed's interval (control)": holds(estimate_auc(cells[0]), value),
            "patients only (control)": within(patients_only, value),
            "seeds only, t (control)": within(seeds_only, value),
        }

    return average(one_set, n_sets)


def seed_gaps(rng, n_sets, *, n, tau, n_seeds, kind, value=0.8) -> Rates:
    """Coverage for a gap of seed means: of two groups (paired seeds), or of two recipes on the same images."""
    labels, keys = np.arange(n) < n // 5, np.arange(n)

    def one_set() -> Rates:
        if kind == "subgroup":
            both = rng.normal(0.0, tau, n_seeds) * math.sqrt(0.5)
            values = [value + both + rng.normal(0.0, tau, n_seeds) * math.sqrt(0.5) for _ in range(2)]
            sides, persons = [draw_seeds(rng, labels, row) for row in values], (keys, keys + n)
        else:
            rows = draw_seeds(rng, labels, rng.normal(value, tau, 2 * n_seeds))
            sides, persons = [rows[:n_seeds], rows[n_seeds:]], (keys, keys)
        cells = [
            [auc_components(labels, row, person=person) for row in side]
            for side, person in zip(sides, persons, strict=True)
        ]
        gap = seed_gap(*cells, paired_seeds=kind == "subgroup")
        first = auc_gap(cells[0][0], cells[1][0])
        return {
            "default": holds(gap, 0.0),
            "width": gap.high - gap.low,
            "one seed's interval (control)": holds(first, 0.0),
        }

    return average(one_set, n_sets)


def matrix_bands(rng, n_sets, *, correlation, n_models=8, n_test_sets=4, value=0.85, m=60, n=240) -> Rates:
    """How often all cells of a matrix are covered together."""
    labels = np.repeat([True, False], [m, n])

    def one_set() -> Rates:
        cells, tables = [], []
        for place in range(n_test_sets):
            keys = place * (m + n) + np.arange(m + n)
            scores = draw_seeds(rng, labels, [value] * n_models, correlation)
            cells += [auc_components(labels, row, person=keys) for row in scores]
            seed = int(rng.integers(2**31))
            tables.append(stratified_auc_replicates(labels, np.array(scores), 1000, seed, engine=ENGINE))
        covariance = auc_covariance(cells)
        values, errors = [cell.auc for cell in cells], np.sqrt(np.diag(covariance))
        gaussian = max_t(values, errors, covariance=covariance, n_draws=4_000)
        bootstrap = max_t(values, errors, replicates=np.concatenate(tables))
        return {
            "bootstrap max-T (default)": all_hold(bootstrap, value),
            "Gaussian max-T": all_hold(gaussian, value),
            "pointwise (control)": float(all(holds(estimate_auc(cell), value) for cell in cells)),
            "critical, bootstrap": bootstrap.critical_value,
            "critical, Gaussian": gaussian.critical_value,
        }

    return average(one_set, n_sets)


def all_hold(limits, truth) -> float:
    """1 if all cells' limits hold the truth."""
    return float(((limits.low <= truth) & (truth <= limits.high)).all())
