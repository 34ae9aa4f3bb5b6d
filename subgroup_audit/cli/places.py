"""Options that several commands share, and where they point when they are not given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subgroup_audit.errors import StoreError

if TYPE_CHECKING:
    from subgroup_audit.steps import Place
    from subgroup_audit.study import Study

StudyFile = Annotated[Path, typer.Argument(help="Study file (YAML).", metavar="STUDY")]
DataRoot = Annotated[
    Path | None, typer.Option("--data", help="Folder of the data; overrides data.root of the study.")
]
OutFolder = Annotated[Path | None, typer.Option("--out", help="Folder of the run [default: reports/<study>].")]
CacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        envvar="SUBGROUP_AUDIT_CACHE",
        help="Decoded pixels, shared by all studies [default: subgroup_audit in the user's cache folder].",
    ),
]


def at_least_one(value: int | None) -> int | None:
    """The number given to an option; raises `typer.BadParameter` where it is below 1."""
    if value is not None and value < 1:
        raise typer.BadParameter(f"must be 1 or more; it is {value}")
    return value


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """A block that writes to a path of the user's choice; raises `StoreError` where that cannot be."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); name another place") from error


def default_cache() -> Path:
    """Where decoded pixels are kept when nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "subgroup_audit"


def open_study(
    path: Path, data: Path | None, out: Path | None, cache: Path | None, split_seed: int | None = None
) -> tuple[Study, Place]:
    """The study and where its files lie; raises `AuditError` for what is wrong with either.

    Parameters
    ----------
    split_seed : divides the persons another way than the file says; the study is then named after the seed too
    """
    from subgroup_audit.steps.place import Place, find_root

    study, folder, run, pixels = find_run(path, out, cache, split_seed)
    return study, Place(folder, find_root(study, folder, data), run, pixels)


def find_run(
    path: Path, out: Path | None, cache: Path | None, split_seed: int | None = None
) -> tuple[Study, Path, Path, Path]:
    """The study, its file's folder, the folder of its run, and the cache: all that needs no data."""
    from subgroup_audit.study_file import load_study

    study = load_study(path)
    if split_seed is not None:
        split = study.split.model_copy(update={"seed": split_seed})
        study = study.model_copy(update={"study": f"{study.study}_split{split_seed}", "split": split})
    run = (out or Path("reports") / study.study).resolve()
    # absolute, since workers of a cluster start in a folder of their own
    return study, path.resolve().parent, run, (cache or default_cache()).absolute()
