"""Which comparisons are judged, by what margin, and what the verdict of all is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.settings import Margin
from subgroup_audit.checking.words import overall_verdict
from subgroup_audit.stats import adjust_p_values

Judged = Callable[..., CheckResult]


def row(result: CheckResult, attribute: str, group: str, metric: str = "auc") -> dict[str, object]:
    chosen = result.contrasts[
        (result.contrasts["attribute"] == attribute)
        & (result.contrasts["group"] == group)
        & (result.contrasts["metric"] == metric)
        & (result.contrasts["kind"] == "subgroup_gap")
    ]
    return dict(chosen.iloc[0])


def test_the_planted_gap_is_found_and_said(result: CheckResult) -> None:
    found = row(result, "sex", "F")
    assert found["verdict"] == "gap"
    assert found["estimate"] < -0.08
    assert str(found["sentence"]).startswith("AUC for Pneumonia, sex: F minus M: there is a gap of -0.")
    assert result.verdict == "gap"
    assert result.exit_code() == 1


def test_only_what_has_a_margin_is_judged(result: CheckResult) -> None:
    assert set(result.judged["metric"]) == {"auc"}
    others = result.contrasts[result.contrasts["metric"] != "auc"]
    assert len(others) > 0
    assert set(others["verdict"]) == {"descriptive"}
    assert others["margin"].isna().all()
    assert others["p_adjusted"].isna().all()


def test_a_threshold_of_each_groups_own_is_not_judged(judged: Judged) -> None:
    result = judged(margins=(Margin("sensitivity", 0.1),))
    assert len(result.judged) > 0
    assert not result.judged["threshold_rule"].str.startswith("per group").any()


def test_p_values_are_adjusted_over_the_judged_alone(result: CheckResult) -> None:
    family = result.judged
    expected = [p for p in adjust_p_values(family["p_value"].tolist()) if p is not None]
    assert family["p_adjusted"].dropna().tolist() == pytest.approx(expected)


def test_a_gap_that_correction_takes_away_is_inconclusive(judged: Judged) -> None:
    plain, corrected = judged(multiplicity="none", margins=MANY), judged(margins=MANY)
    before, after = plain.contrasts, corrected.contrasts
    lost = (before["verdict"] == "gap") & (after["verdict"] != "gap")
    assert lost.sum() >= 1
    assert set(after.loc[lost, "verdict"]) == {"inconclusive"}
    assert (after.loc[lost, "p_adjusted"] >= 0.05).all()
    sentences = after.loc[lost, "sentence"]
    assert sentences.str.contains("does not stay after correction for", regex=False).all()
    assert (after.loc[after["verdict"] == "gap", "p_adjusted"] < 0.05).all()


MANY = tuple(Margin(metric, 0.01) for metric in ("auc", "average_precision", "sensitivity", "specificity", "ppv"))


def test_a_wide_margin_shows_no_gap_and_a_missing_group_forbids_to_say_so(judged: Judged) -> None:
    wide = (Margin("auc", 0.5),)
    result = judged(margins=wide)
    assert row(result, "sex", "F")["verdict"] == "no gap beyond the margin"
    assert result.counts["not estimable"] >= 1
    assert result.verdict == "not estimable"
    assert result.title.startswith("No verdict on all: ")
    assert "no gap" not in result.title.lower()
    assert (result.exit_code(), result.exit_code(strict=True)) == (0, 4)
    known = judged(margins=(*wide, Margin("auc", None, "sex", "Unknown"), Margin("auc", None, "sex x view")))
    assert known.verdict == "no gap beyond the margin"
    assert known.title == "No gap beyond the margin of 0.5 in AUC"
    assert (known.exit_code(), known.exit_code(strict=True)) == (0, 0)


def test_without_margins_nothing_is_judged(judged: Judged) -> None:
    result = judged(margins=())
    assert result.verdict == "not estimable"
    assert result.title == "No verdict: nothing was judged"
    assert result.exit_code() == 5
    assert result.sentences == (
        "No comparison has a margin, so none was judged. Differences are shown without a verdict.",
    )


def test_the_smallest_gap_that_could_be_shown_is_in_every_row_that_has_an_error(result: CheckResult) -> None:
    known = result.contrasts[result.contrasts["standard_error"] > 0]
    assert np.allclose(known["minimal_detectable_gap"], 2.801585 * known["standard_error"], rtol=1e-5)
    open_ones = result.judged[(result.judged["verdict"] == "inconclusive") & (result.judged["standard_error"] > 0)]
    assert len(open_ones) > 0
    assert open_ones["sentence"].str.contains("would show a gap of", regex=False).all()


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"gap": 1, "not estimable": 5, "no gap beyond the margin": 9}, "gap"),
        ({"gap": 0, "not estimable": 1, "inconclusive": 3}, "not estimable"),
        ({"no gap beyond the margin": 3, "inconclusive": 1}, "inconclusive"),
        ({"no gap beyond the margin": 3}, "no gap beyond the margin"),
        ({}, "not estimable"),
    ],
)
def test_one_gap_is_a_gap_and_equality_needs_every_comparison(counts: dict[str, int], verdict: str) -> None:
    assert overall_verdict(counts) == verdict


def test_reasons_name_the_groups(result: CheckResult) -> None:
    reason = str(row(result, "sex", "Unknown")["reason"])
    assert reason.startswith("Unknown: ")
    assert "minuend" not in " ".join(result.contrasts["sentence"])
