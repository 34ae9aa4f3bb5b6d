"""The tables that cross a module boundary: their columns, their checks, and nothing else.

Each table is a frozen dataclass around one frame. To hold one is to know that it is valid: construction brings
the columns to their declared types and lists every problem at once in a single `TableError`. Keys are strings,
since a leading zero is data. Frames are to be read, never changed in place.
"""

from subgroup_audit.schema.audits import (
    CASE_MIX_COLUMNS,
    CHECK_CONTRAST_COLUMNS,
    CHECK_ESTIMATE_COLUMNS,
    CONTRAST_COLUMNS,
    ESTIMATE_COLUMNS,
    SPREAD_COLUMNS,
    AuditResult,
)
from subgroup_audit.schema.fits import ACCURACY_COLUMNS, FIT_COLUMNS, History, Predictions, Stages
from subgroup_audit.schema.images import (
    BoxTable,
    CohortManifest,
    ExclusionTable,
    ImageTable,
    LabelTable,
    SourceTables,
    age_band,
)
from subgroup_audit.schema.performance import (
    CURVES,
    DIFFERENCE_COLUMNS,
    OPERATING_POINT_COLUMNS,
    PERFORMANCE_COLUMNS,
    PERFORMANCE_CURVE_COLUMNS,
    PERFORMANCE_GAP_COLUMNS,
)
from subgroup_audit.schema.reasons import (
    ADVANTAGE_COLUMNS,
    BOX_HEAT_COLUMNS,
    CAUSE_COLUMNS,
    CONTROL_COLUMNS,
    ENCODING_COLUMNS,
    ERROR_COUNT_COLUMNS,
    ORDER_CHECK_COLUMNS,
    PERSON_ERROR_COLUMNS,
    SALIENCY_COLUMNS,
    SAME_SCORE_COLUMNS,
    WATERFALL_COLUMNS,
)
from subgroup_audit.schema.tables import SEXES, SPLITS, UNKNOWN, VIEWS, Column, Kind, Table, conform_frame

__all__ = [
    "ACCURACY_COLUMNS",
    "ADVANTAGE_COLUMNS",
    "BOX_HEAT_COLUMNS",
    "CASE_MIX_COLUMNS",
    "CAUSE_COLUMNS",
    "CHECK_CONTRAST_COLUMNS",
    "CHECK_ESTIMATE_COLUMNS",
    "CONTRAST_COLUMNS",
    "CONTROL_COLUMNS",
    "CURVES",
    "DIFFERENCE_COLUMNS",
    "ENCODING_COLUMNS",
    "ERROR_COUNT_COLUMNS",
    "ESTIMATE_COLUMNS",
    "FIT_COLUMNS",
    "OPERATING_POINT_COLUMNS",
    "ORDER_CHECK_COLUMNS",
    "PERFORMANCE_COLUMNS",
    "PERFORMANCE_CURVE_COLUMNS",
    "PERFORMANCE_GAP_COLUMNS",
    "PERSON_ERROR_COLUMNS",
    "SALIENCY_COLUMNS",
    "SAME_SCORE_COLUMNS",
    "SEXES",
    "SPLITS",
    "SPREAD_COLUMNS",
    "UNKNOWN",
    "VIEWS",
    "WATERFALL_COLUMNS",
    "AuditResult",
    "BoxTable",
    "CohortManifest",
    "Column",
    "ExclusionTable",
    "History",
    "ImageTable",
    "Kind",
    "LabelTable",
    "Predictions",
    "SourceTables",
    "Stages",
    "Table",
    "age_band",
    "conform_frame",
]
