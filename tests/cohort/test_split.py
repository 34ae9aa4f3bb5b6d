"""The one split of persons: fractions, strata, official splits, images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.errors import CohortError

EVERYTHING = {"cohorts": {"all": {}}, "balance": {"size": "all"}}


def draw(study, tables):
    return design_cohorts(study, tables, describe=False)


@pytest.mark.parametrize("per_person", [1, 3, 12])
def test_every_cell_is_divided_nearly_by_the_fractions(per_person, invent, study):
    asked = study(cohorts={"F": {"sex": "F"}, "M": {"sex": "M"}, "AP": {"view": "AP"}}, balance={"size": "all"})
    frame = draw(asked, invent(6000, images_per_person=per_person)).manifest.frame.drop_duplicates("image_id")
    share = frame.groupby(["y_true", "sex", "view"])["split"].value_counts(normalize=True).unstack()
    tolerance = 0.002 if per_person == 1 else 0.03
    assert (share["train"] - 0.7).abs().max() < tolerance
    assert (share["test"] - 0.2).abs().max() < tolerance


def test_many_small_cells_do_not_all_favour_one_split(invent, replace, study):
    tables = invent(600, images_per_person=1)
    images = tables.images.frame.assign(patient_id=[f"p{i}" for i in range(600)])
    images["site"] = [str(i // 3) for i in range(600)]  # two hundred sites of three images
    asked = study(cohorts={"all": {}, "one": {"site": [str(i) for i in range(150)]}}, balance={"size": "all"})
    frame = draw(asked, replace(tables, images)).manifest.frame.query("cohort == 'all'")
    assert frame["split"].value_counts(normalize=True).round(2).to_dict() == {
        "train": 0.7,
        "test": 0.2,
        "val": 0.1,
    }


def test_an_official_split_is_followed_and_a_missing_val_cut_from_train(invent, replace, study):
    tables = invent(800)
    images = tables.images.frame.copy()
    number = images["patient_id"].str[1:].astype(int)
    images["fold"] = pd.Series(np.where(number % 4 == 0, "Test", "training"), dtype="str")
    images.loc[number == 1, "fold"] = np.nan
    frame = draw(study(**EVERYTHING, split={"official": "fold"}), replace(tables, images))
    split = frame.manifest.frame.set_index("image_id")["split"]
    fold = images.set_index("image_id")["fold"][split.index]
    assert (split[fold == "Test"] == "test").all()
    assert set(split[fold == "training"]) == {"train", "val"}
    assert (split[fold == "training"] == "val").mean() == pytest.approx(0.1 / 0.8, abs=0.02)
    assert (frame.manifest.frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert (
        frame.flow.query("step == 'split' and reason == 'no official split'")["n_images"].item()
        == (number == 1).sum()
    )


def test_an_official_split_that_divides_persons_must_be_asked_for_by_name(invent, replace, study):
    tables = invent(300)
    fold = pd.Series(
        np.where(np.arange(300) % 3 == 0, "test", np.where(np.arange(300) % 3 == 1, "val", "train")), dtype="str"
    )
    tables = replace(tables, tables.images.frame.assign(fold=fold))
    divided = int((tables.images.frame.groupby("patient_id")["fold"].nunique() > 1).sum())
    with pytest.raises(CohortError) as error:
        draw(study(**EVERYTHING, split={"official": "fold"}), tables)
    assert str(error.value) == (
        f"split.official: 'fold' puts {divided} persons in more than one split; leave it out to split by person, "
        "or say `unit: image` to follow it and have the report say that persons are shared"
    )
    design = draw(study(**EVERYTHING, split={"official": "fold", "unit": "image"}), tables)
    split = design.manifest.frame.set_index("image_id")["split"]
    assert (split == tables.images.frame.set_index("image_id")["fold"][split.index]).all()
    assert design.leakage["shared_persons"].item() > 0


def test_other_words_and_missing_parts_of_an_official_split_are_named(invent, replace, study):
    tables = invent(300)
    with pytest.raises(CohortError) as error:
        draw(study(**EVERYTHING, split={"official": "race"}), tables)
    assert str(error.value) == "split.official: 'race' must hold train, val or test; it has Black, White"
    frame = tables.images.frame.assign(fold="val")
    with pytest.raises(CohortError) as error:
        draw(study(**EVERYTHING, split={"official": "fold"}), replace(tables, frame))
    assert str(error.value) == (
        "split.official: 'fold' puts no eligible image in train; "
        "split.official: 'fold' puts no eligible image in test"
    )


def test_a_split_of_images_is_marked_everywhere_and_leaks(tables, study):
    design = draw(study(split={"unit": "image"}), tables)
    assert set(design.leakage["split_unit"]) == {"image-level split (persons shared)"}
    note = "image-level split (persons shared): test images may show persons who were trained on"
    assert any(line.startswith(note) for line in design.notes)
    leaks = design.leakage.set_index(["train_cohort", "test_cohort"])["share_of_test_images_of_seen_persons"]
    assert leaks["F", "F"] > 0.3
    assert leaks["F", "M"] == 0.0
