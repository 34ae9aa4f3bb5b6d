"""The tables of performance by group: curves, numbers at an operating point, their gaps, and cohorts compared."""

from __future__ import annotations

from subgroup_audit.schema.columns import COUNTS, ENDING, FITTED, LIMITS, NAMED
from subgroup_audit.schema.tables import SPLITS, Column

CURVES = ("roc", "precision_recall", "reliability")

_CELL: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("test_group", "string", "cohort whose test images are scored"),
)

PERFORMANCE_COLUMNS: tuple[Column, ...] = (
    *_CELL,
    Column("metric", "string", "a rate at the operating point, a number of calibration, or average_precision"),
    Column("threshold", "float", "operating point, mean over seeds; none for what needs none", nullable=True),
    Column("threshold_rule", "string", "how the operating point was chosen; '' for what needs none"),
    Column("estimate", "float", "mean over seeds", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the estimate", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("seed_sd", "float", "standard deviation between training seeds; none with one", nullable=True),
    *COUNTS,
    *ENDING,
)

PERFORMANCE_GAP_COLUMNS: tuple[Column, ...] = (
    *_CELL,
    Column("other", "string", "test group that is subtracted"),
    Column("metric", "string", "as in the table of numbers"),
    Column("minuend_estimate", "float", "of test_group", nullable=True),
    Column("subtrahend_estimate", "float", "of other", nullable=True),
    Column("estimate", "float", "minuend minus subtrahend", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_patients", "int", "distinct persons of both groups"),
    *ENDING,
)

PERFORMANCE_CURVE_COLUMNS: tuple[Column, ...] = (
    *_CELL,
    Column("curve", "string", "which curve", allowed=CURVES),
    Column("x", "float", "false-positive rate, recall, or mean score of the bin"),
    Column("y", "float", "sensitivity, precision, or observed share of positives; mean over seeds"),
    Column("low", "float", "lower pointwise limit of y"),
    Column("high", "float", "upper pointwise limit of y"),
    Column(
        "n_images", "float", "images behind the point, mean over seeds: positives, called positive, in the bin"
    ),
    Column("n_seeds", "int", "training seeds that have a value there"),
)

OPERATING_POINT_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    Column(
        "train_cohort", "string", "cohort that the fit was trained on, and whose validation images it is chosen on"
    ),
    *NAMED,
    Column("seed", "int", "training seed"),
    Column("rule", "string", "how it was chosen"),
    Column("threshold", "float", "a score at or above it is called positive", nullable=True),
    Column("n_patients", "int", "validation persons"),
    Column("n_positive", "int", "positive validation images"),
    Column("n_negative", "int", "negative validation images"),
    Column("reason", "string", "why there is none; '' where there is one"),
)

DIFFERENCE_COLUMNS: tuple[Column, ...] = (
    Column("cohort", "string", "first cohort"),
    Column("other", "string", "second cohort"),
    Column("split", "string", "train, val, test, or all of the cohort", allowed=(*SPLITS, "all")),
    Column("variable", "string", "a column of Table 1"),
    Column("kind", "string", "number or category", allowed=("number", "category")),
    Column("smd", "float", "standardised mean difference, 0 or more; none where it cannot be had", nullable=True),
    Column("n_images", "int", "images of the first cohort whose value is known"),
    Column("n_images_other", "int", "images of the second cohort whose value is known"),
    Column("reason", "string", "why there is none; '' where there is one"),
)
