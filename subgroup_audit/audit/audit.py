"""The audit itself: every cell measured on one set of draws, every declared gap, one result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from subgroup_audit.audit.accuracy import fit_accuracies
from subgroup_audit.audit.bands import matrix_bands
from subgroup_audit.audit.case_mix import case_mix_rows
from subgroup_audit.audit.cells import Scores
from subgroup_audit.audit.contrasts import contrast_rows, with_adjusted_p
from subgroup_audit.audit.estimates import estimate_rows, fit_rows, measure_cells
from subgroup_audit.audit.macro import macro_cells, macro_contrasts, macro_estimates, macro_fits
from subgroup_audit.audit.pairs import Pair, declared_pairs
from subgroup_audit.audit.spreads import spread_rows
from subgroup_audit.schema import UNKNOWN, AuditResult, CohortManifest, Predictions
from subgroup_audit.stats import PersonDraws
from subgroup_audit.study import Study

VERSION = 5


def audit_predictions(
    study: Study,
    manifest: CohortManifest,
    predictions: Predictions | Iterable[Predictions],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Every cell and every gap of a study, from its predictions.

    Persons are drawn once: each cell is a column of replicates from the same draws, each gap a difference of two
    columns. The default intervals come from DeLong's or Obuchowski's covariance (docs/statistics.md); bootstrap
    limits stand beside them.

    Parameters
    ----------
    manifest : says which images a cell has and what their labels are
    predictions : one row per fit, image and finding; joined by key, never by order. Several tables, of one or more
        whole fits each, are gone through one by one, once: a generator that reads a file after the other will do

    Raises
    ------
    TableError
        A prediction is missing, its label is not the manifest's, or a person has two sexes.
    """
    analysis = study.analysis
    scores = Scores(manifest, predictions)
    draws = PersonDraws(
        np.arange(len(scores.persons)),
        scores.person_strata(),
        n_resamples=analysis.n_resamples,
        seed=analysis.seed,
        n_threads=_cores(),
    )
    found = list(scores.cells(study.finding_names, study.test_cohorts))
    cells = measure_cells(found, draws, analysis, progress)
    reference = reference_values(study, manifest.frame)
    pairs = list(declared_pairs(study, list(cells), reference))
    bands = matrix_bands(list(cells.values()), analysis)
    macros = macro_cells(cells, analysis)
    estimates = _stacked(estimate_rows(cells.values(), bands), macro_estimates(macros, analysis))
    contrasts = _stacked(contrast_rows(pairs, cells, analysis), macro_contrasts(pairs, macros, analysis))
    fits = _stacked(fit_rows(cells.values(), scores.fits), macro_fits(macros, scores.fits))
    settings = {**analysis.model_dump(mode="json"), "reference": reference, "n_persons": len(scores.persons)}
    return AuditResult(
        estimates,
        with_adjusted_p(contrasts, analysis),
        fits,
        settings,
        spreads=spread_rows(study, cells, macros),
        case_mix=case_mix_rows(study, [pair for pair in pairs if isinstance(pair, Pair)], cells, scores, draws),
        accuracies=fit_accuracies(study, scores.fits, cells, macros),
    )


def _cores() -> int:
    """Processors that this process may use; no number depends on how many."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([first, second], ignore_index=True) if len(second) else first


def reference_values(study: Study, manifest: pd.DataFrame) -> dict[str, str]:
    """Reference value of every attribute: the study's, or else the known value with most images.

    Of values with as many images, as in balanced cohorts, it is the first by name: not the one that happens to
    stand first, which would turn the sign of a gap over.
    """
    images = manifest.drop_duplicates("image_id")
    found = {
        attribute: _commonest(images[attribute])
        for attribute in study.group_attributes
        if attribute in images.columns and images[attribute].notna().any()
    }
    return {**found, **study.analysis.reference}


def _commonest(values: pd.Series) -> str:
    counts = {str(name): int(n) for name, n in values.value_counts().items()}
    known = {name: n for name, n in counts.items() if name != UNKNOWN} or counts
    return min(known, key=lambda name: (-known[name], name))
