"""One spelling for sex, view and age."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.datasets.normalise import normalise_sex, normalise_view, parse_age
from subgroup_audit.schema import SEXES, VIEWS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("F", "F"),
        (" female ", "F"),
        ("MALE", "M"),
        ("m", "M"),
        ("O", "Unknown"),
        ("", "Unknown"),
        (None, "Unknown"),
    ],
)
def test_sex(written: str | None, meant: str) -> None:
    assert normalise_sex(pd.Series([written])).tolist() == [meant]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("AP", "AP"),
        ("pa", "PA"),
        ("LL", "Lateral"),
        ("Lateral", "Lateral"),
        ("AP_supine", "AP"),
        ("LPO", "Unknown"),
    ],
)
def test_view(written: str, meant: str) -> None:
    assert normalise_view(pd.Series([written])).tolist() == [meant]


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("058Y", 58.0),
        ("018M", 1.5),
        ("052W", 52 * 7 / 365.25),
        ("010D", 10 / 365.25),
        ("43", 43.0),
        (43.0, 43.0),
        (151, 151.0),
        (" 7y ", 7.0),
        ("-3", np.nan),
        ("old", np.nan),
        ("", np.nan),
        (None, np.nan),
    ],
)
def test_age(written: object, years: float) -> None:
    np.testing.assert_allclose(parse_age(pd.Series([written])).to_numpy(), [years])


def test_all_missing_columns_are_unknown() -> None:
    absent = pd.Series([None, None], dtype="str")
    assert normalise_sex(absent).tolist() == ["Unknown", "Unknown"]
    assert parse_age(absent).isna().all()


@given(st.lists(st.one_of(st.none(), st.text(), st.floats(), st.integers()), min_size=1, max_size=8))
def test_anything_is_brought_to_the_allowed_values(values: list[object]) -> None:
    series = pd.Series([None if value is None else str(value) for value in values], dtype="str")
    assert set(normalise_sex(series)) <= set(SEXES)
    assert set(normalise_view(series)) <= set(VIEWS)
    ages = parse_age(series)
    assert ages.dtype == np.float64
    assert (ages.dropna() >= 0).all()
