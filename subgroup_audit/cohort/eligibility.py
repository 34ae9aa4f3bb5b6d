"""Which images a study is about: one rule per attribute, one reason per image that leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.cohort.departures import Departures
from subgroup_audit.cohort.roster import Mask, Roster, asked_attributes, value_text, value_texts
from subgroup_audit.schema import UNKNOWN
from subgroup_audit.study import Rule, Study

# RSNA holds ages of 148 to 155 and chest films always have a sex and a projection; a study may say otherwise.
DEFAULT_RULES = {
    "sex": Rule(allow=("F", "M")),
    "view": Rule(allow=("AP", "PA")),
    "age_years": Rule(min=0, max=120),
}


@dataclass(frozen=True)
class Failure:
    """Images that fail one part of a rule: the part in words, and what is said of each image."""

    rule: str
    who: Mask
    reasons: NDArray[np.object_] | str = ""


def rules_in_force(study: Study, roster: Roster) -> tuple[dict[str, Rule], list[str]]:
    """The rule of each attribute, defaults first, and notes on the defaults that were lifted.

    A default on an attribute that the source knows for no image is lifted, unless the study asks for it.
    """
    rules: dict[str, Rule] = {}
    notes = []
    asked = {attribute for _, attribute in asked_attributes(study)}
    for attribute, default in DEFAULT_RULES.items():
        rule = study.eligible.get(attribute)
        if rule is None and attribute not in asked and bool(roster.is_missing(attribute).all()):
            notes.append(f"the source states {_word(attribute)} for no image; no image was excluded for that")
        elif rule != "any":
            rules[attribute] = rule if isinstance(rule, Rule) else default
    further = {name: rule for name, rule in study.eligible.items() if name not in DEFAULT_RULES}
    rules.update({name: rule for name, rule in further.items() if isinstance(rule, Rule)})
    return rules, notes


def impossible_rules(rules: dict[str, Rule], roster: Roster) -> list[str]:
    """One sentence for each rule with a smallest or largest value on an attribute that is text."""
    problems = []
    for attribute, rule in rules.items():
        if rule.min is None and rule.max is None:
            continue
        numbers = _numbers(roster, attribute)
        text = roster.frame[attribute][np.isnan(numbers) & ~roster.is_missing(attribute)]
        if len(text):
            said = f"min and max need numbers; the attribute holds text such as '{text.iloc[0]}'"
            problems.append(f"eligible.{attribute}: {said}")
    return problems


def leave_ineligible(departures: Departures, roster: Roster, rules: dict[str, Rule]) -> None:
    """Let every image that fails a rule leave, for the first rule that it fails; then persons of two sexes."""
    for attribute, rule in rules.items():
        for failure in _failures(roster, attribute, rule):
            departures.leave("eligibility", failure.rule, failure.who, failure.reasons)
    departures.leave("eligibility", "the person has two sexes", _has_two_sexes(roster, departures.is_in))


def _has_two_sexes(roster: Roster, among: Mask) -> Mask:
    """Images of persons of whom some image is F and another M: which of them is wrong cannot be known."""
    levels = roster.levels("sex")
    n_persons = int(roster.persons.max(initial=-1)) + 1
    found = [
        np.bincount(roster.persons[among & levels.among((sex,))], minlength=n_persons) > 0 for sex in ("F", "M")
    ]
    return np.asarray((found[0] & found[1])[roster.persons])


def _failures(roster: Roster, attribute: str, rule: Rule) -> list[Failure]:
    word = _word(attribute)
    missing = roster.is_missing(attribute)
    allowed = value_texts(rule.allow or ())
    failures = []
    if rule.missing == "exclude" and UNKNOWN not in allowed:
        failures.append(Failure(f"{word} is missing", missing))
    if rule.allow is not None:
        failures.append(_not_allowed(roster, attribute, allowed, ~missing))
    if rule.min is not None:
        failures.append(_beyond(roster, attribute, rule.min, "below"))
    if rule.max is not None:
        failures.append(_beyond(roster, attribute, rule.max, "above"))
    return failures


def _not_allowed(roster: Roster, attribute: str, allowed: tuple[str, ...], known: Mask) -> Failure:
    levels = roster.levels(attribute)
    rule = f"{_word(attribute)} is not {' or '.join(allowed)}"
    said = np.array([f"{_word(attribute)} is {name}, not {' or '.join(allowed)}" for name in levels.names], object)
    return Failure(rule, known & ~levels.among(allowed), said[levels.codes])


def _beyond(roster: Roster, attribute: str, limit: float, side: str) -> Failure:
    numbers = _numbers(roster, attribute)
    who = numbers < limit if side == "below" else numbers > limit  # false where the number is missing
    word, shown = _word(attribute), value_text(limit)
    reasons = np.full(len(numbers), "", dtype=object)
    reasons[who] = [f"{word} {value_text(number)} is {side} {shown}" for number in numbers[who]]
    return Failure(f"{word} {side} {shown}", who, reasons)


def _numbers(roster: Roster, attribute: str) -> NDArray[np.float64]:
    return pd.to_numeric(roster.frame[attribute], errors="coerce").to_numpy(dtype="float64", na_value=np.nan)


def _word(attribute: str) -> str:
    """The attribute as a reader of the flow says it: age, not age_years."""
    return attribute.removesuffix("_years").replace("_", " ")
