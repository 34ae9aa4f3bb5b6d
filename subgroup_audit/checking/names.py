"""The names that columns of prediction files commonly have, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Best first: a name of an earlier line is preferred to one of a later line; two of one line are a question.
LABELS = (
    ("ytrue",),
    ("label", "labels", "target", "targets", "truth", "groundtruth", "gt", "truelabel", "ylabel", "reference"),
    ("y", "true", "actual", "outcome", "class", "classlabel"),
)
SCORES = (
    ("yscore", "yprob", "yproba"),
    (
        *(
            "score",
            "scores",
            "prob",
            "probs",
            "proba",
            "probability",
            "predprob",
            "predproba",
            "predictedprobability",
        ),
        *("predscore", "modelscore", "logit", "logits", "risk", "riskscore", "confidence"),
    ),
    ("p", "pred", "preds", "prediction", "predictions", "output", "outputs", "ypred", "yhat"),
)
PERSONS = (
    ("patientid", "subjectid", "personid", "participantid", "anonpatientid"),
    ("patient", "subject", "person", "participant", "mrn", "pid"),
)
IMAGES = (
    ("imageid", "dicomid", "sopinstanceuid", "imageindex", "imageuid"),
    ("image", "imagepath", "imagefile", "imagename", "filename", "filepath", "file", "path", "img", "imgpath"),
    ("id", "uid"),
)
SPLITS = (("split", "datasplit"), ("partition", "subset", "fold", "phase"))
MODELS = (("model", "modelname", "modelid"), ("classifier", "algorithm", "network"))
FINDINGS = (("finding",), ("pathology", "findingname", "disease", "condition"))
# Attributes: all that are there are groups.
GROUPS = frozenset(
    {
        *("sex", "patientsex", "gender", "patientgender", "view", "viewposition", "projection", "appa", "race"),
        *("ethnicity", "patientrace", "primaryrace", "age", "ageyears", "patientage", "ageband", "agegroup"),
        *("agebin", "agerange", "site", "hospital", "institution", "institutionname", "manufacturer", "scanner"),
        *("vendor", "device", "insurance", "insurancetype", "language", "country", "skintone", "bmigroup"),
    }
)
# A person has one of these; two of them in one file are a mistake in the file or in the person's key.
LASTING = ("sex", "gender", "race", "ethnic", "skintone")

LABEL_AFFIXES = ("ytrue", "true", "label", "target", "truth", "groundtruth", "gt", "y")
SCORE_AFFIXES = (
    *("yscore", "yprob", "yproba", "ypred", "predprob", "score", "scores", "prob", "proba", "probability"),
    *("pred", "prediction", "logit", "logits", "p"),
)

SPLIT_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn", "development", "derivation"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "tune", "tuning"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout", "evaluation", "eval", "external"), "test"),
}


def plain(name: str) -> str:
    """A name without capitals, spaces and signs.

    >>> plain("Patient ID"), plain("AP/PA")
    ('patientid', 'appa')
    """
    return re.sub(r"[\W_]+", "", name.lower())


def find_role(names: Iterable[str], lines: Iterable[tuple[str, ...]]) -> list[str]:
    """The columns that a role may have: those of the first line of names that any column has.

    >>> find_role(["id", "prob", "y_score"], SCORES)
    ['y_score']
    """
    by_plain: dict[str, list[str]] = {}
    for name in names:
        by_plain.setdefault(plain(name), []).append(name)
    for line in lines:
        found = [name for word in line for name in by_plain.get(word, [])]
        if found:
            return found
    return []


def stem_of(name: str, affixes: Iterable[str]) -> str | None:
    """What is left of a name without one of these words before or behind it, or None.

    >>> stem_of("y_Pleural Effusion", LABEL_AFFIXES), stem_of("effusion_prob", SCORE_AFFIXES)
    ('Pleural Effusion', 'effusion')
    >>> stem_of("yield", LABEL_AFFIXES) is None
    True
    """
    parts = [part for part in re.split(r"([_\s.\-:]+)", name.strip()) if part]
    words = parts[::2]
    for size in (2, 1):  # 'y_true' before 'y'
        if len(words) <= size:
            continue
        if plain("".join(words[:size])) in affixes:
            return "".join(parts[2 * size :])
        if plain("".join(words[-size:])) in affixes:
            return "".join(parts[: -2 * size])
    return None


def is_lasting(name: str) -> bool:
    """Whether a person has one value of this attribute, whatever the image."""
    return any(word in plain(name) for word in LASTING)
