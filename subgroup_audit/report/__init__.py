"""From stored numbers to files: the page, its figures and its tables. Shows numbers and never computes one."""

from subgroup_audit.report.contents import Problem, RunContents, Sample
from subgroup_audit.report.page import render_report

__all__ = ["Problem", "RunContents", "Sample", "render_report"]
