"""A finished run as a comparison reads it: its study, its tables by key, and what it ran on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from subgroup_audit.audit.cells import Scores
from subgroup_audit.errors import StoreError
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.store import frame_digest, read_json
from subgroup_audit.study import Study

TABLES = ("estimates", "gaps")


@dataclass(frozen=True, eq=False)
class Run:
    """One finished run.

    Attributes
    ----------
    label : what the run is called in the comparison; the name of its folder
    provenance : versions, device and times, as `run.json` has them
    inputs : 'input source', 'input pixels', ... -> digest of what the cohorts rest on; empty where steps are gone
    estimates, gaps : the stored results, or None where the run holds no tables
    """

    label: str
    study: Study
    manifest: CohortManifest
    predictions: Predictions
    provenance: Mapping[str, Any]
    inputs: Mapping[str, str]
    estimates: pd.DataFrame | None = None
    gaps: pd.DataFrame | None = None

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image of any cohort: image_id, patient_id, split."""
        rows: pd.DataFrame = self.manifest.frame[["image_id", "patient_id", "split"]]
        return rows.drop_duplicates("image_id").reset_index(drop=True)

    @cached_property
    def fitted(self) -> list[tuple[str, str]]:
        """The (model, recipe) pairs of the study that have predictions, in the order of the study."""
        found = self.predictions.frame[["model", "recipe"]].drop_duplicates()
        present = set(found.itertuples(index=False, name=None))
        return [(m, r) for m in self.study.models for r in self.study.recipes if (m, r) in present]

    def scores(self, fitted: list[tuple[str, str]]) -> Scores:
        """The predictions of these models and recipes, by key; raises `TableError` where they do not fit."""
        frame = self.predictions.frame
        names = pd.MultiIndex.from_frame(frame[["model", "recipe"]])
        return Scores(self.manifest, Predictions(frame[names.isin(fitted)]))

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digests of what the numbers rest on, and of the numbers, the order of rows and columns left aside."""
        tables = {"cohorts": self.manifest.frame, "predictions": self.predictions.frame}
        stored = {"estimates": self.estimates, "gaps": self.gaps}
        frames = {**tables, **{name: frame for name, frame in stored.items() if frame is not None}}
        return {**self.inputs, **{name: _digest(frame) for name, frame in frames.items()}}


def _digest(frame: pd.DataFrame) -> str:
    ordered = frame[sorted(frame.columns)]
    text = [name for name in ordered.columns if not pd.api.types.is_numeric_dtype(ordered[name])]
    keys = [*text, *(name for name in ("seed", "y_score", "estimate") if name in ordered.columns)]
    return frame_digest(ordered.sort_values(keys, kind="stable").reset_index(drop=True))


def read_run(folder: Path, label: str) -> Run:
    """The run in this folder.

    Raises
    ------
    StoreError
        No finished run lies there, its predictions are gone, or its study breaks a rule of this version.
    TableError
        A stored table is damaged.
    """
    record = read_json(folder / "run.json")
    if "definition" not in record:
        raise StoreError(f"{folder}: no finished run lies here; `audit run STUDY --out {folder}` makes one")
    try:
        study = Study.model_validate(record["definition"])
    except ValidationError as error:
        raise StoreError(
            f"{folder}/run.json: its study breaks a rule of this version ({error.error_count()} in all); "
            "run it again"
        ) from error
    return Run(
        label,
        study,
        CohortManifest(_read(folder / "data" / "manifest.parquet"), origin=label),
        Predictions(_read(folder / "data" / "predictions.parquet"), origin=label),
        record.get("provenance", {}),
        _inputs(folder, record.get("steps", [])),
        **{name: _read_table(folder / "tables", name) for name in TABLES},
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise StoreError(
            f"{path}: this table of the run is gone, or an older version ran it; `audit run` on the same study "
            "writes it again, without training anew"
        ) from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: damaged or unreadable; run the study again") from error


def _read_table(folder: Path, name: str) -> pd.DataFrame | None:
    """A table of the report in either of its forms; None where it has none."""
    if (folder / f"{name}.parquet").is_file():
        return _read(folder / f"{name}.parquet")
    return pd.read_csv(folder / f"{name}.csv") if (folder / f"{name}.csv").is_file() else None


def _inputs(folder: Path, steps: list[str]) -> dict[str, str]:
    """What the cohorts were made from, as their step has recorded it."""
    names = [name for name in steps if name.startswith("cohorts-")]
    records = [read_json(folder / "steps" / Path(name).name / "step.json") for name in names]
    inputs: Mapping[str, str] = records[0].get("inputs", {}) if records else {}
    return {f"input {name}": str(value) for name, value in sorted(inputs.items())}


def label_folders(folders: list[Path]) -> list[str]:
    """A short name for each folder: its own, with that of its parent where two are alike, or else a number.

    >>> label_folders([Path("reports/a"), Path("reports/b")]), label_folders([Path("new/a"), Path("old/a")])
    (['a', 'b'], ['new/a', 'old/a'])
    """
    whole = [folder.resolve() for folder in folders]
    for depth in (1, 2):
        names = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({number})" for number, path in enumerate(whole, start=1)]
