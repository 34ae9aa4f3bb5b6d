"""`audit fetch rsna`: the challenge's data, with the user's own Kaggle token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.errors import DataError


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("fetch")(fetch)


def fetch(
    dataset: Annotated[str, typer.Argument(help="rsna.", metavar="DATASET")],
    into: Annotated[Path, typer.Option("--into", help="Folder that the data are to lie in.")] = Path("data/rsna"),
) -> None:
    """Bring a data set from its publisher, with your own token; says what to accept where.

    Only RSNA's challenge has a way in without a form: for the others see docs/datasets.md.
    """
    from subgroup_audit.datasets.fetching import N_IMAGES, fetch_rsna

    if dataset != "rsna":
        raise DataError(
            f"audit fetch: there is no way to bring '{dataset}'; allowed: rsna. Other sources ask for a form or a "
            "sign-in of their own: docs/datasets.md says where"
        )
    found = fetch_rsna(into)
    typer.echo(f"{into}: {found:,} training images.")
    if found != N_IMAGES:
        typer.echo(
            f"The challenge has {N_IMAGES:,}; what the tables name and no file holds is excluded with a reason."
        )
    typer.echo("Persons come from the shipped map of images to NIH patients, unless RSNA's own lies beside them.")
    typer.echo(f"Next: audit cohort cohorts/rsna_sex_view.yaml --data {into}")
