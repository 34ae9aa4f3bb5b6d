"""What an audit's gaps could show, from its cohorts alone: before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from subgroup_audit.audit.audit import reference_values
from subgroup_audit.audit.cells import CellName
from subgroup_audit.audit.pairs import Comparison, GapOfGaps, declared_pairs
from subgroup_audit.errors import StatisticsError
from subgroup_audit.schema import CohortManifest
from subgroup_audit.stats import PlannedCell, PlannedPair, equivalence_power, gap_power, plan_cell, plan_pair
from subgroup_audit.study import Study

# No cohort grows beyond this many times itself to find a gap; above, none is said to be enough.
MOST_TIMES = 10_000.0


@dataclass(frozen=True)
class Assumptions:
    """What is not known before training, and what is asked for.

    Attributes
    ----------
    auc : assumed AUC of every cell, 0 to 1
    correlation : of the scores that two fits give one image
    icc : of the scores that one fit gives two images of a person and class
    seed_sd : standard deviation of the AUC from training to training, on the same images
    power : probability with which the smallest detectable gap is to be found
    gap : the gap that persons are counted for
    """

    auc: float = 0.85
    correlation: float = 0.8
    icc: float = 0.5
    seed_sd: float = 0.01
    power: float = 0.8
    gap: float = 0.05

    def __post_init__(self) -> None:
        """Check the ranges; StatisticsError names the first value outside."""
        for name, low, high in (("auc", 0.5, 1.0), ("power", 0.05, 1.0), ("gap", 0.0, 0.5)):
            if not low < getattr(self, name) < high:
                raise StatisticsError(
                    f"{name} must lie above {low:g} and below {high:g}, not {getattr(self, name):g}"
                )
        for name in ("correlation", "icc"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise StatisticsError(f"{name} must be 0 to 1, not {getattr(self, name):g}")
        if not 0.0 <= self.seed_sd < 0.5:
            raise StatisticsError(f"seed-sd must be 0 or more and below 0.5, not {self.seed_sd:g}")


@dataclass(frozen=True)
class _Gap:
    """A combination of AUCs: signs, images and training cohort of each, and what every two of them share."""

    signs: tuple[float, ...]
    cells: tuple[PlannedCell, ...]
    fits: tuple[str, ...]
    pairs: Mapping[tuple[int, int], PlannedPair]
    assumed: Assumptions
    n_seeds: int
    level: float

    def patient_variance(self, auc: float) -> float:
        """The variance that the choice of patients makes, all AUCs being at this value."""
        total = sum(
            self.signs[i] * self.signs[j] * self._covariance(i, j, pair, auc)
            for (i, j), pair in self.pairs.items()
        )
        return max(float(total), 0.0)

    def _covariance(self, i: int, j: int, pair: PlannedPair, auc: float) -> float:
        """Of two seed means: 1 in n_seeds pairs is of the same fit where the cells are, the others of two fits."""
        between, icc = self.assumed.correlation, self.assumed.icc
        others = pair.covariance(auc, same_image=between, same_person=icc * between)
        if self.fits[i] != self.fits[j]:
            return others
        return pair.covariance(auc, same_person=icc) / self.n_seeds + others * (1.0 - 1.0 / self.n_seeds)

    def with_seeds(self, patients: float) -> tuple[float, float]:
        """Standard error and degrees of freedom; one fit knows nothing of others, and speaks for itself alone."""
        if self.n_seeds == 1 or self.assumed.seed_sd == 0.0:
            return math.sqrt(patients), math.inf
        by_fits = [self.fits.count(fits) * self.assumed.seed_sd**2 / self.n_seeds for fits in set(self.fits)]
        total = patients + sum(by_fits)
        return math.sqrt(total), total**2 * (self.n_seeds - 1) / sum(part**2 for part in by_fits)

    def power(self, gap: float, times: float = 1.0) -> float:
        """The power to find a gap with `times` these persons.

        The variance is halfway between that at the assumed AUC and at the AUC less the gap: for two groups of one
        size, that of a minuend and a subtrahend so far apart.
        """
        ends = self.assumed.auc, max(self.assumed.auc - gap, 1e-6)
        patients = sum(self.patient_variance(auc) for auc in ends) / 2.0
        error, df = self.with_seeds(patients / times)
        return gap_power(gap, error, confidence_level=self.level, df=df) if error > 0.0 else 1.0

    def detectable(self) -> float | None:
        """The smallest gap found with the power asked for; None where not even the largest is."""
        return _smallest(lambda gap: self.power(gap) >= self.assumed.power, 1e-5, self.assumed.auc - 1e-6)

    def times_needed(self) -> float | None:
        """How many times these persons find the gap asked for; None where the seeds alone hide it."""
        wanted = self.assumed.gap
        return _smallest(lambda times: self.power(wanted, times) >= self.assumed.power, 1e-3, MOST_TIMES)


def foresee(study: Study, manifest: CohortManifest, assumed: Assumptions) -> pd.DataFrame:
    """What each declared gap could show with these cohorts, one row per gap that differs in its images.

    Columns: kind, finding, minuend, subtrahend (what is compared); for either side n_positive, n_negative,
    n_images, n_persons and design_effect; shared_persons; auc; n_seeds; standard_error; df;
    minimal_detectable_gap (with `assumed.power`; missing where none is); power_at_gap; equivalence_power (that
    no gap beyond the margin is shown if there is none); margin; needed_times (how many times these persons
    find `assumed.gap`), needed_persons and needed_images of either side (missing where no number is enough).

    Scores are taken as normal (`planned_covariance`). Seeds add seed_sd^2 / n_seeds to each seed mean, and are
    taken as unrelated from cell to cell: more than to be expected of two groups and the same fits.
    """
    frame = manifest.frame
    names = [name for name in _cell_names(study) if (name.finding, name.split, name.test_group) in _keys(frame)]
    cells = _planned_cells(frame)
    pairs = declared_pairs(study, names, reference_values(study, frame))
    rows = [_row(study, pair, cells, assumed) for pair in _distinct(pairs)]
    return pd.DataFrame(rows)


def _keys(frame: pd.DataFrame) -> set[tuple[str, str, str]]:
    return set(frame[["finding", "split", "cohort"]].drop_duplicates().itertuples(index=False, name=None))


def _cell_names(study: Study) -> Iterator[CellName]:
    """The cells that the study's fits would have, as if all were of one model and recipe."""
    combinations = study.fit_combinations()
    _, model, recipe, _ = combinations[0]
    for finding in study.finding_names:
        for cohort in dict.fromkeys(cohort for cohort, *_ in combinations):
            for split, group in [("train", cohort), *(("test", group) for group in study.test_cohorts)]:
                yield CellName(finding, cohort, model, recipe, split, group)


def _distinct(pairs: Iterator[Comparison]) -> list[Comparison]:
    """One comparison of each kind and set of images: power does not depend on whom was trained on."""
    found: dict[Any, Comparison] = {}
    for pair in pairs:
        places = tuple((sign, name.finding, name.split, name.test_group) for sign, name in pair.terms)
        found.setdefault((pair.kind, places), pair)
    return list(found.values())


def _planned_cells(frame: pd.DataFrame) -> dict[Any, PlannedCell]:
    """Every cohort's images by finding and split; persons and images as numbers, which compare faster."""
    coded = frame.assign(**{name: pd.factorize(frame[name])[0] for name in ("patient_id", "image_id")})
    return {
        key: plan_cell(rows["y_true"].to_numpy(), rows["patient_id"].to_numpy(), rows["image_id"].to_numpy())
        for key, rows in coded.groupby(["finding", "split", "cohort"], sort=False)
    }


def _row(study: Study, pair: Comparison, cells: Mapping[Any, PlannedCell], assumed: Assumptions) -> dict[str, Any]:
    gap = _planned_gap(study, pair, cells, assumed)
    error, df = gap.with_seeds(gap.patient_variance(assumed.auc))
    times = gap.times_needed()
    sides = {side: _describe(gap, place) for place, side in enumerate(("minuend", "subtrahend"))}
    margin = study.analysis.margin if pair.kind != "generalization_gap" else None
    words = _side_words(pair)
    return {
        "kind": pair.kind,
        "finding": pair.minuend.finding,
        "minuend": words[0],
        "subtrahend": words[1],
        **{f"{side}_{name}": value for side, found in sides.items() for name, value in found.items()},
        "shared_persons": len(np.intersect1d(gap.cells[0].person, gap.cells[1].person)),
        "auc": assumed.auc,
        "n_seeds": gap.n_seeds,
        "standard_error": error,
        "df": df if math.isfinite(df) else None,
        "minimal_detectable_gap": gap.detectable(),
        "gap": assumed.gap,
        "power_at_gap": gap.power(assumed.gap),
        "margin": margin,
        "equivalence_power": equivalence_power(margin, error, confidence_level=gap.level, df=df)
        if margin
        else None,
        "needed_times": times,
        **{
            f"{side}_needed_{what}": None if times is None else math.ceil(times * found[f"n_{what}"])
            for side, found in sides.items()
            for what in ("persons", "images")
        },
    }


def _planned_gap(study: Study, pair: Comparison, cells: Mapping[Any, PlannedCell], assumed: Assumptions) -> _Gap:
    found = tuple(cells[name.finding, name.split, name.test_group] for _, name in pair.terms)
    places = range(len(found))
    return _Gap(
        signs=tuple(sign for sign, _ in pair.terms),
        cells=found,
        fits=tuple(name.train_cohort for _, name in pair.terms),
        pairs={(i, j): plan_pair(found[i], found[j]) for i in places for j in places},
        assumed=assumed,
        n_seeds=len(study.seeds),
        level=study.analysis.confidence_level,
    )


def _side_words(pair: Comparison) -> tuple[str, str]:
    if isinstance(pair, GapOfGaps):
        return tuple(  # type: ignore[return-value]
            f"{one.minuend.test_group} - {one.subtrahend.test_group}, trained on {one.minuend.train_cohort}"
            for one in (pair.first, pair.second)
        )
    if pair.kind == "transfer_gap":
        group = pair.minuend.test_group
        return f"{group}, trained on {group}", f"{group}, trained on {pair.other}"
    if pair.kind == "generalization_gap":
        return f"{pair.minuend.test_group}, train", f"{pair.subtrahend.test_group}, test"
    return pair.minuend.test_group, pair.subtrahend.test_group


def _describe(gap: _Gap, place: int) -> dict[str, Any]:
    """Counts of a cell, and how many times its variance is that of as many images of other persons."""
    cell = gap.cells[place]
    rows = np.arange(len(cell.person))
    alone = replace(cell, person=rows, image=rows)
    own = {"same_person": gap.assumed.icc}
    plain = plan_pair(alone, alone).covariance(gap.assumed.auc, **own)
    return {
        "n_positive": cell.n_positive,
        "n_negative": cell.n_negative,
        "n_images": cell.n_positive + cell.n_negative,
        "n_persons": cell.n_persons,
        "design_effect": gap.pairs[place, place].covariance(gap.assumed.auc, **own) / plain,
    }


def _smallest(is_enough: Callable[[float], bool], low: float, high: float) -> float | None:
    """The smallest value between two at which something holds, to a part in 10,000; None if it holds nowhere.

    Looked for in steps first: with few seeds, more persons can leave fewer degrees of freedom, and less power.
    """
    steps = [float(value) for value in np.geomspace(low, high, 80)]
    first = next((place for place, value in enumerate(steps) if is_enough(value)), None)
    if first is None:
        return None
    low, high = steps[max(first - 1, 0)], steps[first]
    while high - low > 1e-4 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def in_sentences(row: Mapping[str, Any], assumed: Assumptions) -> list[str]:
    """One gap in plain words: what these cohorts find, what they could rule out, and what would be needed."""
    if row["kind"] == "generalization_gap":
        return [
            f"The gap between {row['minuend']} and {row['subtrahend']} is described, not tested. Its standard "
            f"error would be {row['standard_error']:.3f}."
        ]
    found, often = row["minimal_detectable_gap"], _share_words(assumed.power)
    said = (
        f"With these cohorts no {_gap_words(row)} would be found {often}, however large."
        if pd.isna(found)
        else f"With these cohorts a {_gap_words(row, f' of {found:.2f}')} would be found {often}."
    )
    return [said, _needed_words(row, assumed), _equality_words(row)]


def _needed_words(row: Mapping[str, Any], assumed: Assumptions) -> str:
    if pd.isna(row["needed_times"]):
        return f"One of {assumed.gap:g} needs more training seeds first: between them the AUC varies too much."
    persons = [f"{int(row[f'{side}_needed_persons']):,}" for side in ("minuend", "subtrahend")]
    if row["kind"] in ("transfer_gap", "gap_of_gaps") or persons[0] == persons[1]:
        counted = f"{persons[0]} test persons{'' if row['kind'] == 'transfer_gap' else ' a group'}"
    else:
        counted = f"{persons[0]} test persons in {row['minuend']} and {persons[1]} in {row['subtrahend']}"
    times = float(row["needed_times"])
    there = "fewer than there are" if times < 1.0 else f"{times:.1f} times as many as there are"
    return f"One of {assumed.gap:g} needs {counted} ({there})."


def _equality_words(row: Mapping[str, Any]) -> str:
    share = round(100 * float(row["equivalence_power"]))
    return (
        f"If there is no gap, “no gap beyond the margin of {row['margin']:g}” would be shown in {share} of 100 "
        "such studies."
    )


def _gap_words(row: Mapping[str, Any], size: str = "") -> str:
    first, second = row["minuend"], row["subtrahend"]
    if row["kind"] == "transfer_gap":
        group, own = first.split(", trained on ")
        return f"difference{size} in {group} between training on {own} and on {second.split(', trained on ')[1]}"
    if row["kind"] == "gap_of_gaps":
        return f"difference{size} between the gap {first}, and the gap {second},"
    return f"gap{size} between {first} and {second}"


def _share_words(power: float) -> str:
    """A probability as times of so many: 0.8 is '4 times of 5'."""
    from fractions import Fraction

    share = Fraction(power).limit_denominator(20)
    return f"{share.numerator} times of {share.denominator}"
