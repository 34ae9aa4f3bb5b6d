"""Where the gaps lie: pairs of groups, and what was ruled out."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from subgroup_audit.diagnosis import METADATA_MODEL
from subgroup_audit.report import RunContents
from subgroup_audit.report.origins import baseline_sentence, leakage_sentence, origin
from subgroup_audit.schema import AuditResult


def with_gaps(contents: RunContents, **values: object) -> RunContents:
    """The run with the subgroup gaps of one pair and one model alone."""
    result = contents.result
    rows = result.contrasts
    chosen = rows[
        (rows["kind"] == "subgroup_gap")
        & (rows["test_group"] == "F_PA")
        & (rows["other"] == "M_PA")
        & (rows["model"] == "resnet101")
    ]
    changed = AuditResult(result.estimates, chosen.assign(**values), result.fits, result.settings)
    return replace(contents, result=changed)


def test_every_gap_is_counted_at_its_pair(contents: RunContents) -> None:
    found = origin(contents)
    counted = sum(
        number
        for pair in found.pairs
        for tally in pair.kinds.values()
        if tally
        for number in tally.counts.values()
    )
    assert len(found.pairs) == 4
    assert found.more == 3
    assert 0 < counted < 64


def test_a_pair_stands_as_its_subgroup_gap_subtracts_it(contents: RunContents) -> None:
    (pair,) = origin(with_gaps(contents, estimate=[-0.12, 0.03, 0.02, -0.01, 0.0])).pairs
    assert (pair.first, pair.second) == ("F_PA", "M_PA")
    assert pair.kinds["subgroup_gap"].largest == "0.120"
    assert pair.kinds["transfer_gap"] is None


def test_a_gap_in_every_training_cohort_is_said_to_be_so(contents: RunContents) -> None:
    run = with_gaps(contents, verdict="gap", estimate=-0.1, p_adjusted=0.001)
    assert origin(run).sentences[0] == (
        "AUC is lower in F_PA than in M_PA whatever the model was trained on: no choice of training cohort "
        "removed the gap."
    )


def test_a_gap_in_some_training_cohorts_names_them(contents: RunContents) -> None:
    verdicts = ["gap", "gap", "inconclusive", "inconclusive", "inconclusive"]
    run = with_gaps(contents, verdict=verdicts, estimate=0.1, p_adjusted=0.001)
    assert origin(run).sentences[0] == (
        "AUC is higher in F_PA than in M_PA in 2 of 5 comparisons (trained on F_PA and M_PA)."
    )


def test_a_gap_that_correction_takes_away_is_no_reason(contents: RunContents) -> None:
    run = with_gaps(contents, verdict="gap", estimate=0.1, p_adjusted=0.2)
    assert origin(run).sentences == (
        "Leakage is ruled out: no person, file or picture of a test set was in training.",
    )


def test_shared_persons_are_said_and_an_unchecked_run_claims_nothing(contents: RunContents) -> None:
    leaky = contents.leakage.assign(shared_persons=[3, *[0] * (len(contents.leakage) - 1)])
    assert leakage_sentence(leaky).startswith("Leakage: 1 of 20 pairs of training and test cohort share persons")
    assert leakage_sentence(None) == ""


def test_the_baseline_without_an_image_stands_beside_the_models(contents: RunContents) -> None:
    estimates = contents.result.estimates
    assert baseline_sentence(estimates) == ""
    alone = estimates[estimates["model"] == "resnet101"].assign(model=METADATA_MODEL, estimate=0.61)
    models = estimates[estimates["model"] == "resnet101"].assign(estimate=0.8)
    assert baseline_sentence(pd.concat([alone, models])) == (
        "Sex, view and age alone, without the image, reach AUC 0.610 in the groups that were trained on; the "
        "models reach 0.800."
    )


def test_a_run_without_a_result_has_no_origin(contents: RunContents) -> None:
    assert origin(replace(contents, result=None)).pairs == ()
