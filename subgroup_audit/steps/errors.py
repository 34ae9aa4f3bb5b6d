"""The step that counts errors by person: who it is goes beside the predictions, how many into the report."""

from __future__ import annotations

import pandas as pd

from subgroup_audit.diagnosis.errors_by_person import errors_by_person
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.steps.data import read_source_tables
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

ERRORS_VERSION = 1


def errors_step(study: Study, source: Done, cohorts: Done, predictions: Done) -> Step:
    """Depends on images, cohorts and scores, and on the level of the intervals."""
    settings = {
        "confidence_level": study.analysis.confidence_level,
        "models": list(study.models),
        "test_on": list(study.test_cohorts),
    }
    inputs = {"source": source.content, "cohorts": cohorts.content, "predictions": predictions.content}
    return Step("errors", ERRORS_VERSION, settings, inputs)


def count_errors(doing: Doing) -> None:
    """Write the errors of every person, and their counts by group."""
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    images = read_source_tables(doing.input("source")).images.frame
    persons, counts = errors_by_person(doing.study, manifest, predictions, images)
    write_frames(doing.work, {"person_errors": persons, "error_counts": counts})


def read_error_counts(errors: Done | None) -> dict[str, pd.DataFrame | None]:
    """The counts of a finished errors step, none without one; the frame that names persons is not for a report."""
    return {} if errors is None else read_frames(errors.folder, ("error_counts",))
