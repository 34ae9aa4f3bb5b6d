"""The JSON Schema of `CheckResult.to_json`, made from the columns of the frames: it cannot drift from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subgroup_audit.checking.result import RESULT_SCHEMA
from subgroup_audit.checking.words import VERDICTS
from subgroup_audit.schema import CHECK_CONTRAST_COLUMNS, CHECK_ESTIMATE_COLUMNS, Column

TYPES = {"string": "string", "int": "integer", "count": "integer", "float": "number", "bool": "boolean"}
STATUSES = ["ok", "small", "degenerate", "not estimable", "suppressed"]


def result_schema() -> dict[str, Any]:
    """The schema of the first version; a later version that breaks readers gets another number in its name."""
    texts = {"type": "array", "items": {"type": "string"}}
    properties: dict[str, Any] = {
        "schema": {"const": RESULT_SCHEMA},
        "verdict": {"enum": list(VERDICTS), "description": "of all judged comparisons together"},
        "title": {"type": "string", "description": "the verdict in a few words"},
        "sentences": {**texts, "description": "what the verdict rests on, and what the data could not show"},
        "counts": _counts(),
        "exit_code": {"enum": [0, 1, 5], "description": "of `audit check`"},
        "exit_code_strict": {"enum": [0, 1, 4, 5], "description": "of `audit check --strict`"},
        "settings": {"type": "object", "description": "what the numbers depend on"},
        "notes": {**texts, "description": "how the input was read, and what was withheld"},
        "estimates": _rows(CHECK_ESTIMATE_COLUMNS, {"status": {"enum": STATUSES}}),
        "contrasts": _rows(
            CHECK_CONTRAST_COLUMNS,
            {"status": {"enum": STATUSES}, "verdict": {"enum": [*VERDICTS, "descriptive"]}},
        ),
        "curves": {"type": "object", "additionalProperties": {"$ref": "#/$defs/curve"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Result of a subgroup check",
        "description": "Missing numbers are null: what could not be estimated, and what is withheld.",
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": {"curve": _curve()},
    }


def _counts() -> dict[str, Any]:
    names = {name: {"type": "integer", "minimum": 0} for name in VERDICTS}
    return {"type": "object", "properties": names, "required": list(names), "additionalProperties": False}


def _curve() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "rows": {"type": "array", "items": {"type": "array", "items": {"type": ["string", "number", "null"]}}},
        },
        "required": ["columns", "rows"],
        "additionalProperties": False,
    }


def _rows(columns: Sequence[Column], narrower: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties = {column.name: {**_column(column), **narrower.get(column.name, {})} for column in columns}
    item = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "array", "items": item}


def _column(column: Column) -> dict[str, Any]:
    kind = TYPES[column.kind]
    described: dict[str, Any] = {
        "type": [kind, "null"] if column.nullable else kind,
        "description": column.meaning,
    }
    if column.allowed is not None:
        described["enum"] = list(column.allowed)
    return described
