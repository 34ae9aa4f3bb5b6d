"""Sample radiographs by cohort and label, as a paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from subgroup_audit.report.contents import Sample, distinct
from subgroup_audit.report.paper_figures.picture_grid import (
    WIDEST,
    PictureCell,
    PictureLine,
    columns_that_fit,
    picture_pages,
    picture_sheet,
    widest,
)
from subgroup_audit.report.paper_figures.sheet import words_width
from subgroup_audit.report.paper_figures.style import Layout

# The narrowest picture, mm, and the most of one cohort and label.
NARROWEST, MOST = 15.0, 4


def sample_pages(samples: Sequence[Sample], layout: Layout) -> list[tuple[PictureLine, ...]]:
    """The samples as figures hold them: a line per cohort, as many of each label as stand side by side."""
    labels = distinct(sample.label for sample in samples)
    columns = columns_that_fit(layout, NARROWEST)
    each = max(1, min(MOST, columns // max(1, len(labels)), _most_of_any(samples)))
    if each == 1:
        columns = columns_that_fit(layout, min(WIDEST, max(NARROWEST, _longest_word(labels, layout))))
    together = max(1, columns // each)
    lines = [
        _line(cohort, labels[start : start + together], samples, each)
        for cohort in distinct(sample.cohort for sample in samples)
        for start in range(0, len(labels), together)
    ]
    return picture_pages(lines, layout, 0.0)


def samples_figure(page: Sequence[PictureLine], layout: Layout) -> Any:
    """A line of radiographs per cohort, in columns by label."""
    return picture_sheet(page, layout, 0.0, widest(page))[0].figure


def n_shown(pages: Sequence[Sequence[PictureLine]]) -> int:
    """How many samples the figures show."""
    return sum(cell is not None for page in pages for line in page for cell in line.cells)


def _longest_word(labels: Sequence[str], layout: Layout) -> float:
    """The width of the longest word of any label, mm."""
    words = [word for label in labels for word in label.split()]
    return max((words_width(word, layout.small, is_bold=True) for word in words), default=0.0)


def _most_of_any(samples: Sequence[Sample]) -> int:
    keys = [(sample.cohort, sample.label) for sample in samples]
    return max((keys.count(key) for key in set(keys)), default=1)


def _line(cohort: str, labels: Sequence[str], samples: Sequence[Sample], each: int) -> PictureLine:
    cells: list[PictureCell | None] = []
    for label in labels:
        found = [one for one in samples if (one.cohort, one.label) == (cohort, label)][:each]
        cells += [PictureCell(partial(np.asarray, one.pixels), note_of(one)) for one in found] + [None] * (
            each - len(found)
        )
    return PictureLine(cohort, tuple((label, each) for label in labels), (), tuple(cells))


def note_of(sample: Sample) -> str:
    """The words below a sample: its caption without the label that stands above the column."""
    return sample.caption.removesuffix(sample.label).rstrip(" ,")
