"""Learning curves as small multiples: a panel per cohort, model, recipe and measure, a line per seed and phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subgroup_audit.report.contents import distinct, rows_of
from subgroup_audit.report.matrix import in_order
from subgroup_audit.report.numerals import is_number
from subgroup_audit.study import Reference, Study

MEASURES = {"auc": "AUC", "accuracy": "Accuracy", "loss": "Loss"}
PHASES = ("train", "val")
MAX_GROUPS = 60
# Which of the page's colours a published figure has: that of its curve, and the ink's for test, which has none.
PUBLISHED_COLOURS = {"train": "train", "val": "val", "test": "ink"}


@dataclass(frozen=True)
class Line:
    """One fit in one phase; `measured` holds None where nothing was logged.

    Attributes
    ----------
    best : place of the kept epoch in `epochs`; None where it is not known
    """

    phase: str
    seed: int
    epochs: tuple[int, ...]
    measured: tuple[float | None, ...]
    best: int | None


@dataclass(frozen=True)
class Published:
    """A published figure of a panel's measure; drawn at the right edge, since no epoch is known of it."""

    split: str
    value: float
    label: str


@dataclass(frozen=True)
class CurvePanel:
    """One measure of the fits of one cohort, model and recipe; a measure has one range, a recipe one span."""

    train_cohort: str
    model: str
    recipe: str
    measure: str
    lines: tuple[Line, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    published: tuple[Published, ...] = ()


def curve_panels(history: pd.DataFrame, study: Study) -> list[CurvePanel]:
    """The panels in the study's order: cohort, model, recipe, then AUC, accuracy and loss as far as logged."""
    measures = [name for name in MEASURES if name in history.columns and history[name].notna().any()]
    ranges = {name: _range(history[name], name) for name in measures}
    last = history.groupby("recipe")["epoch"].max()  # a recipe of 100 epochs must not squeeze one of 10
    panels = []
    for cohort, model, recipe in _groups(history, study)[:MAX_GROUPS]:
        chosen = history[
            (history["train_cohort"] == cohort) & (history["model"] == model) & (history["recipe"] == recipe)
        ]
        for name in measures:
            lines = _lines(chosen, name)
            published = _published(study, name, cohort, model, recipe)
            panels.append(
                CurvePanel(
                    cohort,
                    model,
                    recipe,
                    name,
                    lines,
                    (0.0, max(float(last[recipe]), 1.0) + 0.5),
                    ranges[name],
                    published,
                )
            )
    return panels


def published_of(study: Study, cohort: str, model: str, recipe: str) -> tuple[Reference, ...]:
    """The figures published of these fits, of any measure and split, on the group that they were trained on."""
    return tuple(
        reference
        for reference in study.reference
        if (reference.train_cohort or (cohort if len(study.train_cohorts) == 1 else None)) == cohort
        and (reference.test_group or cohort) == cohort
        and (reference.model or model) == model
        and (reference.recipe or recipe) == recipe
    )


def _published(study: Study, measure: str, cohort: str, model: str, recipe: str) -> tuple[Published, ...]:
    found = published_of(study, cohort, model, recipe)
    return tuple(Published(r.split, r.value, r.label) for r in found if r.metric == measure)


def _groups(history: pd.DataFrame, study: Study) -> list[tuple[str, str, str]]:
    keys = history[["train_cohort", "model", "recipe"]].astype("str").drop_duplicates()
    present = {(row["train_cohort"], row["model"], row["recipe"]) for row in rows_of(keys)}
    cohorts = in_order(distinct(history["train_cohort"]), study.train_cohorts)
    models = in_order(distinct(history["model"]), list(study.models))
    recipes = in_order(distinct(history["recipe"]), list(study.recipes))
    wanted = [(c, m, r) for c in cohorts for m in models for r in recipes]
    return [key for key in wanted if key in present]


def _range(values: pd.Series, measure: str) -> tuple[float, float]:
    """Limits that hold every value with a little air; AUC and accuracy always show from 0.45, or below, to 1."""
    low, high = float(values.min()), float(values.max())
    if measure != "loss":
        return (min(0.45, low - 0.02), 1.02)
    return (min(0.0, low), 1.05 * high if high > 0 else 1.0)


def _lines(rows: pd.DataFrame, measure: str) -> tuple[Line, ...]:
    found = dict(iter(rows.sort_values("epoch", kind="stable").groupby(["phase", "fit_id"])))
    fits = list(rows["fit_id"].drop_duplicates())
    keys = [(phase, fit_id) for phase in PHASES for fit_id in fits]
    return tuple(_line(found[key], key[0], measure) for key in keys if key in found)


def _line(fit: pd.DataFrame, phase: str, measure: str) -> Line:
    values = tuple(float(v) if is_number(v) else None for v in fit[measure])
    flags = [bool(flag) for flag in fit["is_best"]] if "is_best" in fit.columns else []
    best = flags.index(True) if True in flags else None
    return Line(phase, int(fit["seed"].iloc[0]), tuple(int(e) for e in fit["epoch"]), values, best)


def figure_spec(panel: CurvePanel) -> dict[str, Any]:
    """The panel as plotly data and layout. Holds numbers and our own words only, never a name from outside.

    `meta` carries the phase, from which the page's script picks the colour of the reader's theme, and
    `legendgroup` the seed, by which it shows one seed alone.
    """
    data = [_trace(line, MEASURES[panel.measure]) for line in panel.lines]
    data += [_best_mark(line) for line in panel.lines if line.best is not None and line.phase == "val"]
    data += [_published_mark(found, panel) for found in panel.published]
    axis = {"zeroline": False, "fixedrange": False, "automargin": True, "ticks": "outside", "ticklen": 3}
    layout = {
        "margin": {"l": 44, "r": 8, "t": 6, "b": 36},
        "height": 190,
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {**axis, "range": list(panel.x_range), "title": {"text": "Epoch", "standoff": 4}},
        "yaxis": {**axis, "range": list(panel.y_range), "nticks": 6},
    }
    return {"data": data, "layout": layout}


def _trace(line: Line, measure: str) -> dict[str, Any]:
    phase = "Training" if line.phase == "train" else "Validation"
    return {
        "type": "scatter",
        "mode": "lines" if len(line.epochs) > 1 else "markers",
        "x": list(line.epochs),
        "y": [None if value is None else round(value, 4) for value in line.measured],
        "line": {"width": 1.4, "dash": "dot" if line.phase == "train" else "solid"},
        "meta": line.phase,
        "legendgroup": str(line.seed),
        "hovertemplate": f"{phase}, seed {line.seed}<br>epoch %{{x}}: {measure} %{{y:.3f}}<extra></extra>",
    }


def _best_mark(line: Line) -> dict[str, Any]:
    at = line.best or 0
    value = line.measured[at]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [line.epochs[at]],
        "y": [None if value is None else round(value, 4)],
        "marker": {"size": 7, "symbol": "circle"},
        "meta": line.phase,
        "legendgroup": str(line.seed),
        "hovertemplate": f"Kept epoch of seed {line.seed}: %{{x}}<extra></extra>",
    }


def _published_mark(found: Published, panel: CurvePanel) -> dict[str, Any]:
    split = {"train": "training", "val": "validation", "test": "test"}[found.split]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [panel.x_range[1]],
        "y": [found.value],
        "cliponaxis": False,
        "marker": {"size": 9, "symbol": "triangle-left-open", "line": {"width": 1.5}},
        "meta": PUBLISHED_COLOURS[found.split],
        "hovertemplate": f"Reported, {split}: {found.value:.3f}<extra></extra>",
    }
