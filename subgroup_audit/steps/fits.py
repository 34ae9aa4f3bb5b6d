"""The fits of a study: which there are, what each depends on, and what a worker is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.diagnosis import Control, control_combinations, control_rows, declared_controls
from subgroup_audit.engine import FitJob, threads_per_fit, write_plan, write_table
from subgroup_audit.errors import ModelError
from subgroup_audit.images.store import PixelStore
from subgroup_audit.schema import CohortManifest
from subgroup_audit.steps.data import open_pixels, read_source_tables
from subgroup_audit.steps.place import Place
from subgroup_audit.store import Done, RunFolder, Step, digest, frame_digest, read_json
from subgroup_audit.study import Model, Study
from subgroup_audit.training import FitSpec, estimate_seconds, validate_model

FIT_VERSION = 2


@dataclass(frozen=True)
class PlannedFit:
    """One fit of a study: cohort, model, recipe and seed, what was changed on purpose, and the step that it is."""

    cohort: str
    model: str
    recipe: str
    seed: int
    step: Step
    control: Control | None = None

    @property
    def label(self) -> str:
        """Name for people."""
        name = f"{self.cohort} / {self.model} / {self.recipe} / seed {self.seed}"
        return f"{name} / {self.control.words}" if self.control else name


def plan_fits(study: Study, place: Place, manifest: CohortManifest, pixels: str, device: str) -> list[PlannedFit]:
    """Every fit of the study, in its order; `pixels` is the digest of the pixels that they see.

    A fit depends on its model, its recipe, its seed, the rows it is trained on, the rows it predicts, and the kind
    of device: numbers agree within a device, not between devices.
    """
    plan = _Planner(study, place, device, {"targets": frame_digest(target_rows(manifest)), "pixels": pixels})
    rows = {cohort: frame_digest(training_rows(manifest, cohort)) for cohort in study.train_cohorts}
    return [plan.fit(combination, rows[combination[0]]) for combination in study.fit_combinations()]


def plan_controls(
    study: Study, place: Place, manifest: CohortManifest, pixels: str, device: str
) -> list[PlannedFit]:
    """The fits of the study's controls: its own with the rows that each control gives them."""
    if not declared_controls(study):
        return []
    plan = _Planner(study, place, device, {"targets": frame_digest(target_rows(manifest)), "pixels": pixels})
    return [
        plan.fit(combination, frame_digest(rows), control)
        for control in declared_controls(study)
        for combination in control_combinations(study)
        for rows in [control_rows(control, manifest, combination[0], combination[3])]
    ]


@dataclass(frozen=True)
class _Planner:
    """What all fits of a study have in common."""

    study: Study
    place: Place
    device: str
    inputs: Mapping[str, str]

    def fit(self, combination: tuple[str, str, str, int], rows: str, control: Control | None = None) -> PlannedFit:
        """The fit of a cohort, model, recipe and seed on the rows of this digest."""
        study, (cohort, model, recipe, seed) = self.study, combination
        settings: dict[str, Any] = {
            "cohort": cohort,
            "model_name": model,
            "recipe_name": recipe,
            "model": study.models[model].model_dump(mode="json"),
            "recipe": study.recipes[recipe].model_dump(mode="json"),
            "weights": weights_digest(self.place.study_folder, study.models[model].weights),
            "seed": seed,
            "findings": list(study.finding_names),
            "is_multiclass": study.is_multiclass,
            "device": self.device.split(":")[0],
            "stored_size": study.data.stored_size,
        }
        if control is not None:
            settings["control"] = {"kind": control.kind, "amount": control.amount}
        step = Step("fit", FIT_VERSION, settings, {"rows": rows, **self.inputs})
        return PlannedFit(cohort, model, recipe, seed, step, control)


@cache
def weights_digest(study_folder: Path, weights: str | None) -> str:
    """Digest of a local weights file; '' if there is none, or it is absent (which the model check reports).

    Of a fitted model of ours also of the description beside it, which says how its images were normalised.
    """
    if weights is None or not (study_folder / weights).is_file():
        return ""
    with (study_folder / weights).open("rb") as stream:
        found = file_digest(stream, "sha256").hexdigest()
    described = read_json((study_folder / weights).with_name("model.json"))
    return digest(found, described.get("mean"), described.get("std")) if described else found


def training_rows(manifest: CohortManifest, cohort: str) -> pd.DataFrame:
    """Rows that a fit of this cohort learns from (train) and picks its epoch by (val), in order of image."""
    frame = manifest.frame
    chosen = frame[(frame["cohort"] == cohort) & frame["split"].isin(["train", "val"])]
    return chosen.sort_values(["image_id", "finding"]).reset_index(drop=True)


def fit_rows(fit: PlannedFit, manifest: CohortManifest) -> pd.DataFrame:
    """Rows that this fit learns from and picks its epoch by."""
    if fit.control is None:
        return training_rows(manifest, fit.cohort)
    return control_rows(fit.control, manifest, fit.cohort, fit.seed)


def target_rows(manifest: CohortManifest) -> pd.DataFrame:
    """Every image of every cohort, once, in order of image: what each fit predicts."""
    rows = manifest.frame.drop_duplicates(["image_id", "finding"]).drop(columns=["cohort", "weight"])
    return rows.sort_values(["image_id", "finding"]).reset_index(drop=True)


def check_models(study: Study, place: Place, names: Iterable[str], *, fetch_weights: bool) -> None:
    """Check that each of these models can be built from the weights that it names.

    Parameters
    ----------
    fetch_weights : also bring published weights into the local cache, for workers to find there

    Raises
    ------
    ModelError
        At least one cannot be; all that cannot are listed.
    """
    problems = []
    for name in dict.fromkeys(names):
        try:
            _check_model(study.models[name], place.study_folder, fetch_weights=fetch_weights)
        except ModelError as error:
            problems.append(f"models.{name}: {error}")
    if problems:
        raise ModelError("\n".join(problems))


def _check_model(model: Model, study_folder: Path, *, fetch_weights: bool) -> None:
    validate_model(model, study_folder=study_folder, fetch_weights=fetch_weights)
    if model.weights is not None:
        from subgroup_audit.training.weights import read_weights  # imports torch

        read_weights(study_folder / model.weights)


def prepare_jobs(
    study: Study,
    place: Place,
    folder: RunFolder,
    planned: Sequence[Sequence[PlannedFit]],
    manifest: CohortManifest,
    source: Done,
    *,
    device: str,
) -> list[FitJob]:
    """The jobs of all these fits, their rows and their plan written to disk for any worker to read.

    Raises
    ------
    ModelError
        A model of a fit that is not done cannot be built.
    """
    waiting = [fit.model for kind in planned for fit in kind if not folder.is_done(fit.step)]
    check_models(study, place, waiting, fetch_weights=True)
    pixels, _ = open_pixels(study, place, read_source_tables(source.folder).images)
    make = _JobMaker(study, place, folder, manifest, pixels, device)
    jobs = [make.job(fit, threads_per_fit(device, len(kind))) for kind in planned for fit in kind]
    definition = digest(study.model_dump(mode="json"))
    write_plan(folder.path, jobs, cache=place.cache, device=device.partition(":")[0], definition=definition)
    return jobs


@dataclass
class _JobMaker:
    """What all jobs of a study have in common."""

    study: Study
    place: Place
    folder: RunFolder
    manifest: CohortManifest
    pixels: PixelStore
    device: str

    def __post_init__(self) -> None:
        self.targets = target_rows(self.manifest)
        self.n_images = count_images(self.manifest.frame)

    def job(self, fit: PlannedFit, threads: int) -> FitJob:
        """The job of a fit; its rows lie in the run folder from now on."""
        study, spec = self.study, fit_spec(self.study, self.place, fit)
        return FitJob(
            label=fit.label,
            step=fit.step,
            spec=spec.to_json(),
            cohort=self._rows("rows", fit.step.inputs["rows"], lambda: fit_rows(fit, self.manifest)),
            targets=self._rows("targets", fit.step.inputs["targets"], lambda: self.targets),
            pixels=self.pixels,
            run=self.folder.path,
            work=self.folder.work / fit.step.folder_name,
            cache=self.place.cache,
            epochs=study.recipes[fit.recipe].epochs,
            threads=threads,
            seconds=expected_seconds(spec, self.n_images, self.device),
        )

    def _rows(self, name: str, key: str, make: Callable[[], pd.DataFrame]) -> Path:
        path = self.folder.work / f"{name}-{key}.parquet"
        if not path.is_file():
            write_table(make(), path)
        return path


def count_images(manifest: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Number of images by cohort and split; under ('', '') that of all, each once."""
    counted = pd.DataFrame(manifest.groupby(["cohort", "split"], as_index=False)["image_id"].nunique())
    by_split = {
        (str(row["cohort"]), str(row["split"])): int(row["image_id"]) for row in counted.to_dict("records")
    }
    return {**by_split, ("", ""): int(manifest["image_id"].nunique())}


def expected_seconds(spec: FitSpec, n_images: Mapping[tuple[str, str], int], device: str) -> float:
    """Seconds that a fit is expected to take on a device; `n_images` is of `count_images`."""
    return float(
        estimate_seconds(
            spec,
            n_train=n_images.get((spec.train_cohort, "train"), 0),
            n_val=n_images.get((spec.train_cohort, "val"), 0),
            n_targets=n_images["", ""],
            device=device,
        )
    )


def fit_spec(study: Study, place: Place, fit: PlannedFit) -> FitSpec:
    """All that the fit's numbers depend on besides the images."""
    return FitSpec(
        fit_id=fit.step.folder_name,
        train_cohort=fit.cohort,
        model_name=fit.model,
        model=study.models[fit.model],
        recipe_name=fit.recipe,
        recipe=study.recipes[fit.recipe],
        seed=fit.seed,
        findings=study.finding_names,
        is_multiclass=study.is_multiclass,
        study_folder=str(place.study_folder),
    )
