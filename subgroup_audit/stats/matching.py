"""The AUC gap of two groups whose test sets are brought to one mix of class and strata (age band, view ...)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.bootstrap import bootstrap_interval
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_scores
from subgroup_audit.stats.intervals import MIN_PERSONS
from subgroup_audit.stats.mixes import (
    AdjustedGap,
    Images,
    MixedComponents,
    Sides,
    adjusted_gap,
    check_images,
    check_strata,
    gap_replicates,
    mean_by,
    mixed_components,
    person_factor,
    restricted_to,
    weighted_placements,
)
from subgroup_audit.stats.persons import PersonDraws

REFERENCES = ("pooled", "a", "b")
Reference = str | Mapping[tuple[int, object], float]


@dataclass(frozen=True, eq=False)
class CommonMix:
    """The mix of class and stratum that two groups are brought to, and the weights that do so.

    Attributes
    ----------
    cell : int array [n]
        Class x stratum cell of each image; -1 for images without a counterpart in the other group.
    shares : array [cells]
        The reference mix: each cell's share of its class.
    weights : array [n]
        Reference share over the cell's number of images of the own group; 0 where left out.
    left_out : tuple of str
        The cells that only one group has, with how many images.
    """

    images: Images
    cell: IntArray
    cell_is_positive: BoolArray
    shares: FloatArray
    weights: FloatArray
    left_out: tuple[str, ...]
    n_left_out: int

    def components(self, y_score: ArrayLike) -> Sides:
        """Both groups' AUC at the common mix, for one model's scores [n]."""
        scores = check_scores(y_score, len(self.images))
        return tuple(self._side(scores, side) for side in (self.images.is_in_a, ~self.images.is_in_a))  # type: ignore[return-value]

    def _side(self, scores: FloatArray, side: BoolArray) -> MixedComponents:
        kept = side & (self.cell >= 0)
        rows = np.flatnonzero(kept)
        is_positive, weights, cells = self.images.is_positive[rows], self.weights[rows], self.cell[rows]
        persons = self.images.persons[rows]
        placed = weighted_placements(is_positive, scores[rows], weights)
        within = weights * (placed - mean_by(cells, placed)) * self._factor[rows]
        whole, influence = np.full(len(scores), np.nan), np.zeros(len(scores))
        whole[rows], influence[rows] = placed, within
        found = mixed_components(
            self.images,
            kept,
            value=float(weights[is_positive] @ placed[is_positive]),
            influence=influence,
            placements=whole,
            weights=np.where(kept, self.weights, 0.0),
        )
        return restricted_to(found, persons)

    @cached_property
    def _factor(self) -> FloatArray:
        codes = np.where(self.cell >= 0, 2 * self.cell + self._in_a, -1)
        return person_factor(codes, self.images)

    def lane_weights(self, counts: FloatArray) -> FloatArray:
        """Weights in each resample: the reference mix stays as it is, each group's own mix is taken anew.

        A cell that a resample lacks in one group is left out of that resample in both.
        """
        kept = self.cell >= 0
        totals = np.stack([self._cell_sums(counts, kept & side) for side in (self._in_a, ~self._in_a)])
        shares = self.shares[:, None] * (totals > 0.0).all(axis=0)
        for of_class in (self.cell_is_positive, ~self.cell_is_positive):
            sums = shares[of_class].sum(axis=0)
            shares[of_class] = np.divide(
                shares[of_class], sums, out=np.zeros_like(shares[of_class]), where=sums > 0
            )
        per_count = np.divide(shares, totals, out=np.zeros_like(totals), where=totals > 0)
        own = per_count[np.where(self._in_a, 0, 1), np.maximum(self.cell, 0)]
        return np.where(kept[:, None], counts * own, 0.0)

    @property
    def _in_a(self) -> BoolArray:
        return self.images.is_in_a

    def _cell_sums(self, counts: FloatArray, chosen: BoolArray) -> FloatArray:
        indicator = np.zeros((len(self.shares), int(chosen.sum())))
        indicator[self.cell[chosen], np.arange(int(chosen.sum()))] = 1.0
        return np.asarray(indicator @ counts[chosen])


def common_mix(
    y_true: ArrayLike,
    is_in_a: ArrayLike,
    strata: ArrayLike,
    *,
    person: ArrayLike,
    reference: Reference = "pooled",
    min_cell_persons: int = 2,
    one_group_per_person: bool = False,
) -> CommonMix:
    """The common mix of two groups' test images, ready for any model's scores.

    Parameters and errors are those of `matched_auc_gap`.
    """
    images = check_images(y_true, is_in_a, person, one_group_per_person=one_group_per_person)
    names = check_strata(strata, len(images))
    strata_names, codes = np.unique(names.astype(str), return_inverse=True)
    cell = 2 * codes + images.is_positive
    persons_per = np.stack(
        [_persons_per_cell(images, cell, side, 2 * len(strata_names)) for side in _sides(images)]
    )
    is_common = (persons_per >= min_cell_persons).all(axis=0)
    labels = [(place % 2, strata_names[place // 2]) for place in range(2 * len(strata_names))]
    kept_cells = np.flatnonzero(is_common)
    recoded = np.where(is_common, np.cumsum(is_common) - 1, -1)[cell]
    is_positive = kept_cells % 2 == 1
    if not is_positive.any() or is_positive.all():
        raise StatisticsError(
            f"no stratum holds {min_cell_persons} persons of both groups in each class: nothing can be matched"
        )
    shares = _reference_shares(reference, images, recoded, [labels[place] for place in kept_cells], is_positive)
    weights = _weights(images, recoded, shares)
    sizes = np.bincount(cell, minlength=len(labels))
    absent = [(labels[place], int(sizes[place])) for place in np.flatnonzero(~is_common) if sizes[place]]
    return CommonMix(
        images,
        recoded,
        is_positive,
        shares,
        weights,
        tuple(f"{'positive' if label else 'negative'} {name} ({size})" for (label, name), size in absent),
        sum(size for _, size in absent),
    )


def matched_auc_gap(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    strata: ArrayLike,
    *,
    person: ArrayLike,
    reference: Reference = "pooled",
    draws: PersonDraws | None = None,
    min_cell_persons: int = 2,
    one_group_per_person: bool = False,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> AdjustedGap:
    """The AUC of group A minus that of group B when both test sets have the same mix of class and strata.

    Each image weighs (reference share of its class x stratum cell) / (images of the cell in its group): what
    resampling the test sets to a common mix does (Glocker et al. 2023), without the chance of the resampling.
    An AUC compares positives with negatives, so that the prevalence alone never moves it; the mix of strata
    within each class does, and with it everything that goes along with the prevalence of a stratum.

    Parameters
    ----------
    y_true, y_score, is_in_a, person : arrays [n]
        Labels 0/1, finite scores, True for images of group A, and who each image is of.
    strata : array [n]
        Stratum of each image, e.g. 'AP, 40-59'.
    reference : {'pooled', 'a', 'b'} or mapping of (class, stratum) to share
        The mix that both are brought to. It is taken as given, as a standard population is: the interval is for
        the gap at this very mix, and only each group's own images are subject to chance.
    draws : PersonDraws, optional
        Gives percentile limits over the shared draws beside the default ones, in `bootstrap`.
    min_cell_persons : int
        A cell with fewer persons in either group is left out of both, counted, and named in `reason`.
    one_group_per_person : bool
        Refuse persons who are in both groups (for sex; not for views).

    Returns
    -------
    AdjustedGap
        The default limits are MOVER's from both groups' logit-t limits, with each person's influence on the
        post-stratified AUC (each cell around its own mean) and effective numbers of persons.

    Raises
    ------
    StatisticsError
        As `auc_components`; arrays of other lengths; one group only; no common stratum in a class; a reference
        that is no mix; or a person in both groups where that is refused.

    Notes
    -----
    Glocker, Jones, Bernhardt & Winzeck 2023, doi:10.1016/j.ebiom.2023.104467.
    """
    mix = common_mix(
        y_true,
        is_in_a,
        strata,
        person=person,
        reference=reference,
        min_cell_persons=min_cell_persons,
        one_group_per_person=one_group_per_person,
    )
    scores = check_scores(y_score, len(mix.images))
    sides = mix.components(scores)
    gap = auc_gap(*sides, confidence_level=confidence_level, min_persons=min_persons)
    bootstrap = None
    if draws is not None and gap.estimate is not None:
        replicates = gap_replicates(mix, scores[None], draws)[0]
        bootstrap = bootstrap_interval(replicates, gap.estimate, confidence_level=confidence_level)
    return adjusted_gap(gap, sides, left_out=mix.left_out, n_left_out=mix.n_left_out, bootstrap=bootstrap)


def _sides(images: Images) -> tuple[BoolArray, BoolArray]:
    return images.is_in_a, ~images.is_in_a


def _persons_per_cell(images: Images, cell: IntArray, side: BoolArray, n_cells: int) -> IntArray:
    codes = images.coded[1]
    pairs = np.unique(np.stack([cell[side], codes[side]]), axis=1)[0]
    return np.bincount(pairs, minlength=n_cells)


def _reference_shares(
    reference: Reference,
    images: Images,
    cell: IntArray,
    labels: list[tuple[int, str]],
    is_positive: BoolArray,
) -> FloatArray:
    """Each kept cell's share of its class."""
    if isinstance(reference, str):
        if reference not in REFERENCES:
            raise StatisticsError(
                f"reference must be one of {', '.join(REFERENCES)} or a mapping, not {reference!r}"
            )
        side = {"a": images.is_in_a, "b": ~images.is_in_a}.get(reference, np.ones(len(images), dtype=bool))
        shares = np.bincount(cell[side & (cell >= 0)], minlength=len(labels)).astype(np.float64)
    else:
        given = {(int(label), str(name)): float(share) for (label, name), share in reference.items()}
        shares = np.array([given.get(label, 0.0) for label in labels])
    return _normalised(shares, is_positive)


def _normalised(shares: FloatArray, is_positive: BoolArray) -> FloatArray:
    if not (np.isfinite(shares) & (shares >= 0.0)).all():
        raise StatisticsError(f"the shares of a reference mix must be 0 or more, not {shares.tolist()}")
    out = shares.copy()
    for of_class, name in ((is_positive, "positive"), (~is_positive, "negative")):
        if not shares[of_class].sum() > 0.0:
            raise StatisticsError(f"the reference mix gives no {name} stratum of both groups a share above 0")
        out[of_class] = shares[of_class] / shares[of_class].sum()
    return out


def _weights(images: Images, cell: IntArray, shares: FloatArray) -> FloatArray:
    weights = np.zeros(len(images))
    for side in _sides(images):
        chosen = side & (cell >= 0)
        sizes = np.bincount(cell[chosen], minlength=len(shares))
        weights[chosen] = (shares / np.maximum(sizes, 1))[cell[chosen]]
    return weights
