"""The paper's figures, drawn with matplotlib from the same rows as the page, at a journal's width."""

from subgroup_audit.report.paper_figures.files import write_figures
from subgroup_audit.report.paper_figures.makers import PaperFigure, figure_makers
from subgroup_audit.report.paper_figures.style import LAYOUTS, ONE_COLUMN, Layout, layout_of

__all__ = ["LAYOUTS", "ONE_COLUMN", "Layout", "PaperFigure", "figure_makers", "layout_of", "write_figures"]
