"""What a check is asked to do, apart from the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MEASURES = (
    "auc",
    "average_precision",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "selection_rate",
    "f1",
    "accuracy",
    "false_negative_rate",
    "false_positive_rate",
    "calibration_slope",
    "calibration_intercept",
    "expected_calibration_error",
    "brier_score",
    "net_benefit",
)
THRESHOLD_FREE = ("auc", "average_precision")


@dataclass(frozen=True)
class Threshold:
    """Where the operating point comes from: given, or chosen by a rule on images that are not scored by it.

    `value` is a probability and excludes `rule`. `rule` is 'youden' (largest sensitivity + specificity - 1),
    'sensitivity=0.9' or 'specificity=0.9' (the point that just reaches it), or 'f1'. It is applied to the
    validation split, or cross-fitted over persons where there is none; which of the two is said in every output.
    """

    value: float | None = None
    rule: str = "youden"


@dataclass(frozen=True)
class Margin:
    """The largest difference that counts as none, for a measure and, where given, one attribute and group.

    A `margin` of None says that what it fits is shown and not judged.
    """

    measure: str
    margin: float | None
    attribute: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class CheckSettings:
    """Everything the numbers of a check depend on, apart from the data.

    Attributes
    ----------
    measures : what is shown; `margins` say what is judged
    margins : the policy: a gap is judged by the most specific margin that fits it, and is shown without a verdict
        of its own where none does
    reference : attribute -> the group that the others are compared with; absent: the group with most images
    min_persons, min_positive, min_negative : a group below one of them is 'not estimable' for what needs them
    suppress_below : counts below it, and what would let them be reconstructed, are not shown; None shows all
    """

    measures: tuple[str, ...] = MEASURES
    margins: tuple[Margin, ...] = (Margin("auc", 0.05),)
    reference: Mapping[str, str] = field(default_factory=dict)
    threshold: Threshold = Threshold()
    confidence_level: float = 0.95
    n_resamples: int = 2000
    seed: int = 0
    multiplicity: str = "holm"
    min_persons: int = 10
    min_positive: int = 1
    min_negative: int = 1
    suppress_below: int | None = None
