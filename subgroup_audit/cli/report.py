"""`audit report RUN`: render a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("report")(report)


def report(run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")]) -> None:
    """Render the report of a finished run again, from its stored numbers."""
    from subgroup_audit.pipeline import render_again

    typer.echo(f"Report: {render_again(run)}")
