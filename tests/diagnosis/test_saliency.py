"""Which images are looked at, what boxes cover, and how much heat lies inside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis import saliency
from subgroup_audit.diagnosis.saliency import Heat, box_masks, draw_cells, find_errors, heat_in_boxes
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.stats import clustered_mean
from subgroup_audit.study import Study

STUDY = Study.model_validate(
    {
        "study": "small",
        "data": {"source": "phantom"},
        "findings": {"opacity": {"positive": ["x"]}},
        "cohorts": {"all": {}},
        "models": ["small_cnn"],
    }
)
KEY = ("all", "small_cnn", "default")


def _manifest(n: int = 60) -> CohortManifest:
    frame = pd.DataFrame(
        {
            "cohort": "all",
            "image_id": [f"i{i:03d}" for i in range(n)],
            "patient_id": [f"p{i // 2:03d}" for i in range(n)],
            "split": "test",
            "finding": "opacity",
            "y_true": np.arange(n) % 2,
            "weight": 1.0,
            "sex": np.where(np.arange(n) % 4 < 2, "F", "M"),
            "view": "PA",
        }
    )
    return CohortManifest(frame)


def _predictions(scores: np.ndarray) -> Predictions:
    frame = _manifest(len(scores)).frame.drop(columns=["cohort", "weight"])
    return Predictions(
        frame.assign(fit_id="f", train_cohort="all", model="small_cnn", recipe="default", seed=0, y_score=scores)
    )


def test_cells_are_capped_whatever_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saliency, "MOST_IMAGES", 7)
    manifest = _manifest()
    cells = draw_cells(STUDY, manifest)
    assert cells.groupby("label").size().to_dict() == {"negative": 7, "positive": 7}
    assert set(cells["n_available"]) == {30}
    turned = draw_cells(STUDY, CohortManifest(manifest.frame.iloc[::-1]))
    assert set(turned["image_id"]) == set(cells["image_id"])


def test_errors_are_the_surest_ones_and_only_errors() -> None:
    scores = np.where(np.arange(60) % 2 == 1, 0.9, 0.1).astype(float)
    scores[4], scores[7] = 0.95, 0.05
    errors = find_errors(STUDY, _manifest(), _predictions(scores), KEY)
    assert errors[["image_id", "kind"]].to_numpy().tolist() == [
        ["i004", "highest-scoring negative"],
        ["i007", "lowest-scoring positive"],
    ]


def test_boxes_lie_where_the_padded_square_has_them() -> None:
    boxes = pd.DataFrame({"image_id": ["a"], "x": [0.0], "y": [0.0], "width": [50.0], "height": [100.0]})
    extents = pd.DataFrame({"width": [50.0, 9.0], "height": [100.0, 9.0]}, index=["a", "b"])
    masks = box_masks(boxes, extents, ["a", "b"], 8)
    assert masks[0, :, 2:6].min() == 1.0
    assert masks[0].sum() == 32.0  # the half of the square that is no padding
    assert masks[1].sum() == 0.0


def test_overlapping_boxes_cover_a_place_once_and_parts_of_places_count() -> None:
    box = {"image_id": ["a", "a"], "x": [0.0, 0.0], "y": [0.0, 0.0], "width": [1.5, 1.0], "height": [1.0, 1.0]}
    extents = pd.DataFrame({"width": [4.0], "height": [4.0]}, index=["a"])
    mask = box_masks(pd.DataFrame(box), extents, ["a"], 4)[0]
    assert mask[0].tolist() == [1.0, 0.5, 0.0, 0.0]
    assert mask[1:].sum() == 0.0


def _heat_rows(inside: float, n_cold: int = 0, before: float | None = None) -> pd.DataFrame:
    cells = draw_cells(STUDY, _manifest())
    ids = sorted(cells["image_id"])
    positive = cells.loc[cells["label"] == "positive", "image_id"].tolist()
    heat = _heat(ids, inside)
    for image_id in positive[:n_cold]:
        heat.maps[:, ids.index(image_id)] = 0.0
    mask = np.zeros((4, 4), dtype=np.float32)
    mask[0] = 1.0
    untrained = None if before is None else _heat(ids, before)
    return heat_in_boxes(STUDY, cells, dict.fromkeys(positive, mask), heat, untrained).set_index("value")


def _heat(ids: list[str], inside: float) -> Heat:
    maps = np.full((2, len(ids), 1, 4, 4), (1.0 - inside) / 12, dtype=np.float32)
    maps[:, :, :, 0] = inside / 4
    return Heat(tuple(ids), ("opacity",), maps)


def test_heat_in_boxes_is_compared_with_the_area_of_the_boxes() -> None:
    rows = _heat_rows(0.6)
    assert rows.loc["all", "heat_share"] == pytest.approx(0.6)
    assert rows.loc["all", "area_share"] == pytest.approx(0.25)
    assert rows.loc["all", "estimate"] == pytest.approx(0.35)
    assert list(rows.index) == ["all", "F", "M"]
    assert (rows.loc["all", "n_images"], rows.loc["all", "n_seeds"]) == (30, 2)


def test_the_gain_is_what_training_brought_into_the_boxes_of_the_same_images() -> None:
    rows = _heat_rows(0.6, before=0.45)
    assert rows["gain"].to_numpy() == pytest.approx(np.full(3, 0.15), abs=1e-6)
    assert (rows.loc["all", "gain_low"], rows.loc["all", "gain_high"]) == pytest.approx((0.15, 0.15), abs=1e-6)
    assert _heat_rows(0.6)["gain"].isna().all()
    # an image that is cold in one of the two has no difference, and no part in the gain
    assert _heat_rows(0.6, n_cold=3, before=0.45).loc["all", "gain"] == pytest.approx(0.15, abs=1e-6)


def test_maps_without_heat_are_left_out_and_counted() -> None:
    row = _heat_rows(0.6, n_cold=3).loc["all"]
    assert (row["n_images"], row["reason"]) == (27, "3 images without heat left out")
    nothing = _heat_rows(0.6, n_cold=30).loc["all"]
    assert (nothing["status"], nothing["reason"]) == ("not estimable", "none of 30 maps has any heat")


def test_the_interval_counts_persons() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=50)
    once = clustered_mean(values, person=np.arange(50))
    twice = clustered_mean(np.repeat(values, 4), person=np.repeat(np.arange(50), 4))
    assert once.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert (twice.low, twice.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert clustered_mean([1.0, 2.0], person=["a", "a"]).low is None
