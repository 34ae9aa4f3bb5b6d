"""The groups of an attribute taken together: the worst of them and their range, in sentences and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import isolated, rows_of
from subgroup_audit.report.gaps import varying
from subgroup_audit.report.numerals import decimal, interval, is_number, plural

MAX_ROWS = 80


@dataclass(frozen=True)
class SpreadRow:
    """The groups of one attribute under the fits of one cohort, and what tells this row from others."""

    row: dict[str, Any]
    groups: str
    context: str


def spread_table(spreads: pd.DataFrame | None) -> list[SpreadRow]:
    """The rows to show, at most `MAX_ROWS`: attributes in their order, within each the lowest AUC first."""
    if spreads is None or spreads.empty:
        return []
    order = {name: place for place, name in enumerate(spreads["attribute"].drop_duplicates())}
    sorted_rows = spreads.assign(place=spreads["attribute"].map(order)).sort_values(
        ["place", "worst_estimate"], kind="stable", na_position="last"
    )
    names = varying(spreads)
    return [
        SpreadRow(
            row=row,
            groups=f"{row['attribute']}: {isolated(row['groups'])}",
            context=" · ".join(isolated(row[name]) for name in names),
        )
        for row in rows_of(sorted_rows.head(MAX_ROWS))
    ]


def worst_group_sentences(spreads: pd.DataFrame | None) -> list[str]:
    """For each attribute, the group with the lowest AUC of all fits, with limits that know of the choosing."""
    if spreads is None:
        return []
    known = spreads[spreads["worst_estimate"].notna()]
    lowest = known.loc[known.groupby("attribute", sort=False)["worst_estimate"].idxmin()]
    return [_worst_sentence(row, int((known["attribute"] == row["attribute"]).sum())) for row in rows_of(lowest)]


def _worst_sentence(row: dict[str, Any], n_rows: int) -> str:
    level = f"{100 * float(row['confidence_level']):.4g} %"
    group, train, model = (isolated(row[name]) for name in ("worst_group", "train_cohort", "model"))
    chosen = f" It is the lowest of {n_rows} such rows, and tends to be understated." if n_rows > 1 else ""
    bound = row["no_group_below"]
    sentence = (
        f"Worst group by {row['attribute']}: {group}, AUC {decimal(row['worst_estimate'])} ({level} limits "
        f"{interval(row['worst_low'], row['worst_high'])}, for {plural(int(row['n_groups']), 'group')} together), "
        f"{model} trained on {train}.{chosen}"
    )
    if is_number(bound) and float(bound) < float(row["worst_low"]) - 5e-4:
        sentence += f" A group with fewer persons could be worse: only an AUC below {decimal(bound)} is excluded."
    return sentence
