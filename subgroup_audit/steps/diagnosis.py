"""The step that asks why there is a gap: the waterfall, from what the fits kept of their own images."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from subgroup_audit.diagnosis import gap_waterfall
from subgroup_audit.schema import CohortManifest, Predictions, Stages
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

DIAGNOSIS_VERSION = 1
DIAGNOSIS_FRAMES = ("waterfall",)


def diagnosis_step(study: Study, cohorts: Done, predictions: Done, fits: Sequence[Done]) -> Step:
    """Why there is a gap: depends on the cohorts, the fits and the analysis; a key stands for a fit."""
    settings = {
        "analysis": study.analysis.model_dump(mode="json"),
        "cohorts": study.model_dump_json(include={"cohorts", "train_on", "test_on", "findings", "classes"}),
    }
    inputs = {f"fit {i}": fit.step.key for i, fit in enumerate(fits)}
    contents = {"cohorts": cohorts.content, "predictions": predictions.content}
    return Step("diagnosis", DIAGNOSIS_VERSION, settings, {**inputs, **contents})


def diagnose(doing: Doing) -> None:
    """Write what explains the gaps."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    kept = [pd.read_parquet(done.folder / "stages.parquet") for done in doing.inputs if done.step.name == "fit"]
    stages = Stages(pd.concat(kept, ignore_index=True))
    write_frames(doing.work, {"waterfall": gap_waterfall(doing.study, manifest, predictions, stages)})


def read_diagnosis(diagnosis: Done) -> dict[str, pd.DataFrame]:
    """The frames of a finished diagnosis step."""
    return read_frames(diagnosis.folder, DIAGNOSIS_FRAMES)
