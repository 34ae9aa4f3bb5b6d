"""`audit report RUN`: render a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# As `paper_figures.LAYOUTS` has them, which a quick `--help` does not load.
JOURNALS = "`one-column`: 88 mm, or 180 mm where that is too narrow; `two-column`: 180 mm"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("report")(report)


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")],
    journal: Annotated[
        str, typer.Option("--journal", help=f"Width of the figures for a paper. {JOURNALS}.", metavar="NAME")
    ] = "one-column",
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            help="For a paper, draw curves and decisions of this training cohort instead of the first; `every` "
            "draws all. May be given again.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Render the report of a finished run again, from its stored numbers: page, tables, figures and text."""
    from subgroup_audit.pipeline import render_again

    typer.echo(f"Report: {render_again(run, journal, cohort or ())}")
