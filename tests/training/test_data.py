"""Labels, epochs and batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.errors import TrainingError
from subgroup_audit.training.data import (
    Draw,
    cut_batches,
    draw_balanced,
    draw_plain,
    label_strata,
    read_labels,
    select_split,
)


def rows(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_absent_rows_are_labels_not_known() -> None:
    frame = rows(image_id=["b", "a", "b"], finding=["x", "y", "y"], y_true=[1, 1, 0])
    labels = read_labels(frame, ("x", "y"), is_multiclass=False, origin="cohort")
    assert labels.image_ids == ("b", "a")
    np.testing.assert_array_equal(labels.y_true, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(labels.is_known, [[True, True], [False, True]])


def test_unknown_finding_names_the_nearest() -> None:
    frame = rows(image_id=["a"], finding=["opacty"], y_true=[1])
    with pytest.raises(TrainingError) as caught:
        read_labels(frame, ("opacity", "normal"), is_multiclass=False, origin="cohort 'F'")
    assert str(caught.value) == (
        "cohort 'F': 1 rows have a finding that the fit does not know, the first 'opacty'; nearest: opacity"
    )


def test_classes_exclude_each_other() -> None:
    frame = rows(image_id=["a", "a", "b", "b"], finding=["x", "y"] * 2, y_true=[1, 0, 1, 1])
    with pytest.raises(TrainingError) as caught:
        read_labels(frame, ("x", "y"), is_multiclass=True, origin="cohort 'F'")
    assert str(caught.value) == (
        "cohort 'F': classes exclude each other, so an image has exactly one; 1 images have another number, "
        "the first 'b' with 2"
    )


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(TrainingError) as caught:
        select_split(rows(image_id=["a", "b"], split=["train", "train"]), "val")
    assert str(caught.value) == "a fit needs at least 2 images in the split 'val'; there are 0"


@given(n=st.integers(2, 400), batch_size=st.integers(1, 64), seed=st.integers(0, 5))
def test_batches_are_even_and_count_every_image_once(n: int, batch_size: int, seed: int) -> None:
    batches = cut_batches(draw_plain(n, np.random.default_rng(seed)), batch_size)
    counted = np.concatenate([batch.index[: batch.n_real] for batch in batches])
    np.testing.assert_array_equal(np.sort(counted), np.arange(n))
    sizes = {len(batch.index) for batch in batches}
    assert len(sizes) == 1
    assert sizes.pop() <= batch_size
    assert min(batch.n_real for batch in batches) >= max(batch.n_real for batch in batches) - 1


def test_no_batch_holds_one_image() -> None:
    draw = Draw(np.arange(33), np.zeros(33, dtype=np.int64))
    assert [(len(batch.index), batch.n_real) for batch in cut_batches(draw, 32)] == [(17, 17), (17, 16)]


@given(n_rare=st.integers(1, 30), n_common=st.integers(1, 200), seed=st.integers(0, 5))
def test_balanced_draws_are_balanced(n_rare: int, n_common: int, seed: int) -> None:
    strata = np.array([1] * n_rare + [0] * n_common)
    draw = draw_balanced(strata, np.random.default_rng(seed))
    drawn = np.bincount(strata[draw.index], minlength=2)
    assert drawn.sum() == len(strata)
    assert abs(int(drawn[0]) - int(drawn[1])) <= 1
    times = np.bincount(draw.index, minlength=len(strata))
    for k in (0, 1):
        assert np.ptp(times[strata == k]) <= 1
    pairs = set(zip(draw.index.tolist(), draw.turn.tolist(), strict=True))
    assert len(pairs) == len(strata)


def test_strata() -> None:
    frame = rows(image_id=["a", "a", "b", "b"], finding=["x", "y"] * 2, y_true=[0, 1, 0, 0])
    labels = read_labels(frame, ("x", "y"), is_multiclass=False, origin="cohort")
    np.testing.assert_array_equal(label_strata(labels, is_multiclass=False), [1, 0])
    np.testing.assert_array_equal(label_strata(labels, is_multiclass=True), [1, 0])
