"""`audit compare RUN RUN`: what changed between runs or models, with an exit code that can gate a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import writing_to

HELP_OF_EXIT = (
    "Exits 0 no difference, 1 a difference, 2 wrong input, 3 internal error, 4 undecided with --strict, "
    "5 not estimable."
)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("compare", epilog=HELP_OF_EXIT)(compare)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished runs; the first is the reference.", metavar="RUN...")
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(help="Model, or MODEL/RECIPE: two or more of one run, or one for each run; repeatable."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Largest difference of AUC that counts as none [default: the study's].")
    ] = None,
    allow_other_split: Annotated[
        bool,
        typer.Option("--allow-other-split", help="Compare runs that divide persons otherwise, on what both test."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for compare.html, tables/ and figures/.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where nothing was decided.")] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 also where a difference was found.")
    ] = False,
) -> None:
    """Compare runs or models on the same persons: AUCs, gaps, and what changed in the design.

    Every difference is the compared minus the reference, paired by person and image. Runs that do not fit are
    refused: other images, other labels, or test persons of one that the other has seen while training.
    """
    from subgroup_audit.comparison import compare as compare_folders

    result = compare_folders(*runs, models=models or (), margin=margin, allow_other_split=allow_other_split)
    if as_json:
        typer.echo(result.to_json().rstrip("\n"))
    else:
        from subgroup_audit.cli.compare_tables import print_comparison
        from subgroup_audit.cli.display import console

        print_comparison(console(), result)
    if out is not None:
        from subgroup_audit.report.compare_page import write_comparison

        with writing_to(out):
            page = write_comparison(result, out)
        typer.echo(f"Report: {page}", err=as_json)
    raise typer.Exit(0 if exit_zero else result.exit_code(strict=strict))
