"""Speeds that were measured on this machine, one small file each; read without torch, for plans.

The first answer to a question holds: another process that measured at the same time takes it over, so that all
fits of a study, and its reruns, use the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from subgroup_audit.study import Model, Recipe
from subgroup_audit.training.device import cpu_name


def default_cache() -> Path:
    """Folder of this package's caches of the user: `$SUBGROUP_AUDIT_CACHE`, else below the user's cache folder."""
    named = os.environ.get("SUBGROUP_AUDIT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subgroup_audit"


def answer_path(cache: Path, question: dict[str, Any]) -> Path:
    """Where the answer to a question is kept."""
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:24]
    return cache / "precision" / f"{key}.json"


def read_answer(path: Path) -> dict[str, Any] | None:
    """The answer kept at a path; None if there is none that can be read."""
    try:
        answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer


def keep_answer(path: Path, measured: dict[str, Any]) -> dict[str, Any]:
    """Keep what was measured, unless another process was first: then its answer holds for all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(measured, indent=1, sort_keys=True), encoding="utf-8")
        _put_first(partial, path)
    except OSError:
        return read_answer(path) or measured
    finally:
        with suppress(OSError):  # a cache that cannot be written
            partial.unlink(missing_ok=True)
    return measured


def _put_first(partial: Path, path: Path) -> None:
    """Give a file its name unless that is taken, which raises `FileExistsError`."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: a copy, made by one process alone
        content = partial.read_bytes()
        with path.open("xb") as file:
            file.write(content)


def read_measured(model: Model, recipe: Recipe, cache: Path | None = None) -> float | None:
    """Images per second of training on this CPU as it was measured; None if it was not."""
    wanted = {
        "architecture": model.architecture,
        "trainable": model.trainable,
        "image_size": recipe.image_size,
        "cpu": cpu_name(),
    }
    for path in sorted(((cache or default_cache()) / "precision").glob("*.json")):
        answer = read_answer(path)
        if answer and wanted.items() <= answer["question"].items():
            return float(max(answer["images_per_second"].values()))
    return None
