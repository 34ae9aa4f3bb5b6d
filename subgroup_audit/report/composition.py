"""AUC by the share of a group in training: a curve with a band for each test group, where a study has mixes.

After Larrazabal et al. 2020, doi:10.1073/pnas.1919012117.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import RunContents, distinct, isolated, rows_of
from subgroup_audit.report.matrix import headline_finding, in_order, matching_references, matrix_cells
from subgroup_audit.report.numerals import decimal, interval, is_number, percent
from subgroup_audit.study import Study

FEWEST_SHARES = 2
MAX_PANELS = 8
COLOURS = ("#b84300", "#0067a5", "#1b1f24", "#00704f")
META = ("train", "val", "ink")  # the page's colours of the first groups
DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Curve:
    """One test group: its AUC at each share that has an estimate, with limits, and published figures by share."""

    test_group: str
    shares: tuple[float, ...]
    estimates: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    published: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Panel:
    """The curves of one model and recipe."""

    model: str
    recipe: str
    curves: tuple[Curve, ...]
    sentence: str


@dataclass(frozen=True)
class Composition:
    """All panels, what stands on the axis, and the rows as a table (`composition.csv`)."""

    attribute: str
    value: str
    finding: str
    confidence_level: float
    panels: tuple[Panel, ...]
    table: pd.DataFrame

    @property
    def axis_words(self) -> str:
        """What stands below the axis."""
        return f"Share of {self.attribute} {self.value} in training"


def mix_shares(study: Study) -> tuple[str, str, dict[str, float]] | None:
    """Attribute, value and its share in each mixed training cohort; None unless two or more mix one attribute."""
    mixes = {name: study.cohorts[name].mix for name in study.train_cohorts if study.cohorts[name].mix}
    attributes = {attribute for mix in mixes.values() for attribute in mix}
    if len(attributes) != 1 or any(len(mix) != 1 for mix in mixes.values()):
        return None
    attribute = next(iter(attributes))
    value = next(iter(next(iter(mixes.values()))[attribute]))
    shares = {name: mix[attribute].get(value, 0.0) for name, mix in mixes.items()}
    return (attribute, value, shares) if len(set(shares.values())) >= FEWEST_SHARES else None


def composition(contents: RunContents) -> Composition | None:
    """The curves ready to be drawn; None where the study mixes no single attribute, or nothing was estimated."""
    mixed = mix_shares(contents.study)
    if contents.result is None or mixed is None:
        return None
    attribute, value, shares = mixed
    cells = matrix_cells(contents.result.estimates)
    finding = headline_finding(distinct(cells["finding"]))
    cells = cells[(cells["finding"] == finding) & cells["train_cohort"].isin(list(shares))]
    if not cells["estimate"].notna().any():
        return None
    table = _table(cells, attribute, value, shares)
    level = float(cells["confidence_level"].dropna().iloc[0])
    panels = [_panel(rows, contents.study) for _, rows in table.groupby(["model", "recipe"], sort=False)]
    return Composition(attribute, value, finding, level, tuple(panels[:MAX_PANELS]), table)


def _table(cells: pd.DataFrame, attribute: str, value: str, shares: dict[str, float]) -> pd.DataFrame:
    named = [
        "finding",
        "model",
        "recipe",
        "train_cohort",
        "test_group",
        "estimate",
        "low",
        "high",
        "confidence_level",
    ]
    counts = ["n_patients", "n_images", "n_positive", "n_negative", "n_seeds", "status", "reason"]
    table = cells[[*named, *counts]].assign(
        attribute=attribute, value=value, share=cells["train_cohort"].map(shares).astype("float64")
    )
    first = ["attribute", "value", "share"]
    return table[[*first, *named, *counts]].sort_values(["model", "recipe", "test_group", "share"], kind="stable")


def _panel(rows: pd.DataFrame, study: Study) -> Panel:
    groups = in_order(distinct(rows["test_group"]), study.test_cohorts)
    curves = tuple(_curve(rows[rows["test_group"] == group], study) for group in groups)
    drawn = tuple(curve for curve in curves if curve.shares)
    return Panel(str(rows["model"].iloc[0]), str(rows["recipe"].iloc[0]), drawn, _sentence(drawn))


def _curve(rows: pd.DataFrame, study: Study) -> Curve:
    known = [row for row in rows_of(rows) if all(is_number(row[name]) for name in ("estimate", "low", "high"))]
    names = ("train_cohort", "test_group", "model", "recipe")
    published = [
        (float(row["share"]), reference.value)
        for row in rows_of(rows)
        for reference in matching_references(study, split="test", **{name: str(row[name]) for name in names})
    ]
    shares, estimates, low, high = (
        tuple(float(row[name]) for row in known) for name in ("share", "estimate", "low", "high")
    )
    return Curve(str(rows["test_group"].iloc[0]), shares, estimates, low, high, tuple(published))


def _sentence(curves: Sequence[Curve]) -> str:
    """The first and last point of each curve with their intervals; no verdict, which is the gaps' affair."""
    said = []
    for curve in curves:
        points = list(zip(curve.shares, curve.estimates, curve.low, curve.high, strict=True))
        ends = [
            f"{decimal(estimate)} ({interval(low, high)}) at {percent(share)}"
            for share, estimate, low, high in (points[0], points[-1])
        ]
        said.append(f"{isolated(curve.test_group)}: {' and '.join(ends)}")
    return f"AUC on {'; on '.join(said)}." if said else ""


def figure_spec(panel: Panel) -> dict[str, Any]:
    """The panel as plotly data and layout; holds numbers and our own words only, never a name from outside."""
    data: list[dict[str, Any]] = []
    for place, curve in enumerate(panel.curves):
        data += _traces(curve, place)
    values = [v for curve in panel.curves for v in (*curve.low, *curve.high, *(y for _, y in curve.published))]
    bottom, top = min([0.5, *values]) - 0.02, max([*values, 0.6]) + 0.02
    axis = {"zeroline": False, "automargin": True, "ticks": "outside", "ticklen": 3}
    layout = {
        "margin": {"l": 44, "r": 8, "t": 6, "b": 36},
        "height": 280,
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**axis, "range": [-0.03, 1.03], "tickformat": ".0%", "title": {"text": "Share in training"}},
        "yaxis": {**axis, "range": [max(0.0, bottom), min(1.02, top)], "title": {"text": "AUC"}},
    }
    return {"data": data, "layout": layout}


def _traces(curve: Curve, place: int) -> list[dict[str, Any]]:
    meta, dash = META[min(place, len(META) - 1)], DASHES[place % len(DASHES)]
    line = {"type": "scatter", "meta": meta}
    hover = "%{x:.0%} in training: AUC %{y:.3f}<extra></extra>"
    errors = {
        "type": "data",
        "symmetric": False,
        "array": [round(h - e, 4) for h, e in zip(curve.high, curve.estimates, strict=True)],
        "arrayminus": [round(e - low, 4) for e, low in zip(curve.estimates, curve.low, strict=True)],
        "width": 3,
        "thickness": 1,
    }
    drawn = {
        **line,
        "mode": "lines+markers",
        "x": list(curve.shares),
        "y": [round(value, 4) for value in curve.estimates],
        "error_y": errors,
        "line": {"width": 2, "dash": dash},
        "marker": {"size": 7},
        "hovertemplate": hover,
    }
    marks = {
        **line,
        "mode": "markers",
        "x": [share for share, _ in curve.published],
        "y": [value for _, value in curve.published],
        "marker": {"size": 9, "symbol": "diamond-open"},
        "hovertemplate": f"Reported, {hover}",
    }
    return [drawn, marks] if curve.published else [drawn]
