"""The step from scores to curves, calibration and decisions by group: what an AUC does not tell."""

from __future__ import annotations

import pandas as pd

from subgroup_audit.audit.performance import FRAMES, VERSION, group_performance
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study


def performance_step(study: Study, cohorts: Done, predictions: Done) -> Step:
    """Depends on the cohorts, the scores, and how the study compares and decides."""
    analysis = study.analysis.model_dump(
        mode="json",
        include={"contrasts", "reference", "confidence_level", "min_persons", "operating_point"},
    )
    settings = {
        "analysis": analysis,
        "models": list(study.models),
        "cohorts": study.model_dump_json(include={"cohorts", "train_on", "test_on", "findings", "classes"}),
    }
    return Step("performance", VERSION, settings, {"cohorts": cohorts.content, "predictions": predictions.content})


def measure_performance(doing: Doing) -> None:
    """Write curves, numbers, gaps and operating points."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    write_frames(doing.work, group_performance(doing.study, manifest, predictions, progress=doing.progress))


def read_performance(performance: Done | None) -> dict[str, pd.DataFrame | None]:
    """The frames of a finished step; none without one, as in runs of older versions."""
    return {} if performance is None else read_frames(performance.folder, FRAMES)
