"""Agreement with R: pROC 1.18.0 (make_golden.R) and doAUCcluster (Obuchowski 1997, CC0).

The synthetic data are ours. aSAH comes with pROC under the GPL and is not in this repository: its tests read
it from the folder of shared data beside the repository, and skip where that is absent.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from subgroup_audit.stats import (
    auc,
    auc_components,
    auc_covariance,
    auc_interval,
    bootstrap_interval,
    stratified_auc_replicates,
)
from subgroup_audit.stats.limits import WaldLimits, two_sided_p

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
PROC = json.loads((GOLDEN / "pROC_golden.json").read_text())
CLUSTERED = json.loads((GOLDEN / "obuchowski_clustered_golden.json").read_text())
MARKERS = ("s100b", "ndka", "wfns")

needs_asah = pytest.mark.skipif(
    not (SHARED / "aSAH.csv").exists(), reason="aSAH (GPL) is not in this repository: no shared/golden beside it"
)


def read_columns(path: Path) -> dict[str, np.ndarray]:
    return {name: np.asarray(column) for name, column in zip(*_rows_and_columns(path), strict=True)}


def _rows_and_columns(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    return [name.strip('"') for name in header], [list(column) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def asah() -> dict[str, np.ndarray]:
    columns = read_columns(SHARED / "aSAH.csv")
    return {
        name: values if name in ("gender", "outcome") else values.astype(float) for name, values in columns.items()
    }


@pytest.fixture(scope="module")
def ties() -> dict[str, np.ndarray]:
    columns = read_columns(GOLDEN / "synthetic_ties.csv")
    return {name: values if name == "g" else values.astype(float) for name, values in columns.items()}


@pytest.fixture(scope="module")
def clustered() -> dict[str, np.ndarray]:
    return {
        name: values.astype(float) for name, values in read_columns(GOLDEN / "synthetic_clustered.csv").items()
    }


def welch(y, scores, group, names):
    """pROC's unpaired test: t, degrees of freedom and p of the difference of two groups."""
    cells = [auc_components(y[group == name], scores[group == name]) for name in names]
    variances = [sum(cell.variance_terms()) for cell in cells]
    sizes = [cell.n_images for cell in cells]
    t = (cells[0].auc - cells[1].auc) / math.sqrt(sum(variances))
    df = sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, sizes, strict=True))
    return t, df, two_sided_p(WaldLimits(t, 1.0, df), t, 0.0)


@needs_asah
@pytest.mark.parametrize("marker", MARKERS)
def test_delong_is_that_of_proc(asah, marker):
    expected = PROC["single"][marker]
    for level, key in ((0.95, "ci_delong95"), (0.90, "ci_delong90")):
        found = auc_interval(asah["y"], asah[marker], method="delong", confidence_level=level)
        assert [found.low, found.estimate, found.high] == pytest.approx(expected[key], abs=1e-12)
    assert found.standard_error**2 == pytest.approx(expected["var_delong"], abs=1e-12)


@needs_asah
def test_published_interval_of_s100b(asah):
    found = auc_interval(asah["y"], asah["s100b"], method="delong")
    assert (round(found.low, 4), round(found.high, 4)) == (0.6301, 0.8326)


@needs_asah
def test_placements_are_those_of_proc(asah):
    cell = auc_components(asah["y"], asah["s100b"])
    for name, found in (
        ("s100b_V10_cases", cell.positive_placements),
        ("s100b_V01_controls", cell.negative_placements),
    ):
        (expected,) = read_columns(SHARED / f"{name}.csv").values()
        np.testing.assert_allclose(found, expected.astype(float), atol=1e-14, rtol=0)


@needs_asah
@pytest.mark.parametrize("pair", PROC["paired"], ids=lambda pair: "-".join(pair["markers"]))
def test_paired_delong_is_that_of_proc(asah, pair):
    cells = [auc_components(asah["y"], asah[m], person=np.arange(len(asah["y"]))) for m in pair["markers"]]
    covariance = auc_covariance(cells)
    assert covariance[0, 1] == pytest.approx(pair["cov_delong"], abs=1e-12)
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    gap = cells[0].auc - cells[1].auc
    limits = WaldLimits(gap, error, math.inf)
    assert gap / error == pytest.approx(pair["z"], abs=1e-12)
    assert two_sided_p(limits, gap, 0.0) == pytest.approx(pair["p"], abs=1e-10)
    assert limits.at_tail(0.025) == pytest.approx(pair["conf_int_diff95"], abs=1e-12)


@needs_asah
@pytest.mark.parametrize("marker", MARKERS)
def test_unpaired_test_of_women_and_men_is_that_of_proc(asah, marker):
    expected = PROC["unpaired_gender"][marker]
    t, df, p = welch(asah["y"], asah[marker], asah["gender"], ("Male", "Female"))
    assert t == pytest.approx(expected["t"], abs=1e-12)
    assert df == pytest.approx(expected["df"], abs=1e-9)
    assert p == pytest.approx(expected["p"], abs=1e-10)


@needs_asah
@pytest.mark.parametrize("marker", MARKERS)
def test_bootstrap_interval_agrees_with_proc_within_monte_carlo_error(asah, marker):
    replicates = stratified_auc_replicates(asah["y"], asah[marker], 10_000, 42)[0]
    found = bootstrap_interval(replicates, auc(asah["y"], asah[marker]))
    low, _, high = PROC["single"][marker]["ci_boot_stratified_10000_seed42"]
    # A 2.5 % quantile of 10,000 has a standard error of about 0.027 SD; two runs differ by that times sqrt 2.
    tolerance = 3 * math.sqrt(2) * 0.027 * replicates.std()
    assert found.low == pytest.approx(low, abs=tolerance)
    assert found.high == pytest.approx(high, abs=tolerance)


def test_delong_with_ties_is_that_of_proc(ties):
    expected = PROC["synthetic_ties"]
    keys = np.arange(len(ties["y"]))
    cells = [auc_components(ties["y"], ties[name], person=keys) for name in ("x1", "x2")]
    covariance = auc_covariance(cells)
    assert [cell.auc for cell in cells] == pytest.approx([expected["auc_x1"], expected["auc_x2"]], abs=1e-14)
    assert covariance[0, 0] == pytest.approx(expected["var_x1"], abs=1e-14)
    assert covariance[1, 1] == pytest.approx(expected["var_x2"], abs=1e-14)
    assert covariance[0, 1] == pytest.approx(expected["cov"], abs=1e-14)
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    limits = WaldLimits(cells[0].auc - cells[1].auc, error, math.inf)
    assert limits.at_tail(0.025) == pytest.approx(expected["paired_ci"], abs=1e-12)
    assert two_sided_p(limits, limits.estimate, 0.0) == pytest.approx(expected["paired_p"], abs=1e-10)
    found = auc_interval(ties["y"], ties["x1"], method="delong")
    assert [found.low, found.estimate, found.high] == pytest.approx(expected["ci_x1"], abs=1e-12)


def test_unpaired_test_with_ties_is_that_of_proc(ties):
    expected = PROC["synthetic_ties"]
    t, df, p = welch(ties["y"], ties["x1"], ties["g"], ("A", "B"))
    assert t == pytest.approx(expected["unpaired_AvsB_t"], abs=1e-12)
    assert df == pytest.approx(expected["unpaired_df"], abs=1e-9)
    assert p == pytest.approx(expected["unpaired_p"], abs=1e-10)


@pytest.mark.parametrize("marker", ["x1", "x2"])
def test_clustered_variance_is_that_of_obuchowski(clustered, marker):
    expected = CLUSTERED[marker]
    found = auc_interval(clustered["y"], clustered[marker], person=clustered["patient"])
    assert found.estimate == pytest.approx(expected["auc"], abs=1e-14)
    assert found.standard_error**2 == pytest.approx(expected["auc.var"], abs=1e-15)
    assert found.method == "Obuchowski clustered logit-t"
    assert found.n_patients == CLUSTERED["meta"]["patients"]


def test_clustered_covariance_is_that_of_obuchowski(clustered):
    cells = [auc_components(clustered["y"], clustered[m], person=clustered["patient"]) for m in ("x1", "x2")]
    covariance = auc_covariance(cells)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert variance == pytest.approx(CLUSTERED["paired"]["auc.var.AminusB"], abs=1e-15)
