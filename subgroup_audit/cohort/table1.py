"""Table 1: who is in each cohort and split, and how far the splits are apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from subgroup_audit.schema import SPLITS

COLUMNS = ("cohort", "split", "variable", "level", "n", "percent", "mean", "sd", "missing", "smd")
OVERALL = "all"
AGE = "age_years"


def describe_cohort(
    cohort: str, images: pd.DataFrame, attributes: Sequence[str], findings: Sequence[str]
) -> pd.DataFrame:
    """Table 1 of one cohort, tidy: one row per split, variable and level; the split 'all' is the whole cohort.

    Parameters
    ----------
    images : one row per image: patient_id, split, age_years, the attributes, and 1 / 0 / missing per finding
    attributes, findings : names of columns

    Columns
    -------
    n : images of that level (persons, for the variable `patients`; known values, for a number)
    percent : of the images of the split whose value is known
    mean, sd : of a number
    missing : images of the split without a value
    smd : standardised mean difference of the variable between this split and train, without sign (tableone;
        Yang and Dalton 2012 for categories); missing for train and the whole cohort, 0 where nothing varies
    """
    named = {split: images[images["split"] == split] for split in SPLITS}
    frames = {OVERALL: images, **named}
    apart = _differences(images, [AGE, *attributes, *findings])
    rows = []
    for split, frame in frames.items():
        rows += [_sized("images", len(frame)), _sized("patients", frame["patient_id"].nunique())]
        rows += [_number(frame[AGE])]
        for variable in (*attributes, *findings):
            rows += _levels(variable, frame[variable], images[variable])
        for row in rows:
            row.setdefault("split", split)
            row.setdefault("smd", apart.get((str(row["variable"]), split)))
    table = pd.DataFrame(rows).assign(cohort=cohort)[list(COLUMNS)]
    numbers = ["percent", "mean", "sd", "smd"]
    return table.astype({**dict.fromkeys(numbers, "float64"), "n": "int64", "missing": "int64"})


def _sized(variable: str, n: int) -> dict[str, object]:
    return {"variable": variable, "level": "", "n": n, "percent": None, "mean": None, "sd": None, "missing": 0}


def _number(values: pd.Series) -> dict[str, object]:
    known = values.dropna()
    return {
        "variable": str(values.name),
        "level": "",
        "n": len(known),
        "percent": None,
        "mean": known.mean() if len(known) else None,
        "sd": known.std() if len(known) > 1 else None,
        "missing": len(values) - len(known),
    }


def _levels(variable: str, values: pd.Series, everywhere: pd.Series) -> list[dict[str, object]]:
    counts, known = values.value_counts(), int(values.notna().sum())
    levels = sorted(everywhere.dropna().unique(), key=str)
    return [
        {
            "variable": variable,
            "level": str(level),
            "n": int(counts.get(level, 0)),
            "percent": 100.0 * int(counts.get(level, 0)) / known if known else None,
            "mean": None,
            "sd": None,
            "missing": len(values) - known,
        }
        for level in levels
    ]


def _differences(images: pd.DataFrame, variables: Sequence[str]) -> dict[tuple[str, str], float]:
    """Standardised mean difference from train by (variable, split)."""
    varying = [name for name in variables if images[name].nunique() > 1 and _known_in_all(images, name)]
    others = [split for split in SPLITS[1:] if (images["split"] == split).any()]
    found = {(name, split): 0.0 for name in variables if images[name].nunique() == 1 for split in others}
    if not varying or not others or not (images["split"] == SPLITS[0]).any():
        return found
    table = _tableone(images[["split", *varying]], varying)
    for column in table.columns:
        pair = set(column.removeprefix("SMD (").removesuffix(")").split(","))
        for split in others:
            if pair == {SPLITS[0], split}:
                distance = table[column].abs().to_dict()
                found.update({(name, split): distance[name] for name in varying})
    return found


def _known_in_all(images: pd.DataFrame, name: str) -> bool:
    return bool(images[name].notna().groupby(images["split"]).any().all())


def _tableone(images: pd.DataFrame, variables: list[str]) -> pd.DataFrame:
    from tableone import TableOne

    categorical = [name for name in variables if name != AGE]
    continuous = [name for name in variables if name == AGE]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # tableone speaks of its own pandas use, not of the data
        table = TableOne(
            images,
            columns=variables,
            categorical=categorical,
            continuous=continuous,
            groupby="split",
            smd=True,
            pval=False,
        )
    return pd.DataFrame(table.smd_table).astype("float64")
