"""`audit cohort STUDY`: the cohorts only, from labels and headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import CacheFolder, DataRoot, StudyFile, open_study, writing_to


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("cohort")(cohort)


def cohort(
    study: StudyFile,
    data: DataRoot = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write manifest and tables into this folder.")
    ] = None,
    cache: CacheFolder = None,
) -> None:
    """Build the cohorts and print flow, Table 1, balance ceiling and leakage; needs no pixels."""
    from subgroup_audit.cli import display
    from subgroup_audit.plan import design_of

    content, place = open_study(study, data, None, cache)
    design = design_of(content, place)
    display.show_design(content, design)
    if out is not None:
        from subgroup_audit.plan import write_design_folder

        with writing_to(out):
            write_design_folder(out, design)
        typer.echo(
            f"\nWritten to {out}: manifest, exclusions, flow, ceiling, counts, Table 1, leakage (CSV and Parquet)"
        )
