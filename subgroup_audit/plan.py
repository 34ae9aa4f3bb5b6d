"""What a run would do, found out without doing it: cohort sizes, fits, what is stored already, and how long."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit import steps
from subgroup_audit.cohort import CohortDesign, design_cohorts
from subgroup_audit.datasets import find_source, load_source
from subgroup_audit.engine import Engine, Forecast, default_workers, device_of_fits, foresee, threads_per_fit
from subgroup_audit.schema import ExclusionTable
from subgroup_audit.steps import Place, PlannedFit
from subgroup_audit.steps.data import read_source_tables, write_design
from subgroup_audit.store import RunFolder, Step, read_frames
from subgroup_audit.study import Study


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes
    ----------
    sizes : DataFrame [cohort, split, n_images, n_patients, n_positive] (of the first finding)
    fits : fits in order, those of controls last, each with whether it is stored and its estimated seconds
    forecast : what the engine would do with those that are not stored
    """

    design: CohortDesign
    sizes: pd.DataFrame
    fits: tuple[tuple[PlannedFit, bool, float], ...]
    steps_stored: tuple[tuple[str, bool], ...]
    device: str
    workers: int
    n_images_to_decode: int
    forecast: Forecast

    @property
    def n_stored(self) -> int:
        """Fits that would be reused."""
        return sum(stored for _, stored, _ in self.fits)

    @property
    def seconds(self) -> float:
        """Estimated wall-clock of the fits that are not stored, with workers side by side."""
        waiting = [seconds for _, stored, seconds in self.fits if not stored]
        return max(sum(waiting) / max(1, self.workers), max(waiting, default=0.0))


def write_design_folder(folder: Path, design: CohortDesign) -> None:
    """Write manifest, exclusions and every frame of the design as Parquet and CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    write_design(folder, design)
    for path in folder.glob("*.parquet"):
        pd.read_parquet(path).to_csv(path.with_suffix(".csv"), index=False)


def design_of(
    study: Study,
    place: Place,
    progress: Callable[[int, int], None] | None = None,
    *,
    describe: bool = True,
) -> CohortDesign:
    """The cohorts of a study from labels and headers alone: nothing is decoded, and nothing is kept.

    `describe=False` leaves out Table 1, which takes most of the time.
    """
    found = _found_so_far(study, place, progress)
    return design_cohorts(study, **found, describe=describe)


def _found_so_far(study: Study, place: Place, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    """Source tables, from the run folder where it has them; with what decoding found out, if it was done."""
    folder = RunFolder(place.out, study.study)
    source = steps.source_step(study, place.root)
    if not folder.is_done(source):
        with tempfile.TemporaryDirectory() as scratch:
            return {"tables": load_source(study.data, place.root, cache=Path(scratch), progress=progress)}
    done = folder.done(source)
    found: dict[str, Any] = {"tables": read_source_tables(done.folder)}
    pixels = steps.pixels_step(study, done)
    if not folder.is_done(pixels):
        return found
    frames = read_frames(folder.folder(pixels), ("unreadable", "digests"))
    unreadable = frames["unreadable"]
    found |= {"unreadable": None if unreadable is None else ExclusionTable(unreadable)}
    copies = steps.copies_step(folder.done(pixels))
    near = read_frames(folder.folder(copies), ("near_copies",)) if folder.is_done(copies) else {}
    return {**found, "pixel_digests": frames["digests"], **near}


def check_before_run(
    study: Study, place: Place, device_name: str, engine: Engine | None = None, *, is_elsewhere: bool = False
) -> None:
    """Find what would stop a run before it does anything: its device, folder, data set, and models.

    The models of a finished run are not checked again: that takes seconds, and a run without changes none.

    Parameters
    ----------
    is_elsewhere : whether fits are only planned, for workers on any machine

    Raises
    ------
    AuditError
        What the user can put right; the models' problems are listed at once.
    """
    _device(place, device_name, engine or Engine(), is_elsewhere=is_elsewhere)
    find_source(study.data.source)
    folder = RunFolder(place.out, study.study)
    folder.check_owner()
    if folder.record().get("definition", {}).get("models") != study.model_dump(mode="json")["models"]:
        steps.check_models(study, place, study.models, fetch_weights=True)


def _device(place: Place, name: str, engine: Engine, *, is_elsewhere: bool = False) -> str:
    return device_of_fits(name, place.out, is_elsewhere=is_elsewhere or engine.is_elsewhere, gpus=engine.gpus)


def plan_run(
    study: Study,
    place: Place,
    device_name: str,
    workers: int | None,
    engine: Engine | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
) -> Plan:
    """The plan of a run; writes nothing.

    Parameters
    ----------
    words : the study and the options that the commands `run` and `worker` repeat

    Raises
    ------
    AuditError
        The study cannot be run as it is: data, cohorts or models are at fault.
    """
    folder = RunFolder(place.out, study.study)
    folder.check_owner()
    engine = engine or Engine()
    device = _device(place, device_name, engine)
    found = _found_so_far(study, place, None)
    design = design_cohorts(study, **found, describe=False)
    steps.check_models(study, place, study.models, fetch_weights=False)
    source, pixels = _stored_data_steps(study, place, folder)
    content = folder.done(pixels).content if pixels and folder.is_done(pixels) else ""
    own, controls = (
        plan(study, place, design.manifest, content, device) for plan in (steps.plan_fits, steps.plan_controls)
    )
    n_images = steps.count_images(design.manifest.frame)
    fits = tuple(
        (
            fit,
            bool(content) and folder.is_done(fit.step),
            steps.expected_seconds(steps.fit_spec(study, place, fit), n_images, device),
        )
        for fit in [*own, *controls]
    )
    stored = (("source", folder.is_done(source)), ("pixels", bool(content)))
    count = workers or (default_workers(device, len(fits)) if not engine.is_elsewhere else len(fits))
    forecast = foresee(
        engine,
        [seconds for _, is_stored, seconds in fits if not is_stored],
        device=device,
        workers=count,
        threads=threads_per_fit(device, len(own)),
        words=words,
    )
    n_undecoded = 0 if content else len(found["tables"].images)
    return Plan(design, cohort_sizes(design), fits, stored, device, count, n_undecoded, forecast)


def _stored_data_steps(study: Study, place: Place, folder: RunFolder) -> tuple[Step, Step | None]:
    source = steps.source_step(study, place.root)
    return source, steps.pixels_step(study, folder.done(source)) if folder.is_done(source) else None


def cohort_sizes(design: CohortDesign) -> pd.DataFrame:
    """[cohort, split, n_images, n_patients, n_positive] of the first finding, in the order of the manifest."""
    frame = design.manifest.frame
    first = frame[frame["finding"] == frame["finding"].iloc[0]]
    grouped = first.groupby(["cohort", "split"], sort=False)
    counted = grouped.agg(
        n_images=("image_id", "nunique"), n_patients=("patient_id", "nunique"), n_positive=("y_true", "sum")
    )
    return pd.DataFrame(counted.reset_index())
