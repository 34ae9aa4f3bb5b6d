"""Which size every cohort gets, and which images it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.balance import (
    Pool,
    ceiling,
    cell_ceilings,
    common_block,
    describe_limit,
    has_enough,
    limited_splits,
    limiting,
    quotas,
    size_bound,
)
from subgroup_audit.cohort.priority import occurrence
from subgroup_audit.cohort.roster import Ints
from subgroup_audit.cohort.split import TEST
from subgroup_audit.errors import CohortError
from subgroup_audit.schema import SPLITS
from subgroup_audit.study import Balance, Study

Floats = NDArray[np.float64]
Way = Literal["all", "equal", "ceiling", "asked"]


@dataclass(frozen=True)
class Sizing:
    """How large a cohort is: images over all splits in blocks of `block`, or everything (size None)."""

    size: int | None
    block: int = 1


@dataclass(frozen=True, eq=False)
class Draw:
    """The images of a cohort, by priority, and those that it did not need.

    Attributes
    ----------
    used : (n_splits, n_cells) drawn images
    """

    pool: Pool
    sizing: Sizing
    drawn: Ints
    left_over: Ints
    left_cell: Ints
    left_part: Ints
    used: Ints


def size_cohorts(study: Study, pools: Sequence[Pool], fractions: Floats) -> tuple[dict[str, Sizing], list[str]]:
    """The size of every cohort, and notes on what set it.

    Raises
    ------
    CohortError
        A cell is empty, or a size that the study asks for is above its cohort's ceiling; all are listed.
    """
    limited = limited_splits(study.balance)
    ways = {pool.name: _way(study, pool.name) for pool in pools}
    drawn = [pool for pool in pools if ways[pool.name] != "all"]
    _require_no_empty_cell(drawn, fractions, limited)
    ceilings = {pool.name: ceiling(pool, fractions, 1, limited) for pool in drawn}
    sizes = {pool.name: Sizing(None) for pool in pools if ways[pool.name] == "all"}
    notes: list[str] = []
    equal = [pool for pool in drawn if ways[pool.name] == "equal"]
    if equal:
        sizing, said = _equal_size(equal, ceilings, fractions, limited)
        sizes.update({pool.name: sizing for pool in equal})
        notes.append(said)
    for pool in drawn:
        if ways[pool.name] == "ceiling":
            block = common_block([pool], ceilings[pool.name])
            sizes[pool.name] = Sizing(ceiling(pool, fractions, block, limited), block)
    asked = [pool for pool in drawn if ways[pool.name] == "asked"]
    sizes.update(_asked_sizes(study, asked, fractions, limited))
    return sizes, notes


def _way(study: Study, name: str) -> Way:
    """How a cohort's size is found. One with a mix or shares of its own is drawn even where others are not."""
    cohort, size = study.cohorts[name], study.balance.size
    if cohort.size == "ceiling":
        return "ceiling"
    if cohort.n_asked is not None or isinstance(size, int):
        return "asked"
    if size == "all" and (cohort.mix or cohort.shares):
        return "equal"
    return size


def _require_no_empty_cell(pools: Sequence[Pool], fractions: Floats, limited: list[int]) -> None:
    problems = []
    for pool in pools:
        part, cell = limiting(pool, fractions, limited)
        if pool.available[part, cell] == 0:
            problems.append(f"cohort '{pool.name}' cannot be balanced: {describe_limit(pool, fractions, limited)}")
    if problems:
        raise CohortError("; ".join(problems))


def _equal_size(
    pools: list[Pool], ceilings: dict[str, int], fractions: Floats, limited: list[int]
) -> tuple[Sizing, str]:
    """The largest size that every cohort reaches, and the sentence that says which cell set it."""
    lowest = min(pools, key=lambda pool: ceilings[pool.name])
    block = common_block(pools, ceilings[lowest.name])
    size = min(ceiling(pool, fractions, block, limited) for pool in pools)
    if size == 0:
        raise CohortError(
            f"cohorts of equal size cannot be drawn: cohort '{lowest.name}' is the smallest, "
            f"{describe_limit(lowest, fractions, limited)}"
        )
    limit = describe_limit(lowest, fractions, limited)
    return Sizing(
        size, block
    ), f"cohorts of equal size have {size:,} images; cohort '{lowest.name}' sets it: {limit}"


def _asked_sizes(study: Study, pools: list[Pool], fractions: Floats, limited: list[int]) -> dict[str, Sizing]:
    sizes, problems = {}, []
    for pool in pools:
        size = study.cohorts[pool.name].n_asked or study.balance.size
        if not isinstance(size, int):
            continue
        block = _fitting_block(size, pool, pools)
        if not has_enough(pool, size, fractions, block, limited):
            problems.append(_above_ceiling(pool, pools, size, fractions, limited))
        sizes[pool.name] = Sizing(size, block)
    if problems:
        raise CohortError("; ".join(problems))
    return sizes


def _fitting_block(size: int, pool: Pool, pools: list[Pool]) -> int:
    """The block of all cohorts if it divides the size, so that splits are alike; else the cohort's own."""
    for block in (common_block(pools, size), common_block([pool], size)):
        if block > 1 and size % block == 0:
            return block
    return 1


def _above_ceiling(pool: Pool, pools: list[Pool], size: int, fractions: Floats, limited: list[int]) -> str:
    reached = min(size - 1, size_bound(pool, fractions, limited))
    while reached and not has_enough(pool, reached, fractions, _fitting_block(reached, pool, pools), limited):
        reached -= 1
    part, cell = limiting(pool, fractions, limited)
    needed = quotas(size, pool.cells, fractions, _fitting_block(size, pool, pools))[part, cell]
    limit = describe_limit(pool, fractions, limited)
    return (
        f"cohort '{pool.name}': asked for {size:,} images, but its ceiling is {reached:,}: "
        f"{limit}, and {needed:,} would be needed"
    )


def draw_cohort(pool: Pool, sizing: Sizing, fractions: Floats, balance: Balance) -> Draw:
    """The images of lowest priority number in every split and cell, as many as its quota."""
    n_cells = len(pool.cells.names)
    # those that fit no cell share a key of their own: else they would be counted in the cell before
    flat = np.where(pool.cell >= 0, pool.part * n_cells + pool.cell, -1)
    if sizing.size is None:
        is_drawn = np.ones(len(pool.members), dtype=bool)
    else:
        wanted = quotas(sizing.size, pool.cells, fractions, sizing.block).ravel()
        is_drawn = (pool.cell >= 0) & (occurrence(flat) < wanted[np.where(pool.cell >= 0, flat, 0)])
        is_drawn |= (pool.part == TEST) & (balance.test == "natural")
    used = np.bincount(flat[is_drawn & (pool.cell >= 0)], minlength=3 * n_cells).reshape(3, -1)
    rest = ~is_drawn
    return Draw(pool, sizing, pool.members[is_drawn], pool.members[rest], pool.cell[rest], pool.part[rest], used)


def undrawn_rows(draw: Draw, image_ids: pd.Series) -> pd.DataFrame:
    """One row per image that matches a cohort and is not in it: image_id, step, rule, reason."""
    pool = draw.pool
    spread = pool.available - draw.used
    said = [
        f"not drawn: {cell} in {split} has {pool.available[p, c]:,} images, {draw.used[p, c]:,} used"
        if spread[p, c]
        else ""
        for p, split in enumerate(SPLITS)
        for c, cell in enumerate(pool.cells.names)
    ] + ["not drawn: fits no balance cell"]
    n_cells = len(pool.cells.names)
    place = np.where(draw.left_cell < 0, len(said) - 1, draw.left_part * n_cells + draw.left_cell)
    crowded = pool.crowded_out
    reasons = np.concatenate(
        [
            np.full(len(crowded), "beyond the most images of one person", dtype=object),
            np.array(said, dtype=object)[place],
        ]
    )
    return pd.DataFrame(
        {
            "image_id": image_ids.take(np.concatenate([crowded, draw.left_over])).to_numpy(),
            "step": f"balance:{pool.name}",
            "reason": pd.Series(reasons, dtype="str"),
        }
    )


def ceiling_rows(draw: Draw, fractions: Floats, balance: Balance) -> pd.DataFrame:
    """One row per split and cell of a cohort: what there was, what was used, and how large the cell would allow.

    Columns
    -------
    available, used : images
    ceiling : the largest cohort, in images over all splits, that this split and cell allow; missing where a
        natural test set takes what there is
    is_limiting : whether this split and cell set the cohort's ceiling
    """
    pool, limited = draw.pool, limited_splits(balance)
    parts, cells = np.indices(pool.available.shape)
    limit = limiting(pool, fractions, limited)
    # Rounding to whole images may let a cohort be a little larger than fractions of a cell say.
    reached = np.maximum(np.floor(cell_ceilings(pool, fractions)).astype("int64"), draw.sizing.size or 0)
    allowed = pd.array(reached.ravel(), dtype="Int64")
    allowed[~np.isin(parts.ravel(), limited)] = pd.NA
    return pd.DataFrame(
        {
            "cohort": pool.name,
            "split": np.array(SPLITS)[parts.ravel()],
            "cell": np.array(pool.cells.names, dtype=object)[cells.ravel()],
            "available": pool.available.ravel(),
            "used": draw.used.ravel(),
            "ceiling": allowed,
            "is_limiting": (parts.ravel() == limit[0]) & (cells.ravel() == limit[1]),
        }
    )
