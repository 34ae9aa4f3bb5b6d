"""Which images two runs share, and what forbids a comparison: other persons, other labels, tests seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from subgroup_audit.comparison.runs import Run
from subgroup_audit.errors import TableError

SEEN = ("train", "val")


@dataclass(frozen=True, eq=False)
class Match:
    """The images that a reference run and another share.

    Attributes
    ----------
    key_of : the other run's image_id -> the reference's
    by : how images were matched: 'image_id', or 'file name' where folders and endings differ
    counts : images and persons by where they are, for the table of the report
    n_crossing : persons tested in one run and seen while training in the other
    """

    key_of: Mapping[str, str]
    by: str
    counts: Mapping[str, int]
    n_crossing: int


def match_runs(reference: Run, other: Run, *, allow_other_split: bool = False) -> Match:
    """The images in both, by key and person.

    Parameters
    ----------
    allow_other_split : compare although the two runs divide persons into splits in different ways; only what both
        test is then compared

    Raises
    ------
    TableError
        No image is in both; an image is of another person, or has another label; or, unless it is allowed,
        persons are tested in one run and seen while training in the other.
    """
    both, by = _joined(reference, other)
    names = f"'{reference.label}' and '{other.label}'"
    _refuse_other_persons(both, names)
    key_of = dict(zip(both["image_id_other"], both["image_id"], strict=True))
    _refuse_other_labels(reference, other, key_of, names)
    crossing = [_crossing(a, b) for a, b in ((reference, other), (other, reference)) if reference is not other]
    n_crossing = len(set().union(*crossing))
    if n_crossing and not allow_other_split:
        _refuse_crossing(reference, other, crossing)
    return Match(key_of, by, _counts(reference, other, both), n_crossing)


def _joined(reference: Run, other: Run) -> tuple[pd.DataFrame, str]:
    """The images of both runs side by side, and the key that they were joined by."""
    for by, key in (("image_id", str), ("file name", _stem)):
        ours, theirs = (run.images.assign(key=run.images["image_id"].map(key)) for run in (reference, other))
        if ours["key"].is_unique and theirs["key"].is_unique:
            both = ours.merge(theirs, on="key", suffixes=("", "_other"))
            if len(both):
                return both, by
    raise TableError(
        f"'{reference.label}' and '{other.label}' have no image in common: {len(reference.images):,} images, the "
        f"first '{reference.images['image_id'].iloc[0]}', and {len(other.images):,}, the first "
        f"'{other.images['image_id'].iloc[0]}'; only runs on the same images can be compared"
    )


def _stem(image_id: str) -> str:
    return PurePosixPath(image_id).stem


def _refuse_other_persons(both: pd.DataFrame, names: str) -> None:
    wrong = both[both["patient_id"] != both["patient_id_other"]]
    if len(wrong):
        raise TableError(
            f"{names}: {len(wrong):,} of {len(both):,} common images are of different persons, the first "
            f"'{wrong['image_id'].iloc[0]}'; either image_id does not name the same image in both, or persons "
            "were told apart in another way"
        )


def _refuse_other_labels(reference: Run, other: Run, key_of: Mapping[str, str], names: str) -> None:
    ours, theirs = (
        run.manifest.frame[["image_id", "finding", "y_true"]].drop_duplicates(["image_id", "finding"])
        for run in (reference, other)
    )
    theirs = theirs.assign(image_id=theirs["image_id"].map(key_of))
    both = ours.merge(theirs, on=["image_id", "finding"], suffixes=("", "_other"))
    if not len(both):
        raise TableError(
            f"{names} share no finding: {', '.join(reference.study.finding_names)}; and "
            f"{', '.join(other.study.finding_names)}"
        )
    wrong = both[both["y_true"] != both["y_true_other"]]
    if len(wrong):
        first = wrong.iloc[0]
        raise TableError(
            f"{names}: {len(wrong):,} of {len(both):,} common labels differ, the first for '{first['finding']}' "
            f"of image '{first['image_id']}' ({first['y_true']} and {first['y_true_other']}); the two runs ask "
            "different questions, so a difference of their AUCs would mean nothing"
        )


def _crossing(tested: Run, trained: Run) -> set[str]:
    """Persons who are in the test split of one run, and in the training or validation split of the other."""
    a, b = tested.images, trained.images
    return set(a.loc[a["split"] == "test", "patient_id"]) & set(b.loc[b["split"].isin(SEEN), "patient_id"])


def _refuse_crossing(reference: Run, other: Run, crossing: list[set[str]]) -> None:
    parts = [
        f"{len(persons):,} test persons of '{a.label}' are in the training or validation split of '{b.label}'"
        for persons, a, b in zip(crossing, (reference, other), (other, reference), strict=True)
        if persons
    ]
    tested = [set(run.images.loc[run.images["split"] == "test", "patient_id"]) for run in (reference, other)]
    raise TableError(
        f"leakage between the runs: {' and '.join(parts)}. A model's AUC on persons that it has seen is no fair "
        f"rival of one on persons that it has not. {len(tested[0] & tested[1]):,} persons are tested in both; "
        "--allow-other-split compares on these alone"
    )


def _counts(reference: Run, other: Run, both: pd.DataFrame) -> dict[str, int]:
    """Images and persons in both and in one run alone; and those tested in both."""
    tested = both[(both["split"] == "test") & (both["split_other"] == "test")]
    persons = [set(run.images["patient_id"]) for run in (reference, other)]
    return {
        "images_in_both": len(both),
        "images_in_reference_only": len(reference.images) - len(both),
        "images_in_other_only": len(other.images) - len(both),
        "images_tested_in_both": len(tested),
        "patients_in_both": both["patient_id"].nunique(),
        "patients_in_reference_only": len(persons[0] - persons[1]),
        "patients_in_other_only": len(persons[1] - persons[0]),
        "patients_tested_in_both": tested["patient_id"].nunique(),
    }
