"""Labels: which words mean that a finding is there, and what is to be asked where that is not plain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from subgroup_audit.checking.columns import ColumnChoice
from subgroup_audit.checking.names import plain
from subgroup_audit.checking.opened import Opened, Texts, count, quote
from subgroup_audit.errors import TableError, nearest

NO_LABEL = -1
MEANINGS = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
UNCERTAIN_WORDS = ("-1", "-1.0")
UNCERTAIN_MEANS = {"omit": NO_LABEL, "positive": 1, "negative": 0}
LIKELY_POSITIVE = ("yes", "y", "positive", "pos", "present", "abnormal", "t", "+", "2", "1")
MANY_VALUES = 50

Codes = NDArray[np.int8]


def read_binary(opened: Opened, column: str, choice: ColumnChoice) -> tuple[Codes, list[str]]:
    """Labels as 1, 0 and -1 (missing), and notes; raises `TableError` where a word's meaning is not plain."""
    texts = opened.texts(column)
    meaning, notes = _meanings(opened, column, texts, choice)
    by_code = np.array([*meaning, NO_LABEL], dtype=np.int8)  # the last is what code -1 finds: missing
    return by_code[texts.codes], notes


def _meanings(opened: Opened, column: str, texts: Texts, choice: ColumnChoice) -> tuple[list[int], list[str]]:
    if choice.positive:
        return _said_meanings(opened, column, texts, choice)
    meanings = [MEANINGS.get(value.lower()) for value in texts.words]
    notes = []
    if choice.uncertain is not None:
        is_uncertain = [value in UNCERTAIN_WORDS for value in texts.words]
        meant = UNCERTAIN_MEANS[choice.uncertain]
        meanings = [meant if u else m for u, m in zip(is_uncertain, meanings, strict=True)]
        n = sum(int(k) for u, k in zip(is_uncertain, texts.counts, strict=True) if u)
        notes = [f"{count(n, 'uncertain label')} (-1) of '{column}': {_uncertain_words(choice.uncertain)}."]
    known = [m for m in meanings if m is not None]
    if len(known) < len(meanings):
        raise TableError(_say_unknown(opened, column, texts, [m is None for m in meanings]))
    return known, notes


def _uncertain_words(uncertain: str) -> str:
    return "left out" if uncertain == "omit" else f"counted as {uncertain}"


def _said_meanings(opened: Opened, column: str, texts: Texts, choice: ColumnChoice) -> tuple[list[int], list[str]]:
    """Meanings from the words that were said; what neither word covers is left out, if both were said."""
    positive, negative = _lower(choice.positive), _lower(choice.negative)
    _check_words(opened, column, texts, choice)
    rest = [v for v in texts.words if v.lower() not in positive | negative]
    if len(rest) > 1 and not negative:
        raise TableError(
            f"{opened.origin}: label column '{column}' has further values ({quote(rest)}). "
            "Say which of them mean that the finding is absent: --negative WORD; the others are then left out"
        )
    meaning = NO_LABEL if negative else 0
    meanings = [1 if v.lower() in positive else 0 if v.lower() in negative else meaning for v in texts.words]
    if not negative or not rest:
        zero = [v for v, m in zip(texts.words, meanings, strict=True) if m == 0]
        return meanings, [f"Label '{column}': positive {quote(choice.positive)}, negative {quote(zero)}."]
    n = sum(int(texts.counts[texts.words.index(value)]) for value in rest)
    left = f"{count(n, 'row')} with other values ({quote(rest)}) left out"
    said = f"positive {quote(choice.positive)}, negative {quote(choice.negative)}"
    return meanings, [f"Label '{column}': {said}; {left}."]


def _check_words(opened: Opened, column: str, texts: Texts, choice: ColumnChoice) -> None:
    there = _lower(texts.words)
    for option, words in (("positive", choice.positive), ("negative", choice.negative)):
        strange = [word for word in words if word.lower() not in there]
        if len(strange) == len(words) and words:
            near = nearest(strange[0], texts.words)
            hint = f"nearest: {quote(near)}" if near else f"its values: {quote(texts.words)}"
            raise TableError(f"{opened.origin}: no label of '{column}' is '{strange[0]}' (--{option}); {hint}")


def _lower(words: Iterable[str]) -> set[str]:
    return {word.lower() for word in words}


def _say_unknown(opened: Opened, column: str, texts: Texts, is_unknown: Sequence[bool]) -> str:
    """The message for labels that are not plainly 0 or 1."""
    unknown = [code for code, strange in enumerate(is_unknown) if strange]
    first = opened.row_name(min(texts.row_of(code) for code in unknown[:MANY_VALUES]))
    words = [texts.words[code] for code in unknown]
    where = f"{opened.origin}: label column '{column}'"
    if len(texts.words) > MANY_VALUES or _are_decimals(words):
        return (
            f"{where} has {len(texts.words):,} different values ({quote(words, 3)}): that is no label. "
            "Labels are 1 and 0; is it the score? Say --label COLUMN"
        )
    if set(words) <= set(UNCERTAIN_WORDS) and len(texts.words) > 2:
        n = int(texts.counts[unknown].sum())
        return (
            f"{where} has {count(n, 'label')} of -1 (the first on {first}), which CheXpert and MIMIC-CXR use for "
            "'uncertain'. Say what they count as: --uncertain omit, positive or negative"
        )
    by_word = {value.lower(): value for value in texts.words}
    likely = next((by_word[word] for word in LIKELY_POSITIVE if word in by_word), texts.words[-1])
    if len(texts.words) <= 2:
        return (
            f"{where} has the values {quote(texts.words)} (the first on {first}); labels are 1 and 0. "
            f"Say which value means that the finding is there, for example --positive {_shell(likely)}"
        )
    return (
        f"{where} has {len(texts.words)} values: {quote(texts.words)} (the first that is not 0 or 1 on {first}). "
        f"Either say what is positive and what is negative (--positive {_shell(likely)} --negative WORD), "
        "or, for a model of several classes, give a score column for each class (--score CLASS:COLUMN)"
    )


def _are_decimals(words: Sequence[str]) -> bool:
    """Whether any value is a number with decimals other than zero, as scores have."""
    try:
        return any(not float(word).is_integer() for word in words)
    except ValueError:
        return False


def _shell(word: str) -> str:
    return f'"{word}"' if " " in word or not word else word


def match_classes(texts: Texts, names: Mapping[str, str], *, need_all: bool) -> dict[str, int] | None:
    """Score column -> code of the class that its name is, where every class has one column, else None.

    Parameters
    ----------
    names : score column -> its name; capitals, spaces and signs do not count
    need_all : whether a column that is no class means that none is
    """
    by_plain = {plain(value): code for code, value in enumerate(texts.words)}
    if len(texts.words) < 2 or len(by_plain) < len(texts.words):
        return None
    matched = {column: by_plain[plain(name)] for column, name in names.items() if plain(name) in by_plain}
    is_whole = sorted(matched.values()) == list(range(len(texts.words)))
    return matched if is_whole and not (need_all and len(matched) < len(names)) else None


def one_against_rest(texts: Texts, code: int) -> Codes:
    """Labels of one class: 1 where the row has it, 0 where it has another, -1 where it has none."""
    is_class = (texts.codes == code).astype(np.int8)
    return np.where(texts.is_missing, np.int8(NO_LABEL), is_class)
