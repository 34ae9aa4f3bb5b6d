"""The step that asks why there is a gap: the waterfall of the study's fits, and what its controls came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from subgroup_audit.diagnosis import Control, gap_waterfall, measure_controls
from subgroup_audit.schema import WATERFALL_COLUMNS, CohortManifest, Predictions, Stages
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

DIAGNOSIS_VERSION = 2
DIAGNOSIS_FRAMES = ("waterfall", "controls")


def diagnosis_step(
    study: Study, cohorts: Done, predictions: Done, fits: Sequence[Done], controls: Sequence[Done]
) -> Step:
    """Why there is a gap: depends on the cohorts, the fits and the analysis; a key stands for a fit."""
    settings = {
        "analysis": study.analysis.model_dump(mode="json", exclude={"operating_point"}),
        "cohorts": study.model_dump_json(include={"cohorts", "train_on", "test_on", "findings", "classes"}),
    }
    inputs = {f"fit {i}": fit.step.key for i, fit in enumerate([*fits, *controls])}
    contents = {"cohorts": cohorts.content, "predictions": predictions.content}
    return Step("diagnosis", DIAGNOSIS_VERSION, settings, {**inputs, **contents})


def diagnose(doing: Doing) -> None:
    """Write what explains the gaps."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    fits = [done for done in doing.inputs if done.step.name == "fit"]
    own = [done.folder / "stages.parquet" for done in fits if "control" not in done.step.settings]
    stages = Stages(pd.concat([pd.read_parquet(path) for path in own], ignore_index=True))
    controlled = {
        control: Predictions(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))
        for control, paths in _by_control(fits).items()
    }
    write_frames(
        doing.work,
        {
            "waterfall": gap_waterfall(doing.study, manifest, predictions, stages),
            "controls": measure_controls(doing.study, manifest, predictions, controlled),
        },
    )


def _by_control(fits: Sequence[Done]) -> dict[Control, list[Path]]:
    """Prediction files of the fits of each control."""
    found: dict[Control, list[Path]] = {}
    for done in fits:
        named = done.step.settings.get("control")
        if named is not None:
            control = Control(str(named["kind"]), float(named["amount"]))
            found.setdefault(control, []).append(done.folder / "predictions.parquet")
    return found


def read_diagnosis(diagnosis: Done | None) -> dict[str, pd.DataFrame | None]:
    """The frames of a finished diagnosis step; none without one."""
    if diagnosis is None:
        return {}
    frames = read_frames(diagnosis.folder, DIAGNOSIS_FRAMES)
    if frames["waterfall"] is not None:  # a run of before the whole way had an interval still shows the rest
        columns = [column.name for column in WATERFALL_COLUMNS]
        frames["waterfall"] = frames["waterfall"].reindex(columns=columns)
    return frames
