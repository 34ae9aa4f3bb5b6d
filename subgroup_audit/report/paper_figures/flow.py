"""The flow from the images of the source to the cohorts, as a paper shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from subgroup_audit.report.cohort_figures import FlowColumn, FlowStep
from subgroup_audit.report.numerals import count, plural
from subgroup_audit.report.paper_figures.sheet import Sheet, in_lines, lines_height, words_width
from subgroup_audit.report.paper_figures.style import BAND, SOFT, Layout

# Millimetres: inside a box; between boxes; around reasons beside an arrow; between cohorts; from the boxes
# above to the line that leads to the cohorts; at the edge.
INSIDE, BETWEEN, ROOM, APART, BUS, EDGE = 1.2, 4.0, 1.8, 6.0, 2.5, 0.4
# The narrowest column of a cohort, and the room at the left for the line to further rows of cohorts, mm.
NARROWEST, TRUNK = 40.0, 3.0
# Reasons that are named beside one arrow.
MAX_REASONS = 12


@dataclass(frozen=True)
class FlowPage:
    """What one figure shows: the steps of all cohorts or where these ended, and rows of cohorts below."""

    shared: FlowColumn | None
    rows: tuple[tuple[FlowColumn, ...], ...]


@dataclass(frozen=True)
class _Place:
    """Where a column's boxes lie: left edge and width; where its arrows run; where its reasons lie."""

    left: float
    width: float
    arrow: float
    beside: float
    beside_width: float


@dataclass(frozen=True)
class _Box:
    """A box with its words, and the reasons beside the arrow that leads to it."""

    title: tuple[str, ...]
    words: tuple[str, ...]
    reasons: tuple[str, ...]
    size: float
    is_end: bool = False

    @property
    def height(self) -> float:
        return lines_height(len(self.title) + len(self.words), self.size) + 2 * INSIDE

    @property
    def gap(self) -> float:
        """The height above the box that its arrow takes."""
        return BETWEEN if not self.reasons else self.reasons_height + 2 * ROOM

    @property
    def reasons_height(self) -> float:
        return lines_height(len(self.reasons), self.size) + 2 * INSIDE


def flow_pages(columns: Sequence[FlowColumn], layout: Layout) -> list[FlowPage]:
    """The flow as figures hold it: as many rows of cohorts on each as a page is high."""
    shared = next((column for column in columns if not column.cohort), None)
    cohorts = [column for column in columns if column.cohort]
    across = min(len(cohorts), int((layout.width - TRUNK) / NARROWEST)) or 1
    across = -(-len(cohorts) // -(-len(cohorts) // across)) if cohorts else 1
    rows = [tuple(cohorts[start : start + across]) for start in range(0, len(cohorts), across)]
    pages, left = [FlowPage(shared, ())], layout.height - _shared_height(shared, layout)
    for row in rows:
        height = APART + _row_height(row, layout, across)
        if height > left and pages[-1] != FlowPage(None, ()):
            end = _last_of(shared)
            pages.append(FlowPage(end, ()))
            left = layout.height - _shared_height(end, layout)
        pages[-1] = FlowPage(pages[-1].shared, (*pages[-1].rows, row))
        left -= height
    return pages


def _last_of(shared: FlowColumn | None) -> FlowColumn | None:
    """Where the steps of all cohorts ended, to begin a further page with."""
    if shared is None or not shared.steps:
        return None
    last = shared.steps[-1]
    ended = FlowStep(f"{last.step} (continued)", (), last.left_images, last.left_patients)
    return FlowColumn("", (ended,))


def flow_figure(page: FlowPage, layout: Layout) -> Any:
    """Boxes from the source down to each cohort's splits; beside the arrows what was left out, and why."""
    across = max((len(row) for row in page.rows), default=1)
    heights = [_row_height(row, layout, across) for row in page.rows]
    top = _shared_height(page.shared, layout)
    sheet = Sheet(layout, top + sum(APART + height for height in heights) + 2 * EDGE)
    bottom = EDGE
    if page.shared is not None:
        place = _shared_place(layout)
        bottom = _draw_boxes(sheet, list(_boxes(page.shared, place, layout)), place, EDGE)
    _draw_rows(sheet, page, heights, (bottom, across))
    return sheet.figure


def _draw_rows(sheet: Sheet, page: FlowPage, heights: Sequence[float], ends: tuple[float, int]) -> None:
    """The cohorts below the shared steps, and the line that leads to them."""
    (bottom, across), layout = ends, sheet.layout
    start, has_trunk = _shared_place(layout).arrow, page.shared is not None
    y = bottom
    for number, (row, height) in enumerate(zip(page.rows, heights, strict=True)):
        bus = y + BUS
        places = [_cohort_place(place, across, layout) for place in range(len(row))]
        if has_trunk:
            arrows = [place.arrow for place in places]
            reach = [EDGE] if len(page.rows) > 1 else []
            ends_at = [*arrows, start] if number == 0 else arrows
            sheet.path([(start, y), (start, bus)] if number == 0 else [(EDGE, bottom + BUS), (EDGE, bus)])
            sheet.path([(min([*ends_at, *reach]), bus), (max(ends_at), bus)])
        for column, place in zip(row, places, strict=True):
            boxes = list(_boxes(column, place, layout))
            _draw_boxes(sheet, boxes, place, y + APART, from_y=bus if has_trunk else None)
        y += APART + height


def _shared_place(layout: Layout) -> _Place:
    if layout.is_wide:
        return _Place(32.0, 56.0, 60.0, 66.0, layout.width - 66.0 - EDGE)
    return _Place(EDGE, 50.0, 25.0, 30.0, layout.width - 30.0 - EDGE)


def _cohort_place(number: int, across: int, layout: Layout) -> _Place:
    width = min(60.0, (layout.width - TRUNK - EDGE - APART * (across - 1)) / across)
    left = TRUNK + number * (width + APART)
    return _Place(left, width, left + 4.0, left + 8.0, width - 8.0)


def _shared_height(shared: FlowColumn | None, layout: Layout) -> float:
    return 0.0 if shared is None else _height(list(_boxes(shared, _shared_place(layout), layout)))


def _row_height(row: Sequence[FlowColumn], layout: Layout, across: int) -> float:
    place = _cohort_place(0, across, layout)
    return max(_height(list(_boxes(column, place, layout))) for column in row)


def _height(boxes: Sequence[_Box]) -> float:
    """The height of a column; the arrow to its first box stands above it unless reasons stand beside it."""
    return sum(_gap(number, box) + box.height for number, box in enumerate(boxes))


def _gap(number: int, box: _Box) -> float:
    return box.gap if number or box.reasons else 0.0


def _boxes(column: FlowColumn, place: _Place, layout: Layout) -> Iterator[_Box]:
    """The boxes of a column from above, the splits as one box at its end."""
    size, width = layout.small, place.width - 2 * INSIDE
    for number, step in enumerate(column.steps):
        is_named = bool(column.cohort) and number == 0
        name = column.cohort if is_named else f"{step.step[:1].upper()}{step.step[1:]}"
        title = in_lines(name, width, size, most=2, is_bold=True)
        said = _step_words(step, f"{step.step}: " if is_named else "")
        words = [line for text in said for line in _said_lines(text, width, size)]
        reasons = [
            line
            for text in _reasons(step)
            for line in in_lines(text, place.beside_width - 2 * INSIDE, size, most=4)
        ]
        yield _Box(tuple(title), tuple(words), tuple(reasons), size)
    if column.splits:
        title = [] if column.steps else in_lines(column.cohort, width, size, most=2, is_bold=True)
        words = [
            line for part in column.splits for said in _step_words(part, f"{part.step}: ")
            for line in _said_lines(said, width, size)
        ]  # fmt: skip
        yield _Box(tuple(title), tuple(words), (), size, is_end=True)


def _step_words(step: FlowStep, before: str) -> list[str]:
    """How many are left, and the steps that left nothing out."""
    sizes = [] if step.left_images is None else [plural(step.left_images, "image")]
    sizes += [] if step.left_patients is None else [plural(step.left_patients, "person")]
    said = [f"{before}{', '.join(sizes)}".removesuffix(": ")] if sizes or before else []
    return [*said, f"Nothing left out at: {', '.join(step.quiet)}"] if step.quiet else said


def _said_lines(text: str, width: float, size: float) -> list[str]:
    """The words of a box in lines; where they need several, what stands before the numbers has its own."""
    lines = in_lines(text, width, size)
    before, mark, rest = text.partition(": ")
    if len(lines) > 1 and mark and rest[:1].isdigit():
        return [*in_lines(f"{before}:", width, size, most=2), *in_lines(rest, width, size)]
    return lines


def _reasons(step: FlowStep) -> list[str]:
    """What was left out and why, the largest of more than a few."""
    shown = list(step.exclusions)
    if len(shown) > MAX_REASONS:
        shown = sorted(shown, key=lambda one: -one[1])[: MAX_REASONS - 1]
    words = [
        f"−{count(images)} {reason}" + ("" if persons is None else f" (of {plural(persons, 'person')})")
        for reason, images, persons in shown
    ]
    rest = len(step.exclusions) - len(shown)
    images = sum(one[1] for one in step.exclusions) - sum(one[1] for one in shown)
    return [*words, f"−{count(images)} for {plural(rest, 'more reason')}: tables/flow.csv"] if rest else words


def _draw_boxes(
    sheet: Sheet, boxes: Sequence[_Box], place: _Place, y: float, *, from_y: float | None = None
) -> float:
    """Draw a column from its upper end, an arrow to each box; the lower end of its last box."""
    end = from_y
    for number, box in enumerate(boxes):
        top = y + _gap(number, box)
        if end is not None or box.reasons:
            sheet.path([(place.arrow, y if end is None else end), (place.arrow, top)], has_head=True)
        if box.reasons:
            _draw_reasons(sheet, box, place, top)
        look = {"facecolor": BAND} if box.is_end else {}
        sheet.box((place.left, top), (place.width, box.height), **look)
        at = top + INSIDE
        at += sheet.write((place.left + INSIDE, at), box.title, box.size, fontweight="bold")
        sheet.write((place.left + INSIDE, at), box.words, box.size)
        y = end = top + box.height
    return y


def _draw_reasons(sheet: Sheet, box: _Box, place: _Place, top: float) -> None:
    """What was left out before a box, in a box of its own beside the arrow."""
    at = top - box.gap + ROOM
    middle = at + box.reasons_height / 2
    sheet.path([(place.arrow, middle), (place.beside, middle)], has_head=True)
    width = max(words_width(line, box.size) for line in box.reasons) + 2 * INSIDE
    sheet.box((place.beside, at), (min(width + 0.5, place.beside_width), box.reasons_height), edgecolor=SOFT)
    sheet.write((place.beside + INSIDE, at + INSIDE), box.reasons, box.size)
