"""Reading of the tables that come with a data set, with messages that name file, column and nearest word."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from subgroup_audit.errors import DataError, nearest

COMPRESSED = (".gz", ".bz2", ".xz", ".zip")


def find_file(root: Path, names: Sequence[str]) -> Path | None:
    """The first of `names` (patterns are allowed) that lies in `root`, plain or compressed."""
    for name in names:
        for pattern in (name, *(f"{name}{suffix}" for suffix in COMPRESSED)):
            found = sorted(path for path in root.glob(pattern) if path.is_file())
            if found:
                return found[0]
    return None


def need_file(root: Path, names: Sequence[str], expects: str) -> Path:
    """The first of `names` that lies in `root`; raises `DataError` naming what lies there instead."""
    found = find_file(root, names)
    if found is not None:
        return found
    present = sorted(path.name for path in root.iterdir())
    near = nearest(names[0], present) or present[:5]
    there = f"; there lie {', '.join(near)}" if near else "; the folder is empty"
    raise DataError(f"{root}: '{names[0]}' is missing{there}. This source expects {expects}")


def read_table(
    path: Path, columns: Sequence[str], *, optional: Sequence[str] | None = (), delimiter: str = ","
) -> pd.DataFrame:
    """The needed and the optional columns of a CSV or Parquet file, as text; an empty field is missing.

    Nothing but an empty field is missing: 'None' and 'NA' are words that a label can be.

    Parameters
    ----------
    optional : columns that are read where present; None: every column

    Raises
    ------
    DataError
        The file cannot be read, has no rows, or lacks a column; every lacking column is listed.
    """
    present = _column_names(path, delimiter)
    lacking = [name for name in columns if name not in present]
    if lacking:
        raise DataError(f"{path}: " + "; ".join(_lacks(name, present) for name in lacking))
    wanted = present if optional is None else [name for name in present if name in {*columns, *optional}]
    frame = _read(path, delimiter, wanted)
    if frame.empty:
        raise DataError(f"{path}: the table has no rows")
    return frame


def _lacks(name: str, present: Iterable[str]) -> str:
    names = list(present)
    near = nearest(name, names) or names[:8]
    return f"column '{name}' is missing; nearest present: {', '.join(near)}"


def _column_names(path: Path, delimiter: str) -> list[str]:
    if path.suffix == ".parquet":
        from pyarrow import ArrowException
        from pyarrow.parquet import read_schema

        try:
            return list(read_schema(path).names)
        except (OSError, ArrowException) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
    return list(_read_csv(path, delimiter, n_rows=0).columns)


def _read(path: Path, delimiter: str, wanted: list[str]) -> pd.DataFrame:
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path, columns=wanted)
        return frame.astype("str").replace("", None)
    return _read_csv(path, delimiter)[wanted]


def _read_csv(path: Path, delimiter: str, n_rows: int | None = None) -> pd.DataFrame:
    """Every column: with some only, pandas would silently shift rows that have more fields than the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                sep=delimiter,
                nrows=n_rows,
                index_col=False,
                dtype="str",
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
            )
    except FileNotFoundError as error:
        siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        near = nearest(path.name, siblings) or sorted(siblings)[:5]
        hint = f"; there lie {', '.join(near)}" if near else ""
        raise DataError(f"{path}: no such file{hint}") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path}: rows have more fields than the header, so it is unclear which is which"
        ) from error
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path}: cannot be read as a table in UTF-8: {str(error).strip()}") from error
