"""Estimates of cells: AUC by seed, its mean over seeds, its interval, and its replicates from shared draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import Cell, CellName
from subgroup_audit.schema import ESTIMATE_COLUMNS, FIT_COLUMNS
from subgroup_audit.stats import (
    AucComponents,
    LabelledImages,
    PackedComponents,
    PersonDraws,
    SeedEstimate,
    average_over_seeds,
    bootstrap_interval,
)
from subgroup_audit.study import Analysis

# Lower and upper simultaneous limit, and how they were had.
Band: TypeAlias = tuple[float, float, str]


class ComponentsBySeed(Mapping[int, AucComponents]):
    """Training seed -> components of that fit's AUC; worked out from packed counts when asked for."""

    def __init__(self, seeds: Iterable[int], packed: PackedComponents) -> None:
        self._places = {seed: place for place, seed in enumerate(seeds)}
        self._packed = packed

    def __getitem__(self, seed: int) -> AucComponents:
        """One fit's components."""
        return self._packed[self._places[seed]]

    def __iter__(self) -> Iterator[int]:
        """The seeds, in their order."""
        return iter(self._places)

    def __len__(self) -> int:
        """Number of seeds."""
        return len(self._places)

    def aucs(self) -> dict[int, float]:
        """Seed -> AUC, nan where a class is missing: what is there without working out anything."""
        return {seed: self._packed.auc(place) for seed, place in self._places.items()}


@dataclass(frozen=True, eq=False)
class MeasuredCell:
    """A cell with its components by seed, its estimate, and its column of replicates."""

    cell: Cell
    components: ComponentsBySeed
    estimate: SeedEstimate
    replicates: NDArray[np.float64]

    @property
    def name(self) -> CellName:
        """What the cell is."""
        return self.cell.name


def measure_cells(
    cells: Sequence[Cell],
    draws: PersonDraws,
    analysis: Analysis,
    progress: Callable[[int, int], None] | None = None,
) -> dict[CellName, MeasuredCell]:
    """Every cell with its AUC over seeds, the default interval, and replicates from the shared draws.

    Cells of the same images are resampled together: the persons' counts are then gone through once for all.
    """
    together: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        together.setdefault((cell.name.finding, cell.name.split, cell.name.test_group), []).append(cell)
    measured: dict[CellName, MeasuredCell] = {}
    for group in together.values():
        images = LabelledImages(group[0].y_true, group[0].person)
        columns = _replicates(group, draws)
        for cell in group:
            measured[cell.name] = _measure(cell, images, columns[cell.name], analysis)
            if progress:
                progress(len(measured), len(cells))
    return {cell.name: measured[cell.name] for cell in cells}


def _replicates(cells: Sequence[Cell], draws: PersonDraws) -> dict[CellName, NDArray[np.float64]]:
    """Each cell's AUC in every resample, averaged over its seeds; the cells are of the same images."""
    y_true, person = cells[0].y_true, cells[0].person
    rows = [(y_true, score, person) for cell in cells for score in cell.by_seed.values()]
    columns = iter(draws.auc_replicates_many(rows))
    return {cell.name: np.mean([next(columns) for _ in cell.by_seed], axis=0) for cell in cells}


def _measure(
    cell: Cell, images: LabelledImages, replicates: NDArray[np.float64], analysis: Analysis
) -> MeasuredCell:
    components = ComponentsBySeed(cell.by_seed, images.pack(list(cell.by_seed.values())))
    estimate = average_over_seeds(
        list(components.values()), confidence_level=analysis.confidence_level, min_persons=analysis.min_persons
    )
    return MeasuredCell(cell, components, estimate, replicates)


def percentile_limits(
    replicates: NDArray[np.float64], estimate: float | None, confidence_level: float
) -> tuple[float | None, float | None]:
    """Percentile limits of a column of replicates; none where nothing was estimated."""
    if estimate is None or not np.isfinite(replicates).any():
        return None, None
    interval = bootstrap_interval(replicates, estimate, confidence_level=confidence_level)
    return interval.low, interval.high


def estimate_rows(cells: Iterable[MeasuredCell], bands: Mapping[CellName, Band]) -> pd.DataFrame:
    """`ESTIMATE_COLUMNS`, one row per cell; `bands` holds the simultaneous limits of the test cells."""
    return pd.DataFrame(
        [_estimate_row(cell, bands.get(cell.name)) for cell in cells], columns=_names(ESTIMATE_COLUMNS)
    )


def _names(columns: Sequence[Any]) -> list[str]:
    return [column.name for column in columns]


def _estimate_row(measured: MeasuredCell, band: Band | None) -> dict[str, Any]:
    found = measured.estimate
    low, high = percentile_limits(measured.replicates, found.estimate, found.confidence_level)
    return {
        **vars(measured.name),
        "metric": "auc",
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "confidence_level": found.confidence_level,
        "method": found.method,
        "bootstrap_low": low,
        "bootstrap_high": high,
        "band_low": band[0] if band else None,
        "band_high": band[1] if band else None,
        "band_method": band[2] if band else "",
        "patient_se": found.patient_se,
        "seed_sd": found.between_seed_sd,
        "n_patients": found.n_patients,
        "n_images": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "n_seeds": found.n_seeds,
        "status": found.status,
        "reason": found.reason,
    }


def fit_rows(
    cells: Iterable[MeasuredCell], fits: Mapping[tuple[str, str, str], Mapping[int, str]]
) -> pd.DataFrame:
    """`FIT_COLUMNS`, one row per fit and cell."""
    rows = [
        {
            **{key: getattr(cell.name, key) for key in ("train_cohort", "model", "recipe", "finding")},
            "fit_id": fits[cell.name.train_cohort, cell.name.model, cell.name.recipe][seed],
            "seed": seed,
            "split": cell.name.split,
            "test_group": cell.name.test_group,
            "auc": None if math.isnan(auc) else auc,
        }
        for cell in cells
        for seed, auc in cell.components.aucs().items()
    ]
    return pd.DataFrame(rows, columns=_names(FIT_COLUMNS))
