"""Coverage of the interval of one AUC: of images, of clustered images, whole and rounded scores."""

from __future__ import annotations

import numpy as np
from simulations.draws import cut_points, draw_clustered, draw_images, rounded, true_auc
from simulations.judged import Rates, average, beside_bootstrap, holds

from subgroup_audit.stats import (
    PersonDraws,
    auc_components,
    bootstrap_interval,
    estimate_auc,
    stratified_auc_replicates,
)

OTHER_METHODS = ("newcombe5", "logit", "delong", "hanley-mcneil")
ENGINE = "numba"


def single_auc(rng, n_sets, *, m, n, value, spread=1.0, levels=None, n_resamples=1000) -> Rates:
    """Coverage for one AUC, one image a person."""
    cuts = levels and cut_points(value, levels, spread)
    truth = true_auc(value, cuts, spread)

    def one_set() -> Rates:
        labels, scores = draw_images(rng, m, n, value, spread)
        scores = rounded(scores, cuts)
        cell = auc_components(labels, scores)
        seed = int(rng.integers(2**31))
        replicates = stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)[0]
        bca = bootstrap_interval(replicates, cell.auc, method="bca", influence=cell.influence())
        rates = beside_bootstrap(estimate_auc(cell), replicates, truth) | {"BCa": holds(bca, truth)}
        return rates | {method: holds(estimate_auc(cell, method=method), truth) for method in OTHER_METHODS}

    return average(one_set, n_sets)


def clustered_auc(rng, n_sets, *, clusters, value, labels_per, levels=None, n_resamples=1000) -> Rates:
    """Coverage for one AUC with several images a person, beside what ignores persons."""
    cuts = levels and cut_points(value, levels)
    truth = true_auc(value, cuts)

    def one_set() -> Rates | None:
        labels, scores, person = draw_clustered(rng, *clusters, value, labels_per=labels_per)
        scores = rounded(scores, cuts)
        if labels.all() or not labels.any():
            return None
        cell = auc_components(labels, scores, person=person)
        image_level = estimate_auc(auc_components(labels, scores))
        seed = int(rng.integers(2**31))
        images = stratified_auc_replicates(labels, scores, n_resamples, seed, engine=ENGINE)[0]
        return beside_bootstrap(estimate_auc(cell), person_replicates(labels, scores, person, seed), truth) | {
            "image DeLong (control)": holds(image_level, truth),
            "image bootstrap (control)": holds(bootstrap_interval(images, cell.auc), truth),
        }

    def person_replicates(labels, scores, person, seed):
        strata = np.bincount(person, labels) > 0
        draws = PersonDraws(np.arange(len(strata)), strata, n_resamples=n_resamples, seed=seed, engine=ENGINE)
        return draws.auc_replicates(labels, scores, person)

    return average(one_set, n_sets)
