"""CPU time of 2,000 stratified bootstrap resamples of one AUC, of many models, and of a DeLong interval.

    python benchmarks/auc_bootstrap.py            # sizes 500, 5,000 and 26,684; about three minutes
    python benchmarks/auc_bootstrap.py 500 5000

Every line is measured in this run: CPU time of the process, tools taken in turn, the median of three rounds.
Slow tools run with fewer resamples and are scaled to 2,000 (marked ~). Compiled code is compiled before the
clock starts.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from subgroup_audit.stats import PersonDraws, auc_interval, stratified_auc_replicates

N_RESAMPLES = 2_000
N_MODELS = 20
ROUNDS = 3
Timed = tuple[Callable[[int], object], int]


def draw_scores(n: int, n_models: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels (22.5 % positive, as RSNA has) and the scores of several models, without ties."""
    rng = np.random.default_rng(n)
    labels = np.arange(n) < round(0.225 * n)
    return labels, rng.standard_normal((n_models, n)) + labels


def resample_with_scikit_learn(labels: np.ndarray, scores: np.ndarray, n_resamples: int) -> list[float]:
    """The usual loop: draw rows of each class, call roc_auc_score."""
    rng = np.random.default_rng(1)
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)
    found = []
    for _ in range(n_resamples):
        rows = np.r_[rng.choice(positives, len(positives)), rng.choice(negatives, len(negatives))]
        found.append(roc_auc_score(labels[rows], scores[rows]))
    return found


def resample_with_scipy(labels: np.ndarray, scores: np.ndarray, n_resamples: int) -> object:
    """scipy.stats.bootstrap of two samples, with an AUC that takes a batch of resamples at once."""

    def areas(positives: np.ndarray, negatives: np.ndarray, axis: int = -1) -> np.ndarray:
        m, n = positives.shape[-1], negatives.shape[-1]
        both = np.concatenate([np.atleast_2d(positives), np.atleast_2d(negatives)], axis=-1)
        ranks = both.argsort(axis=-1).argsort(axis=-1) + 1.0
        return (ranks[..., :m].sum(axis=-1) - m * (m + 1) / 2) / (m * n)

    return bootstrap(
        (scores[labels], scores[~labels]),
        areas,
        n_resamples=n_resamples,
        batch=max(1, 4_000_000 // len(labels)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    )


def concatenate_patients(
    labels: np.ndarray, scores: np.ndarray, person: np.ndarray, n_resamples: int
) -> list[float]:
    """The usual patient bootstrap: put the rows of the drawn patients together, call roc_auc_score."""
    rng = np.random.default_rng(1)
    order = np.argsort(person, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(person))[:-1])
    found = []
    for _ in range(n_resamples):
        rows = np.concatenate([rows_of[chosen] for chosen in rng.integers(0, len(rows_of), len(rows_of))])
        found.append(roc_auc_score(labels[rows], scores[rows]))
    return found


def time_in_turn(tools: dict[str, Timed]) -> dict[str, float]:
    """Median CPU seconds of each tool, scaled to 2,000 resamples; the tools take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(ROUNDS):
        for name, (run, n_resamples) in tools.items():
            start = time.process_time()
            run(n_resamples)
            seconds[name].append((time.process_time() - start) * N_RESAMPLES / n_resamples)
    return {name: statistics.median(values) for name, values in seconds.items()}


def print_times(title: str, tools: dict[str, Timed], base: str) -> None:
    """One line a tool: CPU time, and how often ours fits into it."""
    times = time_in_turn(tools)
    print(f"\n{title}")
    for name, value in times.items():
        scaled = "~" if tools[name][1] < N_RESAMPLES else " "
        print(f"  {name:<46} {scaled}{1000 * value:>12.2f} ms  {value / times[base]:>9.1f}x", flush=True)


def time_one_model(n: int) -> None:
    labels, (scores,) = draw_scores(n)
    few = max(10, min(N_RESAMPLES, 1_000_000 // n))
    tools: dict[str, Timed] = {
        "ours, numba": (lambda b: stratified_auc_replicates(labels, scores, b, engine="numba"), N_RESAMPLES),
        "ours, numpy": (lambda b: stratified_auc_replicates(labels, scores, b, engine="numpy"), N_RESAMPLES),
        "scikit-learn loop": (lambda b: resample_with_scikit_learn(labels, scores, b), few),
        "scipy.stats.bootstrap, vectorised": (lambda b: resample_with_scipy(labels, scores, b), few),
    }
    print_times(f"one AUC, {n:,} images", tools, "ours, numba")


def time_many_models(n: int) -> None:
    labels, scores = draw_scores(n, N_MODELS)
    few = max(5, 200_000 // n)
    tools: dict[str, Timed] = {
        "ours, numba": (lambda b: stratified_auc_replicates(labels, scores, b, engine="numba"), N_RESAMPLES),
        "scikit-learn loop": (
            lambda b: [resample_with_scikit_learn(labels, row, b) for row in scores],
            few,
        ),
    }
    print_times(f"{N_MODELS} models on the same {n:,} images", tools, "ours, numba")


def time_patients(n: int) -> None:
    labels, (scores,) = draw_scores(n)
    person = np.random.default_rng(2).integers(0, max(2, int(n / 3.5)), n)
    person = np.unique(person, return_inverse=True)[1]
    few = max(5, 300_000 // n)

    def ours(n_resamples: int) -> object:
        draws = PersonDraws(np.arange(person.max() + 1), None, n_resamples=n_resamples, engine="numba")
        return draws.auc_replicates(labels, scores, person)

    tools: dict[str, Timed] = {
        "ours, numba": (ours, N_RESAMPLES),
        "rows of drawn patients + scikit-learn": (
            lambda b: concatenate_patients(labels, scores, person, b),
            few,
        ),
    }
    print_times(f"one AUC, {n:,} images of {person.max() + 1:,} patients", tools, "ours, numba")


def time_interval(n: int) -> None:
    labels, (scores,) = draw_scores(n)
    repeats = max(3, 200_000 // n)
    start = time.process_time()
    for _ in range(repeats):
        auc_interval(labels, scores)
    print(f"\nDeLong (hybrid) interval, {n:,} images: {1000 * (time.process_time() - start) / repeats:.3f} ms")


def run(sizes: list[int]) -> None:
    """Everything, for each size."""
    stratified_auc_replicates(*draw_scores(100), 64, engine="numba")
    for n in sizes:
        time_one_model(n)
        time_patients(n)
        time_interval(n)
    time_many_models(sizes[-1])


if __name__ == "__main__":
    run([int(size) for size in sys.argv[1:]] or [500, 5_000, 26_684])
