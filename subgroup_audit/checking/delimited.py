"""CSV files of any dialect: how the text is encoded, what separates the fields, and where a row stands."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subgroup_audit.checking.opened import Opened, quote
from subgroup_audit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
ENCODINGS = ("cp1252", "latin-1")
SAMPLE_BYTES = 1 << 18
SAMPLE_ROWS = 50


def open_delimited(origin: str, data: bytes, encoding: str | None = None) -> Opened:
    """The CSV file, opened; raises `DataError` where it is no table with one header line.

    Parameters
    ----------
    origin : the file's name, for messages
    data : its bytes
    encoding : the text's encoding; None: UTF-8
    """
    text = _to_utf8(origin, data, encoding)
    rows, separator = _sniff(origin, text)
    names = _header(origin, rows)
    noted = () if separator == "," else (f"Fields are separated by {SEPARATORS[separator]}.",)
    return Opened(origin, names, _reader(origin, text, names, separator), _row_name(text), noted)


def _to_utf8(origin: str, data: bytes, encoding: str | None) -> bytes:
    """The text in UTF-8 without a mark; raises `DataError` naming the encoding that would read it."""
    if len(data) < SAMPLE_BYTES and not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{origin}: the file is empty")
    if encoding is not None:
        return _recode(origin, data, encoding)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{origin}: the text is UTF-16, not UTF-8. Say --encoding utf-16")
    if b"\x00" in data[:SAMPLE_BYTES]:
        raise DataError(f"{origin}: this is no text file (it has zero bytes). A check reads CSV or Parquet")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(_say_encoding(origin, data, error.start)) from error
    return data


def _recode(origin: str, data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode("utf-8")
    except LookupError as error:
        known = "utf-8, cp1252, latin-1, utf-16"
        raise DataError(f"--encoding: no encoding is named '{encoding}'. Common ones: {known}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{origin}: line {line:,} is not {encoding}; try another --encoding") from error


def _say_encoding(origin: str, data: bytes, place: int) -> str:
    line = data.count(b"\n", 0, place) + 1
    for encoding in ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        word = _word_around(data, place).decode(encoding)
        return (
            f"{origin}: line {line:,} is not UTF-8 (byte 0x{data[place]:02x}). "
            f"As {encoding} it reads '{word}'; if that is right, say --encoding {encoding}"
        )
    return f"{origin}: line {line:,} is not UTF-8 (byte 0x{data[place]:02x}). Say --encoding NAME"


def _word_around(data: bytes, place: int) -> bytes:
    """The field that holds a byte, at most 40 bytes of it."""
    stops = b',;\t|\r\n"'
    begin, end = place, place
    while begin > max(0, place - 20) and data[begin - 1] not in stops:
        begin -= 1
    while end < min(len(data), place + 20) and data[end] not in stops:
        end += 1
    return data[begin:end]


def _sniff(origin: str, text: bytes) -> tuple[list[list[str]], str]:
    """The first rows, and the separator that cuts most of them into as many fields as the first row."""
    head = text[:SAMPLE_BYTES].decode("utf-8", errors="ignore")
    if len(text) > SAMPLE_BYTES:
        head = head.rpartition("\n")[0] or head
    best: tuple[tuple[bool, int], list[list[str]], str] | None = None
    for separator in SEPARATORS:
        rows = _split(head, separator)
        if not rows or len(rows[0]) < 2:
            continue
        agreeing = sum(len(row) == len(rows[0]) for row in rows)
        rank = (2 * agreeing > len(rows), len(rows[0]))
        if best is None or rank > best[0]:
            best = (rank, rows, separator)
    if best is None:
        first = head.splitlines()[0][:60]
        raise DataError(
            f"{origin}: no commas, semicolons or tabs cut the first line into columns; it reads '{first}'"
        )
    return best[1], best[2]


def _split(head: str, separator: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(head, newline=None), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:  # a field too long, or a stray quote: another separator may do
        return []
    return rows


def _header(origin: str, rows: list[list[str]]) -> tuple[str, ...]:
    """The column names; raises `DataError` for a first line of data, and for names that come twice."""
    cells = [cell.strip() for cell in rows[0]]
    if _looks_like_data(cells):
        shown = ", ".join(cells[:6])
        raise DataError(
            f"{origin}: line 1 looks like data, not like column names ({shown}). "
            "Add a first line that names the columns"
        )
    names = tuple(cell or f"column {position}" for position, cell in enumerate(cells, start=1))
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise DataError(f"{origin}: several columns have the same name: {quote(repeated)}. Rename or remove them")
    return names


def _looks_like_data(cells: list[str]) -> bool:
    """Numbers with decimals, a number twice, or nothing but numbers name no columns; 0, 1, 2 may be classes.

    >>> _looks_like_data(["img1", "F", "1", "0.83"]), _looks_like_data(["id", "label", "0", "1", "2"])
    (True, False)
    """
    numbers = [cell for cell in cells if _is_number(cell)]
    has_decimals = any(not cell.lstrip("+-").isdigit() for cell in numbers)
    return has_decimals or len(set(numbers)) < len(numbers) or len(numbers) == len(cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.lower() not in ("nan", "inf", "infinity")


def _reader(
    origin: str, text: bytes, names: tuple[str, ...], separator: str
) -> Callable[[Sequence[str]], pa.Table]:
    """A function that reads some columns as text, in one pass."""
    empty = text[: len(text) - len(text.lstrip(b"\r\n"))]
    n_empty = empty.count(b"\n") or empty.count(b"\r")  # lines before the header

    def read(wanted: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        try:
            return arrow_csv.read_csv(
                pa.BufferReader(text),
                read_options=arrow_csv.ReadOptions(
                    column_names=list(names), skip_rows=n_empty, skip_rows_after_names=1
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in text),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(wanted),
                    column_types={name: pa.string() for name in wanted},
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
        except pa.ArrowInvalid as error:
            raise DataError(_say_ragged(origin, text, names, separator) or f"{origin}: {error}") from error

    return read


def _say_ragged(origin: str, text: bytes, names: tuple[str, ...], separator: str) -> str | None:
    """The first row that has more or fewer fields than the header."""
    rows = csv.reader(io.StringIO(text.decode("utf-8"), newline=None), delimiter=separator)
    try:
        next(rows)
        wrong = next(row for row in rows if row and len(row) != len(names))
    except (StopIteration, csv.Error):  # Arrow's own words have to do
        return None
    return (
        f"{origin}: line {rows.line_num:,} has {len(wrong)} fields, the header has {len(names)}. "
        "Every row needs as many fields as the header; a field with a separator in it needs quotes. "
        "A first column without a name is written by R: row.names = FALSE leaves it out"
    )


def _row_name(text: bytes) -> Callable[[int], str]:
    """Lines where a line is a row, else the count of rows: quoted line breaks and empty lines shift them."""
    shifts = b'"' in text or text[:1] in (b"\n", b"\r") or b"\n\n" in text or b"\r\n\r\n" in text
    if shifts:
        return lambda position: f"row {position + 1:,} below the header"
    return lambda position: f"line {position + 2:,}"


def read_bytes(path: Path) -> bytes:
    """The bytes of a plain or compressed file."""
    import bz2
    import gzip
    import lzma

    data = path.read_bytes()
    expand = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}.get(path.suffix.lower())
    return expand(data) if expand else data
