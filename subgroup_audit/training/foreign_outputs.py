"""What a model gives: one row of numbers per image, which of them is which finding, and probabilities of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from subgroup_audit.errors import ModelError, nearest
from subgroup_audit.training.foreign_spec import ModelUse, ScoringModel
from subgroup_audit.training.spec import FloatArray

_ROUNDING = 1e-5


def choose_columns(source: str, n_outputs: int, findings: Sequence[str], use: ModelUse) -> tuple[int, ...]:
    """The output of each finding, in the order of `use.findings`, else of `findings`.

    Raises
    ------
    ModelError
        A finding that is not asked for, an output that is not there, or a number of outputs that says nothing.
    """
    if use.findings:
        strange = [name for name in use.findings if findings and name not in findings]
        if strange:
            near = nearest(strange[0], findings) or list(findings)
            raise ModelError(f"--finding {strange[0]}: no such finding; nearest: {', '.join(near[:5])}")
        return check_indices(source, n_outputs, use.findings)
    if not findings:
        raise ModelError(
            f"model '{source}' has {n_outputs} {_plural('output', n_outputs)} without names; say which is "
            "which: --finding NAME=INDEX"
        )
    if n_outputs != len(findings):
        names = ", ".join(findings)
        raise ModelError(
            f"model '{source}' has {n_outputs} {_plural('output', n_outputs)} for {len(findings)} "
            f"{_plural('finding', len(findings))} ({names}); say which is which: --finding '{findings[0]}=INDEX', "
            f"INDEX from 0 to {n_outputs - 1}"
        )
    return tuple(range(n_outputs))


def check_indices(source: str, n_outputs: int, indices: Mapping[str, int]) -> tuple[int, ...]:
    beyond = [f"{name}={i}" for name, i in indices.items() if i >= n_outputs]
    if beyond:
        raise ModelError(
            f"--finding {beyond[0]}: model '{source}' has {n_outputs} {_plural('output', n_outputs)}, "
            f"with indices from 0 to {n_outputs - 1}"
        )
    columns = tuple(indices.values())
    if len(set(columns)) != len(columns):
        raise ModelError(f"--finding: two findings name the same output; they are {dict(indices)}")
    return columns


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"


def shape_outputs(source: str, found: Any, n: int) -> FloatArray:
    """What a model gave for n images as float32 [n, outputs]; raises `ModelError` where it cannot be that."""
    if isinstance(found, (tuple, list, dict)) and any(np.ndim(part) > 1 for part in _parts(found)):
        raise ModelError(
            f"model '{source}' gives {len(found)} outputs at once ({type(found).__name__}); it must give one, the "
            "scores [n, findings]"
        )
    try:
        outputs = np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(f"model '{source}' gives {type(found).__name__}, not numbers [n, findings]") from error
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    if outputs.ndim != 2 or len(outputs) != n or not outputs.shape[1]:
        shown = list(np.shape(found))
        raise ModelError(f"model '{source}' must give [n, findings]; for {n} images it gives the shape {shown}")
    return outputs


def _parts(found: Any) -> Iterator[Any]:
    yield from found.values() if isinstance(found, dict) else found


def require_finite(model: ScoringModel, outputs: FloatArray, ids: list[str]) -> None:
    wrong = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(wrong):
        raise ModelError(
            f"model '{model.name}' gives numbers that are not finite for {len(wrong)} of {len(ids)} images, the "
            f"first '{ids[wrong[0]]}'"
        )


def read_outputs(model: ScoringModel, outputs: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Probabilities [n, outputs], and the sentences that say how they were made of the outputs.

    With `auto`, outputs that all lie in [0, 1] are probabilities. Others are logits: of classes that exclude
    each other where the findings are such classes, or where two outputs stand for one finding; else of one
    finding each.
    """
    low, high = (float(outputs.min()), float(outputs.max())) if outputs.size else (0.0, 1.0)
    is_share = low >= -_ROUNDING and high <= 1.0 + _ROUNDING
    kind, is_guess = model.outputs, model.outputs == "auto"
    if is_guess:
        is_pair = model.n_outputs == 2 and len(model.findings) == 1
        logits = "softmax" if is_pair or (model.is_multiclass and model.n_outputs > 1) else "logits"
        kind = "probabilities" if is_share else logits
    if kind == "probabilities" and not is_share:
        raise ModelError(
            f"model '{model.name}': --outputs probabilities must lie in [0, 1]; its outputs range from {low:.4g} "
            f"to {high:.4g}. Are they --outputs logits, or softmax?"
        )
    notes = [_say_kind(kind, low, high, is_guess=is_guess)]
    turn: dict[str, Callable[[FloatArray], FloatArray]] = {"logits": _sigmoid, "softmax": _softmax}
    scores = turn[kind](outputs) if kind in turn else outputs
    flat = [name for name, i in zip(model.findings, model.columns, strict=True) if _is_flat(scores[:, i])]
    notes += [f"The model gives every image the same score for {name}: it tells nobody apart." for name in flat]
    return scores, tuple(notes)


def _say_kind(kind: str, low: float, high: float, *, is_guess: bool) -> str:
    how = {
        "probabilities": "taken as probabilities",
        "logits": "taken as logits, a sigmoid each",
        "softmax": "taken as logits of classes that exclude each other (softmax)",
    }[kind]
    why = f"; judged by their range, {low:.3g} to {high:.3g}, --outputs says otherwise" if is_guess else ""
    return f"The model's outputs were {how}{why}."


def _is_flat(scores: FloatArray) -> bool:
    return len(scores) > 1 and float(scores.max() - scores.min()) < 1e-7


def _sigmoid(logits: FloatArray) -> FloatArray:
    # in two halves, since exp of a large number overflows
    small = np.exp(-np.abs(logits.astype(np.float64)))
    return np.asarray(np.where(logits >= 0, 1.0, small) / (1.0 + small))


def _softmax(logits: FloatArray) -> FloatArray:
    shares = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
