"""From rows to images and tasks: wide files have a row per image, long ones a row per image and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.checking.columns import OWN_MODEL, Columns
from subgroup_audit.checking.opened import Opened, Texts, count, quote
from subgroup_audit.checking.scored import Task
from subgroup_audit.errors import TableError

Rows = NDArray[np.int64]
MANY_PARTS = 200


@dataclass(frozen=True, eq=False)
class Stream:
    """A label and a score of every row of the file: y is -1 where there is no label, the score NaN where none."""

    model: str | None
    finding: str
    y_true: NDArray[np.int8]
    y_score: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one model and finding of a long file; all rows of a wide one."""

    model: str | None
    finding: str | None
    rows: Rows


@dataclass(frozen=True, eq=False)
class Images:
    """Which image each row is of.

    Attributes
    ----------
    of_row : int array [rows of the file], the image
    first_row : int array [images], the row that an image's attributes are read from
    image_id : array of str [images]
    """

    of_row: Rows
    first_row: Rows
    image_id: NDArray[np.object_]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.first_row)


def find_images(opened: Opened, columns: Columns, n_parts: int) -> Images:
    """The images; raises `TableError` where a long file does not say which rows are of one image."""
    n = opened.n_rows
    if columns.image is None:
        if n_parts > 1:
            raise TableError(
                f"{opened.origin}: it has several rows per image ({_long_columns(columns)}), but no column says "
                "which image a row is of. Say --image COLUMN"
            )
        names = np.array([opened.row_name(row) for row in range(n)], dtype=object)
        return Images(np.arange(n), np.arange(n), names)
    texts = opened.texts(columns.image)
    if texts.is_missing.any():
        row = int(np.argmax(texts.is_missing))
        lacking = int(texts.is_missing.sum())
        raise TableError(
            f"{opened.origin}: image column '{columns.image}' is empty in {count(lacking, 'row')}, the first on "
            f"{opened.row_name(row)}. Every row needs its image; without image names: --image none"
        )
    first_row = np.full(len(texts.words), -1)
    first_row[texts.codes[::-1]] = np.arange(n)[::-1]
    return Images(texts.codes, first_row, np.array(texts.words, dtype=object))


def _long_columns(columns: Columns) -> str:
    return quote([*columns.model, *([columns.finding] if columns.finding else [])])


def find_parts(opened: Opened, columns: Columns) -> list[Part]:
    """The models and findings of a long file, in their order; one part of all rows in a wide file."""
    models = _combine(opened, columns.model) if columns.model else None
    findings = _one_column(opened, columns.finding) if columns.finding else None
    n_findings = len(findings.words) if findings else 1
    n_parts = (len(models.words) if models else 1) * n_findings
    if n_parts > MANY_PARTS:
        raise TableError(
            f"{opened.origin}: {_long_columns(columns)} make {n_parts:,} models and findings; "
            f"at most {MANY_PARTS} are checked at once. Are these the right columns? "
            "--model none and --finding none leave them aside"
        )
    zero = np.zeros(opened.n_rows, dtype=np.int64)
    key = (models.codes if models else zero) * n_findings + (findings.codes if findings else zero)
    order = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[order], np.arange(n_parts + 1))
    parts = []
    for part in range(n_parts):
        rows = order[bounds[part] : bounds[part + 1]]
        if len(rows):
            model = models.words[part // n_findings] if models else None
            parts.append(Part(model, findings.words[part % n_findings] if findings else None, rows))
    return parts


def _one_column(opened: Opened, column: str) -> Texts:
    texts = opened.texts(column)
    if texts.is_missing.any():
        row = opened.row_name(int(np.argmax(texts.is_missing)))
        n = int(texts.is_missing.sum())
        raise TableError(
            f"{opened.origin}: column '{column}' is empty in {count(n, 'row')}, the first on {row}. "
            "Every row needs a value there"
        )
    return texts


def _combine(opened: Opened, columns: Sequence[str]) -> Texts:
    """Several columns as one name; of our own prediction files 'resnet50, trained on F, seed 0'."""
    texts = [_one_column(opened, column) for column in columns]
    key = np.zeros(opened.n_rows, dtype=np.int64)
    for text in texts:
        key = key * len(text.words) + text.codes
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    varies = [len(text.words) > 1 for text in texts]
    rows = first[order]
    parts = [[text.words[text.codes[row]] for text in texts] for row in rows]
    names = [_model_name(columns, part, varies) for part in parts]
    return Texts(rank[inverse], tuple(names))


def _model_name(columns: Sequence[str], values: Sequence[str], varies: Sequence[bool]) -> str:
    if tuple(columns) != OWN_MODEL:
        return ", ".join(values)
    model, cohort, recipe, seed = values
    words = [model, f"trained on {cohort}"]
    words += [recipe] if varies[2] else []
    words += [f"seed {seed}"] if varies[3] else []
    return ", ".join(words)


def make_tasks(
    opened: Opened, columns: Columns, images: Images, parts: Sequence[Part], streams: Sequence[Stream]
) -> tuple[Task, ...]:
    """Every model's scores for every finding; raises `TableError` for an image that a model has twice."""
    for part in parts:
        _check_once(opened, columns, images, part)
    tasks = [_make_task(images, part, stream) for part in parts for stream in streams]
    models = list(dict.fromkeys(task.model for task in tasks))
    ordered = sorted(tasks, key=lambda task: models.index(task.model))
    _check_labels_agree(opened, images, ordered)
    return tuple(task for task in ordered if len(task.rows))


def _make_task(images: Images, part: Part, stream: Stream) -> Task:
    rows = part.rows[(stream.y_true[part.rows] >= 0) & ~np.isnan(stream.y_score[part.rows])]
    image = images.of_row[rows]
    order = np.argsort(image, kind="stable")
    model = ", ".join(name for name in (part.model, stream.model) if name) or "model"
    finding = part.finding if part.finding is not None else stream.finding
    rows, image = rows[order], image[order]
    return Task(model, finding, image, stream.y_true[rows], stream.y_score[rows])


def _check_once(opened: Opened, columns: Columns, images: Images, part: Part) -> None:
    image = images.of_row[part.rows]
    order = np.argsort(image, kind="stable")
    repeats = np.flatnonzero(image[order][1:] == image[order][:-1])
    if not len(repeats):
        return
    n = len(np.unique(image[order][repeats]))
    first, second = part.rows[order[repeats[0]]], part.rows[order[repeats[0] + 1]]
    of = "".join(
        f" of {word} '{name}'" for word, name in (("model", part.model), ("finding", part.finding)) if name
    )
    raise TableError(
        f"{opened.origin}: {count(n, 'image comes', 'images come')} more than once{of}: "
        f"'{images.image_id[images.of_row[first]]}' in column '{columns.image}' is on "
        f"{opened.row_name(int(first))} and on {opened.row_name(int(second))}. A model has one row per image. "
        "If a column tells the rows apart, say --model COLUMN (repeat it for several). "
        "If the column does not name images, say --image none"
    )


def _check_labels_agree(opened: Opened, images: Images, tasks: Sequence[Task]) -> None:
    """Raise `TableError` where an image is positive in one model's rows and negative in another's."""
    seen: dict[str, NDArray[np.int8]] = {}
    for task in tasks:
        known = seen.setdefault(task.finding, np.full(len(images), -1, dtype=np.int8))
        before = known[task.rows]
        differs = (before >= 0) & (before != task.y_true)
        if differs.any():
            name = images.image_id[task.rows[np.argmax(differs)]]
            raise TableError(
                f"{opened.origin}: {count(int(differs.sum()), 'image has', 'images have')} another label for "
                f"'{task.finding}' in the rows of '{task.model}' than in earlier ones, the first '{name}'. "
                "An image has one label, whatever the model"
            )
        known[task.rows] = task.y_true
