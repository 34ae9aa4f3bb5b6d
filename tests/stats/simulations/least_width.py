"""How narrow an interval of a gap could be: a lower bound on its mean width, whatever the interval is.

The mean width of an interval is the integral, over all wrong gaps d, of the chance that it holds d (Pratt 1961).
An interval that covers 93.5 % where the gap is d is a test of that gap at level 0.065, and no such test has more
power against the truth than likelihoods allow: for any weights w_k >= 0 on pairs of AUCs that differ by d,

    P(holds d) >= E[min(1, sum w_k P_k / P_0)] - 0.065 sum w_k,

P_0 being the distribution of the data at the truth and P_k that at the null. Any weights give a bound. They are
chosen on one sample, and the bound is estimated on another, so that chance does not flatter it.

    python tests/stats/simulations/least_width.py        # about 20 minutes on one core

Groups: all that ranks tell within each group, that is all intervals that monotone transforms of the scores leave
as they are. Models on the same images: intervals that read the two AUCs. Scores are normal, as elsewhere, with
positives as spread as the negatives, twice or half as much. The truth has them equally spread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numba
import numpy as np
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulations.draws import shift

LEVEL = 0.065
# AUCs of the null hypotheses, and gaps between them: both on a grid of 0.01, so that few worlds make many nulls.
AUCS = np.append(np.round(np.arange(0.505, 1.0, 0.01), 3), 0.999)
SPREADS = tuple(product((1.0, 2.0, 0.5), repeat=2))
GAPS = np.array([1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 22, 26, 30, 35, 40, 45]) / 100.0
Floats = np.ndarray


@dataclass(frozen=True)
class World:
    """One group's or model's scores: its AUC, and the spread of its positives."""

    value: float
    spread: float = 1.0


def neighbours(gap: float) -> Iterator[tuple[World, World]]:
    """Null hypotheses: worlds whose AUCs differ by the gap."""
    for a, (one, other) in product(AUCS[AUCS - gap > 0.5], SPREADS):
        yield World(float(a), one), World(round(float(a) - gap, 3), other)


def best_weights(ratios: Floats, chances: Floats | None = None) -> Floats:
    """Weights that make the bound nearly as large as it gets; `ratios` [points, nulls], and chances of points."""
    share = np.full(len(ratios), 1.0 / len(ratios)) if chances is None else chances

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = ratios @ weights
        is_below = mixed < 1.0
        value = share @ np.minimum(mixed, 1.0) - LEVEL * weights.sum()
        return -value, LEVEL - (share * is_below) @ ratios

    best = np.zeros(ratios.shape[1])
    start = np.full(len(best), 1.0 / len(best))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(best))
    return found.x if -found.fun > 0.0 else best


def bound_at(ratios: Floats, weights: Floats, chances: Floats | None = None) -> float:
    """The least chance of holding this gap, 0 at least."""
    share = np.full(len(ratios), 1.0 / len(ratios)) if chances is None else chances
    return max(float(share @ np.minimum(ratios @ weights, 1.0)) - LEVEL * float(weights.sum()), 0.0)


def integral(gaps: Floats, bounds: list[float]) -> float:
    """The least mean width where both sides are alike: twice the trapezoids, from the coverage itself at gap 0."""
    heights = np.concatenate(([1.0 - LEVEL], bounds))
    return 2.0 * float(np.trapezoid(heights, np.concatenate(([0.0], gaps))))


def log_rank_chances(labels: Floats, world: World, n_points: int = 500) -> Floats:
    """Log probability of each arrangement of classes, `labels` [k, m + n] in order of score, up to a constant.

    The scores' order is integrated out point by point: the chance that the i-th lies at x and all before it below.
    """
    mean = shift(world.value, world.spread)
    x = np.linspace(-5.5, max(mean + 5.5 * world.spread, 5.5), n_points)
    step = (x[1] - x[0]) / np.sqrt(2.0 * np.pi)
    densities = np.array([np.exp(-0.5 * x**2), np.exp(-0.5 * ((x - mean) / world.spread) ** 2) / world.spread])
    out = np.empty(len(labels))
    integrate_order(labels.astype(np.int64), densities * step, out)
    return out


@numba.njit(cache=True)
def integrate_order(labels, densities, out):  # type: ignore[no-untyped-def]
    """The logarithm of the integral over x_1 < x_2 < ... of the product of the labels' densities, for each row."""
    n_points = densities.shape[1]
    below = np.empty(n_points)
    for row in range(labels.shape[0]):
        below[:] = 1.0
        total = 0.0
        for place in range(labels.shape[1]):
            of_class = densities[labels[row, place]]
            summed, before = 0.0, 0.0
            for point in range(n_points):
                mass = below[point] * of_class[point]
                summed += 0.5 * (before + mass)
                before = mass
                below[point] = summed
            for point in range(n_points):
                below[point] /= summed
            total += np.log(summed)
        out[row] = total


def draw_arrangements(rng: np.random.Generator, m: int, n: int, world: World, size: int) -> tuple[Floats, Floats]:
    """Distinct arrangements among `size` draws, in order of score, and which one each draw is."""
    scores = np.concatenate(
        [
            rng.standard_normal((size, n)),
            shift(world.value, world.spread) + world.spread * rng.standard_normal((size, m)),
        ],
        axis=1,
    )
    labels = np.argsort(scores, axis=1) >= n
    return np.unique(labels, axis=0, return_inverse=True)


def least_width_of_groups(m: int, n: int, value: float, size: int = 8_000) -> float:
    """The least mean width of a rank interval of two groups of m+n images, both AUCs `value`."""
    rng = np.random.default_rng(1)
    worlds = {world for gap in GAPS for pair in neighbours(gap) for world in pair} | {World(value)}
    sides = [draw_arrangements(rng, m, n, World(value), 2 * size) for _ in range(2)]
    chances = [
        {world: log_rank_chances(found, world)[place.ravel()] for world in worlds} for found, place in sides
    ]
    bounds = []
    for gap in GAPS:
        nulls = list(neighbours(gap))
        logs = [
            sum(side[world] - side[World(value)] for side, world in zip(chances, pair, strict=True))
            for pair in nulls
        ]
        ratios = np.exp(np.minimum(np.array(logs).T, 50.0))
        bounds.append(bound_at(ratios[size:], best_weights(ratios[:size])))
    return integral(GAPS, bounds)


@numba.njit(cache=True)
def count_wins(negatives, positives, means, spreads, out):  # type: ignore[no-untyped-def]
    """Mann-Whitney counts of every world from the same noise, into out [worlds, draws]; `negatives` sorted."""
    for draw in range(negatives.shape[0]):
        for world in range(len(means)):
            total = 0
            for place in range(positives.shape[1]):
                score = means[world] + spreads[world] * positives[draw, place]
                total += np.searchsorted(negatives[draw], score)
            out[world, draw] = total


def paired_counts(seed: int, m: int, n: int, r: float, worlds: list[World], size: int) -> list[Floats]:
    """Counts of both models, [worlds, draws] each, whose noise has this correlation."""
    rng = np.random.default_rng(seed)
    means = np.array([shift(world.value, world.spread) for world in worlds])
    spreads = np.array([world.spread for world in worlds])
    found = [np.empty((len(worlds), size), dtype=np.int32) for _ in range(2)]
    for start in range(0, size, 50_000):
        stop = min(start + 50_000, size)
        common, *own = rng.standard_normal((3, stop - start, m + n))
        for out, noise in zip(found, own, strict=True):
            mixed = np.sqrt(r) * common + np.sqrt(1.0 - r) * noise
            part = np.empty((len(worlds), stop - start), dtype=np.int32)
            count_wins(np.sort(mixed[:, :n], axis=1), np.ascontiguousarray(mixed[:, n:]), means, spreads, part)
            out[:, start:stop] = part
    return found


def least_width_of_pairs(m: int, n: int, value: float, r: float, size: int = 100_000) -> float:
    """The least mean width of an interval that reads two AUCs of models on the same m+n images."""
    worlds = sorted(
        {world for gap in GAPS for pair in neighbours(gap) for world in pair} | {World(value)},
        key=lambda world: (world.value, world.spread),
    )
    place = {world: at for at, world in enumerate(worlds)}
    samples = [paired_counts(seed, m, n, r, worlds, size) for seed in (1, 2)]
    truth = place[World(value)]
    bounds = []
    for gap in GAPS:
        nulls = [(place[a], place[b]) for a, b in neighbours(gap)]
        weights = None
        for first, second in samples:
            keys = [first[a] * (m * n + 1) + second[b] for a, b in [(truth, truth), *nulls]]
            points = np.unique(keys[0])
            tables = []
            for key in keys:
                where = np.minimum(np.searchsorted(points, key), len(points) - 1)
                tables.append(np.bincount(where[points[where] == key], minlength=len(points)) / size)
            chances = tables[0]
            ratios = np.array(tables[1:]).T / chances[:, None]
            weights = best_weights(ratios, chances) if weights is None else weights
        bounds.append(bound_at(ratios, weights, chances))
    return integral(GAPS, bounds)


ROWS = (
    ((10, 10), 0.99, 0.5),
    ((10, 10), 0.99, 0.9),
    ((10, 10), 0.95, 0.5),
    ((10, 10), 0.95, 0.9),
    ((20, 100), 0.99, 0.5),
    ((20, 100), 0.99, 0.9),
    ((20, 100), 0.95, 0.9),
    ((50, 50), 0.99, 0.9),
    ((50, 50), 0.95, 0.5),
)

if __name__ == "__main__":
    for value, size in ((0.99, 8_000), (0.95, 30_000), (0.8, 8_000)):
        print(f"groups 10+10, 10+10 at {value}: {least_width_of_groups(10, 10, value, size):.3f}", flush=True)
    for (m, n), value, r in ROWS:
        print(
            f"models {m}+{n} at {value}, correlation {r}: {least_width_of_pairs(m, n, value, r):.3f}", flush=True
        )
