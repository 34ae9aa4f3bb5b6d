"""The AUC gap at the same covariates by regression of placement values, with persons as clusters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_scores
from subgroup_audit.stats.intervals import MIN_PERSONS
from subgroup_audit.stats.mixes import (
    AdjustedGap,
    Images,
    MixedComponents,
    Sides,
    adjusted_gap,
    check_covariates,
    check_images,
    check_strata,
    mean_by,
    mixed_components,
    person_factor,
    restricted_to,
    standardised_design,
)

NO_COUNTERPART = "group and stratum with one class only"


@dataclass(frozen=True, eq=False)
class PlacementRegression:
    """The regression of placement values of two groups' positives on group and covariates, without scores yet.

    Attributes
    ----------
    reference : int array [n]
        Reference set of each image: its group's negatives (of its stratum) have the code of the positives that
        are placed among them; -1 for positives without such negatives, and negatives without such positives.
    design : array [positives, p]
        Intercept and covariates, then the group, for the positives with a reference set.
    rows : int array, those positives
    """

    images: Images
    reference: IntArray
    design: FloatArray
    rows: IntArray
    n_left_out: int

    def placements(self, y_score: ArrayLike) -> FloatArray:
        """Each positive's share of its reference negatives below it, ties one half, shape [positives]."""
        scores = check_scores(y_score, len(self.images))
        return self._placed(scores, np.ones(len(self.rows)))[0]

    def components(self, y_score: ArrayLike) -> Sides:
        """Both groups' AUC at the mean covariates of all positives; their difference is the group coefficient."""
        scores = check_scores(y_score, len(self.images))
        inverse = np.linalg.inv(self.design.T @ self.design)
        middle = self.design.mean(axis=0)
        at = [np.append(middle[:-1], group) for group in (1.0, 0.0)]
        in_a, in_b = (self.design @ inverse @ point for point in at)
        return self._side(scores, in_a, self.images.is_in_a), self._side(scores, in_b, ~self.images.is_in_a)

    def _side(self, scores: FloatArray, pull: FloatArray, side: BoolArray) -> MixedComponents:
        """One group's predicted AUC, sum of `pull` x placement, and what positives and negatives add to it."""
        placed, beaten = self._placed(scores, pull)
        coefficients = np.linalg.lstsq(self.design, placed, rcond=None)[0]
        images, n_images = self.images, len(self.images)
        influence, whole, weights = np.zeros(n_images), np.full(n_images, np.nan), np.zeros(n_images)
        used = len(coefficients)
        influence[self.rows] = pull * (placed - self.design @ coefficients)
        influence[self.rows] *= np.sqrt(len(self.rows) / (len(self.rows) - used))
        negatives = ~images.is_positive & (self.reference >= 0)
        codes = np.where(negatives, self.reference, -1)
        deviations = (beaten - mean_by(codes, beaten)) * self._factor
        influence[negatives] = deviations[negatives]
        whole[self.rows] = placed
        weights[self.rows] = np.abs(pull)
        weights[negatives] = self._weight_of_negatives(np.abs(pull), codes)[negatives]
        found = mixed_components(
            images,
            side & (self.reference >= 0),
            value=float(pull @ placed),
            influence=influence,
            placements=whole,
            weights=weights,
            lost=(used - 1, 0),
        )
        return restricted_to(found, images.persons[self.reference >= 0])

    @cached_property
    def _factor(self) -> FloatArray:
        return person_factor(np.where(self.images.is_positive, -1, self.reference), self.images)

    def _weight_of_negatives(self, pull: FloatArray, codes: IntArray) -> FloatArray:
        """What each reference set weighs in the AUC, shared by its negatives."""
        n_sets = int(self.reference.max()) + 1
        totals = np.bincount(self.reference[self.rows], pull, n_sets)
        sizes = np.bincount(codes[codes >= 0], minlength=n_sets)
        return np.where(codes >= 0, (totals / np.maximum(sizes, 1))[np.maximum(codes, 0)], 0.0)

    def _placed(self, scores: FloatArray, pull: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Placements of the positives [positives]; and each negative's share of the pull of those above it [n]."""
        placed, beaten = np.full(len(scores), np.nan), np.zeros(len(scores))
        pulls = np.zeros(len(scores))
        pulls[self.rows] = pull
        for code in range(int(self.reference.max()) + 1):
            members = np.flatnonzero(self.reference == code)
            order = members[np.argsort(scores[members], kind="stable")]
            starts, ends = tie_bounds(scores[order])
            is_negative = ~self.images.is_positive[order]
            counts = np.concatenate(([0], np.cumsum(is_negative)))
            sums = np.concatenate(([0.0], np.cumsum(pulls[order])))
            n_negative = counts[-1]
            placed[order] = (counts[starts] + counts[ends]) / (2.0 * n_negative)
            beaten[order] = (sums[-1] - 0.5 * (sums[starts] + sums[ends])) / n_negative
        return placed[self.rows], np.where(self.images.is_positive, 0.0, beaten)


def placement_regression(
    y_true: ArrayLike,
    is_in_a: ArrayLike,
    covariates: ArrayLike,
    *,
    person: ArrayLike,
    strata: ArrayLike | None = None,
    one_group_per_person: bool = False,
) -> PlacementRegression:
    """The regression ready for any model's scores; parameters and errors are those of `adjusted_auc_gap`."""
    images = check_images(y_true, is_in_a, person, one_group_per_person=one_group_per_person)
    table = check_covariates(covariates, len(images))
    names = np.zeros(len(images), dtype=int) if strata is None else check_strata(strata, len(images))
    stratum = np.unique(names.astype(str), return_inverse=True)[1]
    sets = np.unique(2 * stratum + images.is_in_a, return_inverse=True)[1]
    n_sets = int(sets.max()) + 1
    sizes = [
        np.bincount(sets[of_class], minlength=n_sets) for of_class in (images.is_positive, ~images.is_positive)
    ]
    has_both = (sizes[0] > 0) & (sizes[1] > 0)
    reference = np.where(has_both, np.cumsum(has_both) - 1, -1)[sets]
    rows = np.flatnonzero(images.is_positive & (reference >= 0))
    group = images.is_in_a[rows]
    if not len(rows) or group.all() or not group.any():
        raise StatisticsError("a group has no positive that shares its stratum with a negative of its own group")
    design = np.column_stack([standardised_design(table[rows]), group.astype(np.float64)])
    if np.linalg.matrix_rank(design) < design.shape[1] or len(rows) <= design.shape[1]:
        raise StatisticsError(
            f"the covariates tell the groups apart completely, or {len(rows)} positives are too few for "
            f"{design.shape[1]} coefficients: the gap at equal covariates cannot be had"
        )
    return PlacementRegression(images, reference, design, rows, int((reference < 0).sum()))


def adjusted_auc_gap(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    covariates: ArrayLike,
    *,
    person: ArrayLike,
    strata: ArrayLike | None = None,
    one_group_per_person: bool = False,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> AdjustedGap:
    """The AUC of group A minus that of group B at equal covariates, by regression of placement values.

    The placement of a positive is the share of the negatives of its own group (and stratum) that score below it;
    its mean is the AUC. The placements are regressed on the group and the covariates with an identity link, by
    estimating equations with persons as clusters (GEE with independence as its working correlation, solved in
    closed form). The coefficient of the group is the gap between positives with the same covariates, each among
    negatives of its own group and stratum.

    Parameters
    ----------
    y_true, y_score, is_in_a, person : arrays [n]
        Labels 0/1, finite scores, True for images of group A, and who each image is of.
    covariates : array [n, p] or [n]
        Finite numbers; dummies for attributes. Only those of positives are used.
    strata : array [n], optional
        What the negatives must share with a positive besides the group, e.g. the view: covariates that move the
        negatives' scores belong here too, since the regression is one of positives.

    Returns
    -------
    AdjustedGap
        Its variance has two parts, as DeLong's has: the positives' residuals, and the negatives that the
        placements are measured against, both summed by person. A GEE's own sandwich takes the placements as data
        and has the first part alone: it covers too little.

    Raises
    ------
    StatisticsError
        As `auc_components`; covariates that are not finite, of another length, or that give the group away; too
        few positives; or a person in both groups where that is refused.

    Notes
    -----
    Alonzo & Pepe 2002, doi:10.1093/biostatistics/3.3.421; Dodd & Pepe 2003, doi:10.1198/016214503000198;
    Pepe & Cai 2004, doi:10.1111/j.0006-341X.2004.00200.x; GEE: Liang & Zeger 1986, doi:10.1093/biomet/73.1.13.
    """
    model = placement_regression(
        y_true, is_in_a, covariates, person=person, strata=strata, one_group_per_person=one_group_per_person
    )
    sides = model.components(y_score)
    outside = [side.auc for side in sides if not 0.0 <= side.auc <= 1.0]
    if outside:
        raise StatisticsError(f"the regression predicts an AUC of {outside[0]:.3f}: the covariates reach too far")
    gap = auc_gap(*sides, confidence_level=confidence_level, min_persons=min_persons)
    words = (NO_COUNTERPART,) if model.n_left_out else ()
    return adjusted_gap(gap, sides, left_out=words, n_left_out=model.n_left_out)
