"""What was asked of a check, in a user's words, as settings and column choices that are known to be sound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from typing import get_args

from subgroup_audit.checking.columns import ColumnChoice, ScoreKind, Uncertain
from subgroup_audit.checking.opened import quote
from subgroup_audit.checking.scored import ScoredTable
from subgroup_audit.checking.settings import MEASURES, CheckSettings, Margin, Threshold
from subgroup_audit.errors import PolicyError, TableError, nearest
from subgroup_audit.schema import UNKNOWN

Words = str | Sequence[str] | None


def listed(words: Words) -> tuple[str, ...]:
    """One word or several, as a tuple.

    >>> listed("sex"), listed(["sex", "view"]), listed(None)
    (('sex',), ('sex', 'view'), ())
    """
    if words is None:
        return ()
    return (words,) if isinstance(words, str) else tuple(words)


def crossings(intersect: Iterable[str | Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Attributes to be crossed.

    >>> crossings("sex,view"), crossings([("sex", "view"), "sex,age"])
    ((('sex', 'view'),), (('sex', 'view'), ('sex', 'age')))
    """
    each = [intersect] if isinstance(intersect, str) else list(intersect)
    return tuple(
        tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else tuple(names)
        for names in each
    )


def edges_of(bands: Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, ...]]:
    """Where bands start; raises `PolicyError` for numbers that do not rise."""
    said = {name: tuple(float(edge) for edge in edges) for name, edges in (bands or {}).items()}
    for name, edges in said.items():
        is_rising = all(a < b for a, b in pairwise(edges))
        if not edges or not is_rising or not all(map(isfinite, edges)):
            shown = ", ".join(f"{edge:g}" for edge in edges)
            raise PolicyError(f"--bands {name}: needs rising numbers, such as 18,40,65; it has '{shown}'")
    return said


def check_choice(choice: ColumnChoice) -> ColumnChoice:
    """The choice; raises `PolicyError` for a word that a setting does not know."""
    _check_word("scores", choice.scores, get_args(ScoreKind))
    if choice.uncertain is not None:
        _check_word("uncertain", choice.uncertain, get_args(Uncertain))
    if choice.negative and not choice.positive:
        raise PolicyError("--negative says which labels mean absent; it needs --positive beside it")
    both = {word.lower() for word in choice.positive} & {word.lower() for word in choice.negative}
    if both:
        raise PolicyError(f"--positive and --negative both have {quote(sorted(both))}")
    return choice


def _check_word(option: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        near = nearest(word, allowed)
        hint = f"nearest: {near[0]}" if near else f"allowed: {', '.join(allowed)}"
        raise PolicyError(f"--{option}: there is no '{word}'; {hint}")


def margins_of(metric: Words, margin: float | Mapping[str, float | None]) -> tuple[Margin, ...]:
    """What is judged, and how large a difference may be; raises `PolicyError` for what is no margin.

    Parameters
    ----------
    metric : measures that are judged; None: AUC, or those that `margin` names
    margin : one for every measure, or by measure
    """
    if isinstance(margin, Mapping):
        lacking = [name for name in listed(metric) if name not in margin]
        if lacking:
            raise PolicyError(f"--margin: {quote(lacking)} is to be judged and has no margin")
        pairs = list(margin.items())
    else:
        pairs = [(name, margin) for name in dict.fromkeys(listed(metric) or ("auc",))]
    for name, allowed in pairs:
        check_measure(name)
        if allowed is not None and not 0 < allowed < float("inf"):
            raise PolicyError(
                f"--margin: the largest difference that counts as none is above 0; {name} has {allowed:g}"
            )
    return tuple(Margin(name, allowed) for name, allowed in pairs)


def check_measure(name: str, option: str = "metric") -> None:
    """Raise `PolicyError` for a measure that there is not."""
    if name not in MEASURES:
        near = nearest(name, MEASURES)
        hint = f"nearest: {', '.join(near)}" if near else f"allowed: {', '.join(MEASURES)}"
        raise PolicyError(f"--{option}: there is no measure '{name}'; {hint}")


def threshold_of(threshold: float | str | None) -> Threshold:
    """Where the operating point comes from; raises `PolicyError` for a rule that there is not."""
    if threshold is None:
        return Threshold()
    from subgroup_audit.checking.policy import parse_threshold

    try:
        return parse_threshold(_as_number(threshold))
    except ValueError as error:
        raise PolicyError(f"--threshold: {error}") from error


def _as_number(threshold: float | str) -> float | str:
    try:
        return float(threshold)
    except ValueError:
        return threshold


def check_settings(settings: CheckSettings) -> CheckSettings:
    """The settings; raises `PolicyError` with everything that is out of range."""
    rules = (
        ("confidence", settings.confidence_level, 0.5 <= settings.confidence_level < 1, "from 0.5 to below 1"),
        ("resamples", settings.n_resamples, 100 <= settings.n_resamples <= 100_000, "from 100 to 100,000"),
        ("seed", settings.seed, settings.seed >= 0, "0 or more"),
        ("min-persons", settings.min_persons, settings.min_persons >= 1, "1 or more"),
        ("suppress-below", settings.suppress_below, (settings.suppress_below or 2) >= 2, "2 or more"),
    )
    wrong = [
        f"--{option} is {allowed}; it is {value:g}" for option, value, is_fine, allowed in rules if not is_fine
    ]
    if wrong:
        raise PolicyError("; ".join(wrong))
    return settings


def with_judged(settings: CheckSettings) -> CheckSettings:
    """The settings, where what is judged is also measured: a margin on what is not shown would judge nothing."""
    judged = (margin.measure for margin in settings.margins)
    return replace(settings, measures=tuple(dict.fromkeys([*settings.measures, *judged])))


def fit_to_table(settings: CheckSettings, table: ScoredTable, origin: str) -> CheckSettings:
    """The settings; raises `TableError` where a reference or a margin names a group that is not there."""
    named: list[tuple[str, str, str | None]]
    named = [("--reference", attribute, group) for attribute, group in settings.reference.items()]
    # 'Unknown' is our own name for a missing value: a policy may name it for files that miss none.
    named += [
        ("margin of the policy", m.attribute, None if m.group == UNKNOWN else m.group)
        for m in settings.margins
        if m.attribute
    ]
    problems = [
        problem for where, attribute, group in named if (problem := _say_strange(table, where, attribute, group))
    ]
    if problems:
        raise TableError(f"{origin}: " + "; ".join(dict.fromkeys(problems)))
    return settings


def check_choosing(table: ScoredTable, split: str, origin: str) -> None:
    """Raise where thresholds cannot be chosen on the validation split; `PolicyError` where another is named.

    A finding whose validation images lack a class would be cross-fitted, which is what was ruled out.
    """
    _check_word("threshold-from", split, ("val",))
    where, out = f"{origin}: --threshold-from {split}", "Without it, the threshold is cross-fitted over persons"
    if table.split is None or split not in table.split:
        raise TableError(f"{where}: there are no images of this split. {out}")
    if "test" not in table.split:
        raise TableError(f"{where}: there are no test images, so that the validation images are judged. {out}")
    lacking = []
    for task in table.tasks:
        chosen = task.y_true[table.split[task.rows] == split]
        named = task.finding if len(table.models) == 1 else f"{task.finding} ({task.model})"
        lacking += [named] if not (chosen == 1).any() or not (chosen == 0).any() else []
    if lacking:
        raise TableError(f"{where}: its images lack a class for {quote(lacking)}. {out}")


def _say_strange(table: ScoredTable, where: str, attribute: str, group: str | None) -> str | None:
    """What is wrong with an attribute or a group of it."""
    if attribute not in table.groups.columns:
        there = list(table.groups.columns)
        near = nearest(attribute, there)
        hint = f"nearest: {quote(near)}" if near else f"groups: {quote(there) or 'none'}"
        return f"{where}: there is no group column '{attribute}'; {hint}"
    values = [str(value) for value in table.groups[attribute].cat.categories]
    if group is None or group in values:
        return None
    near = nearest(group, values)
    hint = f"nearest: {quote(near)}" if near else f"its values: {quote(values)}"
    return f"{where}: '{attribute}' has no value '{group}'; {hint}"


def with_notes(table: ScoredTable, notes: Sequence[str]) -> ScoredTable:
    """The table with sentences put before its own, for example of how the scores were made."""
    return replace(table, notes=(*notes, *table.notes)) if notes else table
