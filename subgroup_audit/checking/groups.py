"""Groups: attributes as categories, numbers cut into bands, attributes crossed; what is missing is Unknown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.columns import Attribute
from subgroup_audit.checking.names import is_lasting, plain
from subgroup_audit.checking.opened import Opened, Texts, count, quote
from subgroup_audit.errors import TableError, nearest
from subgroup_audit.schema import UNKNOWN, age_band

MANY_NUMBERS = 12
MANY_WORDS = 30
# DICOM PatientAge, as '045Y': how many of each unit a year has.
DICOM_UNITS = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
DICOM_AGE = re.compile(r"(\d{1,3})([YMWD])")
EXAMPLE_EDGES = "18,40,65"
CROSS = " x "


def read_attribute(
    opened: Opened, attribute: Attribute, bands: Mapping[str, Sequence[float]]
) -> tuple[pd.Categorical | None, list[str]]:
    """The attribute as categories, one per row, and notes; None where a guessed column makes no groups.

    Raises
    ------
    TableError
        A column that was named has too many values to be groups, or a value to be banded is no number.
    """
    texts = opened.texts(attribute.column)
    edges = bands.get(attribute.name, bands.get(attribute.column))
    if edges:
        names, values = _cut(opened, attribute, texts, edges)
        notes = [f"{attribute.name}: cut into {', '.join(values)}."]
    else:
        problem = _too_many(texts, attribute)
        if problem and attribute.is_guessed:
            return None, [f"Column '{attribute.column}' is left out: it has {problem}."]
        if problem:
            raise TableError(f"{opened.origin}: group column '{attribute.column}' has {problem}")
        names, notes = _fold(texts, attribute)
        values = sorted(set(names) - {UNKNOWN}, key=_natural)
    return _categories(texts, names, values), notes


def _categories(texts: Texts, names: list[str], values: list[str]) -> pd.Categorical:
    """Categories in their order, those that no row has left out, Unknown last."""
    order = [*values, UNKNOWN]
    position = {value: code for code, value in enumerate(order)}
    by_code = np.array([position[name] for name in [*names, UNKNOWN]], dtype=np.int32)
    codes = by_code[texts.codes]
    whole = pd.Categorical.from_codes(codes, categories=pd.Index(order, dtype="str"))
    return whole.remove_unused_categories()


def _natural(value: str) -> tuple[int, float, str]:
    """Numbers by size, then words."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value


def _fold(texts: Texts, attribute: Attribute) -> tuple[list[str], list[str]]:
    """The name of each value: spellings that differ in capitals only are one group; unknown is Unknown."""
    common: dict[str, str] = {}
    for code in np.argsort(-texts.counts, kind="stable"):
        value = texts.words[int(code)]
        common.setdefault(value.lower(), value)
    common["unknown"] = UNKNOWN
    names = [common[value.lower()] for value in texts.words]
    folded = [
        f"'{value}' counts as '{name}'" for value, name in zip(texts.words, names, strict=True) if value != name
    ]
    return names, [f"{attribute.name}: {', '.join(folded[:4])} (they differ in capitals only)."] if folded else []


def _too_many(texts: Texts, attribute: Attribute) -> str | None:
    """What is wrong with a column that has too many values for groups, and the way out."""
    n = len(texts.words)
    shown = quote(texts.words, 3)
    if n > MANY_NUMBERS and all(_to_number(value) is not None for value in texts.words):
        numbers = [float(_to_number(value) or 0) for value in texts.words]
        edges = EXAMPLE_EDGES if "age" in plain(attribute.column) else _thirds(texts, numbers)
        span = f"{min(numbers):g} to {max(numbers):g}"
        return f"{n:,} different numbers ({span}). Cut it into bands, for example --bands {attribute.name}:{edges}"
    if n > MANY_WORDS:
        return f"{n:,} different values ({shown}), too many for groups. Name a column with at most {MANY_WORDS}"
    return None


def _thirds(texts: Texts, numbers: list[float]) -> str:
    """Two edges that cut the rows into thirds, in few digits."""
    rows = np.repeat(numbers, texts.counts)
    low, high = np.quantile(rows, [1 / 3, 2 / 3])
    return f"{low:.3g},{high:.3g}"


def _to_number(value: str) -> float | None:
    """The number that a value is, '045Y' as DICOM writes ages included; None where it is none."""
    age = DICOM_AGE.fullmatch(value)
    if age:
        return int(age[1]) / DICOM_UNITS[age[2]]
    try:
        number = float(value.replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _cut(
    opened: Opened, attribute: Attribute, texts: Texts, edges: Sequence[float]
) -> tuple[list[str], list[str]]:
    """The band of each value, and the bands in order."""
    numbers = [None if value.lower() == "unknown" else _to_number(value) for value in texts.words]
    for code, (value, number) in enumerate(zip(texts.words, numbers, strict=True)):
        if number is None and value.lower() != "unknown":
            raise TableError(
                f"{opened.origin}: column '{attribute.column}' is to be cut into bands, but has '{value}' on "
                f"{opened.row_name(texts.row_of(code))}, which is no number"
            )
    bands = band_numbers(pd.Series(numbers, dtype="float64"), edges)
    order = _band_names(edges)
    return bands.tolist(), [name for name in order if name in set(bands)]


def band_numbers(numbers: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Bands closed below and open above; whole edges name them as ages are named, in completed years.

    >>> band_numbers(pd.Series([17.0, 39.5, 65.0, None]), [18, 40, 65]).tolist()
    ['<18', '18-39', '65+', 'Unknown']
    >>> band_numbers(pd.Series([22.0, 27.5]), [18.5, 25, 30]).tolist()
    ['18.5 to <25', '25 to <30']
    """
    if all(float(edge).is_integer() for edge in edges):
        return age_band(numbers, edges)
    names = np.asarray(_band_names(edges), dtype=object)
    position = np.searchsorted(np.asarray(edges, dtype=float), numbers.to_numpy(dtype=float), side="right")
    return pd.Series(names[position], dtype="str").where(numbers.notna(), UNKNOWN)


def _band_names(edges: Sequence[float]) -> list[str]:
    if all(float(edge).is_integer() for edge in edges):
        starts = [edges[0] - 1, *edges]
        return age_band(pd.Series(starts, dtype="float64"), edges).tolist()
    inner = [f"{a:g} to <{b:g}" for a, b in pairwise(edges)]
    return [f"<{edges[0]:g}", *inner, f"{edges[-1]:g}+"]


def cross(groups: pd.DataFrame, attributes: Sequence[str], origin: str) -> tuple[str, pd.Categorical]:
    """The name and the categories of crossed attributes: 'sex x view' with 'F, AP'; Unknown where any part is.

    Raises
    ------
    TableError
        An attribute is not there, is named twice, or the crossing has the name of a column, too many groups, or
        one name for two of them.
    """
    strange = [name for name in attributes if name not in groups.columns]
    if strange:
        near = nearest(strange[0], groups.columns)
        hint = f"nearest: {quote(near)}" if near else f"groups: {quote(list(groups.columns))}"
        raise TableError(f"{origin}: --intersect: there is no group '{strange[0]}'; {hint}")
    if len(set(attributes)) < max(2, len(attributes)):
        raise TableError(f"--intersect needs two or more different groups; it has {quote(attributes)}")
    if CROSS.join(attributes) in groups.columns:
        raise TableError(
            f"{origin}: --intersect {','.join(attributes)} makes a group that is called "
            f"'{CROSS.join(attributes)}', and there is one of that name; give it another: --group NAME:COLUMN"
        )
    parts = [groups[name].cat for name in attributes]
    codes = np.zeros(len(groups), dtype=np.int64)
    is_unknown = np.zeros(len(groups), dtype=bool)
    for part in parts:
        codes = codes * len(part.categories) + part.codes.to_numpy()
        if UNKNOWN in part.categories:
            is_unknown |= part.codes.to_numpy() == list(part.categories).index(UNKNOWN)
    names = [""]
    for part in parts:
        names = [f"{name}, {value}" if name else str(value) for name in names for value in part.categories]
    _check_distinct(names, attributes, origin)
    categories = pd.Index([*names, UNKNOWN], dtype="str")
    crossed = pd.Categorical.from_codes(np.where(is_unknown, len(names), codes), categories=categories)
    crossed = crossed.remove_unused_categories()
    if len(crossed.categories) > MANY_WORDS:
        n = len(crossed.categories)
        raise TableError(f"--intersect {','.join(attributes)}: {n:,} groups, too many (at most {MANY_WORDS})")
    return CROSS.join(attributes), crossed


def _check_distinct(names: Sequence[str], attributes: Sequence[str], origin: str) -> None:
    """Raise `TableError` where two crossed groups would have one name, since their values hold commas."""
    repeated = next((name for name, n in Counter(names).items() if n > 1), None)
    if repeated is None:
        return
    raise TableError(
        f"{origin}: --intersect {','.join(attributes)}: two different groups would both be called '{repeated}', "
        "since values hold commas. Write these values without ', '"
    )


def check_lasting(
    opened: Opened,
    attribute: Attribute,
    values: pd.Categorical,
    person: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> None:
    """Raise `TableError` where a person has two values of what a person has one of, such as sex.

    Parameters
    ----------
    values, person, rows : of each image: its group, its person's code, and its row in the file
    """
    if not is_lasting(attribute.column):
        return
    known = np.asarray(values != UNKNOWN)
    codes, persons = np.asarray(values.codes)[known], person[known]
    first = np.full(int(person.max(initial=0)) + 1, -1)
    first[persons[::-1]] = codes[::-1]  # the first image's value is what stays
    differs = first[persons] != codes
    if not differs.any():
        return
    row = int(rows[known][np.argmax(differs)])
    n = len(np.unique(persons[differs]))
    raise TableError(
        f"{opened.origin}: {count(n, 'person has', 'persons have')} two values of '{attribute.column}', "
        f"the first on {opened.row_name(row)}. Either the values or the person column are wrong; "
        "--person none counts every image as a person of its own"
    )


def describe_unknown(groups: pd.DataFrame) -> list[str]:
    """How many images have no value of an attribute."""
    n_of = {name: int((groups[name] == UNKNOWN).sum()) for name in groups.columns}
    return [
        f"{name}: {count(n, 'image')} without a value, shown as the group {UNKNOWN}."
        for name, n in n_of.items()
        if n and CROSS not in name
    ]
