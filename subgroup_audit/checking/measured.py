"""What the measuring of a check hands on: numbers, gaps and curves, none of them judged yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from subgroup_audit.schema import CHECK_ESTIMATE_COLUMNS, conform_frame
from subgroup_audit.stats import GapEstimate

GapKind = Literal["subgroup_gap", "generalization_gap", "model_gap"]


@dataclass(frozen=True, eq=False)
class MeasuredGap:
    """One difference of two numbers, minuend minus subtrahend.

    Attributes
    ----------
    kind : 'subgroup_gap', 'generalization_gap' (train minus test) or 'model_gap' (another model, same images)
    model, finding, split, attribute, group : of the minuend; attribute '' and group 'everybody' for all images
    reference : what is subtracted: a group, a split or a model
    metric, threshold_rule : what is compared, and at which operating point
    gap : the difference; its `minuend` and `subtrahend` are the two terms, its `limits.at_tail(tail)` its
        interval at any level
    """

    kind: GapKind
    model: str
    finding: str
    split: str
    attribute: str
    group: str
    reference: str
    metric: str
    threshold_rule: str
    gap: GapEstimate

    @property
    def is_descriptive(self) -> bool:
        """Whether no verdict can rest on it: train minus test, and thresholds that each group chose for itself.

        A model has seen its training images. And intervals take thresholds as given: with one threshold for
        all groups that leaves a gap as it is, with one a group the noise of choosing two of them is left out.
        """
        return self.kind == "generalization_gap" or self.threshold_rule.startswith("per group")

    @property
    def minuend_estimate(self) -> float | None:
        """First term."""
        return None if self.gap.minuend is None else self.gap.minuend.estimate

    @property
    def subtrahend_estimate(self) -> float | None:
        """Second term."""
        return None if self.gap.subtrahend is None else self.gap.subtrahend.estimate


@dataclass(frozen=True, eq=False)
class Measured:
    """All numbers of a check, before any verdict.

    Attributes
    ----------
    estimates : DataFrame, columns `CHECK_ESTIMATE_COLUMNS`; parity of an attribute is in the group
        'all groups of <attribute>'
    gaps : every difference
    curves : name -> DataFrame with the columns model, finding, split, attribute, group and the curve's own:
        'roc', 'precision_recall', 'reliability', 'net_benefit', 'confusion', 'brier_decomposition',
        'operating_points'
    references : attribute -> the group that the others are compared with
    judged_split : the split that the subgroup gaps are of
    notes : what a reader must know of how it was measured, one sentence each
    """

    estimates: pd.DataFrame
    gaps: tuple[MeasuredGap, ...]
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    judged_split: str = "test"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the estimates against their columns."""
        frame = conform_frame(self.estimates, CHECK_ESTIMATE_COLUMNS, "Measured.estimates")
        object.__setattr__(self, "estimates", frame)
