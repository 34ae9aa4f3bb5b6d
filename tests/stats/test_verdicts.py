"""Many comparisons, verdicts, and what a cohort could show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    GapEstimate,
    adjust_p_values,
    auc_components,
    auc_covariance,
    auc_gap,
    binormal_auc_variance,
    equivalence_verdict,
    gap_power,
    max_t,
    minimal_detectable_gap,
    required_sample_size,
)
from subgroup_audit.stats.limits import WaldLimits


def make_gap(estimate, error):
    limits = WaldLimits(estimate, error, math.inf)
    low, high = limits.at_tail(0.025)
    return GapEstimate(
        estimate, low, high, error, 0.95, "Wald", "ok", "", 100, 100, 50, 50, None, limits=limits, p_value=0.5
    )


@pytest.mark.parametrize(
    ("estimate", "error", "margin", "name", "start"),
    [
        (0.20, 0.05, 0.05, "gap", "There is a gap of +0.200 (95 % interval +0.102 to +0.298)."),
        (-0.20, 0.05, 0.05, "gap", "There is a gap of -0.200 (95 % interval -0.298 to -0.102)."),
        (
            0.00,
            0.01,
            0.05,
            "no gap beyond the margin",
            "A gap beyond the margin of 0.05 is excluded: +0.000 (95 % interval -0.020 to +0.020).",
        ),
        (
            0.02,
            0.005,
            0.05,
            "no gap beyond the margin",
            "The gap of +0.020 (95 % interval +0.010 to +0.030) is not zero, but shown to be smaller than the "
            "margin of 0.05.",
        ),
        (
            0.02,
            0.05,
            0.05,
            "inconclusive",
            "Neither a gap nor its absence is shown: +0.020 (95 % interval -0.078 to +0.118). These data would "
            "show a gap of 0.140 with 80 % probability.",
        ),
        (0.00, 0.01, None, "inconclusive", "Neither a gap nor its absence is shown:"),
        (0.10, 0.01, None, "gap", "There is a gap of +0.100"),
    ],
)
def test_verdicts(estimate, error, margin, name, start):
    found = equivalence_verdict(make_gap(estimate, error), margin=margin)
    assert found.name == name
    assert found.sentence.startswith(start)


@given(estimate=st.floats(-0.3, 0.3), error=st.floats(0.005, 0.2), margin=st.floats(0.01, 0.3))
def test_equivalence_p_value_is_that_of_two_one_sided_tests(estimate, error, margin):
    found = equivalence_verdict(make_gap(estimate, error), margin=margin)
    expected = max(reference.norm.sf((margin - estimate) / error), reference.norm.sf((margin + estimate) / error))
    assert found.p_equivalence == pytest.approx(expected, rel=1e-6, abs=1e-12)
    inner = make_gap(estimate, error).interval_at(0.90)
    is_within = -margin < inner.low and inner.high < margin
    assert (found.name == "no gap beyond the margin") == is_within
    assert found.minimal_detectable_gap == pytest.approx((1.959964 + 0.8416212) * error, rel=1e-5)


def test_verdict_on_nothing_says_why():
    alone = auc_components([1, 1], [0.1, 0.2], person=[1, 2])
    other = auc_components([1, 0], [0.1, 0.2], person=[3, 4])
    found = equivalence_verdict(auc_gap(alone, other), margin=0.05)
    assert found.name == "not estimable"
    assert found.sentence == (
        "The gap cannot be estimated: minuend: no negative among 2 images: an AUC needs both classes; "
        "subtrahend: the scores separate all 1 positives from all 1 negatives: the interval is Newcombe's "
        "method 5."
    )


def test_margin_must_be_above_zero():
    with pytest.raises(StatisticsError, match=r"^margin must be above 0, not 0$"):
        equivalence_verdict(make_gap(0.0, 0.1), margin=0)


def test_adjusted_p_values_leave_the_missing_out_of_the_family():
    assert adjust_p_values([0.01, None, 0.04, float("nan")]) == [0.02, None, 0.04, None]
    assert adjust_p_values([0.01, 0.02, 0.03, 0.5], "benjamini-hochberg") == pytest.approx([0.04, 0.04, 0.04, 0.5])
    assert adjust_p_values([0.01, None], "none") == [0.01, None]
    assert adjust_p_values([None]) == [None]
    assert adjust_p_values([]) == []
    with pytest.raises(StatisticsError, match=r"^a p-value must lie between 0 and 1, not 1\.5$"):
        adjust_p_values([1.5])
    with pytest.raises(
        StatisticsError, match=r"^method must be one of holm, benjamini-hochberg, none, not 'sidak'$"
    ):
        adjust_p_values([0.5], "sidak")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_its_definition(p_values):
    order = np.argsort(p_values, kind="stable")
    running = np.maximum.accumulate(np.array(p_values)[order] * np.arange(len(p_values), 0, -1))
    expected = np.empty(len(p_values))
    expected[order] = np.minimum(running, 1)
    assert adjust_p_values(p_values) == pytest.approx(expected.tolist(), abs=1e-15)


def test_max_t_of_independent_cells_is_sidak_and_of_one_cell_the_normal():
    one = max_t([0.1], [0.05], covariance=[[0.0025]], scale="identity")
    assert one.critical_value == pytest.approx(1.96, abs=0.02)
    assert one.p_adjusted[0] == pytest.approx(2 * reference.norm.sf(2), abs=0.002)
    many = max_t(np.full(10, 0.1), np.full(10, 0.05), covariance=0.0025 * np.eye(10), scale="identity")
    assert many.critical_value == pytest.approx(reference.norm.isf((1 - 0.95 ** (1 / 10)) / 2), abs=0.02)
    alike = max_t(np.full(10, 0.1), np.full(10, 0.05), covariance=np.full((10, 10), 0.0025), scale="identity")
    assert alike.critical_value == pytest.approx(1.96, abs=0.02)


def test_max_t_leaves_out_what_has_no_error_and_back_transforms():
    values, errors = [0.8, np.nan, 1.0, 0.7], [0.03, 0.02, 0.0, 0.04]
    found = max_t(values, errors, covariance=np.diag([9e-4, 4e-4, 0.0, 16e-4]))
    assert found.n_family == 2
    np.testing.assert_array_equal(np.isnan(found.low), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(found.p_adjusted), [False, True, True, False])
    middle = math.log(0.8 / 0.2)
    reach = found.critical_value * 0.03 / 0.16
    assert found.low[0] == pytest.approx(1 / (1 + math.exp(reach - middle)))
    assert 0 < found.low[3] < 0.7 < found.high[3] < 1
    again = max_t(values, errors, covariance=np.diag([9e-4, 4e-4, 0.0, 16e-4]))
    assert again.critical_value == found.critical_value


def test_bootstrap_max_t_agrees_with_the_normal_one_where_the_bootstrap_is_normal():
    rng = np.random.default_rng(1)
    covariance = 4e-4 * (0.5 * np.eye(6) + 0.5)
    replicates = rng.multivariate_normal(np.full(6, 0.8), covariance, 20_000).T
    errors = np.full(6, 0.02)
    normal = max_t(np.full(6, 0.8), errors, covariance=covariance, scale="identity")
    boot = max_t(np.full(6, 0.8), errors, replicates=replicates, scale="identity")
    assert boot.critical_value == pytest.approx(normal.critical_value, abs=0.04)
    assert (boot.method, normal.method) == ("bootstrap max-T (identity)", "Gaussian max-T (identity)")


def test_max_t_needs_one_of_the_two():
    with pytest.raises(StatisticsError, match=r"^max_t needs either covariance or replicates$"):
        max_t([0.5], [0.1])
    with pytest.raises(StatisticsError, match=r"^covariance of shape \(2, 2\) does not fit 1 estimates$"):
        max_t([0.6], [0.1], covariance=np.eye(2))


@pytest.mark.parametrize(
    ("value", "m", "n", "expected"),
    [(0.80, 50, 200, 0.0344), (0.90, 20, 400, 0.0344), (0.95, 50, 50, 0.0200), (0.85, 200, 800, 0.0148)],
)
def test_planned_standard_error_is_that_of_simulation(value, m, n, expected):
    assert math.sqrt(binormal_auc_variance(value, m, n)) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_binormal_variance_is_that_of_drawn_scores(spread):
    rng = np.random.default_rng(2)
    shift = reference.norm.ppf(0.85) * math.sqrt(1 + spread**2)
    positive = shift + spread * rng.standard_normal((4000, 12))
    negative = rng.standard_normal((4000, 30))
    values = (positive[:, :, None] > negative[:, None, :]).mean(axis=(1, 2))
    expected = math.sqrt(binormal_auc_variance(0.85, 12, 30, spread_ratio=spread))
    assert values.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * 4000))


def test_minimal_detectable_gap_of_published_examples():
    assert minimal_detectable_gap(0.85, 200, 800, 50, 200) == pytest.approx(0.117, abs=5e-4)
    assert minimal_detectable_gap(0.85, 1000, 4000, 200, 800) == pytest.approx(0.052, abs=5e-4)
    assert minimal_detectable_gap(0.6, 2, 2, 2, 2) is None


def test_minimal_detectable_gap_has_the_power_it_was_asked_for():
    gap = minimal_detectable_gap(0.85, 200, 800, 50, 200, power=0.9)
    error = math.sqrt(binormal_auc_variance(0.85, 200, 800) + binormal_auc_variance(0.85 - gap, 50, 200))
    assert gap_power(gap, error) == pytest.approx(0.9, abs=1e-6)
    fixed = minimal_detectable_gap(0.85, 1, 1, 1, 1, standard_errors=(0.03, 0.04))
    assert fixed == pytest.approx(0.05 * (1.959964 + 0.841621), abs=1e-6)
    paired = minimal_detectable_gap(0.85, 1, 1, 1, 1, standard_errors=(0.03, 0.03), correlation=0.5)
    assert paired == pytest.approx(0.03 * (1.959964 + 0.841621), abs=1e-6)


def test_required_sample_size_is_the_smallest_that_suffices():
    found = required_sample_size(0.85, 0.05, prevalence_a=0.2, size_ratio=0.5)
    counts = (found.n_positive_a, found.n_negative_a, found.n_positive_b, found.n_negative_b)
    assert minimal_detectable_gap(0.85, *counts) <= 0.05
    assert minimal_detectable_gap(0.85, *(int(0.97 * count) for count in counts)) > 0.05
    assert found.n_positive_b == pytest.approx(found.n_positive_a / 2, abs=1)
    assert found.total == sum(counts)
    with pytest.raises(StatisticsError, match=r"^auc - gap must lie between 0 and 1, not -0\.25$"):
        required_sample_size(0.5, 0.75, prevalence_a=0.2)


def test_covariance_serves_max_t_end_to_end():
    rng = np.random.default_rng(3)
    labels = rng.random(400) < 0.3
    cells = [auc_components(labels, rng.standard_normal(400) + labels, person=np.arange(400)) for _ in range(5)]
    covariance = auc_covariance(cells)
    found = max_t([cell.auc for cell in cells], np.sqrt(np.diag(covariance)), covariance=covariance)
    assert 2.4 < found.critical_value < 2.65
    assert (found.p_adjusted < 0.01).all()
