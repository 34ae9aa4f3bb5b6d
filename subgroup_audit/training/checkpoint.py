"""What a killed fit resumes from, and what a finished one leaves: tensors and plain values, never code."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]

CHECKPOINT = "checkpoint.safetensors"
MODEL = "model.json"
_RESUME = "resume"
_STATE = "state.pt"


def save_weights(state: State, path: Path) -> None:
    """Write tensors as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    partial = path.with_name(f"{path.name}.partial")
    save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, partial)
    partial.replace(path)


def load_weights(path: Path) -> State:
    """Tensors that `save_weights` wrote."""
    from safetensors.torch import load_file

    return dict(load_file(path))


def save_resume(folder: Path, state: dict[str, Any]) -> None:
    """Replace the state that a killed fit resumes from, in one move."""
    place = folder / _RESUME
    place.mkdir(parents=True, exist_ok=True)
    partial = place / f"{_STATE}.{os.getpid()}.partial"
    torch.save(state, partial)
    partial.replace(place / _STATE)


def load_resume(folder: Path, digest: str, device: str) -> dict[str, Any] | None:
    """The state left by a killed run of the same fit on the same data; None if there is none to trust."""
    path = folder / _RESUME / _STATE
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return state if state.get("digest") == digest else None


def remove_resume(folder: Path) -> None:
    """Remove what a killed fit would have resumed from."""
    shutil.rmtree(folder / _RESUME, ignore_errors=True)


def save_json(record: dict[str, Any], path: Path) -> None:
    """Write a record as indented JSON with sorted keys."""
    path.write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False), encoding="utf-8")
