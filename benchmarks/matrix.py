"""Time and memory of a whole matrix: 30 training cohorts x 5 seeds against 30 test sets of 26,684 images.

    python benchmarks/matrix.py                          # goal: below 60 s and 2 GB on two cores
    python benchmarks/matrix.py --test-sets 3            # a tenth of it
    python benchmarks/matrix.py --images-per-person 3.5

For each test set, as an audit does it: persons are drawn once (2,000 resamples, paired across all models), each
of the 150 models is sorted for its replicates and once more for its placements, each training cohort gets its
mean over seeds with an interval, and the models their 150 x 150 DeLong (or Obuchowski) covariance. Inventing the
scores is not counted; they are invented one test set at a time, as predictions would be read.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass, field

import numpy as np

from subgroup_audit.stats import PersonDraws, auc_covariance, average_over_seeds, components_by_model

GOAL_SECONDS, GOAL_BYTES = 60.0, 2e9


@dataclass
class Clock:
    """Wall and CPU seconds by piece of work."""

    wall: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    _since: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Start the next piece."""
        self._since = time.perf_counter(), time.process_time()

    def stop(self, piece: str) -> None:
        """Book what has passed on `piece`, and start anew."""
        self.wall[piece] = self.wall.get(piece, 0.0) + time.perf_counter() - self._since[0]
        self.cpu[piece] = self.cpu.get(piece, 0.0) + time.process_time() - self._since[1]
        self.start()


@dataclass(frozen=True)
class TestSet:
    """Labels and persons of the images, and the scores of every model, shape [cohorts, seeds, n]."""

    labels: np.ndarray
    person: np.ndarray
    scores: np.ndarray


def invent_test_set(seed: int, shape: tuple[int, int, int], images_per_person: float) -> TestSet:
    """Scores with a part that all models share, one of the cohort, and one of the seed; 22.5 % positive."""
    n_cohorts, _, n = shape
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) < round(0.225 * n))
    person = np.arange(n)
    if images_per_person > 1.0:
        person = np.unique(rng.integers(0, int(n / images_per_person), n), return_inverse=True)[1]
    scores = rng.standard_normal(shape)
    scores += rng.standard_normal((n_cohorts, 1, n))
    scores += 2.0 * labels + rng.standard_normal(n)
    return TestSet(labels, rng.permutation(person.max() + 1)[person], scores)


def measure(found: TestSet, clock: Clock, options: argparse.Namespace) -> np.ndarray:
    """Replicates of each training cohort's mean over seeds, shape [cohorts, resamples]."""
    clock.start()
    n_persons = int(found.person.max()) + 1
    has_positive = np.bincount(found.person, found.labels, n_persons) > 0
    draws = PersonDraws(
        np.arange(n_persons),
        has_positive.astype(np.int64),
        n_resamples=options.resamples,
        seed=1,
        n_threads=options.threads,
    )
    models = found.scores.reshape(-1, len(found.labels))
    replicates = draws.auc_replicates_many([(found.labels, row, found.person) for row in models])
    means = np.asarray(replicates.reshape(*found.scores.shape[:2], -1).mean(axis=1))
    clock.stop("replicates")
    components = components_by_model(found.labels, list(models), person=found.person)
    clock.stop("placements")
    n_seeds = found.scores.shape[1]
    for start in range(0, len(models), n_seeds):
        average_over_seeds(components[start : start + n_seeds])
    clock.stop("means over seeds and their intervals")
    covariance = auc_covariance(components)
    clock.stop("covariance of all models")
    check(replicates, covariance)
    return means


def check(replicates: np.ndarray, covariance: np.ndarray) -> None:
    """The two ways to a standard error, resampling and placements, must agree."""
    ratio = replicates.std(axis=1, ddof=1) / np.sqrt(np.diag(covariance))
    # Persons are drawn with the number of positives fixed; 2,000 resamples leave 1.6 % of chance each.
    if not 0.9 < ratio.min() < ratio.max() < 1.1:
        raise SystemExit(f"bootstrap and DeLong disagree: ratios {ratio.min():.3f} to {ratio.max():.3f}")


def run(options: argparse.Namespace) -> None:
    """Everything, and what it took."""
    clock = Clock()
    shape = (options.cohorts, options.seeds, options.images)
    kept = []
    started = time.perf_counter()
    for test_set in range(options.test_sets):
        kept.append(measure(invent_test_set(test_set, shape, options.images_per_person), clock, options))
    elapsed = time.perf_counter() - started
    wall, cpu = sum(clock.wall.values()), sum(clock.cpu.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    n_models = options.cohorts * options.seeds
    print(f"{n_models} models x {options.test_sets} test sets of {options.images:,} images,", end=" ")
    print(f"{options.resamples:,} resamples, {options.threads} threads")
    for piece in clock.wall:
        print(f"  {piece:<40} {clock.wall[piece]:7.1f} s wall {clock.cpu[piece]:7.1f} s CPU")
    print(f"  {'all':<40} {wall:7.1f} s wall {cpu:7.1f} s CPU ({elapsed:.1f} s with inventing the scores)")
    print(f"  peak memory {peak / 1e9:.2f} GB (scores of one test set and replicates of all cells included)")
    if (n_models, options.test_sets, options.images) != (150, 30, 26_684):
        return
    print(f"  goal {GOAL_SECONDS:.0f} s: {'met' if wall < GOAL_SECONDS else 'MISSED'};", end=" ")
    print(f"goal {GOAL_BYTES / 1e9:.0f} GB: {'met' if peak < GOAL_BYTES else 'MISSED'}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in [("cohorts", 30), ("seeds", 5), ("test-sets", 30), ("images", 26_684)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--resamples", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images-per-person", type=float, default=1.0)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
