"""The leakage certificate, and what a split of images would have leaked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.cohort.leakage import Drawn, image_level_leakage


def draw(study, tables, **further):
    return design_cohorts(study, tables, describe=False, **further)


def test_a_split_of_persons_shares_nothing(tables, study):
    digests = pd.DataFrame({"image_id": tables.images.frame["image_id"], "pixel_digest": range(600)})
    leakage = draw(study(), tables, pixel_digests=digests).leakage
    assert list(leakage.columns) == [
        "train_cohort", "test_cohort", "n_train_images", "n_val_images", "n_test_images", "shared_persons",
        "shared_files", "shared_pixels", "pixels_under_other_ids", "shared_near_pixels",
        "share_of_test_images_of_seen_persons",
        "split_unit",
    ]  # fmt: skip
    counted = leakage[["shared_persons", "shared_files", "shared_pixels", "pixels_under_other_ids"]]
    assert (counted == 0).all(axis=None)
    assert (leakage["share_of_test_images_of_seen_persons"] == 0).all()
    assert (leakage[["n_train_images", "n_test_images"]] > 0).all(axis=None)


def test_pixels_are_missing_where_nobody_looked(tables, study):
    leakage = draw(study(), tables).leakage
    assert leakage["shared_pixels"].isna().all()
    assert leakage["pixels_under_other_ids"].isna().all()


def test_pixels_and_files_seen_again_are_counted(invent, replace, study):
    tables = invent(300, images_per_person=1)
    images = tables.images.frame.assign(patient_id=[f"p{i}" for i in range(300)])
    images["path"] = [f"{i // 2}.png" for i in range(300)]
    asked = study(cohorts={"all": {}}, balance={"size": "all"}, split={"unit": "image"})
    digests = pd.DataFrame({"image_id": images["image_id"], "pixel_digest": [i // 2 for i in range(300)]})
    design = draw(asked, replace(tables, images), pixel_digests=digests)
    split = design.manifest.frame.set_index("image_id")["split"]
    tested = np.flatnonzero(split.to_numpy() == "test")
    partner = split.to_numpy()[tested ^ 1]
    row = design.leakage.iloc[0]
    assert (
        row["shared_pixels"]
        == row["pixels_under_other_ids"]
        == row["shared_files"]
        == (partner != "test").sum()
        > 0
    )
    assert row["shared_persons"] == 0


def test_near_copies_that_were_seen_are_counted(invent, replace, study):
    tables = invent(300, images_per_person=1)
    images = tables.images.frame.assign(patient_id=[f"p{i}" for i in range(300)])
    asked = study(cohorts={"all": {}}, balance={"size": "all"}, split={"unit": "image"})
    names = images["image_id"].to_numpy()
    pairs = pd.DataFrame({"image_id": names[0::2], "other_id": names[1::2]})
    pairs.loc[len(pairs)] = ["not an image", names[0]]
    design = draw(asked, replace(tables, images), near_copies=pairs)
    split = design.manifest.frame.set_index("image_id")["split"].reindex(names).to_numpy()
    tested = np.flatnonzero(split == "test")
    row = design.leakage.iloc[0]
    assert row["shared_near_pixels"] == (split[tested ^ 1] != "test").sum() > 0
    assert pd.isna(row["shared_pixels"])


@pytest.mark.parametrize("seen_share", [0.8, 0.5])
def test_the_expected_leak_is_the_mean_of_simulated_splits(seen_share):
    rng = np.random.default_rng(0)
    persons = rng.integers(60, size=200)
    first, second = np.arange(0, 120), np.arange(80, 200)
    table = image_level_leakage(np.arange(200), [Drawn("a", first)], [Drawn("b", second)], persons, seen_share)
    shares = []
    for _ in range(4000):
        seen = rng.random(200) < seen_share
        tested = second[~seen[second]]
        known = np.unique(persons[first[seen[first]]])
        shares.append((np.isin(persons[tested], known).sum(), len(tested)))
    hits, total = np.sum(shares, axis=0)
    assert table["share_of_test_images_of_seen_persons"].iloc[1] == pytest.approx(hits / total, abs=0.01)


def test_the_leak_of_a_split_of_images_is_one_sided(tables, study):
    table = draw(study(), tables).image_level_leakage.set_index(["train_cohort", "test_cohort"])
    share = table["share_of_test_images_of_seen_persons"]
    assert share["", ""] > 0.5
    assert share["F", "F"] > 0.3
    assert share["M", "F"] == share["F", "M"] == 0.0
