"""Differences between two sides, always the compared minus the reference: of AUCs and of gaps, with verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.estimates import percentile_limits
from subgroup_audit.audit.macro import MACRO
from subgroup_audit.audit.pairs import Comparison, in_words
from subgroup_audit.comparison.cells import PairedCell
from subgroup_audit.comparison.result import COMPARISON_COLUMNS
from subgroup_audit.comparison.words import DESCRIPTIVE, SAME, worded
from subgroup_audit.stats import AucComponents, GapEstimate, adjust_p_values, auc_contrast, equivalence_verdict
from subgroup_audit.study import Analysis

Cells = Mapping[CellName, PairedCell]


@dataclass(frozen=True)
class Question:
    """One thing that may have changed: an AUC, or a gap, as cells with signs.

    Attributes
    ----------
    kind : 'auc', or a kind of gap
    first : the cell that names the question
    terms : the cells of the AUC or gap, each with its sign
    other : the test group or training cohort that is subtracted; '' for an AUC
    """

    kind: str
    first: CellName
    terms: tuple[tuple[float, CellName], ...]
    other: str = ""

    @property
    def is_tested(self) -> bool:
        """Whether all images are test images of both sides; else a description."""
        return all(name.split == "test" for _, name in self.terms)

    def of_finding(self, finding: str) -> Question:
        """The same question for another finding."""
        terms = tuple((sign, replace(name, finding=finding)) for sign, name in self.terms)
        return replace(self, first=replace(self.first, finding=finding), terms=terms)


def questions(cells: Cells, comparisons: Sequence[Comparison]) -> Iterator[Question]:
    """The AUC of every training and test cell, and every declared gap, as far as both sides have its cells."""
    for name in cells:
        if name.split != "val":
            yield Question("auc", name, ((1.0, name),))
    for pair in comparisons:
        yield Question(pair.kind, pair.minuend, pair.terms, pair.other)


def macro_questions(found: Sequence[Question]) -> Iterator[tuple[Question, tuple[str, ...]]]:
    """Each question that is asked of two findings or more, once, with these findings."""
    findings: dict[Question, list[str]] = {}
    for question in found:
        findings.setdefault(question.of_finding(MACRO), []).append(question.first.finding)
    yield from ((question, tuple(names)) for question, names in findings.items() if len(names) > 1)


def difference_rows(found: Sequence[Question], cells: Cells, analysis: Analysis, label: str) -> pd.DataFrame:
    """`COMPARISON_COLUMNS`, one row per question, macro means last; `p_adjusted` is still empty."""
    rows = [_row(question, question.terms, cells, analysis, label) for question in found]
    for question, findings in macro_questions(found):
        spread = [term for finding in findings for term in question.of_finding(finding).terms]
        terms = tuple((sign / len(findings), name) for sign, name in spread)
        rows.append(_row(question, terms, cells, analysis, label))
    return pd.DataFrame(rows, columns=[column.name for column in COMPARISON_COLUMNS])


def with_verdicts(frame: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """The rows with p-values adjusted over all that are tested, and the verdicts that stay after it."""
    p_values = [None if pd.isna(p) else float(p) for p in frame["p_value"]]
    adjusted = adjust_p_values(p_values, method=analysis.multiplicity)
    family = sum(p is not None for p in adjusted)
    rows = frame.assign(p_adjusted=pd.Series(adjusted, index=frame.index, dtype="float64"))
    named = [
        worded({str(name): value for name, value in row.items()}, family, analysis.multiplicity)
        for row in rows.to_dict("records")
    ]
    verdicts, sentences = ([pair[place] for pair in named] for place in (0, 1))
    return rows.assign(
        verdict=pd.Series(verdicts, index=rows.index, dtype="str"),
        sentence=pd.Series(sentences, index=rows.index, dtype="str"),
    )


def _row(
    question: Question, terms: Sequence[tuple[float, CellName]], cells: Cells, analysis: Analysis, label: str
) -> dict[str, Any]:
    paired = _alike([(weight, cells[name]) for weight, name in terms])
    first = paired[0][1]
    if all(cell.is_same for _, cell in paired):
        return {**_head(question, first, label), **_same(paired, analysis, question)}
    gap = _difference(paired, analysis)
    replicates = np.sum([weight * _replicates(cell) for weight, cell in paired], axis=0)
    bootstrap = percentile_limits(replicates, gap.estimate, analysis.confidence_level)
    verdict = equivalence_verdict(gap, margin=analysis.margin, confidence_level=analysis.confidence_level)
    is_described = not question.is_tested and gap.estimate is not None
    return {
        **_head(question, first, label),
        **_values(paired),
        **{key: getattr(gap, key) for key in ("estimate", "low", "high", "standard_error", "confidence_level")},
        "method": gap.method,
        "bootstrap_low": bootstrap[0],
        "bootstrap_high": bootstrap[1],
        "p_value": gap.p_value if question.is_tested else None,
        "p_adjusted": None,
        "margin": analysis.margin if question.is_tested else None,
        "minimal_detectable_difference": verdict.minimal_detectable_gap,
        "verdict": "descriptive" if is_described else verdict.name,
        "sentence": DESCRIPTIVE if is_described else verdict.sentence,
        **_counts(paired),
        "status": gap.status,
        "reason": gap.reason,
    }


def _alike(paired: list[tuple[float, PairedCell]]) -> list[tuple[float, PairedCell]]:
    """The cells; with one seed each where any side has but one, whose variance between seeds nobody knows."""
    n_seeds = [len(side.components) for _, cell in paired for side in (cell.reference, cell.other)]
    return [(weight, cell.first(1)) for weight, cell in paired] if min(n_seeds) == 1 else paired


def _replicates(cell: PairedCell) -> NDArray[np.float64]:
    """Other minus reference in every draw of persons, means over seeds."""
    return np.asarray(cell.other.replicates.mean(axis=0) - cell.reference.replicates.mean(axis=0))


def _head(question: Question, first: PairedCell, label: str) -> dict[str, Any]:
    name = question.first
    return {
        "compared": label,
        "kind": question.kind,
        "finding": name.finding,
        "train_cohort": name.train_cohort,
        "reference_model": first.reference.model,
        "model": first.other.model,
        "reference_recipe": first.reference.recipe,
        "recipe": first.other.recipe,
        "split": name.split,
        "test_group": name.test_group,
        "other": question.other,
    }


def _same(paired: Sequence[tuple[float, PairedCell]], analysis: Analysis, question: Question) -> dict[str, Any]:
    """A difference of exactly zero: the scores are the same, so nothing is tested."""
    is_known = all(fit.is_estimable for _, cell in paired for fit in cell.reference.components.values())
    zero = 0.0 if is_known else None
    return {
        **_values(paired),
        **dict.fromkeys(("estimate", "low", "high", "standard_error", "bootstrap_low", "bootstrap_high"), zero),
        "confidence_level": analysis.confidence_level,
        "method": "the same scores",
        "p_value": None,
        "p_adjusted": None,
        "margin": analysis.margin if question.is_tested else None,
        "minimal_detectable_difference": None,
        "verdict": "identical" if is_known else "not estimable",
        "sentence": SAME if is_known else "The difference cannot be estimated: a class is missing.",
        **_counts(paired),
        "status": "ok" if is_known else "not estimable",
        "reason": "" if is_known else "a class is missing",
    }


def _difference(paired: Sequence[tuple[float, PairedCell]], analysis: Analysis) -> GapEstimate:
    """Other minus reference of a combination of cells, patients paired; seeds paired within a side's own fits."""
    sides: list[list[AucComponents]] = []
    weights, groups, names = [], [], []
    for weight, cell in paired:
        for sign, which, scored in ((1.0, "compared", cell.other), (-1.0, "reference", cell.reference)):
            sides.append(list(scored.components.values()))
            weights.append(sign * weight)
            groups.append((which, cell.name.train_cohort, cell.name.model, cell.name.recipe))
            names.append(f"{which}, {in_words(cell.name)}")
    return auc_contrast(
        sides,
        weights,
        seed_groups=groups,
        names=names,
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )


def _values(paired: Sequence[tuple[float, PairedCell]]) -> dict[str, float | None]:
    """The AUC or gap of either side on the shared images, mean over its seeds."""
    found = {}
    for which in ("reference", "other"):
        means = [
            weight * float(np.mean([fit.auc for fit in getattr(cell, which).components.values()]))
            for weight, cell in paired
        ]
        total = float(np.sum(means))
        found[f"{which}_estimate"] = total if np.isfinite(total) else None
    return {"compared_estimate": found["other_estimate"], "reference_estimate": found["reference_estimate"]}


def _counts(paired: Sequence[tuple[float, PairedCell]]) -> dict[str, int]:
    """Persons once each, images of all distinct cells, and the seeds of both sides."""
    cells = {(cell.name.split, cell.name.test_group): cell for _, cell in paired}
    shown = [next(iter(cell.reference.components.values())) for cell in cells.values()]
    persons = np.unique(np.concatenate([fit.persons for fit in shown if fit.persons is not None]))
    alone = [(cell.reference.n_alone, cell.other.n_alone) for cell in cells.values()]
    return {
        "n_patients": len(persons),
        "n_images": sum(fit.n_images for fit in shown),
        "n_positive": sum(fit.n_positive for fit in shown),
        "n_negative": sum(fit.n_negative for fit in shown),
        "n_images_reference_only": sum(pair[0] for pair in alone),
        "n_images_compared_only": sum(pair[1] for pair in alone),
        "n_seeds": min(len(cell.other.components) for _, cell in paired),
        "reference_n_seeds": min(len(cell.reference.components) for _, cell in paired),
    }
