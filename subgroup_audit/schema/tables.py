"""What a table is: columns with kinds, a key, and one error that lists everything wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pandas as pd

from subgroup_audit.errors import TableError, nearest

Kind = Literal["string", "int", "count", "float", "bool"]


UNKNOWN = "Unknown"


SPLITS = ("train", "val", "test")


SEXES = ("F", "M", UNKNOWN)


VIEWS = ("AP", "PA", "Lateral", UNKNOWN)


@dataclass(frozen=True)
class Column:
    """One column of a table: its name, type, whether it may be missing, and what it means."""

    name: str
    kind: Kind
    meaning: str
    nullable: bool = False
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A checked frame. Subclasses declare `COLUMNS` and `KEY`; further columns are kept if `OPEN`."""

    frame: pd.DataFrame
    origin: str = ""

    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    KEY: ClassVar[tuple[str, ...]] = ()
    OPEN: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Bring the columns to their types; raise `TableError` with every problem found."""
        missing = [c.name for c in self.COLUMNS if c.name not in self.frame.columns]
        if missing:
            raise TableError(self._complain([_missing_column(name, self.frame.columns) for name in missing]))
        frame, problems = _conform(self.frame, self.COLUMNS, keep_rest=self.OPEN)
        problems += _check_values(frame, self.COLUMNS) + _check_key(frame, self.KEY)
        if problems:
            raise TableError(self._complain(problems))
        object.__setattr__(self, "frame", frame)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.frame)

    def _complain(self, problems: Sequence[str]) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{type(self).__name__}{where}: " + "; ".join(problems)

    @classmethod
    def empty(cls) -> Table:
        """The table with no rows."""
        return cls(pd.DataFrame({c.name: [] for c in cls.COLUMNS}))


def _missing_column(name: str, present: Iterable[str]) -> str:
    near = nearest(name, map(str, present))
    hint = f" (nearest present: {', '.join(near)})" if near else ""
    return f"column '{name}' is missing{hint}"


def _conform(frame: pd.DataFrame, columns: Sequence[Column], *, keep_rest: bool) -> tuple[pd.DataFrame, list[str]]:
    """The frame with declared columns first and typed, and the problems met on the way."""
    problems: list[str] = []
    typed: dict[str, Any] = {}
    for column in columns:
        try:
            typed[column.name] = _as_kind(frame[column.name], column.kind)
        except (TypeError, ValueError) as error:
            problems.append(f"column '{column.name}' must be {column.kind}: {error}")
            typed[column.name] = frame[column.name]
    rest = [name for name in frame.columns if name not in typed] if keep_rest else []
    conformed = pd.DataFrame({**typed, **{name: frame[name] for name in rest}})
    return conformed.reset_index(drop=True), problems


def _as_kind(values: pd.Series, kind: Kind) -> pd.Series:
    if kind == "string":
        return values if values.dtype == "str" else values.astype("str")
    if kind == "float":
        return pd.to_numeric(values).astype("float64")
    if kind == "bool":
        return values.astype("bool")
    if kind == "count":  # a whole number that may be withheld
        return values.astype("Int64")
    return values.astype("int64")


def _check_values(frame: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    problems = []
    for column in columns:
        values = frame[column.name]
        absent = int(values.isna().sum())
        if absent and not column.nullable:
            problems.append(f"column '{column.name}' has {absent} missing values; none are allowed")
        if column.allowed is not None:
            strange = sorted(set(values.dropna().unique()) - set(column.allowed), key=str)[:3]
            if strange:
                shown = ", ".join(repr(value) for value in strange)
                problems.append(f"column '{column.name}' must be one of {list(column.allowed)}; it has {shown}")
    return problems


def _check_key(frame: pd.DataFrame, key: tuple[str, ...]) -> list[str]:
    if not key or frame.empty:
        return []
    repeated = frame.duplicated(list(key))
    if not repeated.any():
        return []
    first = frame.loc[repeated, list(key)].iloc[0].to_dict()
    return [f"{int(repeated.sum())} rows repeat the key {key}; the first is {first}"]


def conform_frame(frame: pd.DataFrame, columns: Sequence[Column], origin: str) -> pd.DataFrame:
    """The frame with exactly these columns, typed; raises `TableError` listing every problem."""
    missing = [_missing_column(c.name, frame.columns) for c in columns if c.name not in frame.columns]
    if missing:
        raise TableError(f"{origin}: " + "; ".join(missing))
    conformed, problems = _conform(frame, columns, keep_rest=False)
    problems += _check_values(conformed, columns)
    if problems:
        raise TableError(f"{origin}: " + "; ".join(problems))
    return conformed
