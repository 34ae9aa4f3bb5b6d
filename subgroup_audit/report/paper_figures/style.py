"""How the paper's figures look: journal layouts, letters, colours and marks.

Lengths are millimetres and letters are points, as instructions to authors state them. matplotlib is imported
when a figure is made. No pyplot, so no state is shared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any
from unicodedata import category

from subgroup_audit.errors import ReportError, nearest

MM_PER_INCH = 25.4
LONGEST_NAME = 44
# What `--cohort` says for every training cohort, unless one has this name.
EVERY_COHORT = "every"
# The mean width of a letter of names and numbers in DejaVu Sans, as a share of its size.
LETTER_WIDTH = 0.58
INK, SOFT, RULE, BAND = "#1b1f24", "#5b6472", "#d5d9df", "#dfe9f3"
TRAIN, VAL = "#b84300", "#0067a5"
# Verdicts differ by mark and by word; the colours only repeat them.
COLOURS = {"gap": "#b84300", "equal": "#00704f", "inconclusive": SOFT, "absent": SOFT, "descriptive": SOFT}
MARKERS = {"gap": "D", "equal": "o", "inconclusive": "o", "absent": "x", "descriptive": "s"}


@dataclass(frozen=True)
class Layout:
    """How large a figure is printed, and whose curves and decisions are.

    Attributes
    ----------
    name : what `--journal` says
    width : of a figure, mm
    full_width : of a page's text, mm: for a figure that is not legible within `width`
    height : of the tallest figure, mm
    font, small : size of letters, points; nothing is smaller than 6
    dpi : dots per inch of the PNG at its printed size
    cohorts : training cohorts whose curves and decisions are drawn; empty: the first; `EVERY_COHORT` alone: each
    """

    name: str
    width: float
    full_width: float
    height: float = 234.0
    font: float = 7.5
    small: float = 6.5
    dpi: int = 300
    cohorts: tuple[str, ...] = ()

    @property
    def is_wide(self) -> bool:
        """Whether the figure has the width of two columns."""
        return self.width >= self.full_width

    @property
    def words(self) -> str:
        """How wide its figures are."""
        if self.is_wide:
            return f"{self.width:g} mm"
        return f"{self.width:g} mm, or {self.full_width:g} mm where that is too narrow"

    def letters(self, width: float) -> int:
        """How many small letters of mixed text so many mm hold."""
        return max(4, int(width / (LETTER_WIDTH * self.small * MM_PER_INCH / 72)))

    def widened(self) -> Layout:
        """The same journal's layout over the full width."""
        return replace(self, width=self.full_width)

    def figure(self, height: float) -> Any:
        """A new, empty figure of the layout's width and so many mm of height."""
        return new_figure(self.width / MM_PER_INCH, height / MM_PER_INCH)


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout for layout in (Layout("one-column", 88, 180), Layout("two-column", 180, 180))
}
ONE_COLUMN = LAYOUTS["one-column"]


def layout_of(journal: str, cohorts: Sequence[str] = ()) -> Layout:
    """The layout that a journal's name stands for, with the training cohorts whose curves and decisions are drawn.

    Raises
    ------
    ReportError : no layout has this name; the nearest is named
    """
    if journal not in LAYOUTS:
        near = nearest(journal, LAYOUTS) or list(LAYOUTS)
        raise ReportError(f"--journal {journal}: there is no such layout; nearest: {', '.join(near)}")
    return replace(LAYOUTS[journal], cohorts=tuple(cohorts))


def style_of(layout: Layout) -> dict[str, Any]:
    """matplotlib's settings for a layout."""
    return {
        "font.size": layout.font,
        "font.family": "DejaVu Sans",
        "figure.titlesize": layout.font,
        "axes.titlesize": layout.font,
        "axes.labelsize": layout.font,
        "xtick.labelsize": layout.small,
        "ytick.labelsize": layout.small,
        "legend.fontsize": layout.small,
        "lines.linewidth": 1.0,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "subgroup_audit",
        "text.parse_math": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": SOFT,
        "hatch.linewidth": 0.6,
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.03,
    }


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that can be saved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def head(figure: Any, layout: Layout, text: str) -> None:
    """Write a figure's title at its upper left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=layout.font)


def file_name(key: str) -> str:
    """A name as part of a file name: letters, digits, dots and dashes, of at most 60 characters.

    >>> file_name("macro mean / resnet50 / default")
    'macro-mean-resnet50-default'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")[:60] or "unnamed"


def short(name: str, longest: int = LONGEST_NAME) -> str:
    """The name on one line, without invisible marks, cut with an ellipsis where it is too long for a figure."""
    visible = "".join(letter for letter in name if category(letter) != "Cf")
    flat = " ".join(visible.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def wrapped(text: str, layout: Layout, width: float) -> str:
    """The text on as many lines as a width in mm needs."""
    return "\n".join(wrap(text, layout.letters(width)))


def row_name(label: str, context: str) -> str:
    """A row's name with its context in brackets."""
    return f"{label} ({context})" if context else label
