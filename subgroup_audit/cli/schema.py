"""`audit schema`: the JSON Schemas of the files that people write and programs read."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from subgroup_audit.cli.places import writing_to


class Kind(StrEnum):
    """What has a schema: study files and policies for editors, the results of a check for programs."""

    study = "study"
    policy = "policy"
    result = "result"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("schema")(schema)


def schema(
    of: Annotated[
        Kind, typer.Option("--of", help="Study files, policies of a check, or its JSON results.")
    ] = Kind.study,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write [default: print].")] = None,
) -> None:
    """Print the JSON Schema of study files, or of a check's policies or results."""
    text = json.dumps(_schema_of(of), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        with writing_to(output):
            output.write_text(text, encoding="utf-8")


def _schema_of(kind: Kind) -> dict[str, Any]:
    if kind is Kind.policy:
        from subgroup_audit.checking.policy import policy_schema

        return policy_schema()
    if kind is Kind.result:
        from subgroup_audit.checking.result_schema import result_schema

        return result_schema()
    from subgroup_audit.study import study_schema

    return study_schema()
