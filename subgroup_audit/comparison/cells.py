"""Cells that two sides have in common, on the images that both have scored: components and replicates by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.audit.cells import Cell, CellName, Scores
from subgroup_audit.comparison.matching import Match
from subgroup_audit.comparison.sides import Fitted
from subgroup_audit.stats import AucComponents, PersonDraws, components_by_model


@dataclass(frozen=True, eq=False)
class Scored:
    """One side of a paired cell: which fits, their AUC components and their mean replicates.

    Attributes
    ----------
    model, recipe : as the side's own study names them
    components : training seed -> components on the shared images
    replicates : array [n_seeds, n_resamples], one row a seed
    n_alone : images of the side's own cell that the other side lacks
    """

    model: str
    recipe: str
    components: Mapping[int, AucComponents]
    replicates: NDArray[np.float64]
    n_alone: int

    def first(self, n_seeds: int) -> Scored:
        """The same with its first seeds alone."""
        kept = dict(list(self.components.items())[:n_seeds])
        return replace(self, components=kept, replicates=self.replicates[:n_seeds])


@dataclass(frozen=True, eq=False)
class PairedCell:
    """A cell of the reference and the other side's answer to it, on the same images.

    Attributes
    ----------
    name : the cell, by the reference's names
    is_same : whether both sides have given every image the same scores, seed by seed
    """

    name: CellName
    reference: Scored
    other: Scored
    is_same: bool

    def first(self, n_seeds: int) -> PairedCell:
        """The same with each side's first seeds alone."""
        return replace(self, reference=self.reference.first(n_seeds), other=self.other.first(n_seeds))


def paired_cells(
    reference: Scores,
    other: Scores,
    pairs: Sequence[tuple[Fitted, Fitted]],
    match: Match,
    draws: PersonDraws,
    *,
    findings: tuple[str, ...],
    test_groups: tuple[str, ...],
) -> dict[CellName, PairedCell]:
    """Every cell that both sides have: same finding, training cohort, split and test group, answering models."""
    theirs = {cell.name: cell for cell in other.cells(findings, _present(other, test_groups))}
    found = {}
    for cell in reference.cells(findings, test_groups):
        for ours, answer in pairs:
            if (cell.name.model, cell.name.recipe) == ours:
                named = replace(cell.name, model=answer[0], recipe=answer[1])
                paired = _pair(cell, theirs.get(named), match, draws)
                found.update({cell.name: paired} if paired else {})
    return found


def _present(scores: Scores, groups: tuple[str, ...]) -> tuple[str, ...]:
    known = set(scores.manifest["cohort"])
    return tuple(group for group in groups if group in known)


def _pair(ours: Cell, theirs: Cell | None, match: Match, draws: PersonDraws) -> PairedCell | None:
    """The cell on the images of both; None where they have none in common."""
    if theirs is None:
        return None
    place_of = {match.key_of.get(str(image)): place for place, image in enumerate(theirs.image_id)}
    places = np.array([place_of.get(str(image), -1) for image in ours.image_id], dtype=np.int64)
    rows, places = np.flatnonzero(places >= 0), places[places >= 0]
    if not len(rows):
        return None
    a = {seed: score[rows] for seed, score in ours.by_seed.items()}
    b = {seed: score[places] for seed, score in theirs.by_seed.items()}
    y_true, person = ours.y_true[rows], ours.person[rows]
    columns = [*a.values(), *b.values()]
    components = components_by_model(y_true, columns, person=person)
    replicates = draws.auc_replicates_many([(y_true, column, person) for column in columns])
    n, m = len(a), len(rows)
    return PairedCell(
        ours.name,
        _scored(ours.name, a, components[:n], replicates[:n], len(ours.image_id) - m),
        _scored(theirs.name, b, components[n:], replicates[n:], len(theirs.image_id) - m),
        is_same=a.keys() == b.keys() and all(np.array_equal(a[seed], b[seed]) for seed in a),
    )


def _scored(
    name: CellName,
    by_seed: Mapping[int, NDArray[np.float64]],
    components: Sequence[AucComponents],
    replicates: NDArray[np.float64],
    n_alone: int,
) -> Scored:
    found = dict(zip(by_seed, components, strict=True))
    return Scored(name.model, name.recipe, found, np.stack(list(replicates)), n_alone)
