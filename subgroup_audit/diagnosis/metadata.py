"""The metadata-only baseline: what sex, view and age achieve without looking at the image.

On RSNA the view alone tells opacities from the rest with AUC 0.706, since sick patients are filmed in bed. A
network that is no better than this baseline has learned nothing that the request form does not say.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

METADATA_MODEL = "metadata only"
METADATA_RECIPE = "logit of sex, view, age"
RIDGE = 1e-4  # keeps the fit finite where an attribute separates the labels; moves no AUC that could be estimated

Floats = NDArray[np.float64]


def metadata_predictions(study: Study, manifest: CohortManifest) -> Predictions:
    """Scores of a logistic regression on sex, view and age, fitted on each training cohort's train split.

    One more model of the study: the same cohorts, the same splits, every image of every cohort scored.

    Parameters
    ----------
    manifest : with the group columns sex and view, and age_years

    Notes
    -----
    statsmodels GLM, binomial, with a ridge penalty of 1e-4. Missing ages count as the mean age, with an indicator
    of their own. An attribute that does not vary in a cohort tells nothing there and is left out.
    """
    frames = [
        _score_cohort(study, manifest.frame, cohort, finding)
        for cohort in study.train_cohorts
        for finding in study.finding_names
    ]
    return Predictions(pd.concat(frames, ignore_index=True))


def _score_cohort(study: Study, manifest: pd.DataFrame, cohort: str, finding: str) -> pd.DataFrame:
    rows = manifest[manifest["finding"] == finding]
    targets = rows.drop_duplicates("image_id").drop(columns=["cohort", "weight"])
    train = rows[(rows["cohort"] == cohort) & (rows["split"] == "train")]
    both = _design(pd.concat([train, targets], ignore_index=True))
    varies = both[: len(train)].std(axis=0) > 0
    scores = _fit_and_score(both[:, varies], train["y_true"].to_numpy(dtype=float))
    return targets.assign(
        fit_id=f"metadata-{study.train_cohorts.index(cohort)}",
        train_cohort=cohort,
        model=METADATA_MODEL,
        recipe=METADATA_RECIPE,
        seed=0,
        y_score=scores,
    )


def _design(rows: pd.DataFrame) -> Floats:
    """Indicators of sex and view, age in decades from the mean, and whether the age is missing."""
    parts = [pd.get_dummies(rows[name], drop_first=True, dtype=float) for name in ("sex", "view") if name in rows]
    if "age_years" in rows:
        age = rows["age_years"]
        middle = age.mean() if age.notna().any() else 0.0
        parts.append(
            pd.DataFrame({"age": (age.fillna(middle) - middle) / 10.0, "missing": age.isna().astype(float)})
        )
    return np.column_stack([part.to_numpy(dtype=float) for part in parts]) if parts else np.empty((len(rows), 0))


def _fit_and_score(design: Floats, labels: Floats) -> Floats:
    """Fit on the first rows, as many as there are labels; probabilities of the rest."""
    import statsmodels.api as sm

    with_constant = np.column_stack([np.ones(len(design)), design])
    model = sm.GLM(labels, with_constant[: len(labels)], family=sm.families.Binomial())
    fitted = model.fit_regularized(alpha=RIDGE, L1_wt=0.0)
    linear = with_constant[len(labels) :] @ np.asarray(fitted.params)
    return np.asarray(1.0 / (1.0 + np.exp(-linear)))
