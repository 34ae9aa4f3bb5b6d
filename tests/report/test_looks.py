"""Sentences on probes, shares and boxes, which never say more than the intervals; and pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from subgroup_audit.report.encoding import probe_sentence, share_sentence
from subgroup_audit.report.saliency import box_sentences, overlay_uri, times_even


def _probe(source: str, auc: float, reach: float = 0.02, against: str = "PA") -> dict[str, Any]:
    question = {"attribute": "view", "value": "AP", "against": against}
    return {**question, "source": source, "auc": auc, "low": auc - reach, "high": auc + reach}


@pytest.mark.parametrize(
    ("fitted", "untrained", "said"),
    [
        (0.9, 0.7, "The fitted features tell view better than untrained ones: training brought some of it in."),
        (0.9, 0.91, "The fitted features tell view; so do untrained ones: the image gives it away."),
        (0.7, 0.9, "The fitted features tell view, though less well than untrained ones: training did not bring "
         "it in."),
        (0.51, 0.9, "view: not shown."),
        (0.53, 0.51, "The fitted features tell view; of untrained ones it is not shown."),
    ],
)  # fmt: skip
def test_probes_are_read_beside_the_untrained_network(fitted: float, untrained: float, said: str) -> None:
    assert probe_sentence([_probe("fitted", fitted), _probe("untrained", untrained)]) == said


def test_a_share_stands_beside_what_the_attribute_alone_achieves() -> None:
    row = {
        "train_cohort": "M", "test_group": "all", "attribute": "sex", "auc_all": 0.89, "auc_within": 0.84,
        "auc_alone": 0.5, "auc_alone_low": None, "auc_alone_high": None, "share": 0.128, "low": 0.07, "high": 0.19,
    }  # fmt: skip
    assert share_sentence(row) == (
        "Trained on M, tested on all: 13 % (7 % to 19 %) of the advantage over chance goes when only images of "
        "the same sex are compared (AUC 0.890 among all images, 0.840 within sex). "
        "Sex alone has AUC 0.500, not told from chance."
    )
    unknown = {**row, "share": None, "reason": "no advantage"}
    assert share_sentence(unknown).endswith("what sex explains cannot be said, since no advantage.")


def _boxes(fitted: tuple[float, float], untrained: tuple[float, float]) -> list[dict[str, Any]]:
    name = {
        "finding": "f", "train_cohort": "all", "model": "m", "recipe": "r", "test_group": "all", "value": "all",
        "status": "ok", "area_share": 0.1,
    }  # fmt: skip
    return [
        {**name, "source": source, "heat_share": 0.1 + sum(limits) / 2, "low": limits[0], "high": limits[1]}
        for source, limits in (("fitted", fitted), ("untrained", untrained))
    ]


@pytest.mark.parametrize(
    ("fitted", "end"),
    [
        ((0.08, 0.12), "the untrained network has 12.0 % there. Training brought the heat to the boxes."),
        ((0.01, 0.03), "has 12.0 % there, so this does not show that training brought it there."),
        ((-0.01, 0.01), "more than evenly spread heat is not shown."),
        ((-0.03, -0.01), "less than evenly spread heat would; what the maps show lies elsewhere."),
    ],
)  # fmt: skip
def test_heat_in_boxes_is_read_beside_area_and_untrained_network(fitted: tuple[float, float], end: str) -> None:
    (said,) = box_sentences(_boxes(fitted, (0.01, 0.03)))
    assert said.endswith(end)


def test_heat_spread_evenly_is_one_everywhere() -> None:
    assert times_even(np.full((8, 8), 1 / 64)) == pytest.approx(np.ones((8, 8)))


def test_a_picture_without_heat_is_the_radiograph_itself() -> None:
    picture = np.full((50, 50), 120, dtype=np.uint8)
    uri = overlay_uri(picture, np.zeros((7, 7)))
    shown = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert np.asarray(shown).mean(axis=(0, 1)) == pytest.approx([120, 120, 120], abs=2)
