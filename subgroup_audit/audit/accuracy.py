"""The share of images that each fit puts right at 0.5: what reports of single models quote, beside the AUC."""

from __future__ import annotations

import pandas as pd

from subgroup_audit.schema import ACCURACY_COLUMNS, CohortManifest, Predictions
from subgroup_audit.study import Study

THRESHOLD = 0.5


def fit_accuracies(study: Study, manifest: CohortManifest, predictions: Predictions) -> pd.DataFrame:
    """`ACCURACY_COLUMNS`: each fit on each split of the cohort that it was trained on, in evaluation mode.

    An image is right where its score is on the side of 0.5 on which its label is; of classes, where its class has
    the largest score. With several findings, every known label counts one.
    """
    keys = ["fit_id", "train_cohort", "model", "recipe", "seed"]
    members = manifest.frame[["cohort", "image_id", "finding", "split"]].rename(columns={"cohort": "train_cohort"})
    scored = predictions.frame[[*keys, "image_id", "finding", "y_true", "y_score"]].merge(
        members, on=["train_cohort", "image_id", "finding"]
    )
    if study.is_multiclass:
        scored = scored.loc[scored.groupby(["fit_id", "image_id"])["y_score"].idxmax()]
        right = scored["y_true"] == 1
    else:
        right = (scored["y_score"] >= THRESHOLD) == (scored["y_true"] == 1)
    counted = scored.assign(right=right).groupby([*keys, "split"], sort=True)["right"].agg(["size", "sum"])
    rows = counted.rename(columns={"size": "n_labels", "sum": "n_right"}).reset_index()
    rows = rows.assign(accuracy=rows["n_right"] / rows["n_labels"])
    return pd.DataFrame(rows[[column.name for column in ACCURACY_COLUMNS]])
