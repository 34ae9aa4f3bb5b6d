"""What is said of differences between runs: verdicts, sentences, and the verdict of all together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DESCRIPTIVE = "Training images were seen by the models, so a difference on them is a description."
SAME = "Both sides gave every image the same score: the same numbers to the digit."
# From the one that matters most.
VERDICTS = ("difference", "inconclusive", "no difference beyond the margin", "not estimable", "identical")
MULTIPLICITY_WORDS = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}
_NAMES = {"gap": "difference", "no gap beyond the margin": "no difference beyond the margin"}


def worded(row: Mapping[str, Any], family: int, multiplicity: str) -> tuple[str, str]:
    """The verdict of a row after correction for `family` comparisons, and its sentence."""
    name = _NAMES.get(str(row["verdict"]), str(row["verdict"]))
    sentence = str(row["sentence"]).replace("gap", "difference")
    adjusted = row["p_adjusted"]
    if name == "difference" and adjusted == adjusted and adjusted >= 1.0 - row["confidence_level"]:
        method = MULTIPLICITY_WORDS.get(multiplicity, multiplicity)
        return "inconclusive", (
            f"A difference of {row['estimate']:+.3f} ({100 * row['confidence_level']:.4g} % interval "
            f"{row['low']:+.3f} to {row['high']:+.3f}) does not stay after correction for {family:,} comparisons "
            f"({method}, p = {adjusted:.3f}): it can be chance."
        )
    return name, sentence


def overall_verdict(counts: Mapping[str, int]) -> str:
    """The verdict of all judged comparisons together.

    One difference is a difference. Else one that could not be estimated leaves the whole 'not estimable', and one
    that is open leaves it 'inconclusive'.

    >>> overall_verdict({"no difference beyond the margin": 3, "inconclusive": 1})
    'inconclusive'
    >>> overall_verdict({"identical": 3}), overall_verdict({"identical": 3, "no difference beyond the margin": 1})
    ('identical', 'no difference beyond the margin')
    """
    order = ("difference", "not estimable", "inconclusive", "no difference beyond the margin", "identical")
    return next((name for name in order if counts.get(name)), "not estimable")


def title(counts: Mapping[str, int], margin: float) -> str:
    """The verdict of all as a title, without a full stop.

    >>> title({"difference": 2, "inconclusive": 1}, 0.05), title({"identical": 4}, 0.05)
    ('2 differences were found', 'Identical: the same numbers to the digit')
    """
    total, name = sum(counts.values()), overall_verdict(counts)
    if name == "difference":
        n = counts["difference"]
        return "A difference was found" if n == 1 else f"{n:,} differences were found"
    if name == "not estimable":
        absent = counts.get("not estimable", 0)
        if absent == total:
            return "Not estimable: no comparison could be made"
        return f"No verdict on all: {absent} of {total} comparisons could not be estimated"
    return {
        "inconclusive": "Inconclusive: these data cannot tell",
        "identical": "Identical: the same numbers to the digit",
    }.get(name, f"No difference beyond the margin of {margin:g} in AUC")


def counts_sentence(counts: Mapping[str, int]) -> str:
    """How all judged comparisons ended."""
    n = sum(counts.values())
    parts = [
        f"{counts[name]:,} {name}{'s' if name == 'difference' and counts[name] != 1 else ''}"
        for name in VERDICTS
        if counts.get(name)
    ]
    return f"Of {n:,} judged comparison{'' if n == 1 else 's'}: {', '.join(parts) or 'none'}."


KIND_TITLES: Mapping[str, str] = {
    "auc": "AUC",
    "subgroup_gap": "Subgroup gaps",
    "transfer_gap": "Transfer gaps",
    "gap_of_gaps": "Gaps of gaps",
    "generalization_gap": "Train/test gaps",
}
# What a narrow table has room for.
SHORT_VERDICTS: Mapping[str, str] = {
    "difference": "difference",
    "inconclusive": "inconclusive",
    "no difference beyond the margin": "within margin",
    "not estimable": "not estimable",
    "identical": "identical",
    "descriptive": "not judged",
}
RESULT_NAMES = {"predictions": "predictions", "estimates": "AUCs", "gaps": "gaps"}


def question_words(row: Mapping[str, Any]) -> str:
    """What a row asks about, in a few words, without finding and model.

    >>> question_words({"kind": "auc", "train_cohort": "F", "test_group": "M", "split": "test", "other": ""})
    'trained on F, tested on M'
    """
    train, test, other = row["train_cohort"], row["test_group"], row["other"]
    if row["kind"] == "auc":
        return f"trained on {train}, " + (
            "its training images" if row["split"] == "train" else f"tested on {test}"
        )
    if row["kind"] == "transfer_gap":
        return f"tested on {test}: trained on {train} minus {other}"
    if row["kind"] == "gap_of_gaps":
        return f"{test} minus {other}: trained on {train} minus trained on {other}"
    if row["kind"] == "generalization_gap":
        return f"trained on {train}: train minus test"
    return f"trained on {train}: {test} minus {other}"


def same_words(same: Mapping[str, bool]) -> str:
    """Which results are the same to the digit.

    >>> same_words({"predictions": True, "estimates": True, "gaps": True})
    'The results are identical: predictions, AUCs and gaps are the same to the digit.'
    >>> same_words({"predictions": False, "estimates": False})
    'Not the same to the digit: predictions and AUCs.'
    """
    alike = [RESULT_NAMES[name] for name, is_same in same.items() if is_same]
    apart = [RESULT_NAMES[name] for name, is_same in same.items() if not is_same]
    if not apart:
        return f"The results are identical: {_listed(alike)} are the same to the digit."
    rest = f" The same to the digit: {_listed(alike)}." if alike else ""
    return f"Not the same to the digit: {_listed(apart)}.{rest}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
