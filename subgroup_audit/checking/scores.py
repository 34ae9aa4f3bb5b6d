"""Scores as probabilities: read, checked, and turned from logits or percent where that was said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.checking.columns import ColumnChoice, ScoreKind
from subgroup_audit.checking.opened import Opened, count
from subgroup_audit.errors import TableError

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The sigmoid of a larger logit is 1 in double precision, that of one below its negative's far end 0: images beyond
# would be ties. A few leave the AUC as it is; more are scores of another scale, whose AUC would be another.
LARGEST_LOGIT, SMALLEST_LOGIT = 36.0, -700.0
MOST_TIED = 0.01


def read_scores(
    opened: Opened, columns: Sequence[str], is_labelled: Flags, choice: ColumnChoice, *, are_classes: bool
) -> tuple[list[Scores], list[str]]:
    """One array of probabilities per column, NaN where allowed to be missing, and notes.

    Parameters
    ----------
    is_labelled : rows whose score is needed
    are_classes : the columns are the classes of one label: logits pass through the softmax over them

    Raises
    ------
    TableError
        A score is missing, no number, or out of range; the column, the row and the way out are named.
    """
    notes: list[str] = []
    raw = [_read_one(opened, column, is_labelled, choice, notes) for column in columns]
    for column, values in zip(columns, raw, strict=True):
        _check_range(opened, column, values, choice.scores)
        if choice.scores == "logits" and not are_classes:
            _check_spread(opened, column, values)
    notes += _cautions(columns, raw, choice.scores, are_classes=are_classes)
    return _to_probabilities(raw, choice.scores, are_classes=are_classes), notes


def _read_one(opened: Opened, column: str, is_labelled: Flags, choice: ColumnChoice, notes: list[str]) -> Scores:
    numbers = opened.numbers(column)
    if numbers.wrong_row is not None:
        value = opened.read(column)[numbers.wrong_row].as_py()
        raise TableError(
            f"{opened.origin}: score column '{column}' has '{value}' on {opened.row_name(numbers.wrong_row)}; "
            "scores are numbers"
        )
    if numbers.has_decimal_commas:
        notes.append(f"Score column '{column}' has decimal commas: 0,5 was read as 0.5.")
    _check_missing(opened, column, numbers.values, is_labelled, choice, notes)
    return numbers.values


def _check_missing(
    opened: Opened, column: str, values: Scores, is_labelled: Flags, choice: ColumnChoice, notes: list[str]
) -> None:
    endless = np.isinf(values)
    if endless.any():
        first = opened.row_name(int(np.argmax(endless)))
        raise TableError(
            f"{opened.origin}: score column '{column}' has {count(int(endless.sum()), 'infinite value')}, "
            f"the first on {first}; scores are finite numbers"
        )
    missing = np.isnan(values) & is_labelled
    n = int(missing.sum())
    if n and not choice.allows_missing_scores:
        first = opened.row_name(int(np.argmax(missing)))
        raise TableError(
            f"{opened.origin}: score column '{column}' has no score in {count(n, 'row')} of {len(values):,} "
            f"(empty or NaN), the first on {first}. Images that a model could not score are part of how well it "
            "works. To leave them out, say --allow-missing-scores; they are then counted in every output"
        )
    if n:
        notes.append(f"Caution: {count(n, 'image')} without a score in '{column}' left out.")


def _check_range(opened: Opened, column: str, values: Scores, kind: ScoreKind) -> None:
    """Raise `TableError` for scores that the kind cannot be."""
    top = {"auto": 1.0, "probabilities": 1.0, "percent": 100.0}.get(kind)
    known = values[~np.isnan(values)]
    if top is None or not known.size:
        return
    outside = (values < 0) | (values > top)
    n = int(outside.sum())
    if not n:
        return
    row = int(np.argmax(outside))
    out = _way_out(float(known.min()), float(known.max()), kind)
    raise TableError(
        f"{opened.origin}: score column '{column}' goes from {known.min():.4g} to {known.max():.4g}; "
        f"{count(n, 'value is', 'values are')} outside [0, {top:g}], the first {values[row]:.4g} on "
        f"{opened.row_name(row)}. {out}"
    )


def _check_spread(opened: Opened, column: str, values: Scores) -> None:
    """Raise `TableError` where many scores would have one sigmoid, and the AUC not be that of the file."""
    known = values[~np.isnan(values)]
    beyond = known[_is_beyond(known)]
    if len(beyond) <= MOST_TIED * len(known) or len(np.unique(beyond)) < 2:
        return
    divisor = 10 ** np.ceil(np.log10(float(np.abs(known).max()) / 30.0))
    beyond_words = f"above {LARGEST_LOGIT:g} or below {SMALLEST_LOGIT:g}"
    raise TableError(
        f"{opened.origin}: score column '{column}' goes from {known.min():.4g} to {known.max():.4g}; "
        f"{count(len(beyond), 'value is', 'values are')} {beyond_words}, where the sigmoid is 1 or 0, so that "
        "these images would tie and the AUC not be that of the scores. Logits do not lie so far out: divide the "
        f"scores by a number first, such as {divisor:g}, which leaves their order"
    )


def _is_beyond(values: Scores) -> Flags:
    return np.asarray((values > LARGEST_LOGIT) | (values < SMALLEST_LOGIT))


def _way_out(low: float, high: float, kind: ScoreKind) -> str:
    if kind != "auto":
        return f"--scores {kind} does not fit; for logits say --scores logits"
    percent = "If they are percent, say --scores percent. " if low >= 0 and 1.5 < high <= 100 else ""
    return (
        f"{percent}If they are logits, or any score that is higher where the finding is likelier, say "
        "--scores logits: they pass through the sigmoid, which leaves the AUC as it is; calibration means "
        "something for true logits only"
    )


def describe_kind(kind: ScoreKind) -> str:
    """What the scores are taken for, in a sentence."""
    if kind == "auto":
        return "Scores are taken as probabilities: all lie in [0, 1]."
    return f"Scores are {kind}, as was said."


def _cautions(columns: Sequence[str], raw: Sequence[Scores], kind: ScoreKind, *, are_classes: bool) -> list[str]:
    """What a reader has to know about scores that are allowed and odd."""
    notes = []
    for column, values in zip(columns, raw, strict=True):
        known = values[~np.isnan(values)]
        if not known.size:
            continue
        if np.isin(known, (0.0, 1.0)).all():
            notes.append(
                f"Caution: score column '{column}' has only 0 and 1: decisions, not scores. "
                "Its AUC is that of one operating point."
            )
        elif kind == "logits" and known.min() >= 0 and known.max() <= 1:
            notes.append(f"Caution: all scores of '{column}' lie in [0, 1] although logits were said.")
        elif kind == "logits" and not are_classes and _is_beyond(known).any():
            n = int(_is_beyond(known).sum())
            notes.append(f"Caution: {count(n, 'logit')} of '{column}' above 36 or below -700 count as ties.")
    return notes


def _to_probabilities(raw: list[Scores], kind: ScoreKind, *, are_classes: bool) -> list[Scores]:
    if kind == "percent":
        return [values / 100 for values in raw]
    if kind != "logits":
        return raw
    if are_classes:
        return _softmax(raw)
    return [_sigmoid(values) for values in raw]


def _sigmoid(values: Scores) -> Scores:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


def _softmax(raw: list[Scores]) -> list[Scores]:
    stacked = np.stack(raw)
    powers = np.exp(stacked - stacked.max(axis=0))
    return list(powers / powers.sum(axis=0))
