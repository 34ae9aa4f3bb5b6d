"""Which column of a prediction file is what: as it was said, else as the names suggest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from subgroup_audit.checking.names import (
    FINDINGS,
    GROUPS,
    IMAGES,
    LABEL_AFFIXES,
    LABELS,
    MODELS,
    PERSONS,
    SCORE_AFFIXES,
    SCORES,
    SPLITS,
    find_role,
    plain,
    stem_of,
)
from subgroup_audit.checking.opened import count, quote
from subgroup_audit.errors import TableError, nearest

NONE = "none"
OWN_MODEL = ("model", "train_cohort", "recipe", "seed")
OWN_COLUMNS = {"fit_id", "finding", "y_true", "y_score", *OWN_MODEL}
SINGLE_FINDING, SINGLE_MODEL = "finding", "model"

ScoreKind = Literal["auto", "probabilities", "logits", "percent"]
Uncertain = Literal["omit", "positive", "negative"]


@dataclass(frozen=True)
class ColumnChoice:
    """What was said about the columns and their values; what was not said is guessed from the names.

    Attributes
    ----------
    label, score : a column each, or several: 'pneumonia:y_pneumonia' names the finding, or the model where one
        label has several scores
    group : attributes, as 'column' or 'name:column'
    person, image, split, finding : a column; 'none' where there is none and none is to be guessed
    model : columns that tell models apart in a long file
    intersect : attributes to be crossed
    bands : attribute -> rising numbers at which a new band starts
    scores : what the scores are; 'auto' takes numbers in [0, 1] as probabilities and asks about others
    positive, negative : words of the label column that mean so
    uncertain : what a label of -1 means
    """

    label: tuple[str, ...] = ()
    score: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    person: str | None = None
    image: str | None = None
    split: str | None = None
    model: tuple[str, ...] = ()
    finding: str | None = None
    intersect: tuple[tuple[str, ...], ...] = ()
    bands: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    scores: ScoreKind = "auto"
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    uncertain: Uncertain | None = None
    allows_missing_scores: bool = False
    encoding: str | None = None


@dataclass(frozen=True)
class Named:
    """A column with the name that it goes by."""

    name: str
    column: str


@dataclass(frozen=True)
class Attribute(Named):
    """A column of groups; one that is only crossed is not shown by itself."""

    is_guessed: bool = False
    is_shown: bool = True


@dataclass(frozen=True)
class Pair:
    """A label column with its score columns: one is a model; several are models, or classes of the label.

    Several whose names alone were guessed from are classes, or a question.
    """

    finding: str
    label: str
    scores: tuple[Named, ...]
    are_guessed: bool = False


@dataclass(frozen=True)
class Columns:
    """What every column is taken for."""

    pairs: tuple[Pair, ...]
    groups: tuple[Attribute, ...]
    person: str | None
    image: str | None
    split: str | None
    model: tuple[str, ...]
    finding: str | None
    guessed: frozenset[str]

    def describe(self) -> tuple[str, ...]:
        """What every column was taken for, one sentence a part, saying where only its name suggested it."""
        said: list[tuple[str, Sequence[str]]] = [
            ("Label", [pair.label for pair in self.pairs]),
            ("Score", [score.column for pair in self.pairs for score in pair.scores]),
            ("Groups", [attribute.column for attribute in self.groups]),
            ("Person", [self.person] if self.person else []),
            ("Image", [self.image] if self.image else []),
            ("Split", [self.split] if self.split else []),
            ("Model", self.model),
            ("Finding", [self.finding] if self.finding else []),
        ]
        return tuple(f"{role}: {self._confirm(columns)}." for role, columns in said if columns)

    def _confirm(self, columns: Sequence[str]) -> str:
        how = "its name" if len(columns) == 1 else "their names"
        return _columns(columns) + (f" (by {how})" if set(columns) & self.guessed else "")

    @property
    def used(self) -> tuple[str, ...]:
        """Every column that is read."""
        scores = [score.column for pair in self.pairs for score in pair.scores]
        single = [name for name in (self.person, self.image, self.split, self.finding) if name]
        groups = [attribute.column for attribute in self.groups]
        return tuple(dict.fromkeys([*(p.label for p in self.pairs), *scores, *single, *self.model, *groups]))


def choose_columns(names: Sequence[str], choice: ColumnChoice, origin: str) -> Columns:
    """Every column's part; raises `TableError` for one that is not there, or that only a person can choose."""
    _check_present(names, choice, origin)
    chosen = _Chooser(names, choice, origin)
    person = chosen.single("person", choice.person, PERSONS)
    image = chosen.single("image", choice.image, IMAGES)
    split = chosen.single("split", choice.split, SPLITS)
    finding = chosen.single("finding", choice.finding, FINDINGS)
    model = chosen.models()
    groups = chosen.groups()
    pairs = chosen.pairs()
    _check_parts_differ(origin, pairs, groups)
    return Columns(
        pairs=pairs,
        groups=groups,
        person=person,
        image=image,
        split=split,
        model=model,
        finding=finding,
        guessed=frozenset(chosen.guessed),
    )


def _check_present(names: Sequence[str], choice: ColumnChoice, origin: str) -> None:
    """Raise `TableError` with every column that was named and is not there."""
    said = [("label", word) for word in choice.label] + [("score", word) for word in choice.score]
    said += [("group", word) for word in choice.group] + [("model", word) for word in choice.model]
    said += [
        (role, word)
        for role, word in (
            ("person", choice.person),
            ("image", choice.image),
            ("split", choice.split),
            ("finding", choice.finding),
        )
        if word is not None
    ]
    lacking = [
        (role, column)
        for role, word in said
        if (column := parse_named(word, names).column) not in names and word != NONE
    ]
    if lacking:
        problems = "; ".join(_lacks(role, column, names) for role, column in lacking)
        raise TableError(f"{origin}: {problems}")


def _check_parts_differ(origin: str, pairs: Sequence[Pair], groups: Sequence[Attribute]) -> None:
    """Raise `TableError` where a column has two parts that exclude each other, or two groups have one name."""
    labels = {pair.label for pair in pairs}
    scores = {score.column for pair in pairs for score in pair.scores}
    columns = {attribute.column for attribute in groups}
    parts = {
        "label and score": labels & scores,
        "label and group": labels & columns,
        "score and group": scores & columns,
    }
    for both, shared in parts.items():
        if shared:
            raise TableError(f"{origin}: {quote(sorted(shared))} cannot be {both} at once")
    names = [attribute.name for attribute in groups]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(
            f"{origin}: two groups are called {quote(repeated)}; give one another name: --group NAME:COLUMN"
        )


def _lacks(role: str, column: str, names: Sequence[str]) -> str:
    near = nearest(column, names)
    if role == "group" and not near:
        near = [name for name in names if plain(name) in GROUPS]
    there = f"nearest: {quote(near)}" if near else f"its columns: {quote(names)}"
    return f"there is no column '{column}' (--{role}); {there}"


def parse_named(word: str, names: Sequence[str]) -> Named:
    """'name:column' or 'column'; a column that has a colon in its name is taken as it is.

    >>> parse_named("sex:Patient Gender", ["Patient Gender"])
    Named(name='sex', column='Patient Gender')
    """
    if word in names or ":" not in word:
        return Named(word, word)
    name, _, column = word.partition(":")
    return Named(name.strip(), column.strip())


class _Chooser:
    """Chooses columns, and remembers which were guessed."""

    def __init__(self, names: Sequence[str], choice: ColumnChoice, origin: str) -> None:
        self.names, self.choice, self.origin = names, choice, origin
        self.guessed: set[str] = set()
        self._is_own = set(names) >= OWN_COLUMNS

    def single(self, role: str, said: str | None, lines: tuple[tuple[str, ...], ...]) -> str | None:
        """The column of a role, or None; of two that are as likely none is guessed."""
        if said is not None:
            return None if said == NONE else said
        taken = {parse_named(word, self.names).column for word in (*self.choice.label, *self.choice.score)}
        found = [name for name in find_role(self.names, lines) if name not in taken]
        if len(found) > 1:
            self._ask(role, found)
        if found:
            self.guessed.add(found[0])
        return found[0] if found else None

    def models(self) -> tuple[str, ...]:
        """The columns that tell models apart in a long file."""
        if self.choice.model:
            return () if self.choice.model == (NONE,) else self.choice.model
        if self._is_own:
            self.guessed.update(OWN_MODEL)
            return OWN_MODEL
        found = self.single("model", None, MODELS)
        return (found,) if found else ()

    def groups(self) -> tuple[Attribute, ...]:
        """The attributes; every column with the name of one where none was said."""
        words = dict.fromkeys(word for word in self.choice.group if word != NONE)
        named = [parse_named(word, self.names) for word in words]
        said = [Attribute(one.name, one.column) for one in named]
        known = {attribute.name for attribute in said}
        banded = [name for name in self.choice.bands if name not in known]
        crossed = {name for names in self.choice.intersect for name in names} - known - set(banded)
        self._check_groups([*banded, *crossed], known)
        if not self.choice.group:
            return self._guess_groups({*banded, *crossed})
        said += [Attribute(name, name) for name in banded]
        return (*said, *(Attribute(name, name, is_shown=False) for name in sorted(crossed)))

    def _check_groups(self, needed: Sequence[str], known: set[str]) -> None:
        """Raise `TableError` for a group of --bands or --intersect that is no column."""
        strange = [name for name in needed if name not in self.names]
        if not strange:
            return
        there = [*known, *(name for name in self.names if plain(name) in GROUPS)] or self.names
        near = [name for name in there if plain(strange[0]) in plain(name)] or nearest(strange[0], there)
        hint = f"nearest: {quote(near)}" if near else f"groups: {quote(there)}"
        option = "bands" if strange[0] in self.choice.bands else "intersect"
        raise TableError(f"{self.origin}: there is no column '{strange[0]}' (--{option}); {hint}")

    def _guess_groups(self, needed: set[str]) -> tuple[Attribute, ...]:
        """Every column with the name of an attribute, and those that are needed, in the order of the file."""
        found = [name for name in self.names if plain(name) in GROUPS or name in needed]
        if not found:
            raise TableError(
                f"{self.origin}: no column has the name of a group (sex, view, race, age, site, ...). "
                f"Name one: --group COLUMN; its columns: {quote(self.names, 12)}. "
                "Without groups: --group none"
            )
        self.guessed.update(found)
        return tuple(Attribute(name, name, is_guessed=name not in needed) for name in found)

    def pairs(self) -> tuple[Pair, ...]:
        """Labels with their scores."""
        labels = [parse_named(word, self.names) for word in self.choice.label]
        scores = [parse_named(word, self.names) for word in self.choice.score]
        if labels and scores:
            return self._match(labels, scores)
        if labels:
            return self._scores_of(labels)
        if scores:
            return self._labels_of(scores)
        return self._guess_pairs()

    def _match(self, labels: list[Named], scores: list[Named]) -> tuple[Pair, ...]:
        """As many labels as scores, by name where both have the same names, else in their order."""
        if len(labels) == 1:
            return (Pair(_finding_name(labels[0]), labels[0].column, tuple(scores)),)
        by_name = {score.name: score for score in scores}
        if set(by_name) == {label.name for label in labels} and len(by_name) == len(scores):
            scores = [by_name[label.name] for label in labels]
        if len(labels) != len(scores):
            raise TableError(
                f"{self.origin}: {count(len(labels), 'label column')} and {count(len(scores), 'score column')} "
                "do not match. Give one --score for each --label, in the same order, or as FINDING:COLUMN in "
                "both. Several models of several findings need a long file: one row per image and model, "
                "--model COLUMN"
            )
        return tuple(
            Pair(_finding_name(label), label.column, (Named(SINGLE_MODEL, score.column),))
            for label, score in zip(labels, scores, strict=True)
        )

    def _scores_of(self, labels: list[Named]) -> tuple[Pair, ...]:
        """The scores that belong to labels that were said."""
        by_stem = self._by_stem(SCORE_AFFIXES, apart_from=[label.column for label in labels])
        own = [self._score_by_stem(label, by_stem) for label in labels]
        if all(own):
            pairs = zip(labels, own, strict=True)
            scores = [Named(label.name, str(column)) for label, column in pairs]
            self.guessed.update(score.column for score in scores)
            return self._match([Named(_stem_name(label), label.column) for label in labels], scores)
        if len(labels) > 1:
            missing = [label.column for label, column in zip(labels, own, strict=True) if not column]
            raise TableError(
                f"{self.origin}: which columns are the scores of {quote(missing)}? "
                f"Give one --score for each --label; its columns: {quote(self.names, 12)}"
            )
        return (self._pair_of_one(labels[0]),)

    def _score_by_stem(self, label: Named, by_stem: Mapping[str, list[str]]) -> str | None:
        found = by_stem.get(plain(_stem_name(label)), [])
        if len(found) > 1:
            self._ask("score", found)
        return found[0] if found else None

    def _pair_of_one(self, label: Named) -> Pair:
        """One label: the column named like a score, else the columns named like the scores of classes."""
        found = [name for name in find_role(self.names, SCORES) if name != label.column]
        if len(found) > 1:
            self._ask("score", found)
        if found:
            self.guessed.add(found[0])
            return Pair(_finding_name(label), label.column, (Named(SINGLE_MODEL, found[0]),))
        classes = [
            Named(str(stem_of(columns[0], SCORE_AFFIXES)), columns[0])
            for columns in self._by_stem(SCORE_AFFIXES, apart_from=[label.column]).values()
            if len(columns) == 1
        ]
        if len(classes) < 2:
            self._cannot_find("score", "y_score, score, prob, probability, pred, logit")
        self.guessed.update(one.column for one in classes)
        return Pair(_finding_name(label), label.column, tuple(classes), are_guessed=True)

    def _labels_of(self, scores: list[Named]) -> tuple[Pair, ...]:
        """The labels that belong to scores that were said."""
        taken = [score.column for score in scores]
        found = [name for name in find_role(self.names, LABELS) if name not in taken]
        by_stem = self._by_stem(LABEL_AFFIXES, apart_from=taken)
        own = [by_stem.get(plain(stem_of(score.column, SCORE_AFFIXES) or score.name), []) for score in scores]
        if all(len(columns) == 1 for columns in own) and (len(scores) > 1 or not found):
            labels = [columns[0] for columns in own]
            self.guessed.update(labels)
            return self._match([Named(stem_of(x, LABEL_AFFIXES) or x, x) for x in labels], scores)
        label = self._one_label(found)
        return self._match([Named(label, label)], scores)

    def _one_label(self, found: list[str]) -> str:
        if len(found) > 1:
            self._ask("label", found)
        if not found:
            self._cannot_find("label", "y_true, label, target, truth, ground_truth")
        self.guessed.add(found[0])
        return found[0]

    def _guess_pairs(self) -> tuple[Pair, ...]:
        """The one label and score by their names, else pairs like y_X and p_X."""
        labels = find_role(self.names, LABELS)
        scores = find_role(self.names, SCORES)
        pairs = self._pairs_by_stem()
        if pairs and not (labels and scores):
            self.guessed.update(column for pair in pairs for column in (pair.label, pair.scores[0].column))
            return tuple(pairs)
        label = self._one_label(labels)
        return (self._pair_of_one(Named(label, label)),)

    def _pairs_by_stem(self) -> list[Pair]:
        """Columns y_X and p_X, X_true and X_score, X and X_prob; raises where X has two of either."""
        scores = self._by_stem(SCORE_AFFIXES)
        labels = self._by_stem(LABEL_AFFIXES)
        for name in self.names:
            if plain(name) in scores:
                labels.setdefault(plain(name), []).append(name)
        both = [stem for stem in labels if stem in scores]
        for stem in both:
            for role, columns in (("label", labels[stem]), ("score", scores[stem])):
                if len(columns) > 1:
                    self._ask(role, columns)
        return [
            Pair(
                stem_of(scores[stem][0], SCORE_AFFIXES) or stem,
                labels[stem][0],
                (Named(SINGLE_MODEL, scores[stem][0]),),
            )
            for stem in both
        ]

    def _by_stem(self, affixes: Iterable[str], apart_from: Sequence[str] = ()) -> dict[str, list[str]]:
        """Stem -> the columns that have it."""
        generic = {word for lines in (LABELS, SCORES) for line in lines for word in line}
        found: dict[str, list[str]] = {}
        for name in self.names:
            stem = stem_of(name, affixes)
            if stem and plain(name) not in generic and plain(stem) not in generic and name not in apart_from:
                found.setdefault(plain(stem), []).append(name)
        return found

    def _ask(self, role: str, found: Sequence[str]) -> None:
        raise TableError(
            f"{self.origin}: which column is the {role}? By their names {quote(found)} could be. "
            f"Say --{role} COLUMN" + ("" if role in ("label", "score") else f", or --{role} none")
        )

    def _cannot_find(self, role: str, known: str) -> None:
        raise TableError(
            f"{self.origin}: no column has the name of a {role} ({known}, ...). "
            f"Say --{role} COLUMN; its columns: {quote(self.names, 12)}"
        )


def _finding_name(label: Named) -> str:
    """What a finding is called: as it was said, else what its label column's name says beyond 'label'."""
    if label.name != label.column:
        return label.name
    generic = {word for line in LABELS for word in line}
    return SINGLE_FINDING if plain(label.column) in generic else _stem_name(label)


def _stem_name(label: Named) -> str:
    return stem_of(label.column, LABEL_AFFIXES) or label.name if label.name == label.column else label.name


def _columns(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:8])
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
