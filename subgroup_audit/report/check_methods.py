"""The methods of a check in the words of a paper, their references, and the glossary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.words import MULTIPLICITY_WORDS
from subgroup_audit.report.bibliography import names_cited
from subgroup_audit.report.contents import distinct
from subgroup_audit.report.numerals import plural

METHODS: dict[str, str] = {
    "MOVER": "differences of AUC have limits that join those of both AUCs (MOVER)",
    "DeLong": "AUCs have DeLong's variance",
    "Obuchowski": "AUCs have Obuchowski's variance, which treats all images of a person as one draw",
    "Newcombe": "Newcombe's method 5 stands in at perfect separation",
    "Wilson": "shares have Wilson's interval",
    "influence function": "average precision has the interval of its influence function",
    "sandwich": "calibration comes from a logistic regression whose variance treats a person's images as one draw",
    "Bonferroni": "summaries over all groups of an attribute have intervals for all of its pairs at once",
    "bootstrap": "the bootstrap draws persons, with all of their images",
}
CITED = {
    "MOVER": "Zou and Donner 2008",
    "DeLong": "DeLong 1988",
    "Obuchowski": "Obuchowski 1997",
    "Newcombe": "Newcombe 2006",
    "Wilson": "Wilson 1927",
    "bootstrap": "Efron and Tibshirani 1993",
}


def methods_paragraphs(result: CheckResult) -> list[str]:
    """How the numbers came about, in the words of a paper, with references in brackets."""
    settings = result.settings
    level = f"{100 * float(settings.get('confidence_level', 0.95)):.4g} %"
    used = " ".join(distinct([*result.estimates["method"], *result.contrasts["method"]])).lower()
    named = [key for key in METHODS if key.lower() in used]
    how = "; ".join(METHODS[key] + (f" [{CITED[key]}]" if key in CITED else "") for key in named)
    unit = (
        "Persons, not images, are what the intervals count"
        if settings.get("has_persons", True)
        else "The file names no persons, so every image counts as a person; intervals are too narrow where "
        "persons have several images"
    )
    paragraphs = [
        f"The scores were taken as they are in the file; no model was run or changed. {unit}. Intervals are at "
        f"{level} confidence{f': {how}' if how else ''}.",
        _judging(settings),
        "Calibration compares predicted with observed risk [Van Calster 2019], and net benefit weighs found cases "
        "against false alarms at every threshold [Vickers and Elkin 2006].",
    ]
    limit = settings.get("suppress_below")
    if limit:
        paragraphs.append(
            f"Counts below {limit} are withheld, and so is what would let them be worked out: totals, other "
            "groups, operating points and steps of curves. Each small count was tested by rank and by linear "
            "programming [Fischetti and Salazar 2001]."
        )
    return paragraphs


def _judging(settings: Any) -> str:
    method = str(settings.get("multiplicity", "holm"))
    cited = {"holm": "Holm 1979", "benjamini-hochberg": "Benjamini and Hochberg 1995"}.get(method)
    corrected = (
        f"P-values were adjusted over the {plural(settings.get('n_tested', 0), 'judged comparison')} "
        f"({MULTIPLICITY_WORDS[method]} [{cited}]), and a difference that does not stay is called inconclusive."
        if cited
        else "P-values were not adjusted for the number of comparisons."
    )
    return (
        "A difference is a gap where its interval leaves out zero; there is no gap beyond the margin where two "
        f"one-sided tests show a difference below the margin [Schuirmann 1987]. {corrected} That all comparisons "
        "show no gap needs no adjustment [Berger 1982]."
    )


GLOSSARY: tuple[tuple[str, str], ...] = (
    ("AUC", "How often the model scores a positive image above a negative one. 0.5 is a coin, 1 is perfect."),
    (
        "Average precision",
        "Area under the precision-recall curve. Its floor is the share of positives in the group, "
        "so groups of different prevalence cannot be compared by it alone.",
    ),
    ("Sensitivity, specificity", "The share of positives above the threshold, and of negatives below it."),
    (
        "PPV, NPV",
        "The share of flagged images that are positive, and of others that are negative. Both move with "
        "prevalence.",
    ),
    (
        "Calibration",
        "Whether scores mean what they say: of images scored 0.3, 30 % should be positive. Slope 1 and "
        "intercept 0 are perfect.",
    ),
    ("Net benefit", "Found cases minus false alarms, weighed by the threshold at which one would act."),
    ("Reference group", "The group that the others are compared with: the largest, unless another was asked for."),
    ("Margin", "The largest difference that the policy declares to be of no consequence."),
    (
        "No gap beyond the margin",
        "The data show that the difference is smaller than the margin. This is more than 'not significant'.",
    ),
    (
        "Inconclusive",
        "The data can neither show a gap nor rule out one beyond the margin. Not evidence of equality.",
    ),
    ("Not estimable", "Too few persons, or one class only. A gap of any size may be there."),
    ("Minimal detectable gap", "The smallest true gap that data like these would show in 80 % of repetitions."),
)


def references_cited(paragraphs: Sequence[str], known: dict[str, str]) -> list[tuple[str, str]]:
    """The references that the paragraphs name, in order of name."""
    return [(name, known[name]) for name in sorted(names_cited(paragraphs))]
