"""The words of the first screen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.sentences import (
    card_note,
    cards,
    facts,
    gap_sentence,
    headline,
    limits_sentence,
    overall_verdict,
)
from subgroup_audit.schema import AuditResult

NONE = {"gap": 0, "inconclusive": 0, "no gap beyond the margin": 0, "not estimable": 0}


@pytest.mark.parametrize(
    ("counts", "key"),
    [
        ({"gap": 1, "no gap beyond the margin": 50}, "gap"),
        ({"inconclusive": 1, "no gap beyond the margin": 50}, "inconclusive"),
        ({"no gap beyond the margin": 50, "not estimable": 3}, "equal"),
        ({"not estimable": 3}, "absent"),
        ({}, "absent"),
    ],
)
def test_equality_needs_every_comparison_and_a_gap_only_one(counts: dict[str, int], key: str) -> None:
    assert overall_verdict({**NONE, **counts}) == key


def only(contents: RunContents, verdict: str, **values: object) -> AuditResult:
    result = contents.result
    chosen = result.contrasts[result.contrasts["verdict"] == verdict].head(2).assign(**values)
    return AuditResult(result.estimates, chosen, result.fits, result.settings)


def test_a_gap_is_said_with_what_is_left_after_correction(contents: RunContents) -> None:
    found = headline(only(contents, "gap", p_adjusted=[0.001, 0.4]), contents.study)
    assert found.title == "A gap was found"
    assert found.sentences == ("1 of the 2 gaps remains after correction for 2 comparisons (Holm).",)


@pytest.mark.parametrize(
    ("adjusted", "sentence"),
    [
        ([0.001, 0.002], "All 2 gaps remain after correction for 2 comparisons (Holm)."),
        (
            [0.3, 0.4],
            "2 of 2 comparisons show a gap before correction, none after it (Holm). It can be chance.",
        ),
        (
            [None, None],
            "The p-values are not corrected for the number of comparisons: some gaps can be chance.",
        ),
    ],
)
def test_correction_is_said_in_every_case(
    contents: RunContents, adjusted: list[float | None], sentence: str
) -> None:
    assert headline(only(contents, "gap", p_adjusted=adjusted), contents.study).sentences == (sentence,)


def test_a_gap_that_correction_takes_away_does_not_make_the_title(contents: RunContents) -> None:
    found = headline(only(contents, "gap", p_adjusted=[0.3, 0.4]), contents.study)
    assert (found.key, found.title) == ("gap", "A gap was found, but not after correction")


def test_inconclusive_is_not_called_equal(contents: RunContents) -> None:
    found = headline(only(contents, "inconclusive"), contents.study)
    assert found.title == "Inconclusive: these data cannot tell"
    assert found.sentences == (
        "No comparison shows a gap, and none excludes one beyond the margin of 0.05 AUC. This is not evidence of "
        "equality.",
    )


def test_what_is_left_open_beside_equality_is_counted(contents: RunContents) -> None:
    result = contents.result
    chosen = result.contrasts[result.contrasts["kind"] == "subgroup_gap"].head(3)
    chosen = chosen.assign(verdict=["inconclusive", "no gap beyond the margin", "no gap beyond the margin"])
    mixed = AuditResult(result.estimates, chosen, result.fits, result.settings)
    assert headline(mixed, contents.study).sentences == (
        "1 of 3 comparisons neither shows a gap nor excludes one beyond the margin of 0.05 AUC. This is not "
        "evidence of equality.",
    )


def test_equality_names_its_margin(contents: RunContents) -> None:
    found = headline(only(contents, "no gap beyond the margin", margin=0.1), contents.study)
    assert found.title == "No gap beyond the margin of 0.10 AUC"


def test_nothing_estimable_says_why(contents: RunContents) -> None:
    found = headline(only(contents, "not estimable"), contents.study)
    assert found.title == "Not estimable"
    assert found.sentences == ("The reason given: no positive image in a cell.",)


def test_no_comparison_at_all_is_said(contents: RunContents) -> None:
    empty = AuditResult(contents.result.estimates, contents.result.contrasts.iloc[:0], contents.result.fits)
    assert headline(empty, contents.study).sentences == ("No subgroup or transfer gap was compared.",)
    assert cards(empty) == []


def test_the_three_gaps_each_have_a_card_with_numbers_from_the_table(contents: RunContents) -> None:
    found = cards(contents.result)
    assert [card.name for card in found] == ["Subgroup gap", "Transfer gap", "Train/test gap"]
    assert found[0].verdict == "gap"
    assert found[2].verdict == "descriptive"
    assert [card.standing for card in found] == ["the clearest of 40", "the clearest of 24", "the widest of 8"]
    assert card_note(found) == (
        "The clearest of many gaps tends to be overstated. A train/test gap is descriptive: the model has seen "
        "its training images."
    )
    assert all(len(card.value) == len("−0.079") for card in found)
    assert found[0].interval.startswith("95 % interval −")
    assert found[0].persons == "824 persons"
    assert not found[0].sentence.startswith("Lung opacity")


def test_one_gap_alone_is_not_called_the_clearest_and_one_without_an_estimate_says_why(
    contents: RunContents,
) -> None:
    result = contents.result
    one = AuditResult(result.estimates, only(contents, "gap").contrasts.head(1), result.fits, result.settings)
    assert [card.standing for card in cards(one)] == [""]
    assert card_note(cards(one)) == ""
    (absent, *_) = cards(only(contents, "not estimable"))
    assert (absent.value, absent.note, absent.standing) == ("", "no positive image in a cell", "")


def test_a_card_names_its_finding_where_there_are_several(contents: RunContents) -> None:
    result = contents.result
    other = result.contrasts.assign(finding="macro mean", verdict="gap")
    both = AuditResult(result.estimates, pd.concat([result.contrasts, other]), result.fits, result.settings)
    assert cards(both)[0].sentence.startswith("Mean over the findings. ")


def test_a_gap_sentence_names_both_terms() -> None:
    row = {
        "kind": "transfer_gap",
        "estimate": -0.03,
        "minuend_estimate": 0.81,
        "subtrahend_estimate": 0.84,
        "train_cohort": "F",
        "test_group": "M",
        "other": "M",
        "model": "resnet50",
        "minuend": "a",
        "subtrahend": "b",
    }
    assert gap_sentence(row) == "In M, resnet50 reaches AUC 0.810 when trained on F and 0.840 when trained on M."
    assert gap_sentence({**row, "estimate": np.nan}) == "a against b: not estimable."


def test_limits_name_the_range_of_detectable_gaps(contents: RunContents) -> None:
    contrasts = contents.result.contrasts.assign(minimal_detectable_gap=0.04)
    assert "0.04 AUC for subgroup gaps and 0.04 AUC for transfer gaps" in limits_sentence(contrasts)
    nothing = contrasts.assign(minimal_detectable_gap=np.nan)
    assert limits_sentence(nothing) == "How small a gap these data could have shown was not estimated."


def test_facts_prefer_what_the_run_counted(contents: RunContents) -> None:
    assert [fact.value for fact in facts(contents)] == ["8,214", "13,366", "770", "220", "30"]
    counted = replace(contents, provenance={"n_patients": 3120, "n_images": 5500, "n_fits": 30})
    assert [(f.value, f.name) for f in facts(counted)][:2] == [
        ("3,120", "persons in the cohorts"),
        ("5,500", "radiographs in the cohorts"),
    ]
    bare = replace(contents, provenance={}, flow=None, result=None)
    assert facts(bare) == []


def test_facts_do_not_trip_over_persons_that_are_not_known(contents: RunContents) -> None:
    flow = contents.flow.head(2).astype({"left_patients": "Int64"})
    assert pd.isna(flow["left_patients"].iloc[-1])
    assert next(fact.name for fact in facts(replace(contents, flow=flow))) == "radiographs eligible"
