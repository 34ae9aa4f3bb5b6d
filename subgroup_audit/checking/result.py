"""What a check found: every group, every gap with its verdict, the curves, and what it all rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from subgroup_audit.checking import words
from subgroup_audit.errors import ReportError
from subgroup_audit.schema import (
    CHECK_CONTRAST_COLUMNS,
    CHECK_ESTIMATE_COLUMNS,
    FIT_COLUMNS,
    AuditResult,
    Column,
)

RESULT_SCHEMA = "subgroup_audit/check/1"
EXIT_NO_GAP, EXIT_GAP, EXIT_INCONCLUSIVE, EXIT_NOTHING = 0, 1, 4, 5


def _no_fits() -> pd.DataFrame:
    return pd.DataFrame({column.name: [] for column in FIT_COLUMNS})


@dataclass(frozen=True, eq=False)
class CheckResult(AuditResult):
    """The numbers and verdicts of one check. Shows itself in a notebook; gates a release by its exit code.

    Attributes
    ----------
    estimates : DataFrame, columns `CHECK_ESTIMATE_COLUMNS`; one row per model, finding, split, group and measure
    contrasts : DataFrame, columns `CHECK_CONTRAST_COLUMNS`; one row per gap, minuend minus subtrahend.
        `margin` is missing where a gap is shown and not judged
    fits : empty: a check knows no training
    settings : what the numbers depend on, plain values
    curves : DataFrames by name: roc, precision_recall, calibration, net_benefit, confusion
    notes : how the input was read, and what was withheld, one sentence each
    """

    fits: pd.DataFrame = field(default_factory=_no_fits)
    settings: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    FRAMES: ClassVar[Mapping[str, tuple[Column, ...]]] = {
        "estimates": CHECK_ESTIMATE_COLUMNS,
        "contrasts": CHECK_CONTRAST_COLUMNS,
        "fits": FIT_COLUMNS,
    }

    @property
    def judged(self) -> pd.DataFrame:
        """The contrasts that have a margin, and so a verdict."""
        return self.contrasts[self.contrasts["margin"].notna()]

    @property
    def counts(self) -> dict[str, int]:
        """How many judged comparisons have each verdict, in the order of `VERDICTS`."""
        found = self.judged["verdict"].value_counts()
        return {verdict: int(found.get(verdict, 0)) for verdict in words.VERDICTS}

    @property
    def verdict(self) -> str:
        """The verdict of all judged comparisons together; see `words.overall_verdict` for the rules."""
        return words.overall_verdict(self.counts)

    @property
    def title(self) -> str:
        """The verdict in a few words."""
        return words.title(self.counts, self.judged)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict with what it rests on, and what the data could not have shown."""
        return tuple(words.verdict_sentences(self.counts, self.judged, self.settings))

    def exit_code(self, strict: bool = False) -> int:  # noqa: FBT001, FBT002  one flag, named by every caller
        """0 no gap was found, 1 a gap, 4 undecided and `strict`, 5 nothing could be estimated.

        Undecided is what is inconclusive, and what has comparisons that could not be estimated beside others
        that could.
        """
        counts = self.counts
        if counts["gap"]:
            return EXIT_GAP
        if counts["not estimable"] == sum(counts.values()):
            return EXIT_NOTHING
        is_decided = self.verdict == "no gap beyond the margin"
        return EXIT_INCONCLUSIVE if strict and not is_decided else EXIT_NO_GAP

    def __repr__(self) -> str:
        """The verdict and how the comparisons ended, on two lines."""
        return f"CheckResult: {self.title}\n" + " ".join(self.sentences)

    def _repr_html_(self) -> str:
        """The verdict and the tables, for a notebook."""
        from subgroup_audit.checking.notebook import notebook_view

        return notebook_view(self)

    def to_json(self) -> str:
        """The whole result as JSON of the schema `subgroup_audit/check/1`; no number is rounded."""
        return json.dumps(to_document(self), ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> CheckResult:
        """The result that `to_json` wrote.

        Raises
        ------
        ReportError
            The text is not JSON, or not of the schema that this version reads.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ReportError(f"a check's result is JSON: {error}") from error
        named = document.get("schema") if isinstance(document, dict) else None
        if named != RESULT_SCHEMA:
            raise ReportError(f'a check\'s result has "schema": "{RESULT_SCHEMA}"; this has {named!r}')
        return _from_document(cls, document)

    def save(self, folder: Path | str) -> Path:
        """The folder, with `check.json`, and `estimates`, `contrasts` and every curve as CSV."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "check.json").write_text(self.to_json(), encoding="utf-8")
        for name, frame in self.tables().items():
            (place / f"{name}.csv").write_text(frame.to_csv(index=False, lineterminator="\n"), encoding="utf-8")
        return place

    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table that is shown or saved, by name."""
        return {"estimates": self.estimates, "contrasts": self.contrasts, **self.curves}


def to_document(result: CheckResult) -> dict[str, Any]:
    """The result as plain values: what `to_json` writes."""
    return {
        "schema": RESULT_SCHEMA,
        "verdict": result.verdict,
        "title": result.title,
        "sentences": list(result.sentences),
        "counts": result.counts,
        "exit_code": result.exit_code(),
        "exit_code_strict": result.exit_code(strict=True),
        "settings": _plain(result.settings),
        "notes": list(result.notes),
        "estimates": _records(result.estimates),
        "contrasts": _records(result.contrasts),
        "curves": {name: _columns(frame) for name, frame in result.curves.items()},
    }


def _from_document(kind: type[CheckResult], document: Mapping[str, Any]) -> CheckResult:
    frames = {
        name: pd.DataFrame(document[name], columns=[column.name for column in kind.FRAMES[name]])
        for name in ("estimates", "contrasts")
    }
    curves = {
        name: pd.DataFrame(curve["rows"], columns=curve["columns"]) for name, curve in document["curves"].items()
    }
    return kind(**frames, settings=document["settings"], curves=curves, notes=tuple(document["notes"]))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _columns(frame: pd.DataFrame) -> dict[str, Any]:
    rows = [[_plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return {"columns": [str(name) for name in frame.columns], "rows": rows}


def _plain(value: Any) -> Any:
    """The value as JSON has it; what is missing or not finite is null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if pd.isna(value) or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value
