"""Arrays in, numbers out: AUCs, their gaps, and what can be said of them.

Knows nothing of studies, cohorts or files. numba, scikit-learn and statsmodels are imported by the functions
that need them, when they do.
"""

from subgroup_audit.stats.area import auc, macro_auc
from subgroup_audit.stats.averages import average_auc, stratified_auc
from subgroup_audit.stats.bootstrap import (
    bootstrap_interval,
    bootstrap_variance,
    standard_error_of,
    stratified_auc_replicates,
)
from subgroup_audit.stats.components import AucComponents, auc_components, auc_covariance, shared_persons
from subgroup_audit.stats.cross import xauc_gap
from subgroup_audit.stats.equivalence import Verdict, equivalence_verdict
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.groups import GroupRange, WorstGroup, range_over_groups, worst_group
from subgroup_audit.stats.intervals import auc_interval, estimate_auc
from subgroup_audit.stats.linear import auc_contrast, combine
from subgroup_audit.stats.multiplicity import adjust_p_values
from subgroup_audit.stats.permutation import permutation_gap_test
from subgroup_audit.stats.persons import PersonDraws
from subgroup_audit.stats.power import (
    SampleSize,
    binormal_auc_variance,
    gap_power,
    minimal_detectable_gap,
    required_sample_size,
)
from subgroup_audit.stats.results import Estimate, GapEstimate, Interval, SeedEstimate
from subgroup_audit.stats.seeds import average_over_seeds, seed_gap
from subgroup_audit.stats.sides import SidePool, pool_sides
from subgroup_audit.stats.simultaneous import SimultaneousLimits, max_t
from subgroup_audit.stats.spread import Spread, auc_spread, spread_of

__all__ = [
    "AucComponents",
    "Estimate",
    "GapEstimate",
    "GroupRange",
    "Interval",
    "PersonDraws",
    "SampleSize",
    "SeedEstimate",
    "SidePool",
    "SimultaneousLimits",
    "Spread",
    "Verdict",
    "WorstGroup",
    "adjust_p_values",
    "auc",
    "auc_components",
    "auc_contrast",
    "auc_covariance",
    "auc_gap",
    "auc_interval",
    "auc_spread",
    "average_auc",
    "average_over_seeds",
    "binormal_auc_variance",
    "bootstrap_interval",
    "bootstrap_variance",
    "combine",
    "equivalence_verdict",
    "estimate_auc",
    "gap_power",
    "macro_auc",
    "max_t",
    "minimal_detectable_gap",
    "permutation_gap_test",
    "pool_sides",
    "range_over_groups",
    "required_sample_size",
    "seed_gap",
    "shared_persons",
    "spread_of",
    "standard_error_of",
    "stratified_auc",
    "stratified_auc_replicates",
    "worst_group",
    "xauc_gap",
]
