"""ROC, precision-recall and reliability curves of several fits, averaged vertically, with bands.

Each fit has its own scores, so its own thresholds: curves are averaged at the same false-positive rate (or recall,
or bin of the score), never at the same threshold (vertical averaging: Fawcett 2006,
doi:10.1016/j.patrec.2005.10.010).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.bounds import WilsonLimits
from subgroup_audit.stats.inputs import BoolArray, FloatArray, IntArray, check_level
from subgroup_audit.stats.measurement import NO_VARIANCE
from subgroup_audit.stats.operating_points import cumulative_counts
from subgroup_audit.stats.ranked import RankedScores
from subgroup_audit.stats.reliability import N_BINS, BinnedScores
from subgroup_audit.stats.seed_means import joined_variance, seed_variance

# Where curves are read: denser where a false alarm is rare. 61 points each.
FALSE_POSITIVE_RATES: FloatArray = np.round(
    np.concatenate([np.linspace(0.0, 0.1, 21), np.linspace(0.1, 1.0, 41)[1:]]), 6
)
RECALLS: FloatArray = np.round(np.linspace(0.0, 1.0, 61)[1:], 6)
# Points on either side whose variances are averaged.
NEIGHBOURS = 4


@dataclass(frozen=True, eq=False)
class SeedCurve:
    """A curve averaged over seeds with pointwise limits; nan where no fit has a value.

    Attributes
    ----------
    n_images : images behind each point, mean over seeds
    n_seeds : fits that have a value at each point
    """

    x: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    n_images: FloatArray
    n_seeds: IntArray


def seed_roc(
    by_seed: Sequence[RankedScores],
    *,
    rates: FloatArray = FALSE_POSITIVE_RATES,
    confidence_level: float = 0.95,
) -> SeedCurve:
    """Mean sensitivity of the fits at given false-positive rates, with limits for exactly these rates.

    The threshold that gives a rate is itself estimated from the negatives. So a person's pull on the sensitivity
    R at rate u is, with m positive and n negative images and r the slope of the curve at u,

        sum over positives of (flagged - R) / m  -  r sum over negatives of (flagged - u) / n.

    Raises
    ------
    StatisticsError
        A class is missing.
    """
    paths = [_Path(ranked) for ranked in _with_classes(by_seed)]
    cuts = [path.cuts_at_rates(rates) for path in paths]
    values = np.stack([path.sensitivities(cut) for path, cut in zip(paths, cuts, strict=True)])
    pulls = np.stack([path.roc_pulls(cut, rates) for path, cut in zip(paths, cuts, strict=True)])
    first = by_seed[0]
    n_free = np.full(len(rates), float(first.n_persons_positive))
    df = float(max(min(first.n_persons_positive, first.n_persons_negative) - 1, 1))
    return _curve(rates, values, pulls, n_free, df, first.n_positive, confidence_level)


def seed_precision_recall(
    by_seed: Sequence[RankedScores], *, recalls: FloatArray = RECALLS, confidence_level: float = 0.95
) -> SeedCurve:
    """Mean precision of the fits at given recalls (the highest threshold that reaches each), with limits.

    With prevalence q, recall v and false-positive rate f, precision is q v / (q v + (1 - q) f). A person pulls
    it by way of q, of f, and of the recall at the threshold, which moves f by how fast f rises with the recall.

    Raises
    ------
    StatisticsError
        A class is missing.
    """
    paths = [_Path(ranked) for ranked in _with_classes(by_seed)]
    cuts = [path.cuts_at_recalls(recalls) for path in paths]
    values = np.stack([path.precisions(cut) for path, cut in zip(paths, cuts, strict=True)])
    pulls = np.stack([path.precision_pulls(cut, recalls) for path, cut in zip(paths, cuts, strict=True)])
    first = by_seed[0]
    flagged = np.mean([cut.high for cut in cuts], axis=0)
    n_free = np.minimum(flagged, recalls * first.n_persons_positive).clip(1.0)
    df = float(max(first.n_persons_positive - 1, 1))
    return _curve(recalls, values, pulls, n_free, df, flagged, confidence_level)


def seed_reliability(
    by_seed: Sequence[RankedScores], *, n_bins: int = N_BINS, confidence_level: float = 0.95
) -> SeedCurve:
    """Mean observed share of positives at the mean score of every bin, over the fits with images in it.

    `x` is the mean over those fits of their mean score in the bin. For one fit the limits are those of
    `reliability_curve` (Wilson, persons as clusters).
    """
    binned = [BinnedScores(ranked, n_bins) for ranked in by_seed]
    counts = np.stack([one.counts for one in binned])
    shares = np.stack([_shares(one, one.ranked.is_positive.astype(np.float64)) for one in binned])
    scores = np.stack([_shares(one, one.ranked.score) for one in binned])
    filled = np.flatnonzero(counts.sum(axis=0))
    rows = [_bin_point(binned, counts, shares, int(place), confidence_level) for place in filled]
    mean, low, high = np.array(rows).reshape(-1, 3).T
    with_images = (counts > 0)[:, filled]
    x = np.where(with_images, scores[:, filled], 0.0).sum(axis=0) / with_images.sum(axis=0)
    return SeedCurve(x, mean, low, high, counts[:, filled].mean(axis=0), with_images.sum(axis=0))


def _with_classes(by_seed: Sequence[RankedScores]) -> Sequence[RankedScores]:
    if not by_seed:
        raise StatisticsError("by_seed is empty: there is no curve to average")
    if not by_seed[0].n_positive or not by_seed[0].n_negative:
        raise StatisticsError("a curve over thresholds needs both classes, but only one is there")
    return by_seed


@dataclass(frozen=True, eq=False)
class _Cuts:
    """How many of the highest images are called positive at each point: from one cut to the next, a share."""

    low: IntArray
    high: IntArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class _Path:
    """One fit's ROC curve as its distinct cuts, and its images in falling order of score."""

    ranked: RankedScores

    @cached_property
    def corners(self) -> tuple[IntArray, FloatArray, FloatArray]:
        """Images called positive, sensitivity and false-positive rate at every cut, from none to all."""
        _, hits, alarms = cumulative_counts(self.ranked)
        called = np.concatenate(([0.0], hits + alarms)).astype(np.int64)
        sensitivity = np.concatenate(([0.0], hits / self.ranked.n_positive))
        return called, sensitivity, np.concatenate(([0.0], alarms / self.ranked.n_negative))

    def cuts_at_rates(self, rates: FloatArray) -> _Cuts:
        """Where the false-positive rate is what is asked for: between the last cut at or below it and the next."""
        called, _, alarms = self.corners
        below = np.searchsorted(alarms, rates + 1e-12, side="right") - 1
        above = np.minimum(below + 1, len(called) - 1)
        width = alarms[above] - alarms[below]
        share = np.divide(rates - alarms[below], width, out=np.zeros(len(rates)), where=width > 0.0)
        return _Cuts(called[below], called[above], share.clip(0.0, 1.0))

    def cuts_at_recalls(self, recalls: FloatArray) -> _Cuts:
        """The fewest images that reach the recall."""
        called, sensitivity, _ = self.corners
        place = np.searchsorted(sensitivity, recalls - 1e-12, side="left").clip(1, len(called) - 1)
        return _Cuts(called[place], called[place], np.zeros(len(recalls)))

    @cached_property
    def is_positive(self) -> BoolArray:
        return self.ranked.is_positive[::-1]

    def _flags(self, cuts: _Cuts) -> FloatArray:
        """How far each image, in falling order, is called positive at each point: 0 to 1, shape [points, n]."""
        place = np.arange(self.ranked.n_images)
        first, second = place < cuts.low[:, None], place < cuts.high[:, None]
        return np.asarray(first + cuts.share[:, None] * (second & ~first))

    def sensitivities(self, cuts: _Cuts) -> FloatArray:
        return self._at(cuts, 1)

    def _at(self, cuts: _Cuts, which: int) -> FloatArray:
        called, values = self.corners[0], self.corners[which]
        low, high = (np.interp(cut, called, values) for cut in (cuts.low, cuts.high))
        return np.asarray(low + cuts.share * (high - low))

    def precisions(self, cuts: _Cuts) -> FloatArray:
        # whole images: rounding would make 1 a little less, and its limits nonsense
        hits = np.rint(self._at(cuts, 1) * self.ranked.n_positive)
        return np.asarray(hits / np.maximum(cuts.high, 1))

    def slope(self, rates: FloatArray) -> FloatArray:
        """Rise of sensitivity per rise of the false-positive rate, over a window that shrinks with the images."""
        widest = 0.5 * min(self.ranked.n_positive, self.ranked.n_negative) ** (-1 / 3)
        # Next to 0 the curve is steepest: a window that reached further to the right would flatten it.
        width = np.minimum(widest, np.maximum(rates, 1.0 / self.ranked.n_negative))
        left, right = (rates - width).clip(0.0, 1.0), (rates + width).clip(0.0, 1.0)
        ends = [self.sensitivities(self.cuts_at_rates(end)) for end in (left, right)]
        return np.asarray((ends[1] - ends[0]) / (right - left))

    def roc_pulls(self, cuts: _Cuts, rates: FloatArray) -> FloatArray:
        m, n = self.ranked.n_positive, self.ranked.n_negative
        value, slope, flags = self.sensitivities(cuts)[:, None], self.slope(rates)[:, None], self._flags(cuts)
        return self._by_person(
            np.where(self.is_positive, (flags - value) / m, -slope * (flags - rates[:, None]) / n)
        )

    def alarms_by_recall(self, recalls: FloatArray) -> FloatArray:
        """Rise of the false-positive rate per rise of the recall, over a window around each recall.

        Along the recall the curve is never upright, as it is along the rate where positives follow each other.
        """
        m, n = self.ranked.n_positive, self.ranked.n_negative
        width = np.minimum(0.5 * min(m, n) ** (-1 / 3), np.maximum(np.minimum(recalls, 1.0 - recalls), 1.0 / m))
        first, last = (recalls - width).clip(1.0 / m, 1.0), (recalls + width).clip(0.0, 1.0)
        ends = [self._at(self.cuts_at_recalls(end), 2) for end in (first, last)]
        return np.asarray((ends[1] - ends[0]) / np.maximum(last - first, 1.0 / m))

    def precision_pulls(self, cuts: _Cuts, recalls: FloatArray) -> FloatArray:
        m, n, size = self.ranked.n_positive, self.ranked.n_negative, self.ranked.n_images
        q, v, f = m / size, self._at(cuts, 1)[:, None], self._at(cuts, 2)[:, None]
        whole = (q * v + (1.0 - q) * f) ** 2
        of_share, of_alarms = v * f / whole, q * (1.0 - q) * v / whole
        back = self.alarms_by_recall(recalls)[:, None]
        flags = self._flags(cuts)
        shared = of_share * (self.is_positive - q) / size
        return self._by_person(
            shared - of_alarms * np.where(self.is_positive, -back * (flags - v) / m, (flags - f) / n)
        )

    def _by_person(self, values: FloatArray) -> FloatArray:
        """Sums over each person's images, scaled by sqrt(K/(K-1)), shape [points, K]."""
        n_persons = self.ranked.n_persons
        person = self.ranked.person[::-1]
        order = np.argsort(person, kind="stable")
        starts = np.searchsorted(person[order], np.arange(n_persons))
        sums = np.add.reduceat(values[:, order], starts, axis=1)
        return np.asarray(sums * math.sqrt(n_persons / max(n_persons - 1, 1)))


def _shares(binned: BinnedScores, values: FloatArray) -> FloatArray:
    """Mean of the values in each bin; nan where it is empty."""
    n = binned.counts
    return np.asarray(np.divide(binned.sums(values), n, out=np.full(len(n), np.nan), where=n > 0.0))


def _bin_point(
    binned: Sequence[BinnedScores], counts: FloatArray, shares: FloatArray, place: int, confidence_level: float
) -> tuple[float, float, float]:
    """Observed share of one bin with its limits."""
    tail = (1.0 - check_level(confidence_level)) / 2.0
    used = [int(seed) for seed in np.flatnonzero(counts[:, place])]
    values = shares[used, place]
    pulls = np.stack([_bin_pulls(binned[seed], place) for seed in used])
    sizes = [_bin_persons(binned[seed], place) for seed in used]
    persons = min(sizes)
    most = float(counts[used, place].max())
    has_repeats = persons < counts[used, place].min()
    df = float(max(persons - 1, 1)) if has_repeats else math.inf
    variance, joined = seed_variance(values, pulls, df)
    limits = _share_limits(float(values.mean()), variance, most, float(persons), joined)
    return (float(values.mean()), *limits.at_tail(tail))


def _bin_persons(binned: BinnedScores, place: int) -> int:
    return len(np.unique(binned.ranked.person[binned.code == place]))


def _bin_pulls(binned: BinnedScores, place: int) -> FloatArray:
    """Each person's pull on a bin's observed share, scaled so that the squares add up to its variance."""
    ranked, inside = binned.ranked, binned.code == place
    n = float(inside.sum())
    share = float(ranked.is_positive[inside].mean())
    pulls = ranked.sum_by_person(np.where(inside, (ranked.is_positive - share) / n, 0.0))
    persons = len(np.unique(ranked.person[inside]))
    return np.asarray(pulls * (math.sqrt(persons / (persons - 1)) if 1 < persons < n else 1.0))


def _share_limits(value: float, variance: float, most: float, at_ends: float, df: float) -> WilsonLimits:
    """Wilson's limits on the images that make p (1 - p) / n the variance; `at_ends` of them without a variance."""
    if not variance > NO_VARIANCE or not 0.0 < value < 1.0:
        return WilsonLimits(min(max(value, 0.0), 1.0), max(at_ends, 1.0), df)
    return WilsonLimits(value, min(value * (1.0 - value) / variance, max(most, 1.0)), df)


def _curve(
    x: FloatArray,
    values: FloatArray,
    pulls: FloatArray,
    at_ends: FloatArray,
    df: float,
    n_images: FloatArray | int,
    confidence_level: float,
) -> SeedCurve:
    """The mean of the fits' curves with Wilson-form limits of each point's variance.

    A variance along a curve is smooth, its estimate at one point is not, least with two or three seeds. So it and
    p (1 - p) are each averaged over neighbouring points before one is divided by the other, and all points share
    their degrees of freedom. Where next to nothing varies, one image that fell the other way stands in for what
    was not seen (docs/statistics.md).
    """
    tail = (1.0 - check_level(confidence_level)) / 2.0
    means, n_seeds = values.mean(axis=0), len(values)
    own = (pulls**2).sum(axis=2).mean(axis=0)
    total = (pulls.sum(axis=0) ** 2).sum(axis=1)
    between = np.maximum((total - n_seeds * own) / (n_seeds * max(n_seeds - 1, 1)), 0.0)
    spread = values.var(axis=0, ddof=1) if n_seeds > 1 else np.zeros(len(x))
    between, own, spread, product = (_smoothed(one) for one in (between, own, spread, means * (1.0 - means)))
    least = np.maximum(own - between, 0.0)
    variance = between + np.maximum(spread, least) / n_seeds if n_seeds > 1 else own
    joined = _common_df(between, own, spread, n_seeds, df) if n_seeds > 1 else df
    counts = np.broadcast_to(np.asarray(n_images, dtype=np.float64), x.shape)
    one_more = 1.0 / np.maximum(counts, 1.0)
    n = (product + one_more) / (variance + one_more / np.maximum(at_ends, 1.0))
    ends = [
        WilsonLimits(float(mean), float(size), joined).at_tail(tail) for mean, size in zip(means, n, strict=True)
    ]
    low, high = np.array(ends).T
    return SeedCurve(x, means, low, high, counts, np.full(len(x), n_seeds))


def _common_df(between: FloatArray, own: FloatArray, spread: FloatArray, n_seeds: int, person_df: float) -> float:
    """Degrees of freedom that all points of a curve share: Satterthwaite's of their variances in shares of v.

    Whether the seeds differ by more than their persons explain is asked once for the whole curve. Asked at each
    point, the answer would change from one to the next, and the width of the band with it.
    """
    weight = np.divide(1.0, own, out=np.zeros(len(own)), where=own > NO_VARIANCE)
    if not weight.any():
        return person_df
    c, v, s = (float((weight * one).sum()) for one in (np.minimum(between, own), own, spread))
    return joined_variance(c, v, s, n_seeds, person_df)[1]


def _smoothed(values: FloatArray) -> FloatArray:
    """Means over each point and its neighbours, as many on either side."""
    reach = np.minimum(NEIGHBOURS, np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    place = np.arange(len(values))
    return np.asarray((sums[place + reach + 1] - sums[place - reach]) / (2 * reach + 1))
