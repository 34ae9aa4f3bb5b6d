"""`check`: predictions in, verdict out; what `audit check` and a training script call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subgroup_audit.checking.asked import (
    Words,
    check_choice,
    check_choosing,
    check_measure,
    check_settings,
    crossings,
    edges_of,
    fit_to_table,
    listed,
    margins_of,
    threshold_of,
    with_judged,
    with_notes,
)
from subgroup_audit.checking.columns import ColumnChoice, ScoreKind, Uncertain
from subgroup_audit.checking.reading import read_scored
from subgroup_audit.checking.settings import MEASURES, CheckSettings

if TYPE_CHECKING:
    from subgroup_audit.checking.result import CheckResult


def check(
    data: Any,
    *,
    label: Words = None,
    score: Words = None,
    group: Words = None,
    person: str | None = None,
    image: str | None = None,
    split: str | None = None,
    model: Words = None,
    finding: str | None = None,
    intersect: str | Sequence[str | Sequence[str]] = (),
    bands: Mapping[str, Sequence[float]] | None = None,
    scores: ScoreKind = "auto",
    positive: Words = None,
    negative: Words = None,
    uncertain: Uncertain | None = None,
    allow_missing_scores: bool = False,
    encoding: str | None = None,
    metric: Words = None,
    margin: float | Mapping[str, float | None] = 0.05,
    measures: Words = None,
    reference: Mapping[str, str] | None = None,
    threshold: float | str | None = None,
    threshold_from: str | None = None,
    policy: str | Path | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    min_persons: int = 10,
    suppress_below: int | None = None,
    notes: Sequence[str] = (),
) -> CheckResult:
    """Whether a model works equally well for every group, with intervals over persons and a verdict.

    >>> from subgroup_audit import check  # doctest: +SKIP
    >>> result = check("predictions.csv", group=["sex", "view"], reference={"sex": "M"})  # doctest: +SKIP
    >>> result.verdict  # doctest: +SKIP
    'gap'

    Parameters
    ----------
    data : path of a CSV or Parquet file, a DataFrame, or a mapping of column names to arrays; one row per image,
        or per image, model and finding
    label, score, group, person, image, split, model, finding : columns; guessed from common names where absent,
        and confirmed in the result's notes. 'none' where there is none. Several labels with as many scores are
        several findings; several scores of one label are several models, or the classes of the label
    intersect : attributes to be crossed, as 'sex,view' or ('sex', 'view')
    bands : attribute -> rising numbers at which a new band starts, such as {'age': (18, 40, 65)}
    scores : 'probabilities', 'logits' or 'percent'; 'auto' takes scores in [0, 1] as probabilities and asks else
    positive, negative : words of the label column that mean so
    uncertain : what a label of -1 means: 'omit', 'positive' or 'negative'
    allow_missing_scores : leave images without a score out, counted, instead of raising
    metric : measures that are judged; AUC where absent
    margin : largest difference that counts as none, for every judged measure or by measure
    measures : what is shown; all where absent
    reference : attribute -> the group that the others are compared with; else the group with most images
    threshold : operating point: a probability, 'youden', 'f1', 'sensitivity=0.9' or 'specificity=0.9'
    threshold_from : 'val' where the rule has to be applied to the validation split and to nothing else
    policy : YAML file of margins and settings; what it says goes before the arguments
    confidence_level : of every interval
    n_resamples, seed : of the draws of persons
    min_persons : a group with fewer is not estimable
    suppress_below : hide counts below it, and what would reveal them
    notes : sentences to be shown with the result, before those of the reading

    Returns
    -------
    CheckResult
        Estimates, gaps and verdicts as frames; `.verdict`, `.exit_code()`, and a view for notebooks.

    Raises
    ------
    DataError, TableError
        The data cannot be read or understood; file, row, value and way out are named.
    PolicyError
        A setting or the policy file is out of its rules.
    """
    choice = check_choice(
        ColumnChoice(
            label=listed(label),
            score=listed(score),
            group=listed(group),
            person=person,
            image=image,
            split=split,
            model=listed(model),
            finding=finding,
            intersect=crossings(intersect),
            bands=edges_of(bands),
            scores=scores,
            positive=listed(positive),
            negative=listed(negative),
            uncertain=uncertain,
            allows_missing_scores=allow_missing_scores,
            encoding=encoding,
        )
    )
    settings = CheckSettings(
        measures=_known(measures),
        margins=margins_of(metric, margin),
        reference=dict(reference or {}),
        threshold=threshold_of(threshold),
        confidence_level=confidence_level,
        n_resamples=n_resamples,
        seed=seed,
        min_persons=min_persons,
        suppress_below=suppress_below,
    )
    return check_scored(data, choice, _under_policy(settings, policy), threshold_from=threshold_from, notes=notes)


def check_scored(
    data: Any,
    choice: ColumnChoice,
    settings: CheckSettings,
    *,
    threshold_from: str | None = None,
    notes: Sequence[str] = (),
) -> CheckResult:
    """The result of a check whose columns and settings are known: read, measure, judge."""
    from subgroup_audit.checking.judging import judge
    from subgroup_audit.checking.measures import measure

    table = with_notes(read_scored(data, choice), notes)
    origin = str(data) if isinstance(data, str | Path) else "the table"
    settings = fit_to_table(check_settings(with_judged(settings)), table, origin)
    if threshold_from is not None:
        check_choosing(table, threshold_from, origin)
    return judge(measure(table, settings), table, settings)


def _known(measures: Words) -> tuple[str, ...]:
    names = listed(measures) or MEASURES
    for name in names:
        check_measure(name, "measure")
    return names


def _under_policy(settings: CheckSettings, policy: str | Path | None) -> CheckSettings:
    """The settings with the policy file's laid over them."""
    if policy is None:
        return settings
    from subgroup_audit.checking.policy import read_policy

    return read_policy(Path(policy), settings)
