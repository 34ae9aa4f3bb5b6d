"""The step that names the causes of a gap, from what the steps before it have measured."""

from __future__ import annotations

import pandas as pd

from subgroup_audit.diagnosis import Evidence, advantage_frame, name_causes
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.steps.diagnosis import read_diagnosis
from subgroup_audit.steps.order import read_order
from subgroup_audit.steps.place import Doing
from subgroup_audit.steps.results import read_result
from subgroup_audit.store import Done, Step, read_frames, write_frames
from subgroup_audit.study import Study

CAUSES_VERSION = 3


def causes_step(study: Study, *inputs: Done) -> Step:
    """Causes by name: depend on the analysis, the cohorts, the predictions and everything measured of them."""
    contents = {done.step.name: done.content for done in inputs}
    return Step(
        "causes",
        CAUSES_VERSION,
        {"analysis": study.analysis.model_dump(mode="json", exclude={"operating_point"})},
        contents,
    )


def find_causes(doing: Doing) -> None:
    """Write which causes of a gap are to be seen, and on what evidence."""
    by_name = {done.step.name: done for done in doing.inputs}
    manifest = CohortManifest(pd.read_parquet(doing.input("cohorts") / "manifest.parquet"))
    predictions = Predictions(pd.read_parquet(doing.input("predictions") / "predictions.parquet"))
    result, waterfall = read_result(by_name["audit"]), read_diagnosis(by_name["diagnosis"]).get("waterfall")
    if waterfall is None or waterfall.empty:
        return
    evidence = Evidence(
        waterfall=waterfall,
        contrasts=result.contrasts,
        cells=tested_cells(doing.study, manifest.frame, predictions.frame),
        order_check=read_order(by_name["order"]).get("order_check"),
        leakage=read_frames(by_name["cohorts"].folder, ("leakage",))["leakage"],
        case_mix=result.case_mix,
        advantage=advantage_frame(doing.study, manifest, predictions),
    )
    write_frames(doing.work, {"causes": name_causes(doing.study, evidence)})


def tested_cells(
    study: Study, manifest: pd.DataFrame, predictions: pd.DataFrame
) -> dict[tuple[str, str, str, str, str], pd.DataFrame]:
    """Test images of every kind of fit and test group: y_true, score (mean over seeds) and person, by image."""
    tested = manifest[(manifest["split"] == "test") & manifest["cohort"].isin(study.test_cohorts)]
    tested = tested.assign(person=pd.factorize(tested["patient_id"], sort=True)[0])
    keys = ["finding", "train_cohort", "model", "recipe"]
    found = {}
    for kind, rows in predictions.groupby(keys, sort=False):
        scores = rows.groupby("image_id")["y_score"].mean()
        finding, train_cohort, model, recipe = map(str, kind)
        for group, members in tested[tested["finding"] == finding].groupby("cohort", sort=False):
            cell = members.set_index("image_id")[["y_true", "person"]].sort_index()
            cell = cell.assign(y_score=scores.reindex(cell.index))
            found[finding, train_cohort, model, recipe, str(group)] = cell
    return found


def read_causes(causes: Done | None) -> dict[str, pd.DataFrame | None]:
    """The frame of a finished causes step; none without one."""
    return {} if causes is None else read_frames(causes.folder, ("causes",))
