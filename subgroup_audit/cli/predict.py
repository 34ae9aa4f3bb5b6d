"""`audit predict RUN`: scores of a run's fits for images without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import CacheFolder, default_cache, writing_to

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("predict")(predict)


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV to write: image_id, one column per finding.")
    ],
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of radiographs [default: the run's own test images].")
    ] = None,
    fit: Annotated[
        list[str] | None, typer.Option(help="Name of a fit's folder, or its start; repeatable.")
    ] = None,
    cohort: Annotated[list[str] | None, typer.Option(help="Fits trained on this cohort; repeatable.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Fits of this model; repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Fits of this training seed; repeatable.")] = None,
    mean_over_seeds: Annotated[
        bool, typer.Option("--mean-over-seeds", help="One score per cohort, model and recipe: the seeds' mean.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Names of the CSV's columns, the image's first, as a challenge wants them: id,label "
            "[default: image_id and the findings]."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = "auto",
    cache: CacheFolder = None,
) -> None:
    """Score images without labels by the fits of a run, and write a submission.

    Where several fits are left, columns that say which one stand before the image. An image that cannot be read
    keeps its row, without a score.
    """
    from subgroup_audit.cli import display
    from subgroup_audit.submission import FitChoice, predict_run

    choice = FitChoice(
        tuple(fit or ()),
        tuple(cohort or ()),
        tuple(model or ()),
        tuple(seed or ()),
        averages_seeds=mean_over_seeds,
    )
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    with display.progress() as watcher:
        found = predict_run(
            run,
            choice,
            images,
            cache=cache or default_cache(),
            columns=names,
            device=device,
            watcher=watcher,
        )
    with writing_to(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        found.frame.to_csv(output, index=False)
    n_fits, n_images = len(found.fits), found.frame[names[0] if names else "image_id"].nunique()
    typer.echo(f"{output}: {n_images:,} images, {n_fits} {'fit' if n_fits == 1 else 'fits'}")
    for label in found.fits[:_SHOWN]:
        typer.echo(f"  {label}")
    if n_fits > _SHOWN:
        typer.echo(f"  and {n_fits - _SHOWN} more")
    if len(found.unreadable):
        typer.echo(f"Without a score, since they cannot be read: {len(found.unreadable):,}")
        for row in found.unreadable.head(_SHOWN).to_dict("records"):
            typer.echo(f"  {row['image_id']}: {row['reason']}")
