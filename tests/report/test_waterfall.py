"""Where the gap comes from: places, marks and sentences that say no more than the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from subgroup_audit.report import Problem, RunContents
from subgroup_audit.report.page import render_page, section_order
from subgroup_audit.report.paper_figures import ONE_COLUMN, figure_makers, write_figures
from subgroup_audit.report.paper_figures.panels import in_pages
from subgroup_audit.report.tables import paper_files, paper_table, report_tables
from subgroup_audit.report.waterfall import (
    MAX_WATERFALLS,
    reading_of_stage,
    stage_words,
    waterfall_sentences,
    waterfalls,
)
from subgroup_audit.schema import WATERFALL_COLUMNS
from subgroup_audit.study import Study

Row = dict[str, Any]
MAIN = ("while training", "evaluation mode", "recomputed", "validation", "own test")


def row(stage: str, auc: float | None, change: float | None, width: float = 0.02, **changes: Any) -> Row:
    """One row of `WATERFALL_COLUMNS`; its step's interval is `width` to either side."""
    known: Row = {column.name: None for column in WATERFALL_COLUMNS}
    known |= {"finding": "opacity", "train_cohort": "F", "model": "net", "recipe": "default", "position": 0}
    known |= {"stage": stage, "test_group": "F", "from_stage": "", "confidence_level": 0.95, "method": "seeds"}
    known |= {"n_patients": 90, "n_images": 112, "n_positive": 56, "n_negative": 56, "n_seeds": 3}
    known |= {"auc": auc, "status": "ok", "reason": ""}
    if auc is not None:
        known |= {"auc_low": auc - 0.04, "auc_high": auc + 0.03}
    if change is not None:
        known |= {"change": change, "low": change - width, "high": change + width, "standard_error": width / 2}
    return {**known, **changes}


def fall(
    levels: Sequence[float | None],
    widths: Sequence[float] = (0, 0.02, 0.02, 0.02, 0.02),
    stages: Sequence[str] = MAIN,
    others: Sequence[tuple[str, float, float]] = (),
    **changes: Any,
) -> list[Row]:
    """A waterfall of these levels, with the other test groups as (name, AUC, half width)."""
    rows: list[Row] = []
    for place, (stage, auc, width) in enumerate(zip(stages, levels, widths, strict=True)):
        before = levels[place - 1] if place else None
        change = None if before is None or auc is None else auc - before
        rows.append(row(stage, auc, change, width, position=place, from_stage=stages[place - 1] if place else ""))
    for name, auc, width in others:
        own = levels[-1]
        change = None if own is None else auc - own
        known = {"position": len(levels), "from_stage": stages[-1], "test_group": name}
        rows.append(row("other test", auc, change, width, **known))
    return [{**found, **changes} for found in rows]


OVERFITTED = fall([0.90, 0.93, 0.93, 0.80, 0.79], others=[("M", 0.70, 0.03), ("all", 0.78, 0.03)])


def test_the_largest_step_told_from_zero_is_named_with_what_changes_there() -> None:
    assert waterfall_sentences(OVERFITTED) == (
        "From the training log to the test of F the AUC falls by 0.110 (0.900 to 0.790).",
        "The largest step whose interval leaves out zero is the one from training images to "
        "validation persons (−0.130, "
        "interval −0.150 to −0.110, a description): the images change from those that the weights were fitted to, "
        "to those of other persons. Also without zero: the one from training to evaluation mode (+0.030, "
        "interval +0.010 to +0.050, a description).",
        "Against the test of F the AUC is lower on the test of M (−0.090, interval −0.120 to −0.060) and not told "
        "from it on the test of all.",
    )


def test_the_whole_way_has_its_interval_in_the_sentence_in_the_figure_and_for_those_who_hear_the_page(
    contents: RunContents,
) -> None:
    rows = [dict(found) for found in OVERFITTED]
    rows[4] |= {"whole_change": -0.11, "whole_low": -0.16, "whole_high": -0.06, "whole_p_value": 0.001}
    assert waterfall_sentences(rows)[0] == (
        "From the training log to the test of F the AUC falls by 0.110 (0.900 to 0.790; interval of the change "
        "−0.160 to −0.060, a description)."
    )
    found = waterfalls(pd.DataFrame(rows), contents.study)
    assert found is not None
    *_, branch, whole = found.panels[0].waterfalls[0].stages
    assert branch.is_branch
    assert (whole.label, whole.is_whole, whole.direction, whole.is_told) == ("Whole way", True, "fall", True)
    assert (whole.from_at, whole.at) == (found.axis.place(0.9), found.axis.place(0.79))
    assert (whole.low_at, whole.high_at) == (
        pytest.approx(found.axis.place(0.9 - 0.16)),
        pytest.approx(found.axis.place(0.9 - 0.06)),
    )
    assert reading_of_stage(whole) == (
        "Whole way, from the first level to the own test: −0.110, interval −0.160 to −0.060, a description."
    )
    page = render(replace(contents, waterfall=pd.DataFrame(rows)))
    assert '<tr role="row" class="whole-row">' in page
    assert '▼ −0.110</span><span class="small">−0.160 to −0.060</span>' in page


def test_a_whole_way_that_is_not_told_from_zero_says_so() -> None:
    rows = [dict(found) for found in OVERFITTED]
    rows[4] |= {"whole_change": -0.11, "whole_low": -0.24, "whole_high": 0.02}
    assert waterfall_sentences(rows)[0] == (
        "From the training log to the test of F the AUC falls by 0.110 (0.900 to 0.790; interval of the change "
        "−0.240 to +0.020, zero included, a description)."
    )


def test_where_no_step_is_told_from_zero_that_is_said() -> None:
    rows = fall([0.90, 0.91, 0.91, 0.86, 0.87], widths=(0, 0.02, 0.01, 0.09, 0.09))
    assert waterfall_sentences(rows)[1] == (
        "No step has an interval that leaves out zero. The largest is the one from training images "
        "to validation persons "
        "(−0.050, interval −0.140 to +0.040, a description)."
    )


def test_a_larger_step_that_is_not_told_from_zero_is_not_passed_over() -> None:
    rows = fall([0.88, 0.93, 0.93, 0.87, 0.90], widths=(0, 0.01, 0.01, 0.08, 0.08))
    said = waterfall_sentences(rows)
    assert said[0] == "From the training log to the test of F the AUC rises by 0.020 (0.880 to 0.900)."
    assert said[1].endswith(
        "A larger one, the one from training images to validation persons (−0.060, interval −0.140 to +0.020, a "
        "description), has an interval that includes zero."
    )


def test_a_network_without_batch_normalisation_has_no_recomputed_stage(contents: RunContents) -> None:
    stages = [stage for stage in MAIN if stage != "recomputed"]
    rows = fall([0.9, 0.93, 0.8, 0.7], widths=(0, 0.02, 0.02, 0.02), stages=stages)
    found = waterfalls(pd.DataFrame(rows), contents.study)
    assert found is not None
    assert not found.has_recomputed
    assert [stage.label for stage in found.panels[0].waterfalls[0].stages] == [
        "As logged while training", "Evaluation mode", "Validation persons", "Own test",
    ]  # fmt: skip
    page = render(replace(contents, waterfall=pd.DataFrame(rows)))
    assert "the stored statistics of batch normalisation do not fit" not in page
    assert "the stored statistics of batch normalisation do not fit" in render(contents)


def test_without_validation_the_step_is_one_from_training_images_and_explains_nothing() -> None:
    stages = ("while training", "evaluation mode", "own test")
    rows = fall([0.9, 0.9, 0.7], widths=(0, 0.02, 0.02), stages=stages)
    assert waterfall_sentences(rows)[1] == (
        "The largest step whose interval leaves out zero is the one from training images to test persons (−0.200, "
        "interval −0.220 to −0.180, a description)."
    )


def test_a_level_that_is_not_estimable_breaks_the_line_and_says_why(contents: RunContents) -> None:
    rows = fall([0.9, 0.92, 0.92, 0.8, None], others=[("M", 0.7, 0.02)])
    rows[4] |= {"status": "not estimable", "reason": "no positive image"}
    assert waterfall_sentences(rows)[0] == (
        "The way cannot be measured from end to end: the test of F is not estimable (no positive image)."
    )
    found = waterfalls(pd.DataFrame(rows), contents.study)
    assert found is not None
    own, other = found.panels[0].waterfalls[0].stages[-2:]
    assert (own.at, own.from_at, own.below_at, other.from_at) == (None, None, None, None)
    assert reading_of_stage(own) == "Own test: not estimable. no positive image"
    page = render(replace(contents, waterfall=pd.DataFrame(rows)))
    assert "⚠ not estimable: no positive image" in page


def test_steps_join_their_levels_and_other_groups_hang_from_the_own_test(contents: RunContents) -> None:
    found = waterfalls(pd.DataFrame(OVERFITTED), contents.study)
    assert found is not None
    stages = found.panels[0].waterfalls[0].stages
    for before, stage in pairwise(stages[:5]):
        assert stage.from_at == before.at == before.below_at
    own, first, second = stages[4:]
    assert own.at == first.from_at == second.from_at == first.below_at
    assert second.below_at is None
    assert [stage.direction for stage in stages] == ["", "rise", "flat", "fall", "fall", "fall", "fall"]
    assert [stage.is_told for stage in stages] == [False, True, False, True, False, True, False]
    assert [stage.is_description for stage in stages] == [True, True, True, True, False, False, False]
    assert reading_of_stage(second) == (
        "Test of all: AUC 0.780, interval 0.740 to 0.810. Step −0.010, interval −0.040 to +0.020, zero included."
    )


def test_an_interval_that_leaves_the_scale_says_so_and_squeezes_nothing(contents: RunContents) -> None:
    rows = fall([0.9, 0.92, 0.92, 0.8, 0.79])
    rows[3] |= {"auc_low": 0.1}
    found = waterfalls(pd.DataFrame(rows), contents.study)
    assert found is not None
    assert found.axis.low == pytest.approx(0.6)
    assert found.panels[0].waterfalls[0].stages[3].cut == (True, False)
    assert found.is_cut
    assert "it goes on beyond the scale" in render(replace(contents, waterfall=pd.DataFrame(rows)))
    assert "it goes on beyond the scale" not in render(contents)


def test_one_seed_is_said_to_hide_the_luck_of_a_training(contents: RunContents) -> None:
    one = contents.study.model_copy(update={"seeds": (0,)})
    assert "with 1 seed the intervals do not count the luck of the training in" in render(
        replace(contents, study=one)
    )
    assert "with 3 seeds the intervals count the luck of the training in" in render(contents)


def test_panels_follow_the_study_and_a_chooser_has_one_for_each_model(contents: RunContents) -> None:
    found = waterfalls(contents.waterfall, contents.study)
    assert found is not None
    assert [panel.name for panel in found.panels] == ["Lung opacity · densenet121", "Lung opacity · resnet101"]
    cohorts = [waterfall.train_cohort for waterfall in found.panels[0].waterfalls]
    assert cohorts == list(contents.study.train_cohorts)
    assert '<select data-chooser="waterfall">' in render(contents)


def test_many_waterfalls_are_cut_and_the_page_says_so(contents: RunContents) -> None:
    rows = [
        {**found, "train_cohort": f"cohort {number}"}
        for number in range(MAX_WATERFALLS + 1)
        for found in OVERFITTED
    ]
    page = render(replace(contents, waterfall=pd.DataFrame(rows)))
    assert f"The first {MAX_WATERFALLS} of {MAX_WATERFALLS + 1}; the rest is in the CSV file." in page


def test_the_section_stands_after_training_against_test(contents: RunContents) -> None:
    order = section_order(contents)
    between = order[order.index("train_test") + 1 : order.index("waterfall")]
    assert between in ([], ["published"])
    page = render(contents)
    assert '<section id="waterfall"' in page
    assert "Where the gap comes from" in page
    assert 'download="waterfall.csv"' in page


def test_a_study_may_leave_the_waterfall_out(contents: RunContents) -> None:
    spec = contents.study.model_dump(mode="json") | {"figures": ["matrix", "curves"]}
    without = replace(contents, study=Study.model_validate(spec))
    assert '<section id="waterfall"' not in render(without)
    assert not any(name.startswith("waterfall") for name in figure_makers(without))


def test_a_run_without_the_step_says_that_it_is_missing(contents: RunContents) -> None:
    page = render(replace(contents, waterfall=None, problems=()))
    assert "The gap waterfall is missing: this run has not stored any." in page
    failed = replace(contents, waterfall=None, problems=(Problem("diagnosis", "No fit was finished."),))
    assert "The gap waterfall is missing: step &#39;diagnosis&#39; failed. No fit was finished." in render(failed)
    assert waterfalls(contents.waterfall.head(0), contents.study) is None


def test_names_stay_text(contents: RunContents, tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script> $x^2$"
    rows = [{**found, "train_cohort": hostile, "finding": hostile} for found in OVERFITTED]
    rows[5] |= {"test_group": hostile}
    run = replace(contents, waterfall=pd.DataFrame(rows), history=None, result=None)
    page = render(run)
    assert hostile not in page
    assert "Test of &lt;script&gt;" in page
    written = {path.name for path in write_figures(figure_makers(run), tmp_path)}
    assert {path.split(".")[-1] for path in written if path.startswith("waterfall")} == {"svg", "pdf", "png"}
    assert r"\textless{}script" in paper_files("waterfall", report_tables(run)["waterfall"])["waterfall.tex"]


def test_the_paper_table_marks_what_is_a_description() -> None:
    shown = paper_table("waterfall", pd.DataFrame(OVERFITTED))
    assert shown["Step"].tolist() == ["–", "+0.030", "0.000", "−0.130", "−0.010", "−0.090", "−0.010"]
    assert shown["Read as"].tolist() == ["description"] * 4 + ["estimate"] * 3


def test_every_stage_has_words() -> None:
    for stage in (*MAIN, "other test"):
        assert all(stage_words(row(stage, 0.8, None)))


def render(run: RunContents) -> str:
    return render_page(run, report_tables(run))


def test_a_waterfall_of_many_cohorts_goes_on_in_a_second_figure(contents: RunContents) -> None:
    assert in_pages("abcde", 10, ONE_COLUMN) == [("a", "b", "c"), ("d", "e")]
    assert in_pages("ab", 10, ONE_COLUMN) == [("a", "b")]
    figures = figure_makers(contents)
    first, second = (figures[f"waterfall_Lung-opacity-densenet121{end}"] for end in ("", "_2"))
    assert first.caption.endswith("Figure 1 of 2: trained on F_PA, M_PA and F_AP.")
    assert second.caption.endswith("Figure 2 of 2: trained on M_AP and All.")
    words = [axes.get_title(loc="left") for axes in second().axes]
    assert words == ["Trained on M_AP", "Trained on All"]
