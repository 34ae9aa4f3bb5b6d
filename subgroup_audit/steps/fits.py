"""The fits of a study: which there are, what each depends on, and what a worker is handed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pandas as pd

from subgroup_audit.diagnosis import Control, control_combinations, control_rows, declared_controls
from subgroup_audit.engine import FitJob
from subgroup_audit.errors import ModelError
from subgroup_audit.schema import CohortManifest
from subgroup_audit.steps.data import open_pixels, read_source_tables
from subgroup_audit.steps.place import Place
from subgroup_audit.store import Done, RunFolder, Step, frame_digest
from subgroup_audit.study import Model, Study
from subgroup_audit.training import FitSpec, validate_model

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


@dataclass(frozen=True)
class PreparedFit:
    """A fit with its job on disk, ready for a worker."""

    step: Step
    job: FitJob


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
    """Digest of a local weights file; '' if there is none, or it is absent (which the model check reports)."""
    if weights is None or not (study_folder / weights).is_file():
        return ""
    with (study_folder / weights).open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


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
    waiting: list[PlannedFit],
    manifest: CohortManifest,
    source: Done,
) -> list[PreparedFit]:
    """The jobs of these fits, their rows written to disk; raises `ModelError` where a model cannot be built."""
    check_models(study, place, [fit.model for fit in waiting], fetch_weights=True)
    pixels, _ = open_pixels(study, place, read_source_tables(source.folder).images)
    targets = folder.work / "targets.parquet"
    target_rows(manifest).to_parquet(targets, index=False)
    prepared = []
    for fit in waiting:
        rows = folder.work / f"rows-{fit.step.inputs['rows']}.parquet"
        if not rows.is_file():
            fit_rows(fit, manifest).to_parquet(rows, index=False)
        work = folder.work / fit.step.folder_name
        work.mkdir(exist_ok=True)
        prepared.append(
            PreparedFit(
                fit.step,
                FitJob(
                    label=fit.label,
                    spec=fit_spec(study, place, fit).to_json(),
                    cohort=rows,
                    targets=targets,
                    pixels=pixels,
                    work=work,
                    cache=place.cache,
                    epochs=study.recipes[fit.recipe].epochs,
                ),
            )
        )
    return prepared


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
