"""`audit check FILE`: a verdict on predictions, with an exit code that can gate a release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from subgroup_audit.cli import check_model
from subgroup_audit.cli.check_options import (
    Choices,
    Formats,
    check_format,
    check_outputs,
    group_words,
    judging_words,
    one_word,
    value_words,
    write_outputs,
)
from subgroup_audit.cli.panels import command_with
from subgroup_audit.cli.places import CacheFolder

HELP_OF_EXIT = (
    "Exits 0 no gap, 1 gap, 2 wrong input, 3 internal error, 4 undecided with --strict, 5 not estimable."
)
# The help's panels, in the order of the questions that a user has.
PANELS = {
    "What the columns are": (
        "label",
        "score",
        "group",
        "person",
        "image",
        "split",
        "model",
        "finding",
        "intersect",
        "bands",
    ),
    "What the values mean": ("scores", "positive", "negative", "uncertain", "allow_missing_scores", "encoding"),
    "What is judged, and how": (
        "metric",
        "measure",
        "margin",
        "policy",
        "reference",
        "threshold",
        "threshold_from",
        "min_persons",
        "confidence",
        "resamples",
        "seed",
    ),
    "What comes out": ("output_format", "output", "model_card", "suppress_below", "strict", "exit_zero"),
    "Where FILE is a model": (
        "study",
        "data",
        "dataset",
        "weights",
        "entry_point",
        "outputs",
        "normalise",
        "image_size",
        "channels",
        "device",
        "cache",
    ),
}


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("check", cls=command_with(PANELS), epilog=HELP_OF_EXIT)(check)


def check(
    file: Annotated[Path, typer.Argument(help="Predictions, CSV or Parquet; or a model.", metavar="FILE")],
    label: Annotated[
        Choices, typer.Option(help="Column of labels, or FINDING:COLUMN; repeatable. Of a model, FINDING:LABEL.")
    ] = None,
    score: Annotated[
        Choices, typer.Option(help="Column of scores; FINDING:COLUMN, MODEL:COLUMN or CLASS:COLUMN; repeatable.")
    ] = None,
    group: Annotated[Choices, typer.Option(help="Column of groups, or NAME:COLUMN; repeatable.")] = None,
    person: Annotated[str | None, typer.Option(help="Column that says who an image is of.")] = None,
    image: Annotated[str | None, typer.Option(help="Column that names the image.")] = None,
    split: Annotated[str | None, typer.Option(help="Column of train, val and test.")] = None,
    model: Annotated[Choices, typer.Option(help="Column that tells models apart; repeatable.")] = None,
    finding: Annotated[
        Choices, typer.Option(help="Column that tells findings apart; of a model, FINDING=INDEX, repeatable.")
    ] = None,
    intersect: Annotated[Choices, typer.Option(help="Groups to cross, as sex,view; repeatable.")] = None,
    bands: Annotated[Choices, typer.Option(help="Where bands start, as age:18,40,65; repeatable.")] = None,
    scores: Annotated[str, typer.Option(help="auto, probabilities, logits or percent.", metavar="KIND")] = "auto",
    positive: Annotated[Choices, typer.Option(help="Label that means present, as yes; repeatable.")] = None,
    negative: Annotated[Choices, typer.Option(help="Label that means absent; others are left out.")] = None,
    uncertain: Annotated[
        str | None, typer.Option(help="What -1 means: omit, positive or negative.", metavar="MEANING")
    ] = None,
    allow_missing_scores: Annotated[
        bool, typer.Option("--allow-missing-scores", help="Leave images without a score out, counted.")
    ] = False,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV that is not UTF-8, as cp1252.")] = None,
    metric: Annotated[Choices, typer.Option(help="Measure that is judged [default: auc]; repeatable.")] = None,
    measure: Annotated[Choices, typer.Option(help="Measure that is shown [default: all]; repeatable.")] = None,
    margin: Annotated[
        Choices, typer.Option(help="Largest difference that counts as none, as 0.05 or sensitivity=0.1.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="YAML file of margins and settings.")] = None,
    reference: Annotated[
        Choices, typer.Option(help="Group that others are compared with, as sex=M [default: the largest].")
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help="0.5, youden, f1, sensitivity=0.9 or specificity=0.9 [default: youden].")
    ] = None,
    threshold_from: Annotated[
        str | None, typer.Option(help="val: the threshold comes from the validation split or the check ends.")
    ] = None,
    min_persons: Annotated[int, typer.Option(help="A group with fewer is not estimable.")] = 10,
    suppress_below: Annotated[
        int | None, typer.Option(help="Hide counts below it, and what would reveal them.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Level of every interval.")] = 0.95,
    resamples: Annotated[int, typer.Option(help="Draws of persons.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    output_format: Annotated[
        str, typer.Option("--format", help="full, concise, json, github or junit.", metavar="FORMAT")
    ] = "full",
    output: Annotated[
        Formats, typer.Option(help="File to write: .html, .json, .md, .csv or .xml, or a folder; repeatable.")
    ] = None,
    model_card: Annotated[
        Path | None, typer.Option("--model-card", help="Model card to write, or to add the figures to.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where nothing was decided.")] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 also where a gap was found.")
    ] = False,
    study: check_model.Study = None,
    data: check_model.Data = None,
    dataset: check_model.Dataset = None,
    weights: check_model.Weights = None,
    entry_point: check_model.EntryPoint = False,
    outputs: check_model.Outputs = None,
    normalise: check_model.Normalise = None,
    image_size: check_model.ImageSize = None,
    channels: check_model.Channels = None,
    device: check_model.Device = None,
    cache: CacheFolder = None,
) -> None:
    """Judge an existing model, or its predictions: is it equally good for every group?

    Columns that are not named are guessed from common names, and the output says which were taken. A model (ONNX,
    TorchScript, torch.export, timm:NAME, a fit of a run) is scored on the images of --study or --data first.
    """
    check_format(output_format)
    check_outputs(output or [])
    from subgroup_audit.checking.check import check as check_predictions
    from subgroup_audit.checking.formats import render

    columns: dict[str, Any]
    columns = {"label": label, "score": score, "person": person, "image": image, "split": split, "model": model}
    about_model = (study, data, dataset, weights, entry_point or None, outputs, normalise, image_size, channels)
    options = check_model.ModelOptions(*about_model, device)
    source: Any = file
    notes: tuple[str, ...] = ()
    if check_model.is_model(file, options):
        check_model.refuse_columns(columns)
        source, notes = check_model.score(file, options, finding or (), label or (), threshold_from, cache)
        columns = check_model.columns_of(source)
    else:
        columns["finding"] = one_word("--finding", finding)
    result = check_predictions(
        source,
        **columns,
        **group_words(group, intersect, bands),
        **value_words(scores, positive, negative, uncertain, allow_missing_scores, encoding),
        **judging_words(metric, measure, margin, reference, threshold, threshold_from, policy),
        confidence_level=confidence,
        n_resamples=resamples,
        seed=seed,
        min_persons=min_persons,
        suppress_below=suppress_below,
        notes=notes,
    )
    write_outputs(result, output or [], model_card, file)
    typer.echo(render(result, output_format, file=str(file)).rstrip("\n"))
    raise typer.Exit(0 if exit_zero else result.exit_code(strict=strict))
