"""Anybody's predictions as a `ScoredTable`: columns found, labels and scores understood, groups made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.checking.columns import OWN_MODEL, ColumnChoice, Columns, Pair, choose_columns
from subgroup_audit.checking.copies import describe_copies
from subgroup_audit.checking.groups import check_lasting, cross, describe_unknown, read_attribute
from subgroup_audit.checking.labels import match_classes, one_against_rest, read_binary
from subgroup_audit.checking.layout import Images, Part, Stream, find_images, find_parts, make_tasks
from subgroup_audit.checking.names import SCORE_AFFIXES, SPLIT_WORDS, plain, stem_of
from subgroup_audit.checking.opened import Opened, Texts, count, quote
from subgroup_audit.checking.opening import open_source
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.scores import describe_kind, read_scores
from subgroup_audit.errors import TableError

NO_PERSONS = (
    "Caution: no column says who an image is of, so every image counts as a person of its own. "
    "Where persons have several images, the intervals are too narrow."
)


def read_scored(source: Any, choice: ColumnChoice | None = None) -> ScoredTable:
    """The predictions, checked; its notes say how every column was understood.

    Parameters
    ----------
    source : path of a CSV or Parquet file, a DataFrame, or a mapping of column names to arrays
    choice : what was said about the columns; None: everything is guessed from the names

    Raises
    ------
    DataError
        The file cannot be read.
    TableError
        A column, a label, a score or a group is not what a check needs; row, value and way out are named.
    """
    choice = choice or ColumnChoice()
    opened = open_source(source, choice.encoding)
    columns = choose_columns(opened.names, choice, opened.origin)
    opened.load(columns.used)
    if opened.n_rows == 0:
        raise TableError(f"{opened.origin}: it has column names and no rows")
    notes = [*opened.notes, *columns.describe()]
    parts = find_parts(opened, columns)
    images = find_images(opened, columns, len(parts))
    notes.append(describe_kind(choice.scores))
    streams = [stream for pair in columns.pairs for stream in _streams(opened, pair, choice, notes)]
    tasks = make_tasks(opened, columns, images, parts, streams)
    notes += _describe_tasks(opened, columns, parts, streams, tasks)
    notes += describe_copies(tasks, len(images))
    person = _persons(opened, columns, images, notes)
    groups = _groups(opened, columns, choice, images, person, notes)
    split = _splits(opened, columns, images, notes)
    if split is not None and columns.person is not None:
        notes += _describe_leak(person, split)
    return ScoredTable(
        image_id=images.image_id,
        person=person,
        has_persons=columns.person is not None,
        split=split,
        groups=groups,
        tasks=tasks,
        notes=tuple(notes),
    )


def _streams(opened: Opened, pair: Pair, choice: ColumnChoice, notes: list[str]) -> list[Stream]:
    """The labels and scores of a label column: of one model, of several, or of the classes of the label."""
    texts = opened.texts(pair.label)
    classes = _classes(texts, pair) if not choice.positive else None
    if classes is not None:
        return _class_streams(opened, pair, texts, classes, choice, notes)
    if pair.are_guessed:
        raise TableError(_say_several(opened, pair, texts))
    names = [score.column for score in pair.scores]
    y_true, said = read_binary(opened, pair.label, choice)
    notes += said
    scores, said = read_scores(opened, names, y_true >= 0, choice, are_classes=False)
    notes += said
    is_single = len(pair.scores) == 1
    return [
        Stream(None if is_single else named.name, pair.finding, y_true, score)
        for named, score in zip(pair.scores, scores, strict=True)
    ]


def _say_several(opened: Opened, pair: Pair, texts: Texts) -> str:
    """The message for several columns named like scores that are not the classes of the label."""
    columns = [score.column for score in pair.scores]
    several = " ".join(f"--score {column}" for column in columns[:3])
    return (
        f"{opened.origin}: which column is the score of '{pair.label}'? By their names {quote(columns)} could "
        f"be. Say --score COLUMN. To compare several as models of the same images: {several}. "
        f"To take them as classes, name each after a value of the label ({quote(texts.words, 4)}): "
        "--score CLASS:COLUMN"
    )


def _classes(texts: Texts, pair: Pair) -> dict[str, int] | None:
    """Score column -> class, where the score columns are the classes of the label."""
    if len(pair.scores) < 2:
        return None
    names = {score.column: score.name for score in pair.scores}
    stems = {column: stem_of(name, SCORE_AFFIXES) or name for column, name in names.items()}
    # Of prob_0 to prob_99, prob_1 may be anything; p_normal, p_opacity and p_value leave no doubt.
    are_all = not pair.are_guessed or any(word.isdigit() for word in texts.words)
    return match_classes(texts, names, need_all=are_all) or match_classes(texts, stems, need_all=are_all)


def _class_streams(
    opened: Opened, pair: Pair, texts: Texts, classes: dict[str, int], choice: ColumnChoice, notes: list[str]
) -> list[Stream]:
    scores, said = read_scores(opened, list(classes), ~texts.is_missing, choice, are_classes=True)
    shown = ", ".join(f"{texts.words[code]} by '{column}'" for column, code in classes.items())
    notes += [*said, f"Label '{pair.label}' has {len(classes)} classes, each against the rest: {shown}."]
    if choice.scores == "logits":
        notes.append("Logits of the classes passed through the softmax over them.")
    streams = [
        Stream(None, texts.words[code], one_against_rest(texts, code), score)
        for code, score in zip(classes.values(), scores, strict=True)
    ]
    is_plain_binary = set(texts.words) == {"0", "1"}
    return [s for s in streams if s.finding == "1"] if is_plain_binary else streams


def _describe_tasks(
    opened: Opened, columns: Columns, parts: Sequence[Part], streams: Sequence[Stream], tasks: Sequence[Task]
) -> list[str]:
    """How many models, findings and images there are, and how many labels are missing."""
    if not tasks:
        raise TableError(
            f"{opened.origin}: no row has both a label and a score; "
            "are the label and score columns the right ones?"
        )
    notes = _describe_unlabelled(streams)
    notes += _describe_absent(parts, streams, tasks)
    models = list(dict.fromkeys(task.model for task in tasks))
    if len(models) > 1:
        notes += _describe_models(models, tasks)
    if columns.model == OWN_MODEL and len(models) > 1:
        notes.append("Every fit counts as a model of its own; scores of several seeds are not averaged.")
    return notes


def _describe_absent(parts: Sequence[Part], streams: Sequence[Stream], tasks: Sequence[Task]) -> list[str]:
    """A note on findings of the file of which nothing can be measured."""
    asked = dict.fromkeys(part.finding or stream.finding for part in parts for stream in streams)
    absent = [finding for finding in asked if finding not in {task.finding for task in tasks}]
    return [f"Caution: {quote(absent)} left out: no image has both a label and a score."] if absent else []


def _describe_models(models: Sequence[str], tasks: Sequence[Task]) -> list[str]:
    """Which models are compared, and whether on all their images: each with the first, finding by finding."""
    firsts: dict[str, Task] = {}
    pairs = [(task, firsts.setdefault(task.finding, task)) for task in tasks]
    if all(np.array_equal(task.rows, first.rows) for task, first in pairs):
        return [f"{len(models)} models are compared on the same images: {quote(models, 4)}."]
    notes = [
        f"{len(models)} models were not scored on the same images: {quote(models, 4)}. Each one's numbers are of "
        "its own images; differences between models are of those that both have scored."
    ]
    apart = [task.model for task, first in pairs if not np.isin(task.rows, first.rows).any()]
    if apart:
        notes.append(
            f"Caution: no image of {quote(list(dict.fromkeys(apart)))} was scored by the first model too."
        )
    return notes


def _describe_unlabelled(streams: Sequence[Stream]) -> list[str]:
    n_of = {stream.finding: int((stream.y_true < 0).sum()) for stream in streams}
    lacking = {finding: n for finding, n in n_of.items() if n}
    if not lacking:
        return []
    if len(n_of) == 1:
        return [f"Left out: {count(sum(lacking.values()), 'row')} without a label."]
    shown = ", ".join(f"{n:,} for '{finding}'" for finding, n in lacking.items())
    return [f"Left out, rows without a label: {shown}."]


def _at_images(opened: Opened, images: Images, texts: Texts, column: str) -> NDArray[np.int64]:
    """The codes of the images; raises `TableError` where rows of one image differ."""
    codes = texts.codes[images.first_row]
    differs = codes[images.of_row] != texts.codes
    if differs.any():
        row = int(np.argmax(differs))
        image = images.image_id[images.of_row[row]]
        raise TableError(
            f"{opened.origin}: image '{image}' has several values of '{column}'; on {opened.row_name(row)} it "
            "differs from the image's first row. What describes an image is the same in all its rows"
        )
    return codes


def _persons(opened: Opened, columns: Columns, images: Images, notes: list[str]) -> NDArray[np.int64]:
    """A code per person, rising with the name, so that the folds of persons do not hang on the order of rows.

    An image without a person is a person of its own.
    """
    if columns.person is None:
        notes.append(NO_PERSONS)
        return np.arange(len(images))
    texts = _by_name(opened.texts(columns.person))
    codes = _at_images(opened, images, texts, columns.person)
    missing = codes < 0
    n = int(missing.sum())
    if n:
        notes.append(f"Caution: {count(n, 'image')} without a person; each counts as a person of its own.")
        codes = np.where(missing, len(texts.words) + np.cumsum(missing) - 1, codes)
    n_persons = int(np.count_nonzero(np.bincount(codes)))
    notes.append(f"{count(len(images), 'image')} of {count(n_persons, 'person')}.")
    return codes


def _by_name(texts: Texts) -> Texts:
    """The same values, their codes in the order of the values and not of the rows; 9 comes before 10."""
    order = sorted(range(len(texts.words)), key=texts.words.__getitem__)
    order.sort(key=lambda code: len(texts.words[code]))
    place = np.full(len(order) + 1, -1)  # the last entry is what code -1 finds: missing
    place[order] = np.arange(len(order))
    return Texts(place[texts.codes], tuple(texts.words[code] for code in order))


def _groups(
    opened: Opened,
    columns: Columns,
    choice: ColumnChoice,
    images: Images,
    person: NDArray[np.int64],
    notes: list[str],
) -> pd.DataFrame:
    """One categorical column per attribute, crossings last."""
    made: dict[str, pd.Categorical] = {}
    for attribute in columns.groups:
        values, said = read_attribute(opened, attribute, choice.bands)
        notes += said
        if values is None:
            continue
        codes = _at_images(opened, images, Texts(np.asarray(values.codes, dtype=np.int64), ()), attribute.column)
        at_images = pd.Categorical.from_codes(codes, dtype=values.dtype)
        if columns.person is not None:
            check_lasting(opened, attribute, at_images, person, images.first_row)
        made[attribute.name] = at_images
    groups = pd.DataFrame(made, index=pd.RangeIndex(len(images)))
    for attributes in dict.fromkeys(choice.intersect):
        name, crossed = cross(groups, attributes, opened.origin)
        groups[name] = crossed
    groups = groups.drop(columns=[a.name for a in columns.groups if not a.is_shown and a.name in groups.columns])
    notes += describe_unknown(groups)
    return groups


def _splits(opened: Opened, columns: Columns, images: Images, notes: list[str]) -> NDArray[np.object_] | None:
    """train, val or test of each image; raises `TableError` for a word that is none of them."""
    if columns.split is None:
        return None
    texts = opened.texts(columns.split)
    if texts.is_missing.any():
        row = opened.row_name(int(np.argmax(texts.is_missing)))
        n = int(texts.is_missing.sum())
        raise TableError(
            f"{opened.origin}: split column '{columns.split}' is empty in {count(n, 'row')}, the first on {row}. "
            "Every row needs its split; without splits: --split none"
        )
    strange = [value for value in texts.words if plain(value) not in SPLIT_WORDS]
    if strange:
        row = opened.row_name(texts.row_of(texts.words.index(strange[0])))
        raise TableError(
            f"{opened.origin}: split column '{columns.split}' has {quote(strange)} (first on {row}); "
            "understood are train, training, val, valid, validation, dev, test, testing, holdout and the like. "
            "If it is no split of the data: --split none"
        )
    mapped = np.array([SPLIT_WORDS[plain(value)] for value in texts.words], dtype=object)
    renamed = [f"'{old}' is {new}" for old, new in zip(texts.words, mapped, strict=True) if old != new]
    if renamed:
        notes.append(f"Split: {', '.join(renamed)}.")
    return np.asarray(mapped[_at_images(opened, images, texts, columns.split)], dtype=object)


def _describe_leak(person: NDArray[np.int64], split: NDArray[np.object_]) -> list[str]:
    """A note where persons of the training images are also in the test images."""
    trained = np.unique(person[split == "train"])
    tested = np.unique(person[split == "test"])
    n = len(np.intersect1d(trained, tested, assume_unique=True))
    if not n:
        return []
    return [
        f"Caution: {count(n, 'person is', 'persons are')} in both train and test. The model has seen them, "
        "so the figures on the test images are too good."
    ]
