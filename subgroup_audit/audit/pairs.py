"""Which cells are compared with which: the three gaps, always minuend minus subtrahend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from subgroup_audit.audit.cells import CellName
from subgroup_audit.study import Cohort, Study

Kind = Literal["generalization_gap", "subgroup_gap", "transfer_gap"]
KINDS: tuple[Kind, ...] = ("generalization_gap", "subgroup_gap", "transfer_gap")


@dataclass(frozen=True)
class Pair:
    """Two cells whose AUCs are compared, and in what they differ."""

    kind: Kind
    minuend: CellName
    subtrahend: CellName
    other: str


def declared_pairs(study: Study, names: Sequence[CellName], reference: Mapping[str, str]) -> Iterator[Pair]:
    """The study's contrasts among these cells, in the order of the cells.

    Parameters
    ----------
    names : cells that were measured; those of a control, whose model is none of the study's, are not compared
    reference : attribute -> reference value; a subgroup gap is the other value minus this one
    """
    present = {name for name in names if name.model in study.models}
    for kind in study.analysis.contrasts:
        makers = {
            "generalization_gap": _train_minus_test,
            "subgroup_gap": _group_minus_reference,
            "transfer_gap": _own_minus_other,
        }
        for name in (n for n in names if n in present):
            yield from (p for p in makers[kind](study, name, reference) if p.subtrahend in present)


def _train_minus_test(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Pair]:
    del reference
    if name.split != "train":
        return
    own = name.train_cohort if name.train_cohort in study.test_cohorts else study.test_cohorts[0]
    test = replace(name, split="test", test_group=own)
    yield Pair("generalization_gap", name, test, "test")


def _group_minus_reference(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Pair]:
    if name.split != "test":
        return
    for other in study.test_cohorts:
        attribute = differing_attribute(study.cohorts[name.test_group], study.cohorts[other])
        if attribute is not None and _value(study.cohorts[other], attribute) == reference.get(attribute):
            yield Pair("subgroup_gap", name, replace(name, test_group=other), other)


def _own_minus_other(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Pair]:
    """Trained on the tested group itself, minus trained on its counterpart: the same test patients."""
    del reference
    if name.split != "test" or name.train_cohort != name.test_group:
        return
    for other in study.train_cohorts:
        if differing_attribute(study.cohorts[name.train_cohort], study.cohorts[other]) is not None:
            yield Pair("transfer_gap", name, replace(name, train_cohort=other), other)


def differing_attribute(a: Cohort, b: Cohort) -> str | None:
    """The one attribute in which two cohorts differ by a single value, if they differ in just one."""
    if a.mix or b.mix or set(a.where) != set(b.where):
        return None
    differing = [attribute for attribute in a.where if a.where[attribute] != b.where[attribute]]
    if len(differing) != 1:
        return None
    one_valued = _value(a, differing[0]) is not None and _value(b, differing[0]) is not None
    return differing[0] if one_valued else None


def _value(cohort: Cohort, attribute: str) -> str | None:
    value = cohort.where.get(attribute)
    if isinstance(value, tuple):
        return str(value[0]) if len(value) == 1 else None
    return None if value is None else str(value)
