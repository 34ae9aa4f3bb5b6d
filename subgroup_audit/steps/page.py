"""The last step: the report from what the steps before it stored."""

from __future__ import annotations

import re
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.engine import FitFailure
from subgroup_audit.errors import AuditError, StoreError
from subgroup_audit.report import Problem, RunContents, Sample, render_report
from subgroup_audit.report.paper_figures import ONE_COLUMN, Layout
from subgroup_audit.steps.causes import read_causes
from subgroup_audit.steps.data import DESIGN_FRAMES
from subgroup_audit.steps.diagnosis import read_diagnosis
from subgroup_audit.steps.differences import read_differences
from subgroup_audit.steps.encoding import read_encoding
from subgroup_audit.steps.errors import read_error_counts
from subgroup_audit.steps.order import read_order
from subgroup_audit.steps.performance import read_performance
from subgroup_audit.steps.results import read_result
from subgroup_audit.steps.saliency import read_saliency
from subgroup_audit.store import Done, RunFolder, Step, read_frames, read_json
from subgroup_audit.study import Study

REPORT_VERSION = 8
PUBLISHED = ("report.html", "tables", "figures", "paper")


@dataclass(frozen=True)
class StepFailure:
    """A step that failed: its name, one sentence, the traceback, and whether the fault is ours, not the user's."""

    step: str
    message: str
    details: str
    is_ours: bool

    @classmethod
    def of(cls, step: str, error: Exception) -> StepFailure:
        """The failure that an exception is."""
        is_ours = not isinstance(error, AuditError)
        message = f"internal error, {type(error).__name__}: {error}" if is_ours else str(error)
        return cls(step, message, "".join(traceback.format_exception(error)), is_ours)


@dataclass(frozen=True)
class RunParts:
    """The finished steps that a report is made from; runs of older versions, and runs that failed, lack some."""

    study: Study
    finished: Sequence[Done]
    failures: Sequence[FitFailure]
    broken: Sequence[StepFailure] = ()

    def named(self, name: str) -> Done:
        """The one step of this name; raises `StoreError` where the run has none."""
        found = self.find(name)
        if found is None:
            raise StoreError(f"study '{self.study.study}': its run has no step '{name}'; run it again")
        return found

    def find(self, name: str) -> Done | None:
        """The one step of this name, or None."""
        return next((done for done in self.finished if done.step.name == name), None)

    @property
    def fits(self) -> list[Done]:
        """The study's own fits."""
        return [done for done in self.finished if done.step.name == "fit"]


def report_step(parts: RunParts, layout: Layout = ONE_COLUMN) -> Step:
    """The report: depends on the whole study, on all that it shows, and on how its figures are laid out."""
    failed = [*parts.failures, *parts.broken]
    settings: dict[str, Any] = {
        "study": parts.study.model_dump_json(),
        "failures": [vars(failure) for failure in failed],
    }
    contents = {f"{i} {done.step.name}": _identity(done) for i, done in enumerate(parts.finished)}
    if layout.name != ONE_COLUMN.name:
        settings["journal"] = layout.name
    if layout.cohorts:
        settings["cohorts"] = list(layout.cohorts)
    return Step("report", REPORT_VERSION, settings, contents)


def _identity(done: Done) -> str:
    """A fit's key stands for its content, which also holds the time it took."""
    return done.step.key if done.step.name == "fit" else done.content


def write_report(parts: RunParts, work: Path, provenance: dict[str, Any], layout: Layout = ONE_COLUMN) -> None:
    """Render the report into `work`, with a copy of the numbers and of the study that they belong to."""
    render_report(gather_contents(parts, provenance), work, layout)
    (work / "study.json").write_text(parts.study.model_dump_json(indent=2), encoding="utf-8")


def gather_contents(parts: RunParts, provenance: dict[str, Any]) -> RunContents:
    """All that the report can show."""
    notes = [
        note
        for done in (parts.named("source"), parts.named("cohorts"))
        for note in read_json(done.folder / "notes.json")["notes"]
    ]
    return RunContents(
        study=parts.study,
        result=read_result(audit) if (audit := parts.find("audit")) else None,
        history=read_history(parts.fits) if parts.fits else None,
        **read_frames(parts.named("cohorts").folder, DESIGN_FRAMES),
        **read_diagnosis(parts.find("diagnosis")),
        **read_order(parts.find("order")),
        **read_error_counts(parts.find("errors")),
        **read_causes(parts.find("causes")),
        **read_encoding(parts.find("encoding")),
        **read_performance(parts.find("performance")),
        **read_differences(parts.find("differences")),
        saliency=read_saliency(parts.find("saliency")),
        notes=tuple(dict.fromkeys(notes)),
        samples=read_samples(samples.folder) if (samples := parts.find("samples")) else (),
        problems=problems_of(parts),
        provenance=provenance,
    )


def problems_of(parts: RunParts) -> tuple[Problem, ...]:
    """The steps that failed, then the fits, as the page tells of them."""
    failed = [(failure.step, failure.message, failure.details) for failure in parts.broken]
    failed += [(f"fit {failure.label}", failure.message, failure.details) for failure in parts.failures]
    return tuple(
        Problem(name, shorten_paths(message), shorten_paths(details)) for name, message, details in failed
    )


def shorten_paths(text: str) -> str:
    """A message or traceback with the last two names of each file alone: a report tells of no machine's folders.

    >>> shorten_paths('File "/home/me/lib/subgroup_audit/engine.py", line 3')
    'File "subgroup_audit/engine.py", line 3'
    >>> shorten_paths("data /srv/x/rsna/labels.csv: no column 'age'; 3/4 of C:\\\\d\\\\e\\\\f.csv")
    "data rsna/labels.csv: no column 'age'; 3/4 of e/f.csv"
    """
    return re.sub(
        r"(?<![\w.:/\\])(?:[A-Za-z]:)?(?:[/\\][^\s/\\\"':;,]+)*[/\\]([^\s/\\\"':;,]+)[/\\]([^\s/\\\"':;,]+)",
        r"\1/\2",
        text,
    )


def read_history(fits: Sequence[Done]) -> pd.DataFrame:
    """Every epoch of every fit, with the cohort, model, recipe and seed of the fit."""
    frames = []
    for done in fits:
        settings = done.step.settings
        named = {
            "train_cohort": settings["cohort"],
            "model": settings["model_name"],
            "recipe": settings["recipe_name"],
            "seed": settings["seed"],
        }
        frames.append(pd.read_parquet(done.folder / "history.parquet").assign(**named))
    return pd.concat(frames, ignore_index=True)


def read_samples(folder: Path) -> tuple[Sample, ...]:
    """The sample radiographs that `draw_samples` wrote."""
    described = pd.read_parquet(folder / "samples.parquet")
    with np.load(folder / "samples.npz") as stored:
        pixels = stored["pixels"]
    rows = zip(described.to_dict("records"), pixels, strict=True)
    return tuple(Sample(str(row["cohort"]), str(row["label"]), image, str(row["caption"])) for row, image in rows)


def count_cohorts(cohorts: Done) -> dict[str, int]:
    """How many distinct images and persons are in any cohort."""
    manifest = pd.read_parquet(cohorts.folder / "manifest.parquet", columns=["image_id", "patient_id"])
    return {"n_images": manifest["image_id"].nunique(), "n_patients": manifest["patient_id"].nunique()}


def publish_data(folder: RunFolder, parts: RunParts, predictions: Done | None) -> None:
    """Copy the tables of images and persons to `data/`: apart from the report, since they name persons."""
    target = folder.path / "data"
    target.mkdir(exist_ok=True)
    cohorts = parts.named("cohorts")
    for done, name in (
        (cohorts, "manifest.parquet"),
        (cohorts, "exclusions.parquet"),
        (predictions, "predictions.parquet"),
        (parts.find("errors"), "person_errors.parquet"),
    ):
        if done is None:
            (target / name).unlink(missing_ok=True)  # that of an earlier run does not belong to this report
            continue
        partial = target / f".{name}"
        shutil.copyfile(done.folder / name, partial)
        partial.replace(target / name)


def publish_report(folder: RunFolder, step: Step) -> None:
    """Copy the finished report, tables and figures to the top of the run folder.

    Until the run's record names this report, it names none: one that was killed midway is published again.
    """
    origin, record = folder.folder(step), folder.record()
    folder.write_record({name: value for name, value in record.items() if name != "report"})
    for name in PUBLISHED:
        target = folder.path / name
        if (origin / name).is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(origin / name, target)
        elif (origin / name).is_file():
            partial = target.with_name(f".{name}")
            shutil.copyfile(origin / name, partial)
            partial.replace(target)
