"""Ranking across two groups: what the AUCs within each cannot show (xAUC)."""

from __future__ import annotations

from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.components import AucComponents, auc_components
from subgroup_audit.stats.gaps import auc_gap
from subgroup_audit.stats.inputs import BoolArray, check_labels, check_persons, check_scores
from subgroup_audit.stats.intervals import MIN_PERSONS
from subgroup_audit.stats.mixes import check_group
from subgroup_audit.stats.results import GapEstimate


def xauc_components(
    y_true: ArrayLike, y_score: ArrayLike, is_in_a: ArrayLike, *, person: ArrayLike
) -> tuple[AucComponents, AucComponents]:
    """Components of both cross-group AUCs: positives of A among negatives of B, and the reverse.

    Their difference is the xAUC gap, for `auc_gap` or, one pair a training seed, for `seed_gap`. A person with a
    positive image in one group and a negative one in either is in both cells, or in both classes of one: the
    covariance by persons takes care of it. Errors are those of `xauc_gap`.
    """
    is_positive = check_labels(y_true)
    scores = check_scores(y_score, len(is_positive))
    persons = check_persons(person, len(is_positive))
    group = check_group(is_in_a, len(is_positive))

    def outranks(positives_of: BoolArray) -> AucComponents:
        rows = (is_positive & positives_of) | (~is_positive & ~positives_of)
        if not rows.any():
            raise StatisticsError("one group has positives only and the other negatives only: no pair to rank")
        return auc_components(is_positive[rows], scores[rows], person=persons[rows])

    return outranks(group), outranks(~group)


def xauc_gap(
    y_true: ArrayLike,
    y_score: ArrayLike,
    is_in_a: ArrayLike,
    *,
    person: ArrayLike,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> GapEstimate:
    """P(a positive of A outranks a negative of B) minus P(a positive of B outranks a negative of A).

    Both groups may have the same AUC within, and yet one's scores all lie higher: its positives are then
    found first, and its negatives are sent for nothing. Negative where the positives of A are at a loss.

    Parameters
    ----------
    y_true : array of 0 and 1, shape [n]
    y_score : finite array, shape [n]
    is_in_a : array of bool, shape [n]
        True for the images of group A, False for those of B.
    person : array, shape [n]
        Who each image is of; the two terms share persons wherever one has images of both classes.

    Raises
    ------
    StatisticsError
        As `auc_components`; or `is_in_a` that is not boolean.

    Notes
    -----
    Kallus & Zhou 2019, arXiv:1902.05826. Each term is an AUC of positives of one group against negatives of
    the other, so that DeLong's and Obuchowski's covariance hold as they are.
    """
    terms = xauc_components(y_true, y_score, is_in_a, person=person)
    return auc_gap(*terms, confidence_level=confidence_level, min_persons=min_persons)
