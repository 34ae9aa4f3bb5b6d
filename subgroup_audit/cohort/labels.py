"""From a source's labels to the study's findings: 1, 0, or left out with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.departures import Departures
from subgroup_audit.cohort.roster import Levels, Mask, Roster
from subgroup_audit.errors import nearest
from subgroup_audit.schema import UNKNOWN, LabelTable
from subgroup_audit.study import FindingRule, Study

UNCERTAIN = "label is uncertain"
UNLABELLED = "no label among those of the study"
TWO_CLASSES = "labels of two classes"


@dataclass(frozen=True, eq=False)
class Truth:
    """What each image truly shows.

    Attributes
    ----------
    y : (n_images, n_findings), 1 or 0, missing where not known
    label : what `label` means in balance: the class, or 1 / 0 of the first finding
    """

    y: NDArray[np.float64]
    label: Levels


@dataclass(frozen=True, eq=False)
class _Stated:
    """The label rows of the roster's images, as arrays."""

    n_images: int
    position: NDArray[np.int64]
    finding: NDArray[np.int64]
    names: tuple[str, ...]
    value: NDArray[np.int64]

    def has(self, labels: Iterable[str], value: int) -> Mask:
        """Which images have this value on any of the labels."""
        wanted = set(labels)
        among = np.array([name in wanted for name in self.names], dtype=bool)
        found = np.zeros(self.n_images, dtype=bool)
        if len(among):
            found[self.position[among[self.finding] & (self.value == value)]] = True
        return found

    def has_any(self) -> Mask:
        """Which images have any label at all."""
        found = np.zeros(self.n_images, dtype=bool)
        found[self.position] = True
        return found


def unknown_labels(study: Study, labels: LabelTable) -> list[str]:
    """One sentence for each source label that the study names and no image carries."""
    carried = sorted(labels.frame["finding"].unique())
    named = [(f"classes.{name}", label) for name, listed in study.classes.items() for label in listed]
    for name, rule in study.findings.items():
        named += [(f"findings.{name}.positive", label) for label in rule.positive]
        if rule.negative != "rest":
            named += [(f"findings.{name}.negative", label) for label in rule.negative]
    return [_unknown_label(place, label, carried) for place, label in named if label not in set(carried)]


def _unknown_label(place: str, label: str, carried: list[str]) -> str:
    near = nearest(label, carried)
    hint = f"nearest: {', '.join(near)}" if near else f"labels there: {', '.join(carried[:20])}"
    return f"{place}: no image carries the label '{label}'; {hint}"


def leave_unlabelled(departures: Departures, roster: Roster, labels: LabelTable, study: Study) -> Truth:
    """The truth of every image; those without a known finding, or of two classes, leave."""
    stated = _read_labels(roster, labels)
    return (_judge_classes if study.is_multiclass else _judge_findings)(departures, stated, study)


def _read_labels(roster: Roster, labels: LabelTable) -> _Stated:
    frame = labels.frame
    position = pd.Index(roster.frame["image_id"]).get_indexer(pd.Index(frame["image_id"]))
    finding, names = pd.factorize(frame["finding"])
    known = position >= 0  # labels of images that the source could not read go with those images
    value = frame["label"].to_numpy()[known]
    return _Stated(len(roster), position[known], finding[known], tuple(map(str, names)), value)


def _judge_findings(departures: Departures, stated: _Stated, study: Study) -> Truth:
    columns, doubts = [], np.zeros(stated.n_images, dtype=bool)
    for rule in study.findings.values():
        y, doubtful = _judge_finding(stated, rule)
        columns.append(y)
        doubts |= doubtful
    truth = np.stack(columns, axis=1)
    unknown = np.asarray(np.isnan(truth).all(axis=1))
    departures.leave("labels", UNCERTAIN, unknown & doubts)
    departures.leave("labels", UNLABELLED, unknown)
    first = np.where(np.isnan(truth[:, 0]), 2, truth[:, 0]).astype("int64")
    return Truth(truth, Levels(first, ("0", "1", UNKNOWN)))


def _judge_finding(stated: _Stated, rule: FindingRule) -> tuple[NDArray[np.float64], Mask]:
    """1, 0 or missing for each image, and where it is missing for doubt. A positive label outweighs all others."""
    positive = stated.has(rule.positive, 1)
    doubtful = stated.has(rule.positive, -1) & ~positive
    negative = stated.has_any() if rule.negative == "rest" else stated.has(rule.negative, 1)
    y = np.where(negative, 0.0, np.nan)
    y[doubtful] = {"exclude": np.nan, "positive": 1.0, "negative": 0.0}[rule.uncertain]
    y[positive] = 1.0
    return y, doubtful & np.isnan(y)


def _judge_classes(departures: Departures, stated: _Stated, study: Study) -> Truth:
    names = list(study.classes)
    member = np.stack([stated.has(listed, 1) for listed in study.classes.values()], axis=1)
    doubtful = np.stack([stated.has(listed, -1) for listed in study.classes.values()]).any(axis=0)
    several = np.asarray(member.sum(axis=1) > 1)
    reasons = np.full(stated.n_images, "", dtype=object)
    for i in np.flatnonzero(several):
        reasons[i] = (
            f"{TWO_CLASSES}: {', '.join(name for name, is_it in zip(names, member[i], strict=True) if is_it)}"
        )
    none = np.asarray(~member.any(axis=1))
    departures.leave("labels", TWO_CLASSES, several, reasons)
    departures.leave("labels", UNCERTAIN, none & doubtful)
    departures.leave("labels", UNLABELLED, none)
    label = np.where(none, len(names), member.argmax(axis=1)).astype("int64")
    return Truth(member.astype("float64"), Levels(label, (*names, UNKNOWN)))
