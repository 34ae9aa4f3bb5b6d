"""The tables of an audit and of a check: estimates, contrasts, spreads, gaps at an equal mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from subgroup_audit.schema.columns import COUNTS, ENDING, FITTED, LIMITS, NAMED, PERCENTILES, TERMS
from subgroup_audit.schema.fits import ACCURACY_COLUMNS, FIT_COLUMNS
from subgroup_audit.schema.tables import SPLITS, Column, conform_frame

ESTIMATE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    *FITTED,
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("metric", "string", "what is estimated"),
    Column("estimate", "float", "mean over seeds", nullable=True),
    Column("low", "float", "lower limit of the default interval", nullable=True),
    Column("high", "float", "upper limit of the default interval", nullable=True),
    Column("standard_error", "float", "of the estimate", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the default interval"),
    *PERCENTILES,
    Column("band_low", "float", "lower limit of the simultaneous band over the matrix", nullable=True),
    Column("band_high", "float", "upper limit of the simultaneous band over the matrix", nullable=True),
    Column("band_method", "string", "of the simultaneous band; '' where there is none"),
    Column("patient_se", "float", "part of the standard error that the choice of patients leaves", nullable=True),
    Column("seed_sd", "float", "standard deviation between training seeds; none with one", nullable=True),
    *COUNTS,
    *ENDING,
)


CONTRAST_COLUMNS: tuple[Column, ...] = (
    Column("kind", "string", "generalization_gap, subgroup_gap, transfer_gap or gap_of_gaps"),
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    *NAMED,
    Column("minuend", "string", "the first term, in words"),
    Column("subtrahend", "string", "the second term, in words"),
    Column("train_cohort", "string", "training cohort (of the minuend, where two are compared)"),
    Column("test_group", "string", "test group (of the minuend, where two are compared)"),
    Column("other", "string", "what the subtrahend differs in: a split, a test group or a training cohort"),
    *TERMS,
    *LIMITS,
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("method", "string", "of the interval"),
    Column("bootstrap_low", "float", "percentile over shared draws", nullable=True),
    Column("bootstrap_high", "float", "percentile over shared draws", nullable=True),
    Column("p_value", "float", "two-sided, that the difference is zero", nullable=True),
    Column("p_adjusted", "float", "over the declared family", nullable=True),
    Column("p_permutation", "float", "studentised permutation test of a subgroup gap", nullable=True),
    Column("permutation", "string", "what p_permutation is of, or why there is none"),
    Column("margin", "float", "largest difference that counts as none", nullable=True),
    Column("minimal_detectable_gap", "float", "smallest gap shown with 80 % power", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("sentence", "string", "the verdict in words"),
    Column("n_patients", "int", "distinct persons of both terms"),
    *ENDING,
)


SPREAD_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study, or 'macro mean'"),
    *NAMED,
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("attribute", "string", "what tells the groups apart: sex, view, or an intersection like 'sex x view'"),
    Column("groups", "string", "test groups compared, with a comma between"),
    Column("n_groups", "int", "groups that have an estimate"),
    Column("worst_group", "string", "group with the lowest AUC; '' where fewer than two can be estimated"),
    Column("worst_estimate", "float", "its AUC", nullable=True),
    Column("worst_low", "float", "its lower limit, simultaneous over the groups", nullable=True),
    Column("worst_high", "float", "its upper limit, simultaneous over the groups", nullable=True),
    Column("no_group_below", "float", "smallest lower limit of all groups", nullable=True),
    Column("best_group", "string", "group with the highest AUC"),
    Column("range", "float", "highest minus lowest AUC, as observed", nullable=True),
    Column("range_low", "float", "lower limit for the range of the true AUCs", nullable=True),
    Column("range_high", "float", "upper limit for the range of the true AUCs", nullable=True),
    Column("observed_sd", "float", "standard deviation between groups", nullable=True),
    Column("corrected_sd", "float", "the same less what chance explains", nullable=True),
    Column("p_equality", "float", "that all groups have the same AUC", nullable=True),
    Column("confidence_level", "float", "of the limits"),
    Column("method", "string", "of the limits"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable: the worst of the groups"),
    Column("reason", "string", "why, where the status is not ok"),
)


CASE_MIX_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *NAMED,
    Column("train_cohort", "string", "cohort that the fits were trained on"),
    Column("test_group", "string", "test group of the minuend"),
    Column("other", "string", "test group that is subtracted"),
    Column("attribute", "string", "what the two groups differ in"),
    Column("adjustment", "string", "as measured, matched, within ..., weighted, regression or xAUC"),
    Column("held_equal", "string", "what is made equal; '' for nothing"),
    Column("estimate", "float", "the gap, minuend minus subtrahend", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the gap", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("bootstrap_low", "float", "percentile over shared draws, mix or weights taken anew", nullable=True),
    Column("bootstrap_high", "float", "percentile over shared draws, mix or weights taken anew", nullable=True),
    Column("change", "float", "the gap less the gap as measured", nullable=True),
    Column("change_low", "float", "lower limit of the change", nullable=True),
    Column("change_high", "float", "upper limit of the change", nullable=True),
    Column("margin", "float", "largest difference that counts as none", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("n_patients", "int", "distinct persons of both groups that are used"),
    Column("n_images", "int", "images of both groups that are used"),
    Column("n_effective", "float", "unweighted images that would be as informative", nullable=True),
    Column("n_left_out", "int", "images without a counterpart in the other group"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("method", "string", "of the estimate and of its interval"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok; and what was left out"),
)


CHECK_ESTIMATE_COLUMNS: tuple[Column, ...] = (
    Column("model", "string", "model, as the prediction file names it"),
    Column("finding", "string", "finding, as the prediction file names it"),
    Column("split", "string", "train, val or test", allowed=SPLITS),
    Column("attribute", "string", "sex, view, an intersection like 'sex x view'; '' for everybody"),
    Column("group", "string", "value of the attribute, or 'everybody'"),
    Column("metric", "string", "what is estimated"),
    Column("threshold", "float", "operating point that the metric depends on", nullable=True),
    Column("threshold_rule", "string", "where the operating point comes from; '' where there is none"),
    Column("estimate", "float", "value of the metric", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the estimate", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_patients", "count", "persons; missing where withheld", nullable=True),
    Column("n_images", "count", "images; missing where withheld", nullable=True),
    Column("n_positive", "count", "positive images; missing where withheld", nullable=True),
    Column("n_negative", "count", "negative images; missing where withheld", nullable=True),
    Column("status", "string", "ok, small, degenerate, not estimable or suppressed"),
    Column("reason", "string", "why, where the status is not ok"),
)


CHECK_CONTRAST_COLUMNS: tuple[Column, ...] = (
    Column("kind", "string", "subgroup_gap, generalization_gap (train minus test) or model_gap (same images)"),
    Column("model", "string", "model, of the minuend"),
    Column("finding", "string", "finding"),
    Column("split", "string", "split of the images compared", allowed=SPLITS),
    Column("attribute", "string", "attribute whose groups are compared; '' for everybody"),
    Column("group", "string", "group of the minuend"),
    Column("reference", "string", "what is subtracted: a group, a split or another model"),
    Column("metric", "string", "what is compared"),
    Column("threshold_rule", "string", "where the operating point comes from; '' where there is none"),
    *TERMS,
    *LIMITS,
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("p_value", "float", "two-sided, that the difference is zero", nullable=True),
    Column("p_adjusted", "float", "over all gaps that are judged", nullable=True),
    Column(
        "margin", "float", "largest difference that counts as none; missing where it is not judged", nullable=True
    ),
    Column("minimal_detectable_gap", "float", "smallest gap shown with 80 % power", nullable=True),
    Column("verdict", "string", "gap, no gap beyond the margin, inconclusive, not estimable, or descriptive"),
    Column("sentence", "string", "the verdict in words"),
    Column("n_patients", "count", "distinct persons of both terms; missing where withheld", nullable=True),
    Column("status", "string", "ok, small, degenerate, not estimable or suppressed"),
    Column("reason", "string", "why, where the status is not ok"),
)


@dataclass(frozen=True, eq=False)
class AuditResult:
    """What an audit found, as tidy frames: every cell, every gap, every fit, and how it was done.

    Attributes
    ----------
    estimates : DataFrame, columns `ESTIMATE_COLUMNS`; one row per cell
    contrasts : DataFrame, columns `CONTRAST_COLUMNS`; one row per gap, always minuend minus subtrahend
    fits : DataFrame, columns `FIT_COLUMNS`; one row per fit and cell, before averaging over seeds
    settings : what the numbers depend on: confidence_level, n_resamples, margin, seed, reference, multiplicity
    spreads : DataFrame, columns `SPREAD_COLUMNS`; one row per attribute whose groups are compared; or None
    case_mix : DataFrame, columns `CASE_MIX_COLUMNS`; one row per subgroup gap and way of equal mix; or None
    accuracies : DataFrame, columns `ACCURACY_COLUMNS`; one row per fit and split of its own cohort; or None
    """

    estimates: pd.DataFrame
    contrasts: pd.DataFrame
    fits: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    spreads: pd.DataFrame | None = None
    case_mix: pd.DataFrame | None = None
    accuracies: pd.DataFrame | None = None

    # The columns of each frame; a result of another kind of audit declares its own.
    FRAMES: ClassVar[Mapping[str, tuple[Column, ...]]] = {
        "estimates": ESTIMATE_COLUMNS,
        "contrasts": CONTRAST_COLUMNS,
        "fits": FIT_COLUMNS,
    }
    # Frames that may be None.
    OPTIONAL_FRAMES: ClassVar[Mapping[str, tuple[Column, ...]]] = {
        "spreads": SPREAD_COLUMNS,
        "case_mix": CASE_MIX_COLUMNS,
        "accuracies": ACCURACY_COLUMNS,
    }

    def __post_init__(self) -> None:
        """Check the frames against their columns."""
        for name, columns in {**self.FRAMES, **self.OPTIONAL_FRAMES}.items():
            frame = getattr(self, name)
            if frame is not None or name in self.FRAMES:
                origin = f"{type(self).__name__}.{name}"
                object.__setattr__(self, name, conform_frame(frame, columns, origin))
