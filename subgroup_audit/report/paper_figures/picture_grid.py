"""Pictures in lines and columns with names at the left and above, and words below each: samples and heat maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.report.paper_figures.sheet import Sheet, in_lines, lines_height, note_look
from subgroup_audit.report.paper_figures.style import INK, RULE, Layout

# The width of the names at the left; between pictures; between lines; the widest picture; around all, mm.
NAMES, APART, BELOW, WIDEST, EDGE = 6.5, 1.0, 2.0, 30.0, 0.5
# The size of the words below a picture, points.
NOTE = 6.0


@dataclass(frozen=True, eq=False)
class PictureCell:
    """What makes a picture, and the words below it; words alone where there is none."""

    make: Callable[[], NDArray[np.uint8]] | None
    note: str


@dataclass(frozen=True)
class PictureLine:
    """A line of pictures.

    Attributes
    ----------
    name : stands at the left
    heads : names above, each over as many columns as it says
    labels : one above each column, below the heads; none where the line needs none
    cells : None where a column has nothing
    """

    name: str
    heads: tuple[tuple[str, int], ...]
    labels: tuple[str, ...]
    cells: tuple[PictureCell | None, ...]

    @property
    def above(self) -> tuple[Any, ...]:
        """All that stands above; a line below one with the same has it only once."""
        return self.heads, self.labels


def columns_that_fit(layout: Layout, smallest: float) -> int:
    """How many columns of pictures of this width, in mm, a line holds."""
    return max(1, int((layout.width - NAMES - 2 * EDGE + APART) / (smallest + APART)))


def picture_pages(lines: Sequence[PictureLine], layout: Layout, around: float) -> list[tuple[PictureLine, ...]]:
    """The lines as figures hold them beside so many mm of other things: in few figures, evenly filled."""
    side, room = _side_of(widest(lines), layout), layout.height - around - 2 * EDGE
    pages: list[tuple[PictureLine, ...]] = []
    for line in lines:
        if pages and _height((*pages[-1], line), side, layout) <= room:
            pages[-1] = (*pages[-1], line)
        else:
            pages.append((line,))
    each = -(-len(lines) // max(1, len(pages)))
    even = [tuple(lines[start : start + each]) for start in range(0, len(lines), each or 1)]
    return even if all(_height(page, side, layout) <= room for page in even) else pages


def picture_sheet(
    lines: Sequence[PictureLine], layout: Layout, around: float, columns: int
) -> tuple[Sheet, float]:
    """The lines drawn, so many columns wide, with so many mm of room below them; and where that room begins."""
    side = _side_of(columns, layout)
    befores, heights = [None, *lines[:-1]], _heights(lines, side, layout)
    sheet = Sheet(layout, sum(heights) + (around or -BELOW) + 2 * EDGE)
    y = EDGE
    for line, before, height in zip(lines, befores, heights, strict=True):
        top = y
        if before is None or before.above != line.above:
            top = _draw_above(sheet, line, side, y)
        _draw_line(sheet, line, side, top)
        y += height
    return sheet, y


def widest(lines: Sequence[PictureLine]) -> int:
    """The number of columns of the longest line."""
    return max((len(line.cells) for line in lines), default=1)


def _side_of(columns: int, layout: Layout) -> float:
    return min(WIDEST, (layout.width - NAMES - 2 * EDGE - APART * (columns - 1)) / columns)


def _left(column: int, side: float) -> float:
    return EDGE + NAMES + column * (side + APART)


def _height(lines: Sequence[PictureLine], side: float, layout: Layout) -> float:
    return sum(_heights(lines, side, layout))


def _heights(lines: Sequence[PictureLine], side: float, layout: Layout) -> list[float]:
    befores = [None, *lines[:-1]]
    return [_line_height(line, side, layout, before=before) for line, before in zip(lines, befores, strict=True)]


def _line_height(line: PictureLine, side: float, layout: Layout, *, before: PictureLine | None) -> float:
    """The height of a line with what stands above it, where that is not the same as above the line before."""
    is_new = before is None or before.above != line.above
    notes = max((len(_note(cell, side)) for cell in line.cells if cell and cell.make is not None), default=0)
    return (_above_height(line, side, layout) if is_new else 0.0) + side + lines_height(notes, NOTE) + BELOW


def _above_height(line: PictureLine, side: float, layout: Layout) -> float:
    heads = max((len(words) for words in _heads(line, side, layout)), default=0)
    labels = max((len(in_lines(label, side, layout.small, most=2)) for label in line.labels), default=0)
    return lines_height(heads + labels, layout.small) + 0.8


def _heads(line: PictureLine, side: float, layout: Layout) -> list[list[str]]:
    return [
        in_lines(head, span * (side + APART) - APART, layout.small, most=3, is_bold=True)
        for head, span in line.heads
    ]


def _draw_above(sheet: Sheet, line: PictureLine, side: float, y: float) -> float:
    """Write the heads, a rule below each that spans columns, and the labels; where the pictures begin."""
    layout, column = sheet.layout, 0
    words = _heads(line, side, layout)
    below = y + lines_height(max((len(one) for one in words), default=0), layout.small)
    for (_, span), head in zip(line.heads, words, strict=True):
        left, right = _left(column, side), _left(column + span - 1, side) + side
        look = {"va": "baseline", "ha": "center", "fontweight": "bold"}
        sheet.write(((left + right) / 2, below - 0.75), head, layout.small, **look)
        if span > 1 and line.labels:
            sheet.path([(left, below), (right, below)], color=RULE)
        column += span
    for place, label in enumerate(line.labels):
        text = in_lines(label, side, layout.small, most=2)
        sheet.write((_left(place, side) + side / 2, below + 0.3), text, layout.small, ha="center")
    return y + _above_height(line, side, layout)


def _draw_line(sheet: Sheet, line: PictureLine, side: float, y: float) -> None:
    layout = sheet.layout
    name = in_lines(line.name, side, layout.small, most=2, is_bold=True)
    look = {"rotation": 90, "rotation_mode": "default", "ha": "center", "va": "center", "fontweight": "bold"}
    sheet.write((EDGE + NAMES / 2 - 0.4, y + side / 2), name, layout.small, **look)
    for column, cell in enumerate(line.cells):
        left = _left(column, side)
        if cell is None:
            continue
        if cell.make is None:
            sheet.box((left, y), (side, side), edgecolor=RULE, facecolor="white", hatch="////")
            words = in_lines(cell.note, side - 2, NOTE, most=4)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
            place = (left + side / 2, y + side / 2)
            sheet.write(place, words, NOTE, ha="center", va="center", color=INK, bbox=box)
            continue
        sheet.picture(cell.make(), (left, y), side)
        sheet.write((left + side / 2, y + side + 0.4), _note(cell, side), NOTE, **note_look())


def _note(cell: PictureCell, side: float) -> list[str]:
    """Each line of the words below a picture, broken where it is wider."""
    return [line for part in cell.note.split("\n") for line in in_lines(part, side, NOTE, most=2)]
