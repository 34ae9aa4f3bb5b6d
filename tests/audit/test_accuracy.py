"""The accuracy of each fit on its own cohort: a plain share, with the limits of a clustered rate."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from subgroup_audit.audit import audit_predictions
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.stats import auc_components, average_over_seeds, rate_interval
from subgroup_audit.study import Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]


def own_rows(manifest: CohortManifest, predictions: Predictions, row: dict[str, object]) -> pd.DataFrame:
    members = manifest.frame.query("cohort == @row['train_cohort'] and split == @row['split']")
    scores = predictions.frame.query("fit_id == @row['fit_id']")[["image_id", "y_score"]]
    return members.merge(scores, on="image_id", validate="one_to_one")


def test_accuracy_and_auc_of_every_fit_have_the_limits_of_clustered_persons(synthetic: Make) -> None:
    study, manifest, predictions = synthetic({"F": 0.4, "M": 2.0})
    found = audit_predictions(study, manifest, predictions).accuracies
    assert found is not None
    assert len(found) == len(study.fit_combinations()) * 3
    for row in found.to_dict("records"):
        rows = own_rows(manifest, predictions, row)
        y_true, score, person = rows["y_true"], rows["y_score"], rows["patient_id"].to_numpy()
        share = rate_interval(y_true, score, "accuracy", threshold=0.5, person=person)
        assert row["accuracy"] == pytest.approx(accuracy_score(y_true, score >= 0.5))
        assert (row["low"], row["high"]) == pytest.approx((share.low, share.high))
        assert row["method"] == "Wilson, person-clustered effective n, t"
        assert row["n_patients"] == rows["patient_id"].nunique() == row["n_labels"] / 2
        auc = average_over_seeds([auc_components(y_true, score, person=pd.factorize(person)[0])])
        assert row["auc"] == pytest.approx(roc_auc_score(y_true, score))
        assert (row["auc_low"], row["auc_high"]) == pytest.approx((auc.low, auc.high))
        assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_two_copies_of_every_image_do_not_make_the_interval_narrower(synthetic: Make) -> None:
    study, manifest, predictions = synthetic({"F": 1.0, "M": 1.0}, train_on=["all"], seeds=[0])
    once = audit_predictions(study, manifest, predictions).accuracies
    twice = [
        table.assign(image_id=table["image_id"] + suffix)
        for table in (manifest.frame, predictions.frame)
        for suffix in ("", "b")
    ]
    doubled = audit_predictions(
        study, CohortManifest(pd.concat(twice[:2])), Predictions(pd.concat(twice[2:]))
    ).accuracies
    assert once is not None
    assert doubled is not None
    assert doubled["n_labels"].to_list() == [2 * n for n in once["n_labels"]]
    assert doubled["accuracy"].to_numpy() == pytest.approx(once["accuracy"].to_numpy())
    width = [(frame["high"] - frame["low"]).to_numpy() for frame in (once, doubled)]
    assert width[1] == pytest.approx(width[0], rel=1e-6)
