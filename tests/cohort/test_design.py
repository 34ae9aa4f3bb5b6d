"""What must hold of any design, whatever the data: persons apart, balance exact, draws nested, sums right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.errors import CohortError
from subgroup_audit.schema import SPLITS, ExclusionTable, ImageTable, LabelTable, SourceTables

BALANCED = {"over": ["label", "sex", "view"]}
FIVE = {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}, "AP": {"view": "AP"}, "PA": {"view": "PA"}}
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def draw(study, tables, **further):
    return design_cohorts(study, tables, describe=False, **further)


def shuffled(tables, seed):
    rng = np.random.default_rng(seed)
    images = tables.images.frame
    labels = tables.labels.frame
    return SourceTables(
        ImageTable(images.iloc[rng.permutation(len(images))]),
        LabelTable(labels.iloc[rng.permutation(len(labels))]),
        tables.exclusions,
    )


@QUICK
@given(seed=st.integers(0, 1000), per_person=st.integers(1, 8), split_seed=st.integers(0, 5))
def test_no_person_is_in_two_splits(seed, per_person, split_seed, invent, study):
    tables = invent(500, seed=seed, images_per_person=per_person)
    frame = draw(study(cohorts=FIVE, balance={"size": "all"}, split={"seed": split_seed}), tables).manifest.frame
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    assert set(frame["split"]) == set(SPLITS)


@QUICK
@given(seed=st.integers(0, 1000), draw_seed=st.integers(0, 5))
def test_cells_are_equal_to_the_image_and_cohorts_of_one_size(seed, draw_seed, invent, study):
    tables = invent(1500, seed=seed)
    frame = draw(study(cohorts=FIVE, balance={**BALANCED, "seed": draw_seed}), tables).manifest.frame
    assert frame.groupby(["cohort", "split"]).size().unstack().nunique().eq(1).all()
    cells = frame.groupby(["cohort", "split", "sex", "view", "y_true"]).size()
    assert (cells.groupby(["cohort", "split"]).nunique() == 1).all()
    assert len(cells) == 3 * (8 + 4 * 4)  # all has eight cells, each of the others four


@QUICK
@given(seed=st.integers(0, 1000), order=st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(seed, order, invent, study):
    tables = invent(500, seed=seed)
    asked = study(cohorts=FIVE, balance={**BALANCED, "max_images_per_person": 4})
    one, other = draw(asked, tables), draw(asked, shuffled(tables, order))
    for name in ("flow", "ceiling", "counts", "leakage", "image_level_leakage"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_frame_equal(one.manifest.frame, other.manifest.frame)
    pd.testing.assert_frame_equal(one.exclusions.frame, other.exclusions.frame)


def test_other_seeds_draw_and_split_otherwise(tables, study):
    first = draw(study(), tables).manifest.frame
    drawn = draw(study(balance={"seed": 1}), tables).manifest.frame
    split = draw(study(split={"seed": 1}), tables).manifest.frame
    assert set(first["image_id"]) != set(drawn["image_id"])
    parts = first.set_index(["cohort", "image_id"])["split"].to_frame()
    both = parts.join(split.set_index(["cohort", "image_id"])["split"], rsuffix="_other", how="inner")
    assert (both["split"] != both["split_other"]).any()


def test_smaller_cohorts_lie_within_larger_ones(tables, study):
    small = draw(study(balance={"size": 40}), tables).manifest.frame
    large = draw(study(balance={"size": 100}), tables).manifest.frame
    keys = ["cohort", "image_id", "split"]
    assert set(map(tuple, small[keys].to_numpy())) < set(map(tuple, large[keys].to_numpy()))


def test_cohorts_that_overlap_share_their_test_persons(tables, study):
    cohorts = {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}}
    frame = draw(study(cohorts=cohorts, balance=BALANCED), tables).manifest.frame
    test = frame[frame["split"] == "test"].groupby("cohort")["image_id"].agg(set)
    assert test["all"] <= test["F"] | test["M"]


def test_the_flow_adds_up_to_the_manifest(invent, study):
    tables = invent(800)
    images = tables.images.frame.copy()
    images.loc[:9, "age_years"] = 150.0
    images.loc[10:14, "view"] = "Lateral"
    images.loc[15:17, "sex"] = "Unknown"
    labels = tables.labels.frame.iloc[20:]
    unread = pd.DataFrame({"image_id": ["x", "y"], "step": "read", "reason": ["no header", "no header"]})
    bad = pd.DataFrame({"image_id": ["0000030"], "step": "pixels", "reason": "truncated"})
    tables = SourceTables(ImageTable(images), LabelTable(labels), ExclusionTable(unread))
    design = draw(study(balance={"max_images_per_person": 2}), tables, unreadable=ExclusionTable(bad))
    shared = design.flow[design.flow["cohort"] == ""]
    gone = shared[shared["reason"] != ""]
    assert [tuple(row) for row in gone[["step", "reason", "n_images"]].to_numpy()] == [
        ("read", "no header", 2),
        ("eligibility", "sex is missing", 3),
        ("eligibility", "view is not AP or PA", 5),
        ("eligibility", "age above 120", 10),
        ("labels", "no label among those of the study", 2),
        ("pixels", "truncated", 1),
    ]
    assert shared["left_images"].iloc[0] - gone["n_images"].sum() == shared["left_images"].iloc[-1] == 802 - 23
    assert shared[shared["step"] == "found"]["n_patients"].isna().all()
    for cohort, rows in design.flow[design.flow["cohort"] != ""].groupby("cohort"):
        state = rows[rows["reason"] == ""].set_index("step")["n_images"]
        left_out = rows.loc[rows["reason"] != "", "n_images"].sum()
        in_manifest = (design.manifest.frame["cohort"] == cohort).sum()
        assert state["matched"] - left_out == state["balanced"] == in_manifest == state[list(SPLITS)].sum()
    assert "age 150 is above 120" in set(design.exclusions.frame["reason"])
    assert len(design.exclusions) == design.flow.loc[design.flow["reason"] != "", "n_images"].sum()


def test_every_image_of_a_cohort_is_in_or_out(tables, study):
    design = draw(study(balance={"max_images_per_person": 1}), tables)
    in_f = design.manifest.frame.query("cohort == 'F'")
    out_f = design.exclusions.frame.query("step == 'balance:F'")
    women = tables.images.frame.query("sex == 'F'")
    assert sorted([*in_f["image_id"], *out_f["image_id"]]) == sorted(women["image_id"])
    assert in_f["patient_id"].is_unique


def test_several_findings_give_a_row_for_each_known_one(study):
    images, labels = _two_findings()
    tables = SourceTables(ImageTable(images), LabelTable(labels), ExclusionTable.empty())
    findings = {"a": {"positive": ["A"], "negative": ["No A"]}, "b": {"positive": ["B"], "negative": ["No B"]}}
    design = draw(study(findings=findings, cohorts={"all": {}}, balance={"size": "all"}), tables)
    per_image = design.manifest.frame.groupby("image_id")["finding"].agg(list)
    assert per_image["000"] == ["a", "b"]
    assert per_image["001"] == ["a"]
    assert (
        "balance over label is over the first finding, a; images where it is unknown fit no cell" in design.notes
    )


def test_a_cohort_where_the_first_finding_is_never_known_cannot_be_balanced_over_it(study):
    images, labels = _two_findings()
    images["view"] = ["PA" if i % 2 else "AP" for i in range(80)]
    labels = labels[
        labels["finding"].isin(["B", "No B"]) | labels["image_id"].isin(images.query("view == 'PA'")["image_id"])
    ]
    tables = SourceTables(ImageTable(images), LabelTable(labels), ExclusionTable.empty())
    findings = {"a": {"positive": ["A"], "negative": ["No A"]}, "b": {"positive": ["B"], "negative": ["No B"]}}
    with pytest.raises(CohortError) as error:
        draw(study(findings=findings, cohorts={"AP": {"view": "AP"}}), tables)
    assert str(error.value) == "cohort 'AP' cannot be balanced: cell label=known has 0 images in split train"


def _two_findings():
    ids = [f"{i:03d}" for i in range(80)]
    images = pd.DataFrame(
        {
            "image_id": ids, "patient_id": ids, "exam_id": np.nan, "path": ids, "sex": "F", "view": "PA",
            "age_years": 50.0, "photometric": "", "source": "t",
        }
    )  # fmt: skip
    a = [("A" if i % 4 < 2 else "No A") for i in range(80)]
    first = pd.DataFrame({"image_id": ids, "finding": a, "label": 1, "label_source": "t"})
    b = [("B" if i % 8 < 4 else "No B") for i in range(0, 80, 2)]
    second = pd.DataFrame({"image_id": ids[::2], "finding": b, "label": 1, "label_source": "t"})
    return images, pd.concat([first, second])


def test_classes_give_a_row_for_each_class_and_one_is_true(tables, study):
    classes = {"opacity": ["Opacity"], "normal": ["Normal"], "other": ["Other"]}
    frame = draw(study(findings={}, classes=classes), tables).manifest.frame
    truth = frame.pivot_table(index=["cohort", "split", "image_id"], columns="finding", values="y_true")
    assert list(truth.columns) == ["normal", "opacity", "other"]
    assert (truth.sum(axis=1) == 1).all()
    counts = truth.groupby(["cohort", "split"]).sum()
    assert (counts.nunique(axis=1) == 1).all()


def test_groups_that_are_missing_are_named_unknown(invent, replace, study):
    tables = invent(300)
    images = tables.images.frame.copy()
    images.loc[::10, "sex"] = "Unknown"
    images.loc[::7, "race"] = np.nan
    asked = study(
        cohorts={"all": {}, "black": {"race": "Black"}},
        eligible={"sex": "any", "race": {"missing": "keep"}},
        balance={"size": "all"},
    )
    frame = draw(asked, replace(tables, images)).manifest.frame
    assert set(frame["race"]) == {"Black", "White", "Unknown"}
    assert "Unknown" in set(frame["sex"])


def test_an_attribute_that_the_source_does_not_know_is_not_required(invent, replace, study):
    images = invent(300).images.frame.assign(sex="Unknown", age_years=np.nan)
    tables = replace(invent(300), images)
    design = draw(study(cohorts={"AP": {"view": "AP"}, "PA": {"view": "PA"}}), tables)
    assert design.notes[:2] == (
        "the source states sex for no image; no image was excluded for that",
        "the source states age for no image; no image was excluded for that",
    )
    with pytest.raises(CohortError, match=r"^no image is left of 300 \(300: sex is missing\)$"):
        draw(study(), tables)


def test_identical_pixels_under_two_persons_stay_in_one_split(invent, study):
    tables = invent(400)
    images = tables.images.frame
    digests = pd.DataFrame({"image_id": images["image_id"], "pixel_digest": images["image_id"]})
    pairs = images.groupby("patient_id")["image_id"].first().to_numpy()
    for a, b in zip(pairs[:30], pairs[30:60], strict=True):
        digests.loc[digests["image_id"] == b, "pixel_digest"] = a
    asked = study(cohorts={"all": {}}, balance={"size": "all"})
    united = draw(asked, tables, pixel_digests=digests)
    split = united.manifest.frame.set_index("image_id")["split"]
    assert (split[pairs[:30]].to_numpy() == split[pairs[30:60]].to_numpy()).all()
    assert united.leakage["shared_pixels"].tolist() == [0]
    note = "30 persons have images of identical pixels with another and were split together with them"
    assert note in united.notes


def test_all_problems_are_listed_at_once(tables, study):
    asked = study(
        findings={"opacity": {"positive": ["Opacty"], "negative": ["Nothing like it"]}},
        cohorts={"F": {"sx": "F"}, "young": {"age_yers": 3}},
        eligible={"rce": {"allow": ["Black"]}},
        balance={"over": ["label", "vew"]},
    )
    with pytest.raises(CohortError) as error:
        draw(asked, tables)
    assert str(error.value).splitlines() == [
        "eligible: the data have no attribute 'rce'; nearest: race, source",
        "cohorts.F.where: the data have no attribute 'sx'; nearest: sex",
        "cohorts.young.where: the data have no attribute 'age_yers'; nearest: age_years",
        "balance.over: the data have no attribute 'vew'; nearest: view",
        "findings.opacity.positive: no image carries the label 'Opacty'; nearest: Opacity",
        "findings.opacity.negative: no image carries the label 'Nothing like it'; "
        "labels there: Normal, Opacity, Other",
    ]


def test_empty_cohorts_and_cohorts_of_one_class_are_named_with_numbers(invent, replace, study):
    tables = invent(200, seed=3)
    labels = tables.labels.frame.copy()
    women = labels["image_id"].isin(tables.images.frame.query("sex == 'F'")["image_id"])
    labels.loc[women, "finding"] = "Normal"
    n_women = int(women.sum())
    asked = study(cohorts={"F": {"sex": "F"}, "side": {"view": "Lateral"}})
    views = tables.images.frame["view"].value_counts()
    with pytest.raises(CohortError) as error:
        draw(asked, replace(tables, tables.images.frame, labels))
    assert str(error.value).splitlines() == [
        f"cohort 'F': finding 'opacity' has 0 positive and {n_women} negative images, needs both",
        "cohort 'side' is empty: of 200 eligible images none has view = Lateral "
        f"(there: AP {views['AP']}, PA {views['PA']})",
    ]


def test_a_split_of_one_class_is_refused(study):
    images, labels = _two_findings()
    labels = labels.drop_duplicates("image_id").copy()
    labels["finding"] = np.where(labels["image_id"] < "002", "A", "No A")
    tables = SourceTables(ImageTable(images), LabelTable(labels), ExclusionTable.empty())
    asked = study(findings={"a": {"positive": ["A"]}}, cohorts={"all": {}}, balance={"size": "all"})
    with pytest.raises(CohortError, match=r"cohort 'all', split .*: finding 'a' has 0 positive and .* needs both"):
        draw(asked, tables)


def test_a_cohort_that_is_not_used_is_not_drawn(tables, study):
    cohorts = {"F": {"sex": "F"}, "M": {"sex": "M"}, "tiny": {"where": {"sex": "F", "age_years": 50}}}
    design = draw(study(cohorts=cohorts, train_on=["F"], test_on=["F", "M"]), tables)
    assert set(design.manifest.frame["cohort"]) == {"F", "M"}
    assert "cohort 'tiny' is neither trained nor tested on; not drawn" in design.notes
    assert design.leakage[["train_cohort", "test_cohort"]].to_numpy().tolist() == [["F", "F"], ["F", "M"]]
