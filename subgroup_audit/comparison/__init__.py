"""Two runs or two models in, their differences out, paired on the same persons and images."""

from subgroup_audit.comparison.compare import compare, compare_runs
from subgroup_audit.comparison.result import ComparisonResult

__all__ = ["ComparisonResult", "compare", "compare_runs"]
