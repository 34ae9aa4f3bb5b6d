"""Does the gap survive? Sentences that say no more than the intervals, the section, its table and its figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.page import render_page, section_order
from subgroup_audit.report.paper_figures import figure_makers, write_figures
from subgroup_audit.report.survival import (
    MAX_COMPARISONS,
    comparison_sentences,
    overall_sentence,
    survival,
    way_words,
)
from subgroup_audit.report.tables import paper_files, paper_table, report_tables
from subgroup_audit.schema import CASE_MIX_COLUMNS, AuditResult

Row = dict[str, Any]


def row(adjustment: str, estimate: float | None, verdict: str, **changes: Any) -> Row:
    """One row of `CASE_MIX_COLUMNS`, 0.04 wide to either side."""
    known: Row = {column.name: None for column in CASE_MIX_COLUMNS}
    known |= {
        "finding": "opacity",
        "model": "net",
        "recipe": "default",
        "train_cohort": "all",
        "test_group": "F",
        "other": "M",
        "attribute": "sex",
        "adjustment": adjustment,
        "held_equal": "",
        "estimate": estimate,
        "confidence_level": 0.95,
        "margin": 0.05,
        "verdict": verdict,
        "n_patients": 300,
        "n_images": 400,
        "n_effective": 380.0,
        "n_left_out": 0,
        "n_seeds": 1,
        "method": "a way",
        "status": "ok",
        "reason": "",
    }
    if estimate is not None:
        known |= {"low": estimate - 0.04, "high": estimate + 0.04, "standard_error": 0.02}
    return {**known, **changes}


def comparison(
    before: float,
    after: float,
    change: tuple[float, float],
    verdicts: tuple[str, str] = ("gap", "gap"),
    **changes: Any,
) -> list[Row]:
    moved = {"change": after - before, "change_low": change[0], "change_high": change[1]}
    return [
        row("as measured", before, verdicts[0]),
        row("matched", after, verdicts[1], held_equal="class x view", **moved, **changes),
        row("within view", after, verdicts[1], held_equal="view", **moved),
        row("xAUC", 0.01, "descriptive", margin=None),
    ]


SAID = [
    (
        comparison(-0.16, -0.12, (0.02, 0.06)),
        "With view made equal the gap shrinks from −0.160 to −0.120 (change +0.020 to +0.060): view explains part "
        "of it. A gap is still shown.",
    ),
    (
        comparison(-0.16, -0.159, (-0.01, 0.012)),
        "With view made equal the gap goes from −0.160 to −0.159 (change −0.010 to +0.012, which includes zero): "
        "view explains little of it. A gap is still shown.",
    ),
    (
        comparison(-0.16, -0.10, (-0.03, 0.15), ("gap", "inconclusive")),
        "With view made equal the gap goes from −0.160 to −0.100 (change −0.030 to +0.150, which includes zero): "
        "these data cannot tell how much of it view explains. The interval of what is left includes zero, which "
        "is not evidence of none.",
    ),
    (
        comparison(-0.16, -0.01, (0.1, 0.2), ("gap", "no gap beyond the margin")),
        "With view made equal the gap shrinks from −0.160 to −0.010 (change +0.100 to +0.200): view explains part "
        "of it. What is left is shown to be smaller than the margin.",
    ),
    (
        comparison(-0.06, 0.08, (0.1, 0.18)),
        "With view made equal the gap turns from −0.060 to +0.080 (change +0.100 to +0.180): view explains more "
        "than all of it. A gap is shown the other way round.",
    ),
    (
        comparison(-0.10, -0.15, (-0.08, -0.02)),
        "With view made equal the gap grows from −0.100 to −0.150 (change −0.080 to −0.020): view hid part of it. "
        "A gap is still shown.",
    ),
    (
        comparison(-0.03, -0.02, (-0.01, 0.03), ("inconclusive", "inconclusive")),
        "As measured neither a gap nor its absence is shown. With view made equal the difference goes from −0.030 "
        "to −0.020: inconclusive.",
    ),
]


@pytest.mark.parametrize(("rows", "text"), SAID)
def test_what_changed_is_said_as_far_as_the_change_is_shown(rows: list[Row], text: str) -> None:
    assert comparison_sentences(rows)[0] == text


def test_a_small_gap_is_never_explained_little() -> None:
    """A change inside the margin is no evidence where the gap itself is no larger."""
    said = comparison_sentences(comparison(-0.05, -0.045, (-0.03, 0.04)))[0]
    assert "these data cannot tell how much of it view explains" in said


def test_agreement_leavings_and_crossing_are_said() -> None:
    rows = comparison(-0.16, -0.12, (0.02, 0.06), n_left_out=14, n_images=386)
    rows[2] |= {"verdict": "inconclusive"}
    rows[3] |= {"estimate": -0.2, "low": -0.3, "high": -0.1}
    assert comparison_sentences(rows)[1:] == (
        "1 of 2 ways of making the mix equal show it.",
        "14 of 400 images are left out there: one group has too few persons of their kind.",
        "Across groups, positives of M outrank negatives of F more often than the reverse (+0.200): the scores of "
        "M lie higher, which no AUC within a group shows.",
    )


def test_what_cannot_be_asked_says_why() -> None:
    rows = [
        row("as measured", -0.16, "gap"),
        row("matched", None, "not estimable", reason="no other attribute varies"),
        row("weighted", None, "not estimable", reason="no other attribute varies"),
    ]
    assert comparison_sentences(rows) == ("It could not be asked at an equal mix: no other attribute varies.",)
    alone = [row("as measured", None, "not estimable", reason="no positive")]
    assert comparison_sentences(alone) == ("The gap could not be measured: no positive.",)


def test_the_first_screens_sentence_counts_what_is_still_shown() -> None:
    first = comparison(-0.16, -0.12, (0.02, 0.06))
    second = [{**r, "train_cohort": "F"} for r in comparison(-0.16, -0.02, (0.1, 0.2), ("gap", "inconclusive"))]
    assert overall_sentence(pd.DataFrame(first)) == "With view made equal, the gap is still shown."
    assert overall_sentence(pd.DataFrame(first + second)) == (
        "With view made equal, 1 of 2 subgroup gaps are still shown. The others are no longer shown, which is not "
        "evidence that they are gone."
    )
    none = comparison(-0.03, -0.02, (-0.01, 0.03), ("inconclusive", "inconclusive"))
    text = "As measured no subgroup gap is shown; with view made equal, none is."
    assert overall_sentence(pd.DataFrame(none)) == text
    hidden = comparison(-0.03, -0.09, (-0.1, -0.02), ("no gap beyond the margin", "gap"))
    assert overall_sentence(pd.DataFrame(hidden)) == text.replace("none", "1")
    assert comparison_sentences(hidden)[0].startswith("As measured a gap beyond the margin is excluded. With")
    assert overall_sentence(None) == ""


def test_clear_gaps_come_first_and_xauc_does_not_stretch_the_axis() -> None:
    weak = comparison(-0.03, -0.02, (-0.01, 0.03), ("inconclusive", "inconclusive"))
    strong = [{**r, "train_cohort": "F"} for r in comparison(-0.16, -0.12, (0.02, 0.06))]
    strong[3] |= {"estimate": 0.45, "low": 0.4, "high": 0.49}
    found = survival(pd.DataFrame(weak + strong), 0.05)
    assert found is not None
    assert [item.label for item in found.comparisons] == ["Trained on F: F − M", "Trained on all: F − M"]
    assert found.axis.high <= 0.22
    assert found.comparisons[0].ways[3].is_cut
    assert found.comparisons[0].ways[3].is_another_question
    assert found.total == 2
    assert survival(None, 0.05) is None


def test_every_way_has_words() -> None:
    assert way_words(row("within age band", 0.0, "gap")) == ("Within age band", "pairs of the same kind only")
    for name in ("as measured", "matched", "weighted", "regression", "xAUC"):
        label, note = way_words(row(name, 0.0, "gap", held_equal="view"))
        assert label
        assert note


def with_case_mix(run: RunContents, rows: list[Row]) -> RunContents:
    assert run.result is not None
    frames = {name: getattr(run.result, name) for name in ("estimates", "contrasts", "fits", "settings")}
    return replace(run, result=AuditResult(**frames, case_mix=pd.DataFrame(rows)))


def test_the_section_the_table_and_the_figure_are_there(contents: RunContents, tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script>"
    rows = [{**r, "test_group": hostile} for r in comparison(-0.16, -0.12, (0.02, 0.06))]
    run = with_case_mix(contents, rows)
    order = section_order(run)
    assert order[order.index("gaps") + 1] == "case_mix"
    page = render_page(run, report_tables(run))
    assert 'id="case_mix"' in page
    assert "Does the gap survive?" in page
    assert "view explains part of it" in page
    assert hostile not in page
    assert "Inverse-probability" not in page
    table = paper_table("case_mix", report_tables(run)["case_mix"])
    files = paper_files("case_mix", report_tables(run)["case_mix"])
    assert table["Mix"].tolist() == ["As measured", "Same mix", "Within view", "Across groups (xAUC)"]
    assert table["Change"].tolist() == ["–", "+0.040", "+0.040", "–"]
    assert r"\caption{Subgroup gaps as measured" in files["case_mix.tex"]
    assert "case_mix" in figure_makers(run)
    written = [path.name for path in write_figures(figure_makers(replace(run, history=None)), tmp_path)]
    assert {"case_mix.svg", "case_mix.pdf", "case_mix.png"} <= set(written)


def test_without_a_case_mix_there_is_no_section(contents: RunContents) -> None:
    assert "case_mix" not in section_order(contents)
    assert "case_mix" not in report_tables(contents)
    assert "case_mix" not in figure_makers(contents)


def test_many_comparisons_are_cut_and_folded(contents: RunContents) -> None:
    rows = [
        {**r, "train_cohort": f"cohort {number}"}
        for number in range(MAX_COMPARISONS + 3)
        for r in comparison(-0.16, -0.12, (0.02, 0.06))
    ]
    run = with_case_mix(contents, rows)
    page = render_page(run, report_tables(run))
    assert f"The {MAX_COMPARISONS} most important of {MAX_COMPARISONS + 3} comparisons" in page
    assert f"{MAX_COMPARISONS - 4} more comparisons" in page
