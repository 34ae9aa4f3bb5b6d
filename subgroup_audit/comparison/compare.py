"""Runs in, a `ComparisonResult` out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit.audit import reference_values
from subgroup_audit.audit.cells import Scores
from subgroup_audit.audit.pairs import declared_pairs
from subgroup_audit.comparison.cells import PairedCell, paired_cells
from subgroup_audit.comparison.design import cohort_sizes, design_changes, same_results
from subgroup_audit.comparison.differences import difference_rows, questions, with_verdicts
from subgroup_audit.comparison.matching import Match, match_runs
from subgroup_audit.comparison.result import CHANGE_COLUMNS, MATCH_COLUMNS, ComparisonResult
from subgroup_audit.comparison.runs import Run, label_folders, read_run
from subgroup_audit.comparison.sides import Side, make_sides, pair_models
from subgroup_audit.errors import StatisticsError, TableError
from subgroup_audit.stats import PersonDraws
from subgroup_audit.study import Analysis


def compare(
    *folders: Path | str,
    models: Sequence[str] = (),
    margin: float | None = None,
    allow_other_split: bool = False,
) -> ComparisonResult:
    """What changed between finished runs, or between models, paired on the same persons and images.

    Parameters
    ----------
    folders : folders of finished runs; the first is the reference
    models : of one run, the models that are compared, the first the reference; of several, one for each run.
        Names of the study, or MODEL/RECIPE
    margin : largest difference of AUC that counts as none; None: the reference study's
    allow_other_split : compare runs that divide persons otherwise, on what both test

    Raises
    ------
    AuditError
        A folder holds no finished run, or the runs cannot be compared: see `match_runs` and `make_sides`.

    Notes
    -----
    Every difference is the compared minus the reference. Confidence level, draws, correction and gaps are those of
    the reference's study. docs/compare.md says what is refused, and why.
    """
    paths = [Path(folder) for folder in folders]
    runs = [read_run(path, label) for path, label in zip(paths, label_folders(paths), strict=True)]
    return compare_runs(runs, models=models, margin=margin, allow_other_split=allow_other_split)


def compare_runs(
    runs: Sequence[Run],
    *,
    models: Sequence[str] = (),
    margin: float | None = None,
    allow_other_split: bool = False,
) -> ComparisonResult:
    """The comparison of runs that were read; as `compare`."""
    if not runs:
        raise TableError("audit compare: no run is named")
    analysis = _analysis(runs[0], margin)
    sides = make_sides(runs, models)
    reference = sides[0]
    matches = [match_runs(reference.run, side.run, allow_other_split=allow_other_split) for side in sides[1:]]
    paired = [_paired(reference, side, match, analysis) for side, match in zip(sides[1:], matches, strict=True)]
    rows = [_differences(reference, side, cells, analysis) for side, cells in zip(sides[1:], paired, strict=True)]
    differences = with_verdicts(pd.concat(rows, ignore_index=True), analysis)
    distinct = list({id(side.run): side.run for side in sides}.values())
    return ComparisonResult(
        reference.label,
        tuple(side.label for side in sides[1:]),
        differences,
        _changes(reference, sides[1:]),
        cohort_sizes(distinct),
        _matching(sides[1:], matches),
        _settings(sides, analysis, differences),
        tuple(_notes(reference, sides[1:], matches, paired)),
    )


def _analysis(run: Run, margin: float | None) -> Analysis:
    if margin is None:
        return run.study.analysis
    if not 0.0 < margin < 0.5:
        raise StatisticsError(f"--margin {margin:g}: a margin of AUC must lie between 0 and 0.5")
    return run.study.analysis.model_copy(update={"margin": margin})


def _paired(reference: Side, side: Side, match: Match, analysis: Analysis) -> dict[Any, PairedCell]:
    pairs = pair_models(reference, side)
    ours = reference.run.scores([pair[0] for pair in pairs])
    theirs = side.run.scores([pair[1] for pair in pairs])
    study = reference.run.study
    cells = paired_cells(
        ours,
        theirs,
        pairs,
        match,
        _draws(ours, analysis),
        findings=tuple(name for name in study.finding_names if name in side.run.study.finding_names),
        test_groups=study.test_cohorts,
    )
    if not any(name.split == "test" for name in cells):
        raise TableError(
            f"'{reference.label}' and '{side.label}' have images in common, but no cell: no fit of the same "
            f"training cohort was tested on the same images of the same group. Training cohorts: "
            f"{', '.join(study.train_cohorts)}; and {', '.join(side.run.study.train_cohorts)}"
        )
    return cells


def _draws(scores: Scores, analysis: Analysis) -> PersonDraws:
    """The same draws of persons for every cell of either side."""
    return PersonDraws(
        np.arange(len(scores.persons)),
        scores.person_strata(),
        n_resamples=analysis.n_resamples,
        seed=analysis.seed,
    )


def _differences(reference: Side, side: Side, cells: dict[Any, PairedCell], analysis: Analysis) -> pd.DataFrame:
    study = reference.run.study
    values = reference_values(study, reference.run.manifest.frame)
    declared = list(declared_pairs(study, list(cells), values))
    return difference_rows(list(questions(cells, declared)), cells, analysis, side.label)


def _changes(reference: Side, others: Sequence[Side]) -> pd.DataFrame:
    found = [
        design_changes(reference.run, side.run, side.label) for side in others if side.run is not reference.run
    ]
    empty = pd.DataFrame({column.name: [] for column in CHANGE_COLUMNS}).astype("str")
    return pd.concat(found, ignore_index=True) if found else empty


def _matching(others: Sequence[Side], matches: Sequence[Match]) -> pd.DataFrame:
    rows = [
        {"compared": side.label, "by": match.by, **match.counts, "patients_crossing": match.n_crossing}
        for side, match in zip(others, matches, strict=True)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in MATCH_COLUMNS])


def _settings(sides: Sequence[Side], analysis: Analysis, differences: pd.DataFrame) -> dict[str, Any]:
    reference = sides[0].run
    same = {side.label: same_results(reference, side.run) for side in sides[1:] if side.run is not reference}
    return {
        **analysis.model_dump(mode="json"),
        "reference": reference_values(reference.study, reference.manifest.frame),
        "n_tested": int(differences["p_adjusted"].notna().sum()),
        "same_results": same,
        "study": reference.study.study,
        "question": reference.study.question,
        "findings": list(reference.study.finding_names),
        "is_one_run": all(side.run is reference for side in sides),
        "provenance": {side.run.label: _provenance(side.run) for side in sides},
    }


def _provenance(run: Run) -> dict[str, Any]:
    kept = ("version", "python", "machine", "device", "data", "started", "finished", "n_fits", "fit_seconds")
    found = {name: run.provenance[name] for name in kept if name in run.provenance}
    return {"study": run.study.study, **found, "digests": {k: v[:12] for k, v in run.digests.items()}}


def _notes(
    reference: Side, others: Sequence[Side], matches: Sequence[Match], paired: Sequence[dict[Any, PairedCell]]
) -> list[str]:
    notes = []
    for side, match, cells in zip(others, matches, paired, strict=True):
        if match.by == "file name":
            notes.append(f"{side.label}: images were matched by file name, since folders or endings differ.")
        if match.n_crossing:
            notes.append(
                f"{side.label}: {match.n_crossing:,} persons are tested in one run and seen while training in the "
                "other. They are left out; differences are of persons that both test."
            )
        notes += _cell_notes(reference, side, cells)
    return notes


def _cell_notes(reference: Side, side: Side, cells: dict[Any, PairedCell]) -> list[str]:
    notes = []
    seeds = [(len(cell.reference.components), len(cell.other.components)) for cell in cells.values()]
    if any(min(pair) == 1 < max(pair) for pair in seeds):
        notes.append(
            f"{side.label}: one side has a single training seed, whose variance nobody knows, so that the "
            "intervals are for the first trained model of each side."
        )
    n_tested = sum(name.split == "test" for name in cells)
    alone = [cell for name, cell in cells.items() if name.split == "test" and cell.reference.n_alone]
    if alone:
        notes.append(
            f"{side.label}: in {len(alone)} of {n_tested} test cells, {reference.label} has images that "
            f"{side.label} has not scored. They are left out, so its AUCs here are not those of its own report."
        )
    return notes
