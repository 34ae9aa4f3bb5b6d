"""The truth that a phantom leaves behind, and the observer who knows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from scipy.special import ndtr

from subgroup_audit.datasets.phantom_anatomy import Film
from subgroup_audit.datasets.phantom_design import GROUPS
from subgroup_audit.datasets.phantom_person import Opacity
from subgroup_audit.datasets.phantom_strokes import FloatMap
from subgroup_audit.errors import DataError


@dataclass(frozen=True, eq=False)
class PhantomTruth:
    """What a phantom planted: its settings, and one row per image.

    Columns of `frame`: see docs/phantom.md. `has_opacity` is the truth, `label` what the
    label file says; `boxes` are "x y width height" in pixels, joined by ";"; `signal` and `noise` are log
    exposures (nats), `dprime` their ratio.
    """

    settings: Mapping[str, Any]
    frame: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Write truth.csv (rows) and truth.json (settings and what follows from them)."""
        self.frame.to_csv(folder / "truth.csv", index=False, float_format="%.6g", lineterminator="\n")
        report = {"settings": dict(self.settings), "planted": summarise(self)}
        text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False)
        (folder / "truth.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> PhantomTruth:
        """The truth of a phantom folder; `DataError` where it has none."""
        rows, report = folder / "truth.csv", folder / "truth.json"
        if not (rows.is_file() and report.is_file()):
            raise DataError(f"{folder}: no truth.csv and truth.json; is this a folder that `audit phantom` wrote?")
        text = dict.fromkeys(("image_id", "patient_id", "sex", "view", "class_name", "boxes"), str)
        text |= dict.fromkeys(("abnormality", "defect"), str)
        frame = pd.read_csv(rows, dtype=text, keep_default_na=False, na_values={"dprime": [""], "noise": [""]})
        return cls(json.loads(report.read_text(encoding="utf-8"))["settings"], frame)


def summarise(truth: PhantomTruth) -> dict[str, Any]:
    """Counts and the ideal observer's AUC of the whole and of every group; None where it has no value."""
    frame = truth.frame
    groups: list[dict[str, str]] = [{}, *({a: g} for a, allowed in GROUPS.items() for g in allowed)]
    groups += [{"sex": sex, "view": view} for sex in GROUPS["sex"] for view in GROUPS["view"]]
    rows = []
    for group in groups:
        chosen = frame[_belongs(frame, group)]
        rows.append(
            {
                "group": group,
                "n_images": len(chosen),
                "n_patients": int(chosen["patient_id"].nunique()),
                "n_opacity": int(chosen["has_opacity"].sum()),
                "n_labelled": int(chosen["label"].sum()),
                "n_wrong": int(chosen["label_is_wrong"].sum()),
                "ideal_observer_auc": _auc_or_none(truth, group, label="label"),
                "ideal_observer_auc_true_labels": _auc_or_none(truth, group, label="has_opacity"),
            }
        )
    return {"groups": rows, "defects": frame["defect"].replace("", "none").value_counts().to_dict()}


def _belongs(frame: pd.DataFrame, group: Mapping[str, str]) -> pd.Series:
    chosen = pd.Series(data=True, index=frame.index)
    for attribute, value in group.items():
        chosen &= frame[attribute] == value
    return chosen


def _auc_or_none(truth: PhantomTruth, group: Mapping[str, str], *, label: str) -> float | None:
    chosen = truth.frame[_belongs(truth.frame, group)]
    if chosen[label].nunique() < 2:
        return None
    return round(ideal_observer_auc(truth, group, label=label), 6)


def ideal_observer_auc(
    truth: PhantomTruth, group: Mapping[str, str] | None = None, *, label: str = "label"
) -> float:
    """AUC, in [0, 1], of the observer who knows each opacity's place and size, in one group.

    The observer's score of image i is normal with mean `dprime[i]` (0 without an opacity) and variance 1, hence
    AUC = mean over pairs (i labelled positive, j labelled negative) of Phi((dprime[i] - dprime[j]) / sqrt(2)):
    no sampling, no fitting. With `label="has_opacity"` the truth before label noise is the reference.

    Parameters
    ----------
    group : mapping of column to value, or None
        E.g. ``{"sex": "F"}``; None takes every image.

    Raises
    ------
    DataError
        Where the group has no positive or no negative image.

    References
    ----------
    Barrett and Myers 2004, Foundations of Image Science, section 13.2 (AUC and detectability).
    """
    chosen = truth.frame[_belongs(truth.frame, group or {}) & truth.frame["dprime"].notna()]
    is_positive = chosen[label].astype(bool)
    positive = chosen.loc[is_positive, "dprime"].to_numpy(dtype=np.float64)
    negative = chosen.loc[~is_positive, "dprime"].to_numpy(dtype=np.float64)
    if not len(positive) or not len(negative):
        raise DataError(
            f"truth.csv: group {dict(group or {})} has {len(positive)} positive and "
            f"{len(negative)} negative images; an AUC needs both"
        )
    levels, counts = np.unique(negative, return_counts=True)
    wins = sum(n * ndtr((positive - level) / np.sqrt(2)).mean() for level, n in zip(levels, counts, strict=True))
    return float(wins / counts.sum())


def metadata_auc(truth: PhantomTruth, attribute: str, *, label: str = "label") -> float:
    """AUC, in [0, 1], of knowing one attribute and nothing else: each image scored by its group's label share.

    This is how strong a shortcut the attribute is: 0.5 where every group has the same prevalence.
    """
    frame = truth.frame
    is_positive = frame[label].astype(bool)
    rate = is_positive.groupby(frame[attribute]).transform("mean").to_numpy(dtype=np.float64)
    ranks = pd.Series(rate).rank().to_numpy()
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        raise DataError(f"truth.csv: {n_positive} positive and {n_negative} negative images; an AUC needs both")
    won = float(ranks[is_positive.to_numpy()].sum()) - n_positive * (n_positive + 1) / 2
    return won / (n_positive * n_negative)


@dataclass(frozen=True)
class Detectability:
    """What the known-box observer measures in one image.

    `signal` is the mean log exposure that the opacities add inside their boxes above a frame around them (nats,
    the largest box); `noise` the standard deviation of the same difference over the person's lungs without any
    opacity; `dprime` the boxes' ratios added in quadrature, 0 where nothing was drawn.
    """

    signal: float
    noise: float
    dprime: float


def measure_detectability(film: Film, opacities: Sequence[Opacity], size: int) -> Detectability:
    """The known-box observer's signal, noise and their ratio; boxes in pixels of an image `size` a side.

    Means are taken over lung alone (air path above a fifth of its maximum), so that heart, diaphragm and chest
    wall, which the observer knows, do not count as noise. Measured on 64 x 64 pixels of log exposure.
    """
    lung = np.asarray(film.air_cm > 0.2 * film.air_cm.max(), dtype=np.float32)
    drawn = sorted((o for o in opacities if o.contrast > 0), key=lambda o: -o.width * o.height)
    pairs = [_measure_box(film, lung, opacity.scaled(64 / size)) for opacity in drawn]
    if not pairs:
        return Detectability(0.0, 0.0, 0.0)
    dprime = float(np.sqrt(sum((signal / noise) ** 2 for signal, noise in pairs)))
    return Detectability(pairs[0][0], pairs[0][1], dprime)


def _measure_box(film: Film, lung: FloatMap, box: Opacity) -> tuple[float, float]:
    """Signal and noise of one box, in pixels of the coarse grid."""
    row = int(np.clip(box.y + box.height / 2, 0, 63))
    column = int(np.clip(box.x + box.width / 2, 0, 63))
    noise = _against_frame(film.clutter, lung, box)[lung > 0].std()
    signal = _against_frame(film.signal, np.ones_like(lung), box)[row, column]
    return max(float(signal), 0.0), float(max(noise, 1e-3))


def _against_frame(field: FloatMap, weight: FloatMap, box: Opacity) -> FloatMap:
    """Weighted mean of `field` over a box centred at every pixel, less that over a frame of twice its sides."""
    inner = (max(round(box.width), 1), max(round(box.height), 1))
    outer = (2 * inner[0] + 1, 2 * inner[1] + 1)
    inside, inside_n = _box_sum(field * weight, inner), _box_sum(weight, inner)
    both, both_n = _box_sum(field * weight, outer), _box_sum(weight, outer)
    frame = (both - inside) / np.maximum(both_n - inside_n, np.float32(1))
    return np.asarray(inside / np.maximum(inside_n, np.float32(1)) - frame, dtype=np.float32)


def _box_sum(field: FloatMap, sides: tuple[int, int]) -> FloatMap:
    summed = cv2.boxFilter(field, -1, sides, normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(summed, dtype=np.float32)
