"""Which causes of a gap were named, where, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import distinct, isolated, rows_of
from subgroup_audit.report.numerals import typeset
from subgroup_audit.study import Study

ORDER = ("found", "cannot be told", "not found")


@dataclass(frozen=True)
class NamedCause:
    """A cause, how often it was found among the kinds of fit that were asked, and the rows behind it.

    Attributes
    ----------
    verdict : found if it was found anywhere; else cannot be told if that holds anywhere; else not found
    where : the kinds of fit that it was found in, in words
    rows : found ones first
    """

    cause: str
    verdict: str
    n_found: int
    where: str
    sentence: str
    rows: tuple[dict[str, Any], ...]


def named_causes(frame: pd.DataFrame | None, study: Study) -> list[NamedCause]:
    """Every cause that was asked for, those that were found first."""
    if frame is None or frame.empty:
        return []
    found = [_named(str(cause), rows_of(rows), study) for cause, rows in frame.groupby("cause", sort=False)]
    return sorted(found, key=lambda named: (ORDER.index(named.verdict), -named.n_found))


def causes_sentence(frame: pd.DataFrame | None, study: Study) -> str:
    """One sentence for the first screen; '' where causes were not asked for."""
    named = named_causes(frame, study)
    if not named:
        return ""
    found = [_counted(cause) for cause in named if cause.verdict == "found"]
    if found:
        return f"Named as {'cause' if len(found) == 1 else 'causes'}: {'; '.join(found)}."
    return f"None of {len(named)} causes that were asked for is to be seen in these data."


def _counted(cause: NamedCause) -> str:
    """The cause, and in how many of the kinds of fit that were asked: one of many is easily chance."""
    n_asked = len(cause.rows)
    return isolated(cause.cause) + (f" (in {cause.n_found} of {n_asked} kinds of fit)" if n_asked > 1 else "")


def _named(cause: str, rows: list[dict[str, Any]], study: Study) -> NamedCause:
    spelled = [row | {"sentence": typeset(str(row["sentence"]))} for row in rows]
    ordered = sorted(spelled, key=lambda row: ORDER.index(str(row["verdict"])))
    verdict = str(ordered[0]["verdict"])
    found = [row for row in ordered if row["verdict"] == "found"]
    best = max(found, key=lambda row: abs(row["size"] or 0.0)) if found else ordered[0]
    where = ", ".join(distinct(fit_words(row, study) for row in found))
    return NamedCause(cause, verdict, len(found), where, str(best["sentence"]), tuple(ordered))


def fit_words(row: dict[str, Any], study: Study) -> str:
    """A kind of fit in as few words as tell it from the others of the study."""
    parts = [f"trained on {isolated(row['train_cohort'])}"]
    if len(study.models) > 1:
        parts.append(isolated(row["model"]))
    if len(study.recipes) > 1:
        parts.append(isolated(row["recipe"]))
    if len(study.finding_names) > 1:
        parts.append(isolated(row["finding"]))
    return " · ".join(parts)
