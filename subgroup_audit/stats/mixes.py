"""AUCs over a chosen mix of images: their value, and each person's pull on it, as intervals and gaps read them.

A weighted AUC, an AUC within strata and one predicted by a regression are all sums over images to first order.
What each image adds, summed by person, is all that a variance, a covariance with another AUC, and a mean over
training seeds need. So these AUCs take the shape of `AucComponents`, and `auc_gap` and `seed_gap` serve them as
they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.area import tie_bounds
from subgroup_audit.stats.components import AucComponents, auc_covariance
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, KeyArray, check_labels, check_persons
from subgroup_audit.stats.intervals import MIN_PERSONS, patient_df, satterthwaite
from subgroup_audit.stats.limits import WaldLimits
from subgroup_audit.stats.persons import PersonDraws
from subgroup_audit.stats.replicates import RankedCell, lane_aucs, rank_cell, run_blocks
from subgroup_audit.stats.results import GapEstimate, Interval, Status

Sides = tuple[AucComponents, AucComponents]


@dataclass(frozen=True, eq=False)
class MixedComponents(AucComponents):
    """An AUC over a mix of images, in the shape of `AucComponents`.

    Its variance is always the one by persons. `n_persons_positive` and `n_persons_negative` are effective numbers
    (Kish's (sum w)^2 / sum w^2 over persons, rounded down): they set the degrees of freedom and the small-sample
    factor. `n_effective` is the effective number of images of both classes.
    """

    n_effective: float = math.nan

    @property
    def has_repeated_persons(self) -> bool:
        """True: DeLong's variance is that of unweighted images, and does not hold for a mix."""
        return True


@dataclass(frozen=True)
class AdjustedGap(GapEstimate):
    """A gap at a common mix of images.

    Attributes
    ----------
    n_effective : float
        Effective number of images of both groups: how many unweighted ones would be as informative.
    n_left_out : int
        Images without a counterpart in the other group; `reason` says of which strata.
    bootstrap : Interval or None
        Percentile limits over the shared draws, where draws were given.
    """

    n_effective: float = field(default=math.nan, kw_only=True)
    n_left_out: int = field(default=0, kw_only=True)
    bootstrap: Interval | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Images:
    """The images of two groups, without any model's scores: labels, group, persons."""

    is_positive: BoolArray
    is_in_a: BoolArray
    persons: KeyArray

    def __len__(self) -> int:
        """Images of both groups."""
        return len(self.is_positive)

    @cached_property
    def coded(self) -> tuple[KeyArray, IntArray]:
        """The distinct persons, ascending, and each image's place among them."""
        persons, codes = np.unique(self.persons, return_inverse=True)
        return persons, codes


class Reweighting(Protocol):
    """A way to weigh the images of two groups so that their mix becomes the same."""

    @property
    def images(self) -> Images:
        """The images that are weighed."""
        ...

    def lane_weights(self, counts: FloatArray) -> FloatArray:
        """Weights of the images in each resample, shape [n, lanes], from how often each is in it."""
        ...


def check_images(
    y_true: ArrayLike, is_in_a: ArrayLike, person: ArrayLike, *, one_group_per_person: bool = False
) -> Images:
    """The images of two groups, checked; `StatisticsError` says what is wrong with them."""
    is_positive = check_labels(y_true)
    persons = check_persons(person, len(is_positive))
    group = check_group(is_in_a, len(is_positive))
    if group.all() or not group.any():
        raise StatisticsError("is_in_a must have images of both groups, but it has one value only")
    if one_group_per_person:
        both = np.intersect1d(persons[group], persons[~group])
        if len(both):
            raise StatisticsError(
                f"every person must be in one group, but {len(both)} are in both; the first is {both[0]!s}"
            )
    return Images(is_positive, group, persons)


def check_group(is_in_a: ArrayLike, n_rows: int) -> BoolArray:
    """Which images are of group A, shape [n_rows]; StatisticsError unless boolean and of that length."""
    group = np.asarray(is_in_a)
    if group.shape != (n_rows,) or group.dtype != np.bool_:
        raise StatisticsError(
            f"is_in_a must be boolean with one entry per row, {n_rows}, not {group.dtype} of shape {group.shape}"
        )
    return group


def check_strata(strata: ArrayLike, n_rows: int) -> KeyArray:
    """A stratum per image, shape [n_rows]; StatisticsError if of another length or missing."""
    names = np.asarray(strata)
    if names.shape != (n_rows,):
        raise StatisticsError(f"strata must have one entry per row, {n_rows}, not the shape {names.shape}")
    return check_persons_like(names, "strata")


def check_persons_like(names: KeyArray, name: str) -> KeyArray:
    """Keys without a missing one; the message calls them `name`."""
    missing = np.array([key is None or key != key for key in names.tolist()], dtype=bool)
    if missing.any():
        row = int(missing.argmax())
        raise StatisticsError(
            f"{name} must be known in every row, but row {row} is missing ({missing.sum()} such)"
        )
    return names


def check_covariates(covariates: ArrayLike, n_rows: int) -> FloatArray:
    """Covariates as float64, shape [n_rows, p]; StatisticsError if of another length or not finite."""
    try:
        table = np.asarray(covariates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"covariates must hold numbers: {error}") from None
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != n_rows:
        raise StatisticsError(f"covariates must have one row per image, {n_rows}, not the shape {table.shape}")
    if not np.isfinite(table).all():
        row = int((~np.isfinite(table)).any(axis=1).argmax())
        raise StatisticsError(f"covariates must be finite, but row {row} holds {table[row].tolist()}")
    return table


def standardised_design(table: FloatArray) -> FloatArray:
    """An intercept and the covariates at mean 0 and SD 1; those that the others already give are left out."""
    columns = [np.ones(len(table))]
    for column in table.T:
        centred = column - column.mean()
        basis = np.stack(columns, axis=1)
        rest = centred - basis @ np.linalg.lstsq(basis, centred, rcond=None)[0]
        if np.sqrt(np.mean(rest**2)) > 1e-6 * max(1.0, float(np.abs(centred).max())):
            columns.append(centred / centred.std())
    return np.stack(columns, axis=1)


def weighted_placements(is_positive: BoolArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Each image's share of the other class's weight on its wrong-way side, ties one half, shape [n].

    For a positive the weight of negatives below it, for a negative that of positives above it; nan where the other
    class has no weight.
    """
    order = np.argsort(scores)
    starts, ends = tie_bounds(scores[order])
    upto = {}
    for positive in (True, False):
        of_class = np.where(is_positive == positive, weights, 0.0)[order]
        cumulative = np.concatenate(([0.0], np.cumsum(of_class)))
        upto[positive] = (0.5 * (cumulative[starts] + cumulative[ends]), cumulative[-1])
    below, negatives = upto[False]
    not_above, positives = upto[True]
    with np.errstate(invalid="ignore", divide="ignore"):
        ranked = np.where(is_positive[order], below / negatives, 1.0 - not_above / positives)
    placements = np.empty(len(scores))
    placements[order] = ranked
    return placements


def mixed_components(
    images: Images,
    side: BoolArray,
    *,
    value: float,
    influence: FloatArray,
    placements: FloatArray,
    weights: FloatArray,
    lost: tuple[int, int] = (0, 0),
) -> MixedComponents:
    """The components of one group's AUC over a mix.

    Parameters
    ----------
    side : bool array [n]
        The group's own images with a weight; others can add to `influence` by a model that both groups share.
    influence : array [n]
        What each image adds to the AUC to first order, on the scale of the AUC.
    weights : array [n]
        Weights of the group's own images, on any scale within a class.
    lost : degrees of freedom of the positive and the negative persons that a regression has used up
    """
    persons, codes = images.coded
    classes = (images.is_positive, ~images.is_positive)
    effective = [
        max(1, math.floor(_kish(sum_by(codes[chosen], weights[chosen], len(persons))) + 1e-9) - used)
        for chosen, used in zip((side & of_class for of_class in classes), lost, strict=True)
    ]
    own = [placements[side & of_class] for of_class in classes]
    sums = [
        sum_by(codes[of_class], influence[of_class], len(persons)) * len(placed)
        for of_class, placed in zip(classes, own, strict=True)
    ]
    return MixedComponents(
        auc=value,
        positive_placements=own[0],
        negative_placements=own[1],
        persons=persons,
        positive_sums=sums[0],
        negative_sums=sums[1],
        n_persons=len(persons),
        n_persons_positive=effective[0],
        n_persons_negative=effective[1],
        n_effective=sum(_kish(weights[side & of_class]) for of_class in classes),
    )


def restricted_to(components: MixedComponents, keys: KeyArray) -> MixedComponents:
    """The same components among these persons alone; the others must have no pull on the AUC."""
    chosen = np.isin(np.asarray(components.persons), keys)
    return MixedComponents(
        **{
            **vars(components),
            "persons": np.asarray(components.persons)[chosen],
            "positive_sums": components.positive_sums[chosen],
            "negative_sums": components.negative_sums[chosen],
            "n_persons": int(chosen.sum()),
        }
    )


def person_factor(codes: IntArray, images: Images) -> FloatArray:
    """Root of K/(K-1) for the K persons of each image's cell, shape [n]: the small-sample factor of its mean.

    `codes` names each image's cell, -1 for none. A cell of one person has no variance of its own and keeps 1.
    """
    pairs = np.unique(np.stack([codes, images.coded[1]]), axis=1)[0]
    counts = np.bincount(pairs[pairs >= 0], minlength=int(codes.max(initial=-1)) + 1)
    factors = np.sqrt(counts / np.maximum(counts - 1.0, 1.0))
    factors[counts == 1] = 1.0
    return np.where(codes >= 0, factors[np.maximum(codes, 0)], 0.0) if len(factors) else np.zeros(len(codes))


def sum_by(codes: IntArray, values: FloatArray, n_cells: int) -> FloatArray:
    """The sum of `values` in each cell, shape [n_cells]."""
    return np.asarray(np.bincount(codes, values, n_cells), dtype=np.float64)


def mean_by(codes: IntArray, values: FloatArray) -> FloatArray:
    """Each image's cell mean of `values`, shape [n]; 0 for images of no cell (code -1)."""
    inside = codes >= 0
    n_cells = int(codes.max(initial=-1)) + 1
    sizes = np.bincount(codes[inside], minlength=n_cells)
    sums = np.bincount(codes[inside], values[inside], n_cells)
    out = np.zeros(len(codes))
    out[inside] = (sums / np.maximum(sizes, 1))[codes[inside]]
    return out


def gap_replicates(
    reweighting: Reweighting, scores: FloatArray, draws: PersonDraws, *, n_resamples: int | None = None
) -> FloatArray:
    """The reweighted gap of each row of `scores` [k, n] in the first `n_resamples` shared draws, shape [k, B].

    The weights of a resample are worked out once and serve all k models, which `draws.n_threads` work on.
    """
    images, wanted = reweighting.images, min(n_resamples or draws.n_resamples, draws.n_resamples)
    codes, work = draws.codes(images.persons), wanted * scores.size
    cells = [_ranked_sides(images, row) for row in scores]
    out = np.full((len(scores), wanted), np.nan)
    for lanes, counts in draws.count_blocks():
        if lanes.start >= wanted:
            break
        weights = reweighting.lane_weights(counts[codes].astype(np.float64))
        chosen = slice(lanes.start, min(lanes.stop, wanted))

        def fill(row: int, weights: FloatArray = weights, chosen: slice = chosen) -> None:
            a, b = (lane_aucs(weights, cell, engine=draws.engine, work=work) for cell in cells[row])
            out[row, chosen] = (a - b)[: chosen.stop - chosen.start]

        run_blocks(fill, range(len(cells)), draws.n_threads)
    return out


def _ranked_sides(images: Images, scores: FloatArray) -> tuple[RankedCell, RankedCell]:
    """Both groups in order of score; their codes are the images' own places."""
    a, b = (np.flatnonzero(side) for side in (images.is_in_a, ~images.is_in_a))
    first, second = (rank_cell(images.is_positive[at], scores[at], at, np.ones(len(at))) for at in (a, b))
    return first, second


def adjusted_gap(
    gap: GapEstimate,
    sides: Sides,
    *,
    left_out: tuple[str, ...] = (),
    n_left_out: int = 0,
    bootstrap: Interval | None = None,
) -> AdjustedGap:
    """The gap with its effective number of images, and what was left out added to its reason."""
    known = {item.name: getattr(gap, item.name) for item in fields(GapEstimate)}
    reason = "; ".join(filter(None, (gap.reason, left_out_words(left_out, n_left_out))))
    return AdjustedGap(
        **{**known, "reason": reason},
        n_effective=sum(getattr(side, "n_effective", float(side.n_images)) for side in sides),
        n_left_out=n_left_out,
        bootstrap=bootstrap,
    )


def left_out_words(left_out: tuple[str, ...], n_left_out: int) -> str:
    """How many images are left out, and the first strata they are of with how many; '' for none."""
    if not left_out:
        return ""
    named = ", ".join(left_out[:4]) + (f" and {len(left_out) - 4} more" if len(left_out) > 4 else "")
    subject = "1 image is" if n_left_out == 1 else f"{n_left_out} images are"
    return f"{subject} left out, since one of the groups has too few persons of the same kind: {named}"


def gap_change(
    adjusted_by_seed: Sequence[Sides],
    measured_by_seed: Sequence[Sides],
    *,
    confidence_level: float = 0.95,
    min_persons: int = MIN_PERSONS,
) -> GapEstimate:
    """An adjusted gap minus the gap as measured, on the same images, with its interval.

    The two gaps share most of their chance, so that the change is known far better than either: whether a
    covariate explains part of a gap is read from this interval, not from the two gaps' overlapping ones. With
    several training seeds, patients and seeds are crossed as in `seed_gap`. The interval is estimate +- t SE.

    Raises
    ------
    StatisticsError
        No seed, or other numbers of seeds.
    """
    if not adjusted_by_seed or len(adjusted_by_seed) != len(measured_by_seed):
        raise StatisticsError(
            f"a change needs the same seeds on both sides, one at least, not {len(adjusted_by_seed)} and "
            f"{len(measured_by_seed)}"
        )
    groups = [
        [*adjusted, *measured] for adjusted, measured in zip(adjusted_by_seed, measured_by_seed, strict=True)
    ]
    flat = [cell for group in groups for cell in group]
    contrast = np.kron(np.eye(len(groups)), [1.0, -1.0, -1.0, 1.0])
    values = contrast @ np.array([cell.auc for cell in flat])
    covariance = contrast @ auc_covariance(flat) @ contrast.T
    patient = (
        min(patient_df(cell) for cell in flat if isinstance(cell, MixedComponents)) if _any_mixed(flat) else 1.0
    )
    variance, df = _crossed(values, covariance, patient)
    limits = WaldLimits(float(values.mean()), math.sqrt(max(variance, 0.0)), df)
    low, high = limits.at_tail((1.0 - confidence_level) / 2.0)
    few = min(min(cell.n_persons_positive, cell.n_persons_negative) for cell in flat) < min_persons
    status: Status = "small" if few else "ok"
    persons = np.unique(np.concatenate([np.asarray(cell.persons) for cell in groups[0][2:]]))
    return GapEstimate(
        estimate=limits.estimate,
        low=low,
        high=high,
        standard_error=limits.standard_error,
        confidence_level=confidence_level,
        method="change of the gap, by persons' influence, t",
        status=status,
        reason=f"fewer than {min_persons} effective persons in a class" if few else "",
        n_patients=len(persons),
        n_images=sum(cell.n_images for cell in groups[0][2:]),
        n_positive=sum(cell.n_positive for cell in groups[0][2:]),
        n_negative=sum(cell.n_negative for cell in groups[0][2:]),
        df=df if math.isfinite(df) else None,
        limits=limits,
    )


def _any_mixed(cells: Sequence[AucComponents]) -> bool:
    return any(isinstance(cell, MixedComponents) for cell in cells)


def _crossed(values: FloatArray, covariance: FloatArray, patient: float) -> tuple[float, float]:
    """Variance and degrees of freedom of a mean over seeds (docs/statistics.md, section 4)."""
    n_seeds = len(values)
    if n_seeds == 1:
        return float(covariance[0, 0]), patient
    is_same = np.eye(n_seeds, dtype=bool)
    between = max(float(covariance[~is_same].mean()), 0.0)
    own = max(float(covariance[is_same].mean()) - between, 0.0) / n_seeds
    spread = float(values.var(ddof=1)) / n_seeds
    seeds = (spread, n_seeds - 1.0) if spread >= own else (own, patient)
    return between + seeds[0], satterthwaite((between, patient), seeds)


def _kish(weights: FloatArray) -> float:
    """The effective number of weighted units: (sum w)^2 / sum w^2; 0 without weight."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0
