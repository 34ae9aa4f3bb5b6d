"""Sizes, shares, mixes and ceilings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.cohort.balance import split_sizes
from subgroup_audit.cohort.priority import deal_out, largest_remainder, occurrence, priority
from subgroup_audit.errors import CohortError

PINNED = [
    8971277349207887858,
    1377647633419058527,
    8406556420305508307,
]  # SipHash-2-4; other numbers would draw other cohorts from old studies


def draw(study, tables):
    return design_cohorts(study, tables, describe=False)


@given(st.integers(0, 10_000), st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_whole_numbers_keep_the_total_and_miss_a_share_by_less_than_one(total, weights):
    shares = np.array(weights) / sum(weights)
    counts = largest_remainder(total, shares)
    assert counts.sum() == total
    assert (np.abs(counts - total * shares) < 1).all()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 6), st.randoms(use_true_random=False))
def test_what_is_dealt_out_keeps_the_sums_of_rows_and_columns(rows, n_columns, rng):
    cuts = sorted(rng.randint(0, sum(rows)) for _ in range(n_columns - 1))
    columns = np.diff([0, *cuts, sum(rows)])
    dealt = deal_out(np.array(rows), columns)
    assert (dealt >= 0).all()
    assert dealt.sum(axis=1).tolist() == rows
    assert dealt.sum(axis=0).tolist() == columns.tolist()


def test_counts_of_two_attributes_are_met_to_the_image(invent, study):
    counts = {"source_label": {"Opacity": 100, "Normal": 100, "Other": 100}, "sex": {"M": 172, "F": 128}}
    tables = invent(2000)
    frame = draw(study(cohorts={"c": {"counts": counts}}, balance={"over": []}), tables).manifest.frame
    label = tables.labels.frame.set_index("image_id")["finding"]
    assert frame["image_id"].map(label).value_counts().to_dict() == counts["source_label"]
    assert frame["sex"].value_counts().to_dict() == counts["sex"]
    assert frame["split"].value_counts().to_dict() == {"train": 210, "test": 60, "val": 30}


def test_counts_above_what_there_is_name_the_short_cell(invent, study):
    cohort = {"where": {"sex": "F"}, "counts": {"source_label": {"Opacity": 100, "Normal": 50}}}
    with pytest.raises(CohortError) as error:
        draw(study(cohorts={"c": cohort}, balance={"over": []}), invent(600))
    assert str(error.value).startswith("cohort 'c': asked for 150 images, but its ceiling is ")
    assert "cell source_label=Opacity has" in str(error.value)


@given(st.lists(st.integers(0, 5), max_size=60))
def test_occurrence_counts_equal_keys_before(keys):
    assert occurrence(np.array(keys, dtype="int64")).tolist() == [keys[:i].count(k) for i, k in enumerate(keys)]


def test_priorities_are_fixed_for_ever():
    ids = pd.Series(["a", "00001", "8f96ca8e"])
    assert priority(ids, purpose="draw", seed=0).tolist() == PINNED
    assert priority(ids[::-1], purpose="draw", seed=0).tolist() == PINNED[::-1]
    assert priority(ids, purpose="part", seed=0).tolist() != PINNED


def test_splits_of_a_divisible_size_are_whole_blocks():
    assert split_sizes(2152, np.array([0.7, 0.1, 0.2]), 2).tolist() == [1506, 216, 430]
    assert split_sizes(2151, np.array([0.7, 0.1, 0.2]), 2).tolist() == [1506, 215, 430]


def test_an_asked_size_is_kept_to_the_image(tables, study):
    frame = draw(study(balance={"size": 101}), tables).manifest.frame
    assert frame["cohort"].value_counts().to_dict() == {"F": 101, "M": 101}
    assert frame[frame["cohort"] == "F"]["split"].value_counts().to_dict() == {"train": 71, "test": 20, "val": 10}
    counts = frame.groupby(["cohort", "split", "y_true"]).size().unstack()
    assert (counts[1] - counts[0]).abs().max() <= 1


def test_a_size_above_the_ceiling_names_cohort_size_ceiling_cell_and_split(tables, study):
    with pytest.raises(CohortError) as error:
        draw(
            study(cohorts={"F": {"where": {"sex": "F"}, "size": 5000}, "M": {"sex": "M"}}, balance={"size": 4000}),
            tables,
        )
    ceiling = draw(study(balance={"size": "ceiling"}), tables).ceiling
    limits = ceiling[ceiling["is_limiting"]].set_index("cohort")
    lines = str(error.value).split("; ")
    assert len(lines) == 2
    for line, (cohort, size) in zip(lines, {"F": "5,000", "M": "4,000"}.items(), strict=True):
        limit = limits.loc[cohort]
        assert line.startswith(f"cohort '{cohort}': asked for {size} images, but its ceiling is ")
        assert f"cell {limit['cell']} has {limit['available']} images in split {limit['split']}, and " in line
        assert line.endswith(" would be needed")


def test_the_ceiling_in_the_message_can_be_had_and_one_more_cannot(tables, study):
    with pytest.raises(CohortError) as error:
        draw(study(cohorts={"F": {"sex": "F"}}, balance={"size": 5000}), tables)
    ceiling = int(str(error.value).split("ceiling is ")[1].split(":")[0])
    assert (draw(study(cohorts={"F": {"sex": "F"}}, balance={"size": ceiling}), tables)).manifest.frame.shape[
        0
    ] == ceiling
    with pytest.raises(CohortError, match=f"asked for {ceiling + 2} images, but its ceiling is {ceiling}"):
        draw(study(cohorts={"F": {"sex": "F"}}, balance={"size": ceiling + 2}), tables)


def test_ceiling_gives_each_cohort_its_own_size_and_equal_the_smallest(tables, study):
    cohorts = {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}}
    own = draw(study(cohorts=cohorts, balance={"size": "ceiling"}), tables).manifest.frame["cohort"].value_counts()
    equal = draw(study(cohorts=cohorts), tables)
    assert own["all"] > own["F"] != own["M"]
    assert set(equal.manifest.frame["cohort"].value_counts()) == {own.min()}
    smallest = min(("F", "M"), key=own.get)
    assert equal.notes[0].startswith(
        f"cohorts of equal size have {own.min()} images; cohort '{smallest}' sets it: cell label=1 "
    )


def test_a_mix_has_its_shares_exactly_at_constant_size(invent, study):
    mixes = {f"f{p}": {"mix": {"sex": {"F": p / 100, "M": 1 - p / 100}}} for p in (0, 25, 50, 75, 100)}
    design = draw(study(cohorts={**mixes, "F": {"sex": "F"}, "M": {"sex": "M"}}), invent(1500))
    frame = design.manifest.frame
    assert frame.groupby(["cohort", "split"]).size().unstack().nunique().eq(1).all()
    for p in (0, 25, 50, 75, 100):
        for _, part in frame[frame["cohort"] == f"f{p}"].groupby(["split", "y_true"]):
            assert (part["sex"] == "F").mean() == p / 100
    assert set(design.leakage["test_cohort"]) == {"F", "M"}


def test_women_of_a_smaller_mix_are_among_those_of_a_larger(invent, study):
    mixes = {f"f{p}": {"mix": {"sex": {"F": p / 100, "M": 1 - p / 100}}} for p in (25, 75)}
    frame = draw(study(cohorts={**mixes, "F": {"sex": "F"}}), invent(1500)).manifest.frame
    women = frame[frame["sex"] == "F"].groupby("cohort")["image_id"].agg(set)
    assert women["f25"] < women["f75"] < women["F"]


def test_shares_of_a_cohort_override_those_of_the_study(invent, study):
    asked = study(
        cohorts={"few": {"where": {"sex": "F"}, "shares": {"label": {1: 0.25, 0: 0.75}}}, "half": {"sex": "F"}},
        balance={"size": 80, "shares": {"label": {1: 0.5, 0: 0.5}}},
    )
    frame = draw(asked, invent(900)).manifest.frame
    assert frame.groupby("cohort")["y_true"].sum().to_dict() == {"few": 20, "half": 40}


def test_shares_of_the_study_are_taken_among_the_values_of_the_cohort(invent, study):
    asked = study(
        cohorts={"all": {}, "F": {"sex": "F"}}, balance={"size": 100, "shares": {"sex": {"F": 0.4, "M": 0.6}}}
    )
    frame = draw(asked, invent(900)).manifest.frame
    assert frame.query("cohort == 'all'")["sex"].value_counts().to_dict() == {"M": 60, "F": 40}
    assert frame.query("cohort == 'F'")["sex"].value_counts().to_dict() == {"F": 100}


def test_images_that_fit_no_cell_take_no_place_in_another(invent, study):
    shares = {"label": {1: 0.5, 0: 0.5}, "race": {"Black": 1.0}}
    design = draw(study(balance={"size": 400, "shares": shares}), invent(3000))
    counts = design.manifest.frame.groupby(["cohort", "split", "y_true"]).size().unstack("split")
    assert counts.loc[:, ["train", "val", "test"]].to_numpy().tolist() == [[140, 20, 40]] * 4
    assert "fits no balance cell" in set(design.flow["reason"])


def test_balance_over_age_bands_and_any_attribute(invent, study):
    tables = invent(3000, images_per_person=1)
    asked = study(cohorts={"all": {}}, age_bands=[40, 65], balance={"over": ["label", "age_band", "race"]})
    frame = draw(asked, tables).manifest.frame
    images = tables.images.frame.set_index("image_id")
    cells = frame.assign(race=images.loc[frame["image_id"], "race"].to_numpy()).groupby(
        ["split", "y_true", "age_band", "race"]
    )
    assert set(frame["age_band"]) == {"<40", "40-64", "65+"}
    assert (cells.size().groupby("split").nunique() == 1).all()


def test_negatives_can_be_composed_by_the_label_of_the_source(invent, study):
    shares = {"source_label": {"Opacity": 0.5, "Normal": 0.25, "Other": 0.25}}
    tables = invent(900)
    frame = draw(
        study(cohorts={"all": {}}, balance={"over": [], "shares": shares, "size": 200}), tables
    ).manifest.frame
    label = tables.labels.frame.set_index("image_id")["finding"]
    assert label[frame["image_id"]].value_counts().to_dict() == {"Opacity": 100, "Normal": 50, "Other": 50}


def test_natural_test_sets_take_every_image_and_do_not_limit_the_size(tables, study):
    design = draw(study(balance={"test": "natural"}), tables)
    flow = design.flow.query("cohort == 'F' and reason == ''").set_index("step")["n_images"]
    women = tables.images.frame.query("sex == 'F'").set_index("image_id")
    frame = design.manifest.frame.query("cohort == 'F'")
    tested = set(frame.query("split == 'test'")["patient_id"])
    assert flow["test"] == women["patient_id"].isin(tested).sum()
    train = frame.query("split == 'train'")
    assert train["y_true"].mean() == 0.5
    test_rows = design.ceiling.query("split == 'test'")
    assert test_rows["ceiling"].isna().all()
    assert not test_rows["is_limiting"].any()


def test_all_takes_everything_but_draws_a_mix(tables, study):
    cohorts = {"F": {"sex": "F"}, "M": {"sex": "M"}, "half": {"mix": {"sex": {"F": 0.5, "M": 0.5}}}}
    frame = draw(study(cohorts=cohorts, balance={"size": "all"}), tables).manifest.frame
    assert (frame["cohort"] == "F").sum() == (tables.images.frame["sex"] == "F").sum()
    half = frame[frame["cohort"] == "half"]
    assert half["y_true"].mean() == 0.5
    assert (half["sex"] == "F").mean() == 0.5


def test_the_cap_on_images_of_one_person_keeps_the_first_by_priority(tables, study):
    asked = {"size": "all", "max_images_per_person": 1}
    frame = draw(study(cohorts={"all": {}}, balance=asked), tables).manifest.frame
    assert frame["patient_id"].is_unique
    images = tables.images.frame.assign(rank=lambda f: priority(f["image_id"], purpose="draw", seed=0))
    first = images.sort_values("rank").drop_duplicates("patient_id")["image_id"]
    assert set(frame["image_id"]) == set(first)


def test_values_of_shares_that_no_image_has_are_named(tables, study):
    cohorts = {"mix": {"mix": {"sex": {"F": 0.5, "W": 0.5}}}, "F": {"sex": "F"}}
    asked = study(cohorts=cohorts, balance={"shares": {"label": {"1": 0.5, "2": 0.5}}})
    with pytest.raises(CohortError) as error:
        draw(asked, tables)
    assert str(error.value).splitlines() == [
        "balance.shares.label: no image has the value '2'; nearest: 0, 1",
        "cohorts.mix.mix.sex: no image has the value 'W'; nearest: F, M",
    ]


def test_a_cell_without_images_is_named(invent, replace, study):
    tables = invent(400)
    images = tables.images.frame.copy()
    opaque = images["image_id"].isin(tables.labels.frame.query("finding == 'Opacity'")["image_id"])
    images.loc[opaque & (images["sex"] == "F"), "view"] = "AP"
    asked = study(balance={"over": ["label", "view"]})
    with pytest.raises(CohortError) as error:
        draw(asked, replace(tables, images))
    assert str(error.value) == "cohort 'F' cannot be balanced: cell label=1, view=PA has 0 images in split train"


def test_shares_that_a_cohort_cannot_have_are_named(tables, study):
    asked = study(cohorts={"F": {"where": {"sex": "F"}, "shares": {"sex": {"M": 1.0}}}, "M": {"sex": "M"}})
    with pytest.raises(CohortError) as error:
        draw(asked, tables)
    assert str(error.value) == "cohort 'F' cannot be balanced: cell label=0, sex=M has 0 images in split train"


def test_the_ceiling_frame_says_what_balancing_cost(tables, study):
    design = draw(study(), tables)
    ceiling, frame = design.ceiling, design.manifest.frame
    assert list(ceiling.columns) == ["cohort", "split", "cell", "available", "used", "ceiling", "is_limiting"]
    assert (ceiling["used"] <= ceiling["available"]).all()
    assert ceiling.groupby("cohort")["is_limiting"].sum().to_dict() == {"F": 1, "M": 1}
    assert ceiling.groupby("cohort")["used"].sum().to_dict() == frame["cohort"].value_counts().to_dict()
    women = (tables.images.frame["sex"] == "F").sum()
    assert ceiling.query("cohort == 'F'")["available"].sum() == women
    used = (frame["cohort"] == "F").sum()
    assert f"cohort 'F' uses {used} of {women} matching images ({100 * used / women:.0f} %)" in design.notes
