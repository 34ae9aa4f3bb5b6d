"""The paper's figures as SVG, PDF and PNG. No dates are written, so the same numbers give the same files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.paper_figures.makers import figure_makers
from subgroup_audit.report.paper_figures.style import ONE_COLUMN, Layout, style_of

FORMATS = ("svg", "pdf", "png")
NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def write_figures(contents: RunContents, folder: Path, layout: Layout = ONE_COLUMN) -> list[Path]:
    """The paths of the figures written: one SVG, PDF and PNG for each of `figure_makers`."""
    makers = figure_makers(contents, layout)
    if not makers:
        return []
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(style_of(layout)), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the page and the tables show it.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        for name, draw in makers.items():
            written += _save(draw(), folder, name, layout)
    return written


def _save(figure: Any, folder: Path, name: str, layout: Layout) -> list[Path]:
    """The paths of one figure's files. The layout is found once for every format: finding it takes the time.

    Without a layout engine afterwards, as every save would otherwise draw the figure twice.
    """
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    paths = [folder / f"{name}.{suffix}" for suffix in FORMATS]
    for path in paths:
        figure.savefig(path, dpi=layout.dpi, metadata=NO_DATE[path.suffix[1:]])
    return paths
