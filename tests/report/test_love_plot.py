"""The love plot: compared pairs of cohorts, the limit, and what was chosen to differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.love_plot import MAX_PAIRS, compared_pairs, love_plot
from subgroup_audit.study import Study


def test_pairs_are_those_that_differ_in_one_attribute(contents: RunContents) -> None:
    found = love_plot(contents.differences, contents.study)
    assert found is not None
    assert [(pair.cohort, pair.other) for pair in found.panels[0].pairs] == [
        ("F_PA", "M_PA"),
        ("F_PA", "F_AP"),
        ("M_PA", "M_AP"),
        ("F_AP", "M_AP"),
    ]
    assert [panel.split for panel in found.panels] == ["all", "train", "val", "test"]


def test_all_pairs_are_shown_where_none_is_compared(contents: RunContents) -> None:
    plain = Study.model_validate(
        {**contents.study.model_dump(mode="json"), "cohorts": {"a": {}, "b": {"sex": "F", "view": "PA"}},
         "train_on": None, "test_on": None, "reference": []}
    )  # fmt: skip
    assert compared_pairs(plain, ["a"], ["b"]) == [("a", "b")]


def test_what_the_cohorts_were_chosen_by_has_no_mark(contents: RunContents) -> None:
    found = love_plot(contents.differences, contents.study)
    assert found is not None
    sexes, views = (found.panels[0].pairs[place] for place in (0, 1))
    assert {row.variable: row.note for row in sexes.rows}["sex"] == "chosen to differ"
    assert {row.variable: row.note for row in views.rows}["view"] == "chosen to differ"
    # here both are of one sex, so that there is nothing to measure by
    assert {row.variable: row.note for row in views.rows}["sex"] == "not estimable"


def test_an_imbalance_lies_beyond_the_limit_and_is_marked(contents: RunContents) -> None:
    found = love_plot(contents.differences, contents.study)
    assert found is not None
    rows = {row.variable: row for row in found.panels[0].pairs[0].rows}
    assert rows["view"].is_apart
    assert rows["view"].at is not None
    assert rows["view"].at > found.limit_at
    assert not rows["Lung opacity"].is_apart
    assert rows["Lung opacity"].at == 0.0


def test_a_huge_difference_is_cut_and_squeezes_nobody(contents: RunContents) -> None:
    frame = contents.differences
    assert frame is not None
    wide = frame.assign(smd=np.where(frame["variable"] == "view", 4.0, frame["smd"]))
    found = love_plot(wide, contents.study)
    assert found is not None
    assert found.axis.high == pytest.approx(1.0)
    assert next(row for row in found.panels[0].pairs[0].rows if row.variable == "view").is_cut


def test_many_cohorts_leave_pairs_to_the_table(contents: RunContents) -> None:
    bands = {f"band {i}": {"age_band": f"{i}0-{i}9"} for i in range(7)}
    spec = {**contents.study.model_dump(mode="json"), "cohorts": bands, "age_bands": [10, 20], "train_on": None,
            "test_on": None, "reference": []}  # fmt: skip
    study = Study.model_construct(**{**vars(contents.study), "cohorts": Study.model_validate(spec).cohorts})
    frame = contents.differences
    assert frame is not None
    names = list(bands)
    one = frame.iloc[:1]
    rows = [one.assign(cohort=a, other=b) for i, a in enumerate(names) for b in names[i + 1 :]]
    import pandas as pd

    found = love_plot(pd.concat(rows), study)
    assert found is not None
    assert len(found.panels[0].pairs) == MAX_PAIRS
    assert found.n_left_out == 21 - MAX_PAIRS


def test_without_the_step_there_is_no_plot(contents: RunContents) -> None:
    assert love_plot(None, contents.study) is None
    assert love_plot(replace(contents).differences.iloc[:0], contents.study) is None  # type: ignore[union-attr]
