"""Components that are kept as counts are, to the digit, those that were worked out at once."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats import AucComponents, LabelledImages, components_by_model


def assert_same(a: AucComponents, b: AucComponents) -> None:
    for item in fields(AucComponents):
        first, second = getattr(a, item.name), getattr(b, item.name)
        np.testing.assert_array_equal(first, second, err_msg=item.name)
        assert np.asarray(first).dtype == np.asarray(second).dtype, item.name


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(2, 80),
    levels=st.sampled_from([2, 5, 10**6]),
    persons=st.sampled_from(["own", "shared", "text"]),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_unpacked_components_are_those_of_components_by_model(seed, n, levels, persons, share):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < share
    person = np.arange(n) if persons == "own" else rng.integers(0, n, n)
    person = person.astype(str) if persons == "text" else person
    tables = [rng.integers(0, levels, n) / levels for _ in range(3)]
    packed = LabelledImages(labels, person).pack(tables)
    found = components_by_model(labels, tables, person=person)
    assert len(packed) == 3
    for place, expected in enumerate(found):
        assert_same(packed[place], expected)
        np.testing.assert_equal(packed.auc(place), expected.auc)
    assert [one.auc for one in packed[1:]] == pytest.approx([one.auc for one in found[1:]], nan_ok=True)
    assert all(one.persons is packed.images.grouping.persons for one in packed)


@pytest.mark.parametrize(("n", "bytes_each"), [(100, 1), (20_000, 2), (120_000, 4)])
def test_counts_take_as_few_bytes_as_they_can(n, bytes_each):
    rng = np.random.default_rng(1)
    labels = rng.random(n) < 0.5
    packed = LabelledImages(labels, np.arange(n)).pack([rng.standard_normal(n)])
    assert {counts.itemsize for counts in packed.counts[0]} == {bytes_each}


def test_scores_that_are_not_finite_are_refused_by_row():
    images = LabelledImages([0, 1], ["a", "b"])
    with pytest.raises(StatisticsError, match=r"^scores row 1 "):
        images.pack([[0.1, 0.2], [0.1, np.nan]])
