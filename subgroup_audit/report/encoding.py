"""What the features tell: probes for sex, view and age band beside their controls, and what these explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.axes import Axis, auc_axis
from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.numerals import decimal, interval, is_number, listed, percent

SOURCES: Mapping[str, str] = {
    "model": "the model's own score",
    "fitted": "features of the fitted network",
    "untrained": "the same network, untrained",
    "shuffled": "shuffled values",
}
ATTRIBUTES: Mapping[str, str] = {"sex": "sex", "view": "view", "age_band": "age band", "finding": "the task"}
MAX_BLOCKS = 24
MAX_SHARES = 200
UNSHOWN = ": not shown."


@dataclass(frozen=True)
class ProbeMark:
    """One AUC with its places on the axis in percent; None where there is none."""

    row: dict[str, Any]
    source: str
    at: float | None
    low_at: float | None
    high_at: float | None
    text: str


@dataclass(frozen=True)
class ProbeLine:
    """One question and its AUC by source, or why it could not be asked."""

    label: str
    note: str
    marks: tuple[ProbeMark, ...]
    reason: str

    @property
    def reading(self) -> str:
        """The line for those who hear the page instead of seeing it."""
        said = [f"{SOURCES[mark.source]} {mark.text}" for mark in self.marks]
        return f"{self.label}: {', '.join(said) or self.reason}"


@dataclass(frozen=True)
class ProbeBlock:
    """The questions of one training cohort, model and recipe, and what they show."""

    train_cohort: str
    context: str
    lines: tuple[ProbeLine, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Probes:
    """All blocks on one axis; `chance_at` is where 0.5 stands."""

    blocks: tuple[ProbeBlock, ...]
    total: int
    axis: Axis
    chance_at: float
    confidence_level: float


def probes(encoding: pd.DataFrame | None) -> Probes | None:
    """The probes ready to be drawn; None where a run holds none."""
    if encoding is None or not len(encoding):
        return None
    axis = auc_axis(encoding["auc"].tolist())
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows_of(encoding):
        groups.setdefault((str(row["train_cohort"]), str(row["model"]), str(row["recipe"])), []).append(row)
    are_alike = len(distinct(encoding["model"])) * len(distinct(encoding["recipe"])) == 1
    blocks = [
        _block(key[0], "" if are_alike else f"{key[1]} / {key[2]}", rows, axis) for key, rows in groups.items()
    ]
    level = float(encoding["confidence_level"].iloc[0])
    return Probes(tuple(blocks[:MAX_BLOCKS]), len(blocks), axis, axis.place(0.5), level)


def _block(cohort: str, context: str, rows: Sequence[dict[str, Any]], axis: Axis) -> ProbeBlock:
    questions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        questions.setdefault((str(row["attribute"]), str(row["value"])), []).append(row)
    lines = tuple(_line(found, axis) for found in questions.values())
    said = [sentence for found in questions.values() if (sentence := probe_sentence(found))]
    unshown = [sentence.removesuffix(UNSHOWN) for sentence in said if sentence.endswith(UNSHOWN)]
    sentences = [sentence for sentence in said if not sentence.endswith(UNSHOWN)]
    if unshown:
        sentences.append(f"Not shown: that the fitted features tell {listed(unshown)}.")
    return ProbeBlock(cohort, context, lines, tuple(sentences))


def _line(rows: Sequence[dict[str, Any]], axis: Axis) -> ProbeLine:
    first = rows[0]
    marks = tuple(_mark(row, axis) for row in rows if is_number(row["auc"]))
    if first["attribute"] == "finding":
        return ProbeLine(f"{first['value']} (the task)", SOURCES["model"], marks, str(first["reason"]))
    label = f"{ATTRIBUTES[str(first['attribute'])]} {first['value']} against {first['against']}"
    reason = "" if marks else str(first["reason"])
    if reason.startswith("every image"):
        label = ATTRIBUTES[str(first["attribute"])]
    return ProbeLine(label, "", marks, reason)


def _mark(row: dict[str, Any], axis: Axis) -> ProbeMark:
    low, high = (axis.place(row[name]) if is_number(row[name]) else None for name in ("low", "high"))
    text = f"{decimal(row['auc'])} ({interval(row['low'], row['high'])})"
    return ProbeMark(row, str(row["source"]), axis.place(row["auc"]), low, high, text)


def probe_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """What one question's probes show beside each other, never more than their intervals say; '' for the task."""
    by_source = {str(row["source"]): row for row in rows if is_number(row["auc"]) and is_number(row["low"])}
    fitted, untrained = by_source.get("fitted"), by_source.get("untrained")
    if fitted is None or untrained is None:
        return ""
    name = ATTRIBUTES[str(fitted["attribute"])]
    what = name if fitted["against"] != "the rest" else f"{name} {isolated(fitted['value'])}"
    if float(fitted["low"]) <= 0.5:
        return f"{what}{UNSHOWN}"
    said = f"The fitted features tell {what}"
    if float(untrained["low"]) > float(fitted["high"]):
        return f"{said}, though less well than untrained ones: training did not bring it in."
    if float(untrained["high"]) < float(fitted["low"]):
        return f"{said} better than untrained ones: training brought some of it in."
    if float(untrained["low"]) > 0.5:
        return f"{said}; so do untrained ones: the image gives it away."
    return f"{said}; of untrained ones it is not shown."


@dataclass(frozen=True)
class ShareTable:
    """How much of the AUC attributes explain: rows, how many in all, and the plainest of it in words."""

    rows: tuple[dict[str, Any], ...]
    total: int
    sentences: tuple[str, ...]


def share_table(advantage: pd.DataFrame | None) -> ShareTable | None:
    """The shares ready to be shown; None where a run holds none."""
    if advantage is None or not len(advantage):
        return None
    rows = rows_of(advantage)
    groups = distinct(advantage["test_group"])
    widest = max(
        groups, key=lambda group: float(advantage.loc[advantage["test_group"] == group, "n_images"].max())
    )
    chosen = [row for row in rows if row["test_group"] == widest and row["attribute"] in {"view", "sex"}]
    return ShareTable(tuple(rows[:MAX_SHARES]), len(rows), tuple(share_sentence(row) for row in chosen[:6]))


def share_sentence(row: Mapping[str, Any]) -> str:
    """What the attribute explains of one model's AUC, in words."""
    name = ATTRIBUTES[str(row["attribute"])]
    where = f"Trained on {isolated(row['train_cohort'])}, tested on {isolated(row['test_group'])}"
    if not is_number(row["share"]):
        return f"{where}: what {name} explains cannot be said, since {row['reason']}."
    limits = f"{_percent(row['low'])} to {_percent(row['high'])}"
    change = f"AUC {decimal(row['auc_all'])} among all images, {decimal(row['auc_within'])} within {name}"
    share = f"{percent(row['share'])} ({limits}) of the advantage over chance goes"
    said = f"{where}: {share} when only images of the same {name} are compared ({change})"
    low, high = row["auc_alone_low"], row["auc_alone_high"]
    tells_nothing = not is_number(low) or float(low) <= 0.5 <= float(high)
    alone = f"{name.capitalize()} alone has AUC {decimal(row['auc_alone'])}"
    return f"{said}. {alone}{', not told from chance' if tells_nothing else ''}."


def _percent(value: Any) -> str:
    return percent(value) if is_number(value) else "no limit"
