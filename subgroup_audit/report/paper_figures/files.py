"""The paper's figures as SVG, PDF and PNG. No dates are written, so the same numbers give the same files."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any

from subgroup_audit.report.paper_figures.makers import Draw
from subgroup_audit.report.paper_figures.style import ONE_COLUMN, Layout, style_of

FORMATS = ("svg", "pdf", "png")
NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
# Fewer figures than this are drawn faster by one process than shared out.
FEW = 4
MOST_HANDS = 4
# What matplotlib writes at every picture of an SVG.
SQUARE_DOTS = ' style="image-rendering:crisp-edges;image-rendering:pixelated"'


def write_figures(makers: Mapping[str, Draw], folder: Path, layout: Layout = ONE_COLUMN) -> list[Path]:
    """The paths of the figures written: one SVG, PDF and PNG for each of the makers.

    Most of the time goes into the fonts of each PDF, so where processes can be forked several draw side by side.
    """
    if not makers:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [path for name in makers for path in _paths(folder, name)]
    for path in paths:
        path.unlink(missing_ok=True)
    with _drawing(layout):
        if sys.platform == "linux" and len(makers) >= FEW:
            _share_out(makers, folder, layout)
        else:
            for name, draw in makers.items():
                _save(draw(), folder, name, layout)
    return paths


@contextmanager
def _drawing(layout: Layout) -> Iterator[None]:
    """matplotlib with the layout's letters and lines, and with all that saving needs loaded once."""
    import matplotlib

    for suffix in ("agg", *FORMATS):
        if suffix != "png":
            import_module(f"matplotlib.backends.backend_{suffix}")
    with matplotlib.rc_context(style_of(layout)), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the page and the tables show it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        # Children draw and end; they use no lock that another thread of this process could hold.
        warnings.filterwarnings("ignore", message=r".*multi-threaded, use of fork", category=DeprecationWarning)
        with _uncollected():
            yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """A block without looking for garbage: figures are made of cycles, and the looking takes a fifth of it all."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _share_out(makers: Mapping[str, Draw], folder: Path, layout: Layout) -> None:
    """Draw with several processes, each taking the next figure that nobody has taken.

    What a child could not draw is drawn here, so that its error is raised where the caller sees it.
    """
    context: ForkContext = multiprocessing.get_context("fork")
    taken = context.Value("i", 0)
    names = list(makers)

    def draw_some() -> None:
        while (place := _next_place(taken)) < len(names):
            _save(makers[names[place]](), folder, names[place], layout)

    hands = min(len(os.sched_getaffinity(0)), MOST_HANDS, len(names))
    children = [context.Process(target=_quietly, args=(draw_some,)) for _ in range(hands - 1)]
    for child in children:
        child.start()
    try:
        draw_some()
    finally:
        for child in children:
            child.join()
    for name in names:
        if not all(path.is_file() for path in _paths(folder, name)):
            _save(makers[name](), folder, name, layout)


def _next_place(taken: Any) -> int:
    with taken.get_lock():
        taken.value += 1
        return int(taken.value) - 1


def _quietly(draw_some: Draw) -> None:
    """Draw in a child; its error is found by the file that is missing."""
    with suppress(Exception):
        draw_some()


def _paths(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.{suffix}" for suffix in FORMATS]


def _save(figure: Any, folder: Path, name: str, layout: Layout) -> None:
    """Write one figure's files. The layout is found once for every format: finding it takes the time.

    Without a layout engine afterwards, as every save would otherwise draw the figure twice. A file gets its
    name when it is whole.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    for path in _paths(folder, name):
        partial = path.with_name(f".{path.name}")
        figure.savefig(partial, format=path.suffix[1:], dpi=layout.dpi, metadata=NO_DATE[path.suffix[1:]])
        if path.suffix == ".svg":
            _smooth(partial)
        partial.replace(path)


def _smooth(svg: Path) -> None:
    """Take out that enlarged pictures keep square dots: without a word on it they are shown smooth."""
    text = svg.read_text(encoding="utf-8")
    if SQUARE_DOTS in text:
        svg.write_text(text.replace(SQUARE_DOTS, ""), encoding="utf-8")
