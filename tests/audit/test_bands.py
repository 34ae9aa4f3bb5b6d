"""Bands over a matrix of seed means: all true AUCs are covered together, seeds included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from subgroup_audit.audit.bands import matrix_bands
from subgroup_audit.audit.cells import Cell, CellName, Members
from subgroup_audit.audit.estimates import ComponentsBySeed, MeasuredCell
from subgroup_audit.stats import LabelledImages, PersonDraws, average_over_seeds, max_t
from subgroup_audit.study import Analysis

N_TRAIN, N_TEST, N_SEEDS = 4, 2, 3
LABELS = np.repeat([1, 0], [80, 160])


def _matrix(rng: np.random.Generator, tau: float, n_resamples: int) -> list[MeasuredCell]:
    """Four training cohorts on two groups, three seeds each; the distance of the classes varies by tau."""
    cells = []
    for group in range(N_TEST):
        person = 1000 * group + np.arange(len(LABELS))
        draws = PersonDraws(person, LABELS, n_resamples=n_resamples, seed=int(rng.integers(2**31)))
        common = math.sqrt(0.8) * rng.standard_normal(len(LABELS))
        for train in range(N_TRAIN):
            shifts = ndtri(0.8) * math.sqrt(2) + tau * rng.standard_normal(N_SEEDS)
            scores = {
                seed: common + math.sqrt(0.2) * rng.standard_normal(len(LABELS)) + shift * LABELS
                for seed, shift in enumerate(shifts)
            }
            name = CellName("f", f"t{train}", "m", "r", "test", f"g{group}")
            parts = ComponentsBySeed(scores, LabelledImages(LABELS, person).pack(list(scores.values())))
            columns = draws.auc_replicates_many([(LABELS, one, person) for one in scores.values()])
            members = Members(LABELS, person, person.astype(object), np.arange(len(LABELS), dtype=np.int32))
            cell = Cell(name, members, scores)
            cells.append(MeasuredCell(cell, parts, average_over_seeds(list(parts.values())), columns.mean(axis=0)))
    return cells


def _coverage(tau: float, n_sets: int) -> tuple[float, float]:
    """Share of matrices covered as a whole, by the band and by one that knows of patients alone."""
    rng = np.random.default_rng(4)
    truth = norm.cdf(ndtri(0.8) * math.sqrt(2) / math.sqrt(2 + tau**2))
    covered = naive = 0
    for _ in range(n_sets):
        cells = _matrix(rng, tau, 400)
        bands = matrix_bands(cells, Analysis(n_resamples=400))
        assert len(bands) == N_TRAIN * N_TEST
        covered += all(low <= truth <= high for low, high, _ in bands.values())
        patients = max_t(
            [cell.estimate.estimate for cell in cells],
            [cell.estimate.patient_se for cell in cells],
            replicates=np.stack([cell.replicates for cell in cells]),
        )
        naive += bool(((patients.low <= truth) & (truth <= patients.high)).all())
    return covered / n_sets, naive / n_sets


@pytest.mark.slow
@pytest.mark.parametrize("tau", [0.0, 0.2])
def test_a_matrix_of_seed_means_is_covered_as_a_whole(tau: float) -> None:
    covered, naive = _coverage(tau, 300)
    assert covered >= 0.935 - 2.6 * math.sqrt(0.95 * 0.05 / 300)
    assert naive < 0.85 or tau == 0.0  # the control: patients alone


def test_a_band_is_never_narrower_than_its_interval() -> None:
    cells = _matrix(np.random.default_rng(5), 0.1, 200)
    bands = matrix_bands(cells, Analysis(n_resamples=200))
    for cell in cells:
        low, high, method = bands[cell.name]
        assert cell.estimate.low is not None
        assert cell.estimate.high is not None
        assert low < cell.estimate.low < cell.estimate.high < high
        assert method == "bootstrap max-T over 8 cells, seeds as normal"
