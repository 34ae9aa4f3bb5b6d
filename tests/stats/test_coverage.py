"""How often the intervals hold the truth, in simulated data, with controls that must fail.

`pytest -m slow tests/stats/test_coverage.py` judges a few rows. The tables of docs/statistics.md are printed by

    python tests/stats/test_coverage.py 4000 [single clustered groups pairs views seeds seed-gaps matrix]

where the number is that of data sets a row; the slower tables use a stated part of it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy.special import ndtri

from subgroup_audit.stats import (
    AucComponents,
    PersonDraws,
    auc_components,
    auc_covariance,
    auc_gap,
    average_over_seeds,
    bootstrap_interval,
    estimate_auc,
    max_t,
    seed_gap,
    stratified_auc_replicates,
)
from subgroup_audit.stats.limits import MoverLimits, WaldLimits

Rates = dict[str, float]
SIZES = ((10, 10), (20, 100), (50, 50), (200, 200))
VALUES = (0.6, 0.8, 0.95, 0.99)
GAP_ROWS = [
    ((200, 800), (10, 40)),
    ((200, 800), (50, 200)),
    ((50, 50), (20, 100)),
    ((10, 10), (10, 10)),
]
GAP_VALUES = ((0.8, 0.8), (0.95, 0.95), (0.95, 0.85), (0.99, 0.99))
CLUSTERS = ((6, 29), (14, 14), (57, 57))


def shift(value: float, spread: float = 1.0) -> float:
    """The distance of two normals that gives this AUC."""
    return float(ndtri(value)) * math.sqrt(1.0 + spread**2)


def draw_images(rng, m, n, value, spread=1.0):
    """Labels and scores of m positives and n negatives, one image a person."""
    labels = np.repeat([True, False], [m, n])
    noise = rng.standard_normal(m + n)
    return labels, np.where(labels, shift(value, spread) + spread * noise, noise)


def draw_clustered(rng, k_positive, k_negative, value, *, labels_per: str):
    """Labels, scores and persons: 2 to 5 images a person, half of the score's variance between persons."""
    n_persons = k_positive + k_negative
    sizes = rng.integers(2, 6, n_persons)
    person = np.repeat(np.arange(n_persons), sizes)
    if labels_per == "patient":
        labels = (np.arange(n_persons) < k_positive)[person]
    else:
        share = k_positive / n_persons
        labels = rng.random(len(person)) < rng.beta(share, 1.0 - share, n_persons)[person]
    scores = math.sqrt(0.5) * (rng.standard_normal(n_persons)[person] + rng.standard_normal(len(person)))
    return labels, scores + shift(value) * labels, person


def holds(interval, truth) -> float:
    return float(interval.low <= truth <= interval.high)


def average(one_set: Callable[[], Rates | None], n_sets: int) -> Rates:
    """The mean of each rate over the data sets; sets that are None (a class missing) do not count."""
    found = [rates for rates in (one_set() for _ in range(n_sets)) if rates is not None]
    return {name: float(np.mean([rates[name] for rates in found])) for name in found[0]}


def single_auc(rng, m, n, value, spread, n_sets, n_resamples=0) -> Rates:
    """Coverage for one AUC, one image a person."""

    def one_set() -> Rates:
        labels, scores = draw_images(rng, m, n, value, spread)
        cell = auc_components(labels, scores)
        rates = {
            method: holds(estimate_auc(cell, method=method), value)
            for method in ("default", "newcombe5", "logit", "delong", "hanley-mcneil")
        }
        if n_resamples:
            replicates = stratified_auc_replicates(labels, scores, n_resamples, int(rng.integers(2**31)))[0]
            rates["percentile"] = holds(bootstrap_interval(replicates, cell.auc), value)
            bca = bootstrap_interval(replicates, cell.auc, method="bca", influence=cell.influence())
            rates["BCa"] = holds(bca, value)
        return rates

    return average(one_set, n_sets)


def clustered_auc(rng, clusters, value, labels_per, n_sets, n_resamples=400) -> Rates:
    """Coverage for one AUC with several images a person, beside what ignores persons."""

    def one_set() -> Rates | None:
        labels, scores, person = draw_clustered(rng, *clusters, value, labels_per=labels_per)
        if labels.all() or not labels.any():
            return None
        cell = auc_components(labels, scores, person=person)
        image_level = auc_components(labels, scores)
        seed = int(rng.integers(2**31))
        images = stratified_auc_replicates(labels, scores, n_resamples, seed)[0]
        strata = np.bincount(person, labels) > 0
        draws = PersonDraws(np.arange(len(strata)), strata, n_resamples=n_resamples, seed=seed)
        persons = draws.auc_replicates(labels, scores, person)
        return {
            "default": holds(estimate_auc(cell), value),
            "patient bootstrap": holds(bootstrap_interval(persons, cell.auc), value),
            "image DeLong (control)": holds(estimate_auc(image_level), value),
            "image bootstrap (control)": holds(bootstrap_interval(images, cell.auc), value),
        }

    return average(one_set, n_sets)


def wald_gap(a: AucComponents, b: AucComponents) -> bool:
    """Whether the plain DeLong z interval of two independent AUCs holds; false for no variance."""
    variance = sum(a.variance_terms()) + sum(b.variance_terms())
    return WaldLimits(a.auc - b.auc, math.sqrt(max(variance, 0.0)), math.inf).at_tail(0.025)


def group_gap(rng, sizes, values, n_sets) -> Rates:
    """Coverage for the gap of two groups of different persons."""
    truth = values[0] - values[1]

    def one_set() -> Rates:
        cells = []
        for (m, n), value, first in zip(sizes, values, (0, 10**6), strict=True):
            labels, scores = draw_images(rng, m, n, value)
            cells.append(auc_components(labels, scores, person=first + np.arange(m + n)))
        gap = auc_gap(*cells)
        low, high = wald_gap(*cells)
        return {
            "default": holds(gap, truth),
            "DeLong z": float(low <= truth <= high),
            "rejects no gap": float(gap.p_value < 0.05),
        }

    return average(one_set, n_sets)


def zou_limits(gap) -> tuple[float, float]:
    """MOVER with correlation as published: opposite limits of the two AUCs also in the correlated part."""
    a, b, r = gap.limits.minuend, gap.limits.subtrahend, gap.correlation
    (low_a, high_a), (low_b, high_b) = a.at_tail(0.025), b.at_tail(0.025)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(x * x + y * y - 2 * r * x * y, 0.0))

    return (
        gap.estimate - reach(a.estimate - low_a, high_b - b.estimate),
        gap.estimate + reach(high_a - a.estimate, b.estimate - low_b),
    )


def paired_gap(rng, m, n, values, correlation, n_sets) -> Rates:
    """Coverage for the gap of two models on the same images, beside treating them as independent."""
    truth = values[0] - values[1]
    keys = np.arange(m + n)

    def one_set() -> Rates:
        labels = np.repeat([True, False], [m, n])
        common, *own = rng.standard_normal((3, m + n))
        scores = [
            math.sqrt(correlation) * common + math.sqrt(1 - correlation) * noise + shift(value) * labels
            for noise, value in zip(own, values, strict=True)
        ]
        gap = auc_gap(*(auc_components(labels, row, person=keys) for row in scores))
        apart = MoverLimits(gap.limits.minuend, gap.limits.subtrahend, 0.0).at_tail(0.025)
        zou = zou_limits(gap)
        return {
            "default": holds(gap, truth),
            "Zou": float(zou[0] <= truth <= zou[1]),
            "as if independent (control)": float(apart[0] <= truth <= apart[1]),
            "width": gap.high - gap.low,
            "width, Zou": zou[1] - zou[0],
            "width as if independent": apart[1] - apart[0],
        }

    return average(one_set, n_sets)


def shared_person_gap(rng, n_persons, value, n_sets) -> Rates:
    """Coverage for the gap of two views of the same persons, beside taking the groups for disjoint."""

    def one_set() -> Rates | None:
        prone, level = rng.beta(0.3, 0.7, n_persons), rng.standard_normal(n_persons)
        cells, apart = [], []
        for view in range(2):
            person = np.repeat(np.arange(n_persons), rng.integers(0, 4, n_persons))
            labels = rng.random(len(person)) < prone[person]
            noise = math.sqrt(0.5) * (level[person] + rng.standard_normal(len(person)))
            scores = noise + shift(value) * labels
            cells.append(auc_components(labels, scores, person=person))
            apart.append(auc_components(labels, scores, person=person + view * 10**6))
        if not all(cell.is_estimable for cell in cells):
            return None
        gap, wrong = auc_gap(*cells), auc_gap(*apart)
        return {
            "default": holds(gap, 0.0),
            "width": gap.high - gap.low,
            "width as if other persons": wrong.high - wrong.low,
        }

    return average(one_set, n_sets)


def draw_seeds(rng, labels, values, correlation=0.8):
    """Scores of several fits of one recipe on the same images, whose true AUCs are `values`."""
    common = rng.standard_normal(len(labels))
    return [
        math.sqrt(correlation) * common
        + math.sqrt(1 - correlation) * rng.standard_normal(len(labels))
        + shift(value) * labels
        for value in values
    ]


def seed_average(rng, n, tau, n_seeds, n_sets, value=0.8) -> Rates:
    """Coverage for the expected AUC over trainings, beside patients only and seeds only."""
    labels = np.arange(n) < n // 5
    keys = np.arange(n)

    def one_set() -> Rates:
        values = rng.normal(value, tau, n_seeds)
        cells = [auc_components(labels, row, person=keys) for row in draw_seeds(rng, labels, values)]
        found = average_over_seeds(cells)
        mean = found.estimate
        seeds_only = WaldLimits(mean, found.between_seed_sd / math.sqrt(n_seeds), n_seeds - 1.0).at_tail(0.025)
        return {
            "default": holds(found, value),
            "one seed's interval (control)": holds(estimate_auc(cells[0]), value),
            "patients only (control)": float(abs(mean - value) <= 1.96 * found.patient_se),
            "seeds only, t (control)": float(seeds_only[0] <= value <= seeds_only[1]),
        }

    return average(one_set, n_sets)


def seed_gaps(rng, n, tau, n_seeds, kind, n_sets, value=0.8) -> Rates:
    """Coverage for a gap of seed averages: of two groups (paired seeds), or of two recipes on the same images."""
    labels, keys = np.arange(n) < n // 5, np.arange(n)

    def one_set() -> Rates:
        if kind == "subgroup":
            both = rng.normal(0.0, tau, n_seeds) * math.sqrt(0.5)
            values = [value + both + rng.normal(0.0, tau, n_seeds) * math.sqrt(0.5) for _ in range(2)]
            sides = [draw_seeds(rng, labels, row) for row in values]
            persons = (keys, keys + n)
        else:
            rows = draw_seeds(rng, labels, rng.normal(value, tau, 2 * n_seeds))
            sides, persons = [rows[:n_seeds], rows[n_seeds:]], (keys, keys)
        cells = [
            [auc_components(labels, row, person=person) for row in side]
            for side, person in zip(sides, persons, strict=True)
        ]
        gap = seed_gap(*cells, paired_seeds=kind == "subgroup")
        first = auc_gap(cells[0][0], cells[1][0])
        return {"default": holds(gap, 0.0), "one seed's interval (control)": holds(first, 0.0)}

    return average(one_set, n_sets)


def matrix_bands(rng, correlation, n_sets, n_test_sets=4, n_models=8, value=0.85, m=60, n=240) -> Rates:
    """How often all cells of a matrix are covered together."""
    labels = np.repeat([True, False], [m, n])

    def one_set() -> Rates:
        cells, tables = [], []
        for place in range(n_test_sets):
            keys = place * (m + n) + np.arange(m + n)
            scores = draw_seeds(rng, labels, [value] * n_models, correlation)
            cells += [auc_components(labels, row, person=keys) for row in scores]
            tables.append(stratified_auc_replicates(labels, np.array(scores), 1000, int(rng.integers(2**31))))
        covariance = auc_covariance(cells)
        values, errors = [cell.auc for cell in cells], np.sqrt(np.diag(covariance))
        gaussian = max_t(values, errors, covariance=covariance, n_draws=10_000)
        bootstrap = max_t(values, errors, replicates=np.concatenate(tables))
        return {
            "Gaussian max-T": float(((gaussian.low <= value) & (value <= gaussian.high)).all()),
            "bootstrap max-T": float(((bootstrap.low <= value) & (value <= bootstrap.high)).all()),
            "pointwise (control)": float(all(holds(estimate_auc(cell), value) for cell in cells)),
            "critical, Gaussian": gaussian.critical_value,
            "critical, bootstrap": bootstrap.critical_value,
        }

    return average(one_set, n_sets)


def at_least(rate: float, nominal: float, n_sets: int) -> bool:
    """Whether a rate is no less than `nominal`, but for three standard errors of chance."""
    return rate >= nominal - 3 * math.sqrt(nominal * (1 - nominal) / n_sets)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("value", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("size", SIZES)
def test_default_interval_of_one_auc_covers(size, value, spread):
    rates = single_auc(np.random.default_rng(1), *size, value, spread, 1000)
    assert at_least(rates["default"], 0.935, 1000)


@pytest.mark.slow
def test_plain_delong_fails_near_one():
    rates = single_auc(np.random.default_rng(2), 20, 100, 0.99, 1.0, 1000)
    assert rates["delong"] < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("labels_per", ["patient", "image"])
@pytest.mark.parametrize("clusters", CLUSTERS)
def test_clustered_interval_covers_where_image_level_fails(clusters, labels_per):
    rates = clustered_auc(np.random.default_rng(3), clusters, 0.8, labels_per, 800, 200)
    assert at_least(rates["default"], 0.935, 800)
    assert rates["image DeLong (control)"] < 0.91
    assert rates["image bootstrap (control)"] < 0.91


@pytest.mark.slow
@pytest.mark.parametrize("values", GAP_VALUES)
@pytest.mark.parametrize("sizes", GAP_ROWS)
def test_gap_interval_covers_and_its_test_keeps_its_size(sizes, values):
    rates = group_gap(np.random.default_rng(4), sizes, values, 1000)
    assert at_least(rates["default"], 0.935, 1000)
    if values[0] == values[1]:
        assert rates["rejects no gap"] == pytest.approx(1 - rates["default"], abs=1e-9)


@pytest.mark.slow
def test_plain_delong_gap_fails_near_one():
    rates = group_gap(np.random.default_rng(5), GAP_ROWS[0], (0.99, 0.99), 1000)
    assert rates["DeLong z"] < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_paired_gap_covers_where_independence_is_far_too_wide(correlation):
    rates = paired_gap(np.random.default_rng(6), 200, 200, (0.8, 0.8), correlation, 1000)
    assert at_least(rates["default"], 0.935, 1000)
    assert rates["default"] < 0.98
    assert rates["as if independent (control)"] > 0.985


@pytest.mark.slow
def test_nearly_equal_models_are_covered_where_the_published_formula_fails():
    rates = paired_gap(np.random.default_rng(11), 20, 100, (0.95, 0.85), 0.99, 1000)
    assert at_least(rates["default"], 0.935, 1000)
    assert rates["Zou"] < 0.925


@pytest.mark.slow
def test_gap_of_views_of_the_same_persons_covers():
    rates = shared_person_gap(np.random.default_rng(7), 200, 0.8, 1000)
    assert at_least(rates["default"], 0.935, 1000)
    assert rates["width"] < rates["width as if other persons"]


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.02])
def test_seed_average_covers_the_expected_auc(tau):
    rates = seed_average(np.random.default_rng(8), 2000, tau, 5, 600)
    assert at_least(rates["default"], 0.935, 600)
    assert min(rates["patients only (control)"], rates["seeds only, t (control)"]) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["subgroup", "transfer"])
def test_seed_gap_covers(kind):
    rates = seed_gaps(np.random.default_rng(9), 2000, 0.02, 5, kind, 500)
    assert at_least(rates["default"], 0.935, 500)
    assert rates["one seed's interval (control)"] < 0.9


@pytest.mark.slow
def test_max_t_covers_all_cells_together():
    rates = matrix_bands(np.random.default_rng(10), 0.8, 300)
    assert at_least(rates["bootstrap max-T"], 0.94, 300)
    assert at_least(rates["Gaussian max-T"], 0.925, 300)
    assert rates["pointwise (control)"] < 0.7


def print_table(title: str, labels: tuple[str, ...], rows) -> None:
    """One Markdown table; rates in per cent, widths and critical values as they are."""
    print(f"\n**{title}**\n")
    for index, (row, rates) in enumerate(rows):
        if index == 0:
            print("| " + " | ".join([*labels, *rates]) + " |")
            print("|---" * (len(labels) + len(rates)) + "|")
        cells = [f"{v:.3f}" if "width" in k or "critical" in k else f"{100 * v:.1f}" for k, v in rates.items()]
        print("| " + " | ".join([*map(str, row), *cells]) + " |", flush=True)


def rows_of_single(rng, n_sets):
    for spread in (1.0, 2.0, 0.5):
        for (m, n), value in product(SIZES, VALUES):
            yield (f"{m}, {n}", value, spread), single_auc(rng, m, n, value, spread, n_sets, 500)


def rows_of_clustered(rng, n_sets):
    for per, (a, b), value in product(("patient", "image"), CLUSTERS, VALUES):
        yield (per, f"{a}+{b}", value), clustered_auc(rng, (a, b), value, per, n_sets)


def rows_of_groups(rng, n_sets):
    for (a, b), values in product(GAP_ROWS, GAP_VALUES):
        row = f"{a[0]}+{a[1]}", f"{b[0]}+{b[1]}", f"{values[0]}, {values[1]}"
        yield row, group_gap(rng, (a, b), values, n_sets)


def rows_of_pairs(rng, n_sets):
    for (m, n), values, r in product(SIZES, GAP_VALUES, (0.5, 0.9, 0.99)):
        yield (f"{m}+{n}", f"{values[0]}, {values[1]}", r), paired_gap(rng, m, n, values, r, n_sets)


def rows_of_views(rng, n_sets):
    for n_persons, value in product((60, 200), (0.8, 0.95)):
        yield (n_persons, value), shared_person_gap(rng, n_persons, value, n_sets)


def rows_of_seeds(rng, n_sets):
    for n, tau, n_seeds in product((500, 2000), (0.0, 0.005, 0.02), (3, 5)):
        yield (n, tau, n_seeds), seed_average(rng, n, tau, n_seeds, n_sets)


def rows_of_seed_gaps(rng, n_sets):
    for kind, tau, n_seeds in product(("subgroup", "transfer"), (0.0, 0.02), (3, 5)):
        yield (kind, tau, n_seeds), seed_gaps(rng, 2000, tau, n_seeds, kind, n_sets)


def rows_of_matrices(rng, n_sets):
    for r in (0.5, 0.8, 0.95):
        yield (r,), matrix_bands(rng, r, n_sets)


# Title, first columns, rows, and the part of the data sets asked for.
TABLES = {
    "single": ("One AUC", ("m, n", "AUC", "spread of positives"), rows_of_single, 1.0),
    "clustered": ("Several images a person", ("labels per", "persons", "AUC"), rows_of_clustered, 0.5),
    "groups": ("Gap of two groups", ("A", "B", "AUCs"), rows_of_groups, 1.0),
    "pairs": ("Two models on the same images", ("m+n", "AUCs", "score correlation"), rows_of_pairs, 0.5),
    "views": ("Two views of the same persons", ("persons", "AUC"), rows_of_views, 0.5),
    "seeds": ("Mean over training seeds", ("images", "tau", "seeds"), rows_of_seeds, 0.25),
    "seed-gaps": ("Gap of seed means, 2,000 images", ("gap", "tau", "seeds"), rows_of_seed_gaps, 0.25),
    "matrix": ("All 32 cells together", ("score correlation",), rows_of_matrices, 0.125),
}


def print_tables(n_sets: int, chosen: list[str]) -> None:
    """The named tables of docs/statistics.md, or all; each from a generator of its own."""
    for place, (name, (title, labels, rows, part)) in enumerate(TABLES.items()):
        if not chosen or name in chosen:
            n_rows_sets = max(int(n_sets * part), 1)
            found = rows(np.random.default_rng([2024, place]), n_rows_sets)
            print_table(f"{title}, {n_rows_sets:,} data sets a row", labels, found)


if __name__ == "__main__":
    print_tables(int(sys.argv[1]), sys.argv[2:])
