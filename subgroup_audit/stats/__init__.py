"""Arrays in, numbers out: AUCs, their gaps, and what can be said of them.

Knows nothing of studies, cohorts or files. numba, scikit-learn and statsmodels are imported by the functions
that need them, when they do.
"""

from subgroup_audit.stats.adjusted import adjusted_auc_gap, placement_regression
from subgroup_audit.stats.area import auc, macro_auc
from subgroup_audit.stats.average_precision import average_precision, measure_average_precision
from subgroup_audit.stats.averages import average_auc, stratified_auc, stratified_auc_gap, within_strata
from subgroup_audit.stats.bootstrap import (
    bootstrap_interval,
    bootstrap_variance,
    standard_error_of,
    stratified_auc_replicates,
)
from subgroup_audit.stats.calibration import calibration_interval, measure_calibration
from subgroup_audit.stats.components import (
    AucComponents,
    auc_components,
    auc_covariance,
    components_by_model,
    shared_persons,
)
from subgroup_audit.stats.cross import xauc_components, xauc_gap
from subgroup_audit.stats.design import (
    PlannedCell,
    PlannedPair,
    design_effect,
    plan_cell,
    plan_pair,
    planned_covariance,
)
from subgroup_audit.stats.equivalence import Verdict, equivalence_verdict
from subgroup_audit.stats.exchange import exchange_test
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.groups import GroupRange, WorstGroup, range_over_groups, worst_group
from subgroup_audit.stats.intervals import auc_interval, estimate_auc
from subgroup_audit.stats.label_flips import FlipRate, label_flip_rate
from subgroup_audit.stats.linear import auc_contrast, combine
from subgroup_audit.stats.matching import common_mix, matched_auc_gap
from subgroup_audit.stats.means import MeanEstimate, clustered_mean
from subgroup_audit.stats.measurement import Measurement, measure_auc, measurement_gap
from subgroup_audit.stats.mixes import AdjustedGap, MixedComponents, gap_change, gap_replicates
from subgroup_audit.stats.multiplicity import adjust_p_values
from subgroup_audit.stats.operating_points import choose_threshold, cross_fit_thresholds, parse_rule
from subgroup_audit.stats.packed import LabelledImages, PackedComponents
from subgroup_audit.stats.parity import PARITIES, measure_parities, measure_parity
from subgroup_audit.stats.permutation import permutation_gap_test, permutation_pair_test
from subgroup_audit.stats.persons import PersonDraws
from subgroup_audit.stats.power import (
    SampleSize,
    binormal_auc_variance,
    equivalence_power,
    gap_power,
    minimal_detectable_gap,
    required_sample_size,
)
from subgroup_audit.stats.ranked import RankedScores, rank_scores
from subgroup_audit.stats.rates import RATES, decide, measure_net_benefit, measure_rate, net_benefit, rate_interval
from subgroup_audit.stats.reliability import (
    BinnedScores,
    decompose_brier,
    expected_calibration_error,
    measure_error,
    plain_error,
    reliability_curve,
)
from subgroup_audit.stats.results import Estimate, GapEstimate, Interval, SeedEstimate
from subgroup_audit.stats.seeds import average_over_seeds, seed_gap
from subgroup_audit.stats.sides import SidePool, pool_sides
from subgroup_audit.stats.simultaneous import SimultaneousLimits, max_t
from subgroup_audit.stats.spread import Spread, auc_spread, spread_of
from subgroup_audit.stats.threshold_curves import decision_curve, threshold_curve
from subgroup_audit.stats.weighting import group_weights, weighted_auc_components, weighted_auc_gap

__all__ = [
    "PARITIES",
    "RATES",
    "AdjustedGap",
    "AucComponents",
    "BinnedScores",
    "Estimate",
    "FlipRate",
    "GapEstimate",
    "GroupRange",
    "Interval",
    "LabelledImages",
    "MeanEstimate",
    "Measurement",
    "MixedComponents",
    "PackedComponents",
    "PersonDraws",
    "PlannedCell",
    "PlannedPair",
    "RankedScores",
    "SampleSize",
    "SeedEstimate",
    "SidePool",
    "SimultaneousLimits",
    "Spread",
    "Verdict",
    "WorstGroup",
    "adjust_p_values",
    "adjusted_auc_gap",
    "auc",
    "auc_components",
    "auc_contrast",
    "auc_covariance",
    "auc_gap",
    "auc_interval",
    "auc_spread",
    "average_auc",
    "average_over_seeds",
    "average_precision",
    "binormal_auc_variance",
    "bootstrap_interval",
    "bootstrap_variance",
    "calibration_interval",
    "choose_threshold",
    "clustered_mean",
    "combine",
    "common_mix",
    "components_by_model",
    "cross_fit_thresholds",
    "decide",
    "decision_curve",
    "decompose_brier",
    "design_effect",
    "equivalence_power",
    "equivalence_verdict",
    "estimate_auc",
    "exchange_test",
    "expected_calibration_error",
    "gap_change",
    "gap_power",
    "gap_replicates",
    "group_weights",
    "label_flip_rate",
    "macro_auc",
    "matched_auc_gap",
    "max_t",
    "measure_auc",
    "measure_average_precision",
    "measure_calibration",
    "measure_error",
    "measure_net_benefit",
    "measure_parities",
    "measure_parity",
    "measure_rate",
    "measurement_gap",
    "minimal_detectable_gap",
    "net_benefit",
    "parse_rule",
    "permutation_gap_test",
    "permutation_pair_test",
    "placement_regression",
    "plain_error",
    "plan_cell",
    "plan_pair",
    "planned_covariance",
    "pool_sides",
    "range_over_groups",
    "rank_scores",
    "rate_interval",
    "reliability_curve",
    "required_sample_size",
    "seed_gap",
    "shared_persons",
    "spread_of",
    "standard_error_of",
    "stratified_auc",
    "stratified_auc_gap",
    "stratified_auc_replicates",
    "threshold_curve",
    "weighted_auc_components",
    "weighted_auc_gap",
    "within_strata",
    "worst_group",
    "xauc_components",
    "xauc_gap",
]
