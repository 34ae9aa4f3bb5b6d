"""Whatever the predictions come in, opened: a CSV or Parquet file, a data frame, or columns in a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from lzma import LZMAError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subgroup_audit.checking.delimited import open_delimited, read_bytes
from subgroup_audit.checking.opened import Opened, quote
from subgroup_audit.errors import DataError, nearest

if TYPE_CHECKING:
    import pyarrow as pa

# What files of other kinds begin with, and the way out.
OTHER_KINDS = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"\x89HDF": "an HDF5 file; write the table as CSV or Parquet",
    b"\x93NUMPY": "a NumPy array; write a table with named columns as CSV or Parquet",
    b"\x80\x04": "a Python pickle, which is never opened; write the table as CSV or Parquet",
    b"\x80\x05": "a Python pickle, which is never opened; write the table as CSV or Parquet",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database; write the table as CSV or Parquet",
}
PARQUET_MARK = b"PAR1"
OWN_PREDICTIONS = "data/predictions.parquet"  # where a run folder has them


def open_source(source: Any, encoding: str | None = None) -> Opened:
    """The table, opened; raises `DataError` with one message for what cannot be read.

    Parameters
    ----------
    source : path of a CSV (also .gz, .bz2, .xz) or Parquet file, a DataFrame (pandas, polars, Arrow), or a mapping
        of column names to arrays
    encoding : of a CSV file's text; None: UTF-8
    """
    if isinstance(source, str | Path):
        return _open_file(Path(source), encoding)
    return _open_memory(source)


def _open_file(path: Path, encoding: str | None) -> Opened:
    origin = str(path)
    if path.is_dir():
        raise DataError(f"{origin}: this is a folder; a check reads one file{_tables_in(path)}")
    if not path.exists():
        raise DataError(f"{origin}: no such file{_neighbours(path)}")
    try:
        data = read_bytes(path)
    except (OSError, EOFError, LZMAError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{origin}: cannot be read ({said})") from error
    if data[:4] == PARQUET_MARK or path.suffix.lower() in (".parquet", ".pq"):
        return _open_parquet(origin, data)
    _refuse_other_kinds(origin, data)
    return open_delimited(origin, data, encoding)


def _refuse_other_kinds(origin: str, data: bytes) -> None:
    for mark, kind in OTHER_KINDS.items():
        if data.startswith(mark):
            raise DataError(f"{origin}: this is {kind}. A check reads CSV or Parquet")
    if data.startswith(b"PK\x03\x04"):
        kind = "an Excel workbook; save it as CSV" if b"xl/" in data[:4000] else "a ZIP archive; unpack it"
        raise DataError(f"{origin}: this is {kind}. A check reads CSV or Parquet")


def _tables_in(folder: Path) -> str:
    if (folder / OWN_PREDICTIONS).is_file():
        return f"; the predictions of this run are {folder / OWN_PREDICTIONS}"
    found = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".parquet"))
    return f", for example one of {quote(found, 4)} in it" if found else ""


def _neighbours(path: Path) -> str:
    siblings = sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
    near = nearest(path.name, siblings) or siblings[:5]
    return f"; there lie {quote(near)}" if near else ""


def _open_parquet(origin: str, data: bytes) -> Opened:
    import pyarrow as pa
    from pyarrow import parquet

    if not data:
        raise DataError(f"{origin}: the file is empty")
    try:
        file = parquet.ParquetFile(pa.BufferReader(data))
    except (OSError, pa.ArrowException) as error:
        begins = data[:24].decode("utf-8", errors="replace").split("\n")[0]
        raise DataError(
            f"{origin}: this is no Parquet file (it begins with '{begins}'). "
            "If it is a CSV file, give it a name that ends in .csv"
        ) from error

    def read(names: Sequence[str]) -> pa.Table:
        try:
            return file.read(columns=list(names))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{origin}: the Parquet file is damaged ({str(error).strip()})") from error

    names = tuple(name for name in file.schema_arrow.names if not name.startswith("__index_level_"))
    return Opened(origin, names, read, lambda position: f"row {position + 1:,}")


def _open_memory(source: Any) -> Opened:
    columns = _columns_of(source)
    if not columns:
        raise DataError("the table: it has no columns")

    def read(names: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        return pa.table({name: _to_arrow(name, columns[name]) for name in names})

    return Opened("the table", tuple(columns), read, lambda position: f"row {position + 1:,}")


def _columns_of(source: Any) -> dict[str, Any]:
    """Column name -> values; raises `DataError` for what is no table."""
    if isinstance(source, Mapping):
        named = {str(name): v if hasattr(v, "__len__") else list(v) for name, v in source.items()}
        lengths = {name: len(values) for name, values in named.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"'{name}' {length:,}" for name, length in lengths.items())
            raise DataError(f"the table: the columns have unequal lengths: {shown}")
        return named
    if hasattr(source, "iloc"):  # pandas: column by column, since one column of mixed types must not fail all
        if not source.columns.is_unique:
            raise DataError("the table: several columns have the same name")
        return {str(name): source[name] for name in source.columns}
    if hasattr(source, "__arrow_c_stream__"):
        import pyarrow as pa

        table = pa.table(source)
        return dict(zip(table.column_names, table.columns, strict=True))
    raise DataError(
        f"check: {type(source).__name__} is no table; give a path, a DataFrame or a mapping of columns"
    )


def _to_arrow(name: str, values: Any) -> pa.ChunkedArray:
    import numpy as np
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray | pa.Array):
        return pa.chunked_array(values) if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if hasattr(values, "detach"):  # a tensor of a training script
        values = values.detach().cpu().numpy()
    if not hasattr(values, "dtype"):
        values = list(values)
    elif np.ndim(values) != 1:
        raise DataError(f"the table: column '{name}' has {np.ndim(values)} dimensions; one is needed")
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        array = pa.array([None if value is None or value != value else str(value) for value in values])
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
