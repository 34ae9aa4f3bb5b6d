"""Mean heat maps over mean radiographs, as a paper shows them: the same pictures as the page's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from subgroup_audit.report.contents import HeatMaps, distinct, rows_of
from subgroup_audit.report.numerals import decimal, plural
from subgroup_audit.report.paper_figures.picture_grid import (
    EDGE,
    NAMES,
    PictureCell,
    PictureLine,
    columns_that_fit,
    picture_pages,
    picture_sheet,
    widest,
)
from subgroup_audit.report.paper_figures.sheet import Sheet
from subgroup_audit.report.paper_figures.style import Layout
from subgroup_audit.report.saliency import most_heat, overlay, panel_cells, times_even
from subgroup_audit.study import Study

LABELS = ("positive", "negative")
TRAINED = "Trained on "
# The narrowest picture in one column and over the full width, and the height of the colour bar with its words, mm.
NARROWEST, NARROWEST_WIDE, BAR_ROOM = 18.0, 15.0, 9.0
BAR, THICK, STEPS = 40.0, 2.5, 64
# The bar's ground, as grey as a lung's border.
GROUND = 128
# Dots on a side of a picture: a mean of many films is as soft as that, and a file stays small.
SIDE = 112


@dataclass(frozen=True)
class HeatPage:
    """What one figure shows, and the most heat of any picture of its panel."""

    lines: tuple[PictureLine, ...]
    layout: Layout
    columns: int
    most: float

    @property
    def cohorts(self) -> list[str]:
        """The training cohorts of its lines."""
        return distinct(line.name.removeprefix(TRAINED) for line in self.lines)


def heat_pages(found: HeatMaps, key: tuple[str, str, str], study: Study, layout: Layout) -> list[HeatPage]:
    """One panel as figures hold it: a line per training cohort, goes on below where its groups are many."""
    rows = panel_cells(found.cells, key)
    most, groups = most_heat(found, rows), list(study.test_cohorts)
    by_cell = {(r["train_cohort"], r["test_group"], r["label"]): r for r in rows_of(rows)}
    columns = columns_that_fit(layout, NARROWEST)
    if columns < len(LABELS) * len(groups):
        layout = layout.widened()
        columns = columns_that_fit(layout, NARROWEST_WIDE)
    together = max(1, columns // len(LABELS))
    lines = [
        _line(found, by_cell, (cohort, groups[start : start + together]), most)
        for cohort in distinct(rows["train_cohort"])
        for start in range(0, len(groups), together)
    ]
    pages = picture_pages(lines, layout, BAR_ROOM)
    return [HeatPage(page, layout, widest(lines), most) for page in pages]


def _line(found: HeatMaps, by_cell: Mapping[Any, Any], of: tuple[str, Sequence[str]], most: float) -> PictureLine:
    cohort, groups = of
    cells = [_cell(found, by_cell.get((cohort, group, label)), most) for group in groups for label in LABELS]
    heads = tuple((f"Tested on {group}", len(LABELS)) for group in groups)
    return PictureLine(f"{TRAINED}{cohort}", heads, LABELS * len(groups), tuple(cells))


def _cell(found: HeatMaps, row: Mapping[str, Any] | None, most: float) -> PictureCell | None:
    if row is None:
        return None
    place = int(row["place"])
    if place < 0:
        return PictureCell(None, "not available")
    images = plural(row["n_images"], "image")
    if row["n_images"] < row["n_available"]:
        images = f"{row['n_images']} of {plural(row['n_available'], 'image')}"
    drawn = partial(overlay, found.means[place], times_even(found.maps[place]) / most, SIDE)
    return PictureCell(drawn, f"{images}\n{plural(row['n_patients'], 'person')}")


def heat_figure(page: HeatPage) -> Any:
    """Lines of mean radiographs with the heat over them, and the scale below."""
    sheet, y = picture_sheet(page.lines, page.layout, BAR_ROOM, page.columns)
    _draw_bar(sheet, page, y)
    return sheet.figure


def _draw_bar(sheet: Sheet, page: HeatPage, y: float) -> None:
    """The colours of heat from none to the most, over a mid grey."""
    left, size = EDGE + NAMES, page.layout.small
    ground, heat = np.full((1, STEPS), GROUND, dtype=np.uint8), np.linspace(0.0, 1.0, STEPS)[None, :]
    sheet.spread(overlay(ground, heat, None), (left, y), (BAR, THICK))
    sheet.box((left, y), (BAR, THICK), facecolor="none", linewidth=0.4)
    for share, words in ((0.0, "0"), (0.5, decimal(page.most / 2, 1)), (1.0, decimal(page.most, 1))):
        sheet.write((left + share * BAR, y + THICK + 0.4), [words], size, ha="center")
    sheet.write((left + BAR + 3, y - 0.1), ["heat, times an even spread"], size)
