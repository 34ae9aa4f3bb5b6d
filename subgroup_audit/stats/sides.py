"""Several AUCs with their seeds, and the covariance that any combination of them rests on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import AucComponents, auc_covariance, shared_persons
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_level
from subgroup_audit.stats.intervals import MIN_PERSONS, patient_df, satterthwaite
from subgroup_audit.stats.results import SeedEstimate
from subgroup_audit.stats.seeds import average_over_seeds

Sides = Sequence[Sequence[AucComponents]]


@dataclass(frozen=True, eq=False)
class SidePool:
    """Several AUCs, each with its seeds, and what the variance of any combination of them comes from.

    Attributes
    ----------
    estimates : one `SeedEstimate` a side
    groups : which sides come from the same fits, a code a side
    patients : array [k, k], covariance of the seed means that the choice of patients makes
    spread, own : arrays [k, k], covariance that the seeds show, and the least that chance of single fits makes;
        0 between sides of different fits
    dfs : array [k], degrees of freedom of each side's patient variance
    is_shared : array [k, k], whether two sides have a person in common
    """

    sides: Sides
    estimates: tuple[SeedEstimate, ...]
    groups: tuple[int, ...]
    patients: FloatArray
    spread: FloatArray
    own: FloatArray
    dfs: FloatArray
    is_shared: BoolArray
    confidence_level: float

    @property
    def has_several_seeds(self) -> bool:
        """Whether seeds are averaged over, so that the answer is about the training recipe."""
        return any(len(side) > 1 for side in self.sides)

    def values(self) -> FloatArray:
        """The seed means, nan where a class is missing."""
        found = [side.estimate for side in self.estimates]
        return np.array([math.nan if value is None else value for value in found])

    def patient_se(self, coefficients: ArrayLike) -> float | None:
        """The standard error of a combination that the choice of patients alone leaves."""
        variance = self._patient_variance(np.asarray(coefficients, dtype=np.float64))
        return math.sqrt(variance) if variance >= 0.0 else None

    def seed_sd(self, coefficients: ArrayLike) -> float | None:
        """Standard deviation of a combination from seed to seed; None for one seed or several sets of fits."""
        weights = np.asarray(coefficients, dtype=np.float64)
        active = np.flatnonzero(weights)
        if len({self.groups[side] for side in active}) > 1 or len(self.sides[active[0]]) < 2:
            return None
        return math.sqrt(max(_quadratic(self.spread, weights), 0.0) * len(self.sides[active[0]]))

    def variance(self, coefficients: ArrayLike) -> tuple[float, float]:
        """The variance of a combination and its degrees of freedom (patients and seeds, Satterthwaite)."""
        weights = np.asarray(coefficients, dtype=np.float64)
        terms = [(self._patient_variance(weights), self._patient_df(weights))]
        for group in sorted(set(self.groups)):
            within = np.where(np.array(self.groups) == group, weights, 0.0)
            if within.any():
                terms.append(self._seed_term(within))
        return sum(variance for variance, _ in terms), satterthwaite(*terms)

    def covariance(self, coefficients: ArrayLike) -> FloatArray:
        """Covariance of all sides, with the seeds' part as this combination takes it: shown, or the least."""
        weights = np.asarray(coefficients, dtype=np.float64)
        total = self.patients.copy()
        for group in sorted(set(self.groups)):
            is_in = np.array(self.groups) == group
            within = np.where(is_in, weights, 0.0)
            chosen = self.spread if self._shows_more(within) else self.own
            total += np.where(np.outer(is_in, is_in), chosen, 0.0)
        return np.asarray(total)

    def usable(self) -> BoolArray:
        """Which sides can be estimated."""
        return np.array([found.estimate is not None for found in self.estimates])

    def restrict(self, is_kept: BoolArray) -> SidePool:
        """The pool of some of the sides."""
        kept = [int(side) for side in np.flatnonzero(is_kept)]
        square = np.ix_(kept, kept)
        return SidePool(
            sides=[self.sides[side] for side in kept],
            estimates=tuple(self.estimates[side] for side in kept),
            groups=tuple(self.groups[side] for side in kept),
            patients=self.patients[square],
            spread=self.spread[square],
            own=self.own[square],
            dfs=self.dfs[kept],
            is_shared=self.is_shared[square],
            confidence_level=self.confidence_level,
        )

    def _patient_variance(self, weights: FloatArray) -> float:
        return max(_quadratic(self.patients, weights), 0.0)

    def _shows_more(self, weights: FloatArray) -> bool:
        return max(_quadratic(self.spread, weights), 0.0) >= max(_quadratic(self.own, weights), 0.0)

    def _seed_term(self, weights: FloatArray) -> tuple[float, float]:
        """The larger of what the seeds show and what chance alone gives, with the df of its source."""
        n_seeds = len(self.sides[int(np.flatnonzero(weights)[0])])
        if n_seeds == 1:
            return 0.0, math.inf
        if self._shows_more(weights):
            return max(_quadratic(self.spread, weights), 0.0), n_seeds - 1.0
        return max(_quadratic(self.own, weights), 0.0), self._patient_df(weights)

    def _patient_df(self, weights: FloatArray) -> float:
        """The smallest of sides that share persons; Satterthwaite's over sides that share nobody."""
        clusters = clusters_of(self.is_shared, np.flatnonzero(weights))
        if len(clusters) == 1:
            return float(self.dfs[clusters[0]].min())
        return satterthwaite(
            *(
                (self._patient_variance(_only(weights, members)), float(self.dfs[members].min()))
                for members in clusters
            )
        )


def pool_sides(
    sides: Sides,
    *,
    seed_groups: Sequence[Hashable] | None = None,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> SidePool:
    """The covariances of several AUCs worked out once, for any number of combinations by `linear.combine`."""
    check_level(confidence_level)
    groups = _group_codes(sides, seed_groups)
    estimates = tuple(
        average_over_seeds(side, confidence_level=confidence_level, min_persons=min_persons) for side in sides
    )
    count = len(sides)
    patients, spread, own = (np.full((count, count), math.nan) for _ in range(3))
    usable = [place for place, found in enumerate(estimates) if found.estimate is not None]
    if usable:
        patients[np.ix_(usable, usable)], own[np.ix_(usable, usable)] = _patient_parts(sides, usable, groups)
        spread[np.ix_(usable, usable)] = _seed_parts(sides, usable, groups)
    firsts = [side[0] for side in sides]
    is_shared = np.array([[a is b or shared_persons(a, b) > 0 for b in firsts] for a in firsts])
    dfs = [len(side) / sum(1.0 / patient_df(cell) for cell in side) for side in sides]
    return SidePool(sides, estimates, groups, patients, spread, own, np.array(dfs), is_shared, confidence_level)


def _patient_parts(sides: Sides, usable: Sequence[int], groups: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Covariance of seed means from patients, and what single fits add of their own, for the usable sides."""
    cells = [cell for side in usable for cell in sides[side]]
    full = auc_covariance(cells)
    ends = np.cumsum([len(sides[side]) for side in usable])
    places = [slice(end - len(sides[side]), end) for side, end in zip(usable, ends, strict=True)]
    patients, own = np.zeros((2, len(usable), len(usable)))
    for i, a in enumerate(usable):
        for j, b in enumerate(usable):
            block = full[places[i], places[j]]
            patients[i, j], own[i, j] = _split_block(block, is_same_fits=groups[a] == groups[b])
            if i == j:
                patients[i, i], own[i, i] = _floored(patients[i, i]), max(own[i, i], 0.0)
    return patients, own


def _split_block(block: FloatArray, *, is_same_fits: bool) -> tuple[float, float]:
    """The mean covariance between different fits; and, over the seeds, how much larger that of one fit is.

    The same fit on the same patients adds chance of its own: only different fits tell patients apart.
    """
    if not is_same_fits or block.size == 1:
        return float(block.mean()), 0.0
    is_same = np.eye(len(block), dtype=bool)
    between = float(block[~is_same].mean())
    own = (float(block[is_same].mean()) - between) / len(block)
    return between, own if math.isfinite(own) else 0.0


def _floored(value: float) -> float:
    return max(value, 0.0) if math.isfinite(value) else math.nan


def _seed_parts(sides: Sides, usable: Sequence[int], groups: Sequence[int]) -> FloatArray:
    """Covariance of seed means as the seeds show it; 0 between sides of different fits, or of one seed."""
    found = np.zeros((len(usable), len(usable)))
    for i, a in enumerate(usable):
        for j, b in enumerate(usable):
            if groups[a] == groups[b] and len(sides[a]) > 1:
                first, second = ([cell.auc for cell in sides[side]] for side in (a, b))
                found[i, j] = float(np.cov(first, second)[0, 1]) / len(first)
    return found


def clusters_of(is_shared: BoolArray, active: IntArray) -> list[list[int]]:
    """The active sides in groups that share no person with another group."""
    left, found = [int(side) for side in active], []
    while left:
        members, waiting = [], [left.pop(0)]
        while waiting:
            side = waiting.pop()
            members.append(side)
            near = [other for other in left if is_shared[side, other]]
            left = [other for other in left if other not in near]
            waiting += near
        found.append(sorted(members))
    return found


def _only(weights: FloatArray, members: Sequence[int]) -> FloatArray:
    kept = np.zeros_like(weights)
    kept[members] = weights[members]
    return kept


def _quadratic(matrix: FloatArray, weights: FloatArray) -> float:
    active = np.flatnonzero(weights)
    return float(weights[active] @ matrix[np.ix_(active, active)] @ weights[active])


def _group_codes(sides: Sides, seed_groups: Sequence[Hashable] | None) -> tuple[int, ...]:
    if not len(sides):
        raise StatisticsError("sides is empty: there is no AUC to combine")
    named = list(range(len(sides))) if seed_groups is None else list(seed_groups)
    if len(named) != len(sides):
        raise StatisticsError(f"seed_groups must have one entry per side, {len(sides)}, not {len(named)}")
    counts = [len(side) for side in sides]
    if min(counts) < 2 and len(set(counts)) > 1:
        raise StatisticsError(
            f"{min(counts)} seed against {max(counts)}: one fit has no variance between seeds, so give two seeds "
            f"or more on every side, or one on every side"
        )
    order = {name: code for code, name in enumerate(dict.fromkeys(named))}
    for name in order:
        found = sorted({count for count, other in zip(counts, named, strict=True) if other == name})
        if len(found) > 1:
            raise StatisticsError(f"sides of the same fits must be of one number of seeds, not {found}")
    return tuple(order[name] for name in named)
