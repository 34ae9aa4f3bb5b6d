"""The matrix as numbers: which rows, which order, which shade, which references."""

import pandas as pd

from subgroup_audit.report import RunContents
from subgroup_audit.report.matrix import colour_scale, headline_finding, matrix_cells, matrix_panels


def test_a_panel_holds_every_train_cohort_and_test_group_in_the_study_order(contents: RunContents) -> None:
    panels = matrix_panels(contents.result.estimates, contents.study)
    assert [panel.model for panel in panels] == ["densenet121", "resnet101"]
    assert panels[0].train_cohorts == ("F_PA", "M_PA", "F_AP", "M_AP", "All")
    assert panels[0].test_groups == ("F_PA", "M_PA", "F_AP", "M_AP")
    assert [[cell.is_same for cell in line] for line in panels[0].cells][:2] == [
        [True, False, False, False],
        [False, True, False, False],
    ]


def test_only_test_auc_is_shown(contents: RunContents) -> None:
    estimates = contents.result.estimates
    other = estimates.assign(metric="accuracy")
    assert len(matrix_cells(pd.concat([estimates, other]))) == 2 * 5 * 4
    assert set(matrix_cells(estimates)["split"]) == {"test"}


def test_a_cell_without_an_estimate_has_no_shade_and_says_why(contents: RunContents) -> None:
    panel = matrix_panels(contents.result.estimates, contents.study)[0]
    cell = panel.cells[2][3]
    assert (cell.train_cohort, cell.test_group) == ("F_AP", "M_AP")
    assert cell.shade is None
    assert cell.status == "not estimable"
    assert cell.reason == "no positive image in this cell"


def test_a_combination_that_was_not_fitted_is_shown_as_such(contents: RunContents) -> None:
    estimates = contents.result.estimates
    gone = (estimates["train_cohort"] == "All") & (estimates["test_group"] == "M_PA")
    panel = matrix_panels(estimates[~gone], contents.study)[0]
    assert panel.cells[4][1].reason == "this combination was not fitted"
    assert panel.cells[4][1].shade is None


def test_references_stand_at_the_cell_they_name(contents: RunContents) -> None:
    panels = {panel.model: panel for panel in matrix_panels(contents.result.estimates, contents.study)}
    found = [
        (model, cell.train_cohort, cell.test_group, reference.value)
        for model, panel in panels.items()
        for line in panel.cells
        for cell in line
        for reference in cell.references
    ]
    assert found == [("resnet101", "F_PA", "F_PA", 0.55)]


def test_the_macro_mean_speaks_for_all_findings(contents: RunContents) -> None:
    estimates = contents.result.estimates
    both = pd.concat([estimates, estimates.assign(finding="macro mean")], ignore_index=True)
    assert headline_finding(["A", "macro mean", "B"]) == "macro mean"
    assert matrix_panels(both, contents.study)[0].finding == "macro mean"


def test_the_colour_scale_has_round_ends_and_never_starts_below_chance() -> None:
    assert colour_scale(pd.Series([0.31, 0.97])) == (0.5, 1.0)
    assert colour_scale(pd.Series([float("nan")])) == (0.5, 1.0)
    assert colour_scale(pd.Series([0.81, 0.82])) == (0.8, 0.9)
