"""The plan of a study's fits on disk: what any worker on any machine reads to do its share.

Paths in it are relative to the run folder and to the cache, which may be mounted elsewhere on another machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.engine.jobs import FitJob
from subgroup_audit.errors import EngineError, StoreError, nearest
from subgroup_audit.images.store import PixelStore
from subgroup_audit.store import RunFolder, Step, read_json, write_json

PLAN_VERSION = 1
PLAN = Path("work", "plan.json")
_PIXELS = "pixels.parquet"


@dataclass(frozen=True)
class PlannedFits:
    """The fits of a plan.

    Attributes
    ----------
    device : kind of device that they were planned for: it belongs to their numbers
    definition : digest of the study that they were planned from
    """

    jobs: tuple[FitJob, ...]
    device: str
    definition: str

    def select(self, words: Sequence[str]) -> list[FitJob]:
        """The fits with these labels or folder names; all where no word is given.

        Raises
        ------
        EngineError
            A word names no fit of the plan; the nearest labels are listed.
        """
        if not words:
            return list(self.jobs)
        known = {name for job in self.jobs for name in (job.label, job.name)}
        lost = [word for word in words if word not in known]
        if lost:
            near = nearest(lost[0], [job.label for job in self.jobs]) or [job.label for job in self.jobs[:3]]
            raise EngineError(f"the plan has no fit '{lost[0]}'; nearest: {'; '.join(near)}")
        return [job for job in self.jobs if job.label in words or job.name in words]


def write_plan(run: Path, jobs: Sequence[FitJob], *, cache: Path, device: str, definition: str) -> None:
    """Write the plan of these fits, whole or not at all; they share their targets and pixels."""
    store: PixelStore = jobs[0].pixels
    tag = definition[:8]
    table = run / PLAN.parent / f"{tag}-{_PIXELS}"
    write_table(store.table, table)
    pixels = {"path": os.path.relpath(store.path, cache), "size": store.size, "table": table.name}
    write_json(
        run / PLAN,
        {
            "version": PLAN_VERSION,
            "definition": definition,
            "device": device,
            "pixels": pixels,
            "fits": [_described(job) for job in jobs],
        },
    )


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file so that a worker that reads it sees the old one or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    frame.to_parquet(partial, index=False)
    partial.replace(path)


def _described(job: FitJob) -> dict[str, Any]:
    return {
        "label": job.label,
        "step": {
            "name": job.step.name,
            "version": job.step.version,
            "settings": dict(job.step.settings),
            "inputs": dict(job.step.inputs),
        },
        "spec": json.loads(job.spec),
        "cohort": job.cohort.name,
        "targets": job.targets.name,
        "epochs": job.epochs,
        "threads": job.threads,
        "seconds": round(job.seconds, 1),
    }


def planned_device(run: Path) -> str | None:
    """The kind of device that the plan of a run is for; None if there is no plan."""
    device = read_json(run / PLAN).get("device")
    return str(device) if device else None


def read_plan(run: Path, *, cache: Path, study_folder: Path, study_name: str = "") -> PlannedFits:
    """The plan of a run, with paths as they are on this machine.

    Parameters
    ----------
    study_folder : folder that relative weights start from, here
    study_name : study that the run must be of; '': any

    Raises
    ------
    EngineError
        There is no plan, or another version of this package wrote it.
    StoreError
        The folder is of another study, or the plan's pixels do not lie in the cache.
    """
    if study_name:
        RunFolder(run, study_name).check_owner()
    plan = read_json(run / PLAN)
    if not plan:
        raise EngineError(
            f"{run}: no plan of fits lies here; `audit run STUDY --prepare` makes one, and --out names its folder"
        )
    if plan["version"] != PLAN_VERSION:
        raise EngineError(
            f"{run / PLAN}: written by another version of this package; run `audit run STUDY --prepare` again"
        )
    store = _open_pixels(run, cache, plan["pixels"])
    jobs = tuple(_job(fit, run, cache, study_folder, store) for fit in plan["fits"])
    return PlannedFits(jobs, str(plan["device"]), str(plan["definition"]))


def _open_pixels(run: Path, cache: Path, pixels: Mapping[str, Any]) -> PixelStore:
    path = Path(os.path.normpath(cache / pixels["path"]))
    if not path.is_file():
        raise StoreError(
            f"{path}: the plan's pixels are not there; --cache must name the cache that the plan was made with"
        )
    return PixelStore(path, int(pixels["size"]), pd.read_parquet(run / PLAN.parent / pixels["table"]))


def _job(fit: Mapping[str, Any], run: Path, cache: Path, study_folder: Path, store: PixelStore) -> FitJob:
    step, work = Step(**fit["step"]), run / PLAN.parent
    return FitJob(
        label=fit["label"],
        step=step,
        spec=json.dumps({**fit["spec"], "study_folder": str(study_folder)}, sort_keys=True, ensure_ascii=False),
        cohort=work / fit["cohort"],
        targets=work / fit["targets"],
        pixels=store,
        run=run,
        work=work / step.folder_name,
        cache=cache,
        epochs=int(fit["epochs"]),
        threads=int(fit["threads"]),
        seconds=float(fit["seconds"]),
    )


@dataclass(frozen=True)
class Errand:
    """Fits that a task on another machine is to do: where their plan lies, and their names. Small, to be sent."""

    run: Path
    cache: Path
    study_folder: Path
    names: tuple[str, ...]
    device: str

    @classmethod
    def of(cls, jobs: Sequence[FitJob], device: str) -> Errand:
        """The errand of doing these jobs."""
        first = jobs[0]
        folder = Path(json.loads(first.spec)["study_folder"])
        return cls(first.run, first.cache, folder, tuple(job.name for job in jobs), device)

    def jobs(self) -> list[FitJob]:
        """The jobs, read from the plan."""
        return read_plan(self.run, cache=self.cache, study_folder=self.study_folder).select(self.names)
