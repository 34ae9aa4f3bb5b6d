"""Captions of the paper's figures: one for each, with n, marks and intervals, in the page's own sentences."""

from __future__ import annotations

import re
from html import unescape

import pytest
from golden_run import golden_contents

from subgroup_audit.errors import ReportError
from subgroup_audit.report import RunContents
from subgroup_audit.report.captions import SENTENCES
from subgroup_audit.report.page import render_page
from subgroup_audit.report.paper_figures import figure_makers, layout_of
from subgroup_audit.report.paper_text import caption_texts
from subgroup_audit.report.tables import report_tables


@pytest.fixture(scope="module")
def golden() -> RunContents:
    return golden_contents()


def test_every_figure_has_one_caption_in_both_files(golden: RunContents) -> None:
    figures = figure_makers(golden)
    texts = caption_texts(figures)
    assert re.findall(r"\*\*`figures/(\S+)`\*\*", texts["captions.md"]) == list(figures)
    assert re.findall(r"\\includegraphics\{(\S+)\}", texts["captions.tex"]) == list(figures)
    assert (
        texts["captions.tex"].count(r"\caption{") == texts["captions.tex"].count(r"\end{figure}") == len(figures)
    )
    bare = re.sub(r"\\[{}]", "", texts["captions.tex"])
    assert bare.count("{") == bare.count("}")


def test_captions_say_how_many_persons_and_how_intervals_were_made(golden: RunContents) -> None:
    captions = {name: figure.caption for name, figure in figure_makers(golden).items()}
    told = {
        name
        for name in captions
        if not name.startswith(("love", "curves_opacity", "saliency", "flow", "samples")) and name != "curves"
    }
    assert [name for name in told if "n: " not in captions[name]] == []
    assert [name for name in told if "nterval" not in captions[name] and "imits" not in captions[name]] == []
    assert all("{" not in caption and "nan" not in caption for caption in captions.values())
    matrix = captions["matrix_opacity-small-cnn-default"]
    assert matrix == (
        "opacity, small_cnn. AUC on test persons with 95 % intervals. Rows: the cohort that the model was trained "
        "on. Columns: the group that it was tested on. In each cell: the AUC, its interval, and the test images "
        "with and without the finding. Framed: trained and tested on the same cohort. n: 87 to 104 persons in a "
        "cell. Means over 2 training seeds. Intervals: seeds and persons as crossed random effects (Satterthwaite "
        "t)."
    )


def test_the_page_says_the_same_sentences(golden: RunContents) -> None:
    page = unescape(render_page(golden, report_tables(golden)))
    for name, words in SENTENCES.items():
        if name not in ("composition", "gaps"):
            first = max(re.split(r"\{\w+\}", words), key=len)
            assert first in page, name


def test_names_from_outside_stay_text(hostile: RunContents) -> None:
    texts = caption_texts(figure_makers(hostile))
    assert "<script>" not in texts["captions.md"]
    assert r"x\textasciicircum{}2\_3\$" in texts["captions.tex"]
    assert "x^2_3" not in texts["captions.tex"]


def test_a_run_without_figures_has_no_captions(contents: RunContents) -> None:
    assert caption_texts(figure_makers(RunContents(study=contents.study))) == {}


def test_any_training_cohort_can_be_drawn(golden: RunContents) -> None:
    def fits(*cohorts: str) -> list[str]:
        made = figure_makers(golden, layout_of("one-column", cohorts))
        return [name.removeprefix("decisions_opacity-small-cnn-default-") for name in made if "decisions_" in name]

    assert fits() == ["all"]
    assert fits("M") == ["M"]
    assert fits("M", "F") == ["F", "M"]
    assert fits("every") == ["all", "F", "M"]


def test_the_caption_says_which_fits_are_drawn(golden: RunContents) -> None:
    name = "decisions_opacity-small-cnn-default-all"
    assert (
        "Curves and decisions of 1 of 3 fits are drawn, a file each (trained on all); audit report RUN "
        "--cohort NAME draws those of another training cohort, and tables/performance has all."
    ) in figure_makers(golden)[name].caption
    every = figure_makers(golden, layout_of("one-column", ["every"]))
    assert "--cohort" not in every[name].caption


def test_a_cohort_that_nobody_trained_on_names_the_nearest(golden: RunContents) -> None:
    with pytest.raises(ReportError) as caught:
        figure_makers(golden, layout_of("one-column", ["al"]))
    assert str(caught.value) == "--cohort al: no fit was trained on it; nearest: all"
