"""The shared bootstrap: exact counts, the same numbers however they are worked out, and its closed form."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats as reference
from sklearn.metrics import roc_auc_score

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import (
    PersonDraws,
    auc,
    auc_components,
    bootstrap_interval,
    bootstrap_variance,
    replicates,
    standard_error_of,
    stratified_auc_replicates,
)
from subgroup_audit.stats.draws import CountStream
from subgroup_audit.stats.replicates import compiled_draw


def draw_images(seed, n, share=0.2, decimals=8):
    rng = np.random.default_rng(seed)
    labels = np.r_[True, False, rng.random(n - 2) < share]
    return labels, np.round(rng.standard_normal(n) + labels, decimals)


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(3)
    person = np.array([f"p{code:03d}" for code in rng.integers(0, 120, 500)])
    labels = rng.random(500) < 0.3
    return labels, np.round(rng.standard_normal(500) + labels, 1), person


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (50, 200), (1000,)])
def test_counts_sum_to_their_stratum_and_are_multinomial(sizes):
    stream = CountStream(sizes, n_resamples=64 * 40, seed=1)
    counts = np.concatenate([stream.draw(block) for block in range(40)], axis=1).astype(int)
    start = 0
    for size in sizes:
        rows = counts[start : start + size]
        assert (rows.sum(axis=0) == size).all()
        expected = reference.binom.pmf(np.arange(6), size, 1 / size)
        observed = np.array([(rows == k).mean() for k in range(6)])
        # Counts of a column are not independent, but nearly: five standard errors leave room for that.
        error = np.sqrt(expected * (1 - expected) / rows.size) + 1e-12
        assert (np.abs(observed - expected) < 5 * error).all()
        assert rows.var(axis=1).mean() == pytest.approx(1 - 1 / size, rel=0.05, abs=1e-12)
        start += size


@pytest.mark.parametrize("sizes", [(1, 2), (3, 17, 400), (5000, 300)])
def test_compiled_counts_are_those_of_numpy(sizes):
    stream = CountStream(sizes, n_resamples=256, seed=9)
    for block in range(4):
        np.testing.assert_array_equal(stream.draw(block), stream.draw(block, draw_stratum=compiled_draw()))


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_engines_and_threads_give_the_same_numbers(clustered, decimals):
    labels, scores = draw_images(2, 700, decimals=decimals)
    plain = stratified_auc_replicates(labels, scores, 333, 5, engine="numpy")
    for engine in ("numpy", "numba"):
        for n_threads in (1, 2, 4):
            other = stratified_auc_replicates(labels, scores, 333, 5, engine=engine, n_threads=n_threads)
            np.testing.assert_array_equal(other, plain)


def test_replicates_are_the_weighted_auc_of_their_counts(clustered):
    labels, scores, person = clustered
    draws = PersonDraws(np.unique(person), None, n_resamples=70, seed=2)
    replicates = draws.auc_replicates(labels, scores, person)
    codes = draws.codes(person)
    for lanes, counts in draws.count_blocks():
        expected = [roc_auc_score(labels, scores, sample_weight=column) for column in counts[codes].T]
        np.testing.assert_allclose(replicates[lanes], expected, atol=1e-14, rtol=0)


def test_order_of_rows_and_of_persons_does_not_matter(clustered):
    labels, scores, person = clustered
    keys = np.unique(person)
    strata = np.array([labels[person == key].any() for key in keys])
    order, shuffled = np.random.default_rng(4).permutation(500), np.random.default_rng(5).permutation(len(keys))
    plain = PersonDraws(keys, strata, n_resamples=200, seed=2).auc_replicates(labels, scores, person)
    other = PersonDraws(keys[shuffled], strata[shuffled], n_resamples=200, seed=2)
    np.testing.assert_array_equal(other.auc_replicates(labels[order], scores[order], person[order]), plain)


def test_image_bootstrap_does_not_depend_on_the_order_of_rows():
    labels, scores = draw_images(6, 300, decimals=1)
    both = np.stack([scores, np.round(scores + np.sin(scores * 9), 1)])
    order = np.random.default_rng(7).permutation(300)
    np.testing.assert_array_equal(
        stratified_auc_replicates(labels[order], both[:, order], 100, 3),
        stratified_auc_replicates(labels, both, 100, 3),
    )


def test_cells_do_not_depend_on_their_company(clustered):
    labels, scores, person = clustered
    draws = PersonDraws(np.unique(person), None, n_resamples=100, seed=2)
    cells = [(labels, scores, person), (labels[:300], scores[:300], person[:300]), (labels, -scores, person)]
    together = draws.auc_replicates_many(cells)
    for row, cell in zip(together[::-1], cells[::-1], strict=True):
        np.testing.assert_array_equal(row, draws.auc_replicates(*cell))
    np.testing.assert_allclose(together[2], 1 - together[0], atol=1e-15)


def test_counts_that_are_not_kept_are_drawn_again_alike():
    kept = CountStream((30, 40), n_resamples=128, seed=3, kept_bytes=70 * 128)
    drawn = CountStream((30, 40), n_resamples=128, seed=3, kept_bytes=70 * 128 - 1)
    first = kept.draw(1)
    assert kept.draw(1) is kept.draw(1)
    assert drawn.draw(1) is not drawn.draw(1)
    np.testing.assert_array_equal(kept.draw(1), first)
    np.testing.assert_array_equal(kept.draw(1), drawn.draw(1))


def test_seeds_give_other_draws(clustered):
    first, second = (
        PersonDraws(np.unique(clustered[2]), None, n_resamples=100, seed=seed).auc_replicates(*clustered)
        for seed in (1, 2)
    )
    assert np.mean(first == second) < 0.1
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.4


@pytest.mark.parametrize(("n", "decimals"), [(60, 8), (60, 0), (500, 1)])
def test_standard_deviation_is_that_of_the_closed_form(n, decimals):
    labels, scores = draw_images(8, n, 0.3, decimals)
    n_resamples = 40_000
    replicates = stratified_auc_replicates(labels, scores, n_resamples, 1)[0]
    expected = math.sqrt(bootstrap_variance(labels, scores))
    assert replicates.std(ddof=1) == pytest.approx(expected, rel=3 / math.sqrt(2 * n_resamples))
    assert replicates.mean() == pytest.approx(auc(labels, scores), abs=3 * expected / math.sqrt(n_resamples))


def test_person_bootstrap_has_the_spread_of_obuchowskis_variance(clustered):
    labels, scores, person = clustered
    cell = auc_components(labels, scores, person=person)
    replicates = PersonDraws(np.unique(person), None, n_resamples=4000).auc_replicates(*clustered)
    assert standard_error_of(replicates) == pytest.approx(math.sqrt(sum(cell.variance_terms())), rel=0.08)


def test_resample_without_a_class_is_counted_not_hidden():
    draws = PersonDraws(["a", "b", "c"], None, n_resamples=500)
    replicates = draws.auc_replicates([1, 0, 0], [3, 2, 1], ["a", "b", "c"])
    missing = int(np.isnan(replicates).sum())
    # Persons a, or both b and c, not drawn: (2/3)^3 + (1/3)^3 = 1/3.
    assert missing == pytest.approx(500 / 3, abs=4 * math.sqrt(500 * 2 / 9))
    found = bootstrap_interval(replicates, 1.0)
    assert (found.n_resamples, found.n_without_class) == (500, missing)


def test_sums_are_those_of_the_drawn_images(clustered):
    labels, scores, person = clustered
    draws = PersonDraws(np.unique(person), None, n_resamples=90, seed=3)
    hits = draws.sum_replicates([labels & (scores > 0.5), labels], person)
    codes = draws.codes(person)
    counts = np.concatenate([block for _, block in draws.count_blocks()], axis=1)
    np.testing.assert_array_equal(hits[1], labels @ counts[codes])
    np.testing.assert_array_equal(hits[0], (labels & (scores > 0.5)) @ counts[codes])


def test_percentile_basic_and_bca_intervals():
    rng = np.random.default_rng(10)
    replicates = np.r_[rng.normal(0.8, 0.03, 5000), np.nan]
    low, high = np.quantile(replicates[:-1], [0.05, 0.95])
    percentile = bootstrap_interval(replicates, 0.8, confidence_level=0.9)
    assert (percentile.low, percentile.high, percentile.n_without_class) == (low, high, 1)
    basic = bootstrap_interval(replicates, 0.8, confidence_level=0.9, method="basic")
    assert (basic.low, basic.high) == pytest.approx((1.6 - high, 1.6 - low))
    middle = float(np.median(replicates[:-1]))
    bca = bootstrap_interval(replicates, middle, confidence_level=0.9, method="bca", influence=[-1.0, 1.0])
    assert (bca.low, bca.high) == pytest.approx((low, high), abs=1e-3)


def test_bca_is_that_of_scipy():
    labels, scores = draw_images(11, 60, 0.4)
    cell = auc_components(labels, scores)
    values = np.random.default_rng(1).exponential(size=80)
    theirs = reference.bootstrap(
        (values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2), method="BCa"
    )
    found = bootstrap_interval(
        theirs.bootstrap_distribution, values.mean(), method="bca", influence=values - values.mean()
    )
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=2e-3)
    assert cell.influence().sum() == pytest.approx(0.0, abs=1e-12)


def test_studentised_interval_of_a_pivot_is_the_t_interval():
    rng = np.random.default_rng(12)
    errors = rng.uniform(0.5, 2.0, 200_000)
    replicates = 1.0 + errors * rng.standard_normal(200_000)
    found = bootstrap_interval(replicates, 1.0, method="studentised", standard_error=0.1, replicate_errors=errors)
    assert (found.low, found.high) == pytest.approx((1 - 0.196, 1 + 0.196), abs=2e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: bootstrap_interval([np.nan, np.nan], 0.5),
            "none of the 2 resamples has both classes: no interval can be read",
        ),
        (lambda: bootstrap_interval([0.5], 0.5, method="bca"), "the bca interval needs influence"),
        (
            lambda: bootstrap_interval([0.5], 0.5, method="normal"),
            "method must be one of percentile, basic, bca, studentised, not 'normal'",
        ),
        (
            lambda: stratified_auc_replicates([1, 1], [0.1, 0.2]),
            "a stratified bootstrap needs both classes, but only one is there",
        ),
        (
            lambda: PersonDraws(["a", "a", "b"], [0, 0, 0]),
            "persons must be distinct, but 1 of 3 repeat another",
        ),
        (
            lambda: PersonDraws(["a", "b"], [0]),
            "strata must have one code per person, shape (2,), not (1,)",
        ),
        (lambda: PersonDraws(["a", "b"], ["x", "y"]), "strata must be integer codes, not <U1"),
        (lambda: PersonDraws(["a"], n_resamples=0), "n_resamples must be 1 or more, not 0"),
        (lambda: PersonDraws(["a"], seed=-1), "seed must be 0 or more, not -1"),
        (
            lambda: PersonDraws(["a", "b"]).auc_replicates([0, 1], [1, 2], ["b", "c"]),
            "1 of 2 rows are of persons who are not among the 2 drawn from",
        ),
        (
            lambda: stratified_auc_replicates([0, 1], [0.1, 0.2], engine="cuda"),
            "engine must be one of auto, numpy, numba, not 'cuda'",
        ),
    ],
)
def test_refuses_what_cannot_be_done(call, message):
    with pytest.raises(StatisticsError) as raised:
        call()
    assert str(raised.value) == message


def test_large_work_is_done_by_numpy_where_nothing_can_be_compiled(monkeypatch):
    labels, scores = draw_images(13, 400)
    expected = stratified_auc_replicates(labels, scores, 64, 1, engine="numpy")
    monkeypatch.setattr(replicates, "_WORTH_IF_LOADED", 1)
    monkeypatch.setattr(replicates, "_WORTH_IMPORTING", 1)
    monkeypatch.setattr(replicates, "_WORTH_COMPILING", 1)
    monkeypatch.setitem(sys.modules, "subgroup_audit.stats.compiled", None)
    np.testing.assert_array_equal(stratified_auc_replicates(labels, scores, 64, 1), expected)


def test_small_work_imports_no_compiler_and_no_learning_library():
    code = (
        "import sys, numpy as np, subgroup_audit.stats as stats\n"
        "y = np.arange(2000) % 3 == 0\n"
        "stats.stratified_auc_replicates(y, np.sin(np.arange(2000.0)))\n"
        "stats.auc_interval(y, np.sin(np.arange(2000.0)))\n"
        "print([name for name in ('numba', 'sklearn', 'statsmodels', 'pandas', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
