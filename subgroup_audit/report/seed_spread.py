"""How far the fits of one cell lie apart when only the training seed differs: a row per cell, a dot per seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from subgroup_audit.report.axes import Axis, span_axis
from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.matrix import Cell, MatrixPanel
from subgroup_audit.report.numerals import decimal, interval, is_number
from subgroup_audit.schema import AuditResult

# Rows drawn over all panels; the table of fits holds every one.
MAX_ROWS = 300
# The height that a row's dots share, in pixels.
LANES = 18.0


@dataclass(frozen=True)
class SpreadRow:
    """One cell: where its mean, its interval and its seeds stand, in percent of the scale."""

    test_group: str
    mean_at: float
    low_at: float | None
    high_at: float | None
    seeds: tuple[float, ...]
    seeds_at: tuple[float, ...]
    sd: float
    cut: tuple[bool, bool]
    reading: str

    def lane(self, place: int) -> float:
        """How far below the middle of the row a seed's dot stands, in pixels, so that no dot hides another."""
        n_seeds = len(self.seeds)
        return round((place - (n_seeds - 1) / 2) * min(6.0, LANES / max(n_seeds - 1, 1)), 1)


@dataclass(frozen=True)
class SpreadBlock:
    """The cells of one training cohort."""

    train_cohort: str
    rows: tuple[SpreadRow, ...]


@dataclass(frozen=True)
class SeedSpread:
    """One panel, in the order of the matrices: `place` is the matrix's own."""

    place: int
    name: str
    axis: Axis
    blocks: tuple[SpreadBlock, ...]
    n_seeds: int
    n_left_out: int


def seed_spreads(panels: Sequence[MatrixPanel], names: Sequence[str], result: AuditResult) -> list[SeedSpread]:
    """A panel for each matrix whose cells have several seeds; at most `MAX_ROWS` rows in all."""
    by_cell = _seeds_by_cell(result.fits)
    found: list[SeedSpread] = []
    room = MAX_ROWS
    for place, (panel, name) in enumerate(zip(panels, names, strict=True)):
        spread = _panel(place, name, panel, by_cell, room)
        if spread is not None:
            found.append(spread)
            room -= sum(len(block.rows) for block in spread.blocks)
    return found


def _seeds_by_cell(fits: pd.DataFrame) -> dict[tuple[str, ...], list[float]]:
    keys = ("finding", "model", "recipe", "train_cohort", "test_group")
    tested = fits[(fits["split"] == "test") & fits["auc"].notna()]
    found: dict[tuple[str, ...], list[float]] = {}
    for row in rows_of(tested.sort_values("seed", kind="stable")):
        found.setdefault(tuple(str(row[key]) for key in keys), []).append(float(row["auc"]))
    return found


def _panel(
    place: int, name: str, panel: MatrixPanel, by_cell: dict[tuple[str, ...], list[float]], room: int
) -> SeedSpread | None:
    drawn: list[tuple[Cell, list[float]]] = []
    for line in panel.cells:
        for cell in line:
            seeds = by_cell.get((panel.finding, panel.model, panel.recipe, cell.train_cohort, cell.test_group), [])
            if cell.shade is not None and len(seeds) > 1:
                drawn.append((cell, seeds))
    if not drawn or room <= 0:
        return None
    kept = drawn[:room]
    ends = [float(cell.row[end]) for cell, _ in kept for end in ("low", "high") if is_number(cell.row[end])]
    values = [*ends, *(value for _, seeds in kept for value in seeds)]
    axis = span_axis(min(values), min(1.0, max(values)))
    blocks: dict[str, list[SpreadRow]] = {}
    for cell, seeds in kept:
        blocks.setdefault(cell.train_cohort, []).append(_row(cell, seeds, axis))
    return SeedSpread(
        place=place,
        name=name,
        axis=axis,
        blocks=tuple(SpreadBlock(train, tuple(rows)) for train, rows in blocks.items()),
        n_seeds=max(len(seeds) for _, seeds in kept),
        n_left_out=len(drawn) - len(kept),
    )


def _row(cell: Cell, seeds: Sequence[float], axis: Axis) -> SpreadRow:
    row = cell.row
    low, high = row["low"], row["high"]
    listed = ", ".join(decimal(value) for value in seeds)
    return SpreadRow(
        test_group=cell.test_group,
        mean_at=axis.place(row["estimate"]),
        low_at=axis.place(low) if is_number(low) else None,
        high_at=axis.place(high) if is_number(high) else None,
        seeds=tuple(seeds),
        seeds_at=tuple(axis.place(value) for value in seeds),
        sd=float(row["seed_sd"]) if is_number(row["seed_sd"]) else float("nan"),
        cut=axis.cuts(low, high),
        reading=(
            f"Tested on {isolated(cell.test_group)}: mean AUC {decimal(row['estimate'])} "
            f"({interval(low, high)}), seeds {listed}"
        ),
    )
