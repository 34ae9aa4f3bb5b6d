"""One measured number with its interval and each person's pull on it; and the difference of any two of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from subgroup_audit.stats.components import AucComponents
from subgroup_audit.stats.gaps import auc_gap, join_status, no_gap_estimate
from subgroup_audit.stats.inputs import FloatArray, IntArray, KeyArray
from subgroup_audit.stats.intervals import estimate_auc
from subgroup_audit.stats.limits import BoundedEstimate, MoverLimits, two_sided_p
from subgroup_audit.stats.ranked import RankedScores, components_of
from subgroup_audit.stats.results import Estimate, GapEstimate, Status


@dataclass(frozen=True, eq=False)
class Counts:
    """What a number rests on: persons, images, positive and negative images."""

    n_patients: int
    n_images: int
    n_positive: int
    n_negative: int


# A variance below this is rounding, not spread: a standard error of 1e-10.
NO_VARIANCE = 1e-20


class PersonSums(Protocol):
    """A few sums over each person's images that many numbers are made of."""

    @property
    def gram(self) -> FloatArray:
        """Sum over persons of the products of their sums, shape [c, c]."""
        ...

    def by_person(self) -> FloatArray:
        """Each person's sums, shape [c, K]."""
        ...


@dataclass(frozen=True, eq=False)
class Linear:
    """A number whose pull on each person is `weights` @ the person's sums."""

    sums: PersonSums
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class Measurement:
    """One number of one set of images.

    Attributes
    ----------
    found : Estimate
        The number with its interval. Its `limits` know their estimate.
    persons : array [K]
        Distinct person keys, ascending.
    pull : function without arguments
        Each person's influence on the number, shape [K]: its linear part is the sum of them. Worked out when
        asked for, since most gaps are of groups that share nobody and need none.
    threshold : float or None
        The operating point that the number is at.
    linear : Linear or None
        The same pull as a combination of sums that other numbers share: their products are added up once.
    """

    found: Estimate
    persons: KeyArray
    pull: Callable[[], FloatArray]
    threshold: float | None = None
    linear: Linear | None = None

    def minus(self, other: Measurement, *, overlap: Overlap, confidence_level: float) -> GapEstimate:
        """This number minus another: `measurement_gap`."""
        return measurement_gap(self, other, overlap=overlap, confidence_level=confidence_level)


@dataclass(frozen=True, eq=False)
class AucMeasurement(Measurement):
    """An AUC: its gaps are those of `auc_gap`."""

    components: AucComponents | None = None

    def minus(self, other: Measurement, *, overlap: Overlap, confidence_level: float) -> GapEstimate:
        """The gap of two AUCs is DeLong's and Obuchowski's; without shared persons that is the general one."""
        theirs = other.components if isinstance(other, AucMeasurement) else None
        if self.components is None or theirs is None or not overlap.n_shared:
            return measurement_gap(self, other, overlap=overlap, confidence_level=confidence_level)
        gap = auc_gap(self.components, theirs, confidence_level=confidence_level)
        status, reason = join_status(self.found, other.found)
        return replace(gap, status=status, reason=reason, minuend=self.found, subtrahend=other.found)


def measure_auc(ranked: RankedScores, *, confidence_level: float, min_persons: int) -> AucMeasurement:
    """The AUC with its default interval (`auc_interval`)."""
    components = components_of(ranked)
    found = estimate_auc(components, confidence_level=confidence_level, min_persons=min_persons)
    return AucMeasurement(found, ranked.persons, components.influence, components=components)


@dataclass(frozen=True, eq=False)
class Overlap:
    """Which persons two sets of images share: their positions in the one's `persons` and in the other's.

    None stands for all persons of both, in the same order.
    """

    in_a: IntArray | None
    in_b: IntArray | None
    n_shared: int
    _products: dict[tuple[int, int], tuple[PersonSums, PersonSums, FloatArray]] = field(default_factory=dict)

    def dot(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Sum over shared persons of the products of the last axes of `a` and `b`."""
        one = a if self.in_a is None else a[..., self.in_a]
        other = b if self.in_b is None else b[..., self.in_b]
        return np.asarray(one @ other.T)

    def product(self, a: PersonSums, b: PersonSums) -> FloatArray:
        """Sum over shared persons of the products of their sums, shape [c, c]; worked out once for each pair."""
        key = (id(a), id(b))
        if key not in self._products:
            self._products[key] = (a, b, self.dot(a.by_person(), b.by_person()))
        return self._products[key][2]


def overlap_of(persons_a: KeyArray, persons_b: KeyArray) -> Overlap:
    """The persons in both of two ascending lists of distinct keys."""
    if persons_a is persons_b or np.array_equal(persons_a, persons_b):
        return Overlap(None, None, len(persons_a))
    if not len(persons_a) or not len(persons_b):
        return Overlap(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0)
    place = np.minimum(np.searchsorted(persons_b, persons_a), len(persons_b) - 1)
    in_a = np.flatnonzero(persons_b[place] == persons_a)
    return Overlap(in_a, place[in_a], len(in_a))


def build_estimate(
    limits: BoundedEstimate | None,
    counts: Counts,
    *,
    confidence_level: float,
    standard_error: float = math.nan,
    df: float = math.inf,
    method: str = "none",
    status: Status = "ok",
    reason: str = "",
) -> Estimate:
    """The Estimate of these limits; without limits it is 'not estimable' for the reason given."""
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0) if limits is not None else (None, None)
    return Estimate(
        estimate=None if limits is None else float(limits.estimate),
        low=low,
        high=high,
        standard_error=standard_error if limits is not None and math.isfinite(standard_error) else None,
        confidence_level=confidence_level,
        method=method,
        status="not estimable" if limits is None else status,
        reason=reason,
        n_patients=counts.n_patients,
        n_images=counts.n_images,
        n_positive=counts.n_positive,
        n_negative=counts.n_negative,
        df=df if limits is not None and math.isfinite(df) else None,
        limits=limits,
    )


def measurement_gap(
    a: Measurement, b: Measurement, *, overlap: Overlap | None = None, confidence_level: float = 0.95
) -> GapEstimate:
    """The number of `a` minus that of `b`, with its interval and the p-value of no difference.

    The two intervals are joined by MOVER (Newcombe 1998, method 10 for rates; Zou 2007). The correlation is
    that of the two numbers' influences over the persons in both: 0 where nobody is.

    Parameters
    ----------
    overlap : Overlap, optional
        Who is in both, where it is known already; worked out from the keys if not given.
    """
    shared = overlap_of(a.persons, b.persons) if overlap is None else overlap
    n_patients = len(a.persons) + len(b.persons) - shared.n_shared
    one, other = a.found.limits, b.found.limits
    if one is None or other is None or a.found.estimate is None or b.found.estimate is None:
        return no_gap_estimate(a.found, b.found, n_patients=n_patients)
    correlation = pull_correlation(a, b, shared)
    limits = MoverLimits(one, other, correlation)  # type: ignore[arg-type]
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    status, reason = join_status(a.found, b.found)
    return GapEstimate(
        estimate=limits.estimate,
        low=low,
        high=high,
        standard_error=_error_of_difference(a.found, b.found, correlation),
        confidence_level=confidence_level,
        method="MOVER with correlation" if shared.n_shared else "MOVER",
        status=status,
        reason=reason,
        n_patients=n_patients,
        n_images=a.found.n_images + b.found.n_images,
        n_positive=a.found.n_positive + b.found.n_positive,
        n_negative=a.found.n_negative + b.found.n_negative,
        df=None,
        limits=limits,
        p_value=two_sided_p(limits, limits.estimate, 0.0),
        correlation=correlation,
        minuend=a.found,
        subtrahend=b.found,
    )


def pull_correlation(a: Measurement, b: Measurement, shared: Overlap) -> float:
    """The correlation of two numbers, from the influences of the persons in both; 0 where nobody is."""
    if not shared.n_shared:
        return 0.0
    if a.linear is not None and b.linear is not None:
        one, other = a.linear, b.linear
        squares = [float(side.weights @ side.sums.gram @ side.weights) for side in (one, other)]
        together = float(one.weights @ shared.product(one.sums, other.sums) @ other.weights)
    else:
        pull_a, pull_b = a.pull(), b.pull()
        squares = [float(pull_a @ pull_a), float(pull_b @ pull_b)]
        together = float(shared.dot(pull_a, pull_b))
    if not min(squares) > NO_VARIANCE or not math.isfinite(together):
        return 0.0
    return min(max(together / math.sqrt(squares[0] * squares[1]), -1.0), 1.0)


def _error_of_difference(a: Estimate, b: Estimate, correlation: float) -> float | None:
    if a.standard_error is None or b.standard_error is None:
        return None
    u, v = a.standard_error, b.standard_error
    return math.sqrt(max(u * u + v * v - 2.0 * correlation * u * v, 0.0))
