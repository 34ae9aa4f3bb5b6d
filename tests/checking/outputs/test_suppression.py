"""Withheld cells: whoever solves for a small count from everything that is shown must fail."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from subgroup_audit.checking.disclosure import TOTAL, cells_to_withhold, map_cells
from subgroup_audit.checking.formats import render
from subgroup_audit.checking.judging import judge
from subgroup_audit.checking.measures import measure
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.settings import CheckSettings
from subgroup_audit.report.check_page import render_check_page

LIMIT = 10
COUNTS = ("n_patients", "n_images", "n_positive", "n_negative")


def frame_of(sizes: dict[tuple[str, str], int]) -> pd.DataFrame:
    """Group columns with these numbers of images by sex and view, and their intersection."""
    rows = [pair for pair, size in sizes.items() for _ in range(size)]
    frame = pd.DataFrame(rows, columns=["sex", "view"])
    return frame.assign(**{"sex x view": frame["sex"] + ", " + frame["view"]})


def scored(sizes: dict[tuple[str, str], int], seed: int = 0) -> ScoredTable:
    """One image a person, 40 % positive, scored well enough."""
    groups = frame_of(sizes)
    rng = np.random.default_rng(seed)
    n_images = len(groups)
    y_true = (rng.random(n_images) < 0.4).astype(np.int8)
    y_score = 1 / (1 + np.exp(1.0 - 1.5 * y_true - rng.normal(size=n_images)))
    ids = np.arange(n_images).astype(str).astype(object)
    task = Task("m", "Pneumonia", np.arange(n_images), y_true, y_score)
    return ScoredTable(
        ids, np.arange(n_images), True, None, groups.astype("category"), (task,), ("3 rows.", "Read.")
    )


def possible(parts: np.ndarray, shown: list[tuple[np.ndarray, float]], row: np.ndarray) -> tuple[float, float]:
    """The range of a count, for whoever knows the atoms and every shown count, and that none is negative."""
    if not shown:
        return 0.0, np.inf
    A, b = np.array([line for line, _ in shown]), np.array([value for _, value in shown])
    ends = [linprog(sign * row, A_eq=A, b_eq=b, bounds=(0, None), method="highs") for sign in (1, -1)]
    return ends[0].fun, np.inf if ends[1].status == 3 else -ends[1].fun


def attack(result: CheckResult, table: ScoredTable, column: str, truth: np.ndarray) -> list[tuple[float, float]]:
    """What can be told of every small count of a column from the shown ones."""
    cell_map = map_cells(table.groups)
    atoms = np.bincount(cell_map.atom_of, weights=truth.astype(float), minlength=cell_map.parts.shape[1])
    estimates = result.estimates[~result.estimates["group"].str.startswith("all groups of ")]
    seen = {
        (row.attribute, row.group): float(getattr(row, column))
        for row in estimates[estimates["metric"] == "auc"].itertuples()
        if not pd.isna(getattr(row, column))
    }
    shown = [(cell_map.row(cell), value) for cell, value in seen.items()]
    for line, value in shown:
        assert value == line @ atoms
    small = [cell for cell, value in cell_map.of_cells(atoms).items() if value < LIMIT]
    assert not set(small) & set(seen)
    return [possible(cell_map.parts, shown, cell_map.row(cell)) for cell in small]


SIZES: dict[str, dict[tuple[str, str], int]] = {
    "one tiny group": {("F", "AP"): 120, ("F", "PA"): 150, ("M", "AP"): 130, ("M", "PA"): 160, ("U", "PA"): 4},
    "one tiny intersection": {("F", "AP"): 5, ("F", "PA"): 150, ("M", "AP"): 130, ("M", "PA"): 160},
    "two tiny groups": {("F", "AP"): 120, ("M", "PA"): 160, ("U", "PA"): 2, ("X", "AP"): 1},
    "a tiny group of two": {("F", "AP"): 7, ("F", "PA"): 2, ("M", "AP"): 130, ("M", "PA"): 160},
}


@pytest.mark.parametrize("name", SIZES)
def test_small_counts_cannot_be_solved_for(name: str) -> None:
    table = scored(SIZES[name])
    options = CheckSettings(suppress_below=LIMIT, measures=("auc",))
    result = judge(measure(table, options), table, options)
    y_true = table.tasks[0].y_true
    masks = {"n_images": np.ones(len(y_true)), "n_positive": y_true, "n_negative": 1 - y_true}
    ranges = [found for column, truth in masks.items() for found in attack(result, table, column, truth)]
    assert len(ranges) >= 3
    assert min(high - low for low, high in ranges) >= LIMIT - 1


def test_without_suppression_the_attack_succeeds() -> None:
    """The attacker of these tests is able: hiding the small cell alone lets it be solved for."""
    cell_map = map_cells(frame_of(SIZES["one tiny group"]))
    atoms = cell_map.count(np.arange(len(cell_map.atom_of)))
    values = cell_map.of_cells(atoms)
    shown = [(cell_map.row(cell), value) for cell, value in values.items() if value >= LIMIT]
    assert possible(cell_map.parts, shown, cell_map.row(("sex", "U"))) == pytest.approx((4, 4))


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=6, max_size=9),
    limit=st.integers(3, 12),
)
def test_no_pattern_of_counts_gives_a_small_one_away(sizes: list[int], limit: int) -> None:
    pairs = [(sex, view) for sex in "FMU" for view in ("AP", "PA", "L")]
    groups = frame_of({pair: size for pair, size in zip(pairs, sizes, strict=False) if size})
    if groups.empty:
        return
    cell_map = map_cells(groups)
    atoms = cell_map.count(np.arange(len(groups)))
    values = cell_map.of_cells(atoms)
    small = {cell for cell, value in values.items() if value < limit}
    withheld = cells_to_withhold(cell_map, small, [atoms], limit)
    shown = [(cell_map.row(cell), value) for cell, value in values.items() if cell not in withheld]
    assert small <= withheld
    for cell in small:
        low, high = possible(cell_map.parts, shown, cell_map.row(cell))
        assert high - low >= limit - 1 - 1e-6


def test_nothing_is_withheld_where_nothing_is_small() -> None:
    cell_map = map_cells(frame_of({("F", "AP"): 50, ("M", "AP"): 60, ("M", "PA"): 40}))
    assert cells_to_withhold(cell_map, set(), [np.array([50.0, 60.0, 40.0])], LIMIT) == set()


def test_a_total_that_tells_is_withheld_too() -> None:
    groups = pd.DataFrame({"sex": ["F"] * 40 + ["U"] * 3})
    cell_map = map_cells(groups)
    atoms = cell_map.count(np.arange(43))
    withheld = cells_to_withhold(cell_map, {("sex", "U")}, [atoms], LIMIT)
    assert withheld in ({("sex", "U"), ("sex", "F")}, {("sex", "U"), TOTAL})


@pytest.fixture(scope="module")
def hidden(table: ScoredTable, judged: Callable[..., CheckResult]) -> CheckResult:
    """The shared result, with counts below 10 withheld."""
    return judged(suppress_below=LIMIT)


def test_withheld_rows_hold_no_number(hidden: CheckResult) -> None:
    gone = hidden.estimates[hidden.estimates["status"] == "suppressed"]
    assert {("sex", "Unknown")} <= set(zip(gone["attribute"], gone["group"], strict=True))
    assert gone[["estimate", "low", "high", "standard_error", "threshold"]].isna().all().all()
    unknown = gone[gone["group"] == "Unknown"]
    assert unknown[list(COUNTS)].isna().all().all()
    gaps = hidden.contrasts[hidden.contrasts["status"] == "suppressed"]
    assert gaps[["estimate", "low", "high", "p_value", "p_adjusted", "n_patients"]].isna().all().all()
    assert not gaps["sentence"].str.replace("F1", "").str.contains(r"\d").any()
    assert (
        not (gone["reason"].str.replace("below 10", "") + gaps["reason"].str.replace("below 10", ""))
        .str.contains(r"\d")
        .any()
    )


def test_verdicts_and_the_exit_code_stay(hidden: CheckResult, result: CheckResult) -> None:
    assert hidden.contrasts["verdict"].tolist() == result.contrasts["verdict"].tolist()
    assert (hidden.verdict, hidden.exit_code(strict=True)) == (result.verdict, result.exit_code(strict=True))


def test_a_confusion_cell_cannot_be_worked_out(hidden: CheckResult, table: ScoredTable) -> None:
    """Shares and the sizes of their groups give the four counts back: none below the limit may come out."""
    estimates = hidden.estimates
    auc = estimates[estimates["metric"] == "auc"].set_index(["attribute", "group"])
    n_seen = 0
    for metric, size in (("sensitivity", "n_positive"), ("specificity", "n_negative")):
        rows = estimates[(estimates["metric"] == metric) & estimates["estimate"].notna()]
        for row in rows.itertuples():
            n_class = auc.loc[(row.attribute, row.group), size]
            found = row.estimate * float(n_class)
            assert min(found, float(n_class) - found) > LIMIT - 0.5
            n_seen += 1
    assert n_seen > 0


def test_curves_step_over_many_images(hidden: CheckResult, result: CheckResult) -> None:
    auc = hidden.estimates[hidden.estimates["metric"] == "auc"].set_index(["attribute", "group"])
    n_curves = 0
    for key, points in hidden.curves["roc"].groupby(["attribute", "group"]):
        sizes = auc.loc[key]
        for column, size in (("sensitivity", "n_positive"), ("false_positive_rate", "n_negative")):
            counts = np.sort(np.concatenate([[0.0, float(sizes[size])], points[column] * float(sizes[size])]))
            steps = np.diff(counts)
            assert ((steps < 1e-6) | (steps > LIMIT - 1e-6)).all(), (key, column)
        n_curves += 1
    assert n_curves >= 3
    assert "threshold" not in hidden.curves["roc"]
    assert len(hidden.curves["roc"]) < len(result.curves["roc"])
    assert len(hidden.curves["net_benefit"]) == 0


def test_no_output_shows_what_is_withheld(hidden: CheckResult) -> None:
    """JSON, page, card, CSV and text all come from the same frames: a small group's numbers are in none."""
    page = render_check_page(hidden)
    embedded = [
        base64.b64decode(text).decode()
        for text in re.findall(r"csv;charset=utf-8;base64,([^\"]+)", unescape(page))
    ]
    rows = [line for text in embedded for line in text.splitlines() if ",sex,Unknown," in line]
    assert rows
    assert all("suppressed" in line for line in rows)
    document = json.loads(hidden.to_json())
    for row in document["estimates"]:
        if row["group"] == "Unknown":
            assert row["status"] == "suppressed"
            assert all(row[name] is None for name in (*COUNTS, "estimate", "low", "high", "standard_error"))
    assert "2 rows." not in page + hidden.to_json() + render(hidden, "full")
    line = next(line for line in render(hidden, "markdown").splitlines() if "| sex | Unknown |" in line)
    assert line.endswith("| - | - | suppressed | - |")


def test_a_group_of_one_class_is_withheld(judged: Any) -> None:
    sizes = {("F", "AP"): 200, ("M", "AP"): 200, ("X", "AP"): 30}
    table = scored(sizes)
    y_true = table.tasks[0].y_true.copy()
    y_true[-30:] = 0
    task = Task("m", "Pneumonia", table.tasks[0].rows, y_true, table.tasks[0].y_score)
    odd = ScoredTable(table.image_id, table.person, True, None, table.groups, (task,))
    options = CheckSettings(suppress_below=LIMIT, measures=("auc",))
    result = judge(measure(odd, options), odd, options)
    shown = result.estimates[(result.estimates["attribute"] == "sex") & (result.estimates["group"] == "X")]
    assert set(shown["status"]) == {"suppressed"}
