"""The AUC gap of two groups whose covariates are made alike by inverse-probability weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.bootstrap import bootstrap_interval
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    check_labels,
    check_persons,
    check_scores,
    check_weights,
)
from subgroup_audit.stats.intervals import MIN_PERSONS
from subgroup_audit.stats.mixes import (
    AdjustedGap,
    Images,
    MixedComponents,
    Sides,
    adjusted_gap,
    check_covariates,
    check_images,
    gap_replicates,
    mixed_components,
    standardised_design,
    weighted_placements,
)
from subgroup_audit.stats.persons import PersonDraws

_MAX_STEPS = 30
_REFIT_STEPS = 6
# Beyond this linear predictor a group is foretold with certainty: only separation leads there.
_SEPARATED = 15.0


def weighted_auc_components(
    y_true: ArrayLike, y_score: ArrayLike, sample_weight: ArrayLike, *, person: ArrayLike
) -> MixedComponents:
    """The components of an AUC with given weights: for `auc_gap`, `seed_gap` and `auc_covariance`.

    The weights are taken as known. Each pair of a positive and a negative counts the product of their weights; the
    degrees of freedom come from Kish's effective numbers of persons.

    Raises
    ------
    StatisticsError
        As `auc_components`; weights that are negative, not finite, or zero throughout a class.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    weights = check_weights(sample_weight, len(is_positive))
    persons = check_persons(person, len(is_positive))
    for of_class, name in ((is_positive, "positive"), (~is_positive, "negative")):
        if not weights[of_class].any():
            raise StatisticsError(f"an AUC needs both classes, but no row of weight above 0 is {name}")
    everybody = np.ones(len(is_positive), dtype=bool)
    images = Images(is_positive, everybody, persons)
    value, placed, influence = _weighted_influence(images, scores, weights, everybody)
    return mixed_components(
        images, everybody, value=value, influence=influence, placements=placed, weights=weights
    )


@dataclass(frozen=True, eq=False)
class GroupModel:
    """The logistic model of group A given the covariates, among the images of one class.

    Attributes
    ----------
    rows : int array, the images of the class
    design : array [n, p], intercept and standardised covariates of those images
    coefficients : array [p]
    share : float, the class's share of images in group A, which stabilises the weights
    """

    rows: IntArray
    design: FloatArray
    coefficients: FloatArray
    share: float


@dataclass(frozen=True, eq=False)
class GroupWeights:
    """Stabilised inverse-probability weights of the images of two groups, and the models they come from.

    Attributes
    ----------
    weights : array [n]
        P(group | class) / P(group | class, covariates), cut at `caps`.
    is_cut : bool array [n]
        Where the weight stands at its cap.
    caps : the largest weight allowed in group A and in group B
    """

    images: Images
    models: tuple[GroupModel, ...]
    weights: FloatArray
    is_cut: BoolArray
    caps: tuple[float, float]

    def components(self, y_score: ArrayLike) -> Sides:
        """Both groups' weighted AUC, for one model's scores [n], with the weights' estimation accounted for."""
        scores = check_scores(y_score, len(self.images))
        a, b = self.images.is_in_a, ~self.images.is_in_a
        return self._side(scores, a), self._side(scores, b)

    def _side(self, scores: FloatArray, side: BoolArray) -> MixedComponents:
        value, placed, influence = _weighted_influence(self.images, scores, self.weights, side)
        for model in self.models:
            influence[model.rows] += self._of_estimated_weights(model, influence, side)
        return mixed_components(
            self.images,
            side,
            value=value,
            influence=influence,
            placements=placed,
            weights=np.where(side, self.weights, 0.0),
        )

    def _of_estimated_weights(self, model: GroupModel, influence: FloatArray, side: BoolArray) -> FloatArray:
        """What each image adds by way of the fitted coefficients: (dA/dbeta) times their own influence."""
        is_in_a, design = self.images.is_in_a[model.rows], model.design
        fitted = _expit(design @ model.coefficients)
        # The weight of A is share/e and that of B (1-share)/(1-e): d log w = -(1-e) x, and e x.
        slope = np.where(is_in_a, fitted - 1.0, fitted) * side[model.rows] * ~self.is_cut[model.rows]
        gradient = design.T @ (influence[model.rows] * slope)
        information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        return np.asarray(design @ np.linalg.solve(information, gradient) * (is_in_a - fitted))

    def lane_weights(self, counts: FloatArray) -> FloatArray:
        """Weights of the images in each resample, shape [n, lanes]: both models are fitted anew in each.

        Newton steps from the full-sample coefficients, for all resamples at once. The caps and the stabilising
        shares stay. A resample in
        which the groups come apart has nan throughout.
        """
        out = np.zeros_like(counts)
        for model in self.models:
            is_in_a, own = self.images.is_in_a[model.rows], counts[model.rows]
            fitted = _refit(model, is_in_a, own)
            weights = np.where(is_in_a[:, None], model.share / fitted, (1.0 - model.share) / (1.0 - fitted))
            caps = np.where(is_in_a, *self.caps)[:, None]
            out[model.rows] = own * np.minimum(weights, caps)
        return out


def group_weights(
    y_true: ArrayLike,
    is_in_a: ArrayLike,
    covariates: ArrayLike,
    *,
    person: ArrayLike,
    truncate: float = 0.99,
    one_group_per_person: bool = False,
) -> GroupWeights:
    """The weights that make two groups' covariates alike within each class, ready for any model's scores.

    Parameters and errors are those of `weighted_auc_gap`.
    """
    images = check_images(y_true, is_in_a, person, one_group_per_person=one_group_per_person)
    table = check_covariates(covariates, len(images))
    if not 0.0 < truncate <= 1.0:
        raise StatisticsError(f"truncate must be a quantile above 0 and up to 1, not {truncate}")
    models = tuple(_fit(images, table, of_class) for of_class in (images.is_positive, ~images.is_positive))
    weights = np.empty(len(images))
    for model in models:
        is_a, fitted = images.is_in_a[model.rows], _expit(model.design @ model.coefficients)
        weights[model.rows] = np.where(is_a, model.share / fitted, (1.0 - model.share) / (1.0 - fitted))
    sides = (images.is_in_a, ~images.is_in_a)
    cap_a, cap_b = (float(np.quantile(weights[side], truncate)) for side in sides)
    caps = np.where(images.is_in_a, cap_a, cap_b)
    return GroupWeights(images, models, np.minimum(weights, caps), weights > caps, (cap_a, cap_b))


def weighted_auc_gap(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    covariates: ArrayLike,
    *,
    person: ArrayLike,
    truncate: float = 0.99,
    draws: PersonDraws | None = None,
    n_resamples: int | None = None,
    one_group_per_person: bool = False,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> AdjustedGap:
    """The AUC of group A minus that of group B with covariates made alike by inverse-probability weights.

    Within each class a logistic model gives e(x), the probability of group A given the covariates. Images of A
    weigh P(A | class)/e(x), those of B P(B | class)/(1 - e(x)) (stabilised): both groups then have the covariates
    of their class as a whole. Unlike matching by strata it takes continuous covariates, and rests on the model.

    Parameters
    ----------
    y_true, y_score, is_in_a, person : arrays [n]
        Labels 0/1, finite scores, True for images of group A, and who each image is of.
    covariates : array [n, p] or [n]
        Finite numbers; dummies for attributes. They are standardised here.
    truncate : float
        Weights above this quantile of their group's are cut to it (1: none); the cap counts as fixed.
    draws : PersonDraws, optional
        Gives percentile limits in `bootstrap`: the models are fitted anew in each resample.
    n_resamples : int, optional
        How many of the shared draws are used, the first ones; all if not given.

    Returns
    -------
    AdjustedGap
        The default limits take the estimation of the weights into account by its influence function, which for a
        correct model makes them narrower than weights known beforehand would.

    Raises
    ------
    StatisticsError
        As `auc_components`; covariates that are not finite or of another length; covariates that tell the groups
        apart completely within a class (no overlap: no weights exist); or a person in both groups where refused.

    Notes
    -----
    Robins, Hernan & Brumback 2000, doi:10.1097/00001648-200009000-00011 (stabilised weights); Lunceford & Davidian
    2004, doi:10.1002/sim.1903 (variance with estimated weights); effective size: Kish 1965, Survey Sampling.
    """
    model = group_weights(
        y_true, is_in_a, covariates, person=person, truncate=truncate, one_group_per_person=one_group_per_person
    )
    scores = check_scores(y_score, len(model.images))
    sides = model.components(scores)
    gap = auc_gap(*sides, confidence_level=confidence_level, min_persons=min_persons)
    bootstrap = None
    if draws is not None and gap.estimate is not None:
        replicates = gap_replicates(model, scores[None], draws, n_resamples=n_resamples)[0]
        bootstrap = bootstrap_interval(replicates, gap.estimate, confidence_level=confidence_level)
    return adjusted_gap(gap, sides, bootstrap=bootstrap)


def _weighted_influence(
    images: Images, scores: FloatArray, weights: FloatArray, side: BoolArray
) -> tuple[float, FloatArray, FloatArray]:
    """A group's weighted AUC, its weighted placements, and each image's influence as if weights were known."""
    rows = np.flatnonzero(side)
    is_positive = images.is_positive[rows]
    placed = weighted_placements(is_positive, scores[rows], weights[rows])
    shares = weights[rows].copy()
    for of_class in (is_positive, ~is_positive):
        shares[of_class] /= max(float(shares[of_class].sum()), np.finfo(float).tiny)
    value = float(shares[is_positive] @ placed[is_positive]) if is_positive.any() else float("nan")
    whole, influence = np.full(len(scores), np.nan), np.zeros(len(scores))
    whole[rows] = placed
    influence[rows] = np.nan_to_num(shares * (placed - value))
    return value, whole, influence


def _fit(images: Images, table: FloatArray, of_class: BoolArray) -> GroupModel:
    rows = np.flatnonzero(of_class)
    is_in_a, name = images.is_in_a[rows], "positives" if images.is_positive[rows].all() else "negatives"
    if not is_in_a.any() or is_in_a.all():
        raise StatisticsError(f"all {name} are of one group: no weights can make the groups alike")
    design = standardised_design(table[rows])
    share = float(is_in_a.mean())
    coefficients = _newton(design, is_in_a, math.log(share / (1.0 - share)))
    if not np.isfinite(coefficients).all() or np.abs(design @ coefficients).max() > _SEPARATED:
        raise StatisticsError(
            f"the covariates tell the groups apart completely among the {name}: without overlap no weights exist"
        )
    return GroupModel(rows, design, coefficients, share)


def _newton(design: FloatArray, is_in_a: BoolArray, intercept: float) -> FloatArray:
    """Maximum-likelihood coefficients of a logistic model; nan where the steps find none."""
    beta: FloatArray = np.zeros(design.shape[1])
    beta[0] = intercept
    for _ in range(_MAX_STEPS):
        fitted = _expit(design @ beta)
        information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, design.T @ (is_in_a - fitted))
        beta += step
        if np.abs(step).max() < 1e-10:
            return beta
        if np.abs(beta).max() > 2 * _SEPARATED:
            break
    return np.full(design.shape[1], np.nan)


def _refit(model: GroupModel, is_in_a: BoolArray, counts: FloatArray) -> FloatArray:
    """Fitted probabilities [n, lanes] of the model in each resample; nan where a resample has no solution."""
    design, n_terms = model.design, model.design.shape[1]
    beta: FloatArray = np.repeat(model.coefficients[:, None], counts.shape[1], axis=1)
    products = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    outcome = is_in_a[:, None].astype(np.float64)
    step: FloatArray = np.full(beta.shape, np.inf)
    for _ in range(_REFIT_STEPS):
        fitted = _expit(design @ beta)
        information = (products.T @ (counts * fitted * (1.0 - fitted))).T.reshape(-1, n_terms, n_terms)
        is_known = np.isfinite(information).all(axis=(1, 2))
        information[~is_known] = np.eye(n_terms)
        is_solvable = is_known & (np.linalg.cond(information) < 1e10)
        information[~is_solvable] = np.eye(n_terms)
        gradient = np.nan_to_num((design.T @ (counts * (outcome - fitted))).T)
        step = np.array(np.linalg.solve(information, gradient[:, :, None])[:, :, 0].T, dtype=np.float64)
        step[:, ~is_solvable] = np.nan
        beta = np.asarray(np.clip(beta + step, -2 * _SEPARATED, 2 * _SEPARATED))
        if np.nanmax(np.abs(step), initial=0.0) < 1e-6:
            break
    beta[:, ~(np.abs(step) < 1e-3).all(axis=0)] = np.nan
    fitted = _expit(design @ beta)
    return np.asarray(np.clip(fitted, 1e-7, 1.0 - 1e-7))


def _expit(x: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0))))
