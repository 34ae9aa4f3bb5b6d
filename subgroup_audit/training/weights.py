"""Weights from local files: data, never code; strict for the trunk, lenient for the head."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from subgroup_audit.errors import ModelError

State = dict[str, Tensor]

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "_orig_mod.")


def read_weights(path: Path) -> State:
    """The tensors in a safetensors file or a weights-only checkpoint, wrappers and prefixes taken off.

    Raises
    ------
    ModelError
        The file cannot be read, holds more than weights, or holds none.
    """
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    while isinstance(content, Mapping) and any(isinstance(content.get(key), Mapping) for key in _WRAPPERS):
        content = next(content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping))
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"weights file '{path}' holds no named tensors")
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weights file '{path}' is not a safetensors file: {error}") from error


def _read_checkpoint(path: Path) -> object:
    try:
        # torch warns of pickle protocols that it then reads or refuses correctly
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"weights file '{path}' is refused: it holds more than weights, and to read it would run its code; "
            f"save its `state_dict()` alone, best as safetensors"
        ) from error
    except (OSError, RuntimeError, EOFError) as error:
        raise ModelError(f"weights file '{path}' cannot be read: {error}") from error


def load_trunk(trunk: nn.Module, classifier: tuple[str, ...], state: State, path: Path) -> State:
    """Load a trunk's weights; returns those of the head, named `head.*`.

    `state` is either of a fitted model of ours (`trunk.*`, `head.*`) or of a whole published network whose
    classifier has the name given. A first layer over three colours is summed to one.

    Raises
    ------
    ModelError
        A weight of the trunk is missing, has another shape, or is one that the trunk does not know.
    """
    own, rest = _split_state(state, classifier)
    wanted = trunk.state_dict()
    own = {key: _as_grey(value, wanted.get(key)) for key, value in own.items()}
    # counters of batches seen are absent from old files and change nothing
    missing = [key for key in wanted if key not in own and not key.endswith("num_batches_tracked")]
    strange = [key for key in own if key not in wanted]
    misshapen = [
        f"{key} {tuple(own[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in own and own[key].shape != wanted[key].shape
    ]
    problems = [
        f"{len(found)} {kind} (first: {found[0]})"
        for kind, found in (("missing", missing), ("unknown", strange), ("of another shape", misshapen))
        if found
    ]
    if problems:
        raise ModelError(f"weights file '{path}' does not fit the architecture: weights {'; '.join(problems)}")
    trunk.load_state_dict(own, strict=False)
    return rest


def _split_state(state: State, classifier: tuple[str, ...]) -> tuple[State, State]:
    if all(key.startswith(("trunk.", "head.")) for key in state):
        own = {key.removeprefix("trunk."): value for key, value in state.items() if key.startswith("trunk.")}
        return own, {key: value for key, value in state.items() if key.startswith("head.")}
    prefixes = tuple(f"{name}." for name in (*classifier, "aux1", "aux2", "AuxLogits") if name)
    own = {key: value for key, value in state.items() if not key.startswith(prefixes)}
    rest = {f"head.{key}": value for key, value in state.items() if key.startswith(prefixes)}
    return own, rest


def _as_grey(value: Tensor, wanted: Tensor | None) -> Tensor:
    if wanted is None or value.ndim != 4 or value.shape[1] != 3 or wanted.shape[1] != 1:
        return value
    return value.sum(dim=1, keepdim=True)


def load_head(head: nn.Module, rest: State, path: Path) -> list[str]:
    """Load the head where every weight fits, else leave it as initialised; returns sentences on which."""
    wanted = head.state_dict()
    found = {key.removeprefix("head."): value for key, value in rest.items()}
    if found.keys() != wanted.keys():
        last = list(wanted)[-1].rpartition(".")[0]
        found = {f"{last}.{key.rpartition('.')[2]}": value for key, value in found.items()}
    fits = found.keys() == wanted.keys() and all(found[key].shape == wanted[key].shape for key in wanted)
    if fits:
        head.load_state_dict(found)
        return [f"trunk and head start from {path.name}"]
    names = ", ".join(sorted(key.removeprefix("head.") for key in rest)) or "none"
    return [f"the trunk starts from {path.name}; its head does not fit and starts anew (not loaded: {names})"]
