"""ROC, precision-recall and decision curves with pointwise limits, persons as clusters, from one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from subgroup_audit.errors import StatisticsError
from subgroup_audit.stats.inputs import FloatArray, IntArray, check_level
from subgroup_audit.stats.limits import t_quantile
from subgroup_audit.stats.measurement import NO_VARIANCE
from subgroup_audit.stats.operating_points import cumulative_counts
from subgroup_audit.stats.ranked import RankedScores
from subgroup_audit.stats.rates import FEW_EVENTS

# Points that a curve is drawn with: far below what a screen shows.
N_POINTS = 101
_PROBABILITIES = np.arange(1, 100) / 100.0


@dataclass(frozen=True, eq=False)
class Band:
    """A rate along a curve, with pointwise limits; nan where it has nothing to be a share of."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Rates at falling thresholds: two of them are the ROC curve, sensitivity and precision the PR curve."""

    threshold: FloatArray
    sensitivity: Band
    false_positive_rate: Band
    precision: Band


def threshold_curve(
    ranked: RankedScores, *, n_points: int = N_POINTS, confidence_level: float = 0.95
) -> ThresholdCurve:
    """Sensitivity, false-positive rate and precision along the thresholds, the same limits as `rate_interval`.

    The points are distinct scores, evenly spread along the ROC curve, the first above all scores.

    Raises
    ------
    StatisticsError
        A class is missing.
    """
    if not ranked.n_positive or not ranked.n_negative:
        raise StatisticsError("a curve over thresholds needs both classes, but only one is there")
    tail = (1.0 - check_level(confidence_level)) / 2.0
    thresholds, cuts = _spread_points(ranked, n_points)
    return _threshold_curve(thresholds, _PersonSums.at(ranked, cuts), tail)


def _spread_points(ranked: RankedScores, n_points: int) -> tuple[FloatArray, IntArray]:
    """Thresholds evenly spread along the ROC curve, and how many images each calls positive."""
    thresholds, hits, alarms = cumulative_counts(ranked)
    way = np.concatenate(([0.0], hits / ranked.n_positive + alarms / ranked.n_negative))
    chosen = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], n_points)).clip(0, len(way) - 1))
    cuts = np.concatenate(([0.0], hits + alarms))[chosen].astype(np.int64)
    return np.concatenate(([math.inf], thresholds))[chosen], cuts


def _threshold_curve(thresholds: FloatArray, sums: _PersonSums, tail: float) -> ThresholdCurve:
    return ThresholdCurve(
        threshold=thresholds,
        sensitivity=sums.sensitivity(tail),
        false_positive_rate=sums.false_positive_rate(tail),
        precision=sums.precision(tail),
    )


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit at threshold probabilities, and that of calling everybody positive."""

    threshold: FloatArray
    net_benefit: Band
    treat_all: FloatArray


def decision_curve(
    ranked: RankedScores, thresholds: ArrayLike | None = None, *, confidence_level: float = 0.95
) -> DecisionCurve:
    """The decision curve (Vickers & Elkin 2006) with pointwise limits, the same as `net_benefit`'s.

    Parameters
    ----------
    thresholds : array of threshold probabilities, 0 or more and below 1; 0.01 to 0.99 if not given
    """
    at = _PROBABILITIES if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    tail = (1.0 - check_level(confidence_level)) / 2.0
    return _decision_curve(at, _PersonSums.at(ranked, _cuts_at(ranked, at)), tail)


def threshold_and_decision_curve(
    ranked: RankedScores, *, confidence_level: float = 0.95
) -> tuple[ThresholdCurve, DecisionCurve]:
    """Both curves with their default points, from one pass over the persons."""
    if not ranked.n_positive or not ranked.n_negative:
        raise StatisticsError("a curve over thresholds needs both classes, but only one is there")
    tail = (1.0 - check_level(confidence_level)) / 2.0
    thresholds, cuts = _spread_points(ranked, N_POINTS)
    sums = _PersonSums.at(ranked, np.concatenate([cuts, _cuts_at(ranked, _PROBABILITIES)]))
    first, second = sums.part(slice(None, len(cuts))), sums.part(slice(len(cuts), None))
    return _threshold_curve(thresholds, first, tail), _decision_curve(_PROBABILITIES, second, tail)


def _cuts_at(ranked: RankedScores, thresholds: FloatArray) -> IntArray:
    return np.asarray(ranked.n_images - np.searchsorted(ranked.score, thresholds, side="left"))


def _decision_curve(at: FloatArray, sums: _PersonSums, tail: float) -> DecisionCurve:
    odds = at / (1.0 - at)
    prevalence = sums.ranked.n_positive / sums.ranked.n_images
    return DecisionCurve(at, sums.net_benefit(odds, tail), prevalence - odds * (1.0 - prevalence))


@dataclass(frozen=True, eq=False)
class _PersonSums:
    """At each cut, sums over persons of products of their flagged positives T, negatives F and totals.

    With T_k and F_k the flagged positive and negative images of person k, m_k and n_k all of them, and i_k
    both together: tt = sum T^2, tf = sum T F, ff = sum F^2, tm = sum T m, fn = sum F n, ti = sum T i and
    fi = sum F i.
    """

    ranked: RankedScores
    hits: FloatArray
    alarms: FloatArray
    products: dict[str, FloatArray]
    persons: dict[str, FloatArray]
    totals: dict[str, float]

    @classmethod
    def at(cls, ranked: RankedScores, cuts: IntArray) -> _PersonSums:
        """The sums where the `cuts` highest images are called positive."""
        positive = ranked.is_positive[::-1]
        hits = _running(positive, cuts)
        if not ranked.has_repeated_persons:
            return cls(ranked, hits, cuts - hits, {}, {}, {})
        person = ranked.person[::-1]
        m = np.bincount(person[positive], minlength=ranked.n_persons).astype(float)
        i = np.bincount(person, minlength=ranked.n_persons).astype(float)
        n = i - m
        earlier_t, earlier_f = _earlier(person, positive)
        t, f = positive.astype(float), (~positive).astype(float)
        products = {
            "tt": t * (2.0 * earlier_t + 1.0),
            "ff": f * (2.0 * earlier_f + 1.0),
            "tf": t * earlier_f + f * earlier_t,
            "tm": t * m[person],
            "fn": f * n[person],
            "ti": t * i[person],
            "fi": f * i[person],
        }
        persons = {
            "t": t * (earlier_t == 0.0),
            "f": f * (earlier_f == 0.0),
            "any": (earlier_t + earlier_f == 0.0).astype(float),
            "all_t": t * (earlier_t + 1.0 == m[person]),
            "all_f": f * (earlier_f + 1.0 == n[person]),
            "only_t": t * (earlier_t + 1.0 == i[person]),
            "only_f": f * (earlier_f + 1.0 == i[person]),
        }
        return cls(
            ranked,
            hits,
            cuts - hits,
            {name: _running(values, cuts) for name, values in products.items()},
            {name: _running(values, cuts) for name, values in persons.items()},
            {"mm": float(m @ m), "nn": float(n @ n), "ii": float(i @ i)},
        )

    def part(self, chosen: slice) -> _PersonSums:
        """The same at some of the cuts."""
        products = {name: values[chosen] for name, values in self.products.items()}
        persons = {name: values[chosen] for name, values in self.persons.items()}
        return _PersonSums(self.ranked, self.hits[chosen], self.alarms[chosen], products, persons, self.totals)

    def sensitivity(self, tail: float) -> Band:
        """Flagged positives over positives."""
        p, of = self.hits / self.ranked.n_positive, float(self.ranked.n_positive)
        if not self.products:
            return _band(p, np.full(len(p), of), math.inf, tail)
        square = self.products["tt"] - 2.0 * p * self.products["tm"] + p * p * self.totals["mm"]
        n_persons = np.full(len(p), float(self.ranked.n_persons_positive))
        events = np.minimum(self.persons["t"], n_persons - self.persons["all_t"])
        return _clustered_band(p, square, np.full(len(p), of), n_persons, events, tail)

    def false_positive_rate(self, tail: float) -> Band:
        """Flagged negatives over negatives."""
        p, of = self.alarms / self.ranked.n_negative, float(self.ranked.n_negative)
        if not self.products:
            return _band(p, np.full(len(p), of), math.inf, tail)
        square = self.products["ff"] - 2.0 * p * self.products["fn"] + p * p * self.totals["nn"]
        n_persons = np.full(len(p), float(self.ranked.n_persons_negative))
        events = np.minimum(self.persons["f"], n_persons - self.persons["all_f"])
        return _clustered_band(p, square, np.full(len(p), of), n_persons, events, tail)

    def precision(self, tail: float) -> Band:
        """Flagged positives over all flagged."""
        of = self.hits + self.alarms
        p = np.divide(self.hits, of, out=np.full(len(of), np.nan), where=of > 0.0)
        if not self.products:
            return _band(p, of, math.inf, tail)
        square = (1.0 - p) ** 2 * self.products["tt"] - 2.0 * p * (1.0 - p) * self.products["tf"]
        square += p * p * self.products["ff"]
        events = np.minimum(self.persons["t"], self.persons["f"])
        return _clustered_band(p, square, of, self.persons["any"], events, tail)

    def net_benefit(self, odds: FloatArray, tail: float) -> Band:
        """Share of flagged positives less `odds` times that of flagged negatives, of all images."""
        n = float(self.ranked.n_images)
        p, q = self.hits / n, self.alarms / n
        right, wrong = self._share_of_all(p, "t", tail), self._share_of_all(q, "f", tail)
        scale = np.sqrt(self._square(p, "t") * self._square(q, "f"))
        together = np.divide(self._cross(p, q), scale, out=np.zeros(len(p)), where=scale > 0.0).clip(-1.0, 1.0)
        value = p - odds * q
        near, far = right.value - right.low, odds * (wrong.high - wrong.value)
        low = value - _joint(near, far, right, wrong, odds, together)
        near, far = right.high - right.value, odds * (wrong.value - wrong.low)
        high = value + _joint(near, far, right, wrong, odds, together)
        return Band(value, low, high)

    def _share_of_all(self, p: FloatArray, kind: str, tail: float) -> Band:
        n, k = self.ranked.n_images, self.ranked.n_persons
        of = np.full(len(p), float(n))
        if not self.products:
            return _band(p, of, math.inf, tail)
        events = np.minimum(self.persons[kind], k - self.persons[f"only_{kind}"])
        return _clustered_band(p, self._square(p, kind), of, np.full(len(p), float(k)), events, tail)

    def _square(self, p: FloatArray, kind: str) -> FloatArray:
        if not self.products:
            return np.asarray(p * (1.0 - p) * self.ranked.n_images)
        found = self.products[kind * 2] - 2.0 * p * self.products[f"{kind}i"] + p * p * self.totals["ii"]
        return np.asarray(np.maximum(found, 0.0))

    def _cross(self, p: FloatArray, q: FloatArray) -> FloatArray:
        if not self.products:
            return np.asarray(-p * q * self.ranked.n_images)
        products = self.products
        return np.asarray(products["tf"] - q * products["ti"] - p * products["fi"] + p * q * self.totals["ii"])


def _joint(
    near: FloatArray, far: FloatArray, right: Band, wrong: Band, odds: FloatArray, r: FloatArray
) -> FloatArray:
    """MOVER's reach (see `MoverLimits`)."""
    down = (right.value - right.low) - odds * (wrong.value - wrong.low)
    up = (right.high - right.value) - odds * (wrong.high - wrong.value)
    together = np.maximum(np.abs(down), np.abs(up))
    apart = near**2 + far**2
    positive = (1.0 - r) * apart + r * together**2
    return np.asarray(np.sqrt(np.maximum(np.where(r > 0.0, positive, apart - 2.0 * r * near * far), 0.0)))


def _band(p: FloatArray, n: FloatArray, df: FloatArray | float, tail: float) -> Band:
    """Wilson's limits on `n` independent images each."""
    distinct, which = np.unique(np.broadcast_to(np.asarray(df, dtype=np.float64), p.shape), return_inverse=True)
    square = np.array([t_quantile(tail, float(one)) for one in distinct])[which] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (p + square / (2.0 * n)) / (1.0 + square / n)
        reach = np.sqrt(square * (p * (1.0 - p) / n + square / (4.0 * n * n))) / (1.0 + square / n)
    low = np.where(p == 0.0, 0.0, np.maximum(middle - reach, 0.0))
    high = np.where(p == 1.0, 1.0, np.minimum(middle + reach, 1.0))
    missing = np.isnan(p)
    return Band(p, np.where(missing, np.nan, low), np.where(missing, np.nan, high))


def _clustered_band(
    p: FloatArray, square: FloatArray, n: FloatArray, n_persons: FloatArray, events: FloatArray, tail: float
) -> Band:
    """Wilson's limits on the effective n that makes the binomial variance the clustered one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(square / n**2 > NO_VARIANCE, square / n**2, 0.0) * n_persons / (n_persons - 1.0)
        effective = np.where(variance > 0.0, np.minimum(p * (1.0 - p) / variance, n), n_persons)
    effective = np.where(events < FEW_EVENTS, np.minimum(effective, n_persons), effective)
    is_alone = n_persons == n
    return _band(
        p, np.where(is_alone, n, effective), np.where(is_alone, math.inf, np.maximum(n_persons - 1, 1)), tail
    )


def _running(values: ArrayLike, cuts: IntArray) -> FloatArray:
    """Sum of the first `cuts` values, for each cut."""
    return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))[cuts]


def _earlier(person: IntArray, positive: np.ndarray) -> tuple[FloatArray, FloatArray]:
    """How many positive, and negative, images of the same person come before each image."""
    order = np.argsort(person, kind="stable")
    is_first = np.concatenate(([True], person[order][1:] != person[order][:-1]))
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    before = np.concatenate(([0], np.cumsum(positive[order])))
    t = np.empty(len(order))
    f = np.empty(len(order))
    t[order] = before[:-1] - before[start]
    f[order] = np.arange(len(order)) - start - t[order]
    return t, f
