"""Where the networks look: mean heat maps over mean radiographs, heat inside boxes, and confident errors."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from subgroup_audit.report.contents import HeatMaps, distinct, rows_of
from subgroup_audit.report.numerals import decimal, interval, is_number, plural, signed
from subgroup_audit.study import Study

MAX_PANELS = 8
MAX_ERRORS = 48
MAX_SENTENCES = 12
SHOWN_SIDE = 168
COLD, HOT = np.array([255.0, 214.0, 64.0]), np.array([214.0, 20.0, 20.0])
"""Colours of a little heat and of the most; where there is none the radiograph shows through."""

Floats = NDArray[np.float64]
ErrorKey = tuple[str, str, str, str]


@dataclass(frozen=True)
class HeatPicture:
    """One mean map over its mean radiograph, or the reason why there is none."""

    label: str
    note: str
    uri: str
    alt: str
    reason: str


@dataclass(frozen=True)
class HeatPanel:
    """All pictures of one finding, model and recipe: a row per training cohort, columns by group and label.

    Attributes
    ----------
    most : the most heat of any picture, in multiples of heat spread evenly; the end of the common scale
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[HeatPicture | None, ...]], ...]
    most: float


@dataclass(frozen=True)
class ErrorGroup:
    """Confident errors of one training cohort on one test group."""

    title: str
    pictures: tuple[HeatPicture, ...]


@dataclass(frozen=True)
class BoxControl:
    """Heat in the boxes of a training cohort's own test images: the trained network beside the untrained one."""

    row: dict[str, Any]
    untrained: dict[str, Any] | None

    @property
    def reading(self) -> str:
        """What the difference of the two says of the training, in three words or four."""
        low, high = self.row["gain_low"], self.row["gain_high"]
        if not (is_number(low) and is_number(high)):
            return "cannot be said"
        if low > 0.0:
            return "training brought heat there"
        return "training took heat away" if high < 0.0 else "not told from untrained"


@dataclass(frozen=True)
class Looks:
    """All that the section shows."""

    panels: tuple[HeatPanel, ...]
    total: int
    boxes: tuple[dict[str, Any], ...]
    controls: tuple[BoxControl, ...]
    warning: str
    sentences: tuple[str, ...]
    errors: tuple[ErrorGroup, ...]
    n_errors: int
    unavailable: tuple[str, ...]
    n_most: int


def looks(found: HeatMaps | None, study: Study) -> Looks | None:
    """The section ready to be shown; None where a run holds none."""
    if found is None or not len(found.cells):
        return None
    keys = panel_keys(found.cells)
    groups = _error_groups(found)
    n_errors = 0 if found.errors is None else len(found.errors)
    boxes = tuple(rows_of(found.boxes))
    absent = found.cells[found.cells["status"] == "not available"]
    reasons = (absent["model"] + ", trained on " + absent["train_cohort"] + ": " + absent["reason"]).tolist()
    return Looks(
        panels=tuple(_panel(found, key, study) for key in keys[:MAX_PANELS]),
        total=len(keys),
        boxes=boxes,
        controls=tuple(box_controls(boxes)),
        warning=untrained_warning(boxes),
        sentences=tuple(box_sentences(boxes)),
        errors=groups,
        n_errors=n_errors,
        unavailable=tuple(distinct(reasons)),
        n_most=int(found.cells["n_images"].max()),
    )


def panel_keys(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Finding, model and recipe of each panel, in the order of the rows."""
    rows = cells[["finding", "model", "recipe"]].drop_duplicates()
    return [(str(a), str(b), str(c)) for a, b, c in rows.itertuples(index=False)]


def panel_cells(cells: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    """The rows of one panel."""
    return cells[(cells["finding"] == key[0]) & (cells["model"] == key[1]) & (cells["recipe"] == key[2])]


def _panel(found: HeatMaps, key: tuple[str, str, str], study: Study) -> HeatPanel:
    rows = panel_cells(found.cells, key)
    columns = tuple((group, label) for group in study.test_cohorts for label in ("positive", "negative"))
    by_cell = {(r["train_cohort"], r["test_group"], r["label"]): r for r in rows_of(rows)}
    most = most_heat(found, rows)
    lines = tuple(
        (cohort, tuple(_picture(found, by_cell.get((cohort, *column)), most) for column in columns))
        for cohort in distinct(rows["train_cohort"])
    )
    return HeatPanel(" / ".join(key), columns, lines, most)


def most_heat(found: HeatMaps, rows: pd.DataFrame) -> float:
    """The highest point of any of these mean maps, in multiples of heat spread evenly."""
    places = rows.loc[rows["place"] >= 0, "place"].to_numpy(dtype=np.int64)
    return max((float(times_even(found.maps[place]).max()) for place in places), default=1.0)


def times_even(heat: NDArray[Any]) -> Floats:
    """A map in multiples of heat spread evenly over the square: 1 everywhere if it were."""
    return np.asarray(heat, dtype=np.float64) * heat.size


def _picture(found: HeatMaps, row: Mapping[str, Any] | None, most: float) -> HeatPicture | None:
    if row is None:
        return None
    label = f"{row['test_group']}, {row['label']}"
    note = f"{plural(row['n_images'], 'image')}, {plural(row['n_patients'], 'person')}"
    if row["n_images"] < row["n_available"]:
        note = f"{row['n_images']} of {plural(row['n_available'], 'image')}, {plural(row['n_patients'], 'person')}"
    if row["place"] < 0:
        return HeatPicture(label, note, "", "", str(row["reason"]))
    place = int(row["place"])
    uri = overlay_uri(found.means[place], times_even(found.maps[place]) / most)
    return HeatPicture(label, note, uri, f"Mean heat map, {label}", str(row["reason"]))


def overlay_uri(picture: NDArray[np.uint8], heat: Floats) -> str:
    """The picture with heat from 0 to 1 laid over it, as a JPEG inside a data URI."""
    buffer = io.BytesIO()
    image = Image.fromarray(overlay(picture, heat, SHOWN_SIDE))
    image.save(buffer, format="JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def overlay(picture: NDArray[np.uint8], heat: Floats, side: int | None) -> NDArray[np.uint8]:
    """The picture with heat from 0 to 1 laid over it, in colours and `side` dots wide and high; None: as it is."""
    ground = Image.fromarray(picture)
    fine = Image.fromarray(np.clip(heat, 0.0, 1.0).astype(np.float32))
    if side is not None:
        ground = ground.resize((side, side), Image.Resampling.BILINEAR)
        fine = fine.resize((side, side), Image.Resampling.BILINEAR)
    grey = np.asarray(ground)[:, :, None]
    share = np.clip(np.asarray(fine, dtype=np.float64), 0.0, 1.0)[:, :, None]
    colour, opacity = COLD + (HOT - COLD) * share, 0.8 * share
    return np.asarray(np.rint((1.0 - opacity) * grey + opacity * colour), dtype=np.uint8)


def _error_groups(found: HeatMaps) -> tuple[ErrorGroup, ...]:
    groups: dict[ErrorKey, list[HeatPicture]] = {}
    for place, row in enumerate(rows_of(found.errors)[:MAX_ERRORS]):
        heat = found.error_maps[place].astype(np.float64)
        uri = overlay_uri(found.error_pictures[place], heat / max(float(heat.max()), 1e-12))
        who = " ".join(str(row[name]) for name in ("sex", "view") if name in row)
        label = f"{row['kind']}, {decimal(row['score'], 2)}"
        picture = HeatPicture(label, who, uri, f"{label}, {who}", "")
        key = (str(row["train_cohort"]), str(row["test_group"]), str(row["finding"]), str(row["model"]))
        groups.setdefault(key, []).append(picture)
    return tuple(
        ErrorGroup(f"{key[3]} trained on {key[0]}, tested on {key[1]} ({key[2]})", tuple(pictures))
        for key, pictures in groups.items()
    )


def box_controls(boxes: Sequence[Mapping[str, Any]]) -> list[BoxControl]:
    """The trained network beside the untrained one, a row per training cohort on its own test group."""
    own = [dict(row) for row in boxes if row["value"] == "all" and row["test_group"] == row["train_cohort"]]
    names = ("finding", "train_cohort", "model", "recipe")
    untrained = {tuple(row[name] for name in names): row for row in own if row["source"] == "untrained"}
    fitted = [row for row in own if row["source"] == "fitted"]
    return [BoxControl(row, untrained.get(tuple(row[name] for name in names))) for row in fitted]


def untrained_warning(boxes: Sequence[Mapping[str, Any]]) -> str:
    """That untrained networks have heat in the boxes too, where they do; '' without untrained networks."""
    controls = [control.untrained for control in box_controls(boxes)]
    known = [row for row in controls if row is not None and is_number(row["low"])]
    if not known:
        return ""
    above = [row for row in known if row["low"] > 0.0]
    if not above:
        return (
            "No untrained network has more heat in the boxes than evenly spread heat would. That is no proof that "
            "the trained one looks at the finding: compare the two."
        )
    shares = sorted(float(row["heat_share"]) for row in above)
    span = decimal(100 * shares[0], 1) + (f" to {decimal(100 * shares[-1], 1)}" if len(shares) > 1 else "")
    return (
        f"Untrained networks, which have learned nothing, have more heat in the boxes than evenly spread heat "
        f"would in {len(above)} of {plural(len(known), 'training cohort')} ({span} % of their heat): boxes lie "
        f"where the lungs are, and so do the edges to which any network answers. More heat in the boxes than "
        f"their area is therefore no evidence that the finding is looked at. Only the difference from the "
        f"untrained network is what training did."
    )


def box_sentences(boxes: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence a training cohort on its own test group: whether training brought heat to the boxes."""
    return [_box_sentence(control) for control in box_controls(boxes)[:MAX_SENTENCES]]


def _box_sentence(control: BoxControl) -> str:
    row, untrained = control.row, control.untrained
    where = f"{row['model']} trained on {row['train_cohort']}"
    if row["status"] == "not estimable":
        return f"{where}: heat inside the boxes cannot be said, since {row['reason']}."
    heat, area = (decimal(100 * row[name], 1) for name in ("heat_share", "area_share"))
    numbers = f"{heat} % of the heat lies in the boxes, which cover {area} % of the area"
    if untrained is None or not is_number(untrained["heat_share"]) or not is_number(row["gain_low"]):
        return f"{where}: {numbers}. Without the untrained network beside it, this says nothing of the training."
    before = f"the untrained network has {decimal(100 * untrained['heat_share'], 1)} % there"
    limits = interval(100 * row["gain_low"], 100 * row["gain_high"], 1, with_signs=True)
    gain = f"a difference of {signed(100 * row['gain'], 1)} points ({limits})"
    if row["gain_low"] > 0.0:
        return f"{where}: {numbers}; {before}, {gain}. Training brought heat to the boxes."
    if row["gain_high"] < 0.0:
        return f"{where}: {numbers}; {before}, {gain}. Training took heat out of the boxes."
    return f"{where}: {numbers}; {before}, {gain}. That training brought heat there is not shown."
