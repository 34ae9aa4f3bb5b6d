"""A horizontal scale: values to percent of the width, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from subgroup_audit.report.numerals import decimal, is_number, nice_ceiling, signed


@dataclass(frozen=True)
class Axis:
    """A linear scale from `low` to `high`, and its ticks as (percent, text)."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Percent of the width at which the value stands, kept inside the scale.

        >>> Axis(-0.1, 0.1, ()).place(0.05), Axis(-0.1, 0.1, ()).place(9.0)
        (75.0, 100.0)
        """
        share = (float(value) - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 3)

    def cuts(self, low: Any, high: Any) -> tuple[bool, bool]:
        """Whether an interval goes on beyond the scale, at its lower and at its upper end.

        >>> Axis(0.5, 1.0, ()).cuts(0.4, 0.9)
        (True, False)
        """
        return is_number(low) and float(low) < self.low, is_number(high) and float(high) > self.high


def _tick_step(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that makes at most five intervals."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power) if span / step <= 5 + 1e-9)


def _ticks(low: float, high: float, *, with_signs: bool) -> tuple[tuple[float, str], ...]:
    step = _tick_step(high - low)
    first = math.ceil(round(low / step, 9))
    last = math.floor(round(high / step, 9))
    show = signed if with_signs else decimal
    digits = max(1, -math.floor(math.log10(step)))
    bare = Axis(low, high, ())
    values = [number * step for number in range(first, last + 1)]
    return tuple((bare.place(v), "0" if abs(v) < step / 2 else show(v, digits)) for v in values)


def difference_axis(values: Iterable[object], margin: float, estimates: Iterable[object] = ()) -> Axis:
    """A scale around zero that holds the values and the margin band; the same on both sides.

    Values beyond 0.5 do not widen it: a cell that is nearly unknown must not squeeze all others. `estimates` do,
    since a mark may not stand where its number is not.

    >>> difference_axis([0.9], 0.05).high, difference_axis([0.9], 0.05, [0.53]).high
    (0.5, 0.56)
    """
    found, marks = ([abs(float(v)) for v in some if is_number(v)] for some in (values, estimates))  # type: ignore[arg-type]
    held = max([min(0.5, max([1.4 * margin, *found])), *(1.05 * mark for mark in marks)])
    limit = nice_ceiling(held, 0.02)
    return Axis(-limit, limit, _ticks(-limit, limit, with_signs=True))


def auc_axis(values: Iterable[object]) -> Axis:
    """A scale of AUC from the lowest value, at most 0.5, to 1."""
    found = [float(v) for v in values if is_number(v)]  # type: ignore[arg-type]
    low = -nice_ceiling(-min([0.5, *found]), 0.1)
    return Axis(low, 1.0, _ticks(low, 1.0, with_signs=False))


def span_axis(low: float, high: float) -> Axis:
    """A scale that holds both values, from and to a round number; few ticks, since it is drawn narrow.

    >>> [text for _, text in span_axis(0.62, 0.97).ticks], [text for _, text in span_axis(0.98, 0.99).ticks]
    (['0.6', '0.8', '1.0'], ['0.90', '0.95', '1.00'])
    """
    step = 0.05 if high - low <= 0.3 else 0.1
    bottom, top = -nice_ceiling(-low, step), nice_ceiling(high, step)
    bottom = min(bottom, round(top - 2 * step, 9))
    gaps = round((top - bottom) / step)
    each = math.ceil(gaps / 3)
    bare = Axis(bottom, top, ())
    values = [bottom + number * step for number in range(0, gaps + 1, each)]
    digits = 1 if step * each >= 0.1 and round(10 * bottom, 6).is_integer() else 2
    return Axis(bottom, top, tuple((bare.place(value), decimal(value, digits)) for value in values))
