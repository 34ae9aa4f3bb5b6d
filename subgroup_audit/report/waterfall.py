"""Where the gap comes from: the AUC of the training log taken to other people step by step, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.axes import Axis, span_axis
from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.matrix import in_order
from subgroup_audit.report.numerals import decimal, interval, is_number, listed, signed
from subgroup_audit.study import Study

MAX_WATERFALLS = 60
MAX_OTHERS_NAMED = 4
WHILE_TRAINING, EVALUATED, RECOMPUTED, VALIDATION, OWN_TEST, OTHER_TEST = (
    "while training",
    "evaluation mode",
    "recomputed",
    "validation",
    "own test",
    "other test",
)
WHOLE_WAY = "whole way"
ON_TRAINING_IMAGES = (WHILE_TRAINING, EVALUATED, RECOMPUTED)
LABELS: Mapping[str, str] = {
    WHILE_TRAINING: "As logged while training",
    EVALUATED: "Evaluation mode",
    RECOMPUTED: "Batch statistics recomputed",
    VALIDATION: "Validation persons",
    OWN_TEST: "Own test",
    WHOLE_WAY: "Whole way",
}
NOTES: Mapping[str, str] = {
    WHILE_TRAINING: "training images, augmented",
    EVALUATED: "training images, as used",
    RECOMPUTED: "training images",
    VALIDATION: "the epoch was picked by them",
    OWN_TEST: "persons new to the model",
    OTHER_TEST: "from its own test",
    WHOLE_WAY: "from the first level to the own test",
}
# What a sentence calls the step that ends at a stage.
STEP_WORDS: Mapping[str, str] = {
    EVALUATED: "from training to evaluation mode",
    RECOMPUTED: "where batch statistics are recomputed",
    VALIDATION: "from training images to validation persons",
    OWN_TEST: "from validation to test persons",
}
FROM_FIRST_WORDS = {OWN_TEST: "from training images to test persons"}
# What is another on the two sides of a step: all that a sentence can say of why.
WHAT_CHANGES: Mapping[str, str] = {
    EVALUATED: "augmentation, dropout and the statistics of each batch are off, and the weights stand still",
    RECOMPUTED: "the stored statistics of batch normalisation give way to those of the training images",
    VALIDATION: "the images change from those that the weights were fitted to, to those of other persons",
    OWN_TEST: "the persons change from those that the epoch was picked by, to new ones",
}


@dataclass(frozen=True)
class Stage:
    """One level with its step, with places on the axis in percent; None where there is no estimate.

    Attributes
    ----------
    from_at : where the level before it stands
    is_description : whether the level, or the one before it, is measured on images that the model was fitted to
    below_at : where the line stands that leads down to the next row
    is_told : whether the interval of the step leaves out zero
    cut : whether the level's interval goes on beyond the axis, at its lower and at its upper end
    """

    row: dict[str, Any]
    label: str
    note: str
    at: float | None
    low_at: float | None
    high_at: float | None
    from_at: float | None
    below_at: float | None
    is_on_training_images: bool
    is_description: bool
    is_branch: bool
    is_told: bool
    cut: tuple[bool, bool]

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole way at once, and its interval that of the difference, not of the AUC."""
        return bool(self.row["stage"] == WHOLE_WAY)

    @property
    def direction(self) -> str:
        """`rise`, `fall` or `flat`; '' where there is no step."""
        change = self.row["change"]
        if not is_number(change):
            return ""
        return "flat" if signed(change) == "0.000" else "rise" if float(change) > 0 else "fall"


@dataclass(frozen=True)
class Waterfall:
    """The stages of the fits of one cohort, model and recipe for one finding, and what they say."""

    train_cohort: str
    stages: tuple[Stage, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class WaterfallPanel:
    """The waterfalls of one finding, model and recipe: one for each training cohort."""

    name: str
    waterfalls: tuple[Waterfall, ...]


@dataclass(frozen=True)
class Waterfalls:
    """All panels on one axis, and how many waterfalls there are in the table."""

    panels: tuple[WaterfallPanel, ...]
    axis: Axis
    shown: int
    total: int
    confidence_level: float
    has_recomputed: bool

    @property
    def is_cut(self) -> bool:
        """Whether any interval goes on beyond the axis."""
        waterfalls = [found for panel in self.panels for found in panel.waterfalls]
        return any(any(stage.cut) for found in waterfalls for stage in found.stages)


def waterfalls(frame: pd.DataFrame | None, study: Study) -> Waterfalls | None:
    """The waterfalls ready to be drawn, in the study's order; None where a run holds none."""
    if frame is None or not len(frame):
        return None
    groups = _in_study_order(frame, study)
    drawn = dict(list(groups.items())[:MAX_WATERFALLS])
    rows = [row for found in drawn.values() for row in found]
    axis = level_axis(rows)
    return Waterfalls(
        panels=_panels(drawn, axis),
        axis=axis,
        shown=len(drawn),
        total=len(groups),
        confidence_level=float(rows[0]["confidence_level"]),
        has_recomputed=any(row["stage"] == RECOMPUTED for row in rows),
    )


Key = tuple[str, str, str, str]


def _in_study_order(frame: pd.DataFrame, study: Study) -> dict[Key, list[dict[str, Any]]]:
    """The rows of each waterfall, by finding, model, recipe and training cohort."""
    wanted = (study.finding_names, list(study.models), list(study.recipes), study.train_cohorts)
    names = ("finding", "model", "recipe", "train_cohort")
    places = [
        {value: place for place, value in enumerate(in_order(distinct(frame[name]), order))}
        for name, order in zip(names, wanted, strict=True)
    ]
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in rows_of(frame):
        finding, model, recipe, cohort = (str(row[name]) for name in names)
        groups.setdefault((finding, model, recipe, cohort), []).append(row)
    ordered = sorted(groups, key=lambda key: [place[part] for place, part in zip(places, key, strict=True)])
    return {key: groups[key] for key in ordered}


def level_axis(rows: Sequence[Mapping[str, Any]]) -> Axis:
    """A scale of AUC around the levels; their intervals widen it, those nearly unknown only so far."""
    levels = [float(row["auc"]) for row in rows if is_number(row["auc"])]
    if not levels:
        return span_axis(0.5, 1.0)
    limits = [float(row[name]) for row in rows for name in ("auc_low", "auc_high") if is_number(row.get(name))]
    low, high = min(levels), max(levels)
    return span_axis(max(low - 0.15, min([low, *limits])), min(high + 0.15, max([high, *limits])))


def _panels(drawn: Mapping[Key, list[dict[str, Any]]], axis: Axis) -> tuple[WaterfallPanel, ...]:
    panels: dict[tuple[str, str, str], list[Waterfall]] = {}
    for (finding, model, recipe, cohort), rows in drawn.items():
        found = Waterfall(cohort, _stages(rows, axis), waterfall_sentences(rows))
        panels.setdefault((finding, model, recipe), []).append(found)
    pairs = [key[:2] for key in panels]
    return tuple(
        WaterfallPanel(" · ".join(key if pairs.count(key[:2]) > 1 else key[:2]), tuple(found))
        for key, found in panels.items()
    )


def _stages(rows: Sequence[dict[str, Any]], axis: Axis) -> tuple[Stage, ...]:
    """The stages, each joined to the next: a main one leads on, all branches hang from the last main one.

    Last comes the whole way at once.
    """
    levels = {str(row["stage"]): row["auc"] for row in rows if row["stage"] != OTHER_TEST}
    befores = [levels.get(str(row["from_stage"])) if is_number(row["change"]) else None for row in rows]
    joined = zip(rows, befores, [*befores[1:], None], strict=True)
    drawn = [_stage(row, before, after, axis) for row, before, after in joined]
    whole = whole_way([row for row in rows if row["stage"] != OTHER_TEST])
    return (*drawn, _stage(whole, levels[str(whole["from_stage"])], None, axis)) if whole else tuple(drawn)


def whole_way(main: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A row of the step from the first level to the last at once; None where there is no such step.

    Its limits of the AUC are those of the step, laid off from the first level: where the last level would lie.
    """
    if len(main) < 2 or not is_number(main[-1].get("whole_change")):
        return None
    first, last = main[0], dict(main[-1])
    step = {name: last[f"whole_{name}"] for name in ("change", "low", "high", "p_value")}
    ends = {
        f"auc_{side}": first["auc"] + step[side] if is_number(step[side]) else None for side in ("low", "high")
    }
    return {**last, **step, **ends, "stage": WHOLE_WAY, "from_stage": first["stage"]}


def _stage(row: dict[str, Any], before: Any, after: Any, axis: Axis) -> Stage:
    def place(value: Any) -> float | None:
        return axis.place(value) if is_number(value) else None

    label, note = stage_words(row)
    return Stage(
        row=row,
        label=label,
        note=note,
        at=place(row["auc"]),
        low_at=place(row["auc_low"]),
        high_at=place(row["auc_high"]),
        from_at=place(before),
        below_at=place(after),
        is_on_training_images=row["stage"] in ON_TRAINING_IMAGES,
        is_description=is_description(row),
        is_branch=row["stage"] == OTHER_TEST,
        is_told=is_told(row),
        cut=axis.cuts(row["auc_low"], row["auc_high"]),
    )


def stage_words(row: Mapping[str, Any]) -> tuple[str, str]:
    """The name of a stage, and in a few words what is measured there."""
    stage = str(row["stage"])
    if stage == OTHER_TEST:
        return f"Test of {isolated(row['test_group'])}", NOTES[OTHER_TEST]
    return LABELS.get(stage, stage), NOTES.get(stage, "")


def is_description(row: Mapping[str, Any]) -> bool:
    """Whether the level or its step rests on images that the model was fitted to."""
    return row["stage"] in ON_TRAINING_IMAGES or row["from_stage"] in ON_TRAINING_IMAGES


def is_told(row: Mapping[str, Any]) -> bool:
    """Whether the interval of the step leaves out zero."""
    return is_number(row["low"]) and is_number(row["high"]) and (row["low"] > 0 or row["high"] < 0)


def waterfall_sentences(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """How far the AUC goes from the first level to the own test, at which step, and what other groups add."""
    main = [row for row in rows if row["stage"] != OTHER_TEST]
    others = [row for row in rows if row["stage"] == OTHER_TEST]
    parts = (_whole_way(main), _largest_step(main), _other_groups(others))
    return tuple(part for part in parts if part)


def _whole_way(main: Sequence[Mapping[str, Any]]) -> str:
    """The two ends, and their difference, which is the sum of the steps."""
    if len(main) < 2:
        return ""
    first, last = main[0], main[-1]
    missing = [row for row in (first, last) if not is_number(row["auc"])]
    if missing:
        reason = missing[0]["reason"] or "no estimate"
        return f"The way cannot be measured from end to end: {_end_words(missing[0])} is not estimable ({reason})."
    change = float(last["auc"]) - float(first["auc"])
    levels = f"{decimal(first['auc'])} to {decimal(last['auc'])}{_whole_interval(main)}"
    way = f"From {_end_words(first)} to {_end_words(last)} the AUC"
    if decimal(change) == "0.000":
        return f"{way} stays where it is ({levels})."
    return f"{way} {'falls' if change < 0 else 'rises'} by {decimal(abs(change))} ({levels})."


def _whole_interval(main: Sequence[Mapping[str, Any]]) -> str:
    """The interval of the whole way in words, with how it is to be read; '' where a run holds none."""
    whole = whole_way(main)
    if whole is None or not is_number(whole["low"]):
        return ""
    told = "" if is_told(whole) else ", zero included"
    mark = ", a description" if is_description(whole) else ""
    return f"; interval of the change {interval(whole['low'], whole['high'], with_signs=True)}{told}{mark}"


def _end_words(row: Mapping[str, Any]) -> str:
    cohort = isolated(row["train_cohort"])
    words = {
        WHILE_TRAINING: "the training log",
        EVALUATED: "the training images",
        VALIDATION: f"the validation persons of {cohort}",
        OWN_TEST: f"the test of {cohort}",
    }
    return words.get(str(row["stage"]), str(row["stage"]))


def _largest_step(main: Sequence[Mapping[str, Any]]) -> str:
    """The largest step whose interval leaves out zero, what changes there, and the others that do."""
    steps = sorted((row for row in main if is_number(row["change"])), key=lambda row: -abs(row["change"]))
    if not steps:
        return ""
    told = [row for row in steps if is_told(row)]
    if not told:
        return f"No step has an interval that leaves out zero. The largest is {_step_words(steps[0])}."
    sentence = f"The largest step whose interval leaves out zero is {_step_words(told[0])}"
    changes = WHAT_CHANGES.get(str(told[0]["stage"]), "")
    explained = f": {changes}." if changes and not _skips(told[0]) else "."
    unknown = steps[0] if not is_told(steps[0]) else None
    larger = (
        f" A larger one, {_step_words(unknown)}, has an interval that includes zero."
        if unknown is not None
        else ""
    )
    also = listed([_step_words(row) for row in told[1:]])
    return f"{sentence}{explained}{larger}{f' Also without zero: {also}.' if also else ''}"


def _skips(row: Mapping[str, Any]) -> bool:
    """Whether the step leaves out a stage that its words would name."""
    return bool(row["stage"] == OWN_TEST and row["from_stage"] != VALIDATION)


def _step_words(row: Mapping[str, Any]) -> str:
    stage = str(row["stage"])
    name = FROM_FIRST_WORDS[stage] if _skips(row) else STEP_WORDS.get(stage, f"to {stage}")
    mark = ", a description" if is_description(row) else ""
    return f"the one {name} ({_size(row)}{mark})"


def _size(row: Mapping[str, Any]) -> str:
    return f"{signed(row['change'])}, interval {interval(row['low'], row['high'], with_signs=True)}"


def _other_groups(others: Sequence[Mapping[str, Any]]) -> str:
    """Which other test groups lie below and above the own test, as far as that is told from zero."""
    known = [row for row in others if is_number(row["change"])]
    if not known:
        return ""
    own = isolated(known[0]["train_cohort"])
    below = _named([row for row in known if is_told(row) and row["change"] < 0])
    above = _named([row for row in known if is_told(row) and row["change"] > 0])
    unknown = [isolated(row["test_group"]) for row in known if not is_told(row)]
    parts = [
        f"lower on the test of {below}" if below else "",
        f"higher on the test of {above}" if above else "",
        f"not told from it on the test of {listed(unknown, MAX_OTHERS_NAMED)}" if unknown else "",
    ]
    return f"Against the test of {own} the AUC is {listed([part for part in parts if part])}."


def _named(rows: Sequence[Mapping[str, Any]]) -> str:
    largest = sorted(rows, key=lambda row: -abs(row["change"]))
    return listed([f"{isolated(row['test_group'])} ({_size(row)})" for row in largest], MAX_OTHERS_NAMED)


def reading_of_stage(stage: Stage) -> str:
    """Everything about one stage in a line, for those who hear the page or point at a mark."""
    row = stage.row
    if stage.at is None:
        return f"{stage.label}: not estimable. {row['reason']}".strip()
    if stage.is_whole:
        told, mark = (
            "" if stage.is_told else ", zero included",
            ", a description" if stage.is_description else "",
        )
        return f"{stage.label}, {stage.note}: {_size(row)}{told}{mark}."
    limits = interval(row["auc_low"], row["auc_high"])
    level = f"{stage.label}: AUC {decimal(row['auc'])}, interval {limits}."
    if not is_number(row["change"]):
        return level
    told = "" if stage.is_told else ", zero included"
    mark = ", a description" if stage.is_description else ""
    return f"{level} Step {_size(row)}{told}{mark}."
