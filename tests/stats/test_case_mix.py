"""Gaps at a common mix: against second implementations, at their edges, and with a planted confounder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    PersonDraws,
    adjusted_auc_gap,
    auc,
    auc_components,
    auc_gap,
    common_mix,
    gap_change,
    gap_replicates,
    group_weights,
    matched_auc_gap,
    placement_regression,
    seed_gap,
    stratified_auc,
    stratified_auc_gap,
    weighted_auc_components,
    weighted_auc_gap,
    within_strata,
    xauc_components,
    xauc_gap,
)


class Data:
    """Persons with 1 to 3 images, two views, an age; the model is worse on AP, of which A has more."""

    def __init__(
        self, seed=0, n_persons=150, *, share_of_ap=(0.3, 0.7), shared=False, per_person=(1, 4), sick=False
    ):
        rng = np.random.default_rng(seed)
        self.person = np.repeat(np.arange(n_persons), rng.integers(*per_person, n_persons))
        n = len(self.person)
        by_person = rng.random(n_persons) < 0.5
        self.a = rng.random(n) < 0.5 if shared else by_person[self.person]
        self.ap = rng.random(n) < np.where(self.a, share_of_ap[1], share_of_ap[0])
        self.age = rng.normal(50, 12, n) + 6 * self.ap
        self.y = (rng.random(n_persons) < 0.4)[self.person] if sick else rng.random(n) < 0.4
        common = rng.standard_normal(n_persons)[self.person]
        noise = 0.7 * common + 0.7 * rng.standard_normal(n)
        self.s = np.round(noise + 0.5 * self.ap + self.y * np.where(self.ap, 0.6, 1.7), 2)

    @property
    def view(self):
        return np.where(self.ap, "AP", "PA")

    @property
    def covariates(self):
        return np.column_stack([self.ap, self.age])

    def gap(self):
        a, b = (auc_components(self.y[r], self.s[r], person=self.person[r]) for r in (self.a, ~self.a))
        return auc_gap(a, b)


def weighted_auc_of(y, s, w):
    return roc_auc_score(y, s, sample_weight=w)


def influence_of(sides):
    """What each person adds to the gap, by key."""
    found = {}
    for side, sign in zip(sides, (1, -1), strict=True):
        pull = side.positive_sums / side.n_positive + side.negative_sums / side.n_negative
        for key, value in zip(side.persons, pull, strict=True):
            found[key] = found.get(key, 0.0) + sign * value
    return found


# Matching


def test_matched_auc_is_that_of_images_repeated_to_the_mix():
    """Images repeated until all cells of a group and class are equally large: a test set of the given mix."""
    data = Data(3)
    shares = {(label, view): 0.5 for label in (0, 1) for view in ("AP", "PA")}
    found = matched_auc_gap(data.y, data.s, data.a, data.view, person=data.person, reference=shares)
    values = []
    for group in (True, False):
        rows = []
        for label in (True, False):
            own = (data.a == group) & (data.y == label)
            cells = [np.flatnonzero(own & (data.ap == ap)) for ap in (True, False)]
            rows += [np.repeat(cells[0], len(cells[1])), np.repeat(cells[1], len(cells[0]))]
        chosen = np.concatenate(rows)
        values.append(auc(data.y[chosen], data.s[chosen]))
    assert found.estimate == pytest.approx(values[0] - values[1], abs=1e-12)


def test_matched_gap_is_the_mean_over_resampled_test_sets():
    """Glocker's resampling, drawn many times, comes to the weighted AUC."""
    data, rng = Data(4), np.random.default_rng(0)
    mix = common_mix(data.y, data.a, data.view, person=data.person)
    found = matched_auc_gap(data.y, data.s, data.a, data.view, person=data.person)
    pooled = {
        (label, ap): np.mean(data.ap[data.y == label] == ap) for label in (True, False) for ap in (True, False)
    }
    assert sorted(mix.shares) == pytest.approx(sorted(pooled.values()))
    values = []
    for _ in range(300):
        aucs = []
        for group in (True, False):
            rows = np.concatenate(
                [
                    rng.choice(
                        np.flatnonzero((data.a == group) & (data.y == label) & (data.ap == ap)),
                        round(400 * share),
                    )
                    for (label, ap), share in pooled.items()
                ]
            )
            aucs.append(auc(data.y[rows], data.s[rows]))
        values.append(aucs[0] - aucs[1])
    assert np.mean(values) == pytest.approx(found.estimate, abs=4 * np.std(values) / np.sqrt(300))


def test_one_stratum_leaves_the_gap_as_measured():
    data = Data(5, per_person=(1, 2))
    plain, found = data.gap(), matched_auc_gap(data.y, data.s, data.a, np.zeros(len(data.y)), person=data.person)
    assert found.estimate == pytest.approx(plain.estimate, abs=1e-12)
    assert found.n_effective == pytest.approx(len(data.y))
    assert found.standard_error == pytest.approx(plain.standard_error, rel=0.02)


@pytest.mark.parametrize("shared", [False, True])
def test_matched_influence_is_the_derivative_by_each_person(shared):
    """The lanes' own re-matching, moved by one person's count, against the closed form."""
    data = Data(6, 400, shared=shared)
    mix = common_mix(data.y, data.a, data.view, person=data.person)
    check_derivative(mix, mix.components(data.s), data, rel=0.03, slack=5e-5)


def check_derivative(reweighting, sides, data, rel, slack=2e-6):
    """The closed form's small-sample factor, where it has one, is the slack."""
    keys, step = np.unique(data.person)[:40], 1e-4
    counts = np.ones((len(data.y), 2 * len(keys)))
    for place, key in enumerate(keys):
        counts[data.person == key, 2 * place] += step
        counts[data.person == key, 2 * place + 1] -= step
    gaps = replicates_at(reweighting, data.s, counts)
    derivative = (gaps[::2] - gaps[1::2]) / (2 * step)
    expected = influence_of(sides)
    assert derivative == pytest.approx([expected.get(key, 0.0) for key in keys], rel=rel, abs=slack)


def replicates_at(reweighting, scores, counts):
    weights, images = reweighting.lane_weights(counts), reweighting.images
    return np.array(
        [
            weighted_auc_of(images.is_positive[images.is_in_a], scores[images.is_in_a], lane[images.is_in_a])
            - weighted_auc_of(images.is_positive[~images.is_in_a], scores[~images.is_in_a], lane[~images.is_in_a])
            for lane in weights.T
        ]
    )


def test_replicates_are_weighted_aucs_of_each_resample():
    data = Data(7, 200)
    draws = PersonDraws(np.unique(data.person), n_resamples=100, seed=3)
    scores = np.stack([data.s, -data.s])
    for reweighting in (
        common_mix(data.y, data.a, data.view, person=data.person),
        group_weights(data.y, data.a, data.covariates, person=data.person),
    ):
        found = gap_replicates(reweighting, scores, draws, n_resamples=70)
        assert found.shape == (2, 70)
        lanes, counts = next(draws.count_blocks())
        own = counts[draws.codes(data.person)].astype(float)
        assert found[0, lanes] == pytest.approx(replicates_at(reweighting, data.s, own), abs=1e-12)
        assert found[1] == pytest.approx(-found[0], abs=1e-12)


@pytest.mark.parametrize("levels", [None, 3])
def test_compiled_code_and_threads_give_the_same_replicates(levels):
    data = Data(9, 150)
    scores = np.stack([data.s, -data.s, data.s**3])
    scores = scores if levels is None else np.round(scores * levels) / levels
    mix = common_mix(data.y, data.a, data.view, person=data.person)
    ways = [("numpy", 1), ("numba", 1), ("numba", 3)]
    found = [
        gap_replicates(
            mix, scores, PersonDraws(np.unique(data.person), n_resamples=100, engine=engine, n_threads=n_threads)
        )
        for engine, n_threads in ways
    ]
    assert found[1] == pytest.approx(found[0], abs=1e-12)
    assert np.array_equal(found[1], found[2])


class FixedWeights:
    """Weights that no resample changes: what `PersonDraws.weighted_auc_replicates` is for."""

    def __init__(self, images, weights):
        self.images, self.weights = images, weights

    def lane_weights(self, counts):
        return counts * self.weights[:, None]


def test_with_weights_held_fixed_the_replicates_are_those_of_the_draws():
    data = Data(26, 200)
    draws = PersonDraws(np.unique(data.person), n_resamples=130, seed=4)
    model = group_weights(data.y, data.a, data.covariates, person=data.person)
    found = gap_replicates(FixedWeights(model.images, model.weights), data.s[None], draws)[0]
    sides = [
        draws.weighted_auc_replicates(data.y[r], data.s[r], data.person[r], model.weights[r])
        for r in (data.a, ~data.a)
    ]
    assert found == pytest.approx(sides[0] - sides[1], abs=1e-12)


def test_a_stratum_of_one_group_is_left_out_counted_and_named():
    data = Data(8)
    view = data.view.astype(object)
    view[np.flatnonzero(data.a & data.y)[:3]] = "Lateral"
    found = matched_auc_gap(data.y, data.s, data.a, view, person=data.person)
    assert found.n_left_out == 3
    assert found.reason == (
        "3 images are left out, since one of the groups has too few persons of the same kind: positive Lateral (3)"
    )
    rest = view != "Lateral"
    again = matched_auc_gap(data.y[rest], data.s[rest], data.a[rest], view[rest], person=data.person[rest])
    assert found.estimate == pytest.approx(again.estimate, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_matching_sees_ranks_alone_and_swapping_groups_turns_the_sign(seed):
    data = Data(seed, 60)
    first = matched_auc_gap(data.y, data.s, data.a, data.view, person=data.person)
    second = matched_auc_gap(data.y, np.exp(data.s), ~data.a, data.view, person=data.person)
    assert first.estimate == pytest.approx(-second.estimate, abs=1e-12)
    assert (first.low, first.high) == pytest.approx((-second.high, -second.low), abs=1e-9)


# Weighting


def test_weights_come_from_a_logistic_model_within_each_class():
    from statsmodels.api import Logit, add_constant

    data = Data(9, 300)
    found = group_weights(data.y, data.a, data.covariates, person=data.person, truncate=1.0)
    for label in (True, False):
        rows = data.y == label
        fitted = Logit(data.a[rows], add_constant(data.covariates[rows])).fit(disp=0).predict()
        share = data.a[rows].mean()
        expected = np.where(data.a[rows], share / fitted, (1 - share) / (1 - fitted))
        assert found.weights[rows] == pytest.approx(expected, rel=1e-8)


def test_weighted_gap_is_scikit_learns_and_reports_the_effective_number():
    data = Data(10, 300)
    model = group_weights(data.y, data.a, data.covariates, person=data.person)
    found = weighted_auc_gap(data.y, data.s, data.a, data.covariates, person=data.person)
    w = model.weights
    expected = [weighted_auc_of(data.y[r], data.s[r], w[r]) for r in (data.a, ~data.a)]
    assert found.estimate == pytest.approx(expected[0] - expected[1], abs=1e-12)
    effective = sum(
        w[r].sum() ** 2 / (w[r] ** 2).sum() for g in (data.a, ~data.a) for r in (g & data.y, g & ~data.y)
    )
    assert found.n_effective == pytest.approx(effective)
    assert found.n_effective < len(data.y)
    for group, cap in zip((data.a, ~data.a), model.caps, strict=True):
        assert w[group].max() <= cap
    assert 0 < model.is_cut.sum() <= 0.03 * len(w)


def test_weighted_influence_is_the_derivative_with_the_model_fitted_anew():
    data = Data(11, 400, shared=True)
    model = group_weights(data.y, data.a, data.covariates, person=data.person)
    check_derivative(model, model.components(data.s), data, rel=1e-3)


def test_a_resamples_weights_are_those_of_its_repeated_rows():
    data, rng = Data(12, 200), np.random.default_rng(1)
    model = group_weights(data.y, data.a, data.covariates, person=data.person, truncate=1.0)
    counts = rng.multinomial(len(data.y), np.full(len(data.y), 1 / len(data.y)), 2).T.astype(float)
    model = type(model)(model.images, model.models, model.weights, model.is_cut, (1e9, 1e9))
    lanes = model.lane_weights(counts)
    for lane in range(2):
        rows = np.repeat(np.arange(len(data.y)), counts[:, lane].astype(int))
        again = group_weights(
            data.y[rows], data.a[rows], data.covariates[rows], person=data.person[rows], truncate=1.0
        )
        ratio = lanes[rows, lane] / counts[rows, lane] / again.weights
        for group in (data.a[rows], ~data.a[rows]):
            for label in (data.y[rows], ~data.y[rows]):
                assert ratio[group & label] == pytest.approx(ratio[group & label][0], rel=1e-5)


def test_equal_weights_give_the_unweighted_variance():
    data = Data(13, per_person=(1, 2))
    plain = auc_components(data.y, data.s, person=data.person)
    found = weighted_auc_components(data.y, data.s, np.full(len(data.y), 2.5), person=data.person)
    assert found.auc == pytest.approx(plain.auc, abs=1e-12)
    assert found.variance_terms() == pytest.approx(plain.variance_terms(), rel=1e-9)


# Within strata


def test_within_view_gap_is_that_of_two_standardised_aucs():
    data = Data(14)
    found = stratified_auc_gap(data.y, data.s, data.a, data.view, person=data.person)
    shares = {name: float((data.view[data.y] == name).mean()) for name in ("AP", "PA")}
    sides = [
        stratified_auc(data.y[r], data.s[r], data.view[r], person=data.person[r], weights=shares)
        for r in (data.a, ~data.a)
    ]
    assert found.estimate == pytest.approx(sides[0].estimate - sides[1].estimate, abs=1e-12)
    expected = np.hypot(sides[0].standard_error, sides[1].standard_error)
    assert found.standard_error == pytest.approx(expected, rel=0.05)


def test_persons_of_both_groups_tie_the_two_aucs_together():
    data = Data(15, 200, shared=True, per_person=(3, 8), sick=True)
    together = stratified_auc_gap(data.y, data.s, data.a, data.view, person=data.person)
    apart = stratified_auc_gap(data.y, data.s, data.a, data.view, person=np.arange(len(data.y)))
    assert together.correlation > 0.2
    assert apart.correlation == 0.0
    draws = PersonDraws(np.unique(data.person), n_resamples=1500, seed=1)
    spread = np.std(bootstrap_within(data, draws), ddof=1)
    assert together.standard_error == pytest.approx(spread, rel=0.08)


def bootstrap_within(data, draws):
    """Within-view gaps of resampled persons, one loop at a time, shares held fixed."""
    shares = {ap: np.mean(data.ap[data.y] == ap) for ap in (True, False)}
    out = []
    codes = draws.codes(data.person)
    for lanes, counts in draws.count_blocks():
        for lane in range(lanes.stop - lanes.start):
            c = counts[codes, lane].astype(float)
            values = []
            for group in (True, False):
                cells = [(ap, (data.a == group) & (data.ap == ap) & (c > 0)) for ap in (True, False)]
                values.append(sum(shares[ap] * auc(data.y[r], data.s[r], sample_weight=c[r]) for ap, r in cells))
            out.append(values[0] - values[1])
    return out


def test_strata_with_one_class_are_left_out():
    data = Data(16)
    view = data.view.astype(object)
    view[np.flatnonzero(~data.y)[:5]] = "Lateral"
    found = stratified_auc_gap(data.y, data.s, data.a, view, person=data.person)
    assert found.n_left_out == 5
    assert "Lateral (5)" in found.reason


# Regression of placements


def test_regression_is_statsmodels_gee_and_its_error_more_than_the_sandwich():
    import statsmodels.api as sm

    data = Data(17, 300)
    found = adjusted_auc_gap(data.y, data.s, data.a, data.covariates, person=data.person, strata=data.view)
    model = placement_regression(data.y, data.a, data.covariates, person=data.person, strata=data.view)
    placed = model.placements(data.s)
    expected = [
        np.mean(
            (data.s[i] > data.s[pool]) + 0.5 * (data.s[i] == data.s[pool]),
        )
        for i in model.rows
        for pool in [np.flatnonzero(~data.y & (data.a == data.a[i]) & (data.ap == data.ap[i]))]
    ]
    assert placed == pytest.approx(expected, abs=1e-12)
    fit = sm.GEE(
        placed,
        np.column_stack([np.ones(len(placed)), data.covariates[model.rows], data.a[model.rows]]),
        groups=data.person[model.rows],
        cov_struct=sm.cov_struct.Independence(),
    ).fit()
    assert found.estimate == pytest.approx(fit.params[-1], abs=1e-9)
    assert found.standard_error > 1.1 * fit.bse[-1]


def test_regression_error_is_that_of_resampled_persons():
    data = Data(18, 250, shared=True)
    found = adjusted_auc_gap(data.y, data.s, data.a, data.covariates, person=data.person, strata=data.view)
    rng, values = np.random.default_rng(2), []
    members = [np.flatnonzero(data.person == key) for key in np.unique(data.person)]
    for _ in range(500):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        again = placement_regression(
            data.y[rows], data.a[rows], data.covariates[rows], person=data.person[rows], strata=data.view[rows]
        )
        a, b = again.components(data.s[rows])
        values.append(a.auc - b.auc)
    assert found.standard_error == pytest.approx(np.std(values, ddof=1), rel=0.1)


def test_without_covariates_that_matter_the_regression_is_the_gap():
    data = Data(19, 300, share_of_ap=(0.5, 0.5))
    irrelevant = np.random.default_rng(0).normal(size=len(data.y))
    found = adjusted_auc_gap(data.y, data.s, data.a, irrelevant, person=data.person)
    assert found.estimate == pytest.approx(data.gap().estimate, abs=0.02)


# Across groups


def test_xauc_gap_counts_persons_who_have_images_of_both_kinds():
    data = Data(20, 120, shared=True, per_person=(3, 8), sick=True)
    found = xauc_gap(data.y, data.s, data.a, person=data.person)
    rng, values = np.random.default_rng(3), []
    members = [np.flatnonzero(data.person == key) for key in np.unique(data.person)]
    for _ in range(600):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        first, second = xauc_components(data.y[rows], data.s[rows], data.a[rows], person=data.person[rows])
        values.append(first.auc - second.auc)
    assert found.standard_error == pytest.approx(np.std(values, ddof=1), rel=0.1)
    image_level = xauc_gap(data.y, data.s, data.a, person=np.arange(len(data.y)))
    assert found.correlation > 0.2
    assert abs(found.standard_error / image_level.standard_error - 1.0) > 0.03


# Planted confounder, negative control, and the change


def test_a_planted_confounder_is_found_by_every_way():
    """AP is where the model is worse and A has more of it; within a view the groups do not differ."""
    data = Data(21, 3000)
    ways = {
        "matched": matched_auc_gap(data.y, data.s, data.a, data.view, person=data.person),
        "weighted": weighted_auc_gap(data.y, data.s, data.a, data.covariates, person=data.person),
        "within": stratified_auc_gap(data.y, data.s, data.a, data.view, person=data.person),
        "regression": adjusted_auc_gap(
            data.y, data.s, data.a, data.covariates, person=data.person, strata=data.view
        ),
    }
    assert data.gap().high < -0.03
    for name, found in ways.items():
        assert abs(found.estimate) < 0.02, name
        assert found.low < 0.0 < found.high, name


def test_an_equal_mix_is_left_as_it_is():
    data = Data(22, 3000, share_of_ap=(0.5, 0.5))
    plain = data.gap().estimate
    for found in (
        matched_auc_gap(data.y, data.s, data.a, data.view, person=data.person),
        weighted_auc_gap(data.y, data.s, data.a, data.covariates, person=data.person),
    ):
        assert found.estimate == pytest.approx(plain, abs=0.005)


def test_the_change_is_known_better_than_the_gaps_and_has_the_bootstraps_spread():
    data = Data(23, 400)
    rows = (data.a, ~data.a)
    measured = tuple(auc_components(data.y[r], data.s[r], person=data.person[r]) for r in rows)
    mix = common_mix(data.y, data.a, data.view, person=data.person)
    change = gap_change([mix.components(data.s)], [measured])
    draws = PersonDraws(np.unique(data.person), n_resamples=1000, seed=5)
    plain = draws.auc_replicates_many([(data.y[r], data.s[r], data.person[r]) for r in rows])
    moved = gap_replicates(mix, data.s[None], draws)[0] - (plain[0] - plain[1])
    matched = auc_gap(*mix.components(data.s))
    assert change.estimate == pytest.approx(matched.estimate - (measured[0].auc - measured[1].auc), abs=1e-12)
    assert change.standard_error == pytest.approx(moved.std(ddof=1), rel=0.1)
    assert change.standard_error < 0.8 * matched.standard_error
    same = gap_change([measured], [measured])
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)


def test_seeds_are_averaged_as_those_of_plain_aucs():
    data = Data(24, 200)
    mix = common_mix(data.y, data.a, data.view, person=data.person)
    noise = np.random.default_rng(4).normal(size=(3, len(data.y)))
    sides = [mix.components(data.s + 0.3 * row) for row in noise]
    found = seed_gap([s[0] for s in sides], [s[1] for s in sides], paired_seeds=True)
    assert found.estimate == pytest.approx(np.mean([a.auc - b.auc for a, b in sides]))
    assert found.low < found.estimate < found.high
    change = gap_change(sides, sides[::-1])
    assert change.estimate == pytest.approx(0.0, abs=1e-12)


# What they refuse

SMALL = Data(25, 40)


def call(function, **changes):
    """The function on small good data, but for the changes."""
    data = SMALL
    third = (
        {"strata": data.view}
        if function in (matched_auc_gap, stratified_auc_gap)
        else {"covariates": data.covariates}
    )
    given = {"y_true": data.y, "y_score": data.s, "is_in_a": data.a, "person": data.person, **third, **changes}
    return function(**given)


REFUSED = [
    (matched_auc_gap, {"is_in_a": np.ones(3, bool)}, "is_in_a must be boolean with one entry per row"),
    (
        matched_auc_gap,
        {"is_in_a": np.ones(len(SMALL.y), bool)},
        "both groups, but it has one value only",
    ),
    (matched_auc_gap, {"strata": np.zeros(3)}, "strata must have one entry per row"),
    (
        matched_auc_gap,
        {"strata": np.where(np.arange(len(SMALL.y)) == 2, np.nan, 1.0)},
        "strata must be known in every row, but row 2 is missing (1 such)",
    ),
    (matched_auc_gap, {"strata": SMALL.a}, "no stratum holds 2 persons of both groups in each class"),
    (matched_auc_gap, {"reference": "c"}, "reference must be one of pooled, a, b or a mapping, not 'c'"),
    (
        matched_auc_gap,
        {"reference": {(1, "AP"): -1.0, (0, "AP"): 1.0}},
        "the shares of a reference mix must be 0 or more",
    ),
    (
        matched_auc_gap,
        {"reference": {(1, "AP"): 1.0}},
        "the reference mix gives no negative stratum of both groups a share above 0",
    ),
    (matched_auc_gap, {"y_score": np.full(len(SMALL.y), np.nan)}, "y_score must be finite"),
    (
        matched_auc_gap,
        {"person": np.zeros(len(SMALL.y), int), "one_group_per_person": True},
        "every person must be in one group, but 1 are in both; the first is 0",
    ),
    (weighted_auc_gap, {"covariates": np.zeros((3, 1))}, "covariates must have one row per image"),
    (
        weighted_auc_gap,
        {"covariates": np.where(np.arange(len(SMALL.y)) == 4, np.nan, 1.0)},
        "covariates must be finite, but row 4 holds [nan]",
    ),
    (weighted_auc_gap, {"covariates": ["x"] * len(SMALL.y)}, "covariates must hold numbers"),
    (
        weighted_auc_gap,
        {"covariates": SMALL.a.astype(float)},
        "the covariates tell the groups apart completely among the positives: without overlap no weights exist",
    ),
    (weighted_auc_gap, {"truncate": 0.0}, "truncate must be a quantile above 0 and up to 1, not 0.0"),
    (
        weighted_auc_gap,
        {"is_in_a": SMALL.y},
        "all positives are of one group: no weights can make the groups alike",
    ),
    (
        weighted_auc_gap,
        {"person": np.zeros(len(SMALL.y), int), "one_group_per_person": True},
        "every person must be in one group",
    ),
    (stratified_auc_gap, {"strata": SMALL.a}, "no stratum holds 2 persons of each class in both groups"),
    (
        stratified_auc_gap,
        {"weights": {"LL": 1.0}},
        "weights name strata that are not in both groups: LL (there are AP, PA)",
    ),
    (stratified_auc_gap, {"weights": {"AP": 0.0}}, "weights must be 0 or more and not all 0, not [0.0, 0.0]"),
    (adjusted_auc_gap, {"covariates": SMALL.a.astype(float)}, "the covariates tell the groups apart completely"),
    (adjusted_auc_gap, {"is_in_a": SMALL.y}, "a group has no positive that shares its stratum with a negative"),
]


@pytest.mark.parametrize(("function", "changes", "text"), REFUSED)
def test_refusals(function, changes, text):
    with pytest.raises(StatisticsError) as caught:
        call(function, **changes)
    assert text in str(caught.value)


def test_weights_of_weighted_components_are_checked():
    data = SMALL
    for weights, text in (
        (
            np.where(np.arange(len(data.y)) == 1, -1.0, 1.0),
            "must not be negative, but row 1 is -1.0",
        ),
        (np.zeros(len(data.y)), "sample_weight must not be zero in every row"),
        ((~data.y).astype(float), "no row of weight above 0 is positive"),
        (np.full(len(data.y), np.inf), "sample_weight must be finite, but row 0 is inf"),
    ):
        with pytest.raises(StatisticsError) as caught:
            weighted_auc_components(data.y, data.s, weights, person=data.person)
        assert text in str(caught.value)


def test_a_change_needs_the_same_seeds():
    sides = common_mix(SMALL.y, SMALL.a, SMALL.view, person=SMALL.person).components(SMALL.s)
    with pytest.raises(StatisticsError, match="the same seeds on both sides, one at least, not 1 and 0"):
        gap_change([sides], [])


def test_good_small_data_are_taken_by_all():
    for function in (matched_auc_gap, weighted_auc_gap, stratified_auc_gap, adjusted_auc_gap):
        found = call(function)
        assert found.low < found.estimate < found.high
    assert within_strata(SMALL.y, SMALL.a, SMALL.view, person=SMALL.person).shares.sum() == pytest.approx(1.0)
