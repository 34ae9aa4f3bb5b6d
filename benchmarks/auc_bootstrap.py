"""CPU time of AUC inference: bootstrap of one AUC, of many models, of persons, and DeLong intervals.

    python benchmarks/auc_bootstrap.py            # quick: up to 26,684 images, 20 models; about three minutes
    python benchmarks/auc_bootstrap.py --full     # up to 200,000 images, 150 models; about ten minutes
    python benchmarks/auc_bootstrap.py 500 5000   # these sizes

Every line is measured in this run, on one thread: CPU time of the process, tools taken in turn, the median of
the rounds. Tools that would take long run with fewer resamples and are scaled to 2,000 (marked ~). Sorting and
set-up are in our times. Compiling is not, and neither are the start of R, its reading of the data, and what
others do before the first resample (the curve of pROC and pauc, the sorting for scors). Tools that are not
installed are named and left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import peers

from subgroup_audit.stats import (
    PersonDraws,
    auc_components,
    auc_covariance,
    auc_gap,
    auc_interval,
    components_by_model,
    stratified_auc_replicates,
)

N_RESAMPLES = 2_000
OURS = "ours, numba"
# Ratios that a tool's time should have to ours, by table and tool.
GOALS = {
    ("one", peers.PROC): 300,
    ("one", peers.SKLEARN): 250,
    ("one", peers.FBROC): 5,
    ("one", peers.SCORS_SORTED): 5,
    ("many", peers.SKLEARN): 500,
    ("many", peers.SCORS_SORTED): 6,
    ("persons", peers.SKLEARN_PERSONS): 1000,
    ("interval", peers.PROC): 5,
    ("interval", peers.PAUC): 3,
}


@dataclass(frozen=True)
class Tool:
    """Something to be timed: CPU seconds for so many resamples (or repeats), and what those are worth in full."""

    name: str
    cpu_seconds: peers.Timed
    in_full: float = N_RESAMPLES
    largest: int = N_RESAMPLES
    is_scaled: bool = True


@dataclass(frozen=True)
class Effort:
    """How many rounds, and how long one run of a tool may take."""

    rounds: int
    seconds: float


def time_in_turn(tools: Sequence[Tool], effort: Effort) -> dict[str, tuple[float, bool]]:
    """Median CPU seconds of each tool in full, and whether they were scaled; the tools take turns."""
    n_runs = {tool.name: choose_runs(tool, effort.seconds) for tool in tools}
    seconds: dict[str, list[float]] = {tool.name: [] for tool in tools}
    for _ in range(effort.rounds):
        for tool in tools:
            n = n_runs[tool.name]
            seconds[tool.name].append(tool.cpu_seconds(n) * tool.in_full / n)
    return {tool.name: (statistics.median(seconds[tool.name]), n_runs[tool.name] < tool.in_full) for tool in tools}


def choose_runs(tool: Tool, limit: float) -> int:
    """As many resamples as fit into the limit, by a trial of a few; all of ours, whose set-up is in its time."""
    if not tool.is_scaled:
        return tool.largest
    if tool.cpu_seconds(2) > limit:
        return 2
    trial = min(10, tool.largest)
    each = max(tool.cpu_seconds(trial) / trial, 1e-7)
    return int(min(tool.largest, max(trial, limit / each)))


def print_times(table: str, title: str, tools: Sequence[Tool | str], effort: Effort) -> None:
    """One line a tool: CPU time, how often ours fits into it, and the goal; tools that are absent are named."""
    present = [tool for tool in tools if isinstance(tool, Tool)]
    times = time_in_turn(present, effort)
    base = times[present[0].name][0]
    print(f"\n{title}")
    for tool in present:
        value, is_scaled = times[tool.name]
        goal = GOALS.get((table, tool.name))
        said = "" if goal is None else f"  goal {goal}x: {'met' if value / base >= goal else 'MISSED'}"
        scaled = "~" if is_scaled else " "
        print(f"  {tool.name:<42} {scaled}{1000 * value:>13.3f} ms {value / base:>10.1f}x{said}", flush=True)
    for absent in tools:
        if isinstance(absent, str):
            print(f"  {absent}")


def draw_scores(n: int, n_models: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels (22.5 % positive, as RSNA has) and the scores of several models, without ties."""
    rng = np.random.default_rng(n)
    labels = rng.permutation(np.arange(n) < round(0.225 * n))
    return labels, rng.standard_normal((n_models, n)) + labels


def clocked(work: Callable[[int], object]) -> peers.Timed:
    """CPU seconds of this process for a piece of work."""

    def run(n_resamples: int) -> float:
        start = time.process_time()
        work(n_resamples)
        return time.process_time() - start

    return run


def repeated(work: Callable[[], object]) -> Callable[[int], object]:
    """The same work so many times."""

    def run(n_repeats: int) -> None:
        for _ in range(n_repeats):
            work()

    return run


def optional(name: str, timed: peers.Timed | str) -> Tool | str:
    """A tool, or the sentence that says why it is not there."""
    return timed if isinstance(timed, str) else Tool(name, timed)


def time_one_model(n: int, effort: Effort) -> None:
    """2,000 stratified resamples of one AUC."""
    labels, (scores,) = draw_scores(n)

    def ours(engine: str) -> peers.Timed:
        return clocked(lambda b: stratified_auc_replicates(labels, scores, b, engine=engine))

    tools: list[Tool | str] = [
        Tool(OURS, ours("numba"), is_scaled=False),
        Tool("ours, numpy", ours("numpy"), is_scaled=False),
        Tool(peers.SKLEARN, clocked(lambda b: peers.resample_with_scikit_learn(labels, scores, b))),
        Tool(peers.SCIPY, clocked(lambda b: peers.resample_with_scipy(labels, scores, b))),
        optional(peers.PROC, peers.proc_bootstrap(labels, scores)),
        optional(peers.FBROC, peers.fbroc_bootstrap(labels, scores)),
        optional(peers.PAUC, peers.pauc_bootstrap(labels, scores)),
        optional(peers.SCORS, peers.scors_loop(labels, scores)),
        optional(peers.SCORS_SORTED, peers.scors_weights(labels, scores[None])),
        optional(peers.FAIRLEARN, peers.fairlearn_bootstrap(labels, scores)),
    ]
    print_times("one", f"one AUC, 2,000 resamples, {n:,} images", tools, effort)


def time_many_models(n: int, n_models: int, effort: Effort) -> None:
    """2,000 paired resamples of many models on one test set; two models stand for all with scikit-learn."""
    labels, scores = draw_scores(n, n_models)

    def loop(n_resamples: int) -> None:
        for row in scores[:2]:
            peers.resample_with_scikit_learn(labels, row, n_resamples)

    timed_loop = clocked(loop)
    tools: list[Tool | str] = [
        Tool(
            OURS,
            clocked(lambda b: stratified_auc_replicates(labels, scores, b, engine="numba")),
            is_scaled=False,
        ),
        Tool(peers.SKLEARN, lambda b: timed_loop(b) * n_models / 2, largest=100),
        optional(peers.SCORS_SORTED, peers.scors_weights(labels, scores)),
    ]
    title = f"{n_models} models on the same {n:,} images, 2,000 paired resamples"
    print_times("many", title, tools, effort)
    person = np.arange(n)
    start = time.process_time()
    auc_covariance(components_by_model(labels, list(scores), person=person))
    print(f"  DeLong covariance, {n_models} x {n_models}: {1000 * (time.process_time() - start):.0f} ms")


def time_persons(n: int, effort: Effort) -> None:
    """2,000 resamples of persons with about 3.5 images each."""
    labels, (scores,) = draw_scores(n)
    drawn = np.random.default_rng(2).integers(0, max(2, int(n / 3.5)), n)
    keys, person = np.unique(drawn, return_inverse=True)

    def ours(n_resamples: int) -> None:
        draws = PersonDraws(np.arange(len(keys)), None, n_resamples=n_resamples, engine="numba")
        draws.auc_replicates(labels, scores, person)

    tools: list[Tool | str] = [
        Tool(OURS, clocked(ours), is_scaled=False),
        Tool(peers.SKLEARN_PERSONS, peers.concatenate_persons(labels, scores, person)),
    ]
    print_times("persons", f"one AUC, {n:,} images of {len(keys):,} persons", tools, effort)


def time_intervals(n: int, effort: Effort) -> None:
    """One DeLong interval, and the difference of two models on the same images."""
    labels, (first, second) = draw_scores(n, 2)
    person = np.arange(n)

    def gap() -> object:
        return auc_gap(*(auc_components(labels, row, person=person) for row in (first, second)))

    def once(name: str, timed: peers.Timed | str) -> Tool | str:
        return timed if isinstance(timed, str) else Tool(name, timed, in_full=1, largest=max(5, 2_000_000 // n))

    single: list[Tool | str] = [
        once("ours, auc_interval", clocked(repeated(lambda: auc_interval(labels, first)))),
        once(peers.PROC, peers.proc_interval(labels, first)),
        once(peers.PAUC, peers.pauc_interval(labels, first)),
    ]
    paired: list[Tool | str] = [
        once("ours, auc_gap", clocked(repeated(gap))),
        once(peers.PROC, peers.proc_test(labels, first, second)),
        once(peers.PAUC, peers.pauc_test(labels, first, second)),
    ]
    brief = Effort(max(5, effort.rounds), effort.seconds / 8)
    print_times("interval", f"DeLong interval, {n:,} images", single, brief)
    print_times("gap", f"paired difference of two models, {n:,} images", paired, brief)


def run(sizes: Sequence[int], n_models: int, effort: Effort) -> None:
    """Everything, for each size."""
    labels, scores = draw_scores(100)
    stratified_auc_replicates(labels, scores, 64, engine="numba")
    for n in sizes:
        time_one_model(n, effort)
        time_persons(n, effort)
        time_intervals(n, effort)
    time_many_models(min(26_684, max(sizes)), n_models, effort)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, help="numbers of images")
    parser.add_argument("--full", action="store_true", help="up to 200,000 images, 150 models, longer runs")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", module="fairlearn")
    sizes = chosen.sizes or ([500, 5_000, 26_684, 200_000] if chosen.full else [500, 5_000, 26_684])
    effort = Effort(3, 0.8) if chosen.full else Effort(3, 0.4)
    run(sizes, 150 if chosen.full else 20, effort)


if __name__ == "__main__":
    main()
