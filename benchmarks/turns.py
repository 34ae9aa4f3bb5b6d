"""Ways of doing the same thing, measured in turns: what else the machine does then hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How much to measure: enough for a figure, or just enough to see that everything runs.

    Attributes
    ----------
    most_rounds : a limit to rounds, for busy machines
    """

    is_quick: bool = False
    most_rounds: int = 99

    def rounds(self, full: int) -> int:
        """How often the ways take turns."""
        return 1 if self.is_quick else min(full, self.most_rounds)

    def pick(self, full: int, quick: int) -> int:
        """A size."""
        return quick if self.is_quick else full


@dataclass(frozen=True)
class Figure:
    """One measured value, and a few words on what it came from."""

    value: float
    detail: str = ""


Figures = dict[str, Figure]
"""By the key of the goal; see `goals.py`."""


@dataclass(frozen=True)
class Turns:
    """What every way gave in every round; higher is faster."""

    rates: dict[str, list[float]]

    def rate(self, way: str) -> float:
        """The median over rounds."""
        return statistics.median(self.rates[way])

    def ratio(self, way: str, other: str) -> float:
        """How many times faster `way` is than `other`: the median of the rounds' ratios."""
        pairs = zip(self.rates[way], self.rates[other], strict=True)
        return statistics.median(a / b for a, b in pairs)

    def figure(self, way: str, other: str, unit: str) -> Figure:
        """Their ratio, with both rates."""
        return Figure(self.ratio(way, other), f"{self.rate(way):,.4g} against {self.rate(other):,.4g} {unit}")


def take_turns(ways: dict[str, Callable[[], float]], rounds: int) -> Turns:
    """Every way once a round, in an order that turns round every time; each returns its rate."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in names:
            rates[name].append(ways[name]())
    return Turns(rates)


def per_cpu_second(count: float, work: Callable[[], object]) -> float:
    """How many a second of this process's CPU time, all its threads counted."""
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def seconds_of(work: Callable[[], object], times: int) -> Figure:
    """The median of the seconds that some work takes by the clock, and of this process's CPU time beside it."""
    clock, spent = [], []
    for _ in range(times):
        started = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - started[0])
        spent.append(time.process_time() - started[1])
    detail = f"by the clock, median of {times}; {statistics.median(spent):.2f} s of CPU"
    return Figure(statistics.median(clock), detail)


def per_second(count: float, work: Callable[[], object]) -> float:
    """How many a second by the clock."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)
