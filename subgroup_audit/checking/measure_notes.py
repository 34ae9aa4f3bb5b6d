"""What a reader must know of how a check was measured, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from subgroup_audit.checking.operating import PER_GROUP
from subgroup_audit.checking.samples import Layout
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.stats.calibration import SMALLEST_PROBABILITY

# Labels that mean health: calling a sick person healthy is their false positive.
_HEALTHY = ("nofinding", "normal", "healthy", "nofindings", "noabnormality")


def under_diagnosis_metric(finding: str) -> str:
    """The rate at which sick people are called healthy: the false-negative rate, or for 'No Finding' the FPR.

    Seyyed-Kalantari et al. 2021, doi:10.1038/s41591-021-01595-0.

    >>> under_diagnosis_metric("Pneumonia"), under_diagnosis_metric("No Finding")
    ('false_negative_rate', 'false_positive_rate')
    """
    letters = "".join(letter for letter in finding.lower() if letter.isalnum())
    return "false_positive_rate" if letters in _HEALTHY else "false_negative_rate"


def notes_of(
    layout: Layout, settings: CheckSettings, rules: tuple[str, ...], rows: pd.DataFrame
) -> tuple[str, ...]:
    """The sentences that these numbers need."""
    return (
        *_person_notes(layout),
        *_threshold_notes(rules),
        *_diagnosis_notes(layout, settings),
        *_measure_notes(layout, settings, rows),
    )


def _person_notes(layout: Layout) -> Iterator[str]:
    if not layout.table.has_persons:
        yield "Every image counts as a person: where persons have several, the intervals are too narrow."
    if layout.has_train:
        person = layout.person
        both = len(np.intersect1d(person[layout.is_in("train")], person[layout.is_in("test")]))
        if both and layout.table.has_persons:
            yield f"{both} persons are in the training and in the test split: the test images are not unseen."
        yield "Train minus test is descriptive: the model has seen the training images."
    if layout.table.split is not None and layout.judged_split != "test":
        yield f"There is no test split: the numbers are of the split '{layout.judged_split}'."


def _threshold_notes(rules: tuple[str, ...]) -> Iterator[str]:
    common = [rule for rule in rules if not rule.startswith(PER_GROUP)]
    if any("validation" in rule for rule in common):
        yield "The operating point was chosen on the validation split; intervals take it as given."
    if any("cross-fitted" in rule for rule in common):
        yield (
            "There is no validation split to choose the operating point on. It was cross-fitted: persons were "
            "dealt into 5 folds, and each fold's images are classified at the threshold chosen on the other four. "
            "The threshold shown is the mean. Intervals take the thresholds as given."
        )
    if len(common) < len(rules):
        yield (
            "Rows marked 'per group' have a threshold of each group's own: how much of a gap is threshold. "
            "They are descriptive: their intervals leave out the noise of choosing two thresholds, which is large "
            "for youden and f1, so that they can show a gap where there is none."
        )


def _diagnosis_notes(layout: Layout, settings: CheckSettings) -> Iterator[str]:
    if not {"false_negative_rate", "false_positive_rate"} & set(settings.measures):
        return
    healthy = [name for name in layout.table.findings if under_diagnosis_metric(name) == "false_positive_rate"]
    yield "Under-diagnosis is the false-negative rate, over-diagnosis the false-positive rate."
    if healthy:
        names = ", ".join(f"'{name}'" for name in healthy)
        yield f"For {names}, which means health, under-diagnosis is the false-positive rate instead."


def _measure_notes(layout: Layout, settings: CheckSettings, rows: pd.DataFrame) -> Iterator[str]:
    measures = set(settings.measures)
    if "average_precision" in measures:
        yield (
            "Average precision depends on the share of positives. A gap between groups of different prevalence is "
            "not one of the model alone."
        )
    if "expected_calibration_error" in measures:
        yield (
            "The expected calibration error is in 10 bins of equal width and corrected for its upward bias, which "
            "is larger in small groups; the plain one, as other software has it, is in the table of Brier parts."
        )
    if measures & {"calibration_slope", "calibration_intercept"}:
        yield from _clipped(layout)
    if rows["metric"].str.contains("_parity_|equalized|opportunity").any():
        yield "Parity is over all groups of an attribute; its intervals are simultaneous over all pairs of them."


def _clipped(layout: Layout) -> Iterator[str]:
    edge = SMALLEST_PROBABILITY
    count = sum(int(np.count_nonzero((t.y_score < edge) | (t.y_score > 1 - edge))) for t in layout.table.tasks)
    if count:
        yield f"{count} scores are within {edge:g} of 0 or 1: their logit is taken there for slope and intercept."
