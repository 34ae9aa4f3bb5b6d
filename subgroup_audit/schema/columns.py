"""Columns that many tables share: which fits, estimate and limits, how many, and with what status."""

from __future__ import annotations

from subgroup_audit.schema.tables import Column

NAMED: tuple[Column, ...] = (
    Column("model", "string", "name in the study file"),
    Column("recipe", "string", "name in the study file"),
)
FITTED: tuple[Column, ...] = (
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    *NAMED,
)
TERMS: tuple[Column, ...] = (
    Column("minuend_estimate", "float", "first term", nullable=True),
    Column("subtrahend_estimate", "float", "second term", nullable=True),
    Column("estimate", "float", "minuend minus subtrahend", nullable=True),
)
LIMITS: tuple[Column, ...] = (
    Column("low", "float", "lower limit", nullable=True),
    Column("high", "float", "upper limit", nullable=True),
)
PERCENTILES: tuple[Column, ...] = (
    Column("bootstrap_low", "float", "lower limit, percentile over shared draws of persons", nullable=True),
    Column("bootstrap_high", "float", "upper limit, percentile over shared draws of persons", nullable=True),
)
COUNTS: tuple[Column, ...] = (
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
)
STATUS: tuple[Column, ...] = (
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)
ENDING: tuple[Column, ...] = (Column("n_seeds", "int", "training seeds averaged"), *STATUS)
