"""One spelling for sex, view and age, whatever the source writes."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from subgroup_audit.schema import UNKNOWN

SEX_WORDS = {"f": "F", "female": "F", "woman": "F", "w": "F", "m": "M", "male": "M", "man": "M"}
VIEW_WORDS = {
    "ap": "AP",
    "anteroposterior": "AP",
    "antero-posterior": "AP",
    "ap supine": "AP",
    "ap erect": "AP",
    "ap semi erect": "AP",
    "pa": "PA",
    "posteroanterior": "PA",
    "postero-anterior": "PA",
    "pa erect": "PA",
    "l": "Lateral",
    "ll": "Lateral",
    "rl": "Lateral",
    "lat": "Lateral",
    "lateral": "Lateral",
    "left lateral": "Lateral",
    "right lateral": "Lateral",
}
YEARS_PER = {"Y": 1.0, "M": 1.0 / 12.0, "W": 7.0 / 365.25, "D": 1.0 / 365.25}


def normalise_sex(values: pd.Series) -> pd.Series:
    """F, M or Unknown; accepts female/male in any case. Anything else, 'O' too, is Unknown.

    >>> normalise_sex(pd.Series(["Female", "m", "", None])).tolist()
    ['F', 'M', 'Unknown', 'Unknown']
    """
    return _look_up(values, SEX_WORDS)


def normalise_view(values: pd.Series) -> pd.Series:
    """AP, PA, Lateral or Unknown.

    >>> normalise_view(pd.Series(["AP", "pa", "LL", "AP_supine", "oblique"])).tolist()
    ['AP', 'PA', 'Lateral', 'AP', 'Unknown']
    """
    return _look_up(values, VIEW_WORDS)


def _look_up(values: pd.Series, words: Mapping[str, str]) -> pd.Series:
    plain = values.astype("str").str.strip().str.lower().str.replace(r"[_\s]+", " ", regex=True)
    return plain.map(words).astype("str").fillna(UNKNOWN)


def parse_age(values: pd.Series) -> pd.Series:
    """Age in years as float64; missing where it is not a number. Nothing is judged here: 151 stays 151.

    Reads DICOM age strings ('058Y', '018M', '003W', '012D') and plain numbers ('43', 43.0).

    >>> parse_age(pd.Series(["058Y", "018M", "43", "43.0", "unknown", "-1"])).tolist()
    [58.0, 1.5, 43.0, 43.0, nan, nan]
    """
    parts = values.astype("str").str.strip().str.upper().str.extract(r"^(\d+(?:\.\d+)?)\s*([YMWD]?)$")
    factor = parts[1].where(parts[1] != "", "Y").map(YEARS_PER).astype("float64")
    return pd.to_numeric(parts[0]).astype("float64") * factor
