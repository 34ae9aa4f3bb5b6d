"""The mean AUC over findings, as one more finding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats import average_auc
from subgroup_audit.stats.measurement import AucMeasurement, Counts, Measurement, build_estimate

MACRO_MEAN = "macro mean"


def mean_over_findings(measured: Sequence[Measurement], settings: CheckSettings) -> Measurement:
    """The plain mean of one group's AUCs over findings, with the interval that their covariance gives.

    A mean over fewer findings would be another number: it is not estimable where one of them is not. Its positives
    and negatives are the fewest of any finding.
    """
    persons = np.unique(np.concatenate([one.persons for one in measured]))
    missing = "; ".join(dict.fromkeys(one.found.reason for one in measured if one.found.estimate is None))
    if missing:
        fewest = [min(getattr(one.found, name) for one in measured) for name in ("n_positive", "n_negative")]
        counts = Counts(len(persons), max(one.found.n_images for one in measured), *fewest)
        found = build_estimate(None, counts, confidence_level=settings.confidence_level, reason=missing)
        return Measurement(found, persons, partial(np.zeros, len(persons)))
    aucs = [one for one in measured if isinstance(one, AucMeasurement)]
    components = [one.components for one in aucs if one.components is not None]
    found = average_auc(components, confidence_level=settings.confidence_level, min_persons=settings.min_persons)
    return Measurement(found, persons, partial(_mean_pull, aucs, persons))


def _mean_pull(measured: Sequence[AucMeasurement], persons: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros(len(persons))
    for one in measured:
        total[np.searchsorted(persons, one.persons)] += one.pull()
    return total / len(measured)
