"""Thresholds chosen by a rule, on images that they do not score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import FloatArray, IntArray
from subgroup_audit.stats.ranked import RankedScores, rank_scores

RULES = ("youden", "f1", "sensitivity=<target>", "specificity=<target>")
N_FOLDS = 5


@dataclass(frozen=True)
class Rule:
    """How an operating point is chosen: 'youden', 'f1', or the point that just reaches a target."""

    name: str
    target: float | None = None


def parse_rule(text: str) -> Rule:
    """The rule of a text like 'youden', 'f1', 'sensitivity=0.9' or 'specificity=0.9'.

    Raises
    ------
    StatisticsError
        Another word, or a target outside 0 to 1.
    """
    name, _, target = text.replace(" ", "").partition("=")
    if name in ("youden", "f1") and not target:
        return Rule(name)
    try:
        value = float(target) if name in ("sensitivity", "specificity") else None
    except ValueError:
        value = None
    if value is None or not 0.0 < value <= 1.0:
        raise StatisticsError(
            f"a threshold rule must be youden, f1, sensitivity=TARGET or specificity=TARGET with a target above 0 "
            f"and up to 1, not {text!r}"
        )
    return Rule(name, value)


def choose_threshold(y_true: ArrayLike, y_score: ArrayLike, rule: str = "youden") -> float:
    """The threshold that a rule chooses on these images: a score at or above it is called positive.

    Parameters
    ----------
    rule : str
        'youden': the largest sensitivity + specificity - 1 (Youden 1950); 'f1': the largest F1;
        'sensitivity=0.9': the highest threshold with at least that sensitivity; 'specificity=0.9': the lowest
        with at least that specificity. Of equal thresholds the highest is taken.

    Raises
    ------
    StatisticsError
        As `auc_components`; one class only; an unknown rule.

    Notes
    -----
    A threshold chosen on the images that it is judged on flatters the model. Choose it on a validation split,
    or by `cross_fit_thresholds`.

    Examples
    --------
    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], "sensitivity=1")
    0.35
    """
    found = best_threshold(rank_scores(y_true, y_score), parse_rule(rule))
    if found is None:
        raise StatisticsError("a threshold needs both classes, but only one is there")
    return found


def best_threshold(ranked: RankedScores, rule: Rule) -> float | None:
    """The threshold that the rule chooses; None where a class is missing."""
    m, n = ranked.n_positive, ranked.n_negative
    if not m or not n:
        return None
    thresholds, hits, alarms = cumulative_counts(ranked)
    if rule.name == "sensitivity":
        return float(thresholds[int(np.argmax(hits >= (rule.target or 0.0) * m - 1e-9))])
    if rule.name == "specificity":
        return _lowest_specific(thresholds, alarms, n, rule.target or 0.0)
    gain = hits / m - alarms / n if rule.name == "youden" else 2.0 * hits / (hits + alarms + m)
    return float(thresholds[int(np.argmax(gain))])


def _lowest_specific(thresholds: FloatArray, alarms: FloatArray, n_negative: int, target: float) -> float:
    """The lowest threshold that calls few enough negatives positive; above all scores if none does."""
    allowed = np.flatnonzero(n_negative - alarms >= target * n_negative - 1e-9)
    return float(thresholds[allowed[-1]]) if len(allowed) else float(np.nextafter(thresholds[0], np.inf))


def cumulative_counts(ranked: RankedScores) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct scores, falling, and the positives and negatives at or above each."""
    score = ranked.score[::-1]
    is_last = np.append(score[1:] != score[:-1], True)
    hits = np.cumsum(ranked.is_positive[::-1])[is_last].astype(np.float64)
    at_least = np.flatnonzero(is_last) + 1.0
    return score[is_last], hits, at_least - hits


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Thresholds of images, each chosen without the image's person.

    Attributes
    ----------
    threshold : float array [n], in the order of the ranked images; nan where the other folds lack a class
    by_fold : float array [n_folds]
    """

    threshold: FloatArray
    by_fold: FloatArray


def cross_fit_thresholds(ranked: RankedScores, rule: Rule, *, n_folds: int = N_FOLDS, seed: int = 0) -> CrossFit:
    """A threshold for every image, chosen on the persons of the other folds.

    Persons are dealt into folds at random, those with a positive image and those without it separately, so
    that every fold has both. With fewer persons than folds there are as many folds as persons.
    """
    fold = _deal(ranked, min(n_folds, max(ranked.n_persons, 1)), seed)
    of_image = fold[ranked.person]
    by_fold = np.full(int(fold.max(initial=-1)) + 1, np.nan)
    for number in range(len(by_fold)):
        others = of_image != number
        kept = RankedScores(
            ranked.is_positive[others], ranked.score[others], ranked.person[others], ranked.persons
        )
        found = best_threshold(kept, rule)
        by_fold[number] = np.nan if found is None else found
    return CrossFit(by_fold[of_image] if len(by_fold) else np.empty(0), by_fold)


def _deal(ranked: RankedScores, n_folds: int, seed: int) -> IntArray:
    """Fold of each person, shape [K]."""
    order = np.random.default_rng(seed).permutation(ranked.n_persons)
    has_positive = np.bincount(ranked.person[ranked.is_positive], minlength=ranked.n_persons) > 0
    dealt = order[np.argsort(has_positive[order], kind="stable")]
    fold = np.empty(ranked.n_persons, dtype=np.int64)
    fold[dealt] = np.arange(ranked.n_persons) % n_folds
    return fold
