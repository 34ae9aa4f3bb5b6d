"""The gap waterfall: from the AUC that the training log shows to that on other people, one step at a time.

    while training -> training images in evaluation mode -> with batch statistics recomputed
    -> validation persons -> test persons of the same cohort -> test persons of another cohort

Each level is an AUC that was measured, each step the level minus the one before it, so that the steps add up
exactly to the whole gap. What a step means is written beside it in the report:

* evaluation mode: the network as it is used, without augmentation, dropout and batch statistics of its batch;
* recomputed: as before, but for batch normalisation, whose statistics are those of the training images;
* validation: persons that the weights were not fitted to, though the epoch was picked by them;
* own test: persons that nothing was picked by; other test: another group of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.schema import WATERFALL_COLUMNS, CohortManifest, Predictions, Stages
from subgroup_audit.stats import (
    AucComponents,
    GapEstimate,
    SeedEstimate,
    auc_components,
    average_over_seeds,
    seed_gap,
)
from subgroup_audit.study import Study

WHILE_TRAINING, EVALUATED, RECOMPUTED, VALIDATION, OWN_TEST, OTHER_TEST = (
    "while training",
    "evaluation mode",
    "recomputed",
    "validation",
    "own test",
    "other test",
)
METHOD = "persons as drawn, seeds paired"


@dataclass(frozen=True, eq=False)
class Level:
    """One AUC of the waterfall, of every seed's fit on the same images."""

    stage: str
    test_group: str
    by_seed: Mapping[int, AucComponents]

    def estimate(self, study: Study) -> SeedEstimate:
        """The mean over seeds with its interval."""
        analysis = study.analysis
        return average_over_seeds(
            list(self.by_seed.values()),
            confidence_level=analysis.confidence_level,
            min_persons=analysis.min_persons,
        )


def gap_waterfall(
    study: Study, manifest: CohortManifest, predictions: Predictions, stages: Stages
) -> pd.DataFrame:
    """`WATERFALL_COLUMNS`: the levels of every cohort, model, recipe and finding, each with its step.

    The levels of one waterfall follow each other; those of `other test` all step down from `own test`. A stage
    that a fit does not have, as recomputed statistics of a network without batch normalisation, is left out, and
    the next step goes from the last stage that there is. `whole_change` is the way from the first level to this
    one at once, with an interval of its own, since the limits of steps do not add up. Intervals are those of
    `average_over_seeds` and `seed_gap`, with persons shared between the two levels counted as correlated. Levels
    on training images are a description: the model has seen them.
    """
    tables = _Tables(manifest.frame, predictions.frame, stages.frame)
    rows = [
        row
        for finding in study.finding_names
        for key, seeds in tables.fits.items()
        for row in _waterfall(study, tables, finding, key, seeds)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in WATERFALL_COLUMNS])


@dataclass(frozen=True)
class _Key:
    train_cohort: str
    model: str
    recipe: str


class _Tables:
    """The three tables, looked up by fit."""

    def __init__(self, manifest: pd.DataFrame, predictions: pd.DataFrame, stages: pd.DataFrame) -> None:
        self.manifest = manifest.assign(person=pd.factorize(manifest["patient_id"], sort=True)[0])
        self.scores = {
            (str(fit), str(finding)): rows.set_index("image_id")["y_score"]
            for (fit, finding), rows in predictions.groupby(["fit_id", "finding"], sort=False)
        }
        self.stages = {
            (str(fit), str(stage), str(split), str(finding)): rows
            for (fit, stage, split, finding), rows in stages.groupby(
                ["fit_id", "stage", "split", "finding"], sort=False
            )
        }
        with_stages = set(stages["fit_id"])
        fits = predictions[predictions["fit_id"].isin(with_stages)].drop_duplicates("fit_id")
        self.fits: dict[_Key, dict[int, str]] = {}
        for row in fits.sort_values("seed", kind="stable").to_dict("records"):
            key = _Key(str(row["train_cohort"]), str(row["model"]), str(row["recipe"]))
            self.fits.setdefault(key, {})[int(row["seed"])] = str(row["fit_id"])

    def members(self, finding: str, cohort: str, split: str) -> pd.DataFrame:
        """Labels and persons of a cohort's split, by image."""
        rows = self.manifest
        chosen = rows[(rows["finding"] == finding) & (rows["cohort"] == cohort) & (rows["split"] == split)]
        return chosen.set_index("image_id")[["y_true", "person"]].sort_index()


def _waterfall(
    study: Study, tables: _Tables, finding: str, key: _Key, seeds: Mapping[int, str]
) -> Iterator[dict[str, Any]]:
    main = [level for level in _main_levels(tables, finding, key.train_cohort, seeds) if level is not None]
    if not main:
        return
    name, first = {"finding": finding, **vars(key)}, main[0]
    for position, (before, level) in enumerate(pairwise([None, *main])):
        if level is not None:
            yield name | _row(study, level, before, first, position)
    others = [group for group in study.test_cohorts if group != key.train_cohort]
    for group in others:
        level = _predicted(tables, finding, OTHER_TEST, group, "test", seeds)
        if level is not None:
            yield name | _row(study, level, main[-1], first, len(main))


def _main_levels(tables: _Tables, finding: str, cohort: str, seeds: Mapping[int, str]) -> Iterator[Level | None]:
    yield _staged(tables, finding, WHILE_TRAINING, cohort, "train", seeds)
    yield _predicted(tables, finding, EVALUATED, cohort, "train", seeds)
    yield _staged(tables, finding, RECOMPUTED, cohort, "train", seeds)
    yield _predicted(tables, finding, VALIDATION, cohort, "val", seeds)
    yield _predicted(tables, finding, OWN_TEST, cohort, "test", seeds)


def _predicted(
    tables: _Tables, finding: str, stage: str, group: str, split: str, seeds: Mapping[int, str]
) -> Level | None:
    """A level from the predictions in evaluation mode."""
    members = tables.members(finding, group, split)
    columns = {seed: tables.scores[fit, finding].reindex(members.index) for seed, fit in seeds.items()}
    return _level(stage, group, members, columns)


def _staged(
    tables: _Tables, finding: str, stage: str, cohort: str, split: str, seeds: Mapping[int, str]
) -> Level | None:
    """A level from what the fits themselves kept; None unless all of them have it.

    An image that an epoch drew several times stands with its mean score; images that a seed never drew are left
    out for all seeds, so that the mean over seeds is one on the same images.
    """
    found = {seed: tables.stages.get((fit, stage, split, finding)) for seed, fit in seeds.items()}
    if any(rows is None for rows in found.values()):
        return None
    means = {seed: rows.groupby("image_id")["y_score"].mean() for seed, rows in found.items() if rows is not None}
    members = tables.members(finding, cohort, split)
    for column in means.values():
        members = members[members.index.isin(column.index)]
    return _level(stage, cohort, members, {seed: column.reindex(members.index) for seed, column in means.items()})


def _level(stage: str, group: str, members: pd.DataFrame, columns: Mapping[int, pd.Series]) -> Level | None:
    if members.empty:
        return None
    y_true: NDArray[np.int64] = members["y_true"].to_numpy(dtype=np.int64)
    person = members["person"].to_numpy(dtype=np.int64)
    by_seed = {
        seed: auc_components(y_true, column.to_numpy(dtype=float), person=person)
        for seed, column in columns.items()
    }
    return Level(stage, group, by_seed)


def _row(study: Study, level: Level, before: Level | None, first: Level, position: int) -> dict[str, Any]:
    found = level.estimate(study)
    gap = None if before is None else _step(study, level, before)
    whole = gap if before is first else None if before is None else _step(study, level, first)
    return {
        "position": position,
        "stage": level.stage,
        "test_group": level.test_group,
        "from_stage": "" if before is None else before.stage,
        "auc": found.estimate,
        "auc_low": found.low,
        "auc_high": found.high,
        "change": gap.estimate if gap else None,
        "low": gap.low if gap else None,
        "high": gap.high if gap else None,
        "standard_error": gap.standard_error if gap else None,
        "p_value": gap.p_value if gap else None,
        "whole_change": whole.estimate if whole else None,
        "whole_low": whole.low if whole else None,
        "whole_high": whole.high if whole else None,
        "whole_p_value": whole.p_value if whole else None,
        "confidence_level": found.confidence_level,
        "method": gap.method if gap else found.method,
        "n_patients": found.n_patients,
        "n_images": found.n_images,
        "n_positive": found.n_positive,
        "n_negative": found.n_negative,
        "n_seeds": found.n_seeds,
        "status": found.status,
        "reason": found.reason,
    }


def _step(study: Study, level: Level, before: Level) -> GapEstimate:
    return seed_gap(
        _in_order(level),
        _in_order(before),
        paired_seeds=True,
        confidence_level=study.analysis.confidence_level,
        min_persons=study.analysis.min_persons,
    )


def _in_order(level: Level) -> Sequence[AucComponents]:
    return [level.by_seed[seed] for seed in sorted(level.by_seed)]
