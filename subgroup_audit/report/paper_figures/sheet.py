"""A figure as a sheet in millimetres: words, boxes, arrows and pictures at computed places, not plotted ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from subgroup_audit.report.paper_figures.style import INK, MM_PER_INCH, SOFT, Layout, short

POINT = MM_PER_INCH / 72
# From one line of words to the next, in sizes of the letters.
LINE_STEP = 1.2
# Of a letter that the font has not, in sizes; it is drawn as a box.
UNKNOWN_LETTER = 0.6
# Pictures have no more dots than this to the inch, so that files stay small.
PICTURE_DPI = 200
# Where a line may end: at a space, but not between a number and what it counts.
BREAK = re.compile(r"(?<!\d)(?<!\(of) |(?<!\(of) (?!(?:images?|persons?)\b)")


class Sheet:
    """An empty figure whose places are millimetres from its upper left."""

    def __init__(self, layout: Layout, height: float) -> None:
        self.layout = layout
        self.figure = layout.figure(height)
        # Nothing is left to be laid out.
        self.figure.set_layout_engine("none")
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, layout.width), ylim=(height, 0), xticks=[], yticks=[])
        self._axes.set_axis_off()

    def write(self, at: tuple[float, float], lines: Sequence[str], size: float, **look: Any) -> float:
        """Write lines below a place; how many mm they take."""
        look = {"ha": "left", "va": "top", "color": INK, "linespacing": LINE_STEP, **look}
        if lines:
            self._axes.text(*at, "\n".join(lines), fontsize=size, **look)
        return lines_height(len(lines), size)

    def box(self, at: tuple[float, float], size: tuple[float, float], **look: Any) -> None:
        """Draw a box by its upper left and its width and height."""
        from matplotlib.patches import Rectangle

        style: dict[str, Any] = {"facecolor": "white", "edgecolor": INK, "linewidth": 0.6, **look}
        self._axes.add_patch(Rectangle(at, *size, **style))

    def path(self, places: Sequence[tuple[float, float]], *, has_head: bool = False, color: str = INK) -> None:
        """Draw a line through places, with an arrowhead at its end if it has one."""
        self._axes.plot(*zip(*places, strict=True), color=color, linewidth=0.6, solid_joinstyle="miter")
        if has_head:
            self._axes.add_patch(_arrowhead(places[-2], places[-1]))

    def picture(self, pixels: NDArray[np.uint8], at: tuple[float, float], side: float) -> None:
        """Show a grey or coloured picture inside a square by its upper left, in the middle, as it is shaped."""
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        wide, tall = scale * width, scale * height
        x, y = at[0] + (side - wide) / 2, at[1] + (side - tall) / 2
        self.spread(resized(pixels, side), (x, y), (wide, tall))

    def spread(self, pixels: NDArray[np.uint8], at: tuple[float, float], size: tuple[float, float]) -> None:
        """Show a picture over a box by its upper left and its width and height."""
        (x, y), (wide, tall) = at, size
        image = _image_of(self._axes)
        image.set_data(np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels)
        image.set_extent((x, x + wide, y + tall, y))
        self._axes.add_image(image)


def _image_of(axes: Any) -> Any:
    """An image that keeps its own dots in SVG and PDF, and is smoothed where dots of the paper are painted."""
    from matplotlib.image import AxesImage

    class Picture(AxesImage):
        def draw(self, renderer: Any) -> None:
            self.set_interpolation("none" if renderer.option_scale_image() else "bicubic")
            super().draw(renderer)

    return Picture(axes, interpolation="none")


def _arrowhead(start: tuple[float, float], end: tuple[float, float]) -> Any:
    """A small filled triangle whose tip is the end of an upright or level line."""
    from matplotlib.patches import Polygon

    along = np.sign(np.subtract(end, start))
    across = along[::-1]
    base = np.asarray(end) - 1.3 * along
    corners = np.stack([np.asarray(end), base + 0.55 * across, base - 0.55 * across])
    return Polygon(corners, closed=True, color=INK, linewidth=0)


def resized(pixels: NDArray[np.uint8], side: float) -> NDArray[np.uint8]:
    """The picture with at most as many dots as a square of so many mm shows."""
    image = Image.fromarray(pixels)
    most = round(side / MM_PER_INCH * PICTURE_DPI)
    image.thumbnail((most, most), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


def lines_height(number: int, size: float) -> float:
    """The height of so many lines of words, mm."""
    return number * LINE_STEP * size * POINT


def in_lines(text: str, width: float, size: float, *, most: int = 3, is_bold: bool = False) -> list[str]:
    """The text on at most so many lines of a width in mm, broken at spaces, with an ellipsis where it is cut."""
    found: list[str] = []
    for word in filter(None, BREAK.split(short(text, 400))):
        joined = f"{found[-1]} {word}" if found else word
        if found and words_width(joined, size, is_bold=is_bold) <= width:
            found[-1] = joined
        else:
            found.append(word)
    if len(found) > most:
        found = [*found[: most - 1], f"{found[most - 1]} …"]
    return [_cut(line, width, size, is_bold=is_bold) for line in found]


def _cut(line: str, width: float, size: float, *, is_bold: bool) -> str:
    if words_width(line, size, is_bold=is_bold) <= width:
        return line
    kept = line.removesuffix(" …")
    while kept and words_width(f"{kept}…", size, is_bold=is_bold) > width:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def words_width(text: Iterable[str], size: float, *, is_bold: bool = False) -> float:
    """The width of a line of words, mm."""
    return POINT * size * sum(_letter_width(letter, is_bold=is_bold) for letter in text)


@cache
def _letter_width(letter: str, *, is_bold: bool) -> float:
    """The width of a letter in sizes, as the font has it before its dots are fitted to a screen's."""
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if is_bold else "normal")))
    if not font.get_char_index(ord(letter)):
        return UNKNOWN_LETTER
    font.set_size(100, 72)
    width = font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance
    return float(width) / 65536 / 100


def note_look() -> dict[str, Any]:
    """How small words below a picture look."""
    return {"ha": "center", "color": SOFT}
