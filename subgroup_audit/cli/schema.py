"""`audit schema`: the JSON Schema of study files, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import writing_to


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("schema")(schema)


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write [default: print].")] = None,
) -> None:
    """Print the JSON Schema of study files."""
    from subgroup_audit.study import study_schema

    text = json.dumps(study_schema(), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        with writing_to(output):
            output.write_text(text, encoding="utf-8")
