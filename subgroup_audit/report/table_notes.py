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
    "PPV": "positive predictive value",
    "NPV": "negative predictive value",
    "PA": "posteroanterior",
    "AP": "anteroposterior",
}
DASH = "–: not estimable or not applicable."
FEWEST_COLUMNS = 3
DESCRIPTIVE = "A description: no verdict rests on these differences, and they are not corrected for their number."
# What a table needs said below it, by the table's name.
OWN_NOTES: Mapping[str, str] = {
    "performance": (
        "Means over seeds at each fit's own operating point, chosen on validation images of its training cohort. "
        "The threshold shown is their mean; intervals take it as given. PPV, NPV and the intercept are those of "
        "the cohorts' mix."
    ),
    "performance_gaps": f"First minus second. {DESCRIPTIVE}",
    "operating_points": "A score of the threshold or more is called positive.",
    "encoding": "Linear probes; that features tell an attribute does not show that the score uses it.",
    "advantage": "Share: (all less within) / (all less 0.5).",
    "box_heat": "Intervals count persons, for these fits.",
    "causes": "What is different where a cause is found; no cause is proven by it.",
}


def with_notes(shown: pd.DataFrame, frame: pd.DataFrame, name: str = "") -> tuple[pd.DataFrame, list[str]]:
    """The table without the columns that say the same in every row, and its notes; `name` brings its own note."""
    shared = [one for one in SHARED if one in shown.columns and len(shown) > 1 and shown[one].nunique() == 1]
    shared = shared[: max(0, shown.shape[1] - FEWEST_COLUMNS)]
    said = [f"{one}: {shown[one].iloc[0]}" for one in shared]
    lean = shown.drop(columns=shared)
    notes = [f"All rows: {'; '.join(said)}."] if said else []
    notes += [OWN_NOTES[name]] if name in OWN_NOTES else []
    known_levels = frame["confidence_level"].dropna() if "confidence_level" in frame else ()
    if len(known_levels):  # a row that cannot be estimated may have none
        levels = [f"{100 * float(level):.4g} %" for level in distinct(known_levels)]
        notes.append(f"Intervals at {listed(levels)} confidence.")
    words = " ".join([*lean.columns, *(str(cell) for cell in lean.to_numpy().ravel()), *said])
    known = [f"{short}, {long}" for short, long in ABBREVIATIONS.items() if re.search(rf"\b{short}\b", words)]
    if known:
        notes.append(f"{'; '.join(known)}.")
    if (lean == "–").to_numpy().any():
        notes.append(DASH)
    return lean, [*notes, f"{plural(len(lean), 'row')}."]
