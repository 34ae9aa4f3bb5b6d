"""Flow, Table 1, balance and leakage as rows."""

import pandas as pd

from subgroup_audit.report import RunContents
from subgroup_audit.report.cohort_figures import (
    ceiling_rows,
    flow_columns,
    leakage_rows,
    limiting_cells,
    split_sizes,
    table1_cell,
    table1_grids,
    variable_words,
)


def test_the_flow_has_shared_steps_and_a_column_per_cohort(contents: RunContents) -> None:
    columns = flow_columns(contents.flow, contents.study)
    assert [column.cohort for column in columns] == ["", "F_PA", "M_PA", "F_AP", "M_AP", "All"]
    steps = {step.step: step for step in columns[0].steps}
    assert list(steps) == ["found", "read", "eligibility", "labels"]
    assert steps["found"].left_patients is None
    assert steps["found"].quiet == ()
    assert steps["eligibility"].exclusions == (
        ("age below 18 or above 120 years", 1482, 611),
        ("sex or view missing", 12, 12),
    )
    assert (steps["labels"].left_images, steps["labels"].left_patients) == (13366, 8214)


def test_the_splits_of_a_cohort_stand_beside_each_other(contents: RunContents) -> None:
    column = flow_columns(contents.flow, contents.study)[1]
    assert [step.step for step in column.steps] == ["matched", "balanced"]
    assert [(part.step, part.left_images) for part in column.splits] == [
        ("train", 770),
        ("val", 110),
        ("test", 220),
    ]


def test_table1_puts_cohorts_side_by_side_for_each_split(contents: RunContents) -> None:
    grids = table1_grids(contents.table1, contents.study)
    assert [grid.split for grid in grids] == ["all", "train", "val", "test"]
    assert grids[0].cohorts == ("F_PA", "M_PA", "F_AP", "M_AP", "All")
    lines = {(row.variable, row.level): row for row in grids[0].rows}
    assert lines["age in years", ""].cells[4] == ("51.2 ± 16.1, 8 missing", "0.24", True)
    assert lines["view", "AP"].cells[0] == ("239 (31.0 %)", "0.22", True)
    assert lines["view", "PA"].cells[0] == ("531 (69.0 %)", "", False)


def test_an_absent_entry_is_a_dash() -> None:
    assert table1_cell(None) == ("–", "", False)


def test_the_limiting_cells_are_those_that_are_stored_as_such(contents: RunContents) -> None:
    found = limiting_cells(contents.ceiling, contents.study)
    assert [(row["cohort"], row["cell"]) for row in found] == [("F_PA", "label=1")] * 3
    widths = [row["available_width"] for row in ceiling_rows(contents.ceiling)]
    assert max(widths) == 100.0


def test_of_cohorts_of_one_size_only_the_smallest_sets_the_limit(contents: RunContents) -> None:
    every = contents.ceiling.assign(is_limiting=contents.ceiling["cell"] == "label=1")
    every.loc[every.index[-2], "ceiling"] = 400
    found = limiting_cells(every, contents.study)
    assert [(row["cohort"], row["ceiling"]) for row in found] == [(every["cohort"].iloc[-2], 400)]


def test_steps_that_leave_nothing_out_are_told_at_the_step_before_them(contents: RunContents) -> None:
    rows = [("", step, "", 0, 0, 100, 60) for step in ("found", "read", "labels")]
    rows += [("", "pixels", "unreadable", 4, 3, 96, 58)]
    steps = flow_columns(pd.DataFrame(rows, columns=contents.flow.columns), contents.study)[0].steps
    assert [(step.step, step.quiet, step.left_images) for step in steps] == [
        ("found", ("read", "labels"), 100),
        ("pixels", (), 96),
    ]


def test_a_level_that_a_cohort_has_not_is_nobody_and_a_variable_that_is_not_known_a_dash(
    contents: RunContents,
) -> None:
    table = contents.table1
    table = table[~((table["cohort"] == "F_PA") & (table["level"] == "M"))]
    table = table[~((table["cohort"] == "F_PA") & (table["variable"] == "view"))]
    lines = {(row.variable, row.level): row.cells[0] for row in table1_grids(table, contents.study)[0].rows}
    assert lines["sex", "M"] == ("0", "", False)
    assert lines["view", "AP"] == ("–", "", False)


def test_a_finding_is_absent_or_present_in_words(contents: RunContents) -> None:
    assert variable_words("Lung opacity", "1", contents.study) == ("Lung opacity", "present")
    assert variable_words("patients", "", contents.study) == ("persons", "")
    assert variable_words("site", "1", contents.study) == ("site", "1")


def test_the_sizes_of_splits_come_from_the_flow(contents: RunContents) -> None:
    assert split_sizes(contents.flow)["F_PA"] == {"train": 770, "val": 110, "test": 220}


def test_leakage_joins_the_image_level_split_by_names_not_by_order(contents: RunContents) -> None:
    shuffled = contents.image_level_leakage.sample(frac=1.0, random_state=3)
    rows = leakage_rows(contents.leakage, shuffled)
    shown = {(row["train_cohort"], row["test_cohort"]): row["image_level"] for row in rows}
    assert shown["F_PA", "F_PA"] == "31.0 %"
    assert shown["F_PA", "M_PA"] == "2.0 %"
    assert all(row["is_clean"] for row in rows)


def test_a_shared_person_is_not_clean(contents: RunContents) -> None:
    leaky = contents.leakage.assign(shared_persons=[3, *[0] * (len(contents.leakage) - 1)])
    assert [row["is_clean"] for row in leakage_rows(leaky, None)].count(False) == 1
    assert leakage_rows(leaky, pd.DataFrame({"train_cohort": [], "test_cohort": []}))[0]["image_level"] == ""
