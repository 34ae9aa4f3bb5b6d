"""What is said of a check in words: names of measures, numbers in sentences, the verdict of all comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import category

import pandas as pd

MEASURE_WORDS: Mapping[str, str] = {
    "auc": "AUC",
    "average_precision": "average precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "selection_rate": "selection rate",
    "f1": "F1",
    "accuracy": "accuracy",
    "false_negative_rate": "false negative rate",
    "false_positive_rate": "false positive rate",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "expected_calibration_error": "expected calibration error",
    "brier_score": "Brier score",
    "net_benefit": "net benefit",
}
# What a narrow table has room for.
SHORT_VERDICTS: Mapping[str, str] = {
    "gap": "gap",
    "inconclusive": "inconclusive",
    "no gap beyond the margin": "within margin",
    "not estimable": "not estimable",
    "descriptive": "not judged",
}
VERDICTS = ("gap", "inconclusive", "no gap beyond the margin", "not estimable")
MULTIPLICITY_WORDS = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}


def measure_words(metric: str) -> str:
    """The measure as a sentence names it; one that is not known stands with its underscores turned to spaces."""
    return MEASURE_WORDS.get(metric, metric.replace("_", " "))


def finding_words(finding: str) -> str:
    """The finding as a sentence names it; '' for the one that the file does not name."""
    return {"macro mean": "the mean over findings", "finding": ""}.get(finding, plain(finding))


def plain(name: Any, limit: int = 120) -> str:
    """A name from outside on one line, without control or direction marks, shortened.

    >>> plain("F\\n\\x1b[31mred"), plain("long" * 9, 12)
    ('F [31mred', 'longlonglon…')
    """
    kept = "".join(" " if category(letter)[0] in "CZ" else letter for letter in str(name))
    text = " ".join(kept.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def number(value: Any, digits: int = 3, *, with_sign: bool = False) -> str:
    """The number with fixed decimals, '-' where it is absent; never '-0.000'.

    >>> number(0.81249), number(-0.0001), number(0.02, with_sign=True), number(None)
    ('0.812', '0.000', '+0.020', '-')
    """
    if not is_present(value):
        return "-"
    text = f"{float(value):.{digits}f}"
    if float(text) == 0.0:
        return text.removeprefix("-")
    return f"+{text}" if with_sign and float(text) > 0 else text


def is_present(value: Any) -> bool:
    """Whether a cell of a frame holds a value."""
    return value is not None and not pd.isna(value)


def limits(row: Mapping[str, Any], *, with_sign: bool = False) -> str:
    """The interval of a row, '0.770 to 0.848', or '-'."""
    if not (is_present(row["low"]) and is_present(row["high"])):
        return "-"
    return f"{number(row['low'], with_sign=with_sign)} to {number(row['high'], with_sign=with_sign)}"


def percent_level(level: float) -> str:
    """A confidence level, '95 %'."""
    return f"{100 * level:.4g} %"


def counted(amount: int, one: str, many: str = "") -> str:
    """The number with its noun.

    >>> counted(1, "gap"), counted(1200, "gap")
    ('1 gap', '1,200 gaps')
    """
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def subject(row: Mapping[str, Any], *, names_model: bool = False) -> str:
    """What a contrast compares, in words: 'AUC for Pneumonia, sex: F minus M'.

    Where the model is to be named it comes first. A comparison of two models names both anyway.
    """
    model = f"{plain(row['model'])}: " if names_model and row["kind"] != "model_gap" else ""
    return model + _compared(row)


def _compared(row: Mapping[str, Any]) -> str:
    finding = finding_words(row["finding"])
    what = measure_words(row["metric"]) + (f" for {finding}" if finding else "")
    terms = f"{plain(row['group'])} minus {plain(row['reference'])}"
    if row["kind"] == "generalization_gap":
        who = "" if row["attribute"] == "" else f" in {plain(row['group'])}"
        return f"{what}{who}: train minus {plain(row['reference'])}"
    if row["kind"] == "model_gap":
        who = "" if row["attribute"] == "" else f" in {plain(row['group'])}"
        return f"{what}{who}: {plain(row['model'])} minus {plain(row['reference'])}"
    return f"{what}, {plain(row['attribute'])}: {terms}"


def overall_verdict(counts: Mapping[str, int]) -> str:
    """The verdict of all judged comparisons together.

    One gap is a gap. Else one comparison that could not be estimated leaves the whole 'not estimable', and one
    that is open leaves it 'inconclusive': only where every judged comparison shows it is there no gap.

    >>> overall_verdict({"no gap beyond the margin": 3, "not estimable": 1})
    'not estimable'
    """
    if counts.get("gap"):
        return "gap"
    if counts.get("not estimable") or not sum(counts.values()):
        return "not estimable"
    return "inconclusive" if counts.get("inconclusive") else "no gap beyond the margin"


def title(counts: Mapping[str, int], judged: pd.DataFrame) -> str:
    """The verdict of all as a title, without a full stop."""
    verdict, total = overall_verdict(counts), sum(counts.values())
    if verdict == "gap":
        return "A gap was found" if counts["gap"] == 1 else f"{counts['gap']} gaps were found"
    if not total:
        return "No verdict: nothing was judged"
    if verdict == "not estimable":
        if counts["not estimable"] == total:
            return "Not estimable: no comparison could be made"
        return f"No verdict on all: {counts['not estimable']} of {total} comparisons could not be estimated"
    if verdict == "inconclusive":
        return "Inconclusive: these data cannot tell"
    return f"No gap beyond the margin{_margin_words(judged)}"


def _margin_words(judged: pd.DataFrame) -> str:
    pairs = judged[["metric", "margin"]].drop_duplicates()
    if len(pairs) != 1:
        return "s of the policy"
    return f" of {pairs['margin'].iloc[0]:g} in {measure_words(pairs['metric'].iloc[0])}"


def verdict_sentences(counts: Mapping[str, int], judged: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """What the verdict rests on: the clearest gap, how the others ended, and what the data could not show."""
    if not len(judged):
        return ["No comparison has a margin, so none was judged. Differences are shown without a verdict."]
    sentences = [str(row["sentence"]) for row in clearest(judged) if row["verdict"] == "gap"][:1]
    sentences += [_counts_sentence(counts), *_what_is_open(counts), *_corrected(counts, judged, settings)]
    return [*sentences, detectable_sentence(judged)]


def _counts_sentence(counts: Mapping[str, int]) -> str:
    words = [
        counted(counts[name], "gap") if name == "gap" else f"{counts[name]:,} {name}"
        for name in VERDICTS
        if counts[name]
    ]
    return f"Of {counted(sum(counts.values()), 'judged comparison')}: {', '.join(words)}."


def _what_is_open(counts: Mapping[str, int]) -> list[str]:
    found = []
    if counts["inconclusive"]:
        found.append("Inconclusive is not evidence of equality.")
    if counts["not estimable"]:
        found.append("What could not be estimated may hold a gap of any size.")
    return found


def _corrected(counts: Mapping[str, int], judged: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    family = int(settings.get("n_tested", judged["p_adjusted"].notna().sum()))
    if family < 2:
        return []
    method = MULTIPLICITY_WORDS.get(str(settings.get("multiplicity")))
    if method is None:
        return ["P-values are not corrected for the number of comparisons: some gaps can be chance."]
    if not counts["gap"]:
        return []
    return [f"Gaps are those that stay after correction for {counted(family, 'comparison')} ({method})."]


def detectable_sentence(judged: pd.DataFrame) -> str:
    """The range of the smallest gaps that the data could have shown, by measure."""
    parts = []
    for metric, rows in judged.groupby("metric", sort=False):
        values = rows["minimal_detectable_gap"].dropna()
        if len(values):
            low, high = number(values.min()), number(values.max())
            parts.append(f"{low if low == high else f'{low} to {high}'} in {measure_words(str(metric))}")
    if not parts:
        return "How small a gap these data could have shown cannot be told."
    return (
        f"The smallest gap that these data would show in 8 of 10 repetitions is {' and '.join(parts)}. "
        "A smaller one can exist and stay unseen."
    )


def clearest(contrasts: pd.DataFrame) -> Sequence[dict[str, Any]]:
    """The contrasts as dictionaries, by verdict in the order of `VERDICTS`, then by how large they surely are.

    A gap is at least as large as the limit of its interval that is nearer to zero; others go by their estimate.
    """
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    surely = contrasts[["low", "high"]].abs().min(axis=1)
    keys = pd.DataFrame(
        {
            "verdict": contrasts["verdict"].map(order).fillna(len(order)),
            "sure": -surely.where(contrasts["verdict"] == "gap", 0.0).fillna(0.0),
            "size": -contrasts["estimate"].abs().fillna(-1.0),
        },
        index=contrasts.index,
    )
    ordered = contrasts.loc[keys.sort_values(["verdict", "sure", "size"], kind="stable").index]
    return [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]
