"""The engine that a user chose, and its options: names, kinds of values, and one message for all that is wrong."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from subgroup_audit.errors import EngineError, nearest


@dataclass(frozen=True)
class Engine:
    """An engine and what was asked of it.

    Attributes
    ----------
    options : values by name, checked; a name that is absent has the engine's default
    """

    name: str = "local"
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_elsewhere(self) -> bool:
        """Whether fits may run on machines that have what this one lacks."""
        return self.name != "local"

    @property
    def gpus(self) -> float:
        """GPUs that each task asks for; 0 where nothing was said."""
        return float(self.options.get("gpus", 0))


@dataclass(frozen=True)
class _Option:
    read: Callable[[str], Any]
    rule: str
    about: str
    repeats: bool = False


def _whole(smallest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if value < smallest:
            raise ValueError(text)
        return value

    return read


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf") or (value > 1 and value != int(value)):
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _word(text: str) -> str:
    if not re.fullmatch(r"[^\s'\"`$;<>\\]+", text):  # it enters a batch script
        raise ValueError(text)
    return text


def _time(text: str) -> int:
    """Minutes of `90`, `1:30:00` or `1-12:00:00`.

    >>> _time("90"), _time("1:30:00"), _time("1-12:00:00")
    (90, 90, 2160)
    """
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):(\d\d):(\d\d))|(\d+)", text)
    if not found:
        raise ValueError(text)
    days, hours, minutes, seconds, whole = (int(part or 0) for part in found.groups())
    total = whole or -(-(days * 86400 + hours * 3600 + minutes * 60 + seconds) // 60)
    if total < 1:
        raise ValueError(text)
    return total


def _executor(text: str) -> str:
    if text not in ("slurm", "local", "debug"):
        raise ValueError(text)
    return text


_NAME = "one word"
_COUNT = "a whole number of 1 or more"
ENGINES: Mapping[str, Mapping[str, _Option]] = {
    "local": {},
    "slurm": {
        "partition": _Option(_word, _NAME, "partition of the jobs"),
        "account": _Option(_word, _NAME, "account that is charged"),
        "qos": _Option(_word, _NAME, "quality of service"),
        "constraint": _Option(_word, _NAME, "feature that a node must have"),
        "gpus": _Option(_whole(0), "a whole number of 0 or more", "GPUs of a task [0]"),
        "cpus": _Option(_whole(1), _COUNT, "cores of a task [the threads of a fit; 4 with a GPU]"),
        "mem_gb": _Option(_positive, "a number above 0", "memory of a task, GB [16]"),
        "time": _Option(_time, "minutes, H:MM:SS or D-HH:MM:SS", "limit of a task, then requeued [4:00:00]"),
        "tasks": _Option(_whole(1), _COUNT, "tasks of the array, each a share of the fits [one per fit]"),
        "at_once": _Option(_whole(1), _COUNT, "tasks that may run at the same time [256]"),
        "setup": _Option(str, "a shell command", "run before each task; may be repeated", repeats=True),
        "executor": _Option(_executor, "slurm, local or debug", "what submitit hands tasks to [slurm]"),
    },
    "ray": {
        "address": _Option(_word, _NAME, "cluster to join: auto, host:port or ray://host:port [one started here]"),
        "gpus": _Option(_share, "a share of one GPU such as 0.25, or a whole number", "GPUs of a fit [1 on cuda]"),
        "cpus": _Option(_positive, "a number above 0", "cores of a fit [its threads]"),
        "mem_gb": _Option(_positive, "a number above 0", "memory that a fit reserves, GB [none]"),
    },
}
PACKAGES = {"slurm": "submitit", "ray": "ray"}


def choose_engine(name: str, options: Sequence[str] = ()) -> Engine:
    """The engine of this name with options written as `name=value`.

    Raises
    ------
    EngineError
        The engine or an option is unknown, or a value breaks its rule (all are listed), or the engine's package
        is not installed.
    """
    if name not in ENGINES:
        near = nearest(name, ENGINES)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise EngineError(f"--engine must be {_listed(list(ENGINES))}, not '{name}'{hint}")
    known, problems = ENGINES[name], []
    found: dict[str, Any] = {}
    for text in options:
        key, value, problem = _read(name, known, text)
        if problem:
            problems.append(problem)
        elif known[key].repeats:
            found[key] = (*found.get(key, ()), value)
        else:
            found[key] = value
    if problems:
        raise EngineError("\n".join(problems))
    require_package(name)
    return Engine(name, MappingProxyType(found))


def _read(engine: str, known: Mapping[str, _Option], text: str) -> tuple[str, Any, str]:
    """Name and value of an option, and what is wrong with it, or ''."""
    key, equals, value = text.partition("=")
    if not equals:
        return key, None, f"--engine-option must be name=value, not '{text}'"
    if key not in known:
        near = nearest(key, known)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        has = f"its options: {', '.join(known)}" if known else "it has none"
        return key, None, f"engine {engine} has no option '{key}'{hint} ({has})"
    try:
        return key, known[key].read(value), ""
    except ValueError:
        return key, None, f"engine {engine}: {key} must be {known[key].rule}, not '{value}'"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"


def require_package(engine: str) -> None:
    """Raise `EngineError` where the package that an engine needs is not installed."""
    package = PACKAGES.get(engine)
    if package and importlib.util.find_spec(package) is None:
        raise EngineError(
            f"--engine {engine} needs the package {package}, which is not installed: "
            f"pip install 'subgroup-audit[{engine}]'"
        )
