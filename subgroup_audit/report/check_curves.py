"""Curves by group: a panel for each model, finding, attribute and kind of curve, as plotly data and layout."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.checking.result import CheckResult
from subgroup_audit.report.check_tables import Subject, of_subject
from subgroup_audit.report.contents import distinct
from subgroup_audit.report.numerals import is_number

MAX_LINES = 6
MAX_POINTS = 60
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True)
class CurveKind:
    """A kind of curve: the columns of its axes, and what they are called."""

    name: str
    title: str
    x: str
    y: str
    x_title: str
    y_title: str
    mode: str = "lines"
    diagonal: bool = False
    low: str = "low"
    high: str = "high"


KINDS: Mapping[str, CurveKind] = {
    "roc": CurveKind(
        "roc",
        "ROC",
        "false_positive_rate",
        "sensitivity",
        "1 − specificity",
        "Sensitivity",
        diagonal=True,
        low="sensitivity_low",
        high="sensitivity_high",
    ),
    "precision_recall": CurveKind(
        "precision_recall",
        "Precision and recall",
        "recall",
        "precision",
        "Sensitivity (recall)",
        "PPV (precision)",
        low="precision_low",
        high="precision_high",
    ),
    "reliability": CurveKind(
        "reliability",
        "Calibration",
        "mean_score",
        "observed",
        "Mean score",
        "Share positive",
        mode="lines+markers",
        diagonal=True,
    ),
    "net_benefit": CurveKind("net_benefit", "Net benefit", "threshold", "net_benefit", "Threshold", "Net benefit"),
}


@dataclass(frozen=True)
class CurveLine:
    """A group's line: its name, and the places of its colour and dash in the palette."""

    group: str
    style: int
    dash: str


@dataclass(frozen=True, eq=False)
class CurveFigure:
    """One panel: whose curves, of which attribute, its lines for the legend, and how many groups have no room."""

    key: str
    kind: str
    attribute: str
    lines: tuple[CurveLine, ...]
    left_out: int
    spec: dict[str, Any]
    points: pd.DataFrame


def curve_figures(result: CheckResult, subject: Subject, kind: str) -> list[CurveFigure]:
    """The panels of one kind of curve, one for each attribute; one of everybody where there is none."""
    frame = result.curves.get(kind)
    if frame is None or not len(frame):
        return []
    rows = of_subject(frame, subject, result.settings.get("judged_split", "test"))
    attributes = [name for name in distinct(rows["attribute"]) if name] or ([""] if len(rows) else [])
    return [_figure(rows[rows["attribute"] == name], name, KINDS[kind], subject) for name in attributes]


def _figure(rows: pd.DataFrame, attribute: str, kind: CurveKind, subject: Subject) -> CurveFigure:
    groups = distinct(rows["group"])
    shown = _with_room(rows, groups)
    lines = tuple(CurveLine(group, place, DASHES[place]) for place, group in enumerate(shown))
    points = {line.group: _fewer(rows[rows["group"] == line.group]) for line in lines}
    data = [trace for line in lines for trace in _traces(points[line.group], line, kind)]
    if kind.name == "net_benefit" and len(rows):
        data.append(_treat_nobody(rows))
    if kind.diagonal:
        data.insert(0, _diagonal())
    key = f"{kind.name}-{subject.key}-{attribute}"
    kept = pd.concat(points.values()) if points else rows
    return CurveFigure(key, kind.name, attribute, lines, len(groups) - len(shown), _spec(data, kind, rows), kept)


def _with_room(rows: pd.DataFrame, groups: list[str]) -> list[str]:
    """At most `MAX_LINES` groups, in their order: those with most points have most images."""
    if len(groups) <= MAX_LINES:
        return groups
    sizes = rows["group"].value_counts()
    chosen = set(sorted(groups, key=lambda group: -int(sizes[group]))[:MAX_LINES])
    return [group for group in groups if group in chosen]


def _fewer(points: pd.DataFrame) -> pd.DataFrame:
    """The points, thinned evenly where there are more than a screen can tell apart."""
    if len(points) <= MAX_POINTS:
        return points
    places = sorted({round(place * (len(points) - 1) / (MAX_POINTS - 1)) for place in range(MAX_POINTS)})
    return points.iloc[places]


def _rounded(values: pd.Series) -> list[float | None]:
    return [round(float(value), 4) if is_number(value) else None for value in values]


def _traces(points: pd.DataFrame, line: CurveLine, kind: CurveKind) -> list[dict[str, Any]]:
    """A group's band, drawn as one closed outline, and its line above it."""
    colour = f"group-{line.style}"
    drawn = []
    banded = points[points[kind.low].notna() & points[kind.high].notna()]
    if len(banded) > 1 and kind.mode == "lines":
        along, back = _rounded(banded[kind.x]), _rounded(banded[kind.x])[::-1]
        outline = [*_rounded(banded[kind.low]), *_rounded(banded[kind.high])[::-1]]
        drawn.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [*along, *back],
                "y": outline,
                "fill": "toself",
                "line": {"width": 0},
                "meta": colour,
                "hoverinfo": "skip",
            }
        )
    return [*drawn, _line_trace(points, line, kind, colour)]


def _line_trace(points: pd.DataFrame, line: CurveLine, kind: CurveKind, colour: str) -> dict[str, Any]:
    name = html.escape(line.group[:60]).replace("%{", "% {")
    trace = {
        "type": "scatter",
        "mode": kind.mode,
        "x": _rounded(points[kind.x]),
        "y": _rounded(points[kind.y]),
        "line": {"width": 2, "dash": line.dash},
        "meta": colour,
        "hovertemplate": f"{name}<br>{kind.x_title} %{{x:.3f}}<br>{kind.y_title} %{{y:.3f}}<extra></extra>",
    }
    if kind.mode != "lines":
        up = (points[kind.high] - points[kind.y]).clip(lower=0)
        down = (points[kind.y] - points[kind.low]).clip(lower=0)
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": _rounded(up),
            "arrayminus": _rounded(down),
            "width": 0,
            "thickness": 1,
        }
        trace["marker"] = {"size": 6}
    return trace


def _diagonal() -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1],
        "y": [0, 1],
        "line": {"width": 1, "dash": "dot"},
        "meta": "soft",
        "hoverinfo": "skip",
    }


def _treat_nobody(rows: pd.DataFrame) -> dict[str, Any]:
    ends = [float(rows["threshold"].min()), float(rows["threshold"].max())]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": ends,
        "y": [0, 0],
        "line": {"width": 1, "dash": "dot"},
        "meta": "soft",
        "hoverinfo": "skip",
    }


def _spec(data: list[dict[str, Any]], kind: CurveKind, rows: pd.DataFrame) -> dict[str, Any]:
    axis = {"zeroline": False, "automargin": True, "ticks": "outside", "ticklen": 3, "nticks": 6}
    y_range = [-0.02, 1.02] if kind.name != "net_benefit" else _benefit_range(rows)
    x_range = [-0.02, 1.02]
    if kind.name == "net_benefit":
        x_range = [float(rows["threshold"].min()), float(rows["threshold"].max())]
    layout = {
        "margin": {"l": 48, "r": 8, "t": 6, "b": 40},
        "height": 280,
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**axis, "range": x_range, "title": {"text": kind.x_title, "standoff": 4}},
        "yaxis": {**axis, "range": y_range, "title": {"text": kind.y_title, "standoff": 4}},
    }
    return {"data": data, "layout": layout}


def _benefit_range(rows: pd.DataFrame) -> list[float]:
    top = float(rows["net_benefit"].max()) if len(rows) else 1.0
    return [-0.25 * max(top, 0.04), 1.1 * max(top, 0.04)]
