"""Coverage of the intervals of rates, average precision, calibration and their gaps, with persons as clusters.

    python tests/stats/test_measure_coverage.py 1000

prints the tables of docs/statistics.md. Persons have 2 to 5 images (or one), half of the score's variance and half
of the label's is between persons. The control takes every image for a person of its own, and must fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from subgroup_audit.stats.average_precision import measure_average_precision
from subgroup_audit.stats.calibration import CALIBRATIONS, measure_calibration
from subgroup_audit.stats.measurement import Measurement, measurement_gap
from subgroup_audit.stats.parity import measure_parity
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.rates import RATES, decide, measure_net_benefit, measure_rate
from subgroup_audit.stats.reliability import BinnedScores, measure_error

THRESHOLD = 0.4
TRUTH_IMAGES = 2_000_000


@dataclass(frozen=True)
class World:
    """Where images come from: share of positives, distance of the classes, and how wrong the scores are.

    A score is the logit of P(positive), stretched by `stretch` and moved by `shift`.
    """

    prevalence: float = 0.3
    distance: float = 1.5
    stretch: float = 1.0
    shift: float = 0.0
    repeats: bool = True

    def draw(self, n_persons: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels, scores and persons."""
        sizes = rng.integers(2, 6, n_persons) if self.repeats else np.ones(n_persons, dtype=int)
        person = np.repeat(np.arange(n_persons), sizes)
        label = ndtr(_shared(person, rng)) < self.prevalence
        raw = _shared(person, rng) + self.distance * label
        odds = np.log(self.prevalence / (1 - self.prevalence)) + self.distance * raw - self.distance**2 / 2
        return label.astype(int), 1 / (1 + np.exp(-(self.shift + self.stretch * odds))), person


def _shared(person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standard normals, half of the variance between persons."""
    between = rng.normal(size=person.max() + 1)[person]
    return np.sqrt(0.5) * between + np.sqrt(0.5) * rng.normal(size=len(person))


Measure = Callable[[RankedScores], Measurement]


def measure_of(metric: str) -> Measure:
    """The measurement by its name in a check."""
    if metric in RATES:
        return lambda ranked: measure_rate(decide(ranked, THRESHOLD), metric)
    if metric == "net_benefit":
        return lambda ranked: measure_net_benefit(decide(ranked, THRESHOLD), THRESHOLD / (1 - THRESHOLD))
    if metric in CALIBRATIONS:
        return lambda ranked: measure_calibration(ranked, metric)
    if metric == "average_precision":
        return measure_average_precision
    return lambda ranked: measure_error(BinnedScores(ranked))


METRICS = (*RATES, "net_benefit", *CALIBRATIONS, "average_precision", "expected_calibration_error")


@lru_cache
def truth(world: World, metric: str) -> float:
    """The number of very many persons with one image each: clustering moves no expectation."""
    alone = World(world.prevalence, world.distance, world.stretch, world.shift, repeats=False)
    label, score, _ = alone.draw(TRUTH_IMAGES, np.random.default_rng(99))
    return float(measure_of(metric)(rank_scores(label, score)).found.estimate or 0.0)


def coverage(world: World, metric: str, n_persons: int, n_sets: int) -> tuple[float, float]:
    """Share of data sets whose interval holds the truth: the default's, and the image-level control's."""
    rng, measure, true = np.random.default_rng(7), measure_of(metric), truth(world, metric)
    held = naive = n_estimable = 0
    for _ in range(n_sets):
        label, score, person = world.draw(n_persons, rng)
        found = measure(rank_scores(label, score, person=person)).found
        control = measure(rank_scores(label, score)).found
        if found.low is None or found.high is None or control.low is None or control.high is None:
            continue
        n_estimable += 1
        held += found.low <= true <= found.high
        naive += control.low <= true <= control.high
    return held / n_estimable, naive / n_estimable


def gap_coverage(a: World, b: World, metric: str, sizes: tuple[int, int], n_sets: int) -> tuple[float, float]:
    """The same for the gap of two groups of different persons."""
    rng, measure = np.random.default_rng(8), measure_of(metric)
    true = truth(a, metric) - truth(b, metric)
    held = naive = n_estimable = 0
    for _ in range(n_sets):
        drawn = [world.draw(size, rng) for world, size in zip((a, b), sizes, strict=True)]
        pair = [measure(rank_scores(y, s, person=p + 10_000 * k)) for k, (y, s, p) in enumerate(drawn)]
        alone = [
            measure(rank_scores(y, s, person=np.arange(len(y)) + 10**6 * k)) for k, (y, s, _) in enumerate(drawn)
        ]
        gap, control = measurement_gap(*pair), measurement_gap(*alone)
        if gap.low is None or gap.high is None or control.low is None or control.high is None:
            continue
        n_estimable += 1
        held += gap.low <= true <= gap.high
        naive += control.low <= true <= control.high
    return held / n_estimable, naive / n_estimable


def paired_coverage(metric: str, n_persons: int, n_sets: int, *, correlation: float) -> tuple[float, float]:
    """Coverage of the gap of two equally good models on the same images, and of the control that takes them apart.

    The control is an interval as if the models had scored different persons: it covers too often, and is wide.
    Returned are the coverage, and the control's mean width over the default's.
    """
    rng, measure, world = np.random.default_rng(9), measure_of(metric), World()
    held, widths = 0, [0.0, 0.0]
    for _ in range(n_sets):
        label, score, person = world.draw(n_persons, rng)
        other = _another_model(label, score, correlation, world, rng)
        a, b = (measure(rank_scores(label, s, person=person)) for s in (score, other))
        apart = measure(rank_scores(label, other, person=person + 10**6))
        gap, control = measurement_gap(a, b), measurement_gap(a, apart)
        held += (gap.low or 0.0) <= 0.0 <= (gap.high or 0.0)
        for place, found in enumerate((gap, control)):
            widths[place] += (found.high or 0.0) - (found.low or 0.0)
    return held / n_sets, widths[1] / widths[0]


def _another_model(
    label: np.ndarray, score: np.ndarray, correlation: float, world: World, rng: np.random.Generator
) -> np.ndarray:
    """Scores with the same distribution in each class, correlated with the first's."""
    odds = np.log(score / (1 - score))
    base = np.log(world.prevalence / (1 - world.prevalence))
    raw = (odds - base + world.distance**2 / 2) / world.distance - world.distance * label
    mixed = correlation * raw + np.sqrt(1 - correlation**2) * rng.normal(size=len(raw)) + world.distance * label
    return np.asarray(1 / (1 + np.exp(-(base + world.distance * mixed - world.distance**2 / 2))))


def parity_coverage(n_persons: int, n_groups: int, n_sets: int) -> dict[str, float]:
    """Coverage for groups that are all alike: the true difference is 0 and the true ratio 1."""
    rng = np.random.default_rng(10)
    held = dict.fromkeys(
        ("demographic_parity_difference", "equalized_odds_difference", "demographic_parity_ratio"), 0
    )
    for _ in range(n_sets):
        groups = []
        for number in range(n_groups):
            label, score, person = World().draw(n_persons, rng)
            groups.append(
                (str(number), decide(rank_scores(label, score, person=person + 10_000 * number), THRESHOLD))
            )
        for metric in held:
            found = measure_parity(groups, metric)
            held[metric] += found.low <= (1.0 if metric.endswith("ratio") else 0.0) <= found.high
    return {metric: count / n_sets for metric, count in held.items()}


MISCALIBRATED = World(stretch=1.6, shift=0.4)
RARE = World(prevalence=0.05, distance=2.0)


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_cover_with_clustered_persons_and_the_control_does_not(metric: str) -> None:
    held, naive = coverage(MISCALIBRATED, metric, 100, 250)
    assert held >= 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / 250)
    assert naive < held
    if metric not in ("npv", "ppv"):  # predictive values of one person's images hardly hang together
        assert naive < 0.93


@pytest.mark.slow
@pytest.mark.parametrize("world", [World(), MISCALIBRATED, RARE], ids=["calibrated", "miscalibrated", "rare"])
@pytest.mark.parametrize("n_persons", [100, 500])
@pytest.mark.parametrize("metric", METRICS)
def test_intervals_cover(metric: str, n_persons: int, world: World) -> None:
    if world == RARE and n_persons == 100 and metric == "calibration_slope":
        pytest.skip("about 15 positive images")
    held, _ = coverage(world, metric, n_persons, 1000)
    assert held >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_gaps_cover_and_the_control_does_not(metric: str) -> None:
    held, naive = gap_coverage(World(), MISCALIBRATED, metric, (400, 100), 1000)
    assert held >= (0.89 if metric == "expected_calibration_error" else 0.925)
    assert naive < held


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.5, 0.95])
@pytest.mark.parametrize("metric", [m for m in METRICS if m != "expected_calibration_error"])
def test_paired_models_cover_in_a_narrower_interval(metric: str, correlation: float) -> None:
    held, ratio = paired_coverage(metric, 150, 1000, correlation=correlation)
    assert held >= 0.93
    assert ratio > (1.05 if correlation == 0.5 else 1.5)


@pytest.mark.slow
def test_parity_of_equal_groups_is_within_its_interval() -> None:
    assert all(share >= 0.94 for share in parity_coverage(150, 4, 500).values())


def _main(n_sets: int) -> None:
    print("| metric | " + " | ".join(f"{name}, {n} persons: default | control" for name, n in _ROWS) + " |")
    for metric in METRICS:
        cells = []
        for name, n_persons in _ROWS:
            held, naive = coverage(_WORLDS[name], metric, n_persons, n_sets)
            cells.append(f"{100 * held:.1f} | {100 * naive:.1f}")
        print(f"| {metric} | " + " | ".join(cells) + " |", flush=True)
    print(
        "\n| metric | gap, 400 and 100 persons | control "
        "| two models, r 0.5 | width if apart | two models, r 0.95 | width if apart |"
    )
    for metric in METRICS:
        gap = gap_coverage(World(), MISCALIBRATED, metric, (400, 100), n_sets)
        pairs = [paired_coverage(metric, 150, n_sets, correlation=r) for r in (0.5, 0.95)]
        rest = " | ".join(f"{100 * held:.1f} | {ratio:.2f}" for held, ratio in pairs)
        print(f"| {metric} | {100 * gap[0]:.1f} | {100 * gap[1]:.1f} | {rest} |", flush=True)
    print(parity_coverage(150, 4, n_sets))


_WORLDS = {"calibrated": World(), "miscalibrated": MISCALIBRATED, "rare": RARE}
_ROWS = (("calibrated", 25), ("calibrated", 100), ("miscalibrated", 100), ("miscalibrated", 500), ("rare", 500))

if __name__ == "__main__":
    assert ndtri(0.5) == 0.0
    _main(int(sys.argv[1]))
