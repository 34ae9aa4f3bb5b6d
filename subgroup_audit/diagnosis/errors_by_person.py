"""Whose images are called wrongly: errors by person, persons with every image wrong, and wrong images in a row.

Errors that gather in few persons are another matter than errors that fall on anybody: the model does not know
those persons, or their labels are wrong. An image is called positive from the fit's threshold on, which Youden's
rule chooses on the validation images of its cohort; only test images are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.errors import StatisticsError
from subgroup_audit.schema import (
    ERROR_COUNT_COLUMNS,
    PERSON_ERROR_COLUMNS,
    CohortManifest,
    Predictions,
    conform_frame,
)
from subgroup_audit.stats import choose_threshold, rate_interval
from subgroup_audit.study import Study

ORDER_COLUMNS = ("instance_number", "slice_number", "slice_index", "slice", "series_position")
BY_NAME = "image_id"
FIT = ("train_cohort", "model", "recipe", "seed")

Ints = NDArray[np.int64]


def errors_by_person(
    study: Study, manifest: CohortManifest, predictions: Predictions, images: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`PERSON_ERROR_COLUMNS`, which name persons, and `ERROR_COUNT_COLUMNS`, which do not.

    A fit whose validation images are of one class has no threshold, and no rows.

    Parameters
    ----------
    images : the source's images with their further attributes; the first of `ORDER_COLUMNS` that is there puts a
        person's images in order, else their ids do, with the numbers in them read as numbers
    """
    order, ordered_by = _order_of(images)
    persons: list[pd.DataFrame] = []
    counts: list[dict[str, Any]] = []
    for called in _called_fits(study, manifest.frame, predictions.frame):
        ordered = called.assign(place=called["image_id"].map(order)).sort_values(
            ["patient_id", "place", "image_id"]
        )
        by_person = _by_person(ordered, ordered_by)
        persons.append(by_person)
        counts += _count_groups(study, manifest.frame, ordered, by_person)
    whole = pd.concat(persons, ignore_index=True) if persons else _empty(PERSON_ERROR_COLUMNS)
    counted = pd.DataFrame(counts) if counts else _empty(ERROR_COUNT_COLUMNS)
    return (
        conform_frame(whole, PERSON_ERROR_COLUMNS, "person_errors"),
        conform_frame(counted, ERROR_COUNT_COLUMNS, "error_counts"),
    )


def _empty(columns: tuple[Any, ...]) -> pd.DataFrame:
    return pd.DataFrame({column.name: [] for column in columns})


def _order_of(images: pd.DataFrame) -> tuple[pd.Series, str]:
    """The place of each image in its series, by image_id, and what says so."""
    by_plain = {re.sub(r"[\W_]+", "", str(name)).lower(): name for name in images.columns}
    for name in ORDER_COLUMNS:
        column = by_plain.get(name.replace("_", ""))
        values = pd.to_numeric(images[column], errors="coerce") if column is not None else None
        if values is not None and values.notna().all():
            return pd.Series(values.to_numpy(), index=images["image_id"]), str(column)
    ranked = sorted(images["image_id"], key=natural_key)
    return pd.Series(np.arange(len(ranked)), index=ranked), BY_NAME


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts names with the numbers in them read as numbers.

    >>> sorted(["p1_10", "p1_9"], key=natural_key)
    ['p1_9', 'p1_10']
    """
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]


def _called_fits(study: Study, manifest: pd.DataFrame, predictions: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The test images of each fit and finding, with the threshold and whether the call is wrong."""
    own = predictions[predictions["model"].isin(list(study.models))]
    validation = dict(list(manifest[manifest["split"] == "val"].groupby(["cohort", "finding"])["image_id"]))
    for (_, finding), rows in own.groupby(["fit_id", "finding"], sort=False):
        chosen = validation.get((rows["train_cohort"].iloc[0], finding))
        known = rows[rows["image_id"].isin([] if chosen is None else chosen)]
        threshold = _youden(known)
        if threshold is not None:
            tested = rows[rows["split"] == "test"]
            is_called = tested["y_score"] >= threshold
            yield tested.assign(threshold=threshold, is_wrong=is_called != (tested["y_true"] == 1))


def _youden(rows: pd.DataFrame) -> float | None:
    try:
        return choose_threshold(rows["y_true"].to_numpy(), rows["y_score"].to_numpy(), "youden")
    except StatisticsError:  # no image, or one class
        return None


def _by_person(called: pd.DataFrame, ordered_by: str) -> pd.DataFrame:
    """One row a person; the images of each stand in order."""
    flags = called.assign(
        n_false_positive=called["is_wrong"] & (called["y_true"] == 0),
        n_false_negative=called["is_wrong"] & (called["y_true"] == 1),
    )
    grouped = flags.groupby("patient_id", sort=False)
    found = grouped.agg(
        **{name: (name, "first") for name in ("fit_id", *FIT, "finding", "threshold")},
        n_images=("image_id", "size"),
        n_wrong=("is_wrong", "sum"),
        n_false_positive=("n_false_positive", "sum"),
        n_false_negative=("n_false_negative", "sum"),
    ).reset_index()
    series = {
        str(person): rows for person, rows in flags[["patient_id", "is_wrong", "place"]].groupby("patient_id")
    }
    runs = [
        _runs(series[person], ordered_by) if n else (0, "")
        for person, n in zip(found["patient_id"], found["n_wrong"], strict=True)
    ]
    return found.assign(
        is_all_wrong=found["n_wrong"] == found["n_images"],
        longest_run=[longest for longest, _ in runs],
        runs=[text for _, text in runs],
        ordered_by=ordered_by,
    )


def _runs(rows: pd.DataFrame, ordered_by: str) -> tuple[int, str]:
    """The longest run of wrong images of one person, and all runs, as 1-20, 92-105."""
    wrong = rows["is_wrong"].to_numpy(dtype=bool)
    places = np.arange(1, len(rows) + 1) if ordered_by == BY_NAME else rows["place"].to_numpy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wrong, [False]]).astype(np.int8)))
    spans = edges.reshape(-1, 2)
    names = [f"{places[a]:g}" if b - a == 1 else f"{places[a]:g}-{places[b - 1]:g}" for a, b in spans]
    return int((spans[:, 1] - spans[:, 0]).max(initial=0)), ", ".join(names)


def _count_groups(
    study: Study, manifest: pd.DataFrame, called: pd.DataFrame, by_person: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    finding = called["finding"].iloc[0] if len(called) else ""
    runs = by_person.set_index("patient_id")["longest_run"]
    for group in study.test_cohorts:
        is_member = (manifest["cohort"] == group) & (manifest["finding"] == finding)
        rows = called[called["image_id"].isin(manifest.loc[is_member, "image_id"])]
        if len(rows):
            yield {"test_group": group, **_counted(rows, runs, study.analysis.confidence_level)}


def _counted(rows: pd.DataFrame, runs: pd.Series, level: float) -> dict[str, Any]:
    person, persons = pd.factorize(rows["patient_id"])
    wrong = rows["is_wrong"].to_numpy(dtype=bool)
    n_images, n_wrong = np.bincount(person), np.bincount(person, weights=wrong).astype(np.int64)
    of_several = n_images >= 2
    is_all_wrong = of_several & (n_wrong == n_images)
    first = rows.iloc[0]
    return {
        **{name: first[name] for name in (*FIT, "finding", "threshold")},
        "n_patients": len(persons),
        "n_images": len(rows),
        "n_wrong": int(wrong.sum()),
        "n_persons_with_errors": int((n_wrong > 0).sum()),
        "n_persons_of_several": int(of_several.sum()),
        "n_all_wrong": int(is_all_wrong.sum()),
        "expected_all_wrong": _expected(rows, person, of_several),
        **_share("share_all_wrong", "share", is_all_wrong[of_several], None, level),
        **_share("held", "held", is_all_wrong[person][wrong], person[wrong], level),
        "longest_run": int(runs.reindex(persons).max()),
        "confidence_level": level,
    }


def _expected(rows: pd.DataFrame, person: Ints, of_several: NDArray[np.bool_]) -> float:
    """Persons of several images who would have all of them wrong if errors fell on images whosever they are.

    Each class keeps its error rate: the sum over persons of the product of the rates of their images.
    """
    rate = rows.groupby("y_true")["is_wrong"].transform("mean").to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore"):
        joint = np.bincount(person, weights=np.log(rate))
    return float(np.exp(joint[of_several]).sum())


def _share(
    name: str, limits: str, is_so: NDArray[np.bool_], person: Ints | None, level: float
) -> Mapping[str, Any]:
    """A share with its interval over persons; None where there is nothing to share."""
    if not len(is_so):
        return {name: None, f"{limits}_low": None, f"{limits}_high": None}
    found = rate_interval(
        np.zeros(len(is_so), dtype=np.int64),
        is_so.astype(np.float64),
        "selection_rate",
        threshold=0.5,
        person=person,
        confidence_level=level,
        min_persons=1,
    )
    return {name: found.estimate, f"{limits}_low": found.low, f"{limits}_high": found.high}
