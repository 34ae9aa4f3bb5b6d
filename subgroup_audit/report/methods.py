"""The methods paragraph of what ran, its references, and the glossary: text to read and to paste into a paper."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.bibliography import ENTRIES, names_cited
from subgroup_audit.report.contents import RunContents, distinct
from subgroup_audit.report.methods_design import cite, design_paragraphs, software_sentences
from subgroup_audit.report.numerals import count, decimal, listed, plural
from subgroup_audit.schema import AuditResult
from subgroup_audit.study import Study

REFERENCES: dict[str, str] = {name: entry.words for name, entry in ENTRIES.items()}
METHOD_REFERENCES = {
    "delong": "DeLong 1988",
    "obuchowski": "Obuchowski 1997",
    "newcombe": "Newcombe 2006",
    "mover": "Zou and Donner 2008",
    "satterthwaite": "Satterthwaite 1946",
}
CASE_MIX_PARAGRAPH = (
    "Every subgroup gap was estimated again with the recorded mix of the two groups made equal: by "
    "re-weighting both test sets to their pooled mix of class and strata [Glocker 2023]; within strata, "
    "averaged over strata with the positives' common weights [Janes and Pepe 2009]; by stabilised "
    "inverse-probability weights from a logistic model within each class, cut at their 99th percentile "
    "[Robins 2000]; and by regression of each positive's placement among the negatives of its own group on "
    "group and covariates, with persons as clusters and the variance of the negatives included [Dodd and Pepe"
    " 2003]. Intervals count what each person adds to the estimate, the estimated weights included. Beside "
    "them stands the difference of the two cross-group AUCs [Kallus and Zhou 2019]."
)
MULTIPLICITY = {
    "holm": ("Holm's step-down method", "Holm 1979"),
    "benjamini-hochberg": ("the Benjamini-Hochberg method", "Benjamini and Hochberg 1995"),
}
# Methods as the tables name them, in words; the first key that a name contains is its method.
METHOD_WORDS = {
    "MOVER": "the MOVER combination of two such intervals",
    "crossed seeds": "seeds and persons as crossed random effects (Satterthwaite t)",
    "Newcombe 5": "Newcombe's method 5",
}
GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "AUC",
        "Area under the ROC curve: how often the model scores a positive image above a negative one. 0.5 is a "
        "coin, 1 is perfect. It says nothing about any one threshold.",
    ),
    (
        "Interval",
        "The range of values that are compatible with the data, at the stated confidence level. The first one is "
        "the default, made for few and for repeated images of a person. The second, marked bootstrap, is the "
        "percentile interval over draws of persons.",
    ),
    (
        "Person",
        "The unit that is split, resampled and counted. Several images of one person always stay together, unless "
        "the study asks for an image-level split, which is then reported as such.",
    ),
    ("Cohort", "A named set of images that a model is trained or tested on, for example women imaged PA."),
    ("Test group", "The cohort whose test images are scored."),
    ("Subgroup gap", "AUC of one model in one group minus its AUC in the reference group. Different persons."),
    (
        "Transfer gap",
        "AUC of the model trained on one group minus AUC of the model trained on another, same test persons.",
    ),
    (
        "Train/test gap",
        "AUC on the training images minus AUC on the test images, the same model, both without augmentation. "
        "Descriptive: a model has seen its training images.",
    ),
    (
        "Gap waterfall",
        "The way from the AUC in the training log to that on other people, taken in steps that were each measured "
        "and that add up to the whole.",
    ),
    (
        "Control",
        "The study's own fits once more with one thing changed on purpose, to see what that thing does.",
    ),
    (
        "Margin",
        "The largest AUC difference that the study's authors declared to be of no consequence.",
    ),
    (
        "No gap beyond the margin",
        "The data show that the difference is smaller than the margin. This is more than 'not significant'.",
    ),
    (
        "Inconclusive",
        "The data can neither show a gap nor rule out one beyond the margin. It is not evidence of equality.",
    ),
    ("Minimal detectable gap", "The smallest true gap that data like these would show in 80 % of repetitions."),
    ("Seed", "One repetition of the same training with other random numbers; results are means over seeds."),
    (
        "Standardised mean difference (SMD)",
        "The difference of two sets of images in units of their spread. Above 0.1 is often called an imbalance.",
    ),
    ("Leakage", "Test images whose person, file or picture was also in training. It makes a model look better."),
)


def methods_paragraphs(contents: RunContents) -> list[str]:
    """What ran, in the past tense of a paper, with references in brackets."""
    paragraphs = design_paragraphs(contents)
    if contents.result is not None:
        paragraphs.append(_statistics_paragraph(contents))
        if contents.result.case_mix is not None and len(contents.result.case_mix):
            paragraphs.append(CASE_MIX_PARAGRAPH)
    paragraphs += [
        words
        for words in (
            operating_words(contents),
            _waterfall_words(contents),
            _control_words(contents),
            _inside_words(contents),
            _checked_words(contents),
            software_sentences(contents),
        )
        if words
    ]
    return paragraphs


def operating_words(contents: RunContents) -> str:
    """How thresholds were chosen and what was measured at them; '' where nothing was."""
    if not contents.has("operating_points"):
        return ""
    rule = contents.study.analysis.operating_point
    name, _, target = rule.partition("=")
    reached = f"the point that just reaches a {name} of {target}"
    how = {"youden": "the largest Youden index", "f1": "the largest F1"}.get(name, reached)
    return (
        f"The threshold of each fit was chosen on validation images of its own training cohort: {how}. "
        "Decisions at it, calibration and average precision are shown by group; their differences only describe."
    )


def _inside_words(contents: RunContents) -> str:
    """How the networks were looked into; '' where they were not."""
    found = []
    if contents.has("encoding") and contents.encoding is not None:
        asked = contents.encoding[contents.encoding["attribute"] != "finding"]["attribute"]
        names = listed([name.replace("_", " ") for name in distinct(asked)])
        found.append(
            f"Linear probes were fitted to tell {names} from the features that enter the head, on training "
            "persons, and scored on test persons, beside the same probes of the untrained network and of "
            "shuffled values."
        )
    if contents.has("saliency") and contents.saliency is not None:
        most = contents.saliency.cells["n_images"].max()
        found.append(
            "Heat maps of where the networks look were averaged by test group and label, over at most "
            f"{plural(most, 'test image')} each; they are a description."
        )
    return " ".join(found)


def _checked_words(contents: RunContents) -> str:
    """What was checked of the data and of the scores; '' where nothing was."""
    found = []
    if contents.leakage is not None and len(contents.leakage):
        names = {
            "persons": "persons",
            "files": "files",
            "pixels": "pixels",
            "near_pixels": "near copies of pixels",
        }
        shared = [words for name, words in names.items() if f"shared_{name}" in contents.leakage.columns]
        found.append(f"Every training set was compared with every test set for shared {listed(shared)}.")
    if contents.order_check is not None and len(contents.order_check):
        found.append("A sample of the test images of the fits was predicted again from the stored weights.")
    return " ".join(found)


def _waterfall_words(contents: RunContents) -> str:
    """How the train/test gap was taken apart; '' where it was not."""
    if not contents.has("waterfall") or contents.waterfall is None:
        return ""
    stages = set(contents.waterfall["stage"])
    recomputed = "with batch statistics recomputed from them, " if "recomputed" in stages else ""
    return (
        "The train/test gap was taken apart in steps: the same fits were scored on their training images as "
        f"augmented in the kept epoch, on the same images in evaluation mode, {recomputed}on validation persons, "
        "and on test persons of the same and of other cohorts. Each step is the difference of two such AUCs with "
        "an interval that counts persons and seeds shared by both; steps from training images are descriptive."
    )


def _control_words(contents: RunContents) -> str:
    """Which controls were fitted; '' where none was."""
    if not contents.has("controls") or contents.controls is None:
        return ""
    words = listed(distinct(contents.controls["words"]))
    return f"As controls, the first model and recipe were fitted again for every cohort and seed with: {words}."


def method_words(method: Any) -> str:
    """The method of an interval, as the tables name it, in words; a name that is not known stands as it is.

    >>> method_words("MOVER, crossed seeds x patients, Satterthwaite t")
    'the MOVER combination of two such intervals'
    """
    return next((words for key, words in METHOD_WORDS.items() if key in str(method)), str(method))


def _statistics_paragraph(contents: RunContents) -> str:
    study, result = contents.study, contents.result
    if result is None:
        return ""
    analysis, settings = study.analysis, result.settings
    level = f"{100 * float(settings.get('confidence_level', analysis.confidence_level)):.4g} %"
    resamples = count(settings.get("n_resamples", analysis.n_resamples))
    methods = distinct([*result.estimates["method"], *result.contrasts["method"]])
    named = [method for method in methods if method and method not in {"nan", "none"}]
    words = distinct(method_words(method) for method in named if "MOVER" not in method)
    combined = _combined_words(named)
    cited = [ref for key, ref in METHOD_REFERENCES.items() if key in " ".join(named).lower()]
    name = str(settings.get("multiplicity", analysis.multiplicity))
    corrected, reference = MULTIPLICITY.get(name, ("", ""))
    multiplicity = (
        f" P-values were adjusted by {corrected}{cite((reference,))}."
        if corrected
        else " P-values were not adjusted."
    )
    return (
        f"Performance is the area under the ROC curve{_seed_words(study)} "
        f"Intervals at {level} confidence come from {listed(words)}{combined}{cite(cited)}; "
        f"percentile bootstrap intervals over {resamples} draws of persons stand beside them"
        f"{cite(('Efron and Tibshirani 1993',))}. Gaps are differences of AUC on the same draws. "
        f"Differences within ±{decimal(analysis.margin, 2)} AUC counted as no gap, judged by two one-sided tests"
        f"{cite(('Schuirmann 1987',))}.{multiplicity}{_further_words(result)} Cells with fewer than "
        f"{analysis.min_persons} positive or negative persons are marked as small."
    )


def _further_words(result: AuditResult) -> str:
    """Permutation p-values, bands and spreads, each only where a table holds it."""
    found = []
    tested = result.contrasts[result.contrasts["p_permutation"].notna()]
    if len(tested):
        found.append(f"Permutation p-values rest on {listed(distinct(tested['permutation']))}.")
    banded = result.estimates[result.estimates["band_low"].notna()]
    if len(banded):
        found.append(f"Simultaneous bands over a matrix come from {listed(distinct(banded['band_method']))}.")
    if result.spreads is not None and len(result.spreads):
        found.append(
            "The limits of the worst group and of the range hold for all groups of an attribute together."
        )
    return "".join(f" {sentence}" for sentence in found)


def _combined_words(methods: list[str]) -> str:
    """Which intervals are put together from others."""
    if not any("MOVER" in name for name in methods):
        return ""
    is_longer = any("linear functions" in name for name in methods)
    longer = ", those of sums of AUCs all of theirs" if is_longer else ""
    return f"; those of gaps combine two of them{longer} (MOVER)"


def _seed_words(study: Study) -> str:
    if len(study.seeds) > 1:
        return ", averaged over seeds."
    return (
        " of one fit a cell: with a single training seed the intervals are for these trained models, and what "
        "another training would give is not in them."
    )


def references_cited(paragraphs: list[str]) -> list[tuple[str, str]]:
    """The references that the paragraphs name, with their full entries."""
    return [(name, REFERENCES[name]) for name in names_cited(paragraphs)]
