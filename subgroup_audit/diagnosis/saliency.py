"""Where the network looks: mean heat maps by group and label, heat inside annotated boxes, and confident errors.

A heat map is a weak witness. It says which places of the last map moved the score, coarsely; different methods
disagree, and some maps hardly change when the network's weights are made random (Adebayo et al. 2018,
arXiv:1810.03292). So the share of heat inside the boxes stands beside the share of area that they cover, which
heat spread evenly would have, and beside the same number of a network that has learned nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from subgroup_audit.schema import BOX_HEAT_COLUMNS, UNKNOWN, CohortManifest, Predictions
from subgroup_audit.stats import clustered_mean
from subgroup_audit.study import Study

MOST_IMAGES = 200
"""Images of a test group and label whose maps are averaged, at most."""

MOST_ERRORS = 4
"""Confident errors of each kind that are shown of a test group, at most."""

LABELS = ("positive", "negative")
HIGH_NEGATIVE, LOW_POSITIVE = "highest-scoring negative", "lowest-scoring positive"
METHOD = "mean over images, persons as clusters, Student's t; these fits"

Maps = NDArray[np.float32]
FitKey = tuple[str, str, str]


def draw_cells(study: Study, manifest: CohortManifest) -> pd.DataFrame:
    """Test images to look at: [finding, test_group, label, image_id, person, n_available, and sex and view].

    At most `MOST_IMAGES` of every finding, test group and label, in the order of a hash of their key, so the
    choice is the same at every run and is made without regard to what the images look like or score.
    """
    rows = tested_rows(study, manifest)
    rows = rows.assign(rank=[hashlib.sha256(f"look {key}".encode()).hexdigest() for key in rows["image_id"]])
    rows = rows.sort_values("rank")
    cells = rows.groupby(["finding", "test_group", "label"], sort=False)
    rows = rows.assign(n_available=cells["image_id"].transform("size"), turn=cells.cumcount())
    return rows[rows["turn"] < MOST_IMAGES].drop(columns=["rank", "turn"]).reset_index(drop=True)


def tested_rows(study: Study, manifest: CohortManifest) -> pd.DataFrame:
    """All test images of every test group: [finding, test_group, label, image_id, person, sex, view]."""
    frame = manifest.frame
    person = pd.factorize(frame["patient_id"], sort=True)[0]
    rows = frame.assign(person=person, label=np.where(frame["y_true"] == 1, *LABELS)).rename(
        columns={"cohort": "test_group"}
    )
    rows = rows[(rows["split"] == "test") & rows["test_group"].isin(study.test_cohorts)]
    attributes = [name for name in ("sex", "view") if name in rows]
    return rows[["finding", "test_group", "label", "image_id", "person", *attributes]].reset_index(drop=True)


def find_errors(study: Study, manifest: CohortManifest, predictions: Predictions, key: FitKey) -> pd.DataFrame:
    """The test images that the fits of one cohort, model and recipe get wrong most surely, by group and finding.

    Columns of `tested_rows` with `kind` and `score`, the mean over seeds; at most `MOST_ERRORS` of either kind.
    Only errors are shown: a negative that scores above the middle of the positives' scores, and the reverse.
    """
    frame = predictions.frame
    mine = frame[(frame["train_cohort"] == key[0]) & (frame["model"] == key[1]) & (frame["recipe"] == key[2])]
    score = mine.groupby(["finding", "image_id"])["y_score"].mean().rename("score").reset_index()
    rows = tested_rows(study, manifest).merge(score, on=["finding", "image_id"], validate="many_to_one")
    found = [_errors_of(part) for _, part in rows.groupby(["finding", "test_group"], sort=False)]
    return pd.concat(found, ignore_index=True)


def _errors_of(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values(["score", "image_id"])
    positive, negative = (ordered[ordered["label"] == label] for label in LABELS)
    high = negative[negative["score"] > positive["score"].median()].iloc[::-1].head(MOST_ERRORS)
    low = positive[positive["score"] < negative["score"].median()].head(MOST_ERRORS)
    return pd.concat([high.assign(kind=HIGH_NEGATIVE), low.assign(kind=LOW_POSITIVE)])


@dataclass(frozen=True, eq=False)
class Heat:
    """Maps of one training cohort's fits, for images found by id.

    Attributes
    ----------
    maps : float32 [seeds, n, findings, side, side]; each map sums to 1 or is zero
    """

    image_ids: tuple[str, ...]
    findings: tuple[str, ...]
    maps: Maps

    def of(self, image_ids: Sequence[str], finding: str) -> Maps:
        """Maps [seeds, m, side, side] of these images for a finding."""
        rows = pd.Index(self.image_ids).get_indexer(pd.Index(image_ids))
        return np.asarray(self.maps[:, rows, self.findings.index(finding)])

    def mean(self, image_ids: Sequence[str], finding: str) -> tuple[Maps | None, int]:
        """The mean map of these images over all seeds, and how many of their maps are zero everywhere."""
        maps = self.of(image_ids, finding)
        is_hot = maps.sum(axis=(2, 3)) > 0
        mean = maps[is_hot].mean(axis=0, dtype=np.float64).astype(np.float32) if is_hot.any() else None
        return mean, int((~is_hot).sum())


def box_masks(boxes: pd.DataFrame, extents: pd.DataFrame, image_ids: Sequence[str], side: int) -> Maps:
    """How much of each place of the padded square lies inside an image's boxes, [n, side, side], 0 to 1.

    Parameters
    ----------
    boxes : image_id, x, y, width, height in pixels of the original image
    extents : indexed by image_id: `width` and `height` of the original image, px
    """
    by_image = dict(iter(boxes.groupby("image_id", sort=False)))
    masks = np.zeros((len(image_ids), side, side), dtype=np.float32)
    for mask, image_id in zip(masks, image_ids, strict=True):
        if image_id not in by_image:
            continue
        width, height = extents.loc[image_id, ["width", "height"]].to_numpy(dtype=np.float64)
        scale = side / max(width, height)
        left, top = (side - width * scale) / 2.0, (side - height * scale) / 2.0
        for x, y, across, down in by_image[image_id][["x", "y", "width", "height"]].to_numpy(dtype=np.float64):
            columns = _covered(left + scale * x, scale * across, side)
            rows = _covered(top + scale * y, scale * down, side)
            np.maximum(mask, np.outer(rows, columns), out=mask)
    return masks


def _covered(start: float, length: float, side: int) -> Maps:
    """How much of each of `side` unit cells lies between start and start + length."""
    edges = np.arange(side, dtype=np.float64)
    inside = np.minimum(edges + 1.0, start + length) - np.maximum(edges, start)
    return np.asarray(np.clip(inside, 0.0, 1.0), dtype=np.float32)


def heat_in_boxes(
    study: Study, cells: pd.DataFrame, masks: Mapping[str, Maps], heat: Heat, untrained: Heat | None = None
) -> pd.DataFrame:
    """Heat and area inside the boxes of positive images with boxes, by group and by sex and view.

    `BOX_HEAT_COLUMNS` but for the names of the fit and the source. An image's heat share is its mean over seeds.
    With the maps of the `untrained` networks the `gain` is how much more heat training has brought into the boxes,
    on images that have heat in both.
    """
    boxed = cells[(cells["label"] == "positive") & cells["image_id"].isin(masks)]
    rows = [
        row
        for (finding, group), part in boxed.groupby(["finding", "test_group"], sort=False)
        for row in _group_rows(study, _shares(part, str(finding), masks, heat, untrained), len(heat.maps))
        for row in [{"finding": finding, "test_group": group} | row]
    ]
    named = ("train_cohort", "model", "recipe", "source")
    columns = [column.name for column in BOX_HEAT_COLUMNS if column.name not in named]
    return pd.DataFrame(rows, columns=columns)


def _shares(
    rows: pd.DataFrame, finding: str, masks: Mapping[str, Maps], heat: Heat, untrained: Heat | None
) -> pd.DataFrame:
    """The rows with the share of each image's heat and of its area that lies in its boxes, and the gain."""
    image_ids = rows["image_id"].tolist()
    stacked = np.stack([masks[image_id] for image_id in image_ids])
    share = _share_inside(heat.of(image_ids, finding), stacked)
    before = np.full(len(rows), np.nan)
    if untrained is not None:
        before = _share_inside(untrained.of(image_ids, finding), stacked)
    return rows.assign(heat_share=share, area_share=stacked.mean(axis=(1, 2)), gain=share - before)


def _share_inside(maps: Maps, masks: Maps) -> NDArray[np.float64]:
    """Share of each image's heat inside its boxes, mean over seeds; missing where no map has heat."""
    inside, total = (maps * masks).sum(axis=(2, 3), dtype=np.float64), maps.sum(axis=(2, 3), dtype=np.float64)
    is_hot = (total > 0).any(axis=0)
    share = np.full(len(is_hot), np.nan)
    np.divide(inside.sum(axis=0), total.sum(axis=0), out=share, where=is_hot)
    return share


def _group_rows(study: Study, shown: pd.DataFrame, n_seeds: int) -> Iterator[dict[str, Any]]:
    yield {"attribute": "", "value": "all"} | _box_row(study, shown, n_seeds)
    for attribute in ("sex", "view"):
        if attribute in shown and shown[attribute].nunique() > 1:
            for value, part in shown.groupby(attribute, sort=True):
                if value != UNKNOWN:
                    yield {"attribute": attribute, "value": value} | _box_row(study, part, n_seeds)


def _box_row(study: Study, rows: pd.DataFrame, n_seeds: int) -> dict[str, Any]:
    level, fewest = study.analysis.confidence_level, study.analysis.min_persons
    hot = rows[rows["heat_share"].notna()]
    common = {"confidence_level": level, "n_seeds": n_seeds, "n_images": len(hot), **_gain(rows, level)}
    if hot.empty:
        numbers = dict.fromkeys(("heat_share", "area_share", "estimate", "low", "high", "standard_error"))
        reason = f"none of {len(rows)} maps has any heat"
        return {
            **numbers,
            **common,
            "method": "none",
            "n_patients": 0,
            "status": "not estimable",
            "reason": reason,
        }
    difference = hot["heat_share"] - hot["area_share"]
    found = clustered_mean(difference, person=hot["person"], confidence_level=level)
    cold = len(rows) - len(hot)
    reasons = [f"{found.n_persons} persons"] if found.n_persons < fewest else []
    reasons += [f"{cold} images without heat left out"] if cold else []
    return {
        **common,
        "heat_share": float(hot["heat_share"].mean()),
        "area_share": float(hot["area_share"].mean()),
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "method": METHOD,
        "n_patients": found.n_persons,
        "status": "small" if found.n_persons < fewest else "ok",
        "reason": "; ".join(reasons),
    }


def _gain(rows: pd.DataFrame, level: float) -> dict[str, float | None]:
    """What training brought into the boxes, with limits over persons; None without an untrained network."""
    both = rows[rows["gain"].notna()]
    if both.empty:
        return dict.fromkeys(("gain", "gain_low", "gain_high"))
    found = clustered_mean(both["gain"], person=both["person"], confidence_level=level)
    return {"gain": found.estimate, "gain_low": found.low, "gain_high": found.high}
