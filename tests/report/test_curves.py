"""Learning curves as specifications."""

import json

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.curves import curve_panels, figure_spec
from subgroup_audit.report.paper_figures import ONE_COLUMN
from subgroup_audit.report.paper_figures.curves import curves_figure
from subgroup_audit.study import Study


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
    assert {trace["meta"] for spec in specs for trace in spec["data"]} == {"train", "val", "ink"}


@pytest.fixture
def listed_fits() -> tuple[pd.DataFrame, Study]:
    """A study that lists fifteen fits of two cohorts, and their history of three epochs."""
    names = [f"model {i}" for i in range(15)]
    study = Study.model_validate(
        {
            "study": "listed",
            "data": {"source": "table"},
            "findings": {"opacity": {"positive": ["Lung Opacity"]}},
            "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
            "models": names,
            "fits": [{"cohorts": ["FM"[i % 2]], "models": [name]} for i, name in enumerate(names)],
            "reference": [
                {"label": "a", "train_cohort": "F", "model": "model 0", "split": "train", "value": 0.9},
                {"label": "b", "train_cohort": "F", "model": "model 0", "value": 0.55},
                {"label": "c", "train_cohort": "M", "model": "model 1", "metric": "accuracy", "value": 0.71},
                {"label": "d", "train_cohort": "M", "model": "model 0", "value": 0.3},
            ],
        }
    )
    rows = [
        {
            "fit_id": name, "train_cohort": "FM"[i % 2], "model": name, "recipe": "default", "seed": 0,
            "epoch": epoch,
            "phase": phase, "loss": 1.0 / epoch, "auc": 0.6 + 0.1 * epoch, "accuracy": 0.5 + 0.1 * epoch,
            "is_best": epoch == 3,
        }
        for i, name in enumerate(names)
        for epoch in (1, 2, 3)
        for phase in ("train", "val")
    ]  # fmt: skip
    return pd.DataFrame(rows), study


def test_published_figures_stand_beside_the_curves_of_their_fits(listed_fits: tuple[pd.DataFrame, Study]) -> None:
    panels = {(p.model, p.measure): p for p in curve_panels(*listed_fits)}
    assert len(panels) == 15 * 3
    assert [(p.split, p.value) for p in panels["model 0", "auc"].published] == [("train", 0.9), ("test", 0.55)]
    assert [(p.split, p.value) for p in panels["model 1", "accuracy"].published] == [("test", 0.71)]
    assert not panels["model 2", "auc"].published
    marks = [trace for trace in figure_spec(panels["model 0", "auc"])["data"] if trace["x"] == [3.5]]
    assert [(mark["y"], mark["meta"], mark["hovertemplate"]) for mark in marks] == [
        ([0.9], "train", "Reported, training: 0.900<extra></extra>"),
        ([0.55], "ink", "Reported, test: 0.550<extra></extra>"),
    ]


def test_a_study_that_lists_fifteen_fits_has_fifteen_tiles_of_score_and_loss(
    listed_fits: tuple[pd.DataFrame, Study],
) -> None:
    figure = curves_figure(curve_panels(*listed_fits), ONE_COLUMN)
    drawn = [axes for axes in figure.axes if axes.get_visible()]
    assert len(drawn) == 30
    assert [axes.get_ylabel() for axes in drawn].count("Loss") == 15
    titles = {axes.get_title(): axes for axes in drawn if axes.get_title()}
    assert len(titles) == 15
    # the measure that was published of the fit; AUC where none was
    assert titles["F\nmodel 0\ndefault"].get_ylabel() == "AUC"
    assert titles["M\nmodel 1\ndefault"].get_ylabel() == "Accuracy"
    assert titles["F\nmodel 2\ndefault"].get_ylabel() == "AUC"
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["training, augmented", "validation", "reported, training", "reported, test"]


def test_where_everything_crosses_the_figure_is_a_grid(contents: RunContents) -> None:
    figure = curves_figure(curve_panels(contents.history, contents.study), ONE_COLUMN)
    assert len(figure.axes) == 5 * 4
