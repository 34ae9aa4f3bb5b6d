"""Models that were made elsewhere, and fits of our own: opened, tried, and their scores for images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import ModelError, nearest
from subgroup_audit.store import read_json
from subgroup_audit.training.checkpoint import CHECKPOINT, MODEL
from subgroup_audit.training.data import cut_in_order
from subgroup_audit.training.device import choose_device
from subgroup_audit.training.feeding import ImageFeed, Normalisation
from subgroup_audit.training.fitted import load_fitted, predict
from subgroup_audit.training.foreign_entry import open_entry_point
from subgroup_audit.training.foreign_onnx import open_onnx
from subgroup_audit.training.foreign_outputs import (
    check_indices,
    choose_columns,
    read_outputs,
    require_finite,
    shape_outputs,
)
from subgroup_audit.training.foreign_spec import (
    ARCHIVES,
    DEFAULT_SIZE,
    ONNX,
    TIMM,
    WEIGHTS,
    Levels,
    ModelUse,
    Opened,
    ScoringModel,
    find_model_file,
    is_entry_point,
    last_line,
    make_levels,
    refuse_form,
)
from subgroup_audit.training.foreign_torch import open_archive, open_timm, refuse_weights
from subgroup_audit.training.spec import BatchCallback, FloatArray, Pixels

STEADY = 1e-3
"""Largest difference of an output, relative above 1, that rounding makes when a batch's other images change."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of images.

    Attributes
    ----------
    frame : DataFrame [image_id, finding, y_score], one row an image and finding, y_score a probability
    notes : the model's, and how its outputs were read
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]


def load_model(
    source: str, use: ModelUse, findings: Sequence[str] = (), *, is_multiclass: bool = False
) -> ScoringModel:
    """The model, opened and tried on noise.

    Parameters
    ----------
    source : see `foreign_spec.FORMS`
    findings : what it is to be scored for; absent: what it names itself, or as `use.findings` names its outputs
    is_multiclass : whether these are classes that exclude each other

    Raises
    ------
    ModelError
        It cannot be opened, would run code that nobody asked for, does not take radiographs, does not give one
        finite number per image and output, or gives an image other scores in other company.
    """
    device = choose_device(use.device)
    folder = find_fit(source)
    if folder is not None:
        return _load_fit(folder, use, findings, device)
    opened = _open(source, use, device)
    size = _agree(source, "image-size", use.image_size, opened.size) or DEFAULT_SIZE
    channels, levels, batch, n_outputs = _try(source, opened, use, size)
    names = tuple(use.findings or findings)
    columns = choose_columns(source, n_outputs, findings, use)
    model = ScoringModel(
        name=_short_name(source),
        findings=names,
        columns=columns,
        n_outputs=n_outputs,
        is_multiclass=is_multiclass,
        outputs=use.outputs,
        size=size,
        channels=channels,
        batch=batch or use.batch_size or (64 if device == "cpu" else 256),
        is_batch_fixed=batch is not None,
        levels=levels,
        run=opened.run,
    )
    return replace(model, notes=_describe(model, opened, use))


def find_fit(source: str) -> Path | None:
    """The folder of a fit of ours that the source is, or whose checkpoint it is; None where it is neither."""
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    is_named = path.is_dir() or (path.name == CHECKPOINT and path.is_file())
    return folder if is_named and (folder / MODEL).is_file() else None


def _load_fit(folder: Path, use: ModelUse, findings: Sequence[str], device: str) -> ScoringModel:
    given = {
        "--weights": use.weights,
        "--image-size": use.image_size,
        "--channels": use.channels,
        "--outputs": None if use.outputs == "auto" else use.outputs,
        "--normalise": None if use.normalise == "auto" else use.normalise,
    }
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise ModelError(
            f"model '{folder}' is a fit of this package and knows its own; leave out {', '.join(extra)}"
        )
    fitted = load_fitted(folder, device)
    indices = dict(use.findings) or {name: i for i, name in enumerate(fitted.findings)}
    wanted = tuple(use.findings or findings or fitted.findings)
    unknown = [name for name in wanted if name not in indices]
    if unknown:
        near = nearest(unknown[0], indices) or list(indices)
        raise ModelError(
            f"model '{folder}' was fitted for {', '.join(fitted.findings)}, not for '{unknown[0]}'; say which "
            f"of its outputs that is: --finding '{unknown[0]}=INDEX' (nearest: {', '.join(near[:3])})"
        )
    columns = check_indices(str(folder), len(fitted.findings), {name: indices[name] for name in wanted})
    levels = Levels("as it was fitted", (fitted.normalisation.mean,), (fitted.normalisation.std,))
    note = f"A fit of this package: images of {fitted.size} px, normalised as it was fitted."
    return ScoringModel(
        name=_name_fit(folder),
        findings=wanted,
        columns=columns,
        n_outputs=len(fitted.findings),
        is_multiclass=fitted.is_multiclass,
        outputs="probabilities",
        size=fitted.size,
        channels=1,
        batch=use.batch_size or 0,
        is_batch_fixed=False,
        levels=levels,
        run=lambda images: images,
        fitted=fitted,
        notes=(note,),
    )


def _name_fit(folder: Path) -> str:
    settings = read_json(folder / "step.json").get("settings", {})
    if "model_name" not in settings:
        return folder.name
    trained = f"trained on {settings['cohort']}, seed {settings['seed']}"
    return f"{settings['model_name']} ({settings['recipe_name']}) {trained}"


def _open(source: str, use: ModelUse, device: str) -> Opened:
    """The model, by the form that its name and content say."""
    if use.entry_point:
        return open_entry_point(source)
    if source.startswith(TIMM):
        return open_timm(source, use, device)
    if is_entry_point(source) and not Path(source).exists():
        raise ModelError(
            f"model '{source}' names a Python function, and to score images would run its code; where you trust "
            "it, say so: --entry-point"
        )
    path = find_model_file(source)
    ending = path.suffix.lower()
    if path.is_dir():
        raise ModelError(
            f"model '{source}': this folder holds no fit; a fit's folder holds {MODEL} and {CHECKPOINT}"
        )
    if ending == ONNX:
        import torch

        return open_onnx(path, torch.get_num_threads())
    if ending == WEIGHTS:
        raise refuse_weights(path)
    if ending not in ARCHIVES:
        raise refuse_form(source)
    return open_archive(path, device)


def _agree(source: str, option: str, given: int | None, own: int | None) -> int | None:
    """What was given and what the model says, which must not contradict each other."""
    if given is not None and own is not None and given != own and not source.startswith(TIMM):
        raise ModelError(f"model '{source}' takes --{option} {own} alone; {given} was given")
    return own if given is None else given


def _short_name(source: str) -> str:
    is_named = source.startswith(TIMM) or (is_entry_point(source) and not Path(source).exists())
    return source if is_named else Path(source).name


def _try(source: str, opened: Opened, use: ModelUse, size: int) -> tuple[int, Levels, int | None, int]:
    """Channels, normalisation, fixed batch and number of outputs, found by scoring noise.

    Where neither the model nor the user says how many channels it takes, three are tried first, then one.
    """
    said = _agree(source, "channels", use.channels, opened.channels)
    failure: ModelError | None = None
    for channels in (said,) if said is not None else (3, 1):
        levels = opened.levels or make_levels(_normalise(use, channels), channels)
        try:
            batch, n_outputs = _try_batches(source, opened, levels, size)
        except _FailedError as error:
            failure = failure or ModelError(_blame(source, size, channels, error, is_said=said is not None))
            continue
        _require_steady(source, opened, levels, size, batch)
        return channels, levels, batch, n_outputs
    raise failure or ModelError(f"model '{source}' takes neither 1 nor 3 channels")


def _normalise(use: ModelUse, channels: int) -> str:
    if use.normalise != "auto":
        return use.normalise
    return "imagenet" if channels == 3 else "unit"


class _FailedError(Exception):
    """The model raised an error of its own."""


def _blame(source: str, size: int, channels: int, error: Exception, *, is_said: bool) -> str:
    hint = "" if is_said else " (nor 1 channel)"
    word = "channel" if channels == 1 else "channels"
    return (
        f"model '{source}' cannot score images of {size} x {size} px with {channels} {word}{hint}; --image-size "
        f"and --channels say other ones. It says: {error}"
    )


def _try_batches(source: str, opened: Opened, levels: Levels, size: int) -> tuple[int | None, int]:
    """The one batch size that it takes, or None, and its number of outputs."""
    if opened.batch is not None:
        return opened.batch, _call(source, opened.run, levels, _noise(opened.batch, size)).shape[1]
    try:
        return None, _call(source, opened.run, levels, _noise(2, size)).shape[1]
    except _FailedError as error:
        try:
            return 1, _call(source, opened.run, levels, _noise(1, size)).shape[1]
        except _FailedError:
            raise error from None


def _noise(n: int, size: int, seed: int = 0) -> FloatArray:
    """Grey levels in [0, 1] to try a model with."""
    return np.random.default_rng(seed).random((n, 1, size, size), dtype=np.float32)


def _call(source: str, run: Callable[[FloatArray], Any], levels: Levels, grey: FloatArray) -> FloatArray:
    """Outputs float32 [n, outputs] of grey levels [n, 1, side, side].

    Raises
    ------
    _FailedError
        The model itself failed.
    ModelError
        It gave something that is not one row of numbers per image.
    """
    try:
        found = run(levels.apply(grey))
    except Exception as error:
        raise _FailedError(f"{type(error).__name__}: {last_line(error)}") from error
    return shape_outputs(source, found, len(grey))


def _require_steady(source: str, opened: Opened, levels: Levels, size: int, batch: int | None) -> None:
    """Raise `ModelError` where an image's scores depend on chance, or on the other images of its batch."""
    images = _noise(batch or 2, size)
    first, again = (_call(source, opened.run, levels, images) for _ in range(2))
    if _differ(first, again):
        raise ModelError(
            f"model '{source}' gives the same images other scores when asked again: dropout is on; export it "
            "after model.eval()"
        )
    if len(images) < 2:
        return
    others = np.concatenate([images[:1], _noise(len(images) - 1, size, seed=1) ** 2])
    if _differ(first[:1], _call(source, opened.run, levels, others)[:1]):
        raise ModelError(
            f"model '{source}' gives an image other scores when the other images of its batch change: it is in "
            "training mode; export it after model.eval()"
        )


def _differ(a: FloatArray, b: FloatArray) -> bool:
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False  # said of real images, by name
    return bool((np.abs(a - b) > STEADY * np.maximum(1.0, np.abs(a))).any())


def _describe(model: ScoringModel, opened: Opened, use: ModelUse) -> tuple[str, ...]:
    """What was used, and what of it is a guess."""
    guessed = []
    if opened.size is None and use.image_size is None:
        guessed.append("--image-size")
    if opened.levels is None and use.normalise == "auto":
        guessed.append("--normalise")
    channels = "grey" if model.channels == 1 else "grey in three channels"
    notes = [f"Model {model.name} ({opened.form}): images of {model.size} px, {channels}, {model.levels.words}."]
    if guessed:
        verb = "is a guess" if len(guessed) == 1 else "are guesses"
        notes.append(
            f"The model does not say its input, so {' and '.join(guessed)} {verb}: a wrong one makes every "
            "score worse without a sign."
        )
    order = ", ".join(f"{name} = {i}" for name, i in zip(model.findings, model.columns, strict=True))
    if model.n_outputs > 1:
        how = "as given" if use.findings else "in the order of the findings"
        notes.append(f"Outputs by index, {how}: {order}.")
    return (*notes, *opened.notes)


def score_images(
    model: ScoringModel, pixels: Pixels, image_ids: Sequence[str], *, on_batch: BatchCallback | None = None
) -> Scored:
    """The scores of images, each joined to its id.

    Raises
    ------
    ModelError
        Outputs that are not finite, are no probabilities where they should be, or a model that fails.
    """
    ids = list(image_ids)
    if model.fitted is not None:
        scores = predict(model.fitted, pixels, ids, batch_size=model.batch or None, on_batch=on_batch)
        notes: tuple[str, ...] = ()
    else:
        outputs = _run_all(model, pixels, ids, on_batch)
        require_finite(model, outputs, ids)
        scores, notes = read_outputs(model, outputs)
    chosen = scores[:, list(model.columns)].astype(np.float64)
    frame = pd.DataFrame(
        {
            "image_id": pd.Series(np.repeat(np.asarray(ids, dtype=object), len(model.findings)), dtype="str"),
            "finding": pd.Series(list(model.findings) * len(ids), dtype="str"),
            "y_score": np.clip(chosen, 0.0, 1.0).reshape(-1),
        }
    )
    return Scored(frame, (*model.notes, *notes))


def _run_all(
    model: ScoringModel, pixels: Pixels, ids: list[str], on_batch: BatchCallback | None
) -> NDArray[np.float32]:
    feed = ImageFeed(pixels, ids, model.size, Normalisation(0.0, 1.0), "cpu", "warped")
    batches = cut_in_order(len(ids), model.batch)
    found = [np.empty((0, model.n_outputs), dtype=np.float32)]
    for done, levels in enumerate(feed.batches(batches), start=1):
        found.append(_run_batch(model, levels.numpy()))
        if on_batch is not None:
            on_batch(0, done, len(batches))
    return np.concatenate(found)


def _run_batch(model: ScoringModel, grey: FloatArray) -> FloatArray:
    """Outputs of one batch; where the model takes one number of images alone, the last image fills it up."""
    n = len(grey)
    if model.is_batch_fixed and n < model.batch:
        grey = np.concatenate([grey, np.repeat(grey[-1:], model.batch - n, axis=0)])
    try:
        outputs = _call(model.name, model.run, model.levels, grey)[:n]
    except _FailedError as error:
        raise ModelError(f"model '{model.name}' failed on {len(grey)} images: {error}") from error
    if outputs.shape[1] != model.n_outputs:
        raise ModelError(
            f"model '{model.name}' gave {model.n_outputs} outputs at first and {outputs.shape[1]} later"
        )
    return outputs
