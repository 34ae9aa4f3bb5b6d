"""A sample scored again tells a right table, a shuffled one and another model's apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis.order import check_order, count_wrong_labels, draw_sample

IMAGES = [f"i{k:04d}" for k in range(400)]


def table_of(scores: np.ndarray) -> pd.DataFrame:
    names = [f"finding {k}" for k in range(scores.shape[1])]
    return pd.DataFrame(scores, index=pd.Index(IMAGES, name="image_id"), columns=names)


@pytest.fixture
def model():
    """Scores of two findings, and the images that were asked for."""
    scores = pd.DataFrame(np.random.default_rng(0).uniform(size=(400, 2)), index=IMAGES)
    asked: list[int] = []

    def predict(images):
        asked.append(len(images))
        return scores.loc[list(images)].to_numpy(dtype=np.float32)

    return scores.to_numpy(), predict, asked


def test_right_scores_match_after_a_sample(model):
    scores, predict, asked = model
    found = check_order(table_of(scores), predict, IMAGES, 1e-4, 0)
    assert (found.result, found.n_images, found.n_different) == ("matches", 24, 0)
    assert found.largest_difference < 1e-7
    assert asked == [24]


def test_shuffled_scores_are_found_under_other_images(model):
    scores, predict, _ = model
    shuffled = np.roll(scores, 1, axis=0)
    found = check_order(table_of(shuffled), predict, IMAGES, 1e-4, 0)
    assert (found.result, found.n_different, found.n_elsewhere) == ("scores belong to other images", 24, 24)
    assert found.largest_difference > 0.1


def test_scores_of_another_model_are_found_nowhere(model):
    scores, predict, _ = model
    found = check_order(table_of(np.random.default_rng(1).uniform(size=scores.shape)), predict, IMAGES, 1e-4, 0)
    assert (found.result, found.n_elsewhere) == ("another model", 0)


def test_a_coarse_precision_does_not_make_another_model_a_shuffled_one(model):
    """With a tolerance of 0.05 nearly every score is near that of some other image."""
    scores, predict, _ = model
    found = check_order(table_of(scores**2), predict, IMAGES, 5e-2, 0)
    assert found.result == "another model"
    assert found.n_different > 10


def test_scores_that_are_missing_for_a_finding_are_not_compared(model):
    scores, predict, _ = model
    partly = scores.copy()
    partly[::2, 1] = np.nan
    assert check_order(table_of(partly), predict, IMAGES, 1e-4, 0).result == "matches"


def test_without_test_images_nothing_is_checked(model):
    scores, predict, asked = model
    assert check_order(table_of(scores), predict, [], 1e-4, 0).result == "not checked"
    assert asked == []


def test_a_sample_depends_on_the_keys_and_the_seed_alone():
    first = draw_sample(IMAGES, 3)
    assert first == draw_sample(IMAGES[::-1], 3)
    assert len(set(first)) == 24
    assert first != draw_sample(IMAGES, 4)
    assert draw_sample(IMAGES[:5], 3, 24) != []


def test_labels_are_compared_by_image_and_finding():
    manifest = pd.DataFrame({"image_id": ["a", "a", "b"], "finding": ["x", "y", "x"], "y_true": [1, 0, 0]})
    stored = manifest.iloc[[2, 0, 1]].reset_index(drop=True)
    assert count_wrong_labels(stored, manifest) == 0
    assert count_wrong_labels(stored.assign(y_true=[1, 0, 0]), manifest) == 2
    assert count_wrong_labels(stored.assign(image_id=["c", "a", "a"]), manifest) == 1
