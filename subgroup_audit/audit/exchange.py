"""The permutation test of subgroup gaps: where it is made, and why it is not elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subgroup_audit.audit.estimates import MeasuredCell
from subgroup_audit.audit.pairs import Pair
from subgroup_audit.stats import GapEstimate, exchange_test
from subgroup_audit.study import Analysis

N_PERMUTATIONS = 999
# Above, the gap's own test has the size that it says, and the exchanges would take longer than all else.
MOST_IMAGES = 5_000


@dataclass(frozen=True)
class Permuted:
    """A permutation p-value, and what it is of, or why there is none."""

    p_value: float | None
    note: str


def permuted_gap(pair: Pair, a: MeasuredCell, b: MeasuredCell, gap: GapEstimate, analysis: Analysis) -> Permuted:
    """The studentised permutation test of a subgroup gap, of the mean AUC over its fits.

    Group labels are exchanged between persons of the same class. The fits are taken as given: the test is about
    these trained models, where the interval beside it is about the recipe if there are several.
    """
    if pair.kind != "subgroup_gap":
        return Permuted(None, "made for subgroup gaps of one finding")
    if gap.estimate is None:
        return Permuted(None, "not estimable")
    if gap.standard_error is None:
        return Permuted(None, "a gap without a standard error cannot be studentised")
    n_shared = len(np.intersect1d(a.cell.person, b.cell.person))
    if n_shared:
        return Permuted(None, f"{n_shared} persons are in both groups, whose labels cannot be exchanged")
    if gap.n_images > MOST_IMAGES:
        return Permuted(None, f"left out above {MOST_IMAGES:,} images, where the interval's own test holds")
    cells = (a.cell, b.cell)
    seeds = [seed for seed in a.cell.by_seed if seed in b.cell.by_seed]
    p_value = exchange_test(
        np.concatenate([cell.y_true for cell in cells]),
        [np.concatenate([cell.by_seed[seed] for cell in cells]) for seed in seeds],
        np.repeat([True, False], [len(cell.y_true) for cell in cells]),
        person=np.concatenate([cell.person for cell in cells]),
        n_permutations=N_PERMUTATIONS,
        seed=analysis.seed,
    )
    fits = "one fit" if len(seeds) == 1 else f"mean over {len(seeds)} fits"
    return Permuted(p_value, f"{N_PERMUTATIONS} exchanges of persons between the groups, {fits} as given")
