"""Curves and decisions by group: what the page and the paper draw of the stored numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.page import render_page
from subgroup_audit.report.paper_figures.makers import MAX_FITS, figure_makers
from subgroup_audit.report.paper_figures.performance import first_panels
from subgroup_audit.report.performance import (
    LEFT,
    MAX_CELLS,
    OTHER_GROUPS,
    SIDE,
    TOP,
    at_x,
    at_y,
    group_sets,
    performance,
    svg_path,
)
from subgroup_audit.report.tables import report_tables


def _points(path: str) -> list[tuple[int, int]]:
    """The corners of a path as `svg_path` writes it."""
    start, _, moves = path.rstrip("z").partition("l")
    x, y = map(int, start[1:].split())
    found = [(x, y)]
    numbers = [int(one) for one in re.findall(r"-?\d+", moves)]
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + dx, y + dy
        found.append((x, y))
    return found


def test_a_path_goes_through_the_points_and_leaves_out_those_that_repeat() -> None:
    rng = np.random.default_rng(1)
    points = [(int(x), int(y)) for x, y in rng.integers(-40, 600, (50, 2))]
    assert _points(svg_path(points)) == points
    assert _points(svg_path([(1, 2), (1, 2), (3, 2)])) == [(1, 2), (3, 2)]
    assert svg_path([(7, 8)]) == "M7 8"


def test_the_corners_of_a_plot_are_zero_and_one() -> None:
    assert (at_x(0), at_x(1), at_y(0), at_y(1)) == (LEFT, LEFT + SIDE, TOP + SIDE, TOP)


def test_every_fit_has_a_panel_and_the_choosers_lead_to_it(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    study = contents.study
    fits = [(panel.model, panel.train_cohort) for panel in found.panels]
    assert fits == [(model, train) for model in study.models for train in study.train_cohorts]
    assert [facet.label for facet in found.facets] == ["Model", "Trained on"]
    places = {(panel.places["model"], panel.places["cohort"]) for panel in found.panels}
    assert len(places) == len(found.panels)


def test_groups_stand_by_the_attribute_that_tells_them_apart(contents: RunContents) -> None:
    sets = group_sets(contents.study, [*contents.study.test_cohorts, "All"])
    assert sets == {"sex x view": ("F_PA", "M_PA", "F_AP", "M_AP"), OTHER_GROUPS: ("All",)}


def test_a_curve_is_drawn_where_its_numbers_are(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    panel = found.panels[0]
    line = panel.sets[0].plots[0].lines[1]
    stored = contents.performance_curves
    assert stored is not None
    rows = stored[
        (stored["model"] == panel.model)
        & (stored["train_cohort"] == panel.train_cohort)
        & (stored["test_group"] == line.group)
        & (stored["curve"] == "roc")
    ]
    expected = [(at_x(x), at_y(y)) for x, y in zip(rows["x"], rows["y"], strict=True)]
    assert _points(line.path) == [p for place, p in enumerate(expected) if place == 0 or p != expected[place - 1]]
    lowest = max(y for _, y in _points(line.band))
    assert lowest == max(at_y(low) for low in rows["low"])


def test_the_operating_point_is_marked_on_both_curves_of_the_group(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    group_set = found.panels[0].sets[0]
    numbers = group_set.rows[0].numbers
    roc, pr, calibration = (plot.lines[0] for plot in group_set.plots)
    sensitivity = numbers["sensitivity"]["estimate"]
    assert roc.operating == (numbers["false_positive_rate"]["estimate"], sensitivity)
    assert pr.operating == (sensitivity, numbers["ppv"]["estimate"])
    assert calibration.operating is None


def test_bins_of_few_images_are_left_to_the_table(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    assert len(found.panels[0].sets[0].plots[2].lines[0].marks) == 9


def test_a_rate_that_cannot_be_had_says_why(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    panel = next(one for one in found.panels if one.train_cohort == "F_AP")
    row = next(row for row in panel.rates[2].sets[0][1] if row.label == "M_AP")
    assert (row.at, row.text) == (None, "–")
    assert row.limits == "no positive among 220 images: ppv needs both classes"


def test_sensitivity_tells_what_is_missed_with_its_interval(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    assert re.fullmatch(r"missed 0\.\d\d \(0\.\d\d to 0\.\d\d\)", found.panels[0].rates[0].sets[0][1][0].note)


def test_gaps_are_a_description_on_a_scale_around_zero(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    block = found.panels[0].gaps[0]
    assert block.axis.low == -block.axis.high
    rows = block.sets[0][1]
    assert [row.label for row in rows] == ["M_PA − F_PA"]
    stored = contents.performance_gaps
    assert stored is not None
    assert rows[0].is_told == bool(stored["low"].iloc[0] > 0 or stored["high"].iloc[0] < 0)


def test_the_page_says_where_the_operating_point_comes_from(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    assert found.panels[0].point == (
        "Each seed's fit has an operating point of its own (scores from 0.400 to 0.500, mean 0.450), chosen by "
        "Youden's index (the largest sum of sensitivity and specificity) on 110 validation images of 101 persons "
        "of the training cohort."
    )


def test_a_run_of_an_older_version_lacks_the_section_and_says_so(contents: RunContents) -> None:
    names = ("performance", "performance_gaps", "performance_curves", "operating_points", "differences")
    old = replace(contents, problems=(), **dict.fromkeys(names))
    page = render_page(old, report_tables(old))
    assert "The curves, calibration and decisions of the groups are missing: this run has not stored any." in page
    assert "The comparison of the cohorts with each other is missing: this run has not stored any." in page
    assert not [name for name in figure_makers(old) if name.startswith(("curves_by", "decision", "love"))]


def test_a_large_study_draws_its_first_fits_and_the_tables_hold_the_rest(contents: RunContents) -> None:
    stored, curves = contents.performance, contents.performance_curves
    assert stored is not None
    assert curves is not None
    n_copies = 25
    many = {
        name: pd.concat([frame.assign(model=frame["model"] + f" {i}") for i in range(n_copies)])
        for name, frame in (("performance", stored), ("performance_curves", curves))
    }
    found = performance(replace(contents, **many))
    assert found is not None
    assert found.n_fits == 10 * n_copies
    assert len(found.panels) == MAX_CELLS // 4
    size = sum(len(line.path) + len(line.band) for panel in found.panels for one in panel.sets
               for plot in one.plots for line in plot.lines)  # fmt: skip
    assert size < 1_500_000


def test_what_the_paper_draws_is_the_first_cohort_of_each_model(contents: RunContents) -> None:
    found = performance(contents)
    assert found is not None
    assert [(panel.model, panel.train_cohort) for panel in first_panels(found)] == [
        (model, "F_PA") for model in contents.study.models
    ]
    makers = figure_makers(contents)
    assert len([name for name in makers if name.startswith("curves_by_group")]) == MAX_FITS


@pytest.mark.parametrize("prefix", ["curves_by_group", "decisions", "decision_gaps", "seeds", "love_plot"])
def test_the_papers_figures_hold_the_numbers_of_the_page(contents: RunContents, prefix: str) -> None:
    name = next(name for name in figure_makers(contents) if name.startswith(prefix))
    drawing = figure_makers(contents)[name]()
    words = [text.get_text() for axes in drawing.axes for text in axes.texts]
    words += [text.get_text() for axes in drawing.axes if axes.get_legend() for text in axes.get_legend().texts]
    found = performance(contents)
    assert found is not None
    panel = found.panels[0]
    shown = {
        "curves_by_group": lambda: f"F_PA, AUC {panel.sets[0].rows[0].text('auc', 3)[0]}",
        "decisions": lambda: "{0.text} ({0.limits})".format(panel.rates[0].sets[0][1][0]),
        "decision_gaps": lambda: "{0.text} ({0.limits})".format(panel.gaps[0].sets[0][1][0]),
        "seeds": lambda: "0.009",
        "love_plot": lambda: "chosen to differ",
    }
    assert shown[prefix]() in words


def test_names_that_try_to_be_markup_stay_text(
    make_contents: Callable[..., RunContents], hostile_name: str
) -> None:
    hostile = make_contents(hostile=True)
    page = render_page(hostile, report_tables(hostile))
    assert "<script>alert" not in page
    start = page.index('<section id="performance"')
    section = page[start : page.index("</section>", start)]
    assert section.count("&lt;script&gt;alert") > 10
    assert hostile_name not in section


def test_a_column_that_is_missing_is_named(contents: RunContents) -> None:
    from subgroup_audit.errors import ReportError

    stored: Any = contents.performance
    with pytest.raises(ReportError, match="performance: column 'seed_sd' is missing"):
        replace(contents, performance=stored.drop(columns="seed_sd"))


def test_a_mark_never_stands_where_its_number_is_not(contents: RunContents) -> None:
    gaps = contents.performance_gaps
    assert gaps is not None
    far = gaps.assign(estimate=0.53, low=0.01, high=0.99)
    found = performance(replace(contents, performance_gaps=far))
    assert found is not None
    block = found.panels[0].gaps[0]
    row = block.sets[0][1][0]
    assert block.axis.high == pytest.approx(0.56)
    assert row.at == pytest.approx(100 * (0.53 + 0.56) / 1.12, abs=0.01)
    assert row.cut == (False, True)
    name = next(name for name in figure_makers(contents) if name.startswith("decision_gaps"))
    drawing = figure_makers(replace(contents, performance_gaps=far))[name]()
    arrows = [line for line in drawing.axes[0].lines if line.get_marker() == ">"]
    assert [line.get_xdata()[0] for line in arrows] == pytest.approx([0.56] * len(arrows))
    assert arrows
