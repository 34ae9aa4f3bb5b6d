"""What cohorts could show before training, against audits of simulated scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.foresight import Assumptions, foresee, in_sentences
from subgroup_audit.errors import StatisticsError
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.stats import minimal_detectable_gap, required_sample_size
from subgroup_audit.study import Study

Make = Callable[..., tuple[Study, CohortManifest, Predictions]]
PLAIN = Assumptions(auc=0.85, icc=0.0, seed_sd=0.0)


def _single(manifest: CohortManifest) -> CohortManifest:
    """One image a person."""
    return CohortManifest(manifest.frame.drop_duplicates(["cohort", "patient_id"]))


def test_one_image_a_person_and_one_seed_is_the_textbook(synthetic: Make) -> None:
    study, manifest, _ = synthetic({"F": 1, "M": 1}, n_persons=1200, seeds=[0])
    rows = foresee(study, _single(manifest), PLAIN)
    row = rows[rows["kind"] == "subgroup_gap"].iloc[0]
    counts = [
        int(row[f"{side}_n_{sign}"]) for side in ("minuend", "subtrahend") for sign in ("positive", "negative")
    ]
    # Groups of nearly one size: the textbook's variance of the lower group is the mean of both ways round.
    assert row["minimal_detectable_gap"] == pytest.approx(minimal_detectable_gap(0.85, *counts), abs=0.002)
    needed = required_sample_size(0.85, 0.05, prevalence_a=counts[0] / sum(counts[:2]))
    assert row["minuend_needed_images"] == pytest.approx(needed.total / 2, rel=0.05)
    assert row["minuend_design_effect"] == pytest.approx(1.0)


def test_rows_are_the_gaps_that_differ_in_their_images(synthetic: Make) -> None:
    analysis = {
        "reference": {"sex": "M"},
        "contrasts": ["generalization_gap", "subgroup_gap", "transfer_gap", "gap_of_gaps"],
    }
    study, manifest, _ = synthetic({"F": 1, "M": 1}, analysis=analysis)
    rows = foresee(study, manifest, Assumptions())
    assert rows["kind"].value_counts().to_dict() == {
        "generalization_gap": 3,
        "transfer_gap": 2,
        "subgroup_gap": 1,
        "gap_of_gaps": 1,
    }
    errors = rows.groupby("kind")["standard_error"].mean()
    assert errors["transfer_gap"] < errors["gap_of_gaps"] < errors["subgroup_gap"] * np.sqrt(2)
    described = rows[rows["kind"] == "generalization_gap"]
    assert described[["margin", "equivalence_power"]].isna().all(axis=None)


def test_what_costs_power_costs_power(synthetic: Make) -> None:
    study, manifest, _ = synthetic({"F": 1, "M": 1})
    base = {"auc": 0.85, "icc": 0.3, "seed_sd": 0.01, "correlation": 0.8}

    def error(kind: str, **changes: float) -> float:
        rows = foresee(study, manifest, Assumptions(**{**base, **changes}))
        return float(rows.loc[rows["kind"] == kind, "standard_error"].iloc[0])

    assert error("transfer_gap", correlation=0.95) < error("transfer_gap") < error("transfer_gap", correlation=0.5)
    assert error("subgroup_gap") < error("subgroup_gap", seed_sd=0.05)
    assert error("subgroup_gap", auc=0.95) < error("subgroup_gap")
    single = study.model_copy(update={"seeds": (0,)})
    rows = foresee(single, manifest, Assumptions(**{**base, "seed_sd": 0.05}))
    assert rows["df"].isna().all()


def test_no_number_of_persons_outweighs_the_seeds(synthetic: Make) -> None:
    study, manifest, _ = synthetic({"F": 1, "M": 1})
    assumed = Assumptions(seed_sd=0.1)
    rows = foresee(study, manifest, assumed)
    row = rows[rows["kind"] == "subgroup_gap"].iloc[0].to_dict()
    assert pd.isna(row["needed_times"])
    assert in_sentences(row, assumed)[1] == (
        "One of 0.05 needs more training seeds first: between them the AUC varies too much."
    )


def test_sentences_say_what_would_be_found(synthetic: Make) -> None:
    analysis = {"reference": {"sex": "M"}, "contrasts": ["subgroup_gap", "transfer_gap"]}
    study, manifest, _ = synthetic({"F": 1, "M": 1}, seeds=[0], analysis=analysis)
    rows = foresee(study, _single(manifest), PLAIN)
    subgroup, transfer = (
        rows[rows["kind"] == kind].iloc[0].to_dict() for kind in ("subgroup_gap", "transfer_gap")
    )
    persons, found = subgroup["minuend_needed_persons"], subgroup["minimal_detectable_gap"]
    assert in_sentences(subgroup, PLAIN) == [
        f"With these cohorts a gap of {found:.2f} between F and M would be found 4 times of 5.",
        f"One of 0.05 needs {persons:,} test persons a group "
        f"({subgroup['needed_times']:.1f} times as many as there are).",
        "If there is no gap, “no gap beyond the margin of 0.05” would be shown in 0 of 100 such studies.",
    ]
    unequal = {**subgroup, "subtrahend_needed_persons": 12}
    assert f"needs {persons:,} test persons in F and 12 in M" in in_sentences(unequal, PLAIN)[1]
    assert "in F between training on F and on M" in in_sentences(transfer, PLAIN)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auc": 0.5}, "auc must lie above 0.5 and below 1, not 0.5"),
        ({"power": 1.0}, "power must lie above 0.05 and below 1, not 1"),
        ({"gap": 0.0}, "gap must lie above 0 and below 0.5, not 0"),
        ({"icc": 1.2}, "icc must be 0 to 1, not 1.2"),
        ({"correlation": -0.1}, "correlation must be 0 to 1, not -0.1"),
        ({"seed_sd": -1.0}, "seed-sd must be 0 or more and below 0.5, not -1"),
    ],
)
def test_assumptions_outside_their_range_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        Assumptions(**changes)
    assert str(caught.value) == message


def test_the_standard_errors_are_those_that_audits_find(synthetic: Make) -> None:
    """Clustered persons, two fits: what is planned is what an audit of such scores reports."""
    contrasts = ["subgroup_gap", "transfer_gap"]
    analysis = {"reference": {"sex": "M"}, "n_resamples": 100, "contrasts": contrasts}
    study, manifest, predictions = synthetic({"F": 1.2, "M": 1.2}, n_persons=1200, analysis=analysis, seeds=[0])
    # The scores of conftest: 0.49 of the variance is the person's, and two fits share that alone.
    total = 0.7**2 + 0.6**2 + 0.38**2
    icc = 0.7**2 / total
    auc = float(norm.cdf(1.2 / np.sqrt(2 * total)))
    found = audit_predictions(study, manifest, predictions).contrasts
    rows = foresee(study, manifest, Assumptions(auc=auc, icc=icc, seed_sd=0.0, correlation=icc))
    subgroup = found[(found["kind"] == "subgroup_gap")]["standard_error"].mean()
    planned = rows.loc[rows["kind"] == "subgroup_gap", "standard_error"].iloc[0]
    assert planned == pytest.approx(subgroup, rel=0.06)
