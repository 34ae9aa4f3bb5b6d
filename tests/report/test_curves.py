"""Learning curves as specifications."""

import json

import numpy as np

from subgroup_audit.report import RunContents
from subgroup_audit.report.curves import curve_panels, figure_spec


def test_a_panel_per_cohort_model_and_measure_with_a_line_per_seed_and_phase(contents: RunContents) -> None:
    panels = curve_panels(contents.history, contents.study)
    assert len(panels) == 5 * 2 * 2
    assert [panel.measure for panel in panels[:2]] == ["auc", "loss"]
    assert [(line.phase, line.seed) for line in panels[0].lines] == [
        ("train", 0),
        ("train", 1),
        ("train", 2),
        ("val", 0),
        ("val", 1),
        ("val", 2),
    ]
    assert panels[0].lines[3].epochs == tuple(range(1, 12))
    assert panels[0].lines[4].best == 6


def test_panels_of_one_measure_share_their_range(contents: RunContents) -> None:
    panels = curve_panels(contents.history, contents.study)
    assert len({panel.y_range for panel in panels if panel.measure == "auc"}) == 1


def test_a_measure_that_was_never_logged_has_no_panel(contents: RunContents) -> None:
    panels = curve_panels(contents.history.assign(auc=np.nan), contents.study)
    assert {panel.measure for panel in panels} == {"loss"}


def test_a_missing_epoch_is_a_hole_and_the_spec_is_plain_json(contents: RunContents) -> None:
    history = contents.history.copy()
    history.loc[0, "auc"] = np.nan
    spec = figure_spec(curve_panels(history, contents.study)[0])
    assert spec["data"][0]["y"][0] is None
    assert "NaN" not in json.dumps(spec, allow_nan=False)


def test_a_spec_holds_no_name_from_outside(hostile: RunContents) -> None:
    specs = [figure_spec(panel) for panel in curve_panels(hostile.history, hostile.study)]
    assert "script" not in json.dumps(specs)
    assert {trace["meta"] for spec in specs for trace in spec["data"]} == {"train", "val"}
