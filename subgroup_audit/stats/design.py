"""Variances of AUCs before there are scores: from who is in a cohort, how often, and in which class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, KeyArray, check_labels, check_persons


@dataclass(frozen=True, eq=False)
class PlannedCell:
    """The images that an AUC will be of: keys of images and persons, shape [n], and the class of each."""

    image: KeyArray
    person: KeyArray
    is_positive: BoolArray

    @property
    def n_positive(self) -> int:
        """Positive images."""
        return int(np.count_nonzero(self.is_positive))

    @property
    def n_negative(self) -> int:
        """Negative images."""
        return len(self.is_positive) - self.n_positive

    @property
    def n_persons(self) -> int:
        """Persons."""
        return len(np.unique(self.person))


@dataclass(frozen=True)
class PlannedPair:
    """How much two cells share: pairs of one image, of two images of a person and class, and of either class.

    Each is the number of such pairs over the products of class sizes. `n_pairs` is that of positives and negatives
    of a cell with itself, 0 for two cells.
    """

    same_image: float
    same_person: float
    other_class: float
    n_pairs: int

    def covariance(self, auc: float, *, same_image: float = 1.0, same_person: float = 0.5) -> float:
        """As `planned_covariance`."""
        of_image, of_person, of_both = (
            _placement_covariance(auc, correlation) for correlation in (same_image, same_person, -same_person)
        )
        remainder = 0.0
        if self.n_pairs and same_image == 1.0:
            remainder = (auc * (1.0 - auc) - 2.0 * of_image) / self.n_pairs
        shared = self.same_image * of_image + self.same_person * of_person + self.other_class * of_both
        return shared + remainder


def plan_cell(y_true: ArrayLike, person: ArrayLike, image: ArrayLike) -> PlannedCell:
    """A cell to be planned with, from the label, the person and the key of each image."""
    labels = check_labels(y_true)
    return PlannedCell(check_persons(image, len(labels), "image"), check_persons(person, len(labels)), labels)


def planned_covariance(
    a: PlannedCell, b: PlannedCell, auc: float, *, same_image: float = 1.0, same_person: float = 0.5
) -> float:
    """The covariance of two AUCs at this value whose scores will be normal; of one cell with itself its variance.

    Parameters
    ----------
    same_image : float
        Correlation of the two scores of an image that is in both cells: 1 for the same fit, less for two.
    same_person : float
        Correlation of the scores of two different images of a person: the intra-class correlation, times that of
        the two fits.

    Raises
    ------
    StatisticsError
        A cell without positives or negatives, or an AUC outside 0 to 1.

    Notes
    -----
    The sum is Obuchowski's (1997, doi:10.2307/2533958) over pairs of images that share an image or a person. The
    placements of two positives, both normal with correlation r, have the covariance
    Phi2(z, z; r/2) - A^2, z the normal quantile of A; those of a positive and a negative Phi2(z, z; -r/2) - A^2.
    With one image a person and r = 1 this is `binormal_auc_variance`.
    """
    return plan_pair(a, b).covariance(auc, same_image=same_image, same_person=same_person)


def plan_pair(a: PlannedCell, b: PlannedCell) -> PlannedPair:
    """What two cells share, counted once for any number of `covariance`."""
    for cell in (a, b):
        if not cell.n_positive or not cell.n_negative:
            raise StatisticsError(f"an AUC needs both classes, not {cell.n_positive} and {cell.n_negative} images")
    persons = np.unique(np.concatenate([a.person, b.person]))
    (positive_a, negative_a), (positive_b, negative_b) = (_by_person(cell, persons) for cell in (a, b))
    shared = np.intersect1d(a.image, b.image)
    n_positive = int(np.isin(shared, a.image[a.is_positive]).sum())
    of_positives, of_negatives = a.n_positive * b.n_positive, a.n_negative * b.n_negative
    crossed = positive_a @ negative_b / (a.n_positive * b.n_negative)
    crossed_back = negative_a @ positive_b / (a.n_negative * b.n_positive)
    return PlannedPair(
        same_image=n_positive / of_positives + (len(shared) - n_positive) / of_negatives,
        same_person=float(
            (positive_a @ positive_b - n_positive) / of_positives
            + (negative_a @ negative_b - len(shared) + n_positive) / of_negatives
        ),
        other_class=float(crossed + crossed_back),
        n_pairs=a.n_positive * a.n_negative if a is b else 0,
    )


def design_effect(sizes: ArrayLike, *, icc: float) -> float:
    """How many times the variance of a mean grows since persons give several images of equal weight.

    1 + (sum n_k^2 / sum n_k - 1) icc, n_k the images of person k (Kish 1965, Survey Sampling; with unequal
    clusters Eldridge, Ashby & Kerry 2006, doi:10.1093/ije/dyl129).

    >>> design_effect([1, 1, 1], icc=0.5), design_effect([3, 3], icc=0.5)
    (1.0, 2.0)
    """
    counts = np.asarray(sizes, dtype=np.float64)
    if not len(counts) or (counts < 1).any():
        raise StatisticsError("sizes must be images of a person, 1 or more each")
    return float(1.0 + ((counts**2).sum() / counts.sum() - 1.0) * icc)


def _by_person(cell: PlannedCell, persons: KeyArray) -> tuple[FloatArray, FloatArray]:
    codes: IntArray = np.searchsorted(persons, cell.person)
    return (
        np.bincount(codes[cell.is_positive], minlength=len(persons)).astype(np.float64),
        np.bincount(codes[~cell.is_positive], minlength=len(persons)).astype(np.float64),
    )


def _placement_covariance(auc: float, correlation: float) -> float:
    """Phi2(z, z; r/2) - A^2 by Owen's T."""
    from scipy.special import ndtri, owens_t

    if not 0.0 < auc < 1.0:
        raise StatisticsError(f"auc must lie between 0 and 1, not {auc}")
    half = correlation / 2.0
    return auc - 2.0 * float(owens_t(float(ndtri(auc)), math.sqrt((1.0 - half) / (1.0 + half)))) - auc**2
