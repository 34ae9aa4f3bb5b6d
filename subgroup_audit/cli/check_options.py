"""What the options of `audit check` mean: words cut into names and numbers, and files by their endings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from subgroup_audit.cli.places import writing_to
from subgroup_audit.errors import PolicyError, nearest

if TYPE_CHECKING:
    from subgroup_audit.checking.result import CheckResult

Choices = list[str] | None
Formats = list[Path] | None

FORMATS = ("full", "concise", "json", "github", "junit")
DEFAULT_MARGIN = 0.05
# What a file of this ending holds; a name without one is a folder.
FORMAT_OF_SUFFIX = {".html": "html", ".json": "json", ".md": "markdown", ".csv": "csv", ".xml": "junit"}


def check_format(name: str) -> None:
    """Raise `PolicyError` for a format that there is not."""
    if name not in FORMATS:
        near = nearest(name, FORMATS)
        hint = f"nearest: {near[0]}" if near else f"allowed: {', '.join(FORMATS)}"
        raise PolicyError(f"--format: there is no '{name}'; {hint}")


def check_outputs(paths: Sequence[Path]) -> None:
    """Raise `PolicyError` for an ending that is not known, before anything is measured."""
    for path in paths:
        if path.suffix and path.suffix.lower() not in FORMAT_OF_SUFFIX and not path.is_dir():
            endings = ", ".join(FORMAT_OF_SUFFIX)
            raise PolicyError(f"--output {path}: its ending is none of {endings}; without one it is a folder")


def one_word(option: str, words: Sequence[str] | None) -> str | None:
    """The one word of an option that some other use repeats; raises `PolicyError` for several."""
    if words and len(words) > 1:
        raise PolicyError(f"{option} is given {len(words)} times; of a table it is one column")
    return words[0] if words else None


def parse_bands(words: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Where the bands of attributes start.

    >>> parse_bands(["age:18,40,65"])
    {'age': (18.0, 40.0, 65.0)}
    """
    bands = {}
    for word in words:
        name, colon, edges = word.rpartition(":")
        try:
            bands[name.strip()] = tuple(float(edge) for edge in edges.split(","))
        except ValueError:
            colon = ""
        if not colon or not name.strip():
            raise PolicyError(f"--bands {word}: write COLUMN:NUMBERS, for example age:18,40,65")
    return bands


def parse_references(words: Sequence[str]) -> dict[str, str]:
    """Attribute -> reference group.

    >>> parse_references(["sex=M", "view=PA"])
    {'sex': 'M', 'view': 'PA'}
    """
    references = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise PolicyError(f"--reference {word}: write GROUP=VALUE, for example sex=M")
        references[name.strip()] = value.strip()
    return references


def parse_margins(words: Sequence[str], metrics: Sequence[str]) -> float | dict[str, float | None]:
    """One margin for all judged measures, or one for each that has its own.

    >>> parse_margins(["0.03"], []), parse_margins(["0.03", "sensitivity=0.1"], ["auc"])
    (0.03, {'auc': 0.03, 'sensitivity': 0.1})
    """
    common = DEFAULT_MARGIN
    own: dict[str, float | None] = {}
    for word in words:
        name, equals, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise PolicyError(f"--margin {word}: write a number, or MEASURE=NUMBER as sensitivity=0.1") from None
        if equals:
            own[name.strip()] = value
        else:
            common = value
    if not own:
        return common
    return {**dict.fromkeys(metrics, common), **own}


def group_words(group: Choices, intersect: Choices, bands: Choices) -> dict[str, Any]:
    """The options about groups, as `check` takes them."""
    return {"group": group, "intersect": intersect or (), "bands": parse_bands(bands or [])}


def value_words(
    scores: str,
    positive: Choices,
    negative: Choices,
    uncertain: str | None,
    allow_missing_scores: bool,
    encoding: str | None,
) -> dict[str, Any]:
    """The options about what labels and scores mean, as `check` takes them."""
    return {
        "scores": scores,
        "positive": positive,
        "negative": negative,
        "uncertain": uncertain,
        "allow_missing_scores": allow_missing_scores,
        "encoding": encoding,
    }


def judging_words(
    metric: Choices,
    measure: Choices,
    margin: Choices,
    reference: Choices,
    threshold: str | None,
    threshold_from: str | None,
    policy: Path | None,
) -> dict[str, Any]:
    """The options about what is judged, as `check` takes them."""
    return {
        "metric": metric,
        "measures": measure,
        "margin": parse_margins(margin or [], metric or []),
        "reference": parse_references(reference or []),
        "threshold": threshold,
        "threshold_from": threshold_from,
        "policy": policy,
    }


def write_outputs(result: CheckResult, paths: Sequence[Path], model_card: Path | None, source: Path) -> None:
    """Write the result in every form that was asked for, and say so on standard error."""
    for path in paths:
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(result, path, source)
        typer.echo(f"Written: {path}", err=True)
    if model_card is not None:
        from subgroup_audit.checking.model_card import write_model_card

        with writing_to(model_card):
            model_card.parent.mkdir(parents=True, exist_ok=True)
            write_model_card(result, model_card)
        typer.echo(f"Written: {model_card}", err=True)


def _write(result: CheckResult, path: Path, source: Path) -> None:
    kind = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        result.save(path)
        return
    if kind == "html":
        from subgroup_audit.report.check_page import write_check_page

        write_check_page(result, path, title=source.name)
        return
    from subgroup_audit.checking.formats import render

    path.write_text(render(result, kind, file=str(source)), encoding="utf-8")
