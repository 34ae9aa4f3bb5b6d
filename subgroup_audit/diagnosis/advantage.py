"""How much of a model's AUC an attribute explains: the AUC among all images against that within its values.

Sick persons are filmed in bed, so a model that only recognised the view would still rank them above the others.
What is left among images of the same view is what it tells beyond the view. The share that goes,

    (A - W) / (A - 0.5)

with A the AUC on all images and W the AUC within values weighted by positives (Janes & Pepe 2009,
doi:10.1093/biomet/asp002), is 0 where the attribute plays no part and 1 where nothing else does. It is negative
where the attribute hides what the model tells.

Its interval is Fieller's: the shares r for which A - W - r (A - 0.5) is not told from zero, with the covariance of
A and W over the same persons and seeds. Where A itself is not told from 0.5 there is no advantage to divide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.diagnosis.encoding import probed_attributes, with_age_band
from subgroup_audit.diagnosis.metadata import METADATA_MODEL
from subgroup_audit.schema import ADVANTAGE_COLUMNS, CohortManifest, Predictions
from subgroup_audit.stats import (
    AucComponents,
    SeedEstimate,
    auc_components,
    average_over_seeds,
    combine,
    pool_sides,
)
from subgroup_audit.study import Study

METHOD = "Fieller, persons and seeds as in the AUCs"
FURTHEST = 1e6
"""Where the search for a limit of a share ends."""

Floats = NDArray[np.float64]


def advantage_frame(study: Study, manifest: CohortManifest, predictions: Predictions) -> pd.DataFrame:
    """`ADVANTAGE_COLUMNS` of every fit, finding, test group and attribute.

    An attribute that has one value in a test group has nothing to explain there and is left out; so is the
    metadata-only baseline, which knows nothing else.
    """
    frame = with_age_band(study, manifest.frame)
    frame = frame.assign(person=pd.factorize(frame["patient_id"], sort=True)[0])
    scores = predictions.frame[predictions.frame["model"] != METADATA_MODEL]
    rows = [
        row
        for key, scored in scores.groupby(["finding", "train_cohort", "model", "recipe"], sort=False)
        for row in _fit_rows(study, frame, scored, *map(str, key))
    ]
    return pd.DataFrame(rows, columns=[column.name for column in ADVANTAGE_COLUMNS])


def _fit_rows(
    study: Study, frame: pd.DataFrame, scored: pd.DataFrame, finding: str, cohort: str, model: str, recipe: str
) -> Iterator[dict[str, Any]]:
    of_finding = frame[frame["finding"] == finding]
    learned = of_finding[(of_finding["cohort"] == cohort) & (of_finding["split"] == "train")]
    columns = [part.set_index("image_id")["y_score"] for _, part in scored.groupby("seed", sort=True)]
    for group in dict.fromkeys((*study.test_cohorts, cohort)):
        tested = of_finding[(of_finding["cohort"] == group) & (of_finding["split"] == "test")]
        tested = tested.sort_values("image_id")
        for attribute in probed_attributes(tested):
            if tested[attribute].nunique() < 2:
                continue
            cell = _Cell(tested, [column.reindex(tested["image_id"]).to_numpy() for column in columns], attribute)
            name = {"finding": finding, "train_cohort": cohort, "model": model, "recipe": recipe}
            yield {**name, "test_group": group, "attribute": attribute, **_measure(study, cell, learned)}


@dataclass(frozen=True, eq=False)
class _Cell:
    """One test group's labels, persons and values, with the scores of every seed."""

    rows: pd.DataFrame
    scores: Sequence[Floats]
    attribute: str

    def components(self, chosen: NDArray[np.bool_]) -> list[AucComponents]:
        """The AUC of each seed among some of the images."""
        part = self.rows[chosen]
        return [self.of(part, column[chosen]) for column in self.scores]

    @staticmethod
    def of(rows: pd.DataFrame, scores: Floats) -> AucComponents:
        """The AUC of one column of scores."""
        person = rows["person"].to_numpy(dtype=np.int64)
        return auc_components(rows["y_true"].to_numpy(dtype=np.int64), scores, person=person)

    def values(self) -> tuple[list[str], NDArray[np.bool_]]:
        """The values that hold both classes, and which images have one of these."""
        by_value = self.rows.groupby(self.attribute)["y_true"].nunique()
        kept = sorted(str(value) for value in by_value.index[by_value == 2])
        return kept, self.rows[self.attribute].isin(kept).to_numpy(dtype=bool)


def _measure(study: Study, cell: _Cell, learned: pd.DataFrame) -> dict[str, Any]:
    """The three AUCs and the share, on the images whose value holds both classes."""
    values, is_kept = cell.values()
    kept = _Cell(cell.rows[is_kept], [column[is_kept] for column in cell.scores], cell.attribute)
    empty = _empty(study, cell, int((~is_kept).sum()))
    if not values:
        reason = f"no {cell.attribute} has both positive and negative images"
        return empty | {"status": "not estimable", "reason": reason}
    everything = np.ones(len(kept.rows), dtype=bool)
    of_value = kept.rows[cell.attribute].to_numpy()
    sides = [kept.components(everything), *(kept.components(of_value == value) for value in values)]
    positives = np.array([side[0].n_positive for side in sides[1:]], dtype=np.float64)
    shares = positives / positives.sum()
    return empty | _alone(study, kept, learned) | _explained(study, sides, shares, empty)


def _explained(
    study: Study, sides: Sequence[Sequence[AucComponents]], shares: Floats, empty: dict[str, Any]
) -> dict[str, Any]:
    level, fewest = study.analysis.confidence_level, study.analysis.min_persons
    pool = pool_sides(sides, seed_groups=[0] * len(sides), confidence_level=level, min_persons=fewest)
    overall = pool.estimates[0]
    within = combine(pool, [0.0, *shares])
    row = _auc("auc_all", overall) | {
        "auc_within": within.estimate,
        "auc_within_low": None if within.low is None else max(within.low, 0.0),
        "auc_within_high": None if within.high is None else min(within.high, 1.0),
        "n_patients": overall.n_patients,
        "n_images": overall.n_images,
        "n_positive": overall.n_positive,
        "n_negative": overall.n_negative,
        "n_seeds": len(sides[0]),
    }
    reason = _why_no_share(overall, level)
    if reason or within.estimate is None or overall.estimate is None:
        said = "; ".join(part for part in (reason or within.reason, empty["reason"]) if part)
        return row | {"status": "not estimable", "reason": said}
    share = (overall.estimate - within.estimate) / (overall.estimate - 0.5)
    ends = {name: _fieller_end(pool, shares, share, side, level) for name, side in (("low", -1), ("high", 1))}
    said = "; ".join(part for part in (within.reason, empty["reason"]) if part)
    status = "small" if "small" in (overall.status, within.status) else overall.status
    return row | {"share": share, **ends, "method": METHOD, "status": status, "reason": said}


def _why_no_share(overall: SeedEstimate, level: float) -> str:
    if overall.low is None or overall.high is None:
        return overall.reason
    if overall.low <= 0.5 <= overall.high:
        limits = f"{overall.low:.3f} to {overall.high:.3f}"
        return f"the {100 * level:g} % interval of the model's AUC ({limits}) holds 0.5: no advantage to explain"
    return ""


def _fieller_end(pool: Any, shares: Floats, share: float, side: int, level: float) -> float | None:
    """The share to one side of the estimate where the contrast is just told from zero; None if it never is."""
    from scipy.optimize import brentq
    from scipy.stats import t as student

    values = pool.values()

    def excess(r: float) -> float:
        weights = np.concatenate([[1.0 - r], -shares])
        variance, df = pool.variance(weights)
        reach = float(student.ppf(0.5 + level / 2.0, df)) * np.sqrt(variance)
        return abs(float(weights @ values) + r / 2.0) - float(reach)

    if not excess(share) < 0.0:
        return None  # no variance was found, and with it no degrees of freedom
    step = 0.01
    while excess(share + side * step) < 0.0:
        step *= 2.0
        if step > FURTHEST:
            return None
    return float(brentq(excess, *sorted((share, share + side * step))))


def _alone(study: Study, cell: _Cell, learned: pd.DataFrame) -> dict[str, Any]:
    """The AUC of P(positive | value) as the training images have it; a value they lack counts as the mean."""
    rates = learned.groupby(cell.attribute)["y_true"].mean()
    usual = float(learned["y_true"].mean())
    scores = cell.rows[cell.attribute].map(rates).fillna(usual).to_numpy(dtype=np.float64)
    found = average_over_seeds(
        [cell.of(cell.rows, scores)],
        confidence_level=study.analysis.confidence_level,
        min_persons=study.analysis.min_persons,
    )
    if len(np.unique(scores)) < 2:
        return {"auc_alone": 0.5, "auc_alone_low": None, "auc_alone_high": None}
    return _auc("auc_alone", found)


def _auc(name: str, found: SeedEstimate) -> dict[str, Any]:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def _empty(study: Study, cell: _Cell, n_left_out: int) -> dict[str, Any]:
    """A row without numbers, with the counts and what was left out."""
    n_positive = int((cell.rows["y_true"] == 1).sum())
    said = f"{n_left_out} images left out, whose {cell.attribute} lacks a class" if n_left_out else ""
    numbers = ("auc_all", "auc_within", "auc_alone")
    limits = {f"{name}{end}": None for name in numbers for end in ("", "_low", "_high")}
    return {
        **limits,
        "share": None,
        "low": None,
        "high": None,
        "confidence_level": study.analysis.confidence_level,
        "method": "none",
        "n_left_out": n_left_out,
        "n_patients": int(cell.rows["person"].nunique()),
        "n_images": len(cell.rows),
        "n_positive": n_positive,
        "n_negative": len(cell.rows) - n_positive,
        "n_seeds": len(cell.scores),
        "status": "ok",
        "reason": said,
    }
