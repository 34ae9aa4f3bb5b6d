"""Which cells are compared with which: gaps, always minuend minus subtrahend, and gaps of gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from subgroup_audit.audit.cells import CellName
from subgroup_audit.cohort.roster import value_text
from subgroup_audit.study import Cohort, Study

Kind = Literal["generalization_gap", "subgroup_gap", "transfer_gap", "gap_of_gaps"]
KINDS: tuple[Kind, ...] = ("generalization_gap", "subgroup_gap", "transfer_gap", "gap_of_gaps")


@dataclass(frozen=True)
class Pair:
    """Two cells whose AUCs are compared, and in what they differ."""

    kind: Kind
    minuend: CellName
    subtrahend: CellName
    other: str

    @property
    def terms(self) -> tuple[tuple[float, CellName], ...]:
        """Each cell with its sign."""
        return (1.0, self.minuend), (-1.0, self.subtrahend)

    @property
    def words(self) -> tuple[str, str]:
        """Minuend and subtrahend in a few words."""
        return in_words(self.minuend), in_words(self.subtrahend)

    def of_finding(self, finding: str) -> Pair:
        """The same comparison for another finding."""
        return replace(
            self,
            minuend=replace(self.minuend, finding=finding),
            subtrahend=replace(self.subtrahend, finding=finding),
        )


@dataclass(frozen=True)
class GapOfGaps:
    """A subgroup gap of the fits of one cohort minus the same gap of the fits of another."""

    first: Pair
    second: Pair
    other: str
    kind: Kind = "gap_of_gaps"

    @property
    def minuend(self) -> CellName:
        """The first cell of the first gap."""
        return self.first.minuend

    @property
    def terms(self) -> tuple[tuple[float, CellName], ...]:
        """Each of the four cells with its sign."""
        return (*self.first.terms, *((-sign, name) for sign, name in self.second.terms))

    @property
    def words(self) -> tuple[str, str]:
        """The two gaps in a few words."""
        return tuple(  # type: ignore[return-value]
            f"trained on {pair.minuend.train_cohort}, {pair.minuend.split} images of {pair.minuend.test_group} "
            f"minus those of {pair.subtrahend.test_group}"
            for pair in (self.first, self.second)
        )

    def of_finding(self, finding: str) -> GapOfGaps:
        """The same comparison for another finding."""
        return replace(self, first=self.first.of_finding(finding), second=self.second.of_finding(finding))


Comparison = Pair | GapOfGaps


def in_words(name: CellName) -> str:
    """A cell in a few words: what it was trained on and what it was scored on."""
    return f"trained on {name.train_cohort}, {name.split} images of {name.test_group}"


def declared_pairs(study: Study, names: Sequence[CellName], reference: Mapping[str, str]) -> Iterator[Comparison]:
    """The study's contrasts among these cells, in the order of the cells.

    Parameters
    ----------
    names : cells that were measured; those of a control, whose model is none of the study's, are not compared
    reference : attribute -> reference value; a subgroup gap is the other value minus this one
    """
    present = {name for name in names if name.model in study.models}
    makers = {
        "generalization_gap": _train_minus_test,
        "subgroup_gap": _group_minus_reference,
        "transfer_gap": _own_minus_other,
        "gap_of_gaps": _gap_minus_gap,
    }
    for kind in study.analysis.contrasts:
        for name in (n for n in names if n in present):
            found = makers[kind](study, name, reference)
            yield from (one for one in found if all(term in present for _, term in one.terms))


def _train_minus_test(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Comparison]:
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
        if attribute is not None and single_value(study.cohorts[other], attribute) == reference.get(attribute):
            yield Pair("subgroup_gap", name, replace(name, test_group=other), other)


def _own_minus_other(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Comparison]:
    """Trained on the tested group itself, minus trained on its counterpart: the same test patients."""
    del reference
    if name.split != "test" or name.train_cohort != name.test_group:
        return
    for other in study.train_cohorts:
        if differing_attribute(study.cohorts[name.train_cohort], study.cohorts[other]) is not None:
            yield Pair("transfer_gap", name, replace(name, train_cohort=other), other)


def _gap_minus_gap(study: Study, name: CellName, reference: Mapping[str, str]) -> Iterator[Comparison]:
    """The gap between a group and its reference, trained on the group, minus the same gap trained on the other."""
    if name.train_cohort != name.test_group:
        return
    for first in _group_minus_reference(study, name, reference):
        there = (
            replace(first.minuend, train_cohort=first.other),
            replace(first.subtrahend, train_cohort=first.other),
        )
        yield GapOfGaps(first, Pair("subgroup_gap", *there, first.other), first.other)


def differing_attribute(a: Cohort, b: Cohort) -> str | None:
    """The one attribute in which two cohorts differ by a single value, if they differ in just one."""
    if a.mix or b.mix or set(a.where) != set(b.where):
        return None
    differing = [attribute for attribute in a.where if a.where[attribute] != b.where[attribute]]
    if len(differing) != 1:
        return None
    one_valued = single_value(a, differing[0]) is not None and single_value(b, differing[0]) is not None
    return differing[0] if one_valued else None


def single_value(cohort: Cohort, attribute: str) -> str | None:
    """The one value of an attribute that a cohort asks for; None where it asks for several or for none.

    As the cohorts' table writes it, 'true' and '3', so that it can be compared with a reference value.
    """
    value = cohort.where.get(attribute)
    if isinstance(value, tuple):
        return value_text(value[0]) if len(value) == 1 else None
    return None if value is None else value_text(value)


def attribute_groups(study: Study) -> dict[str, tuple[str, ...]]:
    """Attribute, or 'sex x view' where two tell them apart, -> the test cohorts that are its groups.

    A cohort counts under the attributes that it asks one value of each; a single group is left out, for want of
    another to compare it with.
    """
    found: dict[str, list[str]] = {}
    for name in study.test_cohorts:
        cohort = study.cohorts[name]
        used = [attribute for attribute in study.group_attributes if attribute in cohort.where]
        if used and not cohort.mix and all(single_value(cohort, attribute) is not None for attribute in used):
            found.setdefault(" x ".join(used), []).append(name)
    return {attribute: tuple(names) for attribute, names in found.items() if len(names) > 1}
