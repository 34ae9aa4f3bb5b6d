"""`audit init`: a commented study file to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import writing_to
from subgroup_audit.errors import StoreError


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("init")(init)


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("study.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented study file."""
    if path.exists() and not force:
        raise StoreError(f"{path}: there is a file already; --force overwrites it")
    text = (files("subgroup_audit.cli") / "study_template.yaml").read_text(encoding="utf-8")
    with writing_to(path):
        path.write_text(text, encoding="utf-8")
    typer.echo(f"{path} written; `audit run {path} --data FOLDER --dry-run` shows what it would do")
