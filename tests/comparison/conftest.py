"""Made-up runs: persons with two images, scores of known quality, written as a run's folder or held in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.comparison.runs import Run
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

N_PERSONS = 240
HOSTILE = "<script>alert('x')</script> \"q\" \u202eright" + "x" * 60


def make_study(**changes: object) -> Study:
    """Two sexes, one model, two seeds."""
    base = {
        "study": "synthetic",
        "question": "Does it work as well for women?",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"all": {}, "F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": ["net"],
        "seeds": [0, 1],
        "analysis": {"reference": {"sex": "M"}, "n_resamples": 200},
    }
    return Study.model_validate({**base, **changes})


def make_images(split_seed: int = 0) -> pd.DataFrame:
    """Two images a person; half of the persons train, an eighth val, the rest test."""
    person = np.repeat(np.arange(N_PERSONS), 2)
    place = np.random.default_rng(split_seed).permutation(N_PERSONS) if split_seed else np.arange(N_PERSONS)
    splits = np.array(["train", "train", "train", "test", "test", "test", "test", "val"])
    return pd.DataFrame(
        {
            "image_id": [f"films/i{i:05d}.dcm" for i in range(2 * N_PERSONS)],
            "patient_id": [f"p{p:05d}" for p in person],
            "sex": np.where(person % 2, "F", "M"),
            "view": "PA",
            "split": splits[(place[person] // 2) % 8],
            "y_true": np.random.default_rng(5).integers(0, 2, 2 * N_PERSONS),
        }
    )


def make_run(
    label: str = "old",
    *,
    strength: float = 1.0,
    study: Study | None = None,
    images: pd.DataFrame | None = None,
    noise_seed: int = 1,
    women_lose: float = 0.0,
    provenance: dict[str, object] | None = None,
) -> Run:
    """A run whose scores are the label times `strength` plus noise, less for women by `women_lose`.

    Half of the noise belongs to the image, so that two runs are paired; the rest to the model, cohort and seed.
    """
    study = study or make_study()
    images = make_images() if images is None else images
    of_image = np.random.default_rng(9).normal(size=len(images))
    rng = np.random.default_rng(noise_seed)
    parts = []
    for cohort, model, recipe, seed in study.fit_combinations():
        own = strength * np.where(images["sex"] == "F", 1.0 - women_lose, 1.0)
        signal = own * images["y_true"] + of_image + 0.3 * rng.normal(size=len(images))
        for finding in study.finding_names:
            parts.append(
                images.assign(
                    fit_id=f"{label}-{cohort}-{model}-{recipe}-{seed}",
                    train_cohort=cohort,
                    model=model,
                    recipe=recipe,
                    seed=seed,
                    finding=finding,
                    y_score=1.0 / (1.0 + np.exp(-signal)),
                )
            )
    manifest = [
        images[images["sex"].isin([str(cohort.where.get("sex", "F")), str(cohort.where.get("sex", "M"))])].assign(
            cohort=name, finding=finding, weight=1.0
        )
        for name, cohort in study.cohorts.items()
        for finding in study.finding_names
    ]
    return Run(
        label,
        study,
        CohortManifest(pd.concat(manifest, ignore_index=True)),
        Predictions(pd.concat(parts, ignore_index=True)),
        {"version": "0.1.0", "device": "cpu", "libraries": {"torch": "2"}} if provenance is None else provenance,
        {},
    )


def write_run(run: Run, folder: Path) -> Path:
    """The folder with what `audit compare` reads of a run."""
    (folder / "data").mkdir(parents=True)
    run.manifest.frame.to_parquet(folder / "data" / "manifest.parquet", index=False)
    run.predictions.frame.to_parquet(folder / "data" / "predictions.parquet", index=False)
    record = {
        "study": run.study.study,
        "definition": run.study.model_dump(mode="json"),
        "provenance": dict(run.provenance),
        "steps": [],
    }
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def old() -> Run:
    """The reference."""
    return make_run()


@pytest.fixture(scope="session")
def better() -> Run:
    """The same persons, a model that tells much better."""
    return make_run("new", strength=2.5, noise_seed=2)


@pytest.fixture
def written(old: Run, better: Run, tmp_path: Path) -> tuple[Path, Path]:
    """Both as folders."""
    return write_run(old, tmp_path / "old"), write_run(better, tmp_path / "new")


@pytest.fixture(scope="session")
def build_run() -> Callable[..., Run]:
    """Make a run with other settings."""
    return make_run


@pytest.fixture(scope="session")
def build_study() -> Callable[..., Study]:
    """Make a study with other settings."""
    return make_study


@pytest.fixture(scope="session")
def build_images() -> Callable[..., pd.DataFrame]:
    """Make images with another split."""
    return make_images


@pytest.fixture(scope="session")
def hostile_runs() -> tuple[Run, Run]:
    """Two runs whose cohort, model and labels try to be markup."""
    study = make_study(cohorts={"all": {}, HOSTILE: {"sex": "F"}, "M": {"sex": "M"}}, models=[HOSTILE])
    return make_run(HOSTILE, study=study), make_run("new " + HOSTILE, study=study, noise_seed=4, strength=2.0)
