"""Errors are counted by person, with the runs of a series and what chance would have made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis.errors_by_person import errors_by_person
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

FIT = {"fit_id": "f", "train_cohort": "all", "model": "m", "recipe": "default", "seed": 0}


def make_study() -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "data": {"source": "phantom"},
            "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
            "cohorts": {"all": {}, "F": {"sex": "F"}},
            "models": {"m": {"architecture": "small_cnn"}},
            "seeds": [0],
        }
    )


def series(
    person: str, n: int, wrong: set[int], *, y_true: int = 1, split: str = "test", sex: str = "F"
) -> list[dict[str, Any]]:
    """A person's images, numbered from 1; those in `wrong` have a score on the other side of 0.5."""
    return [
        {
            "image_id": f"{person}_{k}",
            "patient_id": person,
            "split": split,
            "sex": sex,
            "finding": "opacity",
            "y_true": y_true,
            "y_score": abs((y_true if k not in wrong else 1 - y_true) - 0.2),
            "instance": 200 - k,
        }
        for k in range(1, n + 1)
    ]


VALIDATION = [*series("v1", 20, set(), split="val"), *series("v2", 20, set(), y_true=0, split="val")]
SLICES = {*range(1, 21), *range(92, 106)}


@pytest.fixture
def rows():
    return pd.DataFrame(
        [
            *VALIDATION,
            *series("p10", 120, SLICES),
            *series("p1", 8, set(range(1, 9))),
            *series("p2", 1, {1}),
            *series("p3", 50, {7}, y_true=0, sex="M"),
        ]
    )


def counted(rows: pd.DataFrame, images: pd.DataFrame | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    base = rows.drop(columns=["y_score", "instance"]).assign(weight=1.0)
    manifest = CohortManifest(pd.concat([base.assign(cohort="all"), base[base["sex"] == "F"].assign(cohort="F")]))
    predictions = Predictions(rows.drop(columns="instance").assign(**FIT))
    return errors_by_person(make_study(), manifest, predictions, rows[["image_id"]] if images is None else images)


def test_every_person_has_its_errors_and_its_runs(rows):
    persons = counted(rows)[0].set_index("patient_id")
    assert set(persons.index) == {"p1", "p2", "p3", "p10"}
    assert persons.loc["p10", "runs"] == "1-20, 92-105"
    assert persons.loc["p10", ["n_images", "n_wrong", "longest_run"]].tolist() == [120, 34, 20]
    assert persons.loc["p1", "is_all_wrong"]
    assert persons.loc["p1", ["n_false_negative", "n_false_positive"]].tolist() == [8, 0]
    assert persons.loc["p3", ["runs", "n_false_positive", "n_false_negative"]].tolist() == ["7", 1, 0]
    assert (persons["ordered_by"] == "image_id").all()
    assert (persons["threshold"] == 0.8).all()


def test_an_instance_number_puts_a_series_in_order(rows):
    images = rows[["image_id"]].assign(InstanceNumber=rows["instance"])
    persons = counted(rows, images)[0].set_index("patient_id")
    assert persons.loc["p10", "runs"] == "95-108, 180-199"
    assert persons.loc["p10", "ordered_by"] == "InstanceNumber"


def test_the_order_of_rows_does_not_matter(rows):
    shuffled = rows.sample(frac=1.0, random_state=0)
    first, second = counted(rows)[0], counted(shuffled)[0]
    pd.testing.assert_frame_equal(first, second)


def test_persons_of_one_image_are_not_counted_as_all_wrong(rows):
    counts = counted(rows)[1].set_index("test_group")
    whole = counts.loc["all"]
    assert whole[["n_patients", "n_images", "n_wrong"]].tolist() == [4, 179, 44]
    assert whole[["n_persons_with_errors", "n_persons_of_several", "n_all_wrong"]].tolist() == [4, 3, 1]
    assert whole["share_all_wrong"] == pytest.approx(1 / 3)
    assert whole["held"] == pytest.approx(8 / 44)
    assert 0 < whole["held_low"] < whole["held"] < whole["held_high"] < 1
    assert whole["longest_run"] == 20
    assert counts.loc["F", "n_patients"] == 3


def test_what_chance_would_have_made_of_the_errors(rows):
    miss = 43 / 129
    expected = miss**120 + miss**8 + (1 / 50) ** 50
    assert counted(rows)[1].set_index("test_group").loc["all", "expected_all_wrong"] == pytest.approx(expected)


def test_the_expected_number_is_that_of_simulated_errors():
    rng = np.random.default_rng(0)
    rows = [*VALIDATION]
    for person in range(400):
        rows += series(f"q{person}", 2, {k for k in (1, 2) if rng.random() < 0.4}, y_true=person % 2)
    row = counted(pd.DataFrame(rows))[1].iloc[0]
    assert row["n_all_wrong"] == pytest.approx(row["expected_all_wrong"], abs=4 * np.sqrt(400 * 0.16 * 0.84))
    assert row["share_low"] < 0.16 < row["share_high"]


def test_without_errors_nothing_is_held(rows):
    clean = rows.assign(y_score=(rows["y_true"] - 0.2).abs())
    counts = counted(clean)[1]
    assert (counts["n_wrong"] == 0).all()
    assert counts["held"].isna().all()
    assert (counts["n_all_wrong"] == 0).all()


def test_a_fit_without_a_threshold_has_no_rows(rows):
    one_class = rows[~((rows["split"] == "val") & (rows["y_true"] == 0))]
    persons, counts = counted(one_class)
    assert len(persons) == len(counts) == 0
