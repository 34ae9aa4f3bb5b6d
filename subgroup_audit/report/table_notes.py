"""The notes below a paper's table: what all of its rows share, its abbreviations, and how many rows it has."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from subgroup_audit.report.contents import distinct
from subgroup_audit.report.numerals import listed, plural

# Columns that leave the table for its notes where all rows hold the same.
SHARED = ("Finding", "Model", "Recipe", "Status", "SD between seeds")
ABBREVIATIONS: Mapping[str, str] = {
    "AUC": "area under the ROC curve",
    "SE": "standard error",
    "SD": "standard deviation",
    "SMD": "standardised mean difference",
    "xAUC": "cross-group AUC",
    "PA": "posteroanterior",
    "AP": "anteroposterior",
}
DASH = "–: not estimable or not applicable."
FEWEST_COLUMNS = 3


def with_notes(shown: pd.DataFrame, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without the columns that say the same in every row, and its notes."""
    shared = [name for name in SHARED if name in shown.columns and len(shown) > 1 and shown[name].nunique() == 1]
    shared = shared[: max(0, shown.shape[1] - FEWEST_COLUMNS)]
    said = [f"{name}: {shown[name].iloc[0]}" for name in shared]
    lean = shown.drop(columns=shared)
    notes = [f"All rows: {'; '.join(said)}."] if said else []
    if "confidence_level" in frame and len(frame):
        levels = [f"{100 * float(level):.4g} %" for level in distinct(frame["confidence_level"])]
        notes.append(f"Intervals at {listed(levels)} confidence.")
    words = " ".join([*lean.columns, *(str(cell) for cell in lean.to_numpy().ravel()), *said])
    known = [f"{short}, {long}" for short, long in ABBREVIATIONS.items() if re.search(rf"\b{short}\b", words)]
    if known:
        notes.append(f"{'; '.join(known)}.")
    if (lean == "–").to_numpy().any():
        notes.append(DASH)
    return lean, [*notes, f"{plural(len(lean), 'row')}."]
