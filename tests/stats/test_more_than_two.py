"""More than two AUCs: linear combinations, the worst of several groups, their range.

`pytest -m slow tests/stats/test_more_than_two.py` judges a few rows. docs/statistics.md has the tables of

    python tests/stats/test_more_than_two.py 2000 [groups seeds interaction macro]

where the number is that of data sets a row; tables with seeds use a quarter of it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import ndtri

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    AucComponents,
    auc_components,
    auc_contrast,
    auc_gap,
    auc_spread,
    average_over_seeds,
    pool_sides,
    range_over_groups,
    seed_gap,
    stratified_auc_replicates,
    worst_group,
)

Rates = dict[str, float]
INTERACTION = (1.0, -1.0, -1.0, 1.0)


def distance(value: float) -> float:
    """The distance of two normals of spread 1 that gives this AUC."""
    return float(ndtri(value)) * math.sqrt(2.0)


def draw_group(rng, m: int, n: int, value: float, first: int = 0) -> tuple[np.ndarray, np.ndarray, AucComponents]:
    """Labels, scores and components of one image a person."""
    labels = np.repeat([1, 0], [m, n])
    scores = rng.standard_normal(m + n) + distance(value) * labels
    return labels, scores, auc_components(labels, scores, person=first + np.arange(m + n))


def draw_fits(rng, labels, person, shifts: Sequence[float], correlation: float) -> list[AucComponents]:
    """One cell a fit; fits share `correlation` of an image's noise."""
    common = math.sqrt(correlation) * rng.standard_normal(len(labels))
    own = math.sqrt(1.0 - correlation)
    return [
        auc_components(labels, common + own * rng.standard_normal(len(labels)) + shift * labels, person=person)
        for shift in shifts
    ]


def rates_of(one_set: Callable[[], Rates], n_sets: int) -> Rates:
    found = [one_set() for _ in range(n_sets)]
    return {name: float(np.mean([rates[name] for rates in found])) for name in found[0]}


def holds(found, truth: float) -> float:
    return float(found.low <= truth <= found.high)


def group_rates(rng, sizes, values, n_sets: int, n_resamples: int = 300) -> Rates:
    """Coverage of the range and of the worst group's AUC, beside what ignores the choosing."""
    truth = max(values) - min(values)

    def one_set() -> Rates:
        drawn = [
            draw_group(rng, m, n, a, 10**6 * i) for i, ((m, n), a) in enumerate(zip(sizes, values, strict=True))
        ]
        cells = [[cell] for _, _, cell in drawn]
        names = [str(i) for i in range(len(cells))]
        pool = pool_sides(cells, seed_groups=[0] * len(cells))
        found, worst = range_over_groups(pool, names), worst_group(pool, names)
        seed = int(rng.integers(2**31))
        columns = np.stack(
            [stratified_auc_replicates(y, s, n_resamples, seed + i)[0] for i, (y, s, _) in enumerate(drawn)]
        )
        low, high = np.quantile(np.ptp(columns, axis=0), [0.025, 0.975])
        own = average_over_seeds(cells[int(worst.name)])
        return {
            "range": holds(found, truth),
            "percentile bootstrap of the range (control)": float(low <= truth <= high),
            "worst group": holds(worst, values[int(worst.name)]),
            "its own interval (control)": holds(own, values[int(worst.name)]),
            "lowest AUC above the bound": float(worst.no_group_below <= min(values)),
            "rejects equality": float(found.p_value < 0.05),
            "rejects, chi-squared": rejects_equality([cell for (cell,) in cells]),
            "observed SD": pool.values().std(ddof=1),
            "corrected SD": found.corrected_sd,
        }

    return rates_of(one_set, n_sets)


def rejects_equality(cells) -> float:
    p_value = auc_spread(cells).p_value  # None where groups without variance make the covariance singular
    return float(p_value is not None and p_value < 0.05)


def seed_rates(rng, k: int, n_seeds: int, tau: float, n_sets: int) -> Rates:
    """The same for groups of one recipe's fits; `tau` is the spread of a fit's distance in each group."""
    labels = np.repeat([1, 0], 100)

    def one_set() -> Rates:
        shifts = distance(0.8) + tau * rng.standard_normal((n_seeds, k))
        sides = [draw_fits(rng, labels, 1000 * i + np.arange(200), shifts[:, i].tolist(), 0.8) for i in range(k)]
        pool = pool_sides(sides, seed_groups=[0] * k)
        names = [str(i) for i in range(k)]
        found = range_over_groups(pool, names)
        contrasts = np.eye(k)[1:] - np.eye(k)[:1]
        total = contrasts @ (pool.patients + pool.spread) @ contrasts.T
        gaps = contrasts @ pool.values()
        statistic = float(gaps @ np.linalg.pinv(total) @ gaps)
        return {
            "range": holds(found, 0.0),
            "worst group": float(worst_holds(pool, names, tau)),
            "rejects equality": float(found.p_value < 0.05),
            "rejects, chi-squared (control)": float(statistic > chi_squared(k - 1)),
        }

    return rates_of(one_set, n_sets)


def worst_holds(pool, names, tau: float) -> bool:
    truth = mean_auc(0.8, tau)
    found = worst_group(pool, names)
    return found.low <= truth <= found.high


def mean_auc(value: float, tau: float) -> float:
    """The expected AUC where the distance of the classes varies by tau from fit to fit."""
    from scipy.stats import norm

    return float(norm.cdf(distance(value) / math.sqrt(2.0 + tau**2)))


def chi_squared(df: int) -> float:
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, df))


def interaction_rates(rng, m: int, n: int, values, n_seeds: int, tau: float, n_sets: int) -> Rates:
    """Coverage of a gap of gaps: two sets of fits, each scored on the same two groups of persons."""
    truth = float(np.dot(INTERACTION, [mean_auc(value, tau) for value in values]))
    labels = np.repeat([1, 0], [m, n])

    def one_set() -> Rates:
        sides: list[list[AucComponents]] = [[], [], [], []]
        for group in (0, 1):
            person = 10**6 * group + np.arange(m + n)
            shifts = [distance(values[group + 2 * train]) + tau * rng.standard_normal(n_seeds) for train in (0, 1)]
            fits = draw_fits(rng, labels, person, np.concatenate(shifts).tolist(), 0.8)
            sides[group], sides[group + 2] = fits[:n_seeds], fits[n_seeds:]
        found = auc_contrast(sides, INTERACTION, seed_groups=["a", "a", "b", "b"])
        single = auc_contrast([side[:1] for side in sides], INTERACTION, seed_groups=["a", "a", "b", "b"])
        two = [auc_gap(sides[i][0], sides[i + 1][0]) for i in (0, 2)]
        reach = 1.96 * math.hypot(two[0].standard_error, two[1].standard_error)
        return {
            "default": holds(found, truth),
            "one seed's interval (control)": holds(single, truth),
            "as if other patients (control)": float(abs(two[0].estimate - two[1].estimate - truth) <= reach),
            "width": found.high - found.low,
            "width as if other patients": 2.0 * reach,
        }

    return rates_of(one_set, n_sets)


def macro_rates(rng, sizes, values, n_seeds: int, tau: float, n_sets: int) -> Rates:
    """Coverage of the mean over findings on the same images, and of its gap between two groups."""
    k = len(values)
    truth = float(np.mean([mean_auc(value, tau) for value in values]))
    n_images = max(m + n for m, n in sizes)

    def fits(first: int) -> list[list[AucComponents]]:
        common = rng.standard_normal(n_images)
        sides = []
        for (m, _), value in zip(sizes, values, strict=True):
            labels = np.zeros(n_images, dtype=int)
            labels[rng.permutation(n_images)[:m]] = 1
            shift = distance(value) + tau * rng.standard_normal(n_seeds)
            per_finding = 0.5 * common + 0.5 * rng.standard_normal(n_images)
            sides.append(
                [
                    auc_components(
                        labels,
                        per_finding + math.sqrt(0.5) * rng.standard_normal(n_images) + s * labels,
                        person=first + np.arange(n_images),
                    )
                    for s in shift
                ]
            )
        return sides

    def one_set() -> Rates:
        a, b = fits(0), fits(10**6)
        mean = auc_contrast(a, [1 / k] * k, seed_groups=[0] * k)
        gap = auc_contrast([*a, *b], [1 / k] * k + [-1 / k] * k, seed_groups=[0] * 2 * k)
        patients = pool_sides(a, seed_groups=[0] * k).patient_se([1 / k] * k)
        return {
            "default": holds(mean, truth),
            "gap": holds(gap, 0.0),
            "patients only (control)": float(abs(mean.estimate - truth) <= 1.96 * patients),
        }

    return rates_of(one_set, n_sets)


def make_fits(rng, n_seeds: int, first: int, *, images_a_person: int = 1) -> list[AucComponents]:
    labels = np.random.default_rng(first).integers(0, 2, 120)
    person = first + np.arange(120) // images_a_person
    return draw_fits(rng, labels, person, (1 + 0.1 * rng.standard_normal(n_seeds)).tolist(), 0.5)


@pytest.mark.parametrize("n_seeds", [1, 2, 4])
@pytest.mark.parametrize("images_a_person", [1, 3])
@pytest.mark.parametrize("second", [0, 30, 10**6])
@pytest.mark.parametrize("is_paired", [True, False])
def test_two_sides_are_the_gap_of_seed_means(n_seeds, images_a_person, second, is_paired) -> None:
    rng = np.random.default_rng(n_seeds)
    a, b = (make_fits(rng, n_seeds, first, images_a_person=images_a_person) for first in (0, second))
    gap = seed_gap(a, b, paired_seeds=is_paired)
    found = auc_contrast([a, b], [1, -1], seed_groups=[0, 0] if is_paired else [0, 1])
    for name in ("estimate", "low", "high", "standard_error", "p_value", "df", "correlation"):
        expected, value = getattr(gap, name), getattr(found, name)
        assert value is None if expected is None else value == pytest.approx(expected, abs=1e-12), name
    assert (found.n_patients, found.n_images, found.status) == (gap.n_patients, gap.n_images, gap.status)


def test_one_side_is_its_own_default() -> None:
    fits = make_fits(np.random.default_rng(0), 3, 0)
    found, own = auc_contrast([fits], [1.0]), average_over_seeds(fits)
    assert (found.estimate, found.low, found.high) == pytest.approx((own.estimate, own.low, own.high), abs=1e-12)
    assert found.p_value is None


def test_the_variance_is_that_of_the_combined_value() -> None:
    """One seed: c' Cov c, whatever the combination."""
    from subgroup_audit.stats import auc_covariance

    rng = np.random.default_rng(1)
    cells = [make_fits(rng, 1, first)[0] for first in (0, 0, 40, 500)]
    coefficients = np.array([0.5, -1.0, 0.25, 0.25])
    found = auc_contrast([[cell] for cell in cells], coefficients)
    assert found.standard_error == pytest.approx(math.sqrt(coefficients @ auc_covariance(cells) @ coefficients))
    assert found.low < found.estimate < found.high


def test_a_gap_of_equal_gaps_has_no_width() -> None:
    a, b = (make_fits(np.random.default_rng(2), 3, first) for first in (0, 1000))
    found = auc_contrast([a, b, a, b], INTERACTION, seed_groups=["x"] * 4)
    assert found.estimate == pytest.approx(0.0, abs=1e-15)
    assert found.high < 1e-6


def test_turning_the_signs_turns_the_interval() -> None:
    rng = np.random.default_rng(3)
    sides = [make_fits(rng, 2, first) for first in (0, 1000, 0, 1000)]
    there = auc_contrast(sides, INTERACTION, seed_groups=[0, 0, 1, 1])
    back = auc_contrast(sides, [-c for c in INTERACTION], seed_groups=[0, 0, 1, 1])
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-12)
    assert back.p_value == pytest.approx(there.p_value, abs=1e-9)


def test_a_side_without_a_class_stops_what_uses_it_and_nothing_else() -> None:
    rng = np.random.default_rng(4)
    a, b = make_fits(rng, 1, 0), make_fits(rng, 1, 1000)
    bare = [auc_components([1, 1, 1], [0.1, 0.2, 0.3], person=[7, 8, 9])]
    found = auc_contrast([a, b, bare], [1, -0.5, -0.5], names=["F", "M", "Unknown"])
    assert found.estimate is None
    assert found.status == "not estimable"
    assert found.reason == "Unknown: no negative among 3 images: an AUC needs both classes"
    kept = auc_contrast([a, b, bare], [1, -1, 0])
    assert kept.low == pytest.approx(auc_gap(a[0], b[0]).low, abs=1e-12)
    worst = worst_group(pool_sides([a, b, bare]), ["F", "M", "Unknown"])
    assert worst.n_groups == 2
    assert worst.reason == "Unknown: not estimable and left out"


def test_bad_input_is_named() -> None:
    rng = np.random.default_rng(5)
    one, three = make_fits(rng, 1, 0), make_fits(rng, 3, 0)
    with pytest.raises(StatisticsError, match="sides is empty: there is no AUC to combine"):
        auc_contrast([], [])
    with pytest.raises(StatisticsError, match=r"2 sides need as many coefficients, not the shape \(3,\)"):
        auc_contrast([one, one], [1, 2, 3])
    with pytest.raises(StatisticsError, match=r"coefficients must be finite and not all 0, not \[0.0, 0.0\]"):
        auc_contrast([one, one], [0, 0])
    with pytest.raises(StatisticsError, match="1 seed against 3: one fit has no variance between seeds"):
        auc_contrast([one, three], [1, -1])
    with pytest.raises(
        StatisticsError, match=r"sides of the same fits must be of one number of seeds, not \[2, 3\]"
    ):
        auc_contrast([three[:2], three], [1, -1], seed_groups=[0, 0])
    with pytest.raises(StatisticsError, match="seed_groups must have one entry per side, 2, not 1"):
        auc_contrast([one, one], [1, -1], seed_groups=[0])
    with pytest.raises(StatisticsError, match="3 names and 2 sides do not fit groups of"):
        worst_group(pool_sides([one, one]), ["a", "b", "c"])


def test_perfect_separation_in_a_group_still_has_limits() -> None:
    perfect = [auc_components([1] * 12 + [0] * 12, list(range(24, 0, -1)), person=np.arange(24))]
    other = [draw_group(np.random.default_rng(6), 30, 30, 0.8, 1000)[2]]
    pool = pool_sides([perfect, other])
    found, worst = range_over_groups(pool, ["p", "o"]), worst_group(pool, ["p", "o"])
    assert (found.highest, found.lowest, worst.name, found.status) == ("p", "o", "o", "degenerate")
    assert 0.0 <= found.low < found.estimate < found.high <= 1.0
    assert worst.low < worst.estimate < worst.high


def test_two_groups_have_the_limits_of_their_gap() -> None:
    """With one pair there is nothing to correct for: the quantile is good to its Monte-Carlo error."""
    rng = np.random.default_rng(7)
    a, b = (draw_group(rng, 40, 80, value, first)[2] for value, first in ((0.9, 0), (0.7, 1000)))
    gap, found = auc_gap(a, b), range_over_groups(pool_sides([[a], [b]]), ["a", "b"])
    assert found.estimate == pytest.approx(abs(gap.estimate))
    assert (found.low, found.high) == pytest.approx((gap.low, gap.high), abs=0.003)
    assert found.p_value == pytest.approx(gap.p_value, abs=0.005)


def test_the_range_covers_where_its_bootstrap_never_does() -> None:
    rates = group_rates(np.random.default_rng(8), [(40, 80)] * 4, [0.8] * 4, 150, n_resamples=200)
    assert rates["range"] >= 0.90
    assert rates["worst group"] >= 0.90
    assert rates["percentile bootstrap of the range (control)"] < 0.05
    assert rates["corrected SD"] < 0.7 * rates["observed SD"]


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 4, 8])
@pytest.mark.parametrize("is_equal", [True, False])
def test_range_and_worst_group_are_covered(k: int, is_equal: bool) -> None:
    n_sets = {2: 600, 4: 400, 8: 200}[k]
    values = [0.8] * k if is_equal else np.linspace(0.7, 0.9, k).tolist()
    sizes = [(100, 200) if i % 2 else (40, 80) for i in range(k)]
    rates = group_rates(np.random.default_rng(k), sizes, values, n_sets)
    floor = 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / n_sets)
    assert rates["range"] >= floor
    assert rates["worst group"] >= floor
    assert rates["lowest AUC above the bound"] >= floor
    if is_equal:
        assert rates["percentile bootstrap of the range (control)"] < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "tau"), [(3, 0.0), (3, 0.15), (5, 0.15)])
def test_groups_of_seed_means_are_covered(n_seeds: int, tau: float) -> None:
    rates = seed_rates(np.random.default_rng(9), 4, n_seeds, tau, 400)
    assert rates["range"] >= 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / 400)
    assert rates["worst group"] >= 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / 400)


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "tau"), [(1, 0.0), (3, 0.0), (3, 0.15)])
def test_gaps_of_gaps_are_covered(n_seeds: int, tau: float) -> None:
    rates = interaction_rates(np.random.default_rng(10), 50, 200, (0.85, 0.8, 0.8, 0.85), n_seeds, tau, 500)
    assert rates["default"] >= 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / 500)
    assert rates["width"] < 0.8 * rates["width as if other patients"] or tau > 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "tau"), [(1, 0.0), (3, 0.15)])
def test_macro_means_are_covered(n_seeds: int, tau: float) -> None:
    sizes, values = [(100, 200), (30, 270), (150, 150)], (0.8, 0.9, 0.7)
    rates = macro_rates(np.random.default_rng(11), sizes, values, n_seeds, tau, 500)
    floor = 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / 500)
    assert rates["default"] >= floor
    assert rates["gap"] >= floor
    assert rates["patients only (control)"] < 0.93 or tau == 0.0


def print_table(title: str, named: Sequence[str], rows) -> None:
    print(f"\n**{title}**\n")
    for place, (cells, rates) in enumerate(rows):
        if place == 0:
            print("| " + " | ".join([*named, *rates]) + " |\n" + "|---" * (len(named) + len(rates)) + "|")
        plain = ("SD", "width")
        shown = [
            f"{value:.3f}" if any(word in name for word in plain) else f"{100 * value:.1f}"
            for name, value in rates.items()
        ]
        print("| " + " | ".join([*map(str, cells), *shown]) + " |", flush=True)


def main(n_sets: int, wanted: Sequence[str]) -> None:
    rng = np.random.default_rng(2024)
    few = max(1, n_sets // 4)
    if "groups" in wanted:
        shapes = {
            "50+50": [(50, 50)] * 8,
            "20+100": [(20, 100)] * 8,
            "10+40 and 200+800": [(10, 40), (200, 800)] * 4,
        }
        rows = (
            (
                (k, name, f"all {low}" if low == high else f"{low} to {high}"),
                group_rates(rng, sizes[:k], np.linspace(low, high, k).tolist(), n_sets),
            )
            for k in (2, 4, 8)
            for name, sizes in shapes.items()
            for low, high in ((0.8, 0.8), (0.95, 0.95), (0.7, 0.9))
        )
        print_table(
            f"Range and worst of several groups, {n_sets} data sets a row", ("groups", "m+n", "AUCs"), rows
        )
    if "seeds" in wanted:
        rows = (
            ((k, s, tau), seed_rates(rng, k, s, tau, few))
            for k in (2, 4, 8)
            for s in (3, 5)
            for tau in (0.0, 0.05, 0.15)
        )
        print_table(
            f"The same over training seeds, 100+100 a group, equal AUCs, {few} data sets a row",
            ("groups", "seeds", "tau"),
            rows,
        )
    if "interaction" in wanted:
        rows = (
            ((f"{m}+{n}", values, s, tau), interaction_rates(rng, m, n, values, s, tau, few))
            for m, n in ((10, 40), (50, 200), (220, 220))
            for values in ((0.8,) * 4, (0.95,) * 4, (0.9, 0.8, 0.8, 0.9))
            for s, tau in ((1, 0.0), (3, 0.0), (3, 0.15))
        )
        print_table(f"Gap of gaps, {few} data sets a row", ("m+n", "AUCs", "seeds", "tau"), rows)
    if "macro" in wanted:
        rows = (
            ((shape, s, tau), macro_rates(rng, sizes, (0.8, 0.9, 0.7), s, tau, few))
            for shape, sizes in (
                ("100+200, 30+270, 150+150", [(100, 200), (30, 270), (150, 150)]),
                ("20+100, 8+112, 60+60", [(20, 100), (8, 112), (60, 60)]),
            )
            for s, tau in ((1, 0.0), (3, 0.0), (3, 0.15), (5, 0.15))
        )
        print_table(f"Mean over three findings, {few} data sets a row", ("m+n", "seeds", "tau"), rows)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or ["groups", "seeds", "interaction", "macro"])
