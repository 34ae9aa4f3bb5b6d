"""Differences of AUCs: sign, pairing, shared persons, seeds, and what cannot be had."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    PersonDraws,
    auc_components,
    auc_covariance,
    auc_gap,
    auc_spread,
    average_auc,
    average_over_seeds,
    estimate_auc,
    permutation_gap_test,
    seed_gap,
    stratified_auc,
    xauc_gap,
)


def draw_cell(seed, m=30, n=70, shift=1.0, first=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [m, n])
    scores = rng.standard_normal(m + n) + shift * labels
    return auc_components(labels, scores, person=first + np.arange(m + n))


def draw_seeds(seed, n_seeds, *, first=0, shift=1.0, own=0.5):
    """Cells of several fits on the same images."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [40, 160])
    common = rng.standard_normal(200) + shift * labels
    keys = first + np.arange(200)
    return [auc_components(labels, common + own * rng.standard_normal(200), person=keys) for _ in range(n_seeds)]


def test_disjoint_gap_is_newcombes_hybrid_of_the_two_intervals():
    a, b = draw_cell(1), draw_cell(2, shift=0.5, first=1000)
    gap, sides = auc_gap(a, b), (estimate_auc(a), estimate_auc(b))
    difference = a.auc - b.auc
    low = difference - math.hypot(a.auc - sides[0].low, sides[1].high - b.auc)
    high = difference + math.hypot(sides[0].high - a.auc, b.auc - sides[1].low)
    assert (gap.estimate, gap.low, gap.high) == pytest.approx((difference, low, high), abs=1e-12)
    assert (gap.correlation, gap.method, gap.n_patients, gap.n_images) == (0.0, "MOVER", 200, 200)
    assert gap.standard_error == pytest.approx(math.hypot(sides[0].standard_error, sides[1].standard_error))
    assert gap.minuend == sides[0]


def test_outer_limits_of_one_side_never_narrow_a_paired_gap():
    """20 positives and 100 negatives, one AUC within an image of the smaller class, nearly the same scores."""
    labels, keys = np.repeat([1, 0], [20, 100]), np.arange(120)
    gained = []
    for seed in range(40):
        noise = np.random.default_rng(seed).standard_normal(120)
        a, b = (auc_components(labels, noise + shift * labels, person=keys) for shift in (2.5, 1.5))
        gap = auc_gap(a, b)
        if gap.limits.minuend.spans_newcombe and not gap.limits.subtrahend.spans_newcombe:
            plain = replace(gap.limits, minuend=replace(gap.limits.minuend, spans_newcombe=False)).at_tail(0.025)
            gained += [plain[0] - gap.low, gap.high - plain[1]]
    assert len(gained) > 10
    assert min(gained) > -1e-12
    assert max(gained) > 1e-3


@given(seed=st.integers(0, 10**6), offset=st.sampled_from([0, 50, 1000]))
def test_gaps_are_antisymmetric(seed, offset):
    a, b = draw_cell(seed, 12, 20), draw_cell(seed + 1, 15, 25, 0.5, first=offset)
    forth, back = auc_gap(a, b), auc_gap(b, a)
    assert (forth.estimate, forth.low, forth.high) == pytest.approx(
        (-back.estimate, -back.high, -back.low), abs=1e-12
    )
    assert forth.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert forth.low <= forth.estimate <= forth.high


@given(seed=st.integers(0, 10**6))
def test_p_value_is_below_alpha_exactly_where_the_interval_excludes_zero(seed):
    gap = auc_gap(draw_cell(seed, 15, 30, 1.2), draw_cell(seed + 1, 15, 30, 0.4, first=1000))
    assert (gap.p_value < 0.05) == (gap.low > 0 or gap.high < 0)
    assume(1e-9 < gap.p_value < 1)
    edge = gap.interval_at(1 - gap.p_value)
    assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0.0, abs=1e-7)


def test_a_cell_against_itself_has_no_gap():
    cell = draw_cell(3)
    gap = auc_gap(cell, cell)
    assert (gap.estimate, gap.p_value) == (0.0, 1.0)
    assert (gap.low, gap.high) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_gap_agrees_with_the_shared_bootstrap_when_some_persons_are_in_both_groups():
    rng = np.random.default_rng(4)
    person = rng.integers(0, 300, 1500)
    level = rng.standard_normal(300)
    labels = rng.random(1500) < 0.3
    scores = rng.standard_normal(1500) + level[person] + labels
    is_ap = rng.random(1500) < 0.5
    cells = [auc_components(labels[rows], scores[rows], person=person[rows]) for rows in (is_ap, ~is_ap)]
    draws = PersonDraws(np.arange(300), None, n_resamples=4000, seed=1)
    replicates = draws.auc_replicates_many(
        [(labels[rows], scores[rows], person[rows]) for rows in (is_ap, ~is_ap)]
    )
    gap = auc_gap(*cells)
    assert gap.correlation == pytest.approx(np.corrcoef(replicates)[0, 1], abs=0.08)
    assert gap.standard_error == pytest.approx((replicates[0] - replicates[1]).std(), rel=0.06)
    assert gap.n_patients == len(np.unique(person))


def test_gap_without_a_class_on_one_side_says_which():
    alone = auc_components([1, 1], [0.2, 0.3], person=[500, 501])
    gap = auc_gap(draw_cell(5), alone)
    assert (gap.estimate, gap.p_value, gap.status) == (None, None, "not estimable")
    assert gap.reason == "subtrahend: no negative among 2 images: an AUC needs both classes"
    assert gap.n_patients == 102


def test_gap_with_a_perfect_side_is_wide_and_says_so():
    perfect = auc_components([0] * 12 + [1] * 12, range(24), person=np.arange(24) + 5000)
    gap = auc_gap(perfect, draw_cell(6))
    assert gap.status == "degenerate"
    assert gap.reason.startswith("minuend: the scores separate all 12 positives from all 12 negatives")
    assert gap.low < gap.estimate < gap.high


def test_gap_needs_person_keys():
    cell = auc_components([0, 1], [0.1, 0.2])
    with pytest.raises(StatisticsError, match=r"give `person` to auc_components$"):
        auc_gap(cell, cell)


def test_one_seed_is_the_interval_of_this_trained_model():
    (cell,) = draw_seeds(7, 1)
    found, plain = average_over_seeds([cell]), estimate_auc(cell)
    assert (found.estimate, found.low, found.high, found.method) == (
        plain.estimate,
        plain.low,
        plain.high,
        plain.method,
    )
    assert (found.target, found.between_seed_sd, found.n_seeds) == ("this trained model", None, 1)


def own_variance(cells):
    """What the patients of one fit alone add: its variance less its covariance with the other fits."""
    covariance = auc_covariance(cells)
    is_same = np.eye(len(cells), dtype=bool)
    return covariance[is_same].mean() - covariance[~is_same].mean()


def test_several_seeds_cross_seeds_and_patients():
    cells = draw_seeds(8, 4)
    found = average_over_seeds(cells)
    values = np.array([cell.auc for cell in cells])
    variance = found.patient_se**2 + max(values.var(ddof=1), own_variance(cells)) / 4
    assert found.estimate == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(math.sqrt(variance))
    assert found.between_seed_sd == pytest.approx(values.std(ddof=1))
    assert found.seed_values == tuple(values)
    assert found.target == "this training recipe"
    assert found.low < found.estimate < found.high


def test_identical_seeds_are_one_fit():
    (cell,) = draw_seeds(9, 1)
    found, plain = average_over_seeds([cell] * 3), estimate_auc(cell)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-9)


def test_seeds_must_share_their_test_images():
    with pytest.raises(StatisticsError, match=r"^all seeds must be tested on the same images, but seed 1 has"):
        average_over_seeds([*draw_seeds(10, 1), *draw_seeds(10, 1, first=7)])
    with pytest.raises(StatisticsError, match=r"^components_by_seed is empty: there is no seed to average over$"):
        average_over_seeds([])


def test_seed_gap_with_one_seed_is_the_plain_gap():
    a, b = draw_seeds(11, 1), draw_seeds(12, 1, first=1000)
    found, plain = seed_gap(a, b, paired_seeds=True), auc_gap(a[0], b[0])
    assert found == plain


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("first", [0, 1000])
def test_seed_gap_variance_adds_up(paired, first):
    a, b = draw_seeds(13, 4), draw_seeds(14, 4, first=first, shift=0.6)
    found = seed_gap(a, b, paired_seeds=paired)
    sides = [average_over_seeds(cells) for cells in (a, b)]
    values = np.array([[cell.auc for cell in cells] for cells in (a, b)])
    own = [own_variance(cells) for cells in (a, b)]
    seeds = sum(max(s.var(ddof=1), floor) for s, floor in zip(values, own, strict=True)) / 4
    if paired:
        seeds = max((values[0] - values[1]).var(ddof=1), sum(own)) / 4
    patients = sides[0].patient_se ** 2 + sides[1].patient_se ** 2
    if first:
        assert found.standard_error**2 == pytest.approx(patients + seeds, rel=1e-9)
    assert found.estimate == pytest.approx(values[0].mean() - values[1].mean())
    assert found.low < found.estimate < found.high
    back = seed_gap(b, a, paired_seeds=paired)
    assert (back.low, back.high, back.p_value) == pytest.approx((-found.high, -found.low, found.p_value), abs=1e-9)


def test_seed_gap_refuses_unequal_pairs_and_a_lone_fit():
    with pytest.raises(StatisticsError, match=r"^paired seeds must be of one number on both sides, not 2 and 3$"):
        seed_gap(draw_seeds(1, 2), draw_seeds(2, 3), paired_seeds=True)
    with pytest.raises(StatisticsError, match=r"^1 seed against 3: one fit has no variance between seeds"):
        seed_gap(draw_seeds(1, 1), draw_seeds(2, 3), paired_seeds=False)


def test_stratified_auc_takes_away_what_the_stratum_tells():
    rng = np.random.default_rng(15)
    is_ap = rng.random(2000) < 0.5
    labels = rng.random(2000) < np.where(is_ap, 0.6, 0.1)
    scores = is_ap + 0.01 * rng.standard_normal(2000)
    pooled = estimate_auc(auc_components(labels, scores, person=np.arange(2000)))
    within = stratified_auc(labels, scores, np.where(is_ap, "AP", "PA"), person=np.arange(2000))
    assert pooled.low > 0.7
    assert within.low < 0.5 < within.high
    shares = {"AP": 0.5, "PA": 0.5}
    mixed = stratified_auc(labels, scores, np.where(is_ap, "AP", "PA"), person=np.arange(2000), weights=shares)
    alone = [auc_components(labels[rows], scores[rows]).auc for rows in (is_ap, ~is_ap)]
    assert mixed.estimate == pytest.approx(np.mean(alone))


def test_stratified_auc_by_positives_compares_with_the_own_stratum():
    labels, scores, strata = [1, 0, 1, 1, 0, 0], [3, 2, 5, 1, 4, 0], ["a", "a", "b", "b", "b", "b"]
    found = stratified_auc(labels, scores, strata, person=list("uvwxyz"))
    assert found.estimate == pytest.approx((1.0 + 1.0 + 0.5) / 3)
    with pytest.raises(StatisticsError, match=r"^weights name strata with no row: c \(there are a, b\)$"):
        stratified_auc(labels, scores, strata, person=list("uvwxyz"), weights={"a": 1.0, "c": 1.0})


def test_stratum_without_negatives_cannot_be_left_out_unseen():
    found = stratified_auc([1, 0, 1], [3, 2, 5], ["a", "a", "b"], person=list("uvw"))
    assert (found.estimate, found.status) == (None, "not estimable")
    assert "no negative among 1 images" in found.reason
    by_pairs = stratified_auc([1, 0, 1], [3, 2, 5], ["a", "a", "b"], person=list("uvw"), weights="pairs")
    assert by_pairs.estimate == 1.0


def test_xauc_finds_a_shift_that_the_groups_own_aucs_cannot_show():
    rng = np.random.default_rng(16)
    labels, in_a = rng.random(1000) < 0.4, rng.random(1000) < 0.5
    scores = rng.standard_normal(1000) + labels + 0.8 * in_a
    cells = [auc_components(labels[g], scores[g], person=np.flatnonzero(g)) for g in (in_a, ~in_a)]
    within = auc_gap(*cells)
    across = xauc_gap(labels, scores, in_a, person=np.arange(1000))
    assert within.low < 0 < within.high
    assert across.low > 0.2
    back = xauc_gap(labels, scores, ~in_a, person=np.arange(1000))
    assert back.estimate == pytest.approx(-across.estimate)


def test_xauc_counts_pairs_across_groups():
    found = xauc_gap([1, 0, 1, 0], [4, 1, 2, 3], np.array([True, True, False, False]), person=list("wxyz"))
    assert found.minuend.estimate == 1.0
    assert found.subtrahend.estimate == 1.0
    with pytest.raises(StatisticsError, match=r"^is_in_a must be boolean with one entry per row, 2, not int64"):
        xauc_gap([1, 0], [1, 2], np.array([1, 0]), person=[1, 2])


def test_spread_takes_off_what_chance_explains():
    null = [auc_spread([draw_cell(s + 10 * k, first=1000 * k) for k in range(4)]) for s in range(100, 180)]
    assert np.mean([found.largest_gap for found in null]) > 0.06
    assert np.mean([found.corrected_sd for found in null]) < 0.6 * np.mean([found.observed_sd for found in null])
    assert 0.0 <= np.mean([found.p_value < 0.05 for found in null]) < 0.15
    planted = auc_spread([draw_cell(k, 300, 700, 0.2 + 0.5 * k, first=10_000 * k) for k in range(4)])
    assert planted.p_value < 1e-6
    assert planted.corrected_sd == pytest.approx(planted.observed_sd, rel=0.05)
    with pytest.raises(StatisticsError, match=r"^a spread needs two groups or more, not 1$"):
        auc_spread([draw_cell(1)])


def test_permutation_test_finds_a_planted_gap_and_keeps_still_without_one():
    rng = np.random.default_rng(17)
    labels = np.tile(np.repeat([1, 0], [15, 35]), 2)
    in_a = np.repeat([True, False], 50)
    planted = rng.standard_normal(100) + labels * np.where(in_a, 2.5, 0.2)
    assert permutation_gap_test(labels, planted, in_a, n_permutations=299) < 0.02
    equal = [
        permutation_gap_test(labels, rng.standard_normal(100) + labels, in_a, n_permutations=99, seed=s)
        for s in range(60)
    ]
    assert np.mean(np.array(equal) <= 0.05) < 0.15
    assert 0.35 < np.mean(equal) < 0.65


def test_permutation_test_refuses_a_person_in_both_groups():
    with pytest.raises(StatisticsError) as raised:
        permutation_gap_test([0, 1, 0, 1], [1, 2, 3, 4], [True, True, False, False], person=[1, 2, 2, 3])
    assert str(raised.value) == "a permutation test needs groups of different persons, but 1 are in both"


def test_the_mean_of_one_auc_near_one_has_the_auc_s_own_interval() -> None:
    labels = [1] * 5 + [0] * 40
    scores = [9.0, 8.0, 7.0, 6.0, 2.5, 5.0, *[0.1 * place for place in range(39)]]
    cell = auc_components(labels, scores, person=list(range(45)))
    assert 1 - 1 / 5 < cell.auc < 1 - 1 / 40
    alone, mean = estimate_auc(cell), average_auc([cell])
    assert (mean.low, mean.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
