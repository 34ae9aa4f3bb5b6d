"""Reading a YAML file of ours: every broken rule is named with its line, key, value and nearest word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from subgroup_audit.errors import AuditError, StudyError, nearest
from subgroup_audit.study import Study, unknown_names

Location = tuple[int | str, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Grammar(Generic[M]):
    """What a kind of YAML file may say, what it is called in messages, and the error that it raises.

    Attributes
    ----------
    hint : where a user finds an example of such a file
    dangling : the mentions of undeclared names, from the plain content, found although other rules are broken
    """

    name: str
    model: type[M]
    error: type[AuditError]
    hint: str
    dangling: Callable[[dict[str, Any]], list[str]] = lambda content: []


def load_study(path: Path) -> Study:
    """The study in a YAML file.

    Raises
    ------
    StudyError
        The file cannot be read, is not YAML, or breaks rules; every broken rule is listed with its line.
    """
    return load_checked(path, STUDY)


def load_checked(path: Path, grammar: Grammar[M]) -> M:
    """What the YAML file says, as the grammar's model.

    Raises
    ------
    AuditError
        The grammar's own error: the file cannot be read, is not YAML, or breaks rules; all of them, with lines.
    """
    text = _read(path, grammar)
    try:
        node = _compose(path, text, grammar)
        problems = [f"{path}:{line}: {message}" for line, message in _repeated_keys(node)]
        content = _construct(path, text, grammar)
    except RecursionError:
        raise grammar.error(f"{path}: not valid YAML: it is nested too deep, or an alias holds itself") from None
    try:
        checked = grammar.model.model_validate(content)
    except ValidationError as error:
        problems += [line for detail in error.errors() for line in _describe(path, node, detail, grammar.model)]
        problems += [f"{path}:{_line_of(node, _dotted(line))}: {line}" for line in grammar.dangling(content)]
        raise grammar.error(_joined(problems, grammar)) from error
    if problems:
        raise grammar.error(_joined(problems, grammar))
    return checked


def _construct(path: Path, text: str, grammar: Grammar[M]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise grammar.error(f"{path}:{line}: only plain YAML values are read: {error.problem}") from error
    return content


def _dangling(content: dict[str, Any]) -> list[str]:
    """Mentions of undeclared names, found although other rules are broken."""
    known: dict[str, list[str]] = {}
    for kind in ("cohort", "model", "recipe"):
        declared = content.get(f"{kind}s", ["default"] if kind == "recipe" else [])
        known[kind] = [str(name) for name in declared] if isinstance(declared, (dict, list)) else []
    fits = [block for block in content.get("fits") or () if isinstance(block, dict)]
    return unknown_names(known, {**content, "fits": fits})


STUDY = Grammar("study file", Study, StudyError, "`audit init` writes a commented one", _dangling)


def _joined(problems: Sequence[str], grammar: Grammar[M]) -> str:
    found = list(dict.fromkeys(problems))
    count = f"{len(found)} problem{'s' if len(found) != 1 else ''} in the {grammar.name}"
    return "\n".join([*found, count])


def _read(path: Path, grammar: Grammar[M]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        siblings = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        near = nearest(path.name, siblings) or sorted(siblings)[:5]
        hint = f"; {grammar.name}s there: {', '.join(near)}" if near else ""
        raise grammar.error(f"{path}: no such {grammar.name}{hint}") from error
    except IsADirectoryError as error:
        raise grammar.error(f"{path}: this is a folder; a {grammar.name} is YAML") from error
    except (OSError, UnicodeDecodeError) as error:
        raise grammar.error(f"{path}: cannot be read as UTF-8 text: {error}") from error


def _compose(path: Path, text: str, grammar: Grammar[M]) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise grammar.error(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise grammar.error(f"{path}: not valid YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise grammar.error(f"{path}:1: a {grammar.name} is a mapping of keys; {grammar.hint}")
    return node


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """YAML itself would let the last of two equal keys win, silently."""
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            children.append(value)
            if not isinstance(key, yaml.ScalarNode):
                continue  # `_construct` refuses it
            if key.value in seen:
                yield line, f"key '{key.value}' repeats line {seen[key.value]}; a key stands once"
            seen[key.value] = line
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        yield from _repeated_keys(child)


def _describe(path: Path, node: yaml.Node, detail: ErrorDetails, model: type[BaseModel]) -> list[str]:
    location = detail["loc"]
    key = ".".join(str(step) for step in _plain(location, node))
    where = f"{path}:{_line_of(node, location)}"
    if detail["type"] == "value_error" and not location:
        return [f"{path}:{_line_of(node, _dotted(line))}: {line}" for line in _ruled(detail).splitlines()]
    return [f"{where}: {key}: {_ruled(detail)}{_hint(detail, model)}"]


def _dotted(message: str) -> Location:
    """The location that a cross-reference message starts with, such as `fits.0.cohorts: ...`."""
    place = message.split(":", 1)[0]
    return tuple(int(step) if step.isdigit() else step for step in place.split(".")) if " " not in place else ()


def _ruled(detail: ErrorDetails) -> str:
    """The rule in our words."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "no such key"
    if kind == "missing":
        return "this key is required"
    if kind == "literal_error":
        return f"must be {context['expected']}; it is {detail['input']!r}"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "value_error":
        return message
    return f"{message}; it is {detail['input']!r}"


def _hint(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        allowed = _siblings(detail["loc"], model)
        near = nearest(str(detail["loc"][-1]), allowed)
        return f"; nearest: {', '.join(near)}" if near else f"; allowed: {', '.join(sorted(allowed))}"
    if kind == "literal_error":
        allowed = [
            word.strip("' ") for word in str(detail.get("ctx", {})["expected"]).replace(" or ", ",").split(",")
        ]
        near = nearest(str(detail["input"]), allowed)
        return f"; nearest: {', '.join(near)}" if near else ""
    return ""


def _siblings(location: Location, model: type[BaseModel]) -> list[str]:
    """Keys that the model at the parent of `location` allows."""
    schema = model.model_json_schema()
    place: dict[str, Any] = schema
    for step in location[:-1]:
        place = _child(schema, place, step)
    return sorted(_resolve(schema, place).get("properties", {}))


def _resolve(schema: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    options = [place, *place.get("anyOf", ()), *place.get("allOf", ())]
    for option in options:
        if "$ref" in option:
            return dict(schema["$defs"][option["$ref"].rsplit("/", 1)[1]])
    return next((option for option in options if option.get("type") in ("object", "array")), place)


def _child(schema: dict[str, Any], place: dict[str, Any], step: int | str) -> dict[str, Any]:
    here = _resolve(schema, place)
    if isinstance(step, int):
        return dict(here.get("items", {}))
    if step in here.get("properties", {}):
        return dict(here["properties"][step])
    extra = here.get("additionalProperties")
    return dict(extra) if isinstance(extra, dict) else place  # a union's branch name: stay where we are


def _plain(location: Location, node: yaml.Node) -> list[int | str]:
    """The location without the union branches that pydantic adds, as a reader of the file would write it."""
    steps: list[int | str] = []
    here: yaml.Node | None = node
    for position, step in enumerate(location):
        below = _step_into(here, step)
        if below is not None or position == len(location) - 1:
            steps.append(step)
        here = below if below is not None else here
    return steps


def _step_into(node: yaml.Node | None, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]  # type: ignore[no-any-return]
    return None


def _line_of(node: yaml.Node, location: Location) -> int:
    """The line, from 1, of the deepest part of `location` that the file holds."""
    line, here = node.start_mark.line, node
    for step in location:
        if isinstance(here, yaml.MappingNode):
            key = next((key for key, _ in here.value if key.value == str(step)), None)
            if key is not None:
                line = key.start_mark.line
        below = _step_into(here, step)
        if below is None:
            continue
        if isinstance(here, yaml.SequenceNode):
            line = below.start_mark.line
        here = below
    return line + 1
