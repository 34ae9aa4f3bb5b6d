"""Gaps as rows: order, places on the axis, verdicts, and what is left to the table."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.report import RunContents
from subgroup_audit.report.axes import auc_axis, difference_axis
from subgroup_audit.report.gaps import (
    MAX_ROWS,
    dumbbell,
    forest,
    margin_of,
    ranked,
    verdict_counts,
    verdict_key,
)


def test_gaps_come_first_then_size(contents: RunContents) -> None:
    rows = ranked(contents.result.contrasts)
    tested = rows[rows["verdict"] != "descriptive"]
    order = {"gap": 0, "inconclusive": 1, "no gap beyond the margin": 2, "not estimable": 3}
    places = tested["verdict"].map(order).tolist()
    assert places == sorted(places)
    gaps = tested[tested["verdict"] == "gap"]
    is_kept = gaps["p_adjusted"] < 0.05
    assert is_kept.tolist() == sorted(is_kept, reverse=True)
    for part in (gaps[is_kept], gaps[~is_kept]):
        sizes = part["estimate"].abs().tolist()
        assert len(sizes) > 1
        assert sizes == sorted(sizes, reverse=True)


def test_verdicts_are_counted_without_the_descriptive_ones(contents: RunContents) -> None:
    counts = verdict_counts(contents.result.contrasts)
    kinds = contents.result.contrasts["kind"]
    assert sum(counts.values()) == int((kinds != "generalization_gap").sum())
    assert "descriptive" not in counts


@given(st.floats(-1, 1), st.floats(0.01, 0.2))
def test_zero_is_in_the_middle_and_places_keep_order(value: float, margin: float) -> None:
    axis = difference_axis([value], margin)
    assert axis.place(0.0) == 50.0
    assert axis.place(-margin) < 50.0 < axis.place(margin)
    assert 0.0 <= axis.place(value) <= 100.0
    assert 2 <= len(axis.ticks) <= 6


def test_an_unknown_cell_does_not_squeeze_the_others() -> None:
    assert difference_axis([0.02, 3.0, float("nan")], 0.05).high == 0.5


def test_the_auc_axis_shows_chance_and_whatever_lies_below() -> None:
    assert auc_axis([0.8]).low == 0.5
    assert auc_axis([0.38]).low == pytest.approx(0.3)


def test_a_row_without_an_estimate_has_no_place(contents: RunContents) -> None:
    rows = forest(contents.result.contrasts, "subgroup_gap", contents.study).rows
    absent = [row for row in rows if row.verdict_key == "absent"]
    assert len(absent) == 4
    assert all(row.at is None and row.low_at is None for row in absent)


def test_labels_say_what_is_subtracted_from_what(contents: RunContents) -> None:
    rows = forest(contents.result.contrasts, "subgroup_gap", contents.study).rows
    assert "Trained on F_PA: F_PA − M_PA" in {row.label for row in rows}
    rows = forest(contents.result.contrasts, "transfer_gap", contents.study).rows
    assert "Tested on F_PA: trained on F_PA − M_PA" in {row.label for row in rows}


def test_many_gaps_are_cut_and_the_total_is_kept(contents: RunContents) -> None:
    many = pd.concat([contents.result.contrasts] * 5, ignore_index=True)
    gaps = forest(many, "subgroup_gap", contents.study)
    assert len(gaps.rows) == MAX_ROWS
    assert gaps.total == 200


def test_the_margin_is_the_stored_one(contents: RunContents) -> None:
    contrasts = contents.result.contrasts
    assert margin_of(contrasts, contents.study) == 0.05
    assert margin_of(contrasts.assign(margin=0.1), contents.study) == 0.1
    assert margin_of(contrasts.iloc[:0], contents.study) == contents.study.analysis.margin


def test_the_dumbbell_is_widest_first_and_carries_published_values(contents: RunContents) -> None:
    pairs = dumbbell(contents.result.contrasts, contents.study)
    gaps = [row.row["estimate"] for row in pairs.rows]
    assert gaps == sorted(gaps, reverse=True)
    marked = [row for row in pairs.rows if row.references]
    assert [(row.label, row.context) for row in marked] == [("F_PA", "resnet101")]
    assert [(r.split, r.value) for r, _ in marked[0].references] == [("train", 0.93), ("test", 0.55)]


def test_a_gap_that_correction_takes_away_says_so(contents: RunContents) -> None:
    rows = forest(contents.result.contrasts, "subgroup_gap", contents.study).rows
    away = [row for row in rows if row.is_corrected_away]
    assert {row.verdict_key for row in away} == {"gap"}
    assert all(row.row["p_adjusted"] >= 0.05 for row in away)


def test_a_name_that_turns_the_direction_of_writing_turns_only_itself(hostile: RunContents) -> None:
    rows = forest(hostile.result.contrasts, "subgroup_gap", hostile.study).rows
    label = next(row.label for row in rows if "script" in row.label)
    assert label.count("\u2068") == label.count("\u2069") >= 1
    assert "M_PA" in {part.strip() for row in rows for part in row.label.split("−")}


def test_an_unknown_verdict_counts_as_not_estimable() -> None:
    assert verdict_key("surprise") == "absent"
