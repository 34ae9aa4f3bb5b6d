"""Power planned from cohorts against power simulated: several images a person, seeds, equivalence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import nct

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    auc_components,
    auc_gap,
    binormal_auc_variance,
    design_effect,
    equivalence_power,
    equivalence_verdict,
    gap_power,
    plan_cell,
    planned_covariance,
)


def distance(value: float) -> float:
    return float(ndtri(value)) * math.sqrt(2.0)


def make_persons(rng, n_persons: int, share: float, *, labels_per: str = "person"):
    """Labels and persons: 1 to 5 images a person."""
    person = np.repeat(np.arange(n_persons), rng.integers(1, 6, n_persons))
    drawn = rng.random(n_persons if labels_per == "person" else len(person)) < share
    return (drawn[person] if labels_per == "person" else drawn).astype(int), person


def draw_scores(rng, labels, person, value: float, icc: float):
    common = math.sqrt(icc) * rng.standard_normal(person.max() + 1)[person]
    return common + math.sqrt(1.0 - icc) * rng.standard_normal(len(person)) + distance(value) * labels


def simulated_variance(rng, labels, person, value: float, icc: float, n_sets: int) -> float:
    found = [auc_components(labels, draw_scores(rng, labels, person, value, icc)).auc for _ in range(n_sets)]
    return float(np.var(found))


def test_one_image_a_person_is_the_binormal_variance() -> None:
    for m, n, value in ((10, 10, 0.6), (50, 200, 0.85), (20, 400, 0.97)):
        cell = plan_cell(np.repeat([1, 0], [m, n]), np.arange(m + n), np.arange(m + n))
        assert planned_covariance(cell, cell, value) == pytest.approx(
            binormal_auc_variance(value, m, n), rel=1e-12
        )


def test_two_fits_of_correlation_one_are_one_fit_but_for_the_remainder() -> None:
    cell = plan_cell(np.repeat([1, 0], [50, 200]), np.arange(250), np.arange(250))
    same, near = (planned_covariance(cell, cell, 0.8, same_image=r) for r in (1.0, 1.0 - 1e-12))
    assert near < same
    assert near == pytest.approx(same, rel=0.02)


def test_nobody_in_common_means_no_covariance() -> None:
    labels, rows = np.repeat([1, 0], 20), np.arange(40)
    a, b = plan_cell(labels, rows, rows), plan_cell(labels, rows + 40, rows + 40)
    assert planned_covariance(a, b, 0.8) == 0.0


@pytest.mark.parametrize("labels_per", ["person", "image"])
@pytest.mark.parametrize(("value", "icc"), [(0.7, 0.5), (0.9, 0.8)])
def test_the_planned_variance_of_clustered_images_is_the_simulated_one(labels_per, value, icc) -> None:
    rng = np.random.default_rng(3)
    labels, person = make_persons(rng, 120, 0.3, labels_per=labels_per)
    cell = plan_cell(labels, person, np.arange(len(person)))
    planned = planned_covariance(cell, cell, value, same_person=icc)
    # The variance of 800 sets has a relative standard error of 5 %.
    assert simulated_variance(rng, labels, person, value, icc, 800) == pytest.approx(planned, rel=0.16)


def test_two_views_of_the_same_persons_are_correlated_as_planned() -> None:
    rng = np.random.default_rng(4)
    n, value, icc = 150, 0.8, 0.6
    labels = np.repeat([1, 0], [50, 100])
    cells = [plan_cell(labels, np.arange(n), first + np.arange(n)) for first in (0, n)]
    planned = planned_covariance(*cells, value, same_person=icc)
    found = []
    for _ in range(1000):
        common = math.sqrt(icc) * rng.standard_normal(n) + distance(value) * labels
        found.append(
            [auc_components(labels, common + math.sqrt(1 - icc) * rng.standard_normal(n)).auc for _ in (0, 1)]
        )
    assert np.cov(np.transpose(found))[0, 1] == pytest.approx(planned, rel=0.2)


def test_the_design_effect_is_that_of_kish() -> None:
    assert design_effect([1] * 7, icc=0.9) == 1.0
    assert design_effect([4] * 7, icc=0.5) == pytest.approx(2.5)
    sizes = np.array([1, 2, 6])
    cv = sizes.std() / sizes.mean()
    assert design_effect(sizes, icc=0.3) == pytest.approx(1 + ((cv**2 + 1) * sizes.mean() - 1) * 0.3)
    with pytest.raises(StatisticsError, match="sizes must be images of a person, 1 or more each"):
        design_effect([0, 2], icc=0.5)


def test_power_with_few_degrees_of_freedom_is_the_noncentral_t() -> None:
    from scipy.stats import t

    for df in (3.0, 12.5):
        expected = 1.0 - nct.cdf(t.ppf(0.975, df), df, 2.5)
        assert gap_power(0.05, 0.02, df=df) == pytest.approx(expected, abs=1e-6)
    assert gap_power(0.05, 0.02, df=1e9) == pytest.approx(gap_power(0.05, 0.02), abs=1e-9)
    assert gap_power(0.9, 0.03, df=100.0) == 1.0


def test_equivalence_power_falls_with_the_true_gap() -> None:
    found = [equivalence_power(0.05, 0.012, true_gap=gap) for gap in (0.0, 0.02, 0.05, 0.08)]
    assert found == sorted(found, reverse=True)
    assert found[2] == pytest.approx(0.05, abs=1e-4)
    assert equivalence_power(0.05, 0.05) == 0.0


def simulate_gap(rng, sizes, values, margin: float, n_sets: int, *, n_persons: int = 0, icc: float = 0.0):
    """Share of sets with a gap found and with its absence shown; persons with several images if asked for."""
    found = np.zeros(2)
    for _ in range(n_sets):
        cells = []
        for place, ((m, n), value) in enumerate(zip(sizes, values, strict=True)):
            labels, person = np.repeat([1, 0], [m, n]), np.arange(m + n)
            if n_persons:
                person = np.concatenate(
                    [np.arange(m) % (n_persons // 2), n_persons // 2 + np.arange(n) % (n_persons // 2)]
                )
            scores = draw_scores(rng, labels, person, value, icc)
            cells.append(auc_components(labels, scores, person=10**6 * place + person))
        gap = auc_gap(*cells)
        verdict = equivalence_verdict(gap, margin=margin)
        found += [gap.p_value < 0.05 and gap.estimate > 0, verdict.name == "no gap beyond the margin"]
    return found / n_sets


def planned(sizes, values, margin: float, *, n_persons: int = 0, icc: float = 0.0) -> tuple[float, float]:
    variance = 0.0
    for (m, n), value in zip(sizes, values, strict=True):
        person = np.arange(m + n)
        if n_persons:
            person = np.concatenate(
                [np.arange(m) % (n_persons // 2), n_persons // 2 + np.arange(n) % (n_persons // 2)]
            )
        cell = plan_cell(np.repeat([1, 0], [m, n]), person, np.arange(m + n))
        variance += planned_covariance(cell, cell, value, same_person=icc)
    error = math.sqrt(variance)
    gap = values[0] - values[1]
    return gap_power(gap, error) if gap else 0.05, equivalence_power(margin, error, true_gap=gap)


ROWS = [
    (((200, 200), (200, 200)), (0.85, 0.77), 0.05, {}),
    (((200, 800), (100, 400)), (0.8, 0.8), 0.08, {}),
    (((200, 200), (200, 200)), (0.85, 0.75), 0.05, {"n_persons": 160, "icc": 0.5}),
    (((200, 200), (200, 200)), (0.85, 0.85), 0.1, {"n_persons": 160, "icc": 0.5}),
]


@pytest.mark.parametrize(("sizes", "values", "margin", "clusters"), ROWS)
def test_planned_power_is_simulated_power(sizes, values, margin, clusters) -> None:
    shown = simulate_gap(np.random.default_rng(5), sizes, values, margin, 300, **clusters)
    power, equivalence = planned(sizes, values, margin, **clusters)
    # Three standard errors of a share of 300 sets, and three points for what is not normal.
    assert shown[1] == pytest.approx(equivalence, abs=0.03 + 3 * math.sqrt(max(equivalence, 0.01) * 0.99 / 300))
    if values[0] != values[1]:
        assert shown[0] == pytest.approx(power, abs=0.03 + 3 * math.sqrt(power * (1 - power) / 300))


@pytest.mark.slow
@pytest.mark.parametrize(("sizes", "values", "margin", "clusters"), ROWS)
def test_planned_power_is_simulated_power_to_three_points(sizes, values, margin, clusters) -> None:
    shown = simulate_gap(np.random.default_rng(6), sizes, values, margin, 2000, **clusters)
    power, equivalence = planned(sizes, values, margin, **clusters)
    assert shown[1] == pytest.approx(equivalence, abs=0.03 + 2.6 * 0.011)
    if values[0] != values[1]:
        assert shown[0] == pytest.approx(power, abs=0.03 + 2.6 * 0.011)


@pytest.mark.slow
def test_planning_without_persons_promises_too_much() -> None:
    """Negative control: images of one person taken for those of several."""
    sizes, values, margin, clusters = ROWS[2]
    shown = simulate_gap(np.random.default_rng(7), sizes, values, margin, 1000, **clusters)
    assert planned(sizes, values, margin)[0] > shown[0] + 0.1


if __name__ == "__main__":
    import sys

    print("| m+n | AUCs | images a person, icc | margin | power | simulated | no gap shown | simulated |")
    print("|---|---|---|---|---|---|---|---|")
    for sizes, values, margin, clusters in ROWS:
        shown = simulate_gap(np.random.default_rng(8), sizes, values, margin, int(sys.argv[1]), **clusters)
        power, equivalence = planned(sizes, values, margin, **clusters)
        who = "2.5, 0.5" if clusters else "1"
        powers = [f"{100 * p:.1f}" if values[0] != values[1] else "" for p in (power, shown[0])]
        print(
            f"| {' and '.join(f'{m}+{n}' for m, n in sizes)} | {values[0]}, {values[1]} | {who} | {margin} | "
            f"{' | '.join(powers)} | {100 * equivalence:.1f} | {100 * shown[1]:.1f} |",
            flush=True,
        )
