"""What a study file may say: pydantic models, frozen, unknown keys refused."""

from subgroup_audit.study.analysis import Analysis, Reference
from subgroup_audit.study.data import Balance, Cohort, Data, FindingRule, Rule, Split
from subgroup_audit.study.fits import Augmentation, EarlyStopping, Fits, Model, Recipe
from subgroup_audit.study.parts import AttributeValue, Name, Part, Share, ValueName
from subgroup_audit.study.whole import Study, study_schema, unknown_names

__all__ = [
    "Analysis",
    "AttributeValue",
    "Augmentation",
    "Balance",
    "Cohort",
    "Data",
    "EarlyStopping",
    "FindingRule",
    "Fits",
    "Model",
    "Name",
    "Part",
    "Recipe",
    "Reference",
    "Rule",
    "Share",
    "Split",
    "Study",
    "ValueName",
    "study_schema",
    "unknown_names",
]
