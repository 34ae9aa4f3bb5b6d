"""`audit phantom DIR`: a synthetic data set with planted, known effects."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from subgroup_audit.cli.places import at_least_one, writing_to
from subgroup_audit.errors import StudyError

DEFECTS = ("monochrome1", "sixteen_bit", "lateral", "missing_sex", "age_151", "truncated", "text_files")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("phantom")(phantom)


def phantom(
    folder: Annotated[Path, typer.Argument(help="Folder to write; must be empty or absent.", metavar="DIR")],
    design: Annotated[
        Path | None, typer.Option("--design", help="YAML of what is planted; docs/phantom.md lists its keys.")
    ] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="How many radiographs [default: 200].")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=64, max=2048, help="Side of an image, px [default: 256].")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Same seed, same bytes [default: 0].")] = None,
    female_contrast: Annotated[
        float | None,
        typer.Option(min=0.0, help="Opacity contrast of women as a multiple of men's: a planted gap."),
    ] = None,
    defects: Annotated[
        bool, typer.Option("--defects", help="Add two files of each defect that readers meet.")
    ] = False,
    headers_from: Annotated[
        Path | None, typer.Option("--headers-from", help="RSNA metadata folder: its headers, boxes and classes.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(callback=at_least_one, help="Processes [default: one per core].")
    ] = None,
) -> None:
    """Write a DICOM data set in RSNA's layout, with a planted, known gap."""
    planted = _read_design(design)
    planted |= {k: v for k, v in (("n_images", images), ("size", size), ("seed", seed)) if v is not None}
    if female_contrast is not None:
        planted["contrast_by_sex"] = {"F": female_contrast, "M": 1.0}
    if defects:
        planted |= {f"n_{name}": 2 for name in DEFECTS}
    n_written = _write(folder, planted, headers_from, workers)
    typer.echo(f"{n_written} radiographs in {folder}; truth.json there says what was planted")


def _read_design(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: not a readable YAML file: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path}: a phantom design is a mapping of keys; it is {type(content).__name__}")
    return content


def _write_under_headers(
    write: Any, folder: Path, headers: Path, planted: dict[str, Any], workers: int | None, watcher: Any
) -> Any:
    allowed = (
        *("n_images", "min_images_per_person", "classes", "film_view", "acquisition_spread", "seed", "size"),
        *("contrast", "contrast_by_sex", "contrast_by_view", "transfer_syntax"),
    )
    strange = [key for key in planted if key not in allowed]
    if strange:
        raise StudyError(
            f"phantom design: {', '.join(strange)} cannot be planted under real headers; "
            f"allowed: {', '.join(allowed)}"
        )
    return write(folder, headers, **planted, workers=workers, progress=watcher.advance)


def _write(folder: Path, planted: dict[str, Any], headers_from: Path | None, workers: int | None) -> int:
    from subgroup_audit.cli import display
    from subgroup_audit.datasets.phantom_design import PhantomDesign
    from subgroup_audit.datasets.phantom_metadata import write_phantom_of_metadata
    from subgroup_audit.datasets.phantom_writer import write_phantom

    started = time.perf_counter()
    with display.progress() as watcher, writing_to(folder):
        watcher.begin("drawing radiographs")
        if headers_from is None:
            design = PhantomDesign.from_dict(planted)
            truth = write_phantom(folder, design, workers=workers, progress=watcher.advance)
        else:
            write = write_phantom_of_metadata
            truth = _write_under_headers(write, folder, headers_from, planted, workers, watcher)
        watcher.end("drawing radiographs", time.perf_counter() - started)
    return len(truth.frame)
