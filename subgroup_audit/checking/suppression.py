"""Small cells withheld for publication: in the frames themselves, so that every output shows the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.disclosure import TOTAL, Cell, CellMap, Vector, cells_to_withhold, map_cells
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.words import counted, subject

# Every other measure follows from the four counts at an operating point, and so would tell them.
WITHOUT_COUNTS = frozenset(
    {
        "auc",
        "average_precision",
        "calibration_slope",
        "calibration_intercept",
        "expected_calibration_error",
        "brier_score",
    }
)
CONFUSION_COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")
# Curves of shown groups: those that follow from counts at one operating point, and those whose points are steps
# of single images, which are thinned until every step is of many.
COUNT_CURVES = ("confusion", "operating_points")
STEP_CURVES = ("roc", "precision_recall")
BIN_CURVES = ("reliability", "brier_decomposition")
CURVE_KEY = ("model", "finding", "split", "attribute", "group")
SUBJECT = ("kind", "model", "finding", "attribute", "group", "reference", "metric")
SLACK = 1e-6
Places: TypeAlias = NDArray[np.int64]

PARITY = "all groups of "
NUMBERS = ("threshold", "estimate", "low", "high", "standard_error")
GAP_NUMBERS = (
    "minuend_estimate",
    "subtrahend_estimate",
    "estimate",
    "low",
    "high",
    "standard_error",
    "p_value",
    "p_adjusted",
    "minimal_detectable_gap",
)
COUNTS = ("n_patients", "n_images", "n_positive", "n_negative")


@dataclass(frozen=True, eq=False)
class Withheld:
    """What is withheld: cells with everything, cells with what follows from confusion counts, and with curves."""

    cells: frozenset[Cell]
    confusion: frozenset[Cell]
    reliability: frozenset[Cell]
    limit: int

    @property
    def reason(self) -> str:
        """Why, in words that tell no count."""
        return f"withheld: a count below {self.limit}, or one that would reveal such a count"


def suppress(result: CheckResult, table: ScoredTable, limit: int) -> CheckResult:
    """The result without counts below `limit` and without what would let them be worked out.

    A group is withheld as a whole, in every model, finding and split, where one of its counts of persons, images,
    positives or negatives is below the limit, and so are further groups or totals from which it would follow.
    Its verdicts stay, their numbers go. Where a confusion cell of a shown group is below the limit, everything
    that follows from the four counts goes for that group, and for the groups or totals that would reveal it.
    ROC and precision-recall curves lose points until every step is of at least `limit` images, and net benefit
    curves and notes with figures go altogether.
    """
    withheld = _what_to_withhold(result, table, limit)
    kept_notes = tuple(note for note in result.notes if not any(letter.isdigit() for letter in note))
    return replace(
        result,
        estimates=_estimates(result.estimates, withheld),
        contrasts=_contrasts(result.contrasts, withheld),
        curves={name: _curve(name, frame, table, withheld) for name, frame in result.curves.items()},
        notes=(*kept_notes, *_said(withheld, len(result.notes) - len(kept_notes))),
    )


def _what_to_withhold(result: CheckResult, table: ScoredTable, limit: int) -> Withheld:
    cell_map = map_cells(table.groups)
    counts = _counts(table, cell_map, set(result.estimates["split"]))
    small = _small_cells(table, cell_map, set(result.estimates["split"]), limit)
    cells = cells_to_withhold(cell_map, small, counts, limit)
    confusion = _by_layer(result, cell_map, cells, counts, limit, _small_confusion)
    reliability = _by_layer(result, cell_map, cells, counts, limit, _small_bins)
    return Withheld(frozenset(cells), frozenset(confusion), frozenset(reliability), limit)


def _by_layer(
    result: CheckResult,
    cell_map: CellMap,
    cells: Collection[Cell],
    counts: list[Vector],
    limit: int,
    small_ones: Callable[[Mapping[str, pd.DataFrame], int], set[Cell]],
) -> set[Cell]:
    """The cells that a layer of finer counts withholds: those withheld anyway, its own small ones, and more."""
    small = small_ones(result.curves, limit) & set(cell_map.cells)
    return cells_to_withhold(cell_map, {*cells, *small}, counts, limit) if small - set(cells) else set(cells)


def _counts(table: ScoredTable, cell_map: CellMap, splits: set[str]) -> list[Vector]:
    """The counts by atom of images, positives, negatives and persons, each distinct table of them once."""
    found: dict[bytes, Vector] = {}
    for task in table.tasks:
        for split in splits:
            for images in _classes(table, task, split):
                atoms = cell_map.count(images)
                found.setdefault(atoms.tobytes(), atoms)
    return list(found.values())


def _classes(table: ScoredTable, task: Task, split: str) -> tuple[Places, Places, Places, Places]:
    """The images, the positive and the negative ones, and one image of each person."""
    chosen = np.ones(len(task.rows), dtype=bool) if table.split is None else table.split[task.rows] == split
    rows, labels = task.rows[chosen], task.y_true[chosen]
    _, first = np.unique(table.person[rows], return_index=True)
    return rows, rows[labels == 1], rows[labels == 0], rows[np.sort(first)]


def _small_cells(table: ScoredTable, cell_map: CellMap, splits: set[str], limit: int) -> set[Cell]:
    """The cells with a count of persons, images, positives or negatives below the limit, in any task and split."""
    found: set[Cell] = set()
    for task in table.tasks:
        for split in splits:
            rows, positives, negatives, _ = _classes(table, task, split)
            for cell in set(cell_map.cells) - found:
                inside = cell_map.row(cell)[cell_map.atom_of] > 0
                counted_images = [int(inside[images].sum()) for images in (rows, positives, negatives)]
                if min(*counted_images, len(np.unique(table.person[rows[inside[rows]]]))) < limit:
                    found.add(cell)
    return found


def _small_confusion(curves: Mapping[str, pd.DataFrame], limit: int) -> set[Cell]:
    return _cells_below(curves.get("confusion"), CONFUSION_COUNTS, limit)


def _small_bins(curves: Mapping[str, pd.DataFrame], limit: int) -> set[Cell]:
    frame = curves.get("reliability")
    if frame is None:
        return set()
    bins = frame.assign(n_negative=frame["n_images"] - frame["n_positive"])
    return _cells_below(bins, ("n_images", "n_positive", "n_negative"), limit)


def _cells_below(frame: pd.DataFrame | None, columns: Iterable[str], limit: int) -> set[Cell]:
    if frame is None:
        return set()
    low = frame[(frame[list(columns)] < limit).any(axis=1)]
    return set(zip(low["attribute"], low["group"], strict=True))


def _is_in(frame: pd.DataFrame, cells: Collection[Cell], group: str = "group") -> pd.Series:
    """Whether each row is of one of the cells; a summary over an attribute is, where any of its groups is."""
    attributes = {attribute for attribute, _ in cells if attribute}
    pairs = zip(frame["attribute"].astype(str), frame[group].astype(str), strict=True)
    inside = [pair in cells or (pair[1].startswith(PARITY) and pair[0] in attributes) for pair in pairs]
    return pd.Series(inside, index=frame.index, dtype=bool)


def _estimates(frame: pd.DataFrame, withheld: Withheld) -> pd.DataFrame:
    gone = _is_in(frame, withheld.cells)
    rates = _is_in(frame, withheld.confusion) & ~frame["metric"].isin(WITHOUT_COUNTS)
    kept = frame.copy()
    kept.loc[gone | rates, list(NUMBERS)] = np.nan
    kept.loc[gone, list(COUNTS)] = pd.NA
    # A group's own operating point is the score of one image.
    kept.loc[kept["threshold_rule"].str.startswith("per group"), "threshold"] = np.nan
    return _marked(kept, gone | rates, withheld.reason)


def _contrasts(frame: pd.DataFrame, withheld: Withheld) -> pd.DataFrame:
    between_groups = frame["kind"] == "subgroup_gap"

    def touches(cells: Collection[Cell]) -> pd.Series:
        return _is_in(frame, cells) | (between_groups & _is_in(frame, cells, "reference"))

    gone = touches(withheld.cells) | (touches(withheld.confusion) & ~frame["metric"].isin(WITHOUT_COUNTS))
    kept = frame.copy()
    kept.loc[gone, list(GAP_NUMBERS)] = np.nan
    kept.loc[gone, "n_patients"] = pd.NA
    several = frame["model"].nunique() > 1
    subjects = kept.loc[gone, [*SUBJECT]].apply(lambda row: subject(dict(row), names_model=several), axis=1)
    if gone.any():
        kept.loc[gone, "sentence"] = subjects + ": " + kept.loc[gone, "verdict"] + ". Its numbers are withheld."
    return _marked(kept, gone, withheld.reason)


def _marked(frame: pd.DataFrame, rows: pd.Series, reason: str) -> pd.DataFrame:
    frame.loc[rows, "status"] = "suppressed"
    frame.loc[rows, "reason"] = reason
    return frame


def _curve(name: str, frame: pd.DataFrame, table: ScoredTable, withheld: Withheld) -> pd.DataFrame:
    """The rows of a curve that may be shown; none of a curve that is not known here."""
    if name in COUNT_CURVES:
        # A group's own operating point is the score of one image.
        kept = frame[~_is_in(frame, withheld.confusion) & ~frame["threshold_rule"].str.startswith("per group")]
    elif name in BIN_CURVES:
        kept = frame[~_is_in(frame, withheld.reliability)]
    elif name in STEP_CURVES:
        return _thinned(frame[~_is_in(frame, withheld.cells)], name, table, withheld.limit)
    else:
        kept = frame.iloc[:0]
    return kept.reset_index(drop=True)


def _thinned(frame: pd.DataFrame, name: str, table: ScoredTable, limit: int) -> pd.DataFrame:
    """The curve without its thresholds, each of which is a score, and with steps of many images only."""
    cell_map = map_cells(table.groups)
    tasks = {(task.model, task.finding): task for task in table.tasks}
    kept = []
    for key, points in frame.groupby(list(CURVE_KEY), sort=False):
        model, finding, split, attribute, group = map(str, tuple(key))
        _, positives, negatives, _ = _classes(table, tasks[model, finding], split)
        inside = cell_map.row((attribute, group))[cell_map.atom_of] > 0
        n_positive, n_negative = (float(inside[images].sum()) for images in (positives, negatives))
        counts = _steps(name, points, n_positive, n_negative)
        kept.append(points[_coarse(counts, limit)])
    thinned = pd.concat(kept) if kept else frame
    return thinned.drop(columns=[c for c in ("threshold",) if c in thinned.columns]).reset_index(drop=True)


def _steps(name: str, points: pd.DataFrame, n_positive: float, n_negative: float) -> Vector:
    """How many positives and negatives each point of a curve counts, [points, 2]."""
    if name == "roc":
        return np.column_stack([points["sensitivity"] * n_positive, points["false_positive_rate"] * n_negative])
    true = points["recall"].to_numpy(dtype=float) * n_positive
    precision = points["precision"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        flagged = np.where(precision > 0, true / precision, true)
    return np.column_stack([true, flagged - true])


def _coarse(counts: Vector, limit: int) -> Vector:
    """Which points to keep: between two kept ones lie `limit` images of a class or none, and not none of both."""
    order = np.lexsort((counts[:, 0], counts[:, 1] + counts[:, 0]))
    last = counts[order[-1]]
    kept = [order[0]]
    for place in order[1:]:
        if _is_wide(counts[place] - counts[kept[-1]], limit) and _is_wide(last - counts[place], limit):
            kept.append(place)
    if not _is_wide(last - counts[kept[-1]], limit):
        kept = kept[:-1]
    chosen = np.zeros(len(counts), dtype=bool)
    chosen[[*kept, order[-1]]] = True
    return chosen


def _is_wide(step: Vector, limit: int) -> bool:
    small = (step > SLACK) & (step < limit - SLACK)
    return bool(not small.any() and (step >= limit - SLACK).any())


def _said(withheld: Withheld, n_notes: int) -> tuple[str, ...]:
    """What was withheld, in sentences."""
    said = [
        f"Counts below {withheld.limit} are withheld, with {counted(len(withheld.cells), 'group')} in which one "
        "occurs or from which one could be worked out. Their verdicts stay, their numbers do not."
    ]
    if TOTAL in withheld.cells:
        said.append("The totals are withheld too: with them a small count could be worked out.")
    if withheld.confusion - withheld.cells:
        said.append(
            f"Measures at an operating point are withheld for {counted(len(withheld.confusion), 'group')}: "
            f"a confusion cell below {withheld.limit} follows from them."
        )
    if n_notes:
        said.append(f"{counted(n_notes, 'note')} on the data held figures and stay withheld.")
    return tuple(said)
