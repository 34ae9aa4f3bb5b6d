"""How many images and persons are left after every step: the numbers of a flow diagram.

A row with a reason counts those that leave; a row without one counts those that are there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from subgroup_audit.cohort.departures import Departures
from subgroup_audit.cohort.draw import Draw
from subgroup_audit.cohort.roster import Ints, Roster
from subgroup_audit.schema import SPLITS, ExclusionTable, LabelTable

STEPS = ("read", "eligibility", "labels", "pixels", "split")
MOST_REASONS = 10  # a source may give a sentence per file; the diagram shows the commonest and sums up the rest
COLUMNS = ("cohort", "step", "reason", "n_images", "n_patients", "left_images", "left_patients")
CROWDED = "beyond the most images of one person"
NO_CELL = "fits no balance cell"

Row = tuple[str, str, str, int, int | None, int, int | None]


def shared_flow(roster: Roster, departures: Departures, unread: pd.DataFrame) -> list[Row]:
    """The rows before any cohort is drawn: found, read, eligibility, labels, pixels, split.

    Parameters
    ----------
    unread : step and reason of every image that the source itself left out; their persons are not known
    """
    everyone = _count_persons(roster.persons)
    rows = _unread_rows(unread, len(roster), everyone)
    left = np.ones(len(roster), dtype=bool)
    for step in STEPS:
        for i, (at, rule) in enumerate(departures.rules):
            if at != step:
                continue
            gone = departures.why == i
            left &= ~gone
            counted = (int(gone.sum()), _count_persons(roster.persons[gone]))
            rows.append(("", step, rule, *counted, int(left.sum()), _count_persons(roster.persons[left])))
        counted = (int(left.sum()), _count_persons(roster.persons[left]))
        if step != "split" or any(at == "split" for at, _ in departures.rules):
            rows.append(("", step, "", *counted, *counted))
    return rows


def _unread_rows(unread: pd.DataFrame, n_read: int, n_persons: int) -> list[Row]:
    n_left = n_read + len(unread)
    rows: list[Row] = [("", "found", "", n_left, None, n_left, None)]
    if unread.empty:
        return [("", "found", "", n_left, n_persons, n_left, n_persons)]
    for step, here in unread.groupby("step", sort=True):
        for reason, count in commonest(here["reason"]).items():
            n_left -= count
            rows.append(("", str(step), reason, count, None, n_left, None))
    return rows


def commonest(reasons: pd.Series) -> dict[str, int]:
    """The commonest reasons and how often each stands there, the rest summed up; independent of row order."""
    counts = reasons.value_counts().rename_axis("reason").reset_index(name="n")
    counts = counts.sort_values(["n", "reason"], ascending=[False, True])
    listed = {str(row["reason"]): int(row["n"]) for row in counts.head(MOST_REASONS).to_dict("records")}
    rest = counts.iloc[MOST_REASONS:]
    if len(rest):
        listed[f"other reasons ({len(rest)} different)"] = int(rest["n"].sum())
    return listed


def cohort_flow(roster: Roster, draw: Draw, parts: Ints) -> list[Row]:
    """The rows of one cohort: matched, balanced, train, val, test."""
    pool, persons = draw.pool, roster.persons
    rows = [_state(pool.name, "matched", persons[pool.matched])]
    is_left = np.zeros(len(roster), dtype=bool)
    is_left[pool.matched] = True
    drawn_size = f"not needed for {len(draw.drawn):,} balanced images"
    for rule, gone in (
        (CROWDED, pool.crowded_out),
        (NO_CELL, draw.left_over[draw.left_cell < 0]),
        (drawn_size, draw.left_over[draw.left_cell >= 0]),
    ):
        if len(gone):
            is_left[gone] = False
            counted = (len(gone), _count_persons(persons[gone]))
            left = (int(is_left.sum()), _count_persons(persons[is_left]))
            rows.append((pool.name, "balanced", rule, *counted, *left))
    rows.append(_state(pool.name, "balanced", persons[draw.drawn]))
    for i, split in enumerate(SPLITS):
        rows.append(_state(pool.name, split, persons[draw.drawn[parts[draw.drawn] == i]]))
    return rows


def _state(cohort: str, step: str, persons: Ints) -> Row:
    counted = (len(persons), _count_persons(persons))
    return (cohort, step, "", *counted, *counted)


def _count_persons(persons: Ints) -> int:
    return int(np.count_nonzero(np.bincount(persons))) if len(persons) else 0


def as_flow(rows: list[Row]) -> pd.DataFrame:
    """The rows as a frame; persons are missing where the source does not say whose an image was."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = {name: "Int64" if name.endswith("patients") else "int64" for name in COLUMNS[3:]}
    return frame.astype({**dict.fromkeys(COLUMNS[:3], "str"), **whole})


def unread_images(exclusions: ExclusionTable, roster: Roster) -> pd.DataFrame:
    """The images that the source itself left out and that are not in its image table, each once."""
    frame = exclusions.frame
    if frame.empty:
        return frame
    elsewhere = pd.Index(roster.frame["image_id"]).get_indexer(pd.Index(frame["image_id"])) < 0
    unread: pd.DataFrame = frame[elsewhere]
    return unread.drop_duplicates("image_id")


def source_counts(roster: Roster, labels: LabelTable) -> pd.DataFrame:
    """Images and persons by label, sex and view before anything is left out.

    Columns: finding, sex, view, n_images, n_patients. An image counts under every label that it carries; images
    without a label count under 'no label'.
    """
    images = roster.frame[["image_id", "sex", "view"]].assign(person=roster.persons)
    present = labels.frame.loc[labels.frame["label"] == 1, ["image_id", "finding"]]
    merged = images.merge(present, on="image_id", how="left")
    merged["finding"] = merged["finding"].fillna("no label")
    keys = ["finding", "sex", "view"]
    grouped = merged.groupby(keys, sort=True)
    counts = grouped.size().rename("n_images").to_frame()
    counts["n_patients"] = merged.drop_duplicates([*keys, "person"]).groupby(keys, sort=True).size()
    return counts.reset_index()
