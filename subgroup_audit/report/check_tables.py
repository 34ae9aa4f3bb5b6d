"""The tables of a check's page, a panel for each model and finding: groups, operating points, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.words import finding_words, measure_words
from subgroup_audit.report.check_words import PARITY
from subgroup_audit.report.contents import rows_of
from subgroup_audit.report.gaps import verdict_key
from subgroup_audit.report.numerals import is_number

OWN = "per group"
# F1 and accuracy mix the errors that matter here with prevalence; they are in the CSV file.
AT_THRESHOLD = ("sensitivity", "specificity", "ppv", "npv", "selection_rate")
WITH_OWN = ("sensitivity", "specificity")
OF_CALIBRATION = ("calibration_slope", "calibration_intercept", "expected_calibration_error", "brier_score")
COUNTS = ("true_positive", "false_negative", "false_positive", "true_negative")


@dataclass(frozen=True)
class Subject:
    """One model's scores for one finding: what a panel is about."""

    key: str
    model: str
    finding: str
    name: str


@dataclass(frozen=True, eq=False)
class GroupLine:
    """One group: its row of AUC, its other measures by name, its gap to the reference, its four counts.

    Attributes
    ----------
    measured : measure -> row of `estimates`, at the operating point that all groups share
    own : measure -> row of `estimates`, at the group's own operating point
    counts : the four counts with their share of the positives or negatives; empty where withheld
    """

    attribute: str
    group: str
    is_first: bool
    is_reference: bool
    head: dict[str, Any]
    measured: Mapping[str, dict[str, Any]]
    own: Mapping[str, dict[str, Any]]
    gap: dict[str, Any] | None
    verdict_key: str
    counts: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TaskTables:
    """Everything that tables show of one model and finding."""

    subject: Subject
    lines: tuple[GroupLine, ...]
    rule: str
    threshold: float | None
    own_rule: str
    parity: tuple[dict[str, Any], ...]
    at_threshold: tuple[str, ...]
    at_own: tuple[str, ...]
    of_calibration: tuple[str, ...]
    has_counts: bool


def subjects(result: CheckResult) -> list[Subject]:
    """The models and findings in the order of the file."""
    pairs = result.estimates[["model", "finding"]].drop_duplicates().to_numpy().tolist()
    several = len({model for model, _ in pairs}) > 1
    found = []
    for place, (model, finding) in enumerate(pairs):
        words = finding_words(finding) or "All images"
        words = words[:1].upper() + words[1:]
        found.append(Subject(str(place), model, finding, f"{words} · {model}" if several else words))
    return found


def of_subject(frame: pd.DataFrame, subject: Subject, split: str) -> pd.DataFrame:
    """The rows of a frame that are of the subject's judged split."""
    is_its = (frame["model"] == subject.model) & (frame["finding"] == subject.finding) & (frame["split"] == split)
    return frame[is_its]


def task_tables(result: CheckResult, subject: Subject) -> TaskTables:
    """The tables of one model and finding."""
    split = result.settings.get("judged_split", "test")
    estimates = of_subject(result.estimates, subject, split)
    is_parity = estimates["group"].str.startswith(PARITY)
    is_own = estimates["threshold_rule"].str.startswith(OWN)
    shared, own = estimates[~is_parity & ~is_own], estimates[~is_parity & is_own]
    gaps = of_subject(result.contrasts, subject, split)
    gaps = gaps[(gaps["kind"] == "subgroup_gap") & (gaps["metric"] == "auc")]
    confusion = result.curves.get("confusion")
    counted = {} if confusion is None else _counts(of_subject(confusion, subject, split))
    ruled = shared[shared["threshold_rule"] != ""]
    values = ruled["threshold"].dropna()
    return TaskTables(
        subject=subject,
        lines=_lines(shared, own, gaps, counted),
        rule=str(ruled["threshold_rule"].iloc[0]) if len(ruled) else "",
        threshold=float(values.iloc[0]) if values.nunique() == 1 else None,
        own_rule=str(own["threshold_rule"].iloc[0]) if len(own) else "",
        parity=tuple(rows_of(estimates[is_parity])),
        at_threshold=_present(shared, AT_THRESHOLD),
        at_own=_present(own, WITH_OWN),
        of_calibration=_present(shared, OF_CALIBRATION),
        has_counts=bool(counted),
    )


def _present(frame: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    found = set(frame["metric"])
    return tuple(name for name in names if name in found)


def _lines(
    shared: pd.DataFrame,
    own: pd.DataFrame,
    gaps: pd.DataFrame,
    counted: Mapping[tuple[str, str], Mapping[str, tuple[int, float]]],
) -> tuple[GroupLine, ...]:
    measured, of_own = _by_group(shared), _by_group(own)
    by_group = {(row["attribute"], row["group"]): row for row in rows_of(gaps)}
    references = {row["attribute"]: row["reference"] for row in by_group.values()}
    lines, before = [], None
    for (attribute, group), values in measured.items():
        gap = by_group.get((attribute, group))
        lines.append(
            GroupLine(
                attribute=attribute,
                group=group,
                is_first=attribute != before,
                is_reference=references.get(attribute) == group,
                head=values.get("auc", next(iter(values.values()))),
                measured=values,
                own=of_own.get((attribute, group), {}),
                gap=gap,
                verdict_key=verdict_key(gap["verdict"]) if gap else "",
                counts=counted.get((attribute, group), {}),
            )
        )
        before = attribute
    return tuple(lines)


def _by_group(frame: pd.DataFrame) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows_of(frame):
        found.setdefault((row["attribute"], row["group"]), {}).setdefault(row["metric"], row)
    # Groups of one attribute stand together, whatever order the measures came in.
    order = {attribute: place for place, attribute in enumerate(dict.fromkeys(key[0] for key in found))}
    return dict(sorted(found.items(), key=lambda item: order[item[0][0]]))


def _counts(frame: pd.DataFrame) -> dict[tuple[str, str], dict[str, tuple[int, float]]]:
    """The four counts of each group at the shared operating point, with shares of positives and negatives."""
    found: dict[tuple[str, str], dict[str, tuple[int, float]]] = {}
    for row in rows_of(frame[~frame["threshold_rule"].str.startswith(OWN)]):
        if not all(is_number(row[name]) for name in COUNTS):
            continue
        positive, negative = (
            row["true_positive"] + row["false_negative"],
            row["false_positive"] + row["true_negative"],
        )
        sizes = dict(zip(COUNTS, (positive, positive, negative, negative), strict=True))
        shares = {name: (int(row[name]), row[name] / sizes[name] if sizes[name] else 0.0) for name in COUNTS}
        found.setdefault((row["attribute"], row["group"]), shares)
    return found


def metric_heading(metric: str) -> str:
    """The measure as a column's heading."""
    name = {"selection_rate": "flagged", "expected_calibration_error": "ECE"}.get(metric, measure_words(metric))
    return name[:1].upper() + name[1:]
