"""AUCs averaged over training seeds: what the training recipe does, not what one fit happened to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import AucComponents, auc_covariance, shared_persons
from subgroup_audit.stats.gaps import auc_gap, correlation_of, join_status, no_gap_estimate
from subgroup_audit.stats.inputs import FloatArray, check_level
from subgroup_audit.stats.intervals import (
    MIN_PERSONS,
    estimate_auc,
    is_near_end,
    judge_cell,
    patient_df,
    satterthwaite,
)
from subgroup_audit.stats.limits import AucLimits, MoverLimits, two_sided_p
from subgroup_audit.stats.results import Estimate, GapEstimate, SeedEstimate, Status

CROSSED = "crossed seeds x patients, Satterthwaite t"


@dataclass(frozen=True)
class _Parts:
    """The variance of a seed average: from patients, and from seeds, each with its degrees of freedom.

    `own_variance` is what the patients of one fit alone add to the mean: fits that rank the same patients
    differently differ by chance, whatever their training did. It is the least that the seeds can add.
    """

    mean: float
    values: FloatArray
    patient_variance: float
    own_variance: float
    patient_df: float

    @property
    def spread(self) -> float:
        return float(self.values.var(ddof=1)) / len(self.values)

    @property
    def seed_variance(self) -> float:
        return max(self.spread, self.own_variance)

    @property
    def seed_term(self) -> tuple[float, float]:
        return _seed_term(self.spread, self.own_variance, len(self.values), self.patient_df)

    @property
    def variance(self) -> float:
        return self.patient_variance + self.seed_variance


@dataclass(frozen=True)
class _Shared:
    """The covariance of two seed averages, and what it comes from."""

    of_patients: float
    of_seeds: float
    of_own: float
    has_persons: bool
    has_seeds: bool


@dataclass(frozen=True)
class _Joined:
    """The variance of a difference of two seed averages, and its degrees of freedom."""

    variance: float
    df: float


def average_over_seeds(
    components_by_seed: Sequence[AucComponents],
    *,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> SeedEstimate:
    """The mean AUC of fits that differ in their training seed alone, on the same test images.

    With two seeds or more the interval is for the training recipe's expected AUC: seeds and patients are
    crossed random effects, as readers and cases are in multi-reader studies, with the variance

        V = mean covariance between seeds (patients) + max(s^2, v - c) / S (seeds)

    where v - c, the mean DeLong variance of one fit less the mean covariance between fits, is what s^2 cannot
    truly be below: with two or three seeds s^2 often comes out smaller by chance. The degrees of freedom are
    Satterthwaite's, and the limits on the logit scale. One seed gives the default interval of that fit, and
    `target` says that it is for 'this trained model'.

    Raises
    ------
    StatisticsError
        No seed; seeds tested on different images; or no person keys with two seeds or more.

    Notes
    -----
    Gallas et al. 2009, doi:10.1080/03610920802610084; Bouthillier et al. 2021, arXiv:2103.03098.
    """
    check_level(confidence_level)
    _check_seeds(components_by_seed)
    first = components_by_seed[0]
    if len(components_by_seed) == 1 or not first.is_estimable:
        return _single_seed(components_by_seed, confidence_level, min_persons)
    parts = _split_variance(components_by_seed)
    limits = _seed_limits(components_by_seed, parts, _degrees(parts))
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    status, reason = _worst_seed(components_by_seed, min_persons)
    is_t = limits.rule == "logit"
    return SeedEstimate(
        estimate=parts.mean,
        low=low,
        high=high,
        standard_error=limits.standard_error if math.isfinite(limits.standard_error) else None,
        confidence_level=confidence_level,
        method=CROSSED if is_t else "Newcombe 5",
        status=status,
        reason=reason,
        n_patients=first.n_persons,
        n_images=first.n_images,
        n_positive=first.n_positive,
        n_negative=first.n_negative,
        df=limits.df if math.isfinite(limits.df) else None,
        limits=limits,
        seed_values=tuple(float(value) for value in parts.values),
        between_seed_sd=float(parts.values.std(ddof=1)),
        patient_se=math.sqrt(parts.patient_variance) if parts.patient_variance >= 0.0 else None,
        target="this training recipe",
    )


def seed_gap(
    a_by_seed: Sequence[AucComponents],
    b_by_seed: Sequence[AucComponents],
    *,
    paired_seeds: bool,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> GapEstimate:
    """The seed-averaged AUC of `a` minus that of `b`, with its interval and the p-value of no difference.

    Parameters
    ----------
    a_by_seed, b_by_seed : sequences of AucComponents
        One per training seed; of the same length, and in the same order, if the seeds are paired.
    paired_seeds : bool
        True if each seed's two cells are of one and the same fit (a subgroup gap): the seed variance is then
        that of the differences. False for two different sets of fits (a transfer gap): the two seed
        variances add up.

    Notes
    -----
    Patients in both cells are accounted for by DeLong's or Obuchowski's covariance. The limits are MOVER's
    from each side's logit limits at the difference's own Satterthwaite degrees of freedom. With one seed on
    both sides this is `auc_gap`, for these trained models.

    Raises
    ------
    StatisticsError
        As `average_over_seeds`; paired seeds of unequal number; or one seed against several.
    """
    check_level(confidence_level)
    _check_gap_seeds(a_by_seed, b_by_seed, paired_seeds=paired_seeds)
    if len(a_by_seed) == 1:
        return auc_gap(a_by_seed[0], b_by_seed[0], confidence_level=confidence_level, min_persons=min_persons)
    sides = [
        average_over_seeds(cells, confidence_level=confidence_level, min_persons=min_persons)
        for cells in (a_by_seed, b_by_seed)
    ]
    n_shared = shared_persons(a_by_seed[0], b_by_seed[0])
    n_patients = sides[0].n_patients + sides[1].n_patients - n_shared
    if sides[0].estimate is None or sides[1].estimate is None:
        return no_gap_estimate(*sides, n_patients=n_patients)
    gap = _describe_gap(sides[0], sides[1], n_patients=n_patients)
    return _bound_gap(gap, a_by_seed, b_by_seed, paired_seeds=paired_seeds, has_persons=n_shared > 0)


def _describe_gap(minuend: Estimate, subtrahend: Estimate, *, n_patients: int) -> GapEstimate:
    """The difference without limits yet, with its counts, status and both sides."""
    status, reason = join_status(minuend, subtrahend)
    empty = no_gap_estimate(minuend, subtrahend, n_patients=n_patients)
    difference = (minuend.estimate or 0.0) - (subtrahend.estimate or 0.0)
    return replace(empty, estimate=difference, method=f"MOVER, {CROSSED}", status=status, reason=reason)


def _bound_gap(
    gap: GapEstimate,
    a_by_seed: Sequence[AucComponents],
    b_by_seed: Sequence[AucComponents],
    *,
    paired_seeds: bool,
    has_persons: bool,
) -> GapEstimate:
    a, b = _split_variance(a_by_seed), _split_variance(b_by_seed)
    shared = _share(a_by_seed, b_by_seed, paired_seeds=paired_seeds, has_persons=has_persons)
    joined = _join_parts(a, b, shared)
    covariance = (a.variance + b.variance - joined.variance) / 2.0
    correlation = correlation_of(a.variance, b.variance, covariance)
    limits = MoverLimits(_seed_limits(a_by_seed, a, joined.df), _seed_limits(b_by_seed, b, joined.df), correlation)
    low, high = limits.at_tail((1.0 - gap.confidence_level) / 2.0)
    return replace(
        gap,
        low=low,
        high=high,
        standard_error=math.sqrt(joined.variance) if joined.variance >= 0.0 else None,
        df=joined.df if math.isfinite(joined.df) else None,
        limits=limits,
        correlation=correlation,
        p_value=two_sided_p(limits, gap.estimate or 0.0, 0.0),
    )


def _split_variance(cells: Sequence[AucComponents]) -> _Parts:
    values = np.array([cell.auc for cell in cells])
    covariance = auc_covariance(cells)
    between, own = _split_block(covariance)
    dfs = [patient_df(cell) for cell in cells]
    return _Parts(
        mean=float(values.mean()),
        values=values,
        patient_variance=max(between, 0.0) if math.isfinite(between) else math.nan,
        own_variance=max(own, 0.0) / len(cells) if math.isfinite(own) else 0.0,
        patient_df=len(dfs) / sum(1.0 / df for df in dfs),
    )


def _split_block(covariance: FloatArray) -> tuple[float, float]:
    """Mean off the diagonal, and how much larger the mean on it is: of one fit's own chance."""
    is_same = np.eye(len(covariance), dtype=bool)
    between = float(covariance[~is_same].mean())
    return between, float(covariance[is_same].mean()) - between


def _seed_term(spread: float, own: float, n_seeds: int, patient_df: float) -> tuple[float, float]:
    """The larger of what the seeds show and what chance alone gives, with the degrees of freedom of its source."""
    return (spread, n_seeds - 1.0) if spread >= own else (own, patient_df)


def _degrees(parts: _Parts) -> float:
    return satterthwaite((parts.patient_variance, parts.patient_df), parts.seed_term)


def _join_parts(a: _Parts, b: _Parts, shared: _Shared) -> _Joined:
    """The difference's patient and seed variance, each 0 at least, and its degrees of freedom."""
    patients = max(a.patient_variance + b.patient_variance - 2.0 * shared.of_patients, 0.0)
    apart = satterthwaite((a.patient_variance, a.patient_df), (b.patient_variance, b.patient_df))
    patient_df = min(a.patient_df, b.patient_df) if shared.has_persons else apart
    seed_terms = [a.seed_term, b.seed_term]
    if shared.has_seeds:
        spread = max(a.spread + b.spread - 2.0 * shared.of_seeds, 0.0)
        own = max(a.own_variance + b.own_variance - 2.0 * shared.of_own, 0.0)
        seed_terms = [_seed_term(spread, own, len(a.values), patient_df)]
    seeds = sum(variance for variance, _ in seed_terms)
    return _Joined(patients + seeds, satterthwaite((patients, patient_df), *seed_terms))


def _share(
    a_by_seed: Sequence[AucComponents],
    b_by_seed: Sequence[AucComponents],
    *,
    paired_seeds: bool,
    has_persons: bool,
) -> _Shared:
    """The covariance of the two seed averages: from patients in both, and from seeds that are the same."""
    n_a, n_b = len(a_by_seed), len(b_by_seed)
    of_patients = of_seeds = of_own = 0.0
    if has_persons:
        between = auc_covariance([*a_by_seed, *b_by_seed])[:n_a, n_a:]
        # The same fit on the same patients adds chance of its own: only different fits tell patients apart.
        chosen = ~np.eye(n_a, dtype=bool) if paired_seeds else np.ones((n_a, n_b), dtype=bool)
        of_patients = float(between[chosen].mean())
        of_own = _split_block(between)[1] / n_a if paired_seeds else 0.0
    if paired_seeds:
        pairs = np.cov([cell.auc for cell in a_by_seed], [cell.auc for cell in b_by_seed])
        of_seeds = float(pairs[0, 1]) / n_a
    return _Shared(of_patients, of_seeds, of_own, has_persons=has_persons, has_seeds=paired_seeds)


def _seed_limits(cells: Sequence[AucComponents], parts: _Parts, df: float) -> AucLimits:
    """Limits of a seed average: logit-t, or Newcombe's method 5 where the mean is next to separation."""
    first = cells[0]
    m, n = first.n_persons_positive, first.n_persons_negative
    error = math.sqrt(parts.variance) if parts.variance > 0.0 else math.nan
    if is_near_end(parts.mean, max(m, n)) or not error > 0.0:
        return AucLimits("newcombe 5", parts.mean, error, math.inf, m, n)
    return AucLimits("logit", parts.mean, error, df, m, n, spans_newcombe=is_near_end(parts.mean, min(m, n)))


def _single_seed(cells: Sequence[AucComponents], confidence_level: float, min_persons: int) -> SeedEstimate:
    found = estimate_auc(cells[0], confidence_level=confidence_level, min_persons=min_persons)
    values = tuple(cell.auc for cell in cells) if found.estimate is not None else ()
    shared = {item.name: getattr(found, item.name) for item in fields(Estimate)}
    return SeedEstimate(**shared, seed_values=values, patient_se=found.standard_error)


def _worst_seed(cells: Sequence[AucComponents], min_persons: int) -> tuple[Status, str]:
    """The status of the seed average: degenerate only if the mean is, small if the cell is."""
    judged = [judge_cell(cell, min_persons) for cell in cells]
    if all(status == "degenerate" for status, _ in judged):
        return judged[0]
    n_degenerate = sum(status == "degenerate" for status, _ in judged)
    kept = next(found for found in judged if found[0] != "degenerate")
    if not n_degenerate:
        return kept
    note = f"{n_degenerate} of {len(cells)} seeds separate the classes perfectly"
    return kept[0], f"{kept[1]}; {note}" if kept[1] else note


def _check_seeds(cells: Sequence[AucComponents]) -> None:
    if not cells:
        raise StatisticsError("components_by_seed is empty: there is no seed to average over")
    first = cells[0]
    for seed, cell in enumerate(cells[1:], start=1):
        is_same = (cell.n_positive, cell.n_negative, cell.n_persons) == (
            first.n_positive,
            first.n_negative,
            first.n_persons,
        )
        if not is_same or not np.array_equal(cell.persons, first.persons):  # type: ignore[arg-type]
            raise StatisticsError(
                f"all seeds must be tested on the same images, but seed {seed} has {cell.n_positive} positive "
                f"and {cell.n_negative} negative images of {cell.n_persons} persons, and seed 0 has "
                f"{first.n_positive} and {first.n_negative} of {first.n_persons}, or they are other persons"
            )


def _check_gap_seeds(
    a_by_seed: Sequence[AucComponents], b_by_seed: Sequence[AucComponents], *, paired_seeds: bool
) -> None:
    n_a, n_b = len(a_by_seed), len(b_by_seed)
    if paired_seeds and n_a != n_b:
        raise StatisticsError(f"paired seeds must be of one number on both sides, not {n_a} and {n_b}")
    if min(n_a, n_b) < 2 and n_a != n_b:
        raise StatisticsError(
            f"{n_a} seed against {n_b}: one fit has no variance between seeds, so give two seeds or more on "
            f"both sides, or one on both"
        )
