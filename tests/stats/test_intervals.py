"""One AUC's interval: which rule bounds it, where it says that it should not be trusted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as reference

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import auc_components, auc_covariance, auc_interval, average_auc, estimate_auc
from subgroup_audit.stats.limits import (
    AucLimits,
    newcombe5_limits,
    newcombe5_variance,
    one_sided_tail,
    two_sided_p,
)


def draw(seed, m, n, value_shift=1.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [m, n])
    return labels, rng.standard_normal(m + n) + value_shift * labels


def test_default_is_the_logit_with_a_welch_t():
    labels, scores = draw(1, 40, 160)
    cell = auc_components(labels, scores)
    g1 = cell.positive_placements.var(ddof=1) / 40
    g2 = cell.negative_placements.var(ddof=1) / 160
    df = (g1 + g2) ** 2 / (g1**2 / 39 + g2**2 / 159)
    reach = reference.t.ppf(0.975, df) * math.sqrt(g1 + g2) / (cell.auc * (1 - cell.auc))
    middle = math.log(cell.auc / (1 - cell.auc))
    found = auc_interval(labels, scores)
    assert found.method == "logit-t DeLong (hybrid)"
    assert (found.status, found.reason) == ("ok", "")
    assert found.df == pytest.approx(df, rel=1e-12)
    assert found.low == pytest.approx(1 / (1 + math.exp(-(middle - reach))), abs=1e-12)
    assert found.high == pytest.approx(1 / (1 + math.exp(-(middle + reach))), abs=1e-12)


@pytest.mark.parametrize("person", [None, np.arange(220) // 2])
def test_within_one_image_of_the_smaller_class_the_outer_limits_count(person):
    """20 positives and 200 negatives, AUC above 1 - 1/20 but below 1 - 1/200: neither rule is trusted alone."""
    labels, scores = draw(5, 20, 200, 2.6)
    cell = auc_components(labels, scores, person=person)
    few, many = sorted((cell.n_persons_positive, cell.n_persons_negative))
    assert 1 - 1 / few < cell.auc < 1 - 1 / many
    found = estimate_auc(cell)
    alone = AucLimits("logit", cell.auc, found.standard_error, found.df, few, many).at_tail(0.025)
    newcombe = newcombe5_limits(cell.auc, cell.n_persons_positive, cell.n_persons_negative, 1.959963984540054)
    assert alone[0] != pytest.approx(newcombe[0], abs=1e-4)
    assert found.low == pytest.approx(min(alone[0], newcombe[0]), abs=1e-12)
    assert found.high == pytest.approx(max(alone[1], newcombe[1]), abs=1e-12)
    mirrored = estimate_auc(auc_components(labels, -scores, person=person))
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-12)


def test_repeated_persons_bring_obuchowski_on_the_fewer_persons():
    labels, scores = draw(2, 40, 160)
    person = np.arange(200) // 2
    found = auc_interval(labels, scores, person=person)
    assert found.method == "Obuchowski clustered logit-t"
    assert (found.n_patients, found.n_images, found.df) == (100, 200, 19.0)


def test_keys_without_repeats_change_nothing():
    labels, scores = draw(3, 15, 60)
    plain, keyed = auc_interval(labels, scores), auc_interval(labels, scores, person=[f"p{i}" for i in range(75)])
    assert keyed.method == plain.method
    assert (keyed.low, keyed.high) == pytest.approx((plain.low, plain.high), abs=1e-14)
    clustered = auc_interval(labels, scores, person=np.arange(75), method="obuchowski")
    assert clustered.standard_error == pytest.approx(plain.standard_error, rel=1e-13)


def test_doubling_every_image_of_a_person_changes_no_variance():
    labels, scores = draw(4, 30, 90)
    once = auc_components(labels, scores, person=np.arange(120))
    twice = auc_components(np.tile(labels, 2), np.tile(scores, 2), person=np.tile(np.arange(120), 2))
    assert sum(twice.variance_terms()) == pytest.approx(sum(once.variance_terms()), rel=1e-12)
    image_level = auc_components(np.tile(labels, 2), np.tile(scores, 2))
    assert sum(image_level.variance_terms()) < 0.51 * sum(once.variance_terms())


@pytest.mark.parametrize(("m", "n"), [(10, 10), (20, 100), (3, 400)])
def test_perfect_separation_has_a_width(m, n):
    labels = np.repeat([1, 0], [m, n])
    found = auc_interval(labels, labels.astype(float))
    assert (found.estimate, found.high, found.status) == (1.0, 1.0, "degenerate")
    assert found.standard_error is None
    theta = found.low
    assert (1 - theta) ** 2 == pytest.approx(reference.norm.ppf(0.975) ** 2 * newcombe5_variance(theta, m, n))
    mirrored = auc_interval(labels, -labels.astype(float))
    assert (mirrored.low, mirrored.high) == pytest.approx((0.0, 1 - found.low), abs=1e-12)


def test_perfect_separation_of_repeated_persons_counts_persons():
    labels = np.repeat([1, 0], [40, 40])
    found = auc_interval(labels, labels.astype(float), person=np.arange(80) // 4)
    assert found.low == pytest.approx(newcombe5_limits(1.0, 10, 10, reference.norm.ppf(0.975))[0], abs=1e-12)


def test_one_class_is_not_estimable():
    found = auc_interval([1, 1, 1], [0.1, 0.2, 0.3])
    assert (found.estimate, found.low, found.high, found.standard_error) == (None, None, None, None)
    assert found.status == "not estimable"
    assert found.reason == "no negative among 3 images: an AUC needs both classes"
    assert auc_interval([0, 0], [0.1, 0.2]).reason == "no positive among 2 images: an AUC needs both classes"
    with pytest.raises(StatisticsError, match=r"^there is no interval: no negative among 3 images"):
        found.interval_at(0.9)


def test_few_persons_are_said_to_be_few():
    labels, scores = draw(5, 9, 50, 0.5)
    found = auc_interval(labels, scores)
    assert found.status == "small"
    assert found.reason == ("9 patients with a positive and 50 with a negative image: fewer than 10 in a class")
    assert auc_interval(labels, scores, min_persons=9).status == "ok"


def test_a_single_positive_still_has_an_interval():
    labels, scores = draw(6, 1, 50, 0.5)
    found = auc_interval(labels, scores)
    assert (found.method, found.status, found.standard_error) == ("Newcombe 5", "degenerate", None)
    assert found.reason == "only one person has a positive image: the interval is Newcombe's method 5"
    assert 0.0 <= found.low < found.estimate < found.high <= 1.0


@pytest.mark.parametrize("method", ["default", "delong", "logit", "newcombe5", "obuchowski", "hanley-mcneil"])
@given(seed=st.integers(0, 10**6), m=st.integers(1, 12), n=st.integers(1, 12), grid=st.booleans())
def test_every_interval_holds_its_estimate(method, seed, m, n, grid):
    labels, scores = draw(seed, m, n)
    scores = np.round(scores) if grid else scores
    found = auc_interval(labels, scores, method=method)
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0
    assert np.isfinite([found.low, found.high]).all()


@given(seed=st.integers(0, 10**6), level=st.floats(0.5, 0.99))
def test_a_higher_level_is_a_wider_interval(seed, level):
    found = auc_interval(*draw(seed, 12, 20))
    narrow, wide = found.interval_at(level), found.interval_at(level + 0.009)
    assert wide.low <= narrow.low <= narrow.high <= wide.high
    assert found.interval_at(0.95).low == found.low


def test_p_value_and_interval_agree():
    limits = AucLimits("logit", 0.7, 0.05, 20.0, 30, 30)
    low, high = limits.at_tail(0.01)
    assert two_sided_p(limits, 0.7, low) == pytest.approx(0.02, rel=1e-9)
    assert two_sided_p(limits, 0.7, high) == pytest.approx(0.02, rel=1e-9)
    assert two_sided_p(limits, 0.7, 0.7) == 1.0
    assert one_sided_tail(limits, 0.75, 0) == 0.5


def test_t_quantiles_are_those_of_scipy_stats():
    low, high = AucLimits("wald", 0.5, 0.1, 7.3, 9, 9).at_tail(0.025)
    assert (high - low) / 0.2 == pytest.approx(reference.t.ppf(0.975, 7.3), rel=1e-12)


@given(seed=st.integers(0, 10**6))
def test_covariance_is_symmetric_with_the_variances_on_its_diagonal(seed):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, 15, 60)
    labels = rng.random(60) < 0.4
    scores = rng.standard_normal((3, 60)) + labels
    parts = [slice(0, 60), slice(0, 40), slice(20, 60)]
    assume(all(0 < labels[part].sum() < labels[part].size for part in parts))
    cells = [
        auc_components(labels[part], row[part], person=person[part])
        for row, part in zip(scores, parts, strict=True)
    ]
    found = auc_covariance(cells)
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    np.testing.assert_allclose(
        np.diag(found), [sum(cell.variance_terms()) for cell in cells], rtol=1e-9, atol=1e-15
    )


def test_nobody_shared_is_exactly_zero_covariance():
    cells = [auc_components(*draw(seed, 9, 21), person=np.arange(30) + 30 * seed) for seed in (0, 1)]
    assert auc_covariance(cells)[0, 1] == 0.0


def test_covariance_of_overlapping_images_is_that_of_many_data_sets():
    rng = np.random.default_rng(9)
    pairs, estimates = [], []
    labels = np.arange(120) % 4 == 0
    for _ in range(400):
        scores = rng.standard_normal(120) + labels
        cells = [
            auc_components(labels[part], scores[part], person=np.arange(120)[part])
            for part in (slice(0, 80), slice(40, 120))
        ]
        pairs.append([cell.auc for cell in cells])
        estimates.append(auc_covariance(cells)[0, 1])
    observed = np.cov(np.transpose(pairs))[0, 1]
    chance = math.sqrt(2) * np.var(np.transpose(pairs)[0]) / math.sqrt(400)
    assert np.mean(estimates) == pytest.approx(observed, abs=3 * chance)
    assert np.mean(estimates) > 0


def test_covariance_needs_keys_of_one_kind():
    labels, scores = draw(7, 5, 5)
    keyless, number = auc_components(labels, scores), auc_components(labels, scores, person=np.arange(10))
    text = auc_components(labels, scores, person=[f"p{i}" for i in range(10)])
    with pytest.raises(StatisticsError) as raised:
        auc_covariance([keyless, number])
    assert str(raised.value) == (
        "the covariance of two AUCs needs to know who is in both: give `person` to auc_components"
    )
    with pytest.raises(StatisticsError) as raised:
        auc_covariance([number, text])
    assert str(raised.value) == "person keys must be of one kind in all cells: all text or all integers"


def test_average_of_one_cell_is_the_cell():
    cell = auc_components(*draw(8, 30, 70), person=np.arange(100))
    alone, mean = estimate_auc(cell), average_auc([cell])
    assert (mean.estimate, mean.low, mean.high) == pytest.approx(
        (alone.estimate, alone.low, alone.high), abs=1e-12
    )


def test_average_weights_and_counts():
    cells = [auc_components(*draw(seed, 20, 40), person=np.arange(60) + 60 * seed) for seed in (0, 1)]
    found = average_auc(cells, weights=[3, 1])
    assert found.estimate == pytest.approx(0.75 * cells[0].auc + 0.25 * cells[1].auc)
    variances = [sum(cell.variance_terms()) for cell in cells]
    assert found.standard_error == pytest.approx(math.sqrt(variances[0] * 9 / 16 + variances[1] / 16))
    assert (found.n_patients, found.n_images, found.n_positive) == (120, 120, 40)
    with pytest.raises(StatisticsError, match=r"^weights must be 0 or more and not all 0, not \[0\.0, 0\.0\]$"):
        average_auc(cells, weights=[0, 0])
