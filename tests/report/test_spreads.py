"""All groups of an attribute together, and gaps of gaps, on the page and in the tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.gaps import comparison_label
from subgroup_audit.report.methods import methods_paragraphs
from subgroup_audit.report.page import render_page
from subgroup_audit.report.sentences import cards, gap_sentence, limits_sentence
from subgroup_audit.report.spreads import spread_table, worst_group_sentences
from subgroup_audit.report.tables import paper_table, report_tables
from subgroup_audit.schema import SPREAD_COLUMNS, AuditResult


def make_spread(**changes: Any) -> dict[str, Any]:
    row = {
        "finding": "Lung opacity",
        "model": "densenet121",
        "recipe": "rmsprop",
        "train_cohort": "All",
        "attribute": "sex x view",
        "groups": "F_PA, M_PA, F_AP, M_AP",
        "n_groups": 4,
        "worst_group": "F_AP",
        "worst_estimate": 0.712,
        "worst_low": 0.655,
        "worst_high": 0.761,
        "no_group_below": 0.655,
        "best_group": "M_PA",
        "range": 0.094,
        "range_low": 0.012,
        "range_high": 0.171,
        "observed_sd": 0.04,
        "corrected_sd": 0.031,
        "p_equality": 0.013,
        "confidence_level": 0.95,
        "method": "max-T",
        "n_seeds": 3,
        "status": "ok",
        "reason": "",
    }
    assert set(row) == {column.name for column in SPREAD_COLUMNS}
    return {**row, **changes}


def with_spreads(contents: RunContents, *rows: dict[str, Any]) -> RunContents:
    result = contents.result
    assert result is not None
    return replace(contents, result=replace(result, spreads=pd.DataFrame(list(rows))))


def test_the_worst_group_is_said_with_limits_that_know_of_the_choosing() -> None:
    assert worst_group_sentences(pd.DataFrame([make_spread()])) == [
        "Worst group by sex x view: F_AP, AUC 0.712 (95 % limits 0.655 to 0.761, for 4 groups together), "
        "densenet121 trained on All."
    ]
    several = pd.DataFrame([make_spread(worst_estimate=0.75), make_spread(no_group_below=0.5)])
    assert worst_group_sentences(several) == [
        "Worst group by sex x view: F_AP, AUC 0.712 (95 % limits 0.655 to 0.761, for 4 groups together), "
        "densenet121 trained on All. It is the lowest of 2 such rows, and tends to be understated. A group with "
        "fewer persons could be worse: only an AUC below 0.500 is excluded."
    ]
    assert worst_group_sentences(None) == []


def test_rows_come_by_attribute_and_lowest_first() -> None:
    frame = pd.DataFrame(
        [
            make_spread(attribute="sex", worst_estimate=0.8),
            make_spread(worst_estimate=None, status="not estimable", reason="1 of 4 groups"),
            make_spread(worst_estimate=0.7),
            make_spread(attribute="sex", worst_estimate=0.6),
        ]
    )
    shown = [(one.row["attribute"], one.row["worst_estimate"]) for one in spread_table(frame)]
    assert shown[:3] == [("sex", 0.6), ("sex", 0.8), ("sex x view", 0.7)]
    assert spread_table(None) == []


def test_the_page_shows_the_groups_together(contents: RunContents) -> None:
    shown = with_spreads(
        contents, make_spread(), make_spread(train_cohort="F_PA", status="not estimable", reason="1 of 4 groups")
    )
    page = render_page(shown, report_tables(shown))
    assert "Worst group by sex x view: F_AP" in page
    assert "0.094 (0.012 to 0.171)" in page
    assert "1 of 4 groups" in page
    assert "permuted 0.04" in page
    assert "bootstrap max-T over 20 cells" in page
    without = render_page(contents, report_tables(contents))
    assert "All groups of an attribute together" not in without


def test_the_paper_table_has_the_limits(contents: RunContents) -> None:
    shown = with_spreads(contents, make_spread())
    line = paper_table("spreads", report_tables(shown)["spreads"]).iloc[0]
    assert (line["Worst group"], line["Limits"], line["Range"]) == ("F_AP", "0.655 to 0.761", "0.094")
    gaps = paper_table("gaps", report_tables(shown)["gaps"])
    assert "0.04" in set(gaps["p permutation"].str.slice(0, 4))
    matrix = paper_table("matrix", report_tables(shown)["matrix"])
    assert matrix["SD between seeds"].iloc[0] == "0.009"


@pytest.fixture
def interaction(contents: RunContents) -> RunContents:
    """The run with one gap of gaps."""
    result = contents.result
    assert result is not None
    first = result.contrasts[result.contrasts["kind"] == "subgroup_gap"].iloc[:1]
    row = first.assign(
        kind="gap_of_gaps", train_cohort="F_PA", test_group="F_PA", other="M_PA", minuend_estimate=-0.03,
        subtrahend_estimate=-0.05, estimate=0.02, low=-0.01, high=0.05, minimal_detectable_gap=0.043,
        verdict="inconclusive",
    )  # fmt: skip
    contrasts = pd.concat([result.contrasts, row], ignore_index=True)
    changed = AuditResult(result.estimates, contrasts, result.fits, result.settings)
    return replace(contents, result=changed)


def test_a_gap_of_gaps_is_said_in_words(interaction: RunContents) -> None:
    assert interaction.result is not None
    row = interaction.result.contrasts.iloc[-1].to_dict()
    assert comparison_label(row) == "F_PA − M_PA: trained on F_PA − trained on M_PA"
    assert gap_sentence(row).endswith(
        "differs by −0.030 AUC when trained on F_PA and by −0.050 when trained on M_PA."
    )
    assert "0.04 AUC for gaps of gaps" in limits_sentence(interaction.result.contrasts)
    assert "gap_of_gaps" in {card.kind for card in cards(interaction.result)}
    page = render_page(interaction, report_tables(interaction))
    assert "Gaps of gaps. Does the gap between two groups depend on which of them was trained on?" in page


def test_methods_say_when_there_is_one_seed(contents: RunContents) -> None:
    single = replace(contents, study=contents.study.model_copy(update={"seeds": (0,)}))
    assert (
        "with a single training seed the intervals are for these trained models" in methods_paragraphs(single)[3]
    )
    assert "averaged over seeds" in methods_paragraphs(contents)[3]
