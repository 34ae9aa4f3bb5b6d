"""What the statistics accept: each check returns a clean array or raises one StatisticsError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subgroup_audit.errors import StatisticsError

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]
KeyArray: TypeAlias = NDArray[Any]


def check_labels(y_true: ArrayLike) -> BoolArray:
    """Labels as booleans, shape [n]; StatisticsError unless every one is 0 or 1 and there is one at least."""
    labels = np.asarray(y_true)
    _require_rows(labels, "y_true")
    if labels.dtype == np.bool_:
        return labels
    is_positive = np.asarray(labels == 1)
    is_bad = ~(is_positive | np.asarray(labels == 0))
    if is_bad.any():
        row = int(is_bad.argmax())
        raise StatisticsError(
            f"y_true must hold only 0 and 1, but row {row} is {labels[row]!s} ({int(is_bad.sum())} such rows)"
        )
    return is_positive


def check_scores(y_score: ArrayLike, n_rows: int, name: str = "y_score") -> FloatArray:
    """Scores as float64, shape [n_rows]; StatisticsError if of another length or not finite."""
    try:
        scores = np.asarray(y_score, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"{name} must hold numbers: {error}") from None
    _require_rows(scores, name)
    _require_length(scores, n_rows, name)
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        row = int((~is_finite).argmax())
        raise StatisticsError(
            f"{name} must be finite, but row {row} is {scores[row]} ({int((~is_finite).sum())} such rows)"
        )
    return scores


def check_weights(sample_weight: ArrayLike, n_rows: int) -> FloatArray:
    """Weights as float64, shape [n_rows]; StatisticsError if negative, not finite or all zero."""
    weights = check_scores(sample_weight, n_rows, "sample_weight")
    if (weights < 0).any():
        row = int((weights < 0).argmax())
        raise StatisticsError(f"sample_weight must not be negative, but row {row} is {weights[row]}")
    if not weights.any():
        raise StatisticsError("sample_weight must not be zero in every row")
    return weights


def check_persons(person: ArrayLike, n_rows: int, name: str = "person") -> KeyArray:
    """Person keys, shape [n_rows]; StatisticsError if of another length or with a missing key."""
    keys = np.asarray(person)
    _require_rows(keys, name)
    _require_length(keys, n_rows, name)
    is_missing = _missing(keys)
    if is_missing.any():
        row = int(is_missing.argmax())
        raise StatisticsError(
            f"{name} must name a person in every row, but row {row} is missing ({int(is_missing.sum())} such rows)"
        )
    return keys


def check_level(confidence_level: float) -> float:
    """The confidence level; StatisticsError unless it lies strictly between 0 and 1."""
    if not 0.0 < confidence_level < 1.0:
        raise StatisticsError(f"confidence_level must lie between 0 and 1, not {confidence_level}")
    return float(confidence_level)


def check_choice(value: str, allowed: Sequence[str], name: str) -> str:
    """The value; StatisticsError unless it is one of the allowed words."""
    if value not in allowed:
        raise StatisticsError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
    return value


def check_positive(value: float, name: str) -> float:
    """The value; StatisticsError unless it is above 0."""
    if not value > 0:
        raise StatisticsError(f"{name} must be above 0, not {value}")
    return value


def _require_rows(values: NDArray[Any], name: str) -> None:
    if values.ndim != 1:
        raise StatisticsError(f"{name} must be one-dimensional, not of shape {values.shape}")
    if values.size == 0:
        raise StatisticsError(f"{name} is empty: there is no row to work on")


def _require_length(values: NDArray[Any], n_rows: int, name: str) -> None:
    if len(values) != n_rows:
        raise StatisticsError(f"{name} has {len(values)} rows, but y_true has {n_rows}")


def _missing(keys: KeyArray) -> BoolArray:
    if keys.dtype.kind == "O":
        return np.array([key is None or key != key for key in keys], dtype=bool)
    if keys.dtype.kind in "fcmM":
        return np.asarray(keys != keys)
    return np.zeros(len(keys), dtype=bool)
