"""Paper figures of flow, samples, heat maps and gaps of gaps; none that the page has is missing."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fabricated import fabricated_flow
from golden_run import golden_contents
from made_up_looks import made_up_looks
from PIL import Image

from subgroup_audit.report import RunContents, Sample
from subgroup_audit.report.cohort_figures import flow_columns
from subgroup_audit.report.page import render_page
from subgroup_audit.report.paper_figures import LAYOUTS, ONE_COLUMN, figure_makers, write_figures
from subgroup_audit.report.paper_figures.flow import flow_pages
from subgroup_audit.report.paper_figures.heat import heat_pages
from subgroup_audit.report.paper_figures.picture_grid import picture_sheet
from subgroup_audit.report.paper_figures.samples import n_shown, note_of, sample_pages
from subgroup_audit.report.paper_figures.sheet import in_lines, words_width
from subgroup_audit.report.saliency import panel_keys
from subgroup_audit.report.tables import report_tables

# How a figure of the page begins, and how the paper's files of it do; none where the page has a table alone.
FIGURES = {
    "AUC on test persons with": ["matrix_"],
    "How much the AUC moves": ["seeds_"],
    "Subgroup gaps. ": ["subgroup_gap"],
    "Transfer gaps. ": ["transfer_gap"],
    "Gaps of gaps. ": ["gap_of_gaps"],
    "All groups of an attribute": [],
    "Subgroup gaps as measured": ["case_mix"],
    "ROC, precision-recall": ["curves_by_group_"],
    "Decisions at the": ["decisions_", "decision_gaps_"],
    "AUC of the same models": ["train_test"],
    "Published figures beside": [],
    "The gap waterfall": ["waterfall_"],
    "Shuffled labels.": ["control_shuffled-labels"],
    "Split by image.": ["control_image-level-split"],
    "How well a linear probe": ["encoding"],
    "The model's AUC among": [],
    "Mean heat maps": ["saliency_"],
    "AUC, accuracy and loss": ["curves"],
    "How the images became": ["flow"],
    "How far the compared": ["love_plot"],
}
# What `examples/golden.py` keeps of a figure at most, and what the new ones may add, bytes.
LARGEST, ADDED = 300_000, 1_500_000
PICTURED = ("flow", "saliency_", "samples", "gap_of_gaps")


@pytest.fixture(scope="module")
def golden() -> RunContents:
    return golden_contents()


@pytest.fixture(scope="module")
def pictured(golden: RunContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the golden run's new figures."""
    folder = tmp_path_factory.mktemp("pictured")
    write_figures({name: one for name, one in figure_makers(golden).items() if name.startswith(PICTURED)}, folder)
    return folder


def test_every_figure_of_the_page_is_there_for_the_paper(golden: RunContents) -> None:
    page, names = unescape(render_page(golden, report_tables(golden))), list(figure_makers(golden))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    assert len(captions) == page.count("<figure>") == len(FIGURES)
    for caption in captions:
        # The longest beginning counts: one figure's words may begin another's.
        began = max((start for start in FIGURES if caption.startswith(start)), key=len, default=None)
        assert began is not None, f"say which paper figure shows what the page calls {caption[:60]!r}"
        for prefix in FIGURES[began]:
            assert any(name.startswith(prefix) for name in names), f"{caption[:60]!r} has no figures/{prefix}*"
    assert 'class="samples"' in page
    assert "samples" in names


def test_a_run_without_gaps_of_gaps_has_no_figure_of_them(contents: RunContents) -> None:
    assert "gap_of_gaps" not in figure_makers(contents)


def test_pictures_keep_the_files_small(pictured: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in pictured.iterdir() if path.suffix == ".svg"}
    assert {name.split("_")[0].removesuffix(".svg") for name in sizes} == {"flow", "saliency", "samples", "gap"}
    assert max(sizes.values()) <= LARGEST
    assert sum(sizes.values()) <= ADDED


def test_pictures_in_a_vector_figure_keep_their_own_dots(pictured: Path, golden: RunContents) -> None:
    text = (pictured / "samples.svg").read_text("utf-8")
    assert "pixelated" not in text
    drawn = re.findall(r"data:image/png;base64,\s*([^\"]+)", text)
    stored = {one.pixels.shape for one in golden.samples}
    shapes = {Image.open(io.BytesIO(base64.b64decode(one))).size[::-1] for one in drawn}
    assert len(drawn) == 12
    assert shapes == stored


def test_the_same_numbers_give_the_same_bytes(pictured: Path, golden: RunContents, tmp_path: Path) -> None:
    makers = figure_makers(golden)
    again = write_figures({name: makers[name] for name in ("flow", "samples")}, tmp_path)
    assert [path.read_bytes() for path in again] == [(pictured / path.name).read_bytes() for path in again]


def test_many_cohorts_go_on_in_further_figures(contents: RunContents) -> None:
    flow = fabricated_flow(contents.study)
    parts = [
        flow.assign(cohort=flow["cohort"].where(flow["cohort"] == "", flow["cohort"] + f" {i}")) for i in range(4)
    ]
    many = pd.concat([parts[0], *(part[part["cohort"] != ""] for part in parts[1:])], ignore_index=True)
    columns = flow_columns(many, contents.study)
    for layout in LAYOUTS.values():
        pages = flow_pages(columns, layout)
        shown = [column.cohort for page in pages for row in page.rows for column in row]
        assert sorted(shown) == sorted(column.cohort for column in columns if column.cohort)
        assert len(pages) > 1
        assert pages[1].shared is not None
        assert [step.step for step in pages[1].shared.steps] == ["labels (continued)"]
    run = RunContents(study=contents.study, flow=many)
    names = list(figure_makers(run))
    assert names[:2] == ["flow", "flow_2"]
    assert "Figure 2 of" in figure_makers(run)["flow_2"].caption


def test_the_flow_names_what_was_left_out_and_counts_the_rest(contents: RunContents, tmp_path: Path) -> None:
    rows = [("", "found", "", 900, 800, 900, 800)]
    rows += [("", "read", f"reason {i}", i, i, 900 - i, 800) for i in range(1, 16)]
    flow = pd.DataFrame(rows, columns=list(fabricated_flow(contents.study).columns))
    write_figures({"flow": figure_makers(RunContents(study=contents.study, flow=flow))["flow"]}, tmp_path)
    drawn = (tmp_path / "flow.svg").read_text("utf-8")
    assert "−15 reason 15 (of 15 persons)" in drawn
    assert "−10 for 4 more reasons: tables/flow.csv" in drawn
    assert "reason 4 " not in drawn


def test_heat_maps_go_on_in_further_figures(contents: RunContents) -> None:
    study = contents.study
    seen = made_up_looks(study, np.random.default_rng(1))
    key = panel_keys(seen.cells)[0]
    (page,) = heat_pages(seen, key, study, ONE_COLUMN)
    assert page.layout.width == ONE_COLUMN.full_width
    assert page.cohorts == list(study.train_cohorts)
    assert [head for head, _ in page.lines[0].heads] == [f"Tested on {name}" for name in study.test_cohorts]
    assert page.lines[0].cells[0] is not None
    assert page.lines[0].cells[0].note == "30 images\n30 persons"
    low = replace(ONE_COLUMN, height=100.0)
    pages = heat_pages(seen, key, study, low)
    assert len(pages) > 1
    assert [name for page in pages for name in page.cohorts] == list(study.train_cohorts)
    captions = [one.caption for one in figure_makers(RunContents(study=study, saliency=seen), low).values()]
    assert f"Figure 1 of {len(pages)}: trained on {study.train_cohorts[0]}" in captions[0]


def test_a_heat_map_that_is_not_available_says_why(contents: RunContents) -> None:
    seen = made_up_looks(contents.study, np.random.default_rng(1))
    gone = seen.cells.index[:2]
    cells = seen.cells.assign(
        place=seen.cells["place"].mask(seen.cells.index.isin(gone), -1),
        reason=seen.cells["reason"].mask(seen.cells.index.isin(gone), "no image has heat"),
    )
    (page, *_) = heat_pages(replace(seen, cells=cells), panel_keys(cells)[0], contents.study, ONE_COLUMN)
    assert page.lines[0].cells[0] is not None
    assert (page.lines[0].cells[0].make, page.lines[0].cells[0].note) == (None, "not available")
    makers = figure_makers(RunContents(study=contents.study, saliency=replace(seen, cells=cells)))
    assert "Hatched: not available, since no image has heat." in next(iter(makers.values())).caption


def test_samples_of_many_labels_take_several_lines(contents: RunContents) -> None:
    pixels = np.zeros((32, 32), dtype=np.uint8)
    samples = [Sample(cohort, f"label {i}", pixels) for cohort in "FM" for i in range(7) for _ in range(3)]
    lines = [line for page in sample_pages(samples, ONE_COLUMN) for line in page]
    assert [line.name for line in lines] == ["F", "F", "M", "M"]
    assert [head for line in lines[:2] for head, _ in line.heads] == [f"label {i}" for i in range(7)]
    assert all(cell is not None for line in lines for cell in line.cells)
    long = [replace(one, label=one.label.replace("label 0", "Pneumothorax")) for one in samples]
    (page,) = sample_pages(long, ONE_COLUMN)
    side = picture_sheet(page, ONE_COLUMN, 0.0, len(page[0].cells))[0].layout.width / len(page[0].cells)
    assert side > words_width("Pneumothorax", ONE_COLUMN.small, is_bold=True)


def test_samples_stand_by_cohort_and_label_and_the_caption_counts_them(contents: RunContents) -> None:
    pages = sample_pages(contents.samples, ONE_COLUMN)
    lines = [line for page in pages for line in page]
    assert [line.name for line in lines] == list(contents.study.cohorts)
    assert [head for head, _ in lines[0].heads] == ["Lung opacity", "no Lung opacity"]
    assert n_shown(pages) == len(contents.samples) == 20
    assert "n: 20 radiographs." in figure_makers(contents)["samples"].caption
    more = replace(contents, samples=contents.samples * 3)
    assert "n: 20 of the 60 radiographs that the run stores" in figure_makers(more)["samples"].caption


def test_a_sample_s_words_leave_out_the_label_above_it() -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    assert note_of(Sample("F", "opacity", pixels, "F PA, opacity")) == "F PA"
    assert note_of(Sample("F", "opacity", pixels, "opacity")) == ""
    assert note_of(Sample("F", "opacity", pixels, "as stored")) == "as stored"


def test_lines_are_as_wide_as_they_may_be_and_keep_a_number_with_its_noun() -> None:
    text = "1 the DICOM file holds no pixel data (of 1 person)"
    lines = in_lines(text, 30.0, 6.5)
    assert lines == ["1 the DICOM file holds no", "pixel data (of 1 person)"]
    assert in_lines(text, 26.0, 6.5)[-1] == "(of 1 person)"
    assert all(words_width(line, 6.5) <= 30.0 for line in lines)
    assert in_lines("a_name_that_is_far_too_long_for_its_box", 20.0, 6.5)[0].endswith("…")
    assert in_lines("one two three four", 8.0, 6.5, most=2)[-1].endswith("…")
