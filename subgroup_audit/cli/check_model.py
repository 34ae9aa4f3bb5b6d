"""The options by which `audit check` takes a model in the place of a table of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subgroup_audit.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

Study = Annotated[Path | None, typer.Option("--study", help="Study file; its test images are scored.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the images and their labels.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Without a study: rsna, nih, chexpert, ...")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Of timm:NAME: safetensors or .pth file.")]
EntryPoint = Annotated[
    bool, typer.Option("--entry-point", help="FILE is package.module:function; runs that code of yours.")
]
Outputs = Annotated[str | None, typer.Option(help="Logits, softmax or probabilities [default: by their range].")]
Normalise = Annotated[
    str | None, typer.Option(help="imagenet, unit, signed, xrv, none, or MEAN,STD.", metavar="RULE")
]
ImageSize = Annotated[int | None, typer.Option("--image-size", help="Side of its input, px.")]
Channels = Annotated[int | None, typer.Option(help="1 or 3.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N, mps or auto [default: cpu].")]


@dataclass(frozen=True)
class ModelOptions:
    """What was said of a model; None where nothing was."""

    study: Path | None = None
    data: Path | None = None
    dataset: str | None = None
    weights: Path | None = None
    entry_point: bool | None = None
    outputs: str | None = None
    normalise: str | None = None
    image_size: int | None = None
    channels: int | None = None
    device: str | None = None

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are typed."""
        return [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value is not None]


_COLUMNS: dict[str, Any] = {
    "label": ["y_true"],
    "score": ["y_score"],
    "person": "patient_id",
    "image": "image_id",
    "model": ["model"],
    "finding": "finding",
}


def is_model(file: Path, options: ModelOptions) -> bool:
    """Whether FILE is a model; raises `ModelError` where a model's options stand beside a table."""
    from subgroup_audit.training.foreign_spec import looks_like_model

    found = bool(options.entry_point) or looks_like_model(file)
    if options.given and not found:
        said = ", ".join(options.given)
        raise ModelError(f"{file}: by its name this is a table of predictions, and {said} is for a model")
    return found


def refuse_columns(columns: Mapping[str, object]) -> None:
    """Raise `ModelError` for options that name columns of a table; `--label` means the data set's labels here."""
    given = [f"--{name}" for name, value in columns.items() if value is not None and name != "label"]
    if given:
        raise ModelError(f"{', '.join(given)}: a model has no columns to name; this is for a table of predictions")


def columns_of(table: pd.DataFrame) -> dict[str, Any]:
    """Which column of a scored model's table is what."""
    return {**_COLUMNS, "split": "split" if "split" in table else "none"}


def score(
    file: Path,
    options: ModelOptions,
    findings: Sequence[str],
    labels: Sequence[str],
    threshold_from: str | None,
    cache: Path | None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The model's scores with their truth, and the notes on them."""
    from subgroup_audit.checking.models import ModelUse, score_model
    from subgroup_audit.cli import display
    from subgroup_audit.cli.places import default_cache

    said: dict[str, Any] = {
        name: value
        for name in ("weights", "outputs", "normalise", "image_size", "channels", "device")
        if (value := getattr(options, name)) is not None
    }
    use = ModelUse(
        entry_point=bool(options.entry_point),
        findings=parse_indices(findings),
        labels=parse_labels(labels),
        **said,
    )
    with display.progress() as watcher:
        return score_model(
            str(file),
            use,
            study=options.study,
            data=options.data,
            dataset=options.dataset,
            splits=("val", "test") if threshold_from == "val" else ("test",),
            cache=cache or default_cache(),
            watcher=watcher,
        )


def parse_indices(words: Sequence[str]) -> dict[str, int]:
    """Finding -> index of its output.

    >>> parse_indices(["pneumonia=0", "No Finding=13"])
    {'pneumonia': 0, 'No Finding': 13}
    """
    found = {}
    for word in words:
        name, _, index = word.rpartition("=")
        if not name.strip() or not index.strip().isdigit():
            raise ModelError(f"--finding {word}: of a model, write FINDING=INDEX, for example pneumonia=0")
        found[name.strip()] = int(index)
    return found


def parse_labels(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Finding -> labels of the data set that make an image positive.

    >>> parse_labels(["pneumonia:Pneumonia", "pneumonia:Lung Opacity"])
    {'pneumonia': ('Pneumonia', 'Lung Opacity')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, colon, label = word.partition(":")
        if not colon or not name.strip() or not label.strip():
            raise ModelError(
                f"--label {word}: of a model, write FINDING:LABEL, for example 'pneumonia:Lung Opacity'"
            )
        found[name.strip()] = (*found.get(name.strip(), ()), label.strip())
    return found
