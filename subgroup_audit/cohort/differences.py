"""How far the cohorts of a study are apart in what is recorded: standardised mean differences of every pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.schema import DIFFERENCE_COLUMNS, SPLITS, UNKNOWN, conform_frame

OVERALL = "all"
AGE = "age_years"
NO_OVERLAP = "the two cohorts have no value in common, or one has a single value: there is no spread to measure by"


def cohort_differences(
    manifest: pd.DataFrame, cohorts: Sequence[str], attributes: Sequence[str], findings: Sequence[str]
) -> pd.DataFrame:
    """`DIFFERENCE_COLUMNS`: a row per pair of cohorts, split and variable; without sign.

    A number: |difference of means| over the root of the mean of the two variances. Categories: the distance of
    the shares of all values, measured by the mean of their two covariances (Yang & Dalton 2012), which for two
    values is |p - q| / sqrt((p (1 - p) + q (1 - q)) / 2). Missing values are left out. Images count one each, also
    where one is in both cohorts.

    Parameters
    ----------
    manifest : one row per cohort, image and finding, with the attributes as columns
    cohorts : in the order in which the pairs are made
    """
    columns = [name for name in (AGE, *attributes) if name in manifest.columns]
    images = _images(manifest, columns, findings)
    rows = []
    for split in (OVERALL, *SPLITS):
        chosen = images if split == OVERALL else images[images["split"] == split]
        by_cohort = {str(name): rows for name, rows in chosen.groupby("cohort", sort=False)}
        present = [name for name in cohorts if name in by_cohort]
        for first, second in combinations(present, 2):
            rows += list(_pair_rows(first, second, split, by_cohort, [*columns, *findings]))
    frame = pd.DataFrame(rows, columns=[column.name for column in DIFFERENCE_COLUMNS])
    return conform_frame(frame, DIFFERENCE_COLUMNS, "differences")


def _images(manifest: pd.DataFrame, columns: Sequence[str], findings: Sequence[str]) -> pd.DataFrame:
    """One row per cohort and image; findings as columns; what is unknown is missing."""
    keys = ["cohort", "image_id"]
    images = manifest.drop_duplicates(keys)[[*keys, "split", *columns]].set_index(keys)
    texts = [name for name in columns if name != AGE]
    images[texts] = images[texts].mask(images[texts] == UNKNOWN)
    labels = manifest[manifest["finding"].isin(list(findings))].pivot(
        index=keys, columns="finding", values="y_true"
    )
    return images.join(labels).reset_index()


def _pair_rows(
    first: str, second: str, split: str, by_cohort: Mapping[str, pd.DataFrame], variables: Sequence[str]
) -> Iterator[dict[str, object]]:
    for variable in variables:
        a, b = by_cohort[first][variable].dropna(), by_cohort[second][variable].dropna()
        kind = "number" if variable == AGE else "category"
        found = None
        if len(a) and len(b):
            found = _of_numbers(a, b) if kind == "number" else _of_categories(a, b)
        yield {
            "cohort": first,
            "other": second,
            "split": split,
            "variable": variable,
            "kind": kind,
            "smd": found,
            "n_images": len(a),
            "n_images_other": len(b),
            "reason": "" if found is not None else NO_OVERLAP if len(a) and len(b) else "no known value",
        }


def _of_numbers(a: pd.Series, b: pd.Series) -> float | None:
    spread = (float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2.0
    apart = abs(float(a.mean()) - float(b.mean()))
    if not spread > 0.0:
        return 0.0 if apart == 0.0 else None
    return apart / math.sqrt(spread)


def _of_categories(a: pd.Series, b: pd.Series) -> float | None:
    """Mahalanobis' distance of the shares; None where the difference lies where nothing varies."""
    levels = pd.Index(sorted({*a.unique(), *b.unique()}, key=str))
    first, second = (_shares(one, levels) for one in (a, b))
    apart = first - second
    if not np.abs(apart).max() > 1e-12:
        return 0.0
    spread = (_covariance(first) + _covariance(second)) / 2.0
    inverse = np.linalg.pinv(spread, hermitian=True)
    explained = spread @ inverse @ apart
    if np.abs(explained - apart).max() > 1e-6:
        return None
    return math.sqrt(max(float(apart @ inverse @ apart), 0.0))


def _shares(values: pd.Series, levels: pd.Index) -> NDArray[np.float64]:
    counts = values.value_counts(normalize=True).reindex(levels, fill_value=0.0)
    return np.asarray(counts.to_numpy(dtype=np.float64))


def _covariance(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.diag(shares) - np.outer(shares, shares))
