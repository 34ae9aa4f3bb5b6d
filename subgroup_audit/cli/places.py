"""Options that several commands share, and where they point when they are not given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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


def default_cache() -> Path:
    """Where decoded pixels are kept when nothing else is said."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "subgroup_audit"


def open_study(path: Path, data: Path | None, out: Path | None, cache: Path | None) -> tuple[Study, Place]:
    """The study and where its files lie; raises `AuditError` for what is wrong with either."""
    from subgroup_audit.steps.place import Place, find_root
    from subgroup_audit.study_file import load_study

    study = load_study(path)
    folder = path.resolve().parent
    root = find_root(study, folder, data)
    return study, Place(folder, root, (out or Path("reports") / study.study).resolve(), cache or default_cache())
