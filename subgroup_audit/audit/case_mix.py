"""Whether a subgroup gap survives when the two groups' mix of class, view, age and the like is made equal.

Every subgroup gap of the study is estimated again in several ways, each with its own assumptions. They are
sensitivity analyses: their verdicts are not part of the declared family, and no p-value is corrected for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.audit.cells import CellName, Scores
from subgroup_audit.audit.estimates import MeasuredCell, percentile_limits
from subgroup_audit.audit.pairs import Pair, differing_attribute
from subgroup_audit.errors import StatisticsError
from subgroup_audit.schema import CASE_MIX_COLUMNS, CohortManifest, age_band
from subgroup_audit.stats import (
    AucComponents,
    GapEstimate,
    MixedComponents,
    PersonDraws,
    common_mix,
    equivalence_verdict,
    gap_change,
    gap_replicates,
    group_weights,
    placement_regression,
    seed_gap,
    within_strata,
    xauc_components,
)
from subgroup_audit.stats.adjusted import NO_COUNTERPART
from subgroup_audit.stats.mixes import Reweighting, left_out_words
from subgroup_audit.study import Analysis, Study

# Where a study declares no age bands: below 40, 40 to 59, 60 and older.
AGE_EDGES = (40.0, 60.0)
# Resamples with matching and weights worked out anew: the first of the shared draws.
MAX_RESAMPLES = 400
FIT_NAMES = ("finding", "model", "recipe", "train_cohort", "test_group")
MEASURED, MATCHED, WEIGHTED, REGRESSION, XAUC = "as measured", "matched", "weighted", "regression", "xAUC"

Sides = tuple[AucComponents, AucComponents]
SidesOf = Callable[[NDArray[np.float64]], Sides]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The images of two test groups with what is known of them, and the fits that were scored on both.

    Attributes
    ----------
    known : one row per image, the attributes other than the compared one that vary, as text; and age_years
    strata : the categorical ones of `known`
    scores : array [fits x seeds, n], in the order of `fits` and of each fit's seeds
    """

    finding: str
    attribute: str
    pairs: tuple[Pair, ...]
    y_true: NDArray[np.int64]
    is_in_a: NDArray[np.bool_]
    person: NDArray[np.int64]
    known: pd.DataFrame
    strata: tuple[str, ...]
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adjustment:
    """One way to make the mix equal: its name, what it holds equal, and how it turns scores into two AUCs.

    Attributes
    ----------
    sides : None where it cannot be had; `problem` then says why
    reweighting : what the bootstrap works out anew in each resample; None where there is none
    """

    name: str
    held_equal: str
    method: str
    sides: SidesOf | None
    problem: str = ""
    n_left_out: int = 0
    left_out: str = ""
    reweighting: Reweighting | None = None


def case_mix_rows(
    study: Study,
    pairs: Iterable[object],
    cells: Mapping[CellName, MeasuredCell],
    scores: Scores,
    draws: PersonDraws,
) -> pd.DataFrame:
    """`CASE_MIX_COLUMNS`, one row per subgroup gap on test images and way of making the mix equal.

    `pairs` are all that the study declares; what is no subgroup gap is passed over. Macro means have no rows: each
    finding has its own. The bootstrap limits of matched and weighted gaps come from the first of the shared draws,
    `MAX_RESAMPLES` of them at most.
    """
    groups: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        if isinstance(pair, Pair) and pair.kind == "subgroup_gap" and pair.minuend.split == "test":
            key = (pair.minuend.finding, pair.minuend.test_group, pair.subtrahend.test_group)
            groups.setdefault(key, []).append(pair)
    rows = [
        row
        for members in groups.values()
        for row in _comparison_rows(_compare(study, members, cells, scores), cells, draws, study.analysis)
    ]
    return pd.DataFrame(rows, columns=[column.name for column in CASE_MIX_COLUMNS])


def _compare(
    study: Study, pairs: Sequence[Pair], cells: Mapping[CellName, MeasuredCell], scores: Scores
) -> Comparison:
    first = pairs[0]
    a, b = cells[first.minuend].cell, cells[first.subtrahend].cell
    attribute = differing_attribute(study.cohorts[a.name.test_group], study.cohorts[b.name.test_group]) or ""
    images = np.concatenate([a.image_id, b.image_id])
    known = _attributes(scores.manifest, images, attribute)
    columns = [
        np.concatenate([cells[pair.minuend].cell.by_seed[seed], cells[pair.subtrahend].cell.by_seed[seed]])
        for pair in pairs
        for seed in cells[pair.minuend].components
    ]
    return Comparison(
        a.name.finding,
        attribute,
        tuple(pairs),
        np.concatenate([a.y_true, b.y_true]),
        np.repeat([True, False], [len(a.y_true), len(b.y_true)]),
        np.concatenate([a.person, b.person]),
        known,
        tuple(name for name in known.columns if name != "age_years"),
        np.stack(columns),
    )


def _attributes(manifest: pd.DataFrame, images: NDArray[Any], attribute: str) -> pd.DataFrame:
    """The attributes of these images that vary, but for the compared one; an age becomes a band as well."""
    fixed = {column.name for column in CohortManifest.COLUMNS}
    names = [name for name in manifest.columns if name not in fixed and name != attribute]
    table = manifest.drop_duplicates("image_id").set_index("image_id").loc[images, names].reset_index(drop=True)
    if attribute == "age_band":
        table = table.drop(columns="age_years", errors="ignore")
    elif "age_years" in table.columns and "age_band" not in table.columns:
        table["age_band"] = age_band(table["age_years"], AGE_EDGES)
    for name in table.columns.drop("age_years", errors="ignore"):
        table[name] = table[name].astype("str").fillna("Unknown")
    return table.loc[:, table.nunique(dropna=False) > 1]


def _adjustments(found: Comparison) -> Iterator[Adjustment]:
    """Every way to make the mix equal, in the order of the report."""
    everything = " x ".join(_word(name) for name in found.strata)
    if not found.strata:
        problem = "no other attribute varies among these images: the mix is equal already"
        for name in (MATCHED, WEIGHTED, REGRESSION):
            yield Adjustment(name, "", "none", None, problem)
    else:
        yield _try(MATCHED, f"class x {everything}", "re-weighted to the pooled mix", lambda: _matched(found))
        for name in found.strata:
            words = f"pairs within the same {_word(name)}"
            yield _try(f"within {_word(name)}", _word(name), words, lambda name=name: _within(found, name))  # type: ignore[misc]
        held = ", ".join(_covariate_words(found))
        yield _try(WEIGHTED, held, "inverse-probability weights, logit within class", lambda: _weighted(found))
        yield _try(REGRESSION, held, "regression of placements (GEE, persons)", lambda: _regressed(found))
    yield Adjustment(XAUC, "", "positives of each group against negatives of the other", _crossing(found))


def _try(name: str, held_equal: str, method: str, make: Callable[[], dict[str, Any]]) -> Adjustment:
    try:
        return Adjustment(name, held_equal, method, **make())
    except StatisticsError as error:
        return Adjustment(name, held_equal, "none", None, str(error))


def _word(name: str) -> str:
    return name.replace("_", " ")


def _matched(found: Comparison) -> dict[str, Any]:
    strata = found.known[list(found.strata)].agg(", ".join, axis=1).to_numpy(dtype=object)
    mix = common_mix(found.y_true, found.is_in_a, strata, person=found.person)
    words = left_out_words(mix.left_out, mix.n_left_out)
    return {"sides": mix.components, "reweighting": mix, "n_left_out": mix.n_left_out, "left_out": words}


def _within(found: Comparison, name: str) -> dict[str, Any]:
    strata = found.known[name].to_numpy(dtype=object)
    common = within_strata(found.y_true, found.is_in_a, strata, person=found.person)
    words = left_out_words(common.left_out, common.n_left_out)
    return {"sides": common.components, "n_left_out": common.n_left_out, "left_out": words}


def _weighted(found: Comparison) -> dict[str, Any]:
    model = group_weights(found.y_true, found.is_in_a, _covariates(found), person=found.person)
    return {"sides": model.components, "reweighting": model}


def _regressed(found: Comparison) -> dict[str, Any]:
    """Negatives are those of the own group, and of the own stratum but for the age, which is a line here."""
    names = [name for name in found.strata if name != "age_band" or "age_years" not in found.known.columns]
    strata = found.known[names].agg(", ".join, axis=1).to_numpy(dtype=object) if names else None
    model = placement_regression(
        found.y_true, found.is_in_a, _covariates(found), person=found.person, strata=strata
    )
    words = left_out_words((NO_COUNTERPART,) if model.n_left_out else (), model.n_left_out)
    return {"sides": model.components, "n_left_out": model.n_left_out, "left_out": words}


def _crossing(found: Comparison) -> SidesOf:
    return lambda scores: xauc_components(found.y_true, scores, found.is_in_a, person=found.person)


def _covariate_words(found: Comparison) -> list[str]:
    names = [name for name in found.strata if name != "age_band" or "age_years" not in found.known.columns]
    return [_word(name) for name in names] + (["age"] if "age_years" in found.known.columns else [])


def _covariates(found: Comparison) -> NDArray[np.float64]:
    """Dummies of the attributes, and the age in years with an indicator of where it is missing, shape [n, p]."""
    has_age = "age_years" in found.known.columns
    names = [name for name in found.strata if name != "age_band" or not has_age]
    columns = [pd.get_dummies(found.known[name], drop_first=True, dtype=float) for name in names]
    if has_age:
        age = found.known["age_years"].astype("float64")
        columns.append(pd.DataFrame({"age": age.fillna(age.mean()), "age_missing": age.isna().astype(float)}))
    return pd.concat(columns, axis=1).to_numpy(dtype=np.float64)


def _comparison_rows(
    found: Comparison, cells: Mapping[CellName, MeasuredCell], draws: PersonDraws, analysis: Analysis
) -> Iterator[dict[str, Any]]:
    adjustments = list(_adjustments(found))
    n_resamples = min(MAX_RESAMPLES, draws.n_resamples)
    replicates = {
        way.name: gap_replicates(way.reweighting, found.scores, draws, n_resamples=n_resamples)
        for way in adjustments
        if way.reweighting is not None
    }
    start = 0
    for pair in found.pairs:
        a, b = cells[pair.minuend], cells[pair.subtrahend]
        chosen = slice(start, start + len(a.components))
        start = chosen.stop
        measured = list(zip(a.components.values(), b.components.values(), strict=True))
        columns = (a.replicates - b.replicates)[None]
        yield _row(found, pair, _as_measured(), measured, measured, columns, analysis)
        for way in adjustments:
            sides = _sides_by_seed(way, found.scores[chosen])
            resampled = replicates[way.name][chosen] if way.name in replicates else None
            yield _row(found, pair, way, sides, measured, resampled, analysis)


def _as_measured() -> Adjustment:
    return Adjustment(MEASURED, "", "", None)


def _sides_by_seed(way: Adjustment, scores: NDArray[np.float64]) -> list[Sides] | str:
    """Both sides' components of every seed, or why there are none."""
    if way.sides is None:
        return way.problem
    try:
        found = [way.sides(row) for row in scores]
    except StatisticsError as error:
        return str(error)
    outside = [side.auc for sides in found for side in sides if side.is_estimable and not 0.0 <= side.auc <= 1.0]
    if outside:
        return f"it leads to an AUC of {outside[0]:.3f}, which is none: the covariates reach too far"
    return found


def _row(
    found: Comparison,
    pair: Pair,
    way: Adjustment,
    sides: list[Sides] | str,
    measured: list[Sides],
    replicates: NDArray[np.float64] | None,
    analysis: Analysis,
) -> dict[str, Any]:
    start = {
        **{key: getattr(pair.minuend, key) for key in FIT_NAMES},
        "n_left_out": way.n_left_out,
        "n_seeds": len(measured),
        "confidence_level": analysis.confidence_level,
        "other": pair.other,
        "attribute": found.attribute,
        "adjustment": way.name,
        "held_equal": way.held_equal,
        "margin": None if way.name == XAUC else analysis.margin,
    }
    if isinstance(sides, str):
        return {**start, **_nothing(found, sides)}
    gap = seed_gap(
        [side[0] for side in sides],
        [side[1] for side in sides],
        paired_seeds=True,
        confidence_level=analysis.confidence_level,
        min_persons=analysis.min_persons,
    )
    if gap.estimate is None:
        return {**start, **_nothing(found, gap.reason)}
    return {**start, **_numbers(way, gap, sides, measured, replicates, analysis)}


def _nothing(found: Comparison, reason: str) -> dict[str, Any]:
    return {
        "verdict": "not estimable",
        "method": "none",
        "status": "not estimable",
        "reason": reason,
        "n_patients": len(np.unique(found.person)),
        "n_images": len(found.y_true),
    }


def _numbers(
    way: Adjustment,
    gap: GapEstimate,
    sides: list[Sides],
    measured: list[Sides],
    replicates: NDArray[np.float64] | None,
    analysis: Analysis,
) -> dict[str, Any]:
    column = None if replicates is None else replicates.mean(axis=0)
    limits = (None, None) if column is None else percentile_limits(column, gap.estimate, gap.confidence_level)
    return {
        "estimate": gap.estimate,
        "low": gap.low,
        "high": gap.high,
        "standard_error": gap.standard_error,
        "bootstrap_low": limits[0],
        "bootstrap_high": limits[1],
        **_change(way, sides, measured, analysis),
        "verdict": _verdict(way, gap, analysis),
        "n_patients": gap.n_patients,
        "n_images": gap.n_images,
        "n_effective": sum(_effective(side) for side in sides[0]),
        "method": f"{way.method}; {gap.method}" if way.method else gap.method,
        "status": gap.status,
        "reason": "; ".join(filter(None, (_few(gap, sides[0], analysis), way.left_out))),
    }


def _change(way: Adjustment, sides: list[Sides], measured: list[Sides], analysis: Analysis) -> dict[str, Any]:
    """The gap less the gap as measured; none for the measured gap itself and for xAUC, another quantity."""
    if way.name in (MEASURED, XAUC):
        return {"change": None, "change_low": None, "change_high": None}
    change = gap_change(sides, measured, confidence_level=analysis.confidence_level)
    return {"change": change.estimate, "change_low": change.low, "change_high": change.high}


def _verdict(way: Adjustment, gap: GapEstimate, analysis: Analysis) -> str:
    if way.name == XAUC:
        return "descriptive"
    return equivalence_verdict(gap, margin=analysis.margin, confidence_level=analysis.confidence_level).name


def _effective(side: AucComponents) -> float:
    return side.n_effective if isinstance(side, MixedComponents) else float(side.n_images)


def _few(gap: GapEstimate, sides: Sides, analysis: Analysis) -> str:
    """Why the status is not ok; a mix counts effective persons."""
    if gap.status != "small" or not isinstance(sides[0], MixedComponents):
        return gap.reason
    fewest = min(min(side.n_persons_positive, side.n_persons_negative) for side in sides)
    return f"effectively {fewest} persons in the smallest class, fewer than {analysis.min_persons}"
