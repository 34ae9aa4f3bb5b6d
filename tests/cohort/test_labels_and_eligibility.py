"""Rules of eligibility and labels: what leaves, and the one reason that it carries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.cohort.eligibility import DEFAULT_RULES
from subgroup_audit.errors import CohortError
from subgroup_audit.schema import ExclusionTable, ImageTable, LabelTable, SourceTables

EVERYTHING = {"cohorts": {"all": {}}, "balance": {"size": "all"}}


def draw(study, tables):
    return design_cohorts(study, tables, describe=False)


def reasons(design):
    return design.exclusions.frame.set_index("image_id")["reason"]


def test_the_first_rule_that_fails_is_the_reason(invent, replace, study):
    tables = invent(300)
    images = tables.images.frame.copy()
    images.loc[0, ["sex", "view", "age_years"]] = ["Unknown", "Lateral", 151.0]
    images.loc[1, ["view", "age_years"]] = ["Lateral", 151.0]
    images.loc[2, "age_years"] = 151.0
    images.loc[3, "age_years"] = -1.0
    images.loc[4, "age_years"] = np.nan
    images.loc[5, "view"] = "Unknown"
    found = reasons(draw(study(**EVERYTHING), replace(tables, images)))
    assert found.to_dict() == {
        "0000000": "sex is missing",
        "0000001": "view is Lateral, not AP or PA",
        "0000002": "age 151 is above 120",
        "0000003": "age -1 is below 0",
        "0000004": "age is missing",
        "0000005": "view is missing",
    }


def test_persons_of_two_sexes_leave_with_all_their_images(invent, replace, study):
    tables = invent(300)
    images = tables.images.frame.copy()
    images.loc[0:2, "patient_id"] = "twofold"
    images.loc[0:2, "sex"] = ["F", "M", "F"]
    images.loc[3:4, "patient_id"] = "half unknown"
    images.loc[3:4, "sex"] = ["F", "Unknown"]
    lenient = study(**EVERYTHING, eligible={"sex": "any"})
    found = reasons(draw(lenient, replace(tables, images)))
    assert found.to_dict() == dict.fromkeys(["0000000", "0000001", "0000002"], "the person has two sexes")


def test_a_rule_replaces_the_default_and_any_lifts_it(invent, replace, study):
    images = invent(300).images.frame.copy()
    images.loc[0, "sex"] = "Unknown"
    images.loc[1, "view"] = "Lateral"
    images.loc[2, "age_years"] = 151.0
    lifted = study(**EVERYTHING, eligible={"sex": "any", "view": "any", "age_years": "any"})
    assert len(draw(lifted, replace(invent(300), images)).exclusions) == 0
    replaced = study(**EVERYTHING, eligible={"age_years": {"min": 18}, "race": {"allow": ["Black"]}})
    found = reasons(draw(replaced, replace(invent(300), images)))
    assert "0000002" not in found.index or found["0000002"] == "race is White, not Black"
    assert {"sex is missing", "view is Lateral, not AP or PA", "race is White, not Black"} <= set(found)
    assert found.str.fullmatch(r"age \d+ is below 18").any()


def test_the_defaults_are_those_of_the_documentation():
    assert DEFAULT_RULES["sex"].allow == ("F", "M")
    assert DEFAULT_RULES["view"].allow == ("AP", "PA")
    assert (DEFAULT_RULES["age_years"].min, DEFAULT_RULES["age_years"].max) == (0, 120)


def test_numbers_are_needed_for_a_smallest_value(tables, study):
    with pytest.raises(CohortError) as error:
        draw(study(**EVERYTHING, eligible={"race": {"min": 3}}), tables)
    assert str(error.value) in {
        f"eligible.race: min and max need numbers; the attribute holds text such as '{race}'"
        for race in ("Black", "White")
    }


def labelled(*rows):
    """Tables of sixty plain images and these first ones: lists of (label, value)."""
    plain = [[("Opacity", 1)] if i % 2 else [("Normal", 1)] for i in range(60)]
    everyone = [*rows, *plain]
    ids = [f"{i:03d}" for i in range(len(everyone))]
    images = pd.DataFrame(
        {
            "image_id": ids, "patient_id": ids, "exam_id": np.nan, "path": ids, "sex": "F", "view": "PA",
            "age_years": 50.0, "photometric": "", "source": "t",
        }
    )  # fmt: skip
    stated = [(i, name, value, "t") for i, row in zip(ids, everyone, strict=True) for name, value in row]
    labels = pd.DataFrame(stated, columns=["image_id", "finding", "label", "label_source"])
    return SourceTables(ImageTable(images), LabelTable(labels), ExclusionTable.empty())


def truth(design):
    return design.manifest.frame.set_index("image_id")["y_true"]


@pytest.mark.parametrize(("uncertain", "expected"), [("exclude", None), ("positive", 1), ("negative", 0)])
def test_an_uncertain_label_counts_as_the_study_says(uncertain, expected, study):
    tables = labelled([("Opacity", -1)], [("Opacity", -1), ("Normal", 1)], [("Opacity", 1), ("Normal", 1)])
    finding = {"positive": ["Opacity"], "negative": ["Normal"], "uncertain": uncertain}
    design = draw(study(**EVERYTHING, findings={"opacity": finding}), tables)
    y = truth(design)
    assert y["002"] == 1  # a positive label outweighs a negative one
    if expected is None:
        assert reasons(design)[["000", "001"]].tolist() == ["label is uncertain"] * 2
    else:
        assert y[["000", "001"]].tolist() == [expected, expected]


def test_rest_is_every_other_labelled_image(study):
    tables = labelled([("Mass", 1)], [], [("Mass", 0)])
    design = draw(study(**EVERYTHING, findings={"opacity": {"positive": ["Opacity"]}}), tables)
    assert truth(design)[["000", "002"]].tolist() == [0, 0]
    assert reasons(design)["001"] == "no label among those of the study"
    strict = {"opacity": {"positive": ["Opacity"], "negative": ["Normal"]}}
    left = reasons(draw(study(**EVERYTHING, findings=strict), tables))
    assert left[["000", "001", "002"]].tolist() == ["no label among those of the study"] * 3


def test_an_image_of_two_classes_or_of_none_leaves(study):
    tables = labelled([("Opacity", 1), ("Normal", 1)], [("Mass", 1)], [("Normal", -1)])
    classes = {"opaque": ["Opacity"], "clear": ["Normal"]}
    design = draw(study(**EVERYTHING, findings={}, classes=classes), tables)
    assert reasons(design).to_dict() == {
        "000": "labels of two classes: opaque, clear",
        "001": "no label among those of the study",
        "002": "label is uncertain",
    }
    assert design.flow.query("reason == 'labels of two classes'")["n_images"].item() == 1


def test_what_the_source_left_out_stays_out(invent, study):
    tables = invent(200)
    left_out = pd.DataFrame(
        {"image_id": ["0000000", "ghost"], "step": "read", "reason": ["broken header", "no file"]}
    )
    design = draw(study(**EVERYTHING), SourceTables(tables.images, tables.labels, ExclusionTable(left_out)))
    assert reasons(design).to_dict() == {"ghost": "no file", "0000000": "broken header"}
    assert design.flow["left_images"].iloc[0] == 201
    shared = design.flow[design.flow["cohort"] == ""]
    assert shared.query("reason != ''")["n_images"].sum() == 2
    assert shared["left_images"].iloc[-1] == 199


def test_many_different_reasons_are_summed_up_in_the_flow_and_kept_in_the_table(invent, study):
    tables = invent(200)
    left_out = pd.DataFrame(
        {
            "image_id": [f"x{i}" for i in range(30)],
            "step": "read",
            "reason": [f"bad tag {i:02d}" for i in range(30)],
        }
    )
    design = draw(study(**EVERYTHING), SourceTables(tables.images, tables.labels, ExclusionTable(left_out)))
    read = design.flow.query("step == 'read' and reason != ''")
    assert read["reason"].iloc[-1] == "other reasons (20 different)"
    assert read["n_images"].sum() == 30
    assert len(design.exclusions) == 30
