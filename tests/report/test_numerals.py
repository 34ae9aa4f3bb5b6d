"""Numbers as text: no seven digits, no '-0.000', no 'nan'."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.report.numerals import (
    ABSENT,
    count,
    decimal,
    duration,
    interval,
    listed,
    nice_ceiling,
    p_value,
    percent,
    signed,
)


@given(st.floats(-10, 10))
def test_signed_is_antisymmetric_and_never_negative_zero(value: float) -> None:
    plus, minus = signed(value), signed(-value)
    assert plus.lstrip("+−") == minus.lstrip("+−")
    assert plus != "−0.000"
    assert minus != "+0.000"
    assert "-" not in plus


@pytest.mark.parametrize("absent", [None, float("nan"), math.inf, "text"])
def test_what_is_not_a_number_is_a_dash(absent: object) -> None:
    shown = [decimal(absent), signed(absent), count(absent), percent(absent), p_value(absent), duration(absent)]
    assert shown == [ABSENT] * 6
    assert interval(absent, 0.5) == ABSENT


def test_intervals_are_in_words_with_three_decimals() -> None:
    assert interval(0.7701234, 0.8476) == "0.770 to 0.848"
    assert interval(-0.0204, 0.03, with_signs=True) == "−0.020 to +0.030"


def test_a_small_p_value_is_never_zero() -> None:
    assert p_value(1e-12) == "<0.001"
    assert p_value(0.0499) == "0.050"


def test_durations_and_lists() -> None:
    assert [duration(s) for s in (0.04, 59.9, 60, 3600, 90_061)] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "1 h 0 min",
        "25 h 1 min",
    ]
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a and b"


@given(st.floats(0, 1))
def test_nice_ceiling_is_the_next_multiple(value: float) -> None:
    ceiling = nice_ceiling(value)
    assert value - 1e-9 <= ceiling < value + 0.05 + 1e-9
