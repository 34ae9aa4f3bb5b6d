"""Who is in the cohorts: the flow, Table 1, what balancing cost, and the leakage certificate, as rows to show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import distinct, rows_of
from subgroup_audit.report.matrix import in_order
from subgroup_audit.report.numerals import ABSENT, count, decimal, is_number, percent
from subgroup_audit.schema import SPLITS
from subgroup_audit.study import Study

# An absolute standardised mean difference above this is usually called an imbalance (Austin 2009).
IMBALANCE = 0.1
MAX_CEILING_ROWS = 120
WHOLE = "all"
# A level that other cohorts have and this one, whose levels of the variable are known, has not.
NOBODY = ("0", "", False)


@dataclass(frozen=True)
class FlowStep:
    """One step, or several that left nothing out: what was left out and why, and what was left.

    Attributes
    ----------
    quiet : the steps after this one that left nothing out
    """

    step: str
    exclusions: tuple[tuple[str, int, int | None], ...]
    left_images: int | None
    left_patients: int | None
    quiet: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlowColumn:
    """The steps of one cohort in order, then its splits; cohort '' holds the steps that all cohorts share."""

    cohort: str
    steps: tuple[FlowStep, ...]
    splits: tuple[FlowStep, ...] = ()


@dataclass(frozen=True)
class GridRow:
    """One line of Table 1: a variable's level and its text in every cohort."""

    variable: str
    level: str
    is_first: bool
    cells: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Grid:
    """Table 1 of one split: cohorts side by side; each cell is (text, difference, whether imbalanced)."""

    split: str
    cohorts: tuple[str, ...]
    rows: tuple[GridRow, ...]


def flow_columns(flow: pd.DataFrame, study: Study) -> list[FlowColumn]:
    """The flow, shared steps first, then a column per cohort; rows of one step are one box."""
    names = flow["cohort"].fillna("").astype("str")
    order = ["", *in_order([name for name in distinct(names) if name], list(study.cohorts))]
    return [_flow_column(name, flow[names == name]) for name in order if name in set(names.tolist())]


def _flow_column(cohort: str, rows: pd.DataFrame) -> FlowColumn:
    """A cohort's splits stand beside each other: none follows from another."""
    steps = _flow_steps(rows)
    splits = tuple(step for step in steps if cohort and step.step in SPLITS)
    return FlowColumn(cohort, _joined([step for step in steps if step not in splits]), splits)


def _joined(steps: list[FlowStep]) -> tuple[FlowStep, ...]:
    """The steps, those that left out nothing told at the step before them instead of as a box of their own."""
    found: list[FlowStep] = []
    for step in steps:
        before = found[-1] if found else None
        is_quiet = not step.exclusions and before is not None and before.left_images == step.left_images
        if is_quiet and before is not None:
            persons = step.left_patients if before.left_patients is None else before.left_patients
            found[-1] = replace(before, left_patients=persons, quiet=(*before.quiet, step.step))
        else:
            found.append(step)
    return tuple(found)


def split_sizes(flow: pd.DataFrame) -> dict[str, dict[str, int]]:
    """The number of images of each cohort's splits, by cohort and split."""
    sizes: dict[str, dict[str, int]] = {}
    for row in rows_of(flow):
        if _text(row["cohort"]) and row["step"] in SPLITS and is_number(row["left_images"]):
            sizes.setdefault(str(row["cohort"]), {})[str(row["step"])] = round(float(row["left_images"]))
    return sizes


def _flow_steps(rows: pd.DataFrame) -> tuple[FlowStep, ...]:
    steps: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(rows):
        steps.setdefault(str(row["step"]), []).append(row)
    return tuple(_flow_step(step, found) for step, found in steps.items())


def _flow_step(step: str, rows: list[dict[str, Any]]) -> FlowStep:
    """One box. A row that removes nothing and has no reason only says how many there are."""
    left = rows[-1]
    excluded = tuple(
        (str(row["reason"]), int(row["n_images"]), _whole(row["n_patients"]))
        for row in rows
        if is_number(row["n_images"]) and row["n_images"] > 0 and _text(row["reason"])
    )
    return FlowStep(step, excluded, _whole(left["left_images"]), _whole(left["left_patients"]))


def _whole(value: Any) -> int | None:
    return round(float(value)) if is_number(value) else None


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def table1_grids(table1: pd.DataFrame, study: Study) -> list[Grid]:
    """Table 1, one grid per split, train first; cohorts in the study's order."""
    splits = in_order(distinct(table1["split"]), [WHOLE, *SPLITS])
    cohorts = in_order(distinct(table1["cohort"]), list(study.cohorts))
    return [_grid(table1[table1["split"].astype("str") == split], split, cohorts, study) for split in splits]


def _grid(rows: pd.DataFrame, split: str, cohorts: tuple[str, ...], study: Study) -> Grid:
    stored: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows_of(rows):
        line = stored.setdefault((_text(row["variable"]), _text(row["level"])), {})
        line[str(row["cohort"])] = row
    present = tuple(name for name in cohorts if any(name in line for line in stored.values()))
    lines, previous = [], None
    for (variable, level), line in stored.items():
        is_first = variable != previous
        known = {name for key, found in stored.items() if key[0] == variable for name in found}
        cells = tuple(
            table1_cell(line.get(name), with_whole=is_first) if name in line or name not in known else NOBODY
            for name in present
        )
        lines.append(GridRow(*variable_words(variable, level, study), is_first, cells))
        previous = variable
    return Grid(split, present, tuple(lines))


def table1_cell(row: dict[str, Any] | None, *, with_whole: bool = True) -> tuple[str, str, bool]:
    """One entry of Table 1 as text, its standardised mean difference, and whether that is an imbalance.

    What holds for the whole variable, the missing values and the difference, is said once: at its first level.

    >>> table1_cell({"n": 120, "percent": 50.0, "mean": None, "sd": None, "smd": 0.21})
    ('120 (50.0 %)', '0.21', True)
    """
    if row is None:
        return ABSENT, "", False
    if is_number(row["mean"]):
        text = f"{decimal(row['mean'], 1)} ± {decimal(row['sd'], 1)}"
    elif is_number(row["percent"]):
        text = f"{count(row['n'])} ({decimal(row['percent'], 1)} %)"
    else:
        text = count(row["n"])
    if not with_whole:
        return text, "", False
    if is_number(row.get("missing")) and row["missing"] > 0:
        text += f", {count(row['missing'])} missing"
    smd = row.get("smd")
    shown = decimal(smd, 2) if is_number(smd) else ""
    return text, shown, bool(is_number(smd) and abs(float(smd)) > IMBALANCE)  # type: ignore[arg-type]


def limiting_cells(ceiling: pd.DataFrame, study: Study) -> list[dict[str, Any]]:
    """The cells that set the size of the cohorts: of all where all have the same size, else of each its own."""
    limiting = ceiling[ceiling["is_limiting"].astype("bool")]
    if study.balance.size == "equal" and limiting["ceiling"].notna().any():
        limiting = limiting[limiting["ceiling"] == limiting["ceiling"].min()]
    return rows_of(limiting)


def cell_words(cell: Any) -> str:
    """A balance cell in words.

    >>> cell_words("label=1, sex=F"), cell_words("label=not normal")
    ('finding present, sex F', 'label not normal')
    """
    words = {"label=1": "finding present", "label=0": "finding absent"}
    return ", ".join(words.get(part, part.replace("=", " ", 1)) for part in str(cell).split(", "))


def variable_words(variable: str, level: str, study: Study) -> tuple[str, str]:
    """A variable of Table 1 and its level in words."""
    named = {"age_years": "age in years", "patients": "persons"}.get(variable, variable.replace("_", " "))
    if variable in study.finding_names:
        level = {"0": "absent", "1": "present"}.get(level, level)
    return named, level


def ceiling_rows(ceiling: pd.DataFrame) -> list[dict[str, Any]]:
    """Every balance cell with `used_share`: the bar's length against what was available, in percent."""
    rows = rows_of(ceiling.head(MAX_CEILING_ROWS))
    most = max([float(row["available"]) for row in rows if is_number(row["available"])], default=1.0) or 1.0
    for row in rows:
        for name in ("available", "used"):
            row[f"{name}_width"] = round(100 * float(row[name]) / most, 2) if is_number(row[name]) else 0.0
    return rows


def leakage_rows(leakage: pd.DataFrame, image_level: pd.DataFrame | None) -> list[dict[str, Any]]:
    """The leakage certificate, each pair with what an image-level split of the same cohorts would leak.

    Joined by the names of the two cohorts; `image_level` is an empty text where it was not simulated.
    """
    column = image_level_column(image_level)
    simulated = {(row["train_cohort"], row["test_cohort"]): row.get(column or "") for row in rows_of(image_level)}
    rows = rows_of(leakage)
    for row in rows:
        share = simulated.get((row["train_cohort"], row["test_cohort"]))
        row["image_level"] = percent(share, 1) if is_number(share) else ""
        row["is_clean"] = not any(_leaks(row, name) for name in row if str(name).startswith("shared_"))
    return rows


def _leaks(row: dict[str, Any], name: str) -> bool:
    return bool(is_number(row[name]) and row[name] > 0)


def image_level_column(image_level: pd.DataFrame | None) -> str | None:
    """The column that holds the leaked share: the first whose name starts with 'share'."""
    if image_level is None:
        return None
    return next((str(name) for name in image_level.columns if str(name).startswith("share")), None)


def leaked_overall(image_level: pd.DataFrame | None) -> dict[str, Any] | None:
    """Images and leaked share of the row that stands for the whole data set; None where there is none."""
    column = image_level_column(image_level) or ""
    for row in rows_of(image_level):
        if not row["train_cohort"] and not row["test_cohort"] and is_number(row.get(column)):
            return {"images": row.get("n_images"), "share": row[column]}
    return None


def count_rows(counts: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The counts as header and lines of text, columns as they come."""
    header = [str(name).replace("n_", "").replace("_", " ") for name in counts.columns]
    lines = [[count(v) if is_number(v) else _text(v) for v in row.values()] for row in rows_of(counts)]
    return header, lines
