"""Data sets: each source turns a folder as it was downloaded into the tables that everything else works on.

A source is a class registered under the entry-point group `subgroup_audit.datasets`; a package of anybody's can
add one, see `examples/add_a_dataset.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from subgroup_audit.errors import DataError, StudyError, nearest
from subgroup_audit.schema import SourceTables
from subgroup_audit.study import Data

GROUP = "subgroup_audit.datasets"
Progress = Callable[[int, int], None]


class Options(BaseModel):
    """Base of a source's settings, `data.options` in a study file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Protocol):
    """What a data set must offer. Instances are made without arguments.

    Attributes
    ----------
    expects : what lies in the root, in words; completes "... expects there"
    Options : the settings a study may give
    """

    expects: ClassVar[str]
    Options: type[BaseModel]

    def load(self, root: Path, options: Any, *, cache: Path, progress: Progress | None = None) -> SourceTables:
        """The tables of the data set below `root`; raises `DataError` where it is not laid out as expected."""


def load_source(data: Data, root: Path, *, cache: Path, progress: Progress | None = None) -> SourceTables:
    """The tables of the data set that a study names.

    Parameters
    ----------
    root : folder of the data, only read
    cache : writable folder; sources keep there what is slow to find out again
    progress : called with the numbers of files read and to read

    Raises
    ------
    StudyError
        No source has that name, or `data.options` breaks its rules.
    DataError
        The root is missing, or not laid out as the source expects.
    """
    source = find_source(data.source)
    options = _check_options(data, source)
    if not root.is_dir():
        what = "is a file" if root.is_file() else "does not exist"
        raise DataError(f"{root}: this folder {what}; source '{data.source}' expects there {source.expects}")
    return source.load(root, options, cache=cache, progress=progress)


def find_source(name: str) -> Source:
    """The source registered under `name`; raises `StudyError` if there is none, or more than one."""
    known = entry_points(group=GROUP)
    found = {point.value: point for point in known if point.name == name}
    if len(found) > 1:
        raise StudyError(f"data.source: '{name}' is registered more than once: {', '.join(sorted(found))}")
    if not found:
        names = source_names()
        near = nearest(name, names)
        hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names)}"
        raise StudyError(f"data.source: no data set is named '{name}'; {hint}")
    return _make(next(iter(found.values())))


def source_names() -> list[str]:
    """Names of all registered sources, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def _make(point: EntryPoint) -> Source:
    try:
        source: Source = point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise StudyError(f"data.source: '{point.name}' ({point.value}) cannot be loaded: {error}") from error
    return source


def _check_options(data: Data, source: Source) -> BaseModel:
    try:
        return source.Options.model_validate(data.options)
    except ValidationError as error:
        problems = [_describe(detail, source.Options) for detail in error.errors()]
        raise StudyError(f"source '{data.source}': " + "\n".join(problems)) from error


def _describe(detail: Any, options: type[BaseModel]) -> str:
    place = ".".join(str(step) for step in ("data", "options", *detail["loc"]))
    if detail["type"] == "extra_forbidden":
        allowed = _allowed_keys(detail["loc"][:-1], options)
        near = nearest(str(detail["loc"][-1]), allowed)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        return f"{place}: no such key; allowed: {', '.join(allowed) or 'none'}{hint}"
    if detail["type"] == "missing":
        return f"{place}: this key is required"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{place}: {message}; it is {detail['input']!r}"


def _allowed_keys(place: tuple[int | str, ...], options: type[BaseModel]) -> list[str]:
    """Keys of the model that lies at `place` below `options`."""
    model = options
    for step in place:
        inner = model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)
