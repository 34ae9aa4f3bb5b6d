"""Groups of an attribute: named, banded, crossed, and Unknown where a value is missing."""

# ruff: noqa: E501  messages stand here as they are printed

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.checking.columns import ColumnChoice
from subgroup_audit.checking.groups import band_numbers
from subgroup_audit.checking.reading import read_scored
from subgroup_audit.checking.scored import ScoredTable
from subgroup_audit.errors import TableError


def read(attributes: dict[str, object], n: int = 60, **said: object) -> ScoredTable:
    """The table of n images with these attributes."""
    frame = pd.DataFrame({"y_true": np.arange(n) % 2, "y_score": np.linspace(0, 1, n), **attributes})
    return read_scored(frame, ColumnChoice(**said))  # type: ignore[arg-type]


def refuse(attributes: dict[str, object], n: int = 60, **said: object) -> str:
    """What is said where groups cannot be made."""
    with pytest.raises(TableError) as caught:
        read(attributes, n, **said)
    return str(caught.value)


def values(table: ScoredTable, name: str) -> dict[str, int]:
    """Images of each group, in the order of the groups."""
    return {str(key): int(n) for key, n in table.groups[name].value_counts(sort=False).items()}


def test_a_missing_value_is_the_last_group_and_is_counted() -> None:
    words = ["M", "F", None, "", "NA", " M ", "unknown", "Z", "n/a", "F"] * 6
    table = read({"sex": words})
    assert values(table, "sex") == {"F": 12, "M": 12, "Z": 6, "Unknown": 30}
    assert "sex: 30 images without a value, shown as the group Unknown." in table.notes


def test_spellings_that_differ_in_capitals_are_one_group_and_that_is_said() -> None:
    table = read({"sex": ["Male", "Male", "male", "FEMALE", "Female", "Female"] * 10})
    assert values(table, "sex") == {"Female": 30, "Male": 30}
    assert (
        "sex: 'male' counts as 'Male', 'FEMALE' counts as 'Female' (they differ in capitals only)." in table.notes
    )


def test_numbers_with_few_values_are_groups_in_their_order() -> None:
    table = read({"site": [10.0, 2.0, np.nan] * 20})
    assert values(table, "site") == {"2": 20, "10": 20, "Unknown": 20}


def test_ages_are_cut_into_bands_of_completed_years() -> None:
    ages = [17.9, 18, 39.99, 40, 64, 65, 90, None, 0, 200] * 6
    table = read({"age": ages}, bands={"age": (18, 40, 65)})
    assert values(table, "age") == {"<18": 12, "18-39": 12, "40-64": 12, "65+": 18, "Unknown": 6}
    assert "age: cut into <18, 18-39, 40-64, 65+." in table.notes


def test_ages_as_dicom_writes_them_are_cut() -> None:
    table = read(
        {"PatientAge": ["045Y", "006M", "030D", "099W", "017Y", "040Y"] * 10}, bands={"PatientAge": (1, 18, 40)}
    )
    assert values(table, "PatientAge") == {"<1": 20, "1-17": 20, "40+": 20}


def test_bands_that_no_image_has_are_left_out() -> None:
    assert values(read({"age": [50, 60] * 30}, bands={"age": (18, 40, 55, 80)}), "age") == {
        "40-54": 30,
        "55-79": 30,
    }


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50),
    st.lists(st.integers(-50, 50), min_size=1, unique=True),
)
def test_every_number_lies_in_the_band_that_its_name_says(numbers: list[float], edges: list[int]) -> None:
    rising = [edge + 0.5 for edge in sorted(edges)]
    for number, band in zip(numbers, band_numbers(pd.Series(numbers), rising), strict=True):
        if band.startswith("<"):
            assert number < float(band[1:])
        elif band.endswith("+"):
            assert number >= float(band[:-1])
        else:
            low, high = band.split(" to <")
            assert float(low) <= number < float(high)


def test_a_named_column_of_many_numbers_asks_for_bands() -> None:
    assert refuse({"age": list(range(60))}, group=("age",)) == (
        "the table: group column 'age' has 60 different numbers (0 to 59). Cut it into bands, for example "
        "--bands age:18,40,65"
    )
    assert refuse({"bmi": list(range(60))}, group=("bmi",)) == (
        "the table: group column 'bmi' has 60 different numbers (0 to 59). Cut it into bands, for example "
        "--bands bmi:19.7,39.3"
    )


def test_a_named_column_of_many_words_is_refused() -> None:
    words = [f"ward {i}" for i in range(5000)]
    assert refuse({"ward": words}, n=5000, group=("ward",)) == (
        "the table: group column 'ward' has 5,000 different values ('ward 0', 'ward 1', 'ward 2' and 4,997 more), "
        "too many for groups. Name a column with at most 30"
    )


def test_a_guessed_column_with_too_many_values_is_left_out_and_that_is_said() -> None:
    table = read({"sex": ["F", "M"] * 30, "age": list(range(60)), "site": [f"s{i}" for i in range(60)]})
    assert list(table.groups) == ["sex"]
    assert (
        "Column 'age' is left out: it has 60 different numbers (0 to 59). Cut it into bands, for example "
        "--bands age:18,40,65." in table.notes
    )
    assert any(note.startswith("Column 'site' is left out: it has 60 different values") for note in table.notes)


def test_what_is_no_number_cannot_be_cut() -> None:
    assert refuse({"age": [30, 40, "old"] * 20}, bands={"age": (18,)}) == (
        "the table: column 'age' is to be cut into bands, but has 'old' on row 3, which is no number"
    )


def test_crossed_attributes_are_groups_of_their_own() -> None:
    table = read(
        {"sex": ["F", "M", None] * 20, "view": ["AP", "AP", "PA", "PA", "AP", "PA"] * 10},
        intersect=(("sex", "view"),),
    )
    assert list(table.groups) == ["sex", "view", "sex x view"]
    assert values(table, "sex x view") == {"F, AP": 10, "F, PA": 10, "M, AP": 20, "Unknown": 20}
    expected = [
        "Unknown" if sex == "Unknown" else f"{sex}, {view}"
        for sex, view in zip(table.groups["sex"], table.groups["view"], strict=True)
    ]
    assert table.groups["sex x view"].tolist() == expected


def test_three_attributes_cross_too() -> None:
    table = read(
        {"sex": ["F", "M"] * 30, "view": ["AP"] * 30 + ["PA"] * 30, "age": list(range(60))},
        intersect=(("sex", "view", "age"),),
        bands={"age": (30,)},
    )
    assert values(table, "sex x view x age") == {
        "F, AP, <30": 15,
        "F, PA, 30+": 15,
        "M, AP, <30": 15,
        "M, PA, 30+": 15,
    }


def test_an_attribute_that_is_only_crossed_is_not_shown_by_itself() -> None:
    table = read({"sex": ["F", "M"] * 30, "view": ["AP"] * 60}, group=("sex",), intersect=(("sex", "view"),))
    assert list(table.groups) == ["sex", "sex x view"]


def test_crossings_that_make_no_sense_are_refused() -> None:
    assert refuse({"sex": ["F", "M"] * 30}, intersect=(("sex",),)) == (
        "--intersect needs two or more different groups; it has 'sex'"
    )
    wards = {"sex": ["F"] * 30 + ["M"] * 30, "ward": [f"w{i % 20}" for i in range(60)]}
    assert refuse(wards, intersect=(("sex", "ward"),)) == (
        "--intersect sex,ward: 40 groups, too many (at most 30)"
    )


def test_crossed_groups_of_one_name_are_refused() -> None:
    comma = {"race": ["White", "White, Black"] * 30, "site": ["Black, A"] * 30 + ["A"] * 30}
    assert refuse(comma, group=("race", "site"), intersect=(("race", "site"),)) == (
        "the table: --intersect race,site: two different groups would both be called 'White, Black, A', since values "
        "hold commas. Write these values without ', '"
    )
    fine = {"race": ["White", "Black, Asian"] * 30, "site": ["A"] * 30 + ["B, C"] * 30}
    table = read(fine, group=("race", "site"), intersect=(("race", "site"),))
    assert values(table, "race x site") == {
        "Black, Asian, A": 15,
        "Black, Asian, B, C": 15,
        "White, A": 15,
        "White, B, C": 15,
    }


def test_a_crossing_does_not_take_the_place_of_a_group_of_its_name() -> None:
    taken = {"sex": ["F", "M"] * 30, "view": ["AP"] * 60, "sex x view": ["a", "b", "c"] * 20}
    message = refuse(taken, group=("sex", "view", "sex x view"), intersect=(("sex", "view"),))
    assert message == (
        "the table: --intersect sex,view makes a group that is called 'sex x view', and there is one of that name; "
        "give it another: --group NAME:COLUMN"
    )


def test_a_person_may_have_several_views_and_ages_but_one_sex() -> None:
    person = [i // 2 for i in range(60)]
    table = read({"patient_id": person, "view": ["AP", "PA"] * 30, "sex": ["F"] * 60})
    assert values(table, "view") == {"AP": 30, "PA": 30}
    assert refuse({"patient_id": person, "Patient Gender": ["F", "M"] + ["F"] * 58}) == (
        "the table: 1 person has two values of 'Patient Gender', the first on row 2. Either the values or the person "
        "column are wrong; --person none counts every image as a person of its own"
    )


def test_a_person_with_a_missing_sex_is_no_contradiction() -> None:
    table = read({"patient_id": [i // 2 for i in range(60)], "sex": ["F", None] * 30})
    assert values(table, "sex") == {"F": 30, "Unknown": 30}


@given(st.lists(st.sampled_from(["F", "M", None]), min_size=12, max_size=12))
def test_no_image_is_lost(sexes: list[str | None]) -> None:
    table = read({"sex": sexes}, n=12)
    assert sum(values(table, "sex").values()) == 12
    assert [sex or "Unknown" for sex in sexes] == table.groups["sex"].tolist()
