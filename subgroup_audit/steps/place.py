"""Where a run's files lie, and what a step is given to do its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from subgroup_audit.errors import DataError
from subgroup_audit.store import Done
from subgroup_audit.study import Study


@dataclass(frozen=True)
class Place:
    """Where things lie.

    Attributes
    ----------
    study_folder : folder of the study file; relative weights start there
    root : folder of the data; read only
    out : folder of the run
    cache : decoded pixels and header indexes, shared by all studies
    """

    study_folder: Path
    root: Path
    out: Path
    cache: Path


@dataclass(frozen=True)
class Doing:
    """What a step is given: the study, where things lie, its inputs, its own folder, and the device of the run."""

    study: Study
    place: Place
    work: Path
    inputs: tuple[Done, ...]
    progress: Callable[[int, int], None]
    device: str = "cpu"

    def input(self, name: str) -> Path:
        """Folder of the one input step of this name."""
        return next(done.folder for done in self.inputs if done.step.name == name)


def find_root(study: Study, study_folder: Path, given: Path | None) -> Path:
    """Folder of the data: the one given, or else the study's; raises `DataError` if there is none."""
    root = given
    if root is None and study.data.root is not None:
        root = study_folder / study.data.root
    if root is None:
        raise DataError(
            f"study '{study.study}': data.root is not set in the file; say where the data lie: --data FOLDER"
        )
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder; --data (or data.root) must name the folder of the '{study.data.source}' data"
        )
    return root.resolve()
