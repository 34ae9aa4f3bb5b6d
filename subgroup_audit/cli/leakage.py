"""`audit leakage FILE`: what the splits of a user's own file share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import CacheFolder, default_cache, writing_to

HELP_OF_EXIT = "Exits 0 nothing is shared, 1 something is, 2 wrong input, 3 internal error."


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("leakage", epilog=HELP_OF_EXIT)(leakage)


def leakage(
    file: Annotated[Path, typer.Argument(help="Images with person and split, CSV or Parquet.", metavar="FILE")],
    person: Annotated[str | None, typer.Option(help="Column that says who an image is of.")] = None,
    split: Annotated[str | None, typer.Option(help="Column of train, val and test, or of folds.")] = None,
    image: Annotated[str | None, typer.Option(help="Column that names the image.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the images: pictures are compared too.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV that is not UTF-8, as cp1252.")] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file to write the certificate to.")] = None,
    cache: CacheFolder = None,
) -> None:
    """Certify a split: which persons, images and pictures of one split are also in another?

    Columns that are not named are guessed from common names, and the output says which were taken.
    """
    from subgroup_audit.checking.split_file import has_shared, read_split_file, split_certificate
    from subgroup_audit.cli.display import console
    from subgroup_audit.cli.split_tables import print_certificate

    read = read_split_file(file, person=person, split=split, image=image, encoding=encoding)
    certificate = split_certificate(read, data, cache or default_cache())
    print_certificate(console(), read, certificate)
    if output is not None:
        with writing_to(output):
            certificate.to_csv(output, index=False)
    raise typer.Exit(1 if has_shared(certificate) else 0)
