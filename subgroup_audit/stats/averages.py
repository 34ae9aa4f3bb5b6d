"""Weighted means of AUCs: over strata (within-view AUC, standardised AUC) and over classes (macro mean)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import AucComponents, auc_components, auc_covariance, shared_persons
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    check_choice,
    check_labels,
    check_level,
    check_scores,
)
from subgroup_audit.stats.intervals import MIN_PERSONS, is_near_end, judge_cell, patient_df, satterthwaite
from subgroup_audit.stats.limits import AucLimits
from subgroup_audit.stats.mixes import (
    AdjustedGap,
    Images,
    MixedComponents,
    Sides,
    adjusted_gap,
    check_images,
    check_strata,
    mean_by,
    mixed_components,
    person_factor,
    restricted_to,
    weighted_placements,
)
from subgroup_audit.stats.results import Estimate

WEIGHTS = ("positives", "pairs")


def average_auc(
    components: Sequence[AucComponents],
    *,
    weights: ArrayLike | None = None,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> Estimate:
    """The weighted mean of several cells' AUCs, with the interval that their covariance gives.

    Parameters
    ----------
    components : sequence of AucComponents
        With person keys: strata of different images, or classes on the same images (macro mean).
    weights : array [k], optional
        0 or more; scaled to sum to 1. Equal if not given.

    Returns
    -------
    Estimate
        Its counts are sums where no person is in two cells. Otherwise the most images of a cell, and the fewest
        positives and negatives of any: what the mean rests on at least.

    Raises
    ------
    StatisticsError
        No cell, a cell without keys, or weights that are negative, all zero or of another number.
    """
    check_level(confidence_level)
    shares = _check_shares(weights, len(components))
    kept = [cell for cell, share in zip(components, shares, strict=True) if share > 0.0]
    shares = shares[shares > 0.0]
    judged = [judge_cell(cell, min_persons) for cell in kept]
    reasons = "; ".join(sorted({reason for _, reason in judged if reason}))
    limits = _average_limits(kept, shares) if all(cell.is_estimable for cell in kept) else None
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0) if limits else (None, None)
    status = max((status for status, _ in judged), key=("ok", "small", "degenerate", "not estimable").index)
    error = limits.standard_error if limits and math.isfinite(limits.standard_error) else None
    apart = _are_apart(kept)
    return Estimate(
        estimate=limits.estimate if limits else None,
        low=low,
        high=high,
        standard_error=error,
        confidence_level=confidence_level,
        method="none" if limits is None else f"mean of {len(kept)} AUCs, {_RULE_NAMES[limits.rule]}",
        status=status,
        reason=reasons,
        n_patients=_distinct_persons(kept),
        n_images=(sum if apart else max)(cell.n_images for cell in kept),
        n_positive=(sum if apart else min)(cell.n_positive for cell in kept),
        n_negative=(sum if apart else min)(cell.n_negative for cell in kept),
        df=limits.df if limits and math.isfinite(limits.df) else None,
        limits=limits,
    )


def stratified_auc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    strata: ArrayLike,
    *,
    person: ArrayLike,
    weights: str | Mapping[object, float] = "positives",
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> Estimate:
    """The AUC among images of the same stratum: what is left of it when, say, the view tells nothing.

    Parameters
    ----------
    strata : array [n]
        Stratum of each image, e.g. its view.
    person : array [n]
        Who each image is of.
    weights : {'positives', 'pairs'} or mapping of stratum to share
        'positives' compares each positive with the negatives of its own stratum, and is the covariate-
        adjusted AUC of Janes & Pepe 2009, doi:10.1093/biomet/asp002; 'pairs' weighs strata by their pairs; a
        mapping standardises to a reference mix, so that two groups can be compared at the same one.

    Raises
    ------
    StatisticsError
        As `auc_components`; strata of another length; or a mapping with a stratum that is not there.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    names, persons = np.asarray(strata), np.asarray(person)
    if names.shape != is_positive.shape or persons.shape != is_positive.shape:
        raise StatisticsError(
            f"strata and person must have one entry per row, {len(is_positive)}, "
            f"not {names.shape} and {persons.shape}"
        )
    present = np.unique(names).tolist()
    cells = [
        auc_components(is_positive[rows], scores[rows], person=persons[rows])
        for rows in (names == stratum for stratum in present)
    ]
    shares = _stratum_shares(weights, present, cells)
    return average_auc(cells, weights=shares, confidence_level=confidence_level, min_persons=min_persons)


@dataclass(frozen=True, eq=False)
class WithinStrata:
    """The strata that two groups share, and their common weights: ready for any model's scores.

    Attributes
    ----------
    stratum : int array [n], -1 for images of a stratum where a group lacks a class
    shares : array [strata], summing to 1
    left_out : the strata left out, with how many images
    """

    images: Images
    stratum: IntArray
    shares: FloatArray
    left_out: tuple[str, ...]
    n_left_out: int

    def components(self, y_score: ArrayLike) -> Sides:
        """Both groups' AUC within strata at the common shares, for one model's scores [n]."""
        scores = check_scores(y_score, len(self.images))
        a, b = self.images.is_in_a, ~self.images.is_in_a
        return self._side(scores, a), self._side(scores, b)

    @cached_property
    def _factor(self) -> FloatArray:
        cells = 4 * self.stratum + 2 * self.images.is_in_a + self.images.is_positive
        return person_factor(np.where(self.stratum >= 0, cells, -1), self.images)

    def _side(self, scores: FloatArray, side: BoolArray) -> MixedComponents:
        kept = side & (self.stratum >= 0)
        influence, placed, weights = np.zeros(len(scores)), np.full(len(scores), np.nan), np.zeros(len(scores))
        value = 0.0
        for code, share in enumerate(self.shares):
            rows = np.flatnonzero(kept & (self.stratum == code))
            is_positive = self.images.is_positive[rows]
            cells = is_positive.astype(np.int64)
            ranks = weighted_placements(is_positive, scores[rows], np.ones(len(rows)))
            pull = share / np.where(is_positive, is_positive.sum(), (~is_positive).sum())
            value += float(pull[is_positive] @ ranks[is_positive])
            influence[rows] = pull * (ranks - mean_by(cells, ranks)) * self._factor[rows]
            placed[rows], weights[rows] = ranks, pull
        found = mixed_components(
            self.images, kept, value=value, influence=influence, placements=placed, weights=weights
        )
        return restricted_to(found, self.images.persons[kept])


def within_strata(
    y_true: ArrayLike,
    is_in_a: ArrayLike,
    strata: ArrayLike,
    *,
    person: ArrayLike,
    weights: str | Mapping[object, float] = "positives",
    min_class_persons: int = 2,
    one_group_per_person: bool = False,
) -> WithinStrata:
    """The common strata of two groups ready for any model's scores; parameters are `stratified_auc_gap`'s."""
    images = check_images(y_true, is_in_a, person, one_group_per_person=one_group_per_person)
    names = check_strata(strata, len(images)).astype(str)
    present, codes = np.unique(names, return_inverse=True)
    persons = images.coded[1]
    cells = 4 * codes + 2 * images.is_in_a + images.is_positive
    pairs = np.unique(np.stack([cells, persons]), axis=1)[0]
    n_persons = np.bincount(pairs, minlength=4 * len(present)).reshape(-1, 4)
    is_common = (n_persons >= min_class_persons).all(axis=1)
    if not is_common.any():
        raise StatisticsError(
            f"no stratum holds {min_class_persons} persons of each class in both groups: nothing can be compared"
        )
    stratum = np.where(is_common, np.cumsum(is_common) - 1, -1)[codes]
    sizes = np.bincount(codes)
    left_out = tuple(f"{present[place]} ({sizes[place]})" for place in np.flatnonzero(~is_common))
    shares = _common_shares(weights, images, stratum, present[is_common].tolist())
    return WithinStrata(images, stratum, shares, left_out, int((stratum < 0).sum()))


def stratified_auc_gap(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    strata: ArrayLike,
    *,
    person: ArrayLike,
    weights: str | Mapping[object, float] = "positives",
    min_class_persons: int = 2,
    one_group_per_person: bool = False,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> AdjustedGap:
    """The within-stratum AUC of group A minus that of group B, both averaged over strata with the same weights.

    Pairs are compared within a stratum only, say within a view; so neither a view that foretells the finding nor
    one group's share of it plays a part. `stratified_auc` is the same for a single group.

    Parameters
    ----------
    y_true, y_score, is_in_a, strata, person : arrays [n]
        Labels 0/1, finite scores, True for images of group A, stratum, and who each image is of.
    weights : {'positives', 'pairs'} or mapping of stratum to share
        Weights of the strata in both groups: by the positives, or the pairs, of both groups together.
    min_class_persons : int
        A stratum where a group has fewer persons of a class is left out, counted, and named in `reason`.

    Raises
    ------
    StatisticsError
        As `auc_components`; one group only; no stratum in common; weights that name a stratum that is not there.

    Notes
    -----
    Janes & Pepe 2009, doi:10.1093/biomet/asp002. The variance counts persons who are in both groups or in several
    strata once, by the sum of what they add to each.
    """
    common = within_strata(
        y_true,
        is_in_a,
        strata,
        person=person,
        weights=weights,
        min_class_persons=min_class_persons,
        one_group_per_person=one_group_per_person,
    )
    sides = common.components(y_score)
    gap = auc_gap(*sides, confidence_level=confidence_level, min_persons=min_persons)
    return adjusted_gap(gap, sides, left_out=common.left_out, n_left_out=common.n_left_out)


def _common_shares(
    weights: str | Mapping[object, float], images: Images, stratum: IntArray, present: list[str]
) -> FloatArray:
    if not isinstance(weights, str):
        given = {str(name): share for name, share in weights.items()}
        absent = [name for name in given if name not in present]
        if absent:
            raise StatisticsError(
                f"weights name strata that are not in both groups: {', '.join(absent)} "
                f"(there are {', '.join(present)})"
            )
        return _check_shares([given.get(name, 0.0) for name in present], len(present))
    check_choice(weights, WEIGHTS, "weights")
    kept = stratum >= 0
    positives = np.bincount(stratum[kept & images.is_positive], minlength=len(present))
    negatives = np.bincount(stratum[kept & ~images.is_positive], minlength=len(present))
    return _check_shares(positives * negatives if weights == "pairs" else positives, len(present))


_RULE_NAMES = {"logit": "logit-t", "newcombe 5": "Newcombe 5", "wald": "Wald"}


def _average_limits(cells: Sequence[AucComponents], shares: FloatArray) -> AucLimits:
    value = float(shares @ np.array([cell.auc for cell in cells]))
    variance = float(shares @ auc_covariance(cells) @ shares)
    terms = [
        (share**2 * sum(cell.variance_terms()), patient_df(cell))
        for share, cell in zip(shares, cells, strict=True)
    ]
    apart = _are_apart(cells)
    df = satterthwaite(*terms) if apart else min(df for _, df in terms)
    count = sum if apart else min
    m = count(cell.n_persons_positive for cell in cells)
    n = count(cell.n_persons_negative for cell in cells)
    error = math.sqrt(variance) if variance > 0.0 else math.nan
    if not error > 0.0 or is_near_end(value, max(m, n)):
        return AucLimits("newcombe 5", value, error, math.inf, m, n)
    return AucLimits("logit", value, error, df, m, n, spans_newcombe=is_near_end(value, min(m, n)))


def _stratum_shares(
    weights: str | Mapping[object, float], present: list[object], cells: Sequence[AucComponents]
) -> list[float]:
    if not isinstance(weights, str):
        absent = [str(name) for name in weights if name not in present]
        if absent:
            raise StatisticsError(
                f"weights name strata with no row: {', '.join(absent)} (there are {', '.join(map(str, present))})"
            )
        return [float(weights.get(name, 0.0)) for name in present]
    if check_choice(weights, WEIGHTS, "weights") == "pairs":
        return [float(cell.n_positive * cell.n_negative) for cell in cells]
    return [float(cell.n_positive) for cell in cells]


def _check_shares(weights: ArrayLike | None, n_cells: int) -> FloatArray:
    if not n_cells:
        raise StatisticsError("components is empty: there is no AUC to average")
    shares = np.ones(n_cells) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != (n_cells,):
        raise StatisticsError(f"weights must have one entry per cell, {n_cells}, not the shape {shares.shape}")
    if not (shares >= 0.0).all() or not shares.any():
        raise StatisticsError(f"weights must be 0 or more and not all 0, not {shares.tolist()}")
    return np.asarray(shares / shares.sum())


def _are_apart(cells: Sequence[AucComponents]) -> bool:
    """Whether no person is in two of the cells."""
    return all(shared_persons(a, b) == 0 for place, a in enumerate(cells) for b in cells[place + 1 :])


def _distinct_persons(cells: Sequence[AucComponents]) -> int:
    keys = [cell.persons for cell in cells if cell.persons is not None]
    return len(np.unique(np.concatenate(keys))) if len(keys) == len(cells) else sum(c.n_persons for c in cells)
