"""The controls: fits with one thing changed on purpose, as dots beside the study's own, and what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.axes import Axis
from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.matrix import CHANCE, in_order
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, percent, plural, signed
from subgroup_audit.report.waterfall import is_told, level_axis
from subgroup_audit.study import Study

SHUFFLED, IMAGE_LEVEL, LEARNING, NOISE = "shuffled_labels", "image_level_split", "learning_curve", "label_noise"
KINDS = (SHUFFLED, IMAGE_LEVEL, LEARNING, NOISE)
TITLES: Mapping[str, str] = {
    SHUFFLED: "Shuffled labels",
    IMAGE_LEVEL: "Split by image",
    LEARNING: "Fewer persons",
    NOISE: "Wrong labels",
}
CAPTIONS: Mapping[str, str] = {
    SHUFFLED: "AUC on test persons of fits whose training labels were shuffled. It must hold 0.5, the line.",
    IMAGE_LEVEL: "How much higher the AUC comes out where images instead of persons are dealt to training, "
    "validation and test. Rows: trained on. Columns: tested on.",
    LEARNING: "AUC on the own test by the share of the training persons that was learned from.",
    NOISE: "AUC on the own test by the share of the training labels that was turned over.",
}
READINGS: Mapping[str, str] = {
    SHUFFLED: "A dot off the line means that scores and labels are tied together by something other than what was "
    "learned, or luck: a network that learned noise still ranks the images in some order, the same for all cells "
    "that it is tested in. More seeds make that luck smaller.",
    IMAGE_LEVEL: "A positive number in bold (its interval leaves out zero) speaks of leakage: persons who are in "
    "both training and test are recognised. It belongs to the cells whose two cohorts share persons, first of all "
    "to the framed ones on the diagonal. The test images differ as well, which the interval counts in.",
    LEARNING: "Dots that still move right with all persons speak of a model that more persons may help; dots that "
    "stand still, of one that they would hardly help. Three dots do not say how far it goes on. Validation and "
    "test persons are the same throughout; the number below an AUC is its distance from that of all persons.",
    NOISE: "How fast the AUC falls with wrong labels says how far wrong labels in the data set could matter. The "
    "labels of the test persons are as they were. Labels are turned over at random; real mistakes are not random. "
    "The number below an AUC is its distance from that of the labels as they are.",
}
MAX_BLOCKS = 24
MAX_TABLE_ROWS = 400


@dataclass(frozen=True)
class Dot:
    """One AUC with its places on the axis in percent, its number and everything about it in a line."""

    row: dict[str, Any]
    label: str
    text: str
    note: str
    reading: str
    at: float | None
    low_at: float | None
    high_at: float | None
    cut: tuple[bool, bool]
    is_usual: bool
    is_told: bool


@dataclass(frozen=True)
class Block:
    """The dots of one training cohort, and what they show."""

    train_cohort: str
    sentence: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class InflationCell:
    """One cell of the matrix of inflation; an empty row where there is none."""

    row: dict[str, Any]
    is_same: bool
    is_told: bool


@dataclass(frozen=True)
class ControlPart:
    """One control for one finding: its sentences and either blocks of dots or a matrix."""

    finding: str
    sentences: tuple[str, ...]
    blocks: tuple[Block, ...]
    n_blocks: int
    groups: tuple[str, ...]
    cells: tuple[tuple[str, tuple[InflationCell, ...]], ...]


@dataclass(frozen=True)
class ControlFigure:
    """One control; `chance_at` is where 0.5 stands, None where it is not drawn."""

    kind: str
    title: str
    caption: str
    reading: str
    axis: Axis
    chance_at: float | None
    parts: tuple[ControlPart, ...]


@dataclass(frozen=True)
class Controls:
    """All controls of a run, the table of each finding, and those asked for that are not there."""

    findings: tuple[str, ...]
    figures: tuple[ControlFigure, ...]
    tables: Mapping[str, tuple[dict[str, Any], ...]]
    absent: tuple[str, ...]
    own: str


def asked_controls(study: Study) -> tuple[str, ...]:
    """The controls that the study asks for."""
    return tuple(kind for kind in KINDS if kind in study.diagnose)


def controls(frame: pd.DataFrame | None, estimates: pd.DataFrame | None, study: Study) -> Controls | None:
    """The controls ready to be drawn; None where there are none to show.

    `estimates` of the audit give the intervals of the study's own fits, which stand beside the control's.
    """
    if frame is None or not len(frame):
        return None
    rows = rows_of(frame)
    findings = in_order(distinct(frame["finding"]), study.finding_names)
    limits = _own_limits(estimates)
    kinds = [kind for kind in KINDS if any(row["control"] == kind for row in rows)]
    return Controls(
        findings=findings,
        figures=tuple(_figure(kind, rows, findings, limits, study) for kind in kinds),
        tables={name: tuple(row for row in rows if row["finding"] == name) for name in findings},
        absent=tuple(TITLES[kind].lower() for kind in asked_controls(study) if kind not in kinds),
        own=f"{rows[0]['model']} · {rows[0]['recipe']}",
    )


CellKey = tuple[str, str, str, str, str]
Limits = Mapping[CellKey, tuple[Any, Any]]


def _own_limits(estimates: pd.DataFrame | None) -> Limits:
    """Interval of the study's own AUC by finding, training cohort, model, recipe and test group."""
    if estimates is None:
        return {}
    chosen = estimates[(estimates["metric"].str.lower() == "auc") & (estimates["split"] == "test")]
    return {_cell_key(row): (row["low"], row["high"]) for row in rows_of(chosen)}


def _cell_key(row: Mapping[str, Any]) -> CellKey:
    finding, train, model, recipe, test = (
        str(row[name]) for name in ("finding", "train_cohort", "model", "recipe", "test_group")
    )
    return finding, train, model, recipe, test


def _figure(
    kind: str, rows: Sequence[dict[str, Any]], findings: Sequence[str], limits: Limits, study: Study
) -> ControlFigure:
    chosen = [row for row in rows if row["control"] == kind]
    drawn = chosen if kind in (SHUFFLED, IMAGE_LEVEL) else _on_own_test(chosen)
    chance = [{"auc": CHANCE}] if kind == SHUFFLED else [_usual(row, limits) for row in drawn]
    axis = level_axis([*drawn, *chance])
    axis = chance_axis(axis) if kind == SHUFFLED else axis
    makers = {SHUFFLED: _shuffled_part, IMAGE_LEVEL: _image_level_part}
    parts = []
    for finding in findings:
        found = [row for row in drawn if row["finding"] == finding]
        if found and kind in makers:
            parts.append(makers[kind](finding, found, axis, study))
        elif found:
            parts.append(_amounts_part(kind, finding, found, limits, axis, study))
    chance_at = axis.place(CHANCE) if kind == SHUFFLED else None
    return ControlFigure(kind, TITLES[kind], CAPTIONS[kind], READINGS[kind], axis, chance_at, tuple(parts))


def chance_axis(axis: Axis) -> Axis:
    """The same scale with ticks at 0.5 and at those of its ends that are not too near.

    >>> [text for _, text in chance_axis(Axis(0.2, 0.6, ())).ticks]
    ['0.20', '0.50', '0.60']
    """
    at = axis.place(CHANCE)
    ends = [(place, value) for place, value in ((0.0, axis.low), (100.0, axis.high)) if abs(place - at) >= 25]
    ticks = sorted([*ends, (at, CHANCE)])
    return Axis(axis.low, axis.high, tuple((place, decimal(value, 2)) for place, value in ticks))


def _on_own_test(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every training cohort, the rows of its own test; those of the other groups are in the table."""
    return [row for row in rows if row["test_group"] == row["train_cohort"]]


def _by_cohort(rows: Sequence[dict[str, Any]], study: Study) -> dict[str, list[dict[str, Any]]]:
    names = in_order(distinct(row["train_cohort"] for row in rows), study.train_cohorts)
    return {name: [row for row in rows if str(row["train_cohort"]) == name] for name in names}


def _shuffled_part(finding: str, rows: Sequence[dict[str, Any]], axis: Axis, study: Study) -> ControlPart:
    groups = _by_cohort(rows, study)
    blocks = tuple(
        Block(name, "", tuple(_dot(row, f"Test of {isolated(row['test_group'])}", axis) for row in found))
        for name, found in list(groups.items())[:MAX_BLOCKS]
    )
    return ControlPart(finding, shuffled_sentences(rows), blocks, len(groups), (), ())


def _image_level_part(finding: str, rows: Sequence[dict[str, Any]], _axis: Axis, study: Study) -> ControlPart:
    stored = {(str(row["train_cohort"]), str(row["test_group"])): row for row in rows}
    tested = in_order(distinct(row["test_group"] for row in rows), study.test_cohorts)
    lines = tuple(
        (train, tuple(_inflation(stored.get((train, test), {}), train, test) for test in tested))
        for train in list(_by_cohort(rows, study))[:MAX_BLOCKS]
    )
    return ControlPart(finding, image_level_sentences(rows), (), 0, tested, lines)


def _inflation(row: dict[str, Any], train: str, test: str) -> InflationCell:
    return InflationCell(row, train == test, bool(row) and is_told(row))


def _amounts_part(
    kind: str, finding: str, rows: Sequence[dict[str, Any]], limits: Limits, axis: Axis, study: Study
) -> ControlPart:
    groups = _by_cohort(rows, study)
    blocks = tuple(
        Block(name, amounts_sentence(kind, found), _amount_dots(kind, found, limits, axis))
        for name, found in list(groups.items())[:MAX_BLOCKS]
    )
    return ControlPart(finding, (), blocks, len(groups), (), ())


def _amount_dots(kind: str, rows: Sequence[dict[str, Any]], limits: Limits, axis: Axis) -> tuple[Dot, ...]:
    """The control's dots by amount, with the study's own fits where they belong: all persons, no wrong label."""
    ordered = sorted(rows, key=lambda row: float(row["amount"]))
    own = _dot(_usual(rows[0], limits), "100 %" if kind == LEARNING else "0 %", axis, is_usual=True)
    dots = [_dot(row, percent(row["amount"]), axis) for row in ordered]
    return (*dots, own) if kind == LEARNING else (own, *dots)


def _usual(row: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The study's own fits of the same cell as a row, with the interval that the audit stored."""
    low, high = limits.get(_cell_key(row), (None, None))
    return {"auc": row["usual_auc"], "auc_low": low, "auc_high": high, "change": None, "reason": ""}


def _dot(row: Mapping[str, Any], label: str, axis: Axis, *, is_usual: bool = False) -> Dot:
    def place(value: Any) -> float | None:
        return axis.place(value) if is_number(value) else None

    change = signed(row["change"]) if is_number(row["change"]) else ""
    return Dot(
        row=dict(row),
        label=label,
        text=decimal(row["auc"]),
        note="" if is_usual else change,
        reading=_reading(row, label),
        at=place(row["auc"]),
        low_at=place(row["auc_low"]),
        high_at=place(row["auc_high"]),
        cut=axis.cuts(row["auc_low"], row["auc_high"]),
        is_usual=is_usual,
        is_told=not is_usual and is_told(row),
    )


def _reading(row: Mapping[str, Any], label: str) -> str:
    if not is_number(row["auc"]):
        return f"{label}: not estimable. {row['reason']}".strip()
    level = f"{label}: AUC {decimal(row['auc'])}, interval {interval(row['auc_low'], row['auc_high'])}."
    return f"{level} Change {_size(row)}." if is_number(row["change"]) else level


def _size(row: Mapping[str, Any]) -> str:
    return f"{signed(row['change'])}, interval {interval(row['low'], row['high'], with_signs=True)}"


def shuffled_sentences(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Whether the control holds 0.5, in how many cells, and how many would leave it out by chance."""
    known = [row for row in rows if is_number(row["auc_low"]) and is_number(row["auc_high"])]
    if not known:
        return ("Whether the AUC holds 0.5 cannot be told: no cell could be estimated.",)
    out = [row for row in known if row["auc_low"] > CHANCE or row["auc_high"] < CHANCE]
    aucs = [float(row["auc"]) for row in known]
    span = f"{decimal(min(aucs))} to {decimal(max(aucs))}"
    if not out:
        return (f"The control holds: the interval of {_every(len(known))} holds 0.5 (AUC {span}).",)
    named = listed([_cell_words(row) for row in sorted(out, key=lambda row: -abs(row["auc"] - CHANCE))], 3)
    chance = (1 - float(known[0]["confidence_level"])) * len(known)
    expected = f"By chance alone about {chance:.1f} of {count(len(known))} intervals would."
    return (
        f"The control does not hold everywhere: the interval leaves out 0.5 in {count(len(out))} of "
        f"{plural(len(known), 'cell')}: {named}.",
        f"{expected} Cells of one training cohort share their fits, so they stray together.{_one_seed(known)}",
    )


def _every(number: int) -> str:
    return "the one cell" if number == 1 else f"all {count(number)} cells"


def _one_seed(rows: Sequence[Mapping[str, Any]]) -> str:
    if any(float(row["n_seeds"]) > 1 for row in rows):
        return ""
    return " With one seed the interval does not count the luck of the training in."


def _cell_words(row: Mapping[str, Any]) -> str:
    limits = interval(row["auc_low"], row["auc_high"])
    return f"trained on {isolated(row['train_cohort'])}, test of {isolated(row['test_group'])} ({limits})"


def image_level_sentences(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """How much the AUC comes out higher on the group trained on, and on others."""
    known = [row for row in rows if is_number(row["change"])]
    same = [row for row in known if row["train_cohort"] == row["test_group"]]
    other = [row for row in known if row["train_cohort"] != row["test_group"]]
    if not known:
        return ("What a split by image adds cannot be told: no cell could be estimated.",)
    parts = [
        f"{place} the split by image changes the AUC by {_span(found)} "
        f"(the interval leaves out zero in {_told_words(found)})"
        for place, found in (("on the group that was trained on (the diagonal)", same), ("on other groups", other))
        if found
    ]
    text = "; ".join(parts)
    return (f"{text[:1].upper()}{text[1:]}.", _leak_words(same, other))


def _span(rows: Sequence[Mapping[str, Any]]) -> str:
    low, high = (signed(pick(float(row["change"]) for row in rows)) for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def _told_words(rows: Sequence[Mapping[str, Any]]) -> str:
    told = sum(is_told(row) for row in rows)
    return f"{count(told)} of {plural(len(rows), 'cell')}"


def _leak_words(same: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> str:
    def gains(rows: Sequence[Mapping[str, Any]]) -> bool:
        return any(is_told(row) and row["change"] > 0 for row in rows)

    if gains(same):
        names = [isolated(row["train_cohort"]) for row in same if is_told(row) and row["change"] > 0]
        whose = "these models" if len(names) == len(same) else f"the models trained on {listed(names, 4)} at least"
        where = " It reaches other groups too, as where cohorts share persons." if gains(other) else ""
        return f"A split by image overstates the AUC of {whose}.{where}"
    if gains(other):
        return (
            "Only on other groups does the interval of a gain leave out zero, which persons in two "
            "splits do not explain well."
        )
    return (
        "No gain has an interval that leaves out zero, which is not evidence that persons in two "
        "splits do no harm."
    )


def amounts_sentence(kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """What fewer persons or wrong labels do to the AUC on the own test, as far as it is told from zero."""
    known = sorted((row for row in rows if is_number(row["change"])), key=lambda row: float(row["amount"]))
    if not known:
        return "The change cannot be told: no cell could be estimated."
    return _persons_sentence(known) if kind == LEARNING else _noise_sentence(known)


def _persons_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of the largest share below all: whether the last persons helped."""
    row = rows[-1]
    first = f"{percent(row['amount'])} of the persons against all of them: {_size(row)}."
    if not is_told(row):
        return f"{first} The interval includes zero: whether more persons would help is open."
    if row["change"] < 0:
        return f"{first} The further persons helped, and more may."
    return f"{first} Fewer persons did better here, which more seeds would have to confirm."


def _noise_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of the smallest share of wrong labels that is told from zero, else of the largest."""
    told = [row for row in rows if is_told(row)]
    row = told[0] if told else rows[-1]
    first = f"{percent(row['amount'])} wrong labels: {_size(row)}."
    if not told:
        return f"{first} The interval includes zero: what wrong labels cost is open."
    if row["change"] < 0:
        return f"{first} They cost AUC."
    return f"{first} Wrong labels did better here, which more seeds would have to confirm."
