"""The step that compares the cohorts with each other in what is recorded."""

from __future__ import annotations

import pandas as pd

from subgroup_audit.cohort.differences import cohort_differences
from subgroup_audit.steps.place import Doing
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

DIFFERENCES_VERSION = 1


def differences_step(study: Study, cohorts: Done) -> Step:
    """Depends on the cohorts, and on what is recorded of them."""
    settings = {
        "cohorts": list(study.cohorts),
        "attributes": list(study.group_attributes),
        "findings": list(study.finding_names),
    }
    return Step("differences", DIFFERENCES_VERSION, settings, {"cohorts": cohorts.content})


def compare_cohorts(doing: Doing) -> None:
    """Write the standardised mean differences of every pair of cohorts."""
    manifest = pd.read_parquet(doing.input("cohorts") / "manifest.parquet")
    study = doing.study
    found = cohort_differences(manifest, list(study.cohorts), study.group_attributes, study.finding_names)
    write_frames(doing.work, {"differences": found})


def read_differences(differences: Done | None) -> dict[str, pd.DataFrame | None]:
    """The frame of a finished step; none without one, as in runs of older versions."""
    return {} if differences is None else read_frames(differences.folder, ("differences",))
