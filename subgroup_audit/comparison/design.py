"""What changed in the design of two runs, in words: settings, data, software, device, and the size of cohorts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from subgroup_audit.comparison.result import CHANGE_COLUMNS, SIZE_COLUMNS
from subgroup_audit.comparison.runs import Run

# Names and questions of a study change no number; where its data lie, neither: their digests tell.
SILENT = {"study", "question", "data.root", "reference", "figures"}
ENVIRONMENT = {
    "software": ("version", "python"),
    "device": ("machine", "device"),
    "data": ("data",),
}
DIGEST_WORDS = {
    "input source": "the source (files, attributes, labels)",
    "input pixels": "the decoded pixels",
    "input copies": "the near copies",
    "cohorts": "the cohorts (images, persons, splits, labels)",
}
RESULT_WORDS = {"predictions": "the predictions", "estimates": "the stored AUCs", "gaps": "the stored gaps"}
LONGEST = 120

Change = tuple[str, str, str, str, str]


def design_changes(reference: Run, other: Run, label: str) -> pd.DataFrame:
    """`CHANGE_COLUMNS`, one row per setting, version or input that differs; none where nothing does."""
    found = [*study_changes(reference, other), *_environment(reference, other), *_data(reference, other)]
    rows = [(label, *change) for change in found]
    return pd.DataFrame(rows, columns=[column.name for column in CHANGE_COLUMNS]).astype("str")


def study_changes(reference: Run, other: Run) -> Iterator[Change]:
    """Settings of the studies that differ, the uppermost that only one has."""
    a, b = (run.study.model_dump(mode="json") for run in (reference, other))
    yield from _differing(a, b, "", (reference.label, other.label))


def _differing(a: Any, b: Any, path: str, labels: tuple[str, str]) -> Iterator[Change]:
    if a == b or path in SILENT:
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys([*a, *b]):
            here = f"{path}.{name}" if path else str(name)
            if name in a and name in b:
                yield from _differing(a[name], b[name], here, labels)
            elif here not in SILENT:
                yield _only_one(a.get(name), b.get(name), here, labels, is_added=name in b)
        return
    before, after = _shown(a), _shown(b)
    yield "study", path, before, after, f"{path} changed from {before} to {after}."


def _only_one(a: Any, b: Any, path: str, labels: tuple[str, str], *, is_added: bool) -> Change:
    shown = _shown(b if is_added else a)
    if is_added:
        return "study", path, "", shown, f"{path} is in {labels[1]} alone: {shown}."
    return "study", path, shown, "", f"{path} is in {labels[0]} alone: {shown}."


def _shown(value: Any) -> str:
    """A setting as a few words; only what is not the usual emptiness."""
    if isinstance(value, Mapping):
        parts = [f"{name} {_shown(part)}" for name, part in value.items() if part not in (None, {}, [], "")]
        text = ", ".join(parts) or "nothing"
    elif isinstance(value, (list, tuple)):
        text = ", ".join(map(_shown, value)) or "none"
    else:
        text = _word(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _word(value: Any) -> str:
    """One value; yes and no are words, 1 and 0 are numbers.

    >>> _word(True), _word(1), _word(None), _word("")
    ('yes', '1', 'not set', 'empty')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return {None: "not set", "": "empty"}.get(value, str(value))


def _environment(reference: Run, other: Run) -> Iterator[Change]:
    a, b = reference.provenance, other.provenance
    for part, names in ENVIRONMENT.items():
        for name in names:
            yield from _recorded(part, {"version": "subgroup_audit"}.get(name, name), a.get(name), b.get(name))
    first, second = (dict(found.get("libraries", {})) for found in (a, b))
    for name in dict.fromkeys([*first, *second]):
        yield from _recorded("software", name, first.get(name), second.get(name))


def _recorded(part: str, name: str, a: Any, b: Any) -> Iterator[Change]:
    if a != b:
        before, after = ("not recorded" if value is None else str(value) for value in (a, b))
        yield part, name, before, after, f"{name} changed from {before} to {after}."


def _data(reference: Run, other: Run) -> Iterator[Change]:
    """What the numbers rest on, by digest; where a run has none, nothing can be said."""
    for name, words in DIGEST_WORDS.items():
        a, b = reference.digests.get(name), other.digests.get(name)
        if a is not None and b is not None and a != b:
            yield "data", name, a[:12], b[:12], f"{words[:1].upper()}{words[1:]} differ: {a[:12]} and {b[:12]}."


def same_results(reference: Run, other: Run) -> dict[str, bool]:
    """Whether predictions, AUCs and gaps are the same to the digit; those that a run lacks are left out."""
    a, b = reference.digests, other.digests
    return {name: a[name] == b[name] for name in RESULT_WORDS if name in a and name in b}


def cohort_sizes(runs: list[Run]) -> pd.DataFrame:
    """`SIZE_COLUMNS`, one row per run, cohort and split."""
    parts = []
    for run in runs:
        frame = run.manifest.frame
        first = frame[frame["finding"] == run.study.finding_names[0]]
        grouped = first.groupby(["cohort", "split"], sort=False).agg(
            n_images=("image_id", "nunique"), n_patients=("patient_id", "nunique"), n_positive=("y_true", "sum")
        )
        parts.append(grouped.reset_index().assign(side=run.label))
    sizes = pd.concat(parts, ignore_index=True)
    order = {split: place for place, split in enumerate(("train", "val", "test"))}
    ordered = sizes.assign(place=sizes["split"].map(order)).sort_values(["cohort", "place"], kind="stable")
    return ordered[[column.name for column in SIZE_COLUMNS]].reset_index(drop=True)
