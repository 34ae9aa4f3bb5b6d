"""Where each image's operating point comes from: given, or chosen on images that it does not score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.samples import ALL_IMAGES, GroupKey, Layout, Sample
from subgroup_audit.checking.scored import Task
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.operating_points import N_FOLDS, Rule, best_threshold, cross_fit_thresholds, parse_rule

PER_GROUP = "per group, "
NO_THRESHOLD = "no threshold could be chosen: the images that it is chosen on lack a class"


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Thresholds of one sample's images.

    Attributes
    ----------
    rule : where they come from, in words: the `threshold_rule` of every row
    threshold : float array [n], in the order of the sample's images; nan where none could be chosen
    """

    rule: str
    threshold: NDArray[np.float64]

    @property
    def is_known(self) -> bool:
        """Whether every image has a threshold."""
        return not bool(np.isnan(self.threshold).any())

    @property
    def mean(self) -> float | None:
        """The threshold, or the mean over images where folds differ."""
        if not len(self.threshold) or not self.is_known:
            return None
        first = float(self.threshold[0])
        return first if bool((self.threshold == first).all()) else float(self.threshold.mean())


def find_operating_points(
    layout: Layout, task: Task, samples: Mapping[GroupKey, Sample], settings: CheckSettings
) -> dict[GroupKey, tuple[OperatingPoint, ...]]:
    """The operating points of every sample of one split: the common one, and where it is chosen, the group's own.

    Parameters
    ----------
    samples : all samples of one split of the task, everybody's among them
    """
    if settings.threshold.value is not None:
        value = float(settings.threshold.value)
        return {
            key: (OperatingPoint("given", np.full(sample.ranked.n_images, value)),)
            for key, sample in samples.items()
        }
    rule = parse_rule(settings.threshold.rule)
    choosing = choosing_samples(layout, task, samples[ALL_IMAGES].name.split)
    common = _choose(samples[ALL_IMAGES], choosing.get(ALL_IMAGES), rule, settings)
    where = f"{settings.threshold.rule}, {_source(has_validation=bool(choosing))}"
    of_place = np.empty(len(task.y_score))
    of_place[samples[ALL_IMAGES].places] = common
    found = {}
    for key, sample in samples.items():
        points = [OperatingPoint(where, of_place[sample.places])]
        if key != ALL_IMAGES:
            own = _choose(sample, choosing.get(key), rule, settings)
            points.append(OperatingPoint(PER_GROUP + where, own))
        found[key] = tuple(points)
    return found


def choosing_samples(layout: Layout, task: Task, split: str) -> dict[GroupKey, Sample]:
    """The validation images that thresholds are chosen on; empty where they must be cross-fitted.

    A validation split that lacks a class for this finding is of no use, and neither is one that is judged.
    """
    if split == "val" or layout.table.split is None or not bool(layout.is_in("val")[task.rows].any()):
        return {}
    found = {(sample.name.attribute, sample.name.group): sample for sample in layout.samples(task, "val")}
    everybody = found[ALL_IMAGES].ranked
    return found if everybody.n_positive and everybody.n_negative else {}


def _source(*, has_validation: bool) -> str:
    return "chosen on the validation split" if has_validation else f"cross-fitted over {N_FOLDS} folds of persons"


def _choose(sample: Sample, choosing: Sample | None, rule: Rule, settings: CheckSettings) -> NDArray[np.float64]:
    """A threshold for every image of the sample, shape [n]; nan where none can be chosen."""
    ranked = sample.ranked
    if choosing is not None:
        found = best_threshold(choosing.ranked, rule)
        return np.full(ranked.n_images, np.nan if found is None else found)
    return np.asarray(cross_fit_thresholds(ranked, rule, seed=settings.seed).threshold)


def distinct_thresholds(point: OperatingPoint) -> list[float]:
    """The thresholds that occur, ascending: one, or one a fold."""
    return sorted(set(pd.unique(point.threshold[~np.isnan(point.threshold)]).tolist()))
