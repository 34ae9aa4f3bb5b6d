"""Causes by name: what can make training AUC and test AUC differ, or two groups, and whether it is to be seen.

Every cause is asked of every kind of fit, by a rule on numbers that the run has measured, with their intervals. A
cause is `found` only where its interval says so and its size is at least the study's margin. `not found` is no
proof of absence, and `cannot be told` names what is missing. The rules, and what they say of causes that were
planted, are in docs/diagnosis.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.schema import CAUSE_COLUMNS
from subgroup_audit.stats import label_flip_rate
from subgroup_audit.study import Study

FOUND, NOT_FOUND, UNKNOWN_YET = "found", "not found", "cannot be told"
LEAST_FLIPPED = 0.05
"""Share of labels that must at least be wrong, and be more than in the reference group, to be named."""
ADJUSTED = ("matched", "within", "weighted", "regression")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the rules look at; a frame that the run did not make is None.

    Attributes
    ----------
    waterfall, order_check, leakage, contrasts, case_mix, advantage : frames of the columns in `schema`
    cells : (finding, train_cohort, model, recipe, test_group) -> test images with y_true, person, and y_score, the
        mean over seeds
    """

    waterfall: pd.DataFrame
    contrasts: pd.DataFrame
    cells: Mapping[tuple[str, str, str, str, str], pd.DataFrame] = field(default_factory=dict)
    order_check: pd.DataFrame | None = None
    leakage: pd.DataFrame | None = None
    case_mix: pd.DataFrame | None = None
    advantage: pd.DataFrame | None = None


@dataclass(frozen=True)
class _Fit:
    finding: str
    train_cohort: str
    model: str
    recipe: str

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame that are of this kind of fit."""
        keys = [name for name in ("finding", "train_cohort", "model", "recipe") if name in frame.columns]
        is_its = np.logical_and.reduce([frame[name] == getattr(self, name) for name in keys])
        return frame[is_its]


@dataclass(frozen=True)
class _Answer:
    cause: str
    verdict: str
    sentence: str
    size: float | None = None
    low: float | None = None
    high: float | None = None
    group: str = ""


def name_causes(study: Study, evidence: Evidence) -> pd.DataFrame:
    """`CAUSE_COLUMNS`: every cause of every kind of fit, in the order of the rules."""
    fits = evidence.waterfall[["finding", "train_cohort", "model", "recipe"]].drop_duplicates()
    rows = [
        {**vars(fit), **vars(answer)}
        for values in fits.itertuples(index=False)
        for fit in [_Fit(*map(str, values))]
        for answer in _answers(study, fit, evidence)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CAUSE_COLUMNS])


def _answers(study: Study, fit: _Fit, evidence: Evidence) -> Iterator[_Answer]:
    levels = fit.rows(evidence.waterfall)
    main = levels[levels["stage"] != "other test"].set_index("stage")
    margin = study.analysis.margin
    order = _order(fit, evidence)
    norm = _batch_norm(main, margin, hidden=[order.cause] if order.verdict == FOUND else [])
    leak = _leak(fit, evidence)
    first = [answer.cause for answer in (order, norm, leak) if answer.verdict == FOUND]
    yield from (order, norm, leak)
    yield _overfitting(main, margin, hidden=first)
    yield from _shortcuts(fit, evidence, margin)
    yield from _groups(study, fit, evidence, hidden=first)


def _order(fit: _Fit, evidence: Evidence) -> _Answer:
    cause = "scores and labels do not belong together"
    checked = None if evidence.order_check is None else fit.rows(evidence.order_check)
    if checked is None or checked.empty or (checked["result"] == "not checked").all():
        return _Answer(cause, UNKNOWN_YET, "No image was scored again.")
    wrong = checked[~checked["result"].isin(["matches", "not checked"])]
    if len(wrong):
        n, total, kinds = len(wrong), len(checked), " and ".join(sorted(set(wrong["result"])))
        return _Answer(cause, FOUND, f"Of {total} fits scored again, {n} differ from what is stored: {kinds}.")
    n_images = int(checked["n_images"].sum())
    return _Answer(
        cause, NOT_FOUND, f"{n_images} images of {len(checked)} fits, scored again, gave what is stored."
    )


def _batch_norm(main: pd.DataFrame, margin: float, *, hidden: list[str]) -> _Answer:
    cause = "stored batch statistics do not fit the images"
    if hidden:
        return _Answer(cause, UNKNOWN_YET, f"Another cause comes first: {hidden[0]}.")
    if "recomputed" not in main.index:
        return _Answer(cause, NOT_FOUND, "No layer normalises by its batch while training.")
    step = main.loc["recomputed"].to_dict()
    return _judged(
        cause,
        step,
        margin,
        sign=1,
        said="Recomputed on the training images, batch statistics change their AUC by {size}.",
    )


def _overfitting(main: pd.DataFrame, margin: float, *, hidden: list[str]) -> _Answer:
    cause = "overfitting: the training persons are known by heart"
    if hidden:
        return _Answer(cause, UNKNOWN_YET, f"Another cause comes first: {hidden[0]}.")
    if "validation" not in main.index:
        return _Answer(cause, UNKNOWN_YET, "There are no validation persons.")
    recomputed = _number(main.loc["recomputed", "change"]) if "recomputed" in main.index else None
    if recomputed is not None and recomputed >= margin:
        # the step starts there, and validation persons are scored with the stored statistics
        said = f"Batch statistics may come first: recomputed, they change the AUC by {recomputed:+.3f}."
        return _Answer(cause, UNKNOWN_YET, said)
    step = main.loc["validation"].to_dict()
    answer = _judged(
        cause, step, margin, sign=-1, said="From training images to validation persons the AUC changes by {size}."
    )
    lasting = _fall_to_test(main)
    if answer.verdict != FOUND or lasting is None or -lasting >= margin:
        return answer
    # few validation persons are easily a bad draw: what the weights know by heart is lost on any other persons
    said = f"{answer.sentence} On the test persons it is only {lasting:+.3f}."
    return replace(answer, verdict=NOT_FOUND, sentence=said)


def _fall_to_test(main: pd.DataFrame) -> float | None:
    """AUC of the own test minus that of the training images from which the step to validation starts."""
    if "own test" not in main.index:
        return None
    reached, step, tested = (
        _number(main.loc[stage, name])
        for stage, name in (("validation", "auc"), ("validation", "change"), ("own test", "auc"))
    )
    if reached is None or step is None or tested is None:
        return None
    return tested - (reached - step)


def _judged(cause: str, step: Mapping[Any, Any], margin: float, *, sign: int, said: str) -> _Answer:
    """Found where the interval lies on the side of `sign` and the size is at least the margin."""
    size, low, high = (_number(step[name]) for name in ("change", "low", "high"))
    if size is None or low is None or high is None:
        return _Answer(cause, UNKNOWN_YET, f"The step cannot be estimated: {step['reason']}.")
    is_shown = (low if sign > 0 else -high) > 0.0 and sign * size >= margin
    sentence = said.format(size=f"{size:+.3f} ({low:+.3f} to {high:+.3f})")
    return _Answer(cause, FOUND if is_shown else NOT_FOUND, sentence, size, low, high)


def _leak(fit: _Fit, evidence: Evidence) -> _Answer:
    cause = "test persons or images were seen in training"
    if evidence.leakage is None:
        return _Answer(cause, UNKNOWN_YET, "There is no leakage certificate.")
    own = evidence.leakage[evidence.leakage["train_cohort"] == fit.train_cohort]
    shared = own[(own["shared_persons"] > 0) | (own["shared_files"] > 0) | (own["shared_pixels"].fillna(0) > 0)]
    if shared.empty:
        return _Answer(cause, NOT_FOUND, "No person, file or picture of a test set was in training or validation.")
    worst = shared.sort_values("share_of_test_images_of_seen_persons").iloc[-1].to_dict()
    share = float(worst["share_of_test_images_of_seen_persons"])
    sentence = f"{100 * share:.0f} % of the test images of {worst['test_cohort']} are of persons seen in training."
    return _Answer(cause, FOUND, sentence, share)


def _shortcuts(fit: _Fit, evidence: Evidence, margin: float) -> Iterator[_Answer]:
    """Attributes that explain part of the AUC on the own cohort: it falls when only their equals are compared."""
    frame = None if evidence.advantage is None else fit.rows(evidence.advantage)
    own = None if frame is None else frame[frame["test_group"] == fit.train_cohort]
    if own is None or own.empty:
        yield _Answer("shortcut", UNKNOWN_YET, "No attribute varies among the test images of the own cohort.")
        return
    for row in own.to_dict("records"):
        attribute = str(row["attribute"]).replace("_", " ")
        cause = f"shortcut: {attribute} stands in for the finding"
        share, low, high = (_number(row[name]) for name in ("share", "low", "high"))
        everything, within = _number(row["auc_all"]), _number(row["auc_within"])
        if share is None or low is None or high is None or everything is None or within is None:
            yield _Answer(cause, UNKNOWN_YET, f"It cannot be estimated: {row['reason']}.", group=fit.train_cohort)
            continue
        is_shown = low > 0.0 and everything - within >= margin
        sentence = (
            f"AUC {everything:.3f} among all and {within:.3f} among images of the same {attribute}: "
            f"{100 * share:.0f} % ({100 * low:.0f} to {100 * high:.0f}) of what the model adds to chance."
        )
        yield _Answer(cause, FOUND if is_shown else NOT_FOUND, sentence, share, low, high, fit.train_cohort)


def _groups(study: Study, fit: _Fit, evidence: Evidence, *, hidden: list[str]) -> Iterator[_Answer]:
    """Subgroup gaps: labels that are wrong in one group, or else a difference that an equal mix leaves."""
    gaps = fit.rows(evidence.contrasts)
    gaps = gaps[(gaps["kind"] == "subgroup_gap")]
    for row in gaps.to_dict("records"):
        gap = {str(name): value for name, value in row.items()}
        group, other = str(gap["test_group"]), str(gap["other"])
        if (_number(gap["estimate"]) or 0.0) > 0.0:  # asked of the group that the fit does worse in
            group, other = other, group
        labels = _labels(study, fit, evidence, group, other)
        yield labels
        first = [*hidden, labels.cause] if labels.verdict == FOUND else hidden
        yield _difference(fit, evidence, gap, labels, (group, other), hidden=first)


def _labels(study: Study, fit: _Fit, evidence: Evidence, group: str, other: str) -> _Answer:
    cause = f"labels of {group} are wrong more often than those of {other}"
    key = (fit.finding, fit.train_cohort, fit.model, fit.recipe)
    cells = [evidence.cells.get((*key, name)) for name in (group, other)]
    if any(cell is None or cell["y_true"].nunique() < 2 for cell in cells):
        return _Answer(cause, UNKNOWN_YET, "A class is missing in one of the groups.", group=group)
    rates = [
        label_flip_rate(
            cell["y_true"],
            cell["y_score"],
            person=cell["person"],
            seed=study.analysis.seed,
            confidence_level=study.analysis.confidence_level,
        )
        for cell in cells
        if cell is not None
    ]
    tail = 50.0 * (1.0 - study.analysis.confidence_level)
    low, high = np.percentile(rates[0].replicates - rates[1].replicates, [tail, 100.0 - tail])
    size = rates[0].estimate - rates[1].estimate
    is_shown = rates[0].low >= LEAST_FLIPPED and low >= LEAST_FLIPPED
    sentence = (
        f"Confident scores disagree with {100 * rates[0].estimate:.0f} % of the labels of {group} "
        f"({100 * rates[0].low:.0f} to {100 * rates[0].high:.0f}) and {100 * rates[1].estimate:.0f} % of those of "
        f"{other}."
    )
    return _Answer(cause, FOUND if is_shown else NOT_FOUND, sentence, size, float(low), float(high), group)


def _difference(
    fit: _Fit,
    evidence: Evidence,
    gap: dict[str, Any],
    labels: _Answer,
    groups: tuple[str, str],
    *,
    hidden: list[str],
) -> _Answer:
    worse, better = groups
    cause = f"the finding is told less well in {worse} than in {better}"
    limits = {"low": _number(gap["low"]), "high": _number(gap["high"]), "group": str(gap["test_group"])}
    numbers: dict[str, Any] = {"size": _number(gap["estimate"]), **limits}
    if gap["verdict"] == "not estimable":
        return _Answer(cause, UNKNOWN_YET, str(gap["sentence"]), group=numbers["group"])
    if gap["verdict"] != "gap" or (_number(gap["p_adjusted"]) or 0.0) > 1.0 - float(gap["confidence_level"]):
        return _Answer(cause, NOT_FOUND, f"{gap['sentence']}", **numbers)
    if hidden:
        return _Answer(cause, UNKNOWN_YET, f"Another cause comes first: {hidden[0]}.", **numbers)
    n_ways, n_gone = _ways(fit, evidence, gap)
    if n_gone:
        said = f"At an equal mix {n_gone} of {n_ways} ways no longer show the gap."
        return _Answer(cause, UNKNOWN_YET, said, **numbers)
    sentence = f"{gap['sentence']} It stays at an equal mix." if n_ways else f"{gap['sentence']}"
    if labels.high is None or labels.high >= LEAST_FLIPPED:
        # wrong labels lower an AUC as a faint finding does: where they are not excluded, the name says both
        upper = "" if labels.high is None else f" up to {100 * labels.high:.0f} percentage points more"
        sentence += f" Wrong labels of {worse} are not excluded:{upper or ' their share cannot be told'}."
        cause += f", or labels of {worse} are wrong more often"
    return _Answer(cause, FOUND, sentence, **numbers)


def _ways(fit: _Fit, evidence: Evidence, gap: Mapping[str, Any]) -> tuple[int, int]:
    """How many ways made the mix of the two groups equal, and how many of them no longer show the gap."""
    if evidence.case_mix is None:
        return 0, 0
    ways = fit.rows(evidence.case_mix)
    ways = ways[(ways["test_group"] == gap["test_group"]) & (ways["other"] == gap["other"])]
    ways = ways[ways["adjustment"].str.startswith(ADJUSTED) & (ways["status"] != "not estimable")]
    return len(ways), int((ways["verdict"] != "gap").sum())


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
