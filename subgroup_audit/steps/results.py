"""Steps from fits to numbers: predictions gathered, cells and gaps audited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.audit import VERSION as AUDIT_VERSION
from subgroup_audit.diagnosis import metadata_predictions
from subgroup_audit.schema import ACCURACY_COLUMNS, AuditResult, CohortManifest, Predictions
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, read_json, write_frames, write_json
from subgroup_audit.study import Study

PREDICTIONS_VERSION = 1
RESULT_FRAMES = (*AuditResult.FRAMES, *AuditResult.OPTIONAL_FRAMES)


def predictions_step(study: Study, cohorts: Done, fits: Sequence[Done]) -> Step:
    """All predictions in one table; a fit's key stands for its content."""
    inputs = {f"fit {i}": fit.step.key for i, fit in enumerate(fits)}
    return Step(
        "predictions",
        PREDICTIONS_VERSION,
        {"diagnose": list(study.diagnose), "train_on": list(study.train_cohorts)},
        {**inputs, "cohorts": cohorts.content},
    )


def gather_predictions(doing: Doing) -> None:
    """Write the predictions of all fits, and of the controls that the study asks for, as one table."""
    fits = [done for done in doing.inputs if done.step.name == "fit"]
    frames = [pd.read_parquet(done.folder / "predictions.parquet") for done in fits]
    if "metadata_baseline" in doing.study.diagnose:
        manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
        frames.append(metadata_predictions(doing.study, manifest).frame)
    predictions = Predictions(pd.concat(frames, ignore_index=True))
    write_frames(doing.work, {"predictions": predictions.frame})


class StoredPredictions:
    """The predictions of a run, one table a fit, read from the file as they are asked for."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __iter__(self) -> Iterator[Predictions]:
        """One table a fit; the rows of a fit stand together in the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        waiting: list[pa.RecordBatch] = []
        for batch in pq.ParquetFile(self.file).iter_batches():
            for part in _by_fit(batch):
                if waiting and part["fit_id"][0] != waiting[0]["fit_id"][0]:
                    yield Predictions(pa.Table.from_batches(waiting).to_pandas())
                    waiting = []
                waiting.append(part)
        if waiting:
            yield Predictions(pa.Table.from_batches(waiting).to_pandas())


def _by_fit(batch: Any) -> Iterator[Any]:
    """Parts of a batch of rows, each of one fit."""
    fits = batch["fit_id"].to_numpy(zero_copy_only=False)
    starts = [0, *(np.flatnonzero(fits[1:] != fits[:-1]) + 1), len(fits)]
    return (batch.slice(start, stop - start) for start, stop in pairwise(starts) if stop > start)


def audit_step(study: Study, cohorts: Done, predictions: Done) -> Step:
    """Cells and gaps: depend on the cohorts, the predictions and the analysis."""
    settings = {
        "analysis": study.analysis.model_dump(mode="json", exclude={"operating_point"}),
        "cohorts": study.model_dump_json(include={"cohorts", "train_on", "test_on", "findings", "classes"}),
    }
    return Step("audit", AUDIT_VERSION, settings, {"cohorts": cohorts.content, "predictions": predictions.content})


def audit_cells(doing: Doing) -> None:
    """Write every estimate and every gap."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = StoredPredictions(doing.input("predictions") / "predictions.parquet")
    result = audit_predictions(doing.study, manifest, predictions, progress=doing.progress)
    write_frames(doing.work, {name: getattr(result, name) for name in RESULT_FRAMES})
    write_json(doing.work / "settings.json", dict(result.settings))


def read_result(audit: Done) -> AuditResult:
    """The result of a finished audit step."""
    frames = read_frames(audit.folder, RESULT_FRAMES)
    if frames["accuracies"] is not None:  # a run of before these had limits still shows the rest
        frames["accuracies"] = frames["accuracies"].reindex(columns=[column.name for column in ACCURACY_COLUMNS])
    return AuditResult(**frames, settings=read_json(audit.folder / "settings.json"))  # type: ignore[arg-type]


def read_result_frames(audit: Done) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Estimates and contrasts of a finished audit step."""
    result = read_result(audit)
    return result.estimates, result.contrasts
