"""The pass over the counts: exact with the largest counts, and the same for every engine, company and memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from subgroup_audit.stats import (
    PersonDraws,
    auc_components,
    auc_covariance,
    components_by_model,
    replicates,
    shared_persons,
)
from subgroup_audit.stats.draws import LANES, CountStream, split_words
from subgroup_audit.stats.replicates import rank_cell


def measures():
    return [replicates._measure_numpy, replicates._compiled()[1]]


def draw_images(seed, n, decimals=8):
    rng = np.random.default_rng(seed)
    labels = np.r_[True, False, rng.random(n - 2) < 0.3]
    return labels, np.round(rng.standard_normal(n) + labels, decimals)


@pytest.mark.parametrize("largest", [1, 9, 255])
@pytest.mark.parametrize("decimals", [0, 8])
@pytest.mark.parametrize("order", [1, -1])
def test_sums_are_exact_for_counts_of_any_size(largest, decimals, order):
    labels, scores = draw_images(1, 3000, decimals)
    # Sorted labels make runs as long as there can be; negative scores turn the two classes' places.
    scores = np.where(labels, scores + 2, scores) * order
    counts = np.random.default_rng(2).integers(0, largest + 1, (3000, LANES)).astype(np.uint8)
    counts[:, 0] = largest
    cell = rank_cell(labels, scores, np.arange(3000))
    exact = counts.astype(np.int64)
    expected = np.zeros(LANES, dtype=np.int64)
    for row in np.flatnonzero(labels):
        wins = (scores[~labels] < scores[row]).astype(np.int64) * 2 + (scores[~labels] == scores[row])
        expected += exact[row] * (wins @ exact[~labels])
    for measure in measures():
        twice, positives, negatives = measure(counts, cell)
        np.testing.assert_array_equal(twice, expected)
        np.testing.assert_array_equal(positives, 2 * exact[labels].sum(axis=0))
        np.testing.assert_array_equal(negatives, exact[~labels].sum(axis=0))


@pytest.mark.parametrize("missing", [True, False])
def test_sums_of_one_class_alone(missing):
    labels = np.full(5, missing)
    cell = rank_cell(labels, np.arange(5.0), np.arange(5))
    for measure in measures():
        twice, positives, negatives = measure(np.ones((5, LANES), dtype=np.uint8), cell)
        assert set(twice) == {0}
        assert set(positives) == {10 if missing else 0}
        assert set(negatives) == {0 if missing else 5}


def test_words_hold_four_counts_each():
    rows = np.random.default_rng(3).integers(0, 256, (10, LANES)).astype(np.uint8)
    sums = split_words(rows).sum(axis=1).view(np.uint16).ravel()
    np.testing.assert_array_equal(sums[replicates.WORD_ORDER], rows.sum(axis=0))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_cells_of_few_persons_are_as_if_alone_in_every_engine_and_number_of_threads(engine, n_threads):
    labels, scores = draw_images(4, 400, 1)
    person = np.random.default_rng(5).choice(5000, 400)
    tables = [scores, -scores, np.round(scores), np.roll(scores, 7), scores**2]
    options = {"n_resamples": 200, "seed": 6}
    draws = PersonDraws(np.arange(5000), None, engine=engine, n_threads=n_threads, **options)
    together = draws.auc_replicates_many([(labels, row, person) for row in tables])
    codes = draws.codes(person)
    plain = PersonDraws(np.arange(5000), None, engine="numpy", **options)
    np.testing.assert_array_equal(together, [plain.auc_replicates(labels, row, person) for row in tables])
    lanes, counts = next(iter(plain.count_blocks()))
    expected = [roc_auc_score(labels, tables[2], sample_weight=column) for column in counts[codes].T]
    np.testing.assert_allclose(together[2, lanes], expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_memory_of_blocks_is_reused_without_a_trace(n_threads):
    labels, scores = draw_images(7, 900)
    cell = rank_cell(labels, scores, np.arange(900))
    kept, reused = (CountStream([900], n_resamples=700, seed=8, kept_bytes=size) for size in (10**7, 0))
    expected = replicates.replicate_aucs(kept, [cell], engine="numpy")
    assert (kept.keeps, reused.keeps) == (True, False)
    for engine in ("numpy", "numba"):
        for stream in (reused, kept):
            found = replicates.replicate_aucs(stream, [cell], engine=engine, n_threads=n_threads)
            np.testing.assert_array_equal(found, expected)


def test_blocks_are_kept_once_they_are_asked_for_again():
    stream = CountStream([900], n_resamples=130, seed=8, kept_bytes=10**7)
    first = stream.draw(1)
    assert not stream.is_kept(1)
    again = stream.draw(1)
    assert stream.is_kept(1)
    assert again is not first
    np.testing.assert_array_equal(again, first)
    assert stream.draw(1, spare=first) is again
    assert not stream.is_kept(0)
    small = CountStream([900], n_resamples=130, seed=8)
    np.testing.assert_array_equal([small.draw(1), small.draw(1)], [first, first])
    assert not small.is_kept(1)


@pytest.mark.parametrize("keys", ["ascending", "shuffled", "text"])
def test_components_by_model_are_those_of_each_model(keys):
    labels, scores = draw_images(9, 300, 1)
    rng = np.random.default_rng(10)
    person = np.arange(300) * 2 if keys == "ascending" else rng.integers(0, 150, 300)
    person = person.astype(str) if keys == "text" else person
    tables = [scores, -scores, np.roll(scores, 3)]
    found = components_by_model(labels, tables, person=person)
    singly = [auc_components(labels, row, person=person) for row in tables]
    for together, alone in zip(found, singly, strict=True):
        for name, value in vars(alone).items():
            np.testing.assert_array_equal(getattr(together, name), value)
    np.testing.assert_array_equal(auc_covariance(found), auc_covariance(singly))
    assert shared_persons(found[0], found[1]) == shared_persons(singly[0], singly[1]) == found[0].n_persons


def test_components_keep_their_persons_when_the_caller_writes_on():
    person = np.arange(4)
    cell = auc_components([0, 1, 0, 1], [1, 2, 3, 4], person=person)
    person[:] = 0
    np.testing.assert_array_equal(cell.persons, np.arange(4))


@pytest.mark.parametrize(
    ("kept", "least"), [([], 2_500_000_000), (["stats_1/compiled.concordance-1.py311.nbi"], 400_000_000)]
)
def test_work_waits_for_a_compiler_only_where_that_is_worth_it(monkeypatch, tmp_path, kept, least):
    for name in kept:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delitem(sys.modules, "subgroup_audit.stats.compiled", raising=False)
    monkeypatch.setattr(replicates, "_can_compile", lambda: True)
    assert not replicates.chooses_numba("auto", least - 1)
    assert replicates.chooses_numba("auto", least)
    assert not replicates.chooses_numba("numpy", 10 * least)
    assert replicates.chooses_numba("numba", 1)
