"""The first screen of a check's page in words: the question, the verdict, the clearest comparisons, the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.words import clearest, detectable_sentence, finding_words, measure_words
from subgroup_audit.report.contents import distinct, isolated
from subgroup_audit.report.gaps import VERDICT_KEYS, verdict_key
from subgroup_audit.report.numerals import count, decimal, interval, is_number, listed, plural, signed
from subgroup_audit.report.sentences import Card, Fact, Headline, level_words

PARITY = "all groups of "
MAX_CARDS = 3


@dataclass(frozen=True)
class AttributeTally:
    """How the judged comparisons of one attribute ended, as counts by verdict, and the largest difference."""

    attribute: str
    reference: str
    counts: dict[str, int]
    largest: str


def question(result: CheckResult) -> str:
    """What the check asks, from the models, findings and attributes that it has."""
    findings = [name for name in distinct(result.estimates["finding"]) if name != "macro mean"]
    attributes = [name for name in attributes_of(result) if " x " not in name]
    models = distinct(result.estimates["model"])
    who = "Do these models" if len(models) > 1 else "Does this model"
    one = finding_words(findings[0]) if len(findings) == 1 else ""
    what = f"find {isolated(one)}" if one else f"find its {count(len(findings))} findings"
    what = what if one or len(findings) > 1 else "work"
    across = f" across {listed([isolated(name) for name in attributes], 4)}" if attributes else " in every group"
    return f"{who} {what} equally well{across}?"


def attributes_of(result: CheckResult) -> list[str]:
    """The attributes and intersections, in the order of the table."""
    return [name for name in distinct(result.estimates["attribute"]) if name]


def headline(result: CheckResult) -> Headline:
    """The verdict of all judged comparisons; the sentences that the cards and the limits do not say."""
    tally = {name: result.counts[name] for name in VERDICT_KEYS if name != "descriptive"}
    said = [sentence for sentence in result.sentences if sentence not in _said_elsewhere(result)]
    return Headline(verdict_key(result.verdict), result.title, tuple(said), tally)


def _said_elsewhere(result: CheckResult) -> set[str]:
    """What cards, tally and limits say: the clearest gap, the counts, and the detectable gaps."""
    judged = result.judged
    if not len(judged):
        return set()
    counts = [sentence for sentence in result.sentences if sentence.startswith("Of ")]
    return {str(clearest(judged)[0]["sentence"]), detectable_sentence(judged), *counts}


def limits(result: CheckResult) -> str:
    """What these data could not have shown."""
    return detectable_sentence(result.judged)


def cards(result: CheckResult) -> list[Card]:
    """The clearest judged comparison of each attribute, attributes themselves before their intersections."""
    judged = result.judged
    found = []
    for attribute in distinct(judged["attribute"]):
        rows = clearest(judged[judged["attribute"] == attribute])
        found.append((attribute.count(" x "), list(VERDICT_KEYS).index(rows[0]["verdict"]), rows))
    found.sort(key=lambda one: one[:2])
    several = judged["model"].nunique() > 1, judged["finding"].nunique() > 1
    return [_card(rows[0], len(rows), several) for _, _, rows in found[:MAX_CARDS]]


def _card(row: dict[str, Any], total: int, several: tuple[bool, bool]) -> Card:
    key = verdict_key(row["verdict"])
    shown = {"model": row["model"], "finding": finding_words(row["finding"])}
    names = [isolated(shown[name]) for name, is_named in zip(shown, several, strict=True) if is_named]
    has_value = is_number(row["estimate"])
    return Card(
        kind=row["metric"],
        name=isolated(row["attribute"]),
        standing=f"the clearest of {count(total)}" if has_value and total > 1 else "",
        question=f"{isolated(row['group'])} minus {isolated(row['reference'])}"
        + "".join(f" · {name}" for name in names),
        value=signed(row["estimate"]) if has_value else "",
        interval=f"{level_words(row)} interval {interval(row['low'], row['high'], with_signs=True)}",
        persons=plural(row["n_patients"], "person") if is_number(row["n_patients"]) else "persons withheld",
        verdict_key=key,
        verdict=row["verdict"],
        sentence=gap_words(row),
        note="",
    )


def gap_words(row: dict[str, Any]) -> str:
    """One comparison in plain words: both terms, in whom."""
    if not is_number(row["estimate"]):
        return isolated(row["reason"])
    name = measure_words(row["metric"])
    first, second = decimal(row["minuend_estimate"]), decimal(row["subtrahend_estimate"])
    return f"{name} {first} in {isolated(row['group'])} and {second} in {isolated(row['reference'])}."


def tallies(result: CheckResult) -> list[AttributeTally]:
    """How the judged comparisons ended, attribute by attribute."""
    judged, found = result.judged, []
    for attribute in distinct(judged["attribute"]):
        rows = judged[judged["attribute"] == attribute]
        counts = rows["verdict"].value_counts()
        shown = {name: int(counts[name]) for name in VERDICT_KEYS if counts.get(name)}
        sizes = rows["estimate"].abs().dropna()
        found.append(
            AttributeTally(
                attribute,
                listed(distinct(rows["reference"]), 2),
                shown,
                decimal(sizes.max()) if len(sizes) else "",
            )
        )
    return found


def facts(result: CheckResult) -> list[Fact]:
    """Persons, images and positives of the judged split, groups and comparisons; what is withheld says so."""
    split = result.settings.get("judged_split", "test")
    whole = result.estimates[(result.estimates["attribute"] == "") & (result.estimates["split"] == split)]
    findings = whole.drop_duplicates("finding")
    n_groups = len(_groups(result).drop_duplicates())
    person = "persons" if result.settings.get("has_persons", True) else "images, each taken as a person"
    return [
        Fact(
            _largest(whole["n_patients"]),
            person + (f" ({split} split)" if result.settings.get("has_split") else ""),
        ),
        Fact(_largest(whole["n_images"]), "radiographs with label and score"),
        Fact(_span(findings["n_positive"]), "positive radiographs" + (" by finding" if len(findings) > 1 else "")),
        Fact(count(n_groups), "groups and intersections"),
        Fact(count(len(result.judged)), "judged comparisons"),
    ]


def _groups(result: CheckResult) -> pd.DataFrame:
    chosen = result.estimates[["attribute", "group"]]
    return chosen[(chosen["attribute"] != "") & ~chosen["group"].str.startswith(PARITY)]


def _largest(values: pd.Series) -> str:
    return count(values.max()) if values.notna().any() else "withheld"


def _span(values: pd.Series) -> str:
    known = values.dropna()
    if not len(known):
        return "withheld"
    low, high = count(known.min()), count(known.max())
    return low if low == high else f"{low}–{high}"
