"""A table that was opened, from a file or from memory: its names, its columns, and how its rows are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa

# How files say that a value is missing: pandas, R, SQL, spreadsheets. An empty field is missing too.
MISSING_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "NAN", "null", "NULL", "None", "<NA>")


@dataclass(frozen=True, eq=False)
class Texts:
    """One column as text: a code per row, -1 where the value is missing.

    Attributes
    ----------
    codes : int array [n], positions in `words`, or -1
    words : the distinct values in order of their first row, as text without spaces around
    """

    codes: NDArray[np.int64]
    words: tuple[str, ...]

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Rows without a value."""
        return self.codes < 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each value."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.words))

    def row_of(self, code: int) -> int:
        """The first row that has this value."""
        return int(np.argmax(self.codes == code))


@dataclass(frozen=True, eq=False)
class Numbers:
    """One column as numbers, NaN where missing; `wrong_row` is the first row whose value is no number, if any."""

    values: NDArray[np.float64]
    wrong_row: int | None = None
    has_decimal_commas: bool = False


@dataclass(frozen=True, eq=False)
class Opened:
    """A table whose columns are read when they are asked for, and then kept.

    Attributes
    ----------
    origin : what messages call it: the path as it was given, or 'the table'
    names : its columns, in order
    read_columns : column names -> an Arrow table of them
    row_name : position of a row, from 0 -> 'line 7' or 'row 6'
    notes : what had to be understood about the file, one sentence each
    """

    origin: str
    names: tuple[str, ...]
    read_columns: Callable[[Sequence[str]], pa.Table]
    row_name: Callable[[int], str]
    notes: tuple[str, ...] = ()
    _kept: dict[str, pa.ChunkedArray] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows below the header."""
        if not self._kept:
            self.load(self.names[:1])
        return len(next(iter(self._kept.values())))

    def load(self, names: Sequence[str]) -> None:
        """Read columns in one pass; those that were read before are kept.

        Raises
        ------
        TableError
            A column holds lists or records, as Parquet allows.
        """
        wanted = [name for name in dict.fromkeys(names) if name not in self._kept]
        if not wanted:
            return
        table = self.read_columns(wanted)
        nested = [name for name in wanted if table.column(name).type.num_fields]
        if nested:
            raise TableError(
                f"{self.origin}: {quote(nested)} holds lists or records; a check needs a value per row"
            )
        self._kept.update({name: table.column(name) for name in wanted})

    def read(self, name: str) -> pa.ChunkedArray:
        """One column, as Arrow has it."""
        self.load([name])
        return self._kept[name]

    def texts(self, name: str) -> Texts:
        """The column as text; a number without decimals is written without them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(_as_text(self.read(name)))
        whole = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.unify_dictionaries().chunk(0)
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Texts(codes, tuple(whole.dictionary.to_pylist()))

    def numbers(self, name: str) -> Numbers:
        """The column as numbers; a comma before the decimals is understood where no value has a point."""
        import pyarrow as pa

        column = self.read(name)
        if (
            pa.types.is_floating(column.type)
            or pa.types.is_integer(column.type)
            or pa.types.is_boolean(column.type)
        ):
            return Numbers(_as_float(column))
        text = _as_text(column)
        try:
            return Numbers(_as_float(text))
        except pa.ArrowInvalid:
            return _parse_slowly(text)


def _as_text(column: Any) -> Any:
    """The column as trimmed text, null where missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        if pc.all(pc.equal(pc.floor(column), column)).as_py():
            column = _as_whole(column)
    return _without_missing(pc.cast(column, pa.string()))


def _as_whole(column: Any) -> Any:
    """Whole numbers as integers; pandas makes 3.0 of 3 where another row is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return column


def _without_missing(text: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.is_in(trimmed, pa.array(MISSING_WORDS)), None, trimmed)


def _as_float(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    numbers = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return np.asarray(numbers, dtype=np.float64)


def _parse_slowly(text: Any) -> Numbers:
    """Numbers with decimal commas, or the first value that is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    has_comma = pc.any(pc.match_substring(text, ",")).as_py()
    if has_comma and not pc.any(pc.match_substring(text, ".")).as_py():
        try:
            return Numbers(_as_float(pc.replace_substring(text, ",", ".")), has_decimal_commas=True)
        except pa.ArrowInvalid:
            pass
    return Numbers(np.full(len(text), np.nan), wrong_row=_first_that_is_no_number(text))


def _first_that_is_no_number(text: Any) -> int:
    for row, value in enumerate(text.to_pylist()):
        try:
            float(value or 0)
        except ValueError:
            return row
    return 0


def quote(names: Sequence[str], limit: int = 8) -> str:
    """Names for a message, the first of them where there are many.

    >>> quote(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(2300, "row"), count(2, "person has", "persons have")
    ('1 row', '2,300 rows', '2 persons have')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
