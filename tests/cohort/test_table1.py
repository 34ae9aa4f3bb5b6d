"""Table 1 against counts by hand and the definition of the standardised mean difference."""

from __future__ import annotations

import numpy as np
import pytest

from subgroup_audit.cohort import design_cohorts


@pytest.fixture(scope="module")
def design(tables, study):
    return design_cohorts(study(cohorts={"all": {}, "AP": {"view": "AP"}}, balance={"size": "all"}), tables)


def row(design, **wanted):
    table = design.table1
    for name, value in {"cohort": "all", "level": "", **wanted}.items():
        table = table[table[name] == value]
    return table.squeeze()


def test_counts_are_those_of_the_manifest(design):
    frame = design.manifest.frame.query("cohort == 'all' and split == 'test'")
    assert row(design, split="test", variable="images")["n"] == len(frame)
    assert row(design, split="test", variable="patients")["n"] == frame["patient_id"].nunique()
    women = row(design, split="test", variable="sex", level="F")
    assert women["n"] == (frame["sex"] == "F").sum()
    assert women["percent"] == pytest.approx(100 * (frame["sex"] == "F").mean())
    age = row(design, split="test", variable="age_years")
    assert (age["mean"], age["sd"]) == pytest.approx((frame["age_years"].mean(), frame["age_years"].std()))
    assert row(design, split="test", variable="opacity", level="1")["n"] == frame["y_true"].sum()


def test_differences_are_standardised_as_defined(design):
    """Numbers by mean difference over pooled deviation; two categories the same with p (1 - p), Austin 2009."""
    frame = design.manifest.frame.query("cohort == 'all'")
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    pooled = np.sqrt((train["age_years"].var() + test["age_years"].var()) / 2)
    expected = abs(train["age_years"].mean() - test["age_years"].mean()) / pooled
    assert row(design, split="test", variable="age_years")["smd"] == pytest.approx(expected, rel=1e-3)
    p, q = (train["sex"] == "F").mean(), (test["sex"] == "F").mean()
    expected = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert row(design, split="test", variable="sex", level="F")["smd"] == pytest.approx(
        expected, rel=1e-3, abs=1e-6
    )


def test_what_does_not_vary_differs_by_nothing_and_train_from_nothing(design):
    assert row(design, cohort="AP", split="test", variable="view", level="AP")["smd"] == 0.0
    assert np.isnan(row(design, split="train", variable="age_years")["smd"])
    assert np.isnan(row(design, split="all", variable="age_years")["smd"])


def test_missing_values_are_counted_and_not_spread(invent, replace, study):
    tables = invent(300)
    images = tables.images.frame.copy()
    images.loc[::5, "age_years"] = np.nan
    images.loc[::6, "sex"] = "Unknown"
    asked = study(
        cohorts={"all": {}}, balance={"size": "all"}, eligible={"age_years": {"missing": "keep"}, "sex": "any"}
    )
    design = design_cohorts(asked, replace(tables, images))
    assert row(design, split="all", variable="age_years")[["n", "missing"]].tolist() == [240, 60]
    women = row(design, split="all", variable="sex", level="F")
    assert women["missing"] == 50
    assert women["percent"] == pytest.approx(100 * women["n"] / 250)
