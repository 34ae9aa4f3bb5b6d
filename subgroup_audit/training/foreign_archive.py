"""What a PyTorch file holds, found out without running anything in it.

TorchScript, torch.export programs and pickled checkpoints share endings, so they are told apart by content.
Opening a torch.export file can run code in many ways: PyTorch unpickles its sample inputs and constants, evaluates
its shape expressions and compiles its guards. So the file is read as data first. What is opened then is a copy
that has only weights as plain numbers, and a graph in which every word is known for an operator, name or number.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from subgroup_audit.errors import ModelError

Kind = Literal["torchscript", "export", "checkpoint", "unknown"]

_KEPT = re.compile(
    r"(archive_format|archive_version|byteorder|version|\.data/\w+|data/(weights|constants)/\w+(\.json)?)"
)
_GRAPH = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_DROPPED = re.compile(r"data/sample_inputs/\w+\.pt|extra/.*")
_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|torchvision)\.[A-Za-z_]\w*(\.[A-Za-z]\w*)?|torch\.sym_\w+|math\.\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pos|pow|getitem|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
_DUNDER = re.compile(r"__(?!(and|or|xor|lshift|rshift)__)\w+__")
_WORD = re.compile(r"[\w.,:+\-> *]*")
_EXPRESSION = re.compile(r"[\w\s()',.+\-*/=<>!&|~%]{0,2000}")
_EXPRESSION_WORDS = {
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "PythonMod", "FloorDiv",
    "CleanDiv", "CeilDiv", "ModularIndexing", "Max", "Min", "Where", "IntTrueDiv", "FloatTrueDiv", "ToFloat",
    "TruncToInt", "RoundToInt", "CeilToInt", "FloorToInt", "PowByNatural", "Identity", "Eq", "Ne", "Lt",
    "Le", "Gt", "Ge", "And", "Or", "Not", "positive", "integer", "nonnegative", "negative", "evaluate",
    "True", "False", "oo", "int_oo",
}  # fmt: skip
_SYMBOL = re.compile(r"[a-z]{1,3}\d+")
_SPEC_TYPES = frozenset({None, "builtins.tuple", "builtins.list", "builtins.dict"})


def find_kind(path: Path) -> Kind:
    """What a PyTorch file holds, by the names of its parts."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            return "checkpoint" if stream.read(1) == b"\x80" else "unknown"  # how pickles start
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()} | set(archive.namelist())
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "export"
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    return "checkpoint" if "data.pkl" in names else "unknown"


def screen_export(path: Path) -> io.BytesIO:
    """A copy of a torch.export file that holds nothing but plain weights and a screened graph.

    Raises
    ------
    ModelError
        The file was written by an older PyTorch, or holds what could run code when opened.
    """
    parts = _read_parts(path)
    if _GRAPH not in parts:
        raise ModelError(
            f"model '{path}': a torch.export file must hold one program named 'model'; export it again with "
            "torch.export.save of PyTorch 2.8 or later"
        )
    kept = {name: content for name, content in parts.items() if _KEPT.fullmatch(name)}
    strange = sorted(name for name in parts.keys() - kept.keys() - {_GRAPH} if not _DROPPED.fullmatch(name))
    if strange:
        raise _refuse(path, f"it holds '{strange[0]}'")
    for name in kept:
        if name.endswith(".json"):
            _check_payloads(path, _json(path, name, kept[name]))
    kept[_GRAPH] = json.dumps(_screen_graph(path, _json(path, _GRAPH, parts[_GRAPH]))).encode()
    kept[_SAMPLES] = b""
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in kept.items():
            archive.writestr(f"model/{name}", content)
    copy.seek(0)
    return copy


def _refuse(path: Path, why: str) -> ModelError:
    return ModelError(
        f"model '{path}' is refused: {why}, which may run code when opened. An ONNX export of the same network "
        "is read as data"
    )


def _read_parts(path: Path) -> dict[str, bytes]:
    """The parts of the archive by their names without its own."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            roots = {name.partition("/")[0] for name in names}
            if len(roots) != 1 or len({name.lower() for name in names}) != len(names):
                raise ModelError(f"model '{path}': not one torch.export archive; its parts repeat or lie apart")
            return {name.partition("/")[2]: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise ModelError(f"model '{path}' is damaged or cut short: {error}") from error


def _json(path: Path, name: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise ModelError(f"model '{path}' is damaged: its '{name}' is not JSON") from error


def _check_payloads(path: Path, listed: Any) -> None:
    """Weights and constants must be plain numbers."""
    for name, payload in dict(listed.get("config") or {}).items():
        is_plain = payload.get("use_pickle") is False and re.fullmatch(
            r"(weight|tensor)_\d+", payload["path_name"]
        )
        if not is_plain:
            raise _refuse(path, f"'{name}' is stored as a pickle")


def _screen_graph(path: Path, graph: Any) -> Any:
    """The program without guards, traces and samples; every text left in it is checked."""
    clean = _without_traces(graph)
    clean["guards_code"] = []
    for key, text in _texts(clean):
        if not _is_harmless(key, text):
            raise _refuse(path, f"its graph holds {key} '{text[:80]}'")
    return clean


def _without_traces(value: Any) -> Any:
    """The same with every `metadata` emptied: where a node came from is not needed to run it."""
    if isinstance(value, dict):
        return {key: {} if key == "metadata" else _without_traces(item) for key, item in value.items()}
    return [_without_traces(item) for item in value] if isinstance(value, list) else value


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a JSON value, keys too, with the key that it lies under."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield "name", name
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield key, value


def _is_harmless(key: str, text: str) -> bool:
    if key == "target":
        return _OPERATOR.fullmatch(text) is not None and not _DUNDER.search(text)
    if key == "expr_str":
        return _is_expression(text)
    if key in ("in_spec", "out_spec"):
        return _is_plain_spec(text)
    return _WORD.fullmatch(text) is not None


def _is_expression(text: str) -> bool:
    words = re.findall(r"[A-Za-z_]\w*", text)
    is_known = all(word in _EXPRESSION_WORDS or _SYMBOL.fullmatch(word) for word in words)
    return _EXPRESSION.fullmatch(text) is not None and is_known


def _is_plain_spec(text: str) -> bool:
    """Whether the nesting of inputs or outputs is made of tuples, lists and dicts of plain keys alone."""
    try:
        _, spec = json.loads(text)
        return _is_plain_node(spec)
    except (ValueError, TypeError, KeyError):
        return False


def _is_plain_node(spec: Any) -> bool:
    context = spec["context"]
    is_plain = context is None or re.fullmatch(r"null|\[[\w\", ]*\]", context) is not None
    return (
        is_plain and spec["type"] in _SPEC_TYPES and all(_is_plain_node(child) for child in spec["children_spec"])
    )
