"""Cohorts compared in what is recorded: against tableone, and where nothing can be said."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.cohort.differences import NO_OVERLAP, cohort_differences


def _manifest(seed: int = 1) -> pd.DataFrame:
    """Two cohorts of other ages and views, sharing some images; one finding."""
    rng = np.random.default_rng(seed)
    n = 400
    images = pd.DataFrame(
        {
            "image_id": [f"i{i:03d}" for i in range(n)],
            "patient_id": [f"p{i // 2:03d}" for i in range(n)],
            "split": np.where(np.arange(n) % 4 < 2, "train", "test"),
            "sex": rng.choice(["F", "M"], n, p=[0.4, 0.6]),
            "site": rng.choice(["a", "b", "c", "Unknown"], n, p=[0.5, 0.2, 0.2, 0.1]),
            "age_years": rng.normal(50, 12, n),
        }
    )
    labels = images.assign(finding="opacity", y_true=rng.integers(0, 2, n), weight=1.0)
    first = labels[labels["sex"] == "F"].assign(cohort="F")
    second = labels[(labels["sex"] == "M") | (np.arange(n) < 60)].assign(cohort="mixed")
    second["age_years"] += 6
    return pd.concat([first, second], ignore_index=True)


def _tableone(images: pd.DataFrame, variable: str) -> float:
    from tableone import TableOne

    kind = "continuous" if variable == "age_years" else "categorical"
    known = images[images[variable] != "Unknown"]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        table = TableOne(known, columns=[variable], **{kind: [variable]}, groupby="cohort", smd=True, pval=False)
    return abs(float(table.smd_table.iloc[0, 0]))


@pytest.mark.parametrize("split", ["all", "train", "test"])
def test_differences_are_those_of_tableone(split: str) -> None:
    manifest = _manifest()
    found = cohort_differences(manifest, ["F", "mixed"], ["sex", "site"], ["opacity"])
    rows = found[found["split"] == split].set_index("variable")
    chosen = manifest if split == "all" else manifest[manifest["split"] == split]
    for variable in ("age_years", "sex", "site"):
        theirs = _tableone(chosen[["cohort", variable]], variable)
        assert rows.loc[variable, "smd"] == pytest.approx(theirs, abs=1e-6), variable
    assert rows.loc["site", "n_images"] < rows.loc["sex", "n_images"]


def test_cohorts_without_a_common_value_have_no_difference_and_a_reason() -> None:
    manifest = _manifest()
    manifest.loc[manifest["cohort"] == "mixed", "sex"] = "M"
    found = cohort_differences(manifest, ["F", "mixed"], ["sex"], [])
    row = found[(found["variable"] == "sex") & (found["split"] == "all")].iloc[0]
    assert np.isnan(row["smd"])
    assert row["reason"] == NO_OVERLAP


def test_a_cohort_is_not_apart_from_itself() -> None:
    manifest = _manifest()
    twin = manifest[manifest["cohort"] == "F"].assign(cohort="twin")
    found = cohort_differences(pd.concat([manifest, twin]), ["F", "twin"], ["sex", "site"], ["opacity"])
    assert (found["smd"] == 0.0).all()


def test_a_split_that_a_cohort_lacks_is_left_out() -> None:
    found = cohort_differences(_manifest(), ["F", "mixed"], ["sex"], ["opacity"])
    assert set(found["split"]) == {"all", "train", "test"}
