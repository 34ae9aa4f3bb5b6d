"""What the page says of the files for a paper: text to copy, tables, figures and checklists with their links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from subgroup_audit.report.checklists import CHECKLISTS, filled_items
from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.paper_figures import Layout, figure_makers
from subgroup_audit.report.results_text import results_paragraphs
from subgroup_audit.report.tables import CAPTIONS, MAIN_TABLES, PAPER_TABLES


@dataclass(frozen=True)
class TableLinks:
    """A table by the name of its files, what it shows, whether it is laid out for a paper, and usually printed."""

    name: str
    caption: str
    is_for_paper: bool
    is_main: bool


@dataclass(frozen=True)
class ChecklistLink:
    """A checklist by its file, its name, and how many of its items hold something."""

    file: str
    title: str
    filled: int
    total: int


@dataclass(frozen=True)
class PaperLinks:
    """All that a paper can take from this run; figures by the name of their files."""

    results: tuple[str, ...]
    tables: tuple[TableLinks, ...]
    figures: tuple[str, ...]
    checklists: tuple[ChecklistLink, ...]
    layout: Layout


def paper_links(contents: RunContents, tables: Mapping[str, pd.DataFrame], layout: Layout) -> PaperLinks:
    """The files for a paper, tables that are laid out for it first."""
    named = [*(name for name in PAPER_TABLES if name in tables), *(n for n in tables if n not in PAPER_TABLES)]
    filled = filled_items(contents)
    return PaperLinks(
        results=tuple(results_paragraphs(contents)),
        tables=tuple(
            TableLinks(name, CAPTIONS[name], name in PAPER_TABLES, name in MAIN_TABLES) for name in named
        ),
        figures=tuple(figure_makers(contents, layout)),
        checklists=tuple(
            ChecklistLink(file, checklist.title, filled[file], len(checklist.items))
            for file, checklist in CHECKLISTS.items()
        ),
        layout=layout,
    )
