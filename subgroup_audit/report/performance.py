"""Curves, calibration and decisions by group: a panel for every fit, drawn as SVG paths and rows of dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

from subgroup_audit.audit.pairs import attribute_groups
from subgroup_audit.report.axes import Axis, difference_axis, span_axis
from subgroup_audit.report.contents import RunContents, distinct, isolated, rows_of
from subgroup_audit.report.matrix import in_order
from subgroup_audit.report.numerals import decimal, interval, is_number, plural, signed
from subgroup_audit.study import Study

# What a page draws: cells, and groups in one plot. The tables hold everything.
MAX_CELLS = 300
MAX_LINES = 6
# A bin of the score with fewer images, mean over seeds, is not drawn.
FEWEST_IN_BIN = 5
FIT = ("finding", "model", "recipe", "train_cohort")
OTHER_GROUPS = "Other test groups"
# The drawing's units: a square of 500 in a box of 600 by 584.
LEFT, TOP, SIDE = 84, 14, 500
ENDS = ("low", "high")
ROUND_STEPS = (0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)


@dataclass(frozen=True)
class PlotKind:
    """A kind of curve, and what its axes are called."""

    name: str
    title: str
    x_title: str
    y_title: str


PLOTS: Mapping[str, PlotKind] = {
    "roc": PlotKind("roc", "ROC", "False-positive rate (1 − specificity)", "Sensitivity"),
    "precision_recall": PlotKind(
        "precision_recall", "Precision and recall", "Sensitivity (recall)", "PPV (precision)"
    ),
    "reliability": PlotKind("reliability", "Calibration", "Mean score", "Share with the finding"),
}
# Each rate with the name of its complement, which is one minus it.
RATES: Mapping[str, tuple[str, str, str, str]] = {
    "sensitivity": (
        "Sensitivity",
        "of those with the finding, how many are called",
        "false_negative_rate",
        "missed",
    ),
    "specificity": (
        "Specificity",
        "of those without it, how many are not called",
        "false_positive_rate",
        "false alarms",
    ),
    "ppv": ("PPV", "of those who are called, how many have it", "", ""),
    "npv": ("NPV", "of those who are not called, how many are without it", "", ""),
}


@dataclass(frozen=True)
class Line:
    """One group in a plot.

    Attributes
    ----------
    values : x, y, lower and upper limit of every point, as shares
    is_binned : whether the points are marks of their own, joined by a thin line
    operating : where the operating point lies, as shares; None where the plot has none
    """

    group: str
    style: int
    values: tuple[tuple[float, float, float, float], ...]
    is_binned: bool
    operating: tuple[float, float] | None = None

    @property
    def path(self) -> str:
        """The curve as an SVG path."""
        return svg_path([(at_x(x), at_y(y)) for x, y, _, _ in self.values])

    @property
    def band(self) -> str:
        """The band as a closed SVG path; '' where the limits are bars."""
        if self.is_binned:
            return ""
        lower = [(at_x(x), at_y(low)) for x, _, low, _ in self.values]
        upper = [(at_x(x), at_y(high)) for x, _, _, high in self.values]
        return svg_path([*lower, *reversed(upper)], is_closed=True)

    @property
    def marks(self) -> tuple[tuple[int, int, int, int], ...]:
        """Marks with their bars, in the drawing's units."""
        if not self.is_binned:
            return ()
        return tuple((at_x(x), at_y(y), at_y(low), at_y(high)) for x, y, low, high in self.values)

    @property
    def point(self) -> tuple[int, int] | None:
        """The operating point in the drawing's units."""
        return None if self.operating is None else (at_x(self.operating[0]), at_y(self.operating[1]))


@dataclass(frozen=True)
class Plot:
    """One plot of one fit and one set of groups; `shares` are drawn as soft horizontal lines."""

    kind: PlotKind
    lines: tuple[Line, ...]
    shares: tuple[float, ...] = ()

    @property
    def levels(self) -> tuple[int, ...]:
        """Where the soft lines stand in the drawing's units."""
        return tuple(at_y(share) for share in self.shares)


@dataclass(frozen=True)
class GroupRow:
    """One group's numbers that need no operating point, by metric; AUC is the audit's own."""

    group: str
    style: int
    numbers: Mapping[str, dict[str, Any]]

    @property
    def counts(self) -> dict[str, Any]:
        """Persons and images."""
        return next(iter(self.numbers.values()), {})

    def text(self, metric: str, digits: int = 2) -> tuple[str, str]:
        """The number and its limits; the reason in place of the limits where there is none."""
        row = self.numbers.get(metric, {})
        if not is_number(row.get("estimate")):
            return "–", str(row.get("reason") or "not stored")
        return decimal(row["estimate"], digits), interval(row["low"], row["high"], digits)


@dataclass(frozen=True)
class GroupSet:
    """The groups of one attribute under one fit."""

    title: str
    rows: tuple[GroupRow, ...]
    plots: tuple[Plot, ...]
    n_left_out: int = 0


@dataclass(frozen=True)
class DotRow:
    """One number on a scale, in percent of its width; `at` is None where it cannot be estimated."""

    label: str
    style: int
    at: float | None
    low_at: float | None
    high_at: float | None
    cut: tuple[bool, bool]
    text: str
    limits: str
    note: str
    reading: str
    is_told: bool = False


@dataclass(frozen=True)
class DotBlock:
    """One rate: its rows by set of groups."""

    title: str
    meaning: str
    axis: Axis
    sets: tuple[tuple[str, tuple[DotRow, ...]], ...]


@dataclass(frozen=True)
class FitPanel:
    """Everything that is shown of one fit; `places` are its positions in the choosers."""

    finding: str
    model: str
    recipe: str
    train_cohort: str
    places: Mapping[str, int]
    name: str
    sets: tuple[GroupSet, ...]
    point: str
    rates: tuple[DotBlock, ...]
    gaps: tuple[DotBlock, ...]


@dataclass(frozen=True)
class Facet:
    """A chooser: the name of the data attribute that it sets, its words, and its options."""

    name: str
    label: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Performance:
    """All panels that are drawn, what chooses among them, and how many fits the tables hold."""

    panels: tuple[FitPanel, ...]
    facets: tuple[Facet, ...]
    n_fits: int
    confidence_level: float
    n_seeds: int
    fewest: int = FEWEST_IN_BIN


def performance(contents: RunContents) -> Performance | None:
    """What a page shows of performance by group; None where the run has stored none."""
    numbers = contents.performance
    if numbers is None or not len(numbers):
        return None
    study = contents.study
    keys = _ordered_fits(numbers, study)
    tests = in_order(distinct(numbers["test_group"]), study.test_cohorts)
    shown = keys[: max(1, MAX_CELLS // max(1, len(tests)))]
    facets = _facets(shown)
    frames = _Frames(contents, group_sets(study, tests))
    return Performance(
        panels=tuple(_panel(key, frames, facets) for key in shown),
        facets=tuple(facet for facet in facets if len(facet.options) > 1),
        n_fits=len(keys),
        confidence_level=float(numbers["confidence_level"].iloc[0]),
        n_seeds=int(numbers["n_seeds"].max()),
    )


def group_sets(study: Study, tests: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The test groups by the attribute that tells them apart; what belongs to none comes last."""
    found = {
        attribute: tuple(name for name in names if name in tests)
        for attribute, names in attribute_groups(study).items()
    }
    found = {attribute: names for attribute, names in found.items() if names}
    rest = tuple(name for name in tests if not any(name in names for names in found.values()))
    return {**found, OTHER_GROUPS: rest} if rest else found


def _ordered_fits(numbers: pd.DataFrame, study: Study) -> list[tuple[str, ...]]:
    keys = list(dict.fromkeys(numbers[list(FIT)].astype("str").itertuples(index=False, name=None)))
    orders = [study.finding_names, list(study.models), list(study.recipes), study.train_cohorts]

    def place(key: tuple[str, ...]) -> tuple[int, ...]:
        known = [list(order) for order in orders]
        return tuple(
            order.index(one) if one in order else len(order) for one, order in zip(key, known, strict=True)
        )

    return sorted(keys, key=place)


def _facets(keys: Sequence[tuple[str, ...]]) -> tuple[Facet, ...]:
    several = len({(key[1], key[2]) for key in keys}) > len({key[1] for key in keys})
    fits = distinct(_fit_name(key, with_recipe=several) for key in keys)
    return (
        Facet("finding", "Finding", tuple(distinct(key[0] for key in keys))),
        Facet("model", "Model", tuple(fits)),
        Facet("cohort", "Trained on", tuple(distinct(key[3] for key in keys))),
    )


def _fit_name(key: tuple[str, ...], *, with_recipe: bool) -> str:
    return f"{key[1]} · {key[2]}" if with_recipe else key[1]


class _Frames:
    """The stored frames, by fit."""

    def __init__(self, contents: RunContents, sets: Mapping[str, tuple[str, ...]]) -> None:
        self.sets = sets
        self.numbers = _by_fit(contents.performance)
        self.curves = _by_fit(contents.performance_curves)
        self.gaps = _by_fit(contents.performance_gaps)
        self.points = _by_fit(contents.operating_points)
        estimates = None if contents.result is None else contents.result.estimates
        is_test = None if estimates is None else estimates[estimates["split"] == "test"]
        self.aucs = _by_fit(is_test)


def _by_fit(frame: pd.DataFrame | None) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows_of(frame):
        found.setdefault(tuple(str(row[name]) for name in FIT), []).append(row)
    return found


def _panel(key: tuple[str, ...], frames: _Frames, facets: Sequence[Facet]) -> FitPanel:
    numbers: dict[str, dict[str, dict[str, Any]]] = {}
    for row in [*frames.numbers.get(key, []), *frames.aucs.get(key, [])]:
        numbers.setdefault(str(row["test_group"]), {})[str(row["metric"])] = row
    several = any(" · " in option for option in facets[1].options)
    fit = _fit_name(key, with_recipe=several and f"{key[1]} · {key[2]}" in facets[1].options)
    values = (key[0], fit, key[3])
    shown = [isolated(value) for facet, value in zip(facets[:2], values, strict=False) if len(facet.options) > 1]
    curves = _curves_by_group(frames.curves.get(key, []))
    sets = tuple(_group_set(title, names, numbers, curves) for title, names in frames.sets.items())
    finding, model, recipe, train_cohort = key
    return FitPanel(
        finding=finding,
        model=model,
        recipe=recipe,
        train_cohort=train_cohort,
        places={facet.name: facet.options.index(value) for facet, value in zip(facets, values, strict=True)},
        name=" · ".join([*shown, f"Trained on {isolated(key[3])}"]),
        sets=sets,
        point=_point_sentence(frames.points.get(key, [])),
        rates=_rate_blocks(frames.sets, numbers),
        gaps=_gap_blocks(frames.sets, frames.gaps.get(key, [])),
    )


def _curves_by_group(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((str(row["test_group"]), str(row["curve"])), []).append(row)
    return found


def _group_set(
    title: str,
    names: Sequence[str],
    numbers: Mapping[str, dict[str, dict[str, Any]]],
    curves: Mapping[tuple[str, str], list[dict[str, Any]]],
) -> GroupSet:
    drawn = names[:MAX_LINES]
    rows = tuple(GroupRow(name, place, numbers.get(name, {})) for place, name in enumerate(drawn))
    plots = tuple(_plot(kind, rows, curves) for kind in PLOTS.values())
    return GroupSet(title, rows, plots, len(names) - len(drawn))


def _plot(
    kind: PlotKind, rows: Sequence[GroupRow], curves: Mapping[tuple[str, str], list[dict[str, Any]]]
) -> Plot:
    lines = []
    for row in rows:
        points = curves.get((row.group, kind.name), [])
        if kind.name == "reliability":
            points = [point for point in points if point["n_images"] >= FEWEST_IN_BIN]
        if points:
            lines.append(_line(kind, row, points))
    shares = _prevalences(rows) if kind.name == "precision_recall" else []
    return Plot(kind, tuple(lines), tuple(dict.fromkeys(shares)))


def _prevalences(rows: Sequence[GroupRow]) -> list[float]:
    """The share of positives of each group, to two digits: the precision of calling everybody."""
    found = [(row.counts.get("n_positive"), row.counts.get("n_images")) for row in rows]
    return [round(m / n, 2) for m, n in found if is_number(m) and is_number(n) and n]


def at_x(value: float) -> int:
    """Where a share stands on the horizontal scale of a drawing."""
    return round(LEFT + SIDE * min(1.0, max(0.0, float(value))))


def at_y(value: float) -> int:
    """Where a share stands on the vertical scale of a drawing, which counts from the top."""
    return round(TOP + SIDE * (1.0 - min(1.0, max(0.0, float(value)))))


def svg_path(points: Sequence[tuple[int, int]], *, is_closed: bool = False) -> str:
    """A path through the points in whole units, in as few letters as it takes; points that repeat are left out.

    >>> svg_path([(1, 2), (4, 2), (4, 2), (5, 0)]), svg_path([(0, 0), (2, 0), (2, 2)], is_closed=True)
    ('M1 2l3 0 1-2', 'M0 0l2 0 0 2z')
    """
    steps = [
        (x - before_x, y - before_y)
        for (before_x, before_y), (x, y) in pairwise(points)
        if (x, y) != (before_x, before_y)
    ]
    moves = "".join(f" {dx}{'' if dy < 0 else ' '}{dy}" for dx, dy in steps).strip()
    return f"M{points[0][0]} {points[0][1]}{'l' if moves else ''}{moves}{'z' if is_closed else ''}"


def _line(kind: PlotKind, row: GroupRow, points: Sequence[dict[str, Any]]) -> Line:
    values = tuple((float(p["x"]), float(p["y"]), float(p["low"]), float(p["high"])) for p in points)
    if kind.name == "reliability":
        return Line(row.group, row.style, values, is_binned=True)
    return Line(row.group, row.style, values, is_binned=False, operating=_operating(kind, row))


def _operating(kind: PlotKind, row: GroupRow) -> tuple[float, float] | None:
    """Where the operating point lies in the plot."""
    names = ("false_positive_rate", "sensitivity") if kind.name == "roc" else ("sensitivity", "ppv")
    x, y = (row.numbers.get(name, {}).get("estimate") for name in names)
    return (float(x), float(y)) if is_number(x) and is_number(y) else None  # type: ignore[arg-type]


def _point_sentence(rows: Sequence[dict[str, Any]]) -> str:
    """How the operating points of a fit were chosen, and what they are."""
    known = [float(row["threshold"]) for row in rows if is_number(row["threshold"])]
    if not rows:
        return ""
    if len(known) < len(rows):
        return f"{rows[0]['reason'] or 'No operating point could be chosen'}.".capitalize()
    first = rows[0]
    where = (
        f"chosen by {rule_words(str(first['rule']).split(',')[0])} on "
        f"{plural(first['n_positive'] + first['n_negative'], 'validation image')} of "
        f"{plural(first['n_patients'], 'person')} of the training cohort"
    )
    if len(known) == 1:
        return f"A score of {decimal(known[0])} or more is called positive, {where}."
    mean = decimal(sum(known) / len(known))
    return (
        f"Each seed's fit has an operating point of its own (scores from {decimal(min(known))} to "
        f"{decimal(max(known))}, mean {mean}), {where}."
    )


def rule_words(rule: str) -> str:
    """A rule of the study file in words.

    >>> rule_words("youden"), rule_words("sensitivity=0.9")
    ("Youden's index (the largest sum of sensitivity and specificity)", 'a sensitivity of at least 0.9')
    """
    name, _, target = rule.partition("=")
    if target:
        return f"a {name} of at least {target}"
    named = {"youden": "Youden's index (the largest sum of sensitivity and specificity)", "f1": "the largest F1"}
    return named.get(name, name)


def _rate_blocks(
    sets: Mapping[str, tuple[str, ...]], numbers: Mapping[str, dict[str, dict[str, Any]]]
) -> tuple[DotBlock, ...]:
    groups = [name for names in sets.values() for name in names]
    rows = [numbers.get(name, {}).get(metric, {}) for name in groups for metric in RATES]
    ends = [float(row[end]) for row in rows for end in ("low", "high") if is_number(row.get(end))]
    if not ends:
        return ()
    axis = span_axis(min(ends), max(ends))
    blocks = []
    for metric, (title, meaning, complement, words) in RATES.items():
        drawn = tuple(
            (name, tuple(_rate_row(group, place, numbers, metric, (complement, words), axis)
                         for place, group in enumerate(groups_of)))
            for name, groups_of in sets.items()
        )  # fmt: skip
        blocks.append(DotBlock(title, meaning, axis, drawn))
    return tuple(blocks)


def _rate_row(
    group: str,
    place: int,
    numbers: Mapping[str, dict[str, dict[str, Any]]],
    metric: str,
    complement: tuple[str, str],
    axis: Axis,
) -> DotRow:
    row = numbers.get(group, {}).get(metric, {})
    other = numbers.get(group, {}).get(complement[0], {})
    note = ""
    if is_number(other.get("estimate")):
        note = f"{complement[1]} {decimal(other['estimate'], 2)} ({interval(other['low'], other['high'], 2)})"
    return _dot_row(group, place % MAX_LINES, row, axis, note=note)


def _dot_row(
    label: str, style: int, row: Mapping[str, Any], axis: Axis, *, note: str = "", with_signs: bool = False
) -> DotRow:
    show = signed if with_signs else decimal
    if not is_number(row.get("estimate")):
        reason = str(row.get("reason") or "not stored")
        return DotRow(label, style, None, None, None, (False, False), "–", reason, "", f"{label}: {reason}")
    low, high = row["low"], row["high"]
    text, limits = show(row["estimate"], 2), interval(low, high, 2, with_signs=with_signs)
    is_told = with_signs and is_number(low) and is_number(high) and (low > 0 or high < 0)
    return DotRow(
        label=label,
        style=style,
        at=axis.place(row["estimate"]),
        low_at=axis.place(low) if is_number(low) else None,
        high_at=axis.place(high) if is_number(high) else None,
        cut=axis.cuts(low, high),
        text=text,
        limits=limits,
        note=note,
        reading=f"{isolated(label)}: {text} ({limits})",
        is_told=bool(is_told),
    )


def _gap_blocks(sets: Mapping[str, tuple[str, ...]], rows: Sequence[dict[str, Any]]) -> tuple[DotBlock, ...]:
    """The gaps of the four rates; those of their complements are the same with the other sign."""
    chosen = [row for row in rows if row["metric"] in RATES]
    if not chosen:
        return ()
    axis = _few_ticks(
        difference_axis([row[end] for row in chosen for end in ENDS], 0.05, [row["estimate"] for row in chosen])
    )
    blocks = []
    for metric, (title, meaning, _, _) in RATES.items():
        of_metric = [row for row in chosen if row["metric"] == metric]
        drawn = []
        for name, groups in sets.items():
            pairs = [row for row in of_metric if row["test_group"] in groups]
            drawn.append((name, tuple(_gap_row(row, axis) for row in pairs)))
        blocks.append(DotBlock(title, meaning, axis, tuple(part for part in drawn if part[1])))
    return tuple(blocks)


def _few_ticks(axis: Axis) -> Axis:
    """The scale with a tick in the middle and one on either side, since it is drawn narrow."""
    at = next((step for step in ROUND_STEPS if step <= 0.75 * axis.high), axis.high)
    ticks = [(-at, signed(-at, 2)), (0.0, "0"), (at, signed(at, 2))]
    return Axis(axis.low, axis.high, tuple((axis.place(value), text) for value, text in ticks))


def _gap_row(row: Mapping[str, Any], axis: Axis) -> DotRow:
    label = f"{isolated(row['test_group'])} − {isolated(row['other'])}"
    return _dot_row(label, 0, row, axis, with_signs=True)
