"""What the statistics hand back: small frozen records of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import check_level

Status = Literal["ok", "small", "degenerate", "not estimable"]


class Limits(Protocol):
    """Something that knows its interval at every confidence level."""

    def at_tail(self, tail: float) -> tuple[float, float]:
        """Lower and upper limit that leave `tail` (0 to 0.5) outside on each side."""
        ...


@dataclass(frozen=True)
class Interval:
    """Two limits at one confidence level.

    `n_resamples` and `n_without_class` are for bootstrap intervals: how many replicates there were, and how
    many of them lacked a class and so carry no value.
    """

    low: float
    high: float
    confidence_level: float
    method: str
    n_resamples: int | None = None
    n_without_class: int = 0


@dataclass(frozen=True)
class Estimate:
    """One AUC, or one difference of AUCs, with its interval, its method and what it rests on.

    `estimate`, `low`, `high`, `standard_error` and `df` are None where they cannot be had; `reason` then says
    why. `status` is 'ok', 'small' (few persons in a class: numbers given, to be read with care), 'degenerate'
    (perfect separation, or a variance that cannot be estimated: the interval is Newcombe's method 5), or
    'not estimable'. For a difference, `n_images`, `n_positive` and `n_negative` add up both cells, and
    `n_patients` counts each person once.
    """

    estimate: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    confidence_level: float
    method: str
    status: Status
    reason: str
    n_patients: int
    n_images: int
    n_positive: int
    n_negative: int
    df: float | None
    limits: Limits | None = field(default=None, repr=False, compare=False, kw_only=True)

    def interval_at(self, confidence_level: float) -> Interval:
        """The same estimate's interval at another confidence level; StatisticsError if not estimable."""
        if self.limits is None:
            raise StatisticsError(f"there is no interval: {self.reason}")
        low, high = self.limits.at_tail((1.0 - check_level(confidence_level)) / 2.0)
        return Interval(low, high, confidence_level, self.method)


@dataclass(frozen=True)
class GapEstimate(Estimate):
    """A difference of two AUCs, minuend minus subtrahend, with the p-value of no difference.

    `correlation` is that of the two estimates: 0 where no person is in both.
    """

    p_value: float | None = field(default=None, kw_only=True)
    correlation: float | None = field(default=None, kw_only=True)
    minuend: Estimate | None = field(default=None, kw_only=True, repr=False)
    subtrahend: Estimate | None = field(default=None, kw_only=True, repr=False)


@dataclass(frozen=True)
class SeedEstimate(Estimate):
    """The mean AUC over training seeds, for the question named by `target`.

    `between_seed_sd` is the standard deviation of the AUC from seed to seed (None with one seed),
    `patient_se` the standard error that the choice of patients alone leaves in the mean.
    """

    seed_values: tuple[float, ...] = field(default=(), kw_only=True)
    between_seed_sd: float | None = field(default=None, kw_only=True)
    patient_se: float | None = field(default=None, kw_only=True)
    target: Literal["this trained model", "this training recipe"] = field(
        default="this trained model", kw_only=True
    )

    @property
    def n_seeds(self) -> int:
        """How many training seeds the mean is over."""
        return len(self.seed_values)
