"""From a data set's tables to cohorts that can be compared: eligibility, labels, split, balance, flow."""

from subgroup_audit.cohort.design import CohortDesign, design_cohorts

__all__ = ["CohortDesign", "design_cohorts"]
