"""Which counts must be withheld so that a small one cannot be worked out from those that are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.scored import EVERYBODY

Cell: TypeAlias = tuple[str, str]
Vector: TypeAlias = NDArray[np.float64]

TOTAL: Cell = ("", EVERYBODY)


@dataclass(frozen=True, eq=False)
class CellMap:
    """Which images each shown group is made of.

    The atoms are the combinations of all attributes that occur. Every group of every attribute, every
    intersection and the total is a sum of atoms, so that every relation between shown counts is known here,
    also one that no table spells out.

    Attributes
    ----------
    cells : the total, and every group of every attribute
    parts : 0/1 array [cells, atoms]
    atom_of : int array [images], each image's atom
    """

    cells: tuple[Cell, ...]
    parts: Vector
    atom_of: NDArray[np.int64]

    def count(self, images: NDArray[np.int64]) -> Vector:
        """How many of these images each atom has."""
        return np.bincount(self.atom_of[images], minlength=self.parts.shape[1]).astype(float)

    def row(self, cell: Cell) -> Vector:
        """Which atoms the cell is the sum of."""
        return np.asarray(self.parts[self.cells.index(cell)])

    def of_cells(self, atoms: Vector) -> dict[Cell, float]:
        """The counts of the cells from those of the atoms."""
        return dict(zip(self.cells, (self.parts @ atoms).tolist(), strict=True))


def map_cells(groups: pd.DataFrame) -> CellMap:
    """The cells of a table's group columns; a missing value is the group 'Unknown'."""
    named = {str(name): groups[name].astype("object").fillna("Unknown").astype(str) for name in groups.columns}
    n_images = len(groups)
    if not named:
        return CellMap((TOTAL,), np.ones((1, 1)), np.zeros(n_images, dtype=np.int64))
    frame = pd.DataFrame(named)
    atom_of = frame.groupby(list(frame.columns), sort=False, observed=True).ngroup().to_numpy().astype(np.int64)
    atoms = frame.loc[~pd.Series(atom_of, index=frame.index).duplicated()]
    atoms = atoms.iloc[np.argsort(np.unique(atom_of, return_index=True)[1].argsort())]
    cells = [TOTAL]
    parts = [np.ones(len(atoms))]
    for attribute in frame.columns:
        for group in atoms[attribute].unique():
            cells.append((str(attribute), str(group)))
            parts.append((atoms[attribute] == group).to_numpy(dtype=float))
    return CellMap(tuple(cells), np.array(parts), atom_of)


def cells_to_withhold(cell_map: CellMap, small: Iterable[Cell], counts: Sequence[Vector], limit: int) -> set[Cell]:
    """The small cells, and the further ones without which a small one could be worked out.

    Parameters
    ----------
    small : cells with a count below `limit`
    counts : arrays [atoms] of the counts that are shown by cell: the same cells are withheld in all of them
    limit : a small count must stay uncertain by at least `limit` - 1 to whoever solves for it

    Notes
    -----
    A withheld count is worked out exactly where its cell lies in the span of the shown ones, and narrowed down
    by counts not being negative. Both are checked: the first by rank, the second by linear programming (Fischetti
    and Salazar 2001, doi:10.1287/mnsc.47.7.1008.9805). The cells added are few, not always the fewest.
    """
    secret = sorted(set(small))
    withheld = set(secret)
    sizes = cell_map.of_cells(np.sum(counts, axis=0)) if len(counts) else dict.fromkeys(cell_map.cells, 0.0)
    # To withhold more only widens what is possible, so that what was settled once stays settled.
    for cell in secret:
        while _is_exact(cell_map, cell, withheld):
            withheld.add(_complement(cell_map, cell, withheld, sizes))
    for atoms in counts:
        for cell in secret:
            while len(withheld) < len(cell_map.cells) and _is_narrow(cell_map, cell, withheld, atoms, limit):
                withheld.add(_complement(cell_map, cell, withheld, sizes))
    return withheld


def _is_exact(cell_map: CellMap, cell: Cell, withheld: set[Cell]) -> bool:
    return is_spanned(shown_parts(cell_map, withheld), cell_map.row(cell))


def _is_narrow(cell_map: CellMap, cell: Cell, withheld: set[Cell], atoms: Vector, limit: int) -> bool:
    shown = shown_parts(cell_map, withheld)
    low, high = feasible_range(shown, shown @ atoms, cell_map.row(cell))
    return high - low < limit - 1


def shown_parts(cell_map: CellMap, withheld: set[Cell]) -> Vector:
    """The rows of the cells that are shown."""
    kept = [place for place, cell in enumerate(cell_map.cells) if cell not in withheld]
    return np.asarray(cell_map.parts[kept])


def is_spanned(shown: Vector, row: Vector) -> bool:
    """Whether the row is a combination of the shown ones, so that its count follows from theirs."""
    if not len(shown):
        return False
    weights = np.linalg.lstsq(shown.T, row, rcond=None)[0]
    return bool(np.allclose(shown.T @ weights, row, atol=1e-8))


def feasible_range(shown: Vector, values: Vector, row: Vector) -> tuple[float, float]:
    """The smallest and largest count that the row can have, where no count is negative and the shown ones hold."""
    if not len(shown):
        return 0.0, float("inf")
    from scipy.optimize import linprog

    found = []
    for sign in (1.0, -1.0):
        solved = linprog(sign * row, A_eq=shown, b_eq=values, bounds=(0, None), method="highs")
        if solved.status == 3:
            found.append(float("inf"))
        else:  # an answer that the solver does not vouch for counts as the narrowest
            found.append(sign * float(solved.fun) if solved.status == 0 else 0.0)
    return found[0], found[1]


def _complement(cell_map: CellMap, exposed: Cell, withheld: set[Cell], sizes: Mapping[Cell, float]) -> Cell:
    """The next cell to withhold: the smallest that settles it alone, or else the smallest of the attribute."""
    row = cell_map.row(exposed)
    shown = sorted((cell for cell in cell_map.cells if cell not in withheld), key=lambda cell: sizes[cell])
    related = [cell for cell in shown if cell[0] == exposed[0]]
    if is_spanned(shown_parts(cell_map, withheld), row):
        for cell in [*related, *shown]:
            if not is_spanned(shown_parts(cell_map, withheld | {cell}), row):
                return cell
    return related[0] if related else shown[0]
