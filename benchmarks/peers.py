"""Other tools' ways to the same numbers, for the benchmarks to time; no benchmark of its own.

Functions that return `Timed | str` give a sentence where the tool is not installed.
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

# CPU seconds for so many resamples.
Timed: TypeAlias = Callable[[int], float]

SKLEARN = "scikit-learn loop"
SKLEARN_PERSONS = "rows of drawn persons + scikit-learn"
SCIPY = "scipy.stats.bootstrap, vectorised"
PROC = "pROC (R)"
FBROC = "fbroc (R, C++)"
PAUC = "pauc"
SCORS = "scors loop (Rust)"
SCORS_SORTED = "scors, sorted once, drawn weights (Rust)"
FAIRLEARN = "fairlearn MetricFrame (3 AUCs: 2 groups, all)"

_R_HEAD = """
data <- read.csv("{path}")
y <- data$y; a <- data$a; b <- data$b
suppressMessages(library({package}))
{setup}
start <- proc.time()
{work}
used <- proc.time() - start
cat(used[["user.self"]] + used[["sys.self"]])
"""
_CURVE = 'curve <- roc(y, a, levels = c(0, 1), direction = "<", quiet = TRUE)'


def draw_rows(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of one resample, drawn within each class."""
    parts = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    return np.concatenate([rng.choice(part, len(part)) for part in parts])


def resample_with_scikit_learn(labels: np.ndarray, scores: np.ndarray, n_resamples: int) -> list[float]:
    """The usual loop: draw rows of each class, call roc_auc_score."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(n_resamples):
        rows = draw_rows(labels, rng)
        found.append(roc_auc_score(labels[rows], scores[rows]))
    return found


def resample_with_scipy(labels: np.ndarray, scores: np.ndarray, n_resamples: int) -> object:
    """scipy.stats.bootstrap of two samples, with an AUC that takes a batch of resamples at once."""

    def areas(positives: np.ndarray, negatives: np.ndarray, axis: int = -1) -> np.ndarray:
        m, n = positives.shape[-1], negatives.shape[-1]
        both = np.concatenate([np.atleast_2d(positives), np.atleast_2d(negatives)], axis=-1)
        ranks = both.argsort(axis=-1).argsort(axis=-1) + 1.0
        return np.asarray((ranks[..., :m].sum(axis=-1) - m * (m + 1) / 2) / (m * n))

    return bootstrap(
        (scores[labels], scores[~labels]),
        areas,
        n_resamples=n_resamples,
        batch=max(1, 4_000_000 // len(labels)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    )


def concatenate_persons(labels: np.ndarray, scores: np.ndarray, person: np.ndarray) -> Timed:
    """The usual person bootstrap: put the rows of the drawn persons together, call roc_auc_score."""
    order = np.argsort(person, kind="stable")
    rows_of = np.split(order, np.cumsum(np.bincount(person))[:-1])

    def work(n_resamples: int) -> None:
        rng = np.random.default_rng(1)
        for _ in range(n_resamples):
            rows = np.concatenate([rows_of[chosen] for chosen in rng.integers(0, len(rows_of), len(rows_of))])
            roc_auc_score(labels[rows], scores[rows])

    return _clocked(work)


def proc_bootstrap(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """pROC's stratified bootstrap of a curve that is built already."""
    work = 'ci.auc(curve, method = "bootstrap", boot.n = {n}, boot.stratified = TRUE, progress = "none")'
    return _in_r("pROC", labels, scores, scores, _CURVE, work)


def proc_interval(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """pROC's curve and DeLong interval."""
    return _in_r("pROC", labels, scores, scores, "", f"for (i in 1:{{n}}) {{{{ {_CURVE}; ci.auc(curve) }}}}")


def proc_test(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Timed | str:
    """pROC's paired DeLong test of two curves, the curves included."""
    other = _CURVE.replace("curve", "other").replace("a,", "b,")
    work = f'for (i in 1:{{n}}) {{{{ {_CURVE}; {other}; roc.test(curve, other, method = "delong") }}}}'
    return _in_r("pROC", labels, first, second, "", work)


def fbroc_bootstrap(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """fbroc's stratified bootstrap, and its AUC."""
    work = 'perf(boot.roc(a, y == 1, n.boot = {n}), "auc")'
    return _in_r("fbroc", labels, scores, scores, "", work)


def pauc_bootstrap(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """pauc's bootstrap of a curve that is built already."""
    if not _is_installed("pauc"):
        return _absent("pauc")
    import pauc

    curve = pauc.ROC(labels.astype(int), scores)
    return _clocked(lambda n: pauc.ci_auc(curve, method="bootstrap", n_boot=n))


def pauc_interval(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """pauc's curve and DeLong interval."""
    if not _is_installed("pauc"):
        return _absent("pauc")
    import pauc

    codes = labels.astype(int)
    return _clocked(lambda n: [pauc.ci_auc(pauc.ROC(codes, scores)) for _ in range(n)])


def pauc_test(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> Timed | str:
    """pauc's paired DeLong test of two curves, the curves included."""
    if not _is_installed("pauc"):
        return _absent("pauc")
    import pauc

    codes = labels.astype(int)
    return _clocked(lambda n: [pauc.compare(pauc.ROC(codes, first), pauc.ROC(codes, second)) for _ in range(n)])


def scors_loop(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """Drawn rows of each class, given to scors."""
    if not _is_installed("scors"):
        return _absent("scors")
    import scors

    def work(n_resamples: int) -> None:
        rng = np.random.default_rng(1)
        for _ in range(n_resamples):
            rows = draw_rows(labels, rng)
            scors.roc_auc(labels[rows], scores[rows])

    return _clocked(work)


def scors_weights(labels: np.ndarray, table: np.ndarray) -> Timed | str:
    """Scores sorted once a model; counts drawn once a resample, given to scors as weights of every model."""
    if not _is_installed("scors"):
        return _absent("scors")
    import scors

    classes = np.flatnonzero(labels), np.flatnonzero(~labels)
    orders = [np.argsort(-row) for row in table]
    ranked = [
        (labels[order], row[order], order.astype(np.int32)) for row, order in zip(table, orders, strict=True)
    ]

    def work(n_resamples: int) -> None:
        rng = np.random.default_rng(1)
        weights = np.empty(len(labels))
        for _ in range(n_resamples):
            for rows in classes:
                weights[rows] = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows))
            for of_model, sorted_scores, order in ranked:
                scors.roc_auc(of_model, sorted_scores, weights[order], scors.Order.DESCENDING)

    return _clocked(work)


def fairlearn_bootstrap(labels: np.ndarray, scores: np.ndarray) -> Timed | str:
    """fairlearn's MetricFrame of two groups with bootstrap quantiles: three AUCs a resample."""
    if not _is_installed("fairlearn"):
        return _absent("fairlearn")
    from fairlearn.metrics import MetricFrame

    group = np.arange(len(labels)) % 2

    def work(n_resamples: int) -> None:
        MetricFrame(
            metrics=roc_auc_score,
            y_true=labels.astype(int),
            y_pred=scores,
            sensitive_features=group,
            n_boot=n_resamples,
            ci_quantiles=[0.025, 0.975],
            random_state=1,
        )

    return _clocked(work)


def _clocked(work: Callable[[int], object]) -> Timed:
    def run(n_resamples: int) -> float:
        start = time.process_time()
        work(n_resamples)
        return time.process_time() - start

    return run


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _absent(tool: str) -> str:
    return f"{tool} is not installed: left out"


@functools.cache
def _has_r(package: str) -> bool:
    if shutil.which("Rscript") is None:
        return False
    asked = f'quit(status = !requireNamespace("{package}", quietly = TRUE))'
    return subprocess.run(["Rscript", "-e", asked], capture_output=True, check=False).returncode == 0


def _in_r(
    package: str, labels: np.ndarray, first: np.ndarray, second: np.ndarray, setup: str, work: str
) -> Timed | str:
    """CPU seconds inside R for `work`, which holds {n}; the start of R and reading the data are not counted."""
    if not _has_r(package):
        return _absent(f"{package} (or R itself)")

    def run(n: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "data.csv"
            columns = np.column_stack([labels, first, second])
            np.savetxt(path, columns, delimiter=",", header="y,a,b", comments="", fmt=("%d", "%.17g", "%.17g"))
            script = _R_HEAD.format(path=path, package=package, setup=setup, work=work.format(n=n))
            done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    return run
