"""Sentences on probes, shares and boxes, which never say more than the intervals; and pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from subgroup_audit.report.encoding import probe_sentence, share_sentence
from subgroup_audit.report.saliency import box_controls, box_sentences, overlay_uri, times_even, untrained_warning


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


def _boxes(gain: tuple[float, float] | None, before: float = 0.02) -> list[dict[str, Any]]:
    """The trained network with a third of its heat in boxes of a tenth of the area, and the untrained one."""
    name = {
        "finding": "f", "train_cohort": "all", "model": "m", "recipe": "r", "test_group": "all", "value": "all",
        "status": "ok", "area_share": 0.1,
    }  # fmt: skip
    low, high = gain or (None, None)
    limits = {"gain": None if gain is None else sum(gain) / 2, "gain_low": low, "gain_high": high}
    return [
        {**name, "source": "fitted", "heat_share": 0.33, "low": 0.2, "high": 0.26, **limits},
        {**name, "source": "untrained", "heat_share": 0.1 + before, "low": before - 0.01, "high": before + 0.01},
    ]


@pytest.mark.parametrize(
    ("gain", "end", "reading"),
    [
        ((0.18, 0.24), "has 12.0 % there, a difference of +21.0 points (+18.0 to +24.0). Training brought heat to "
         "the boxes.", "training brought heat there"),
        ((-0.02, 0.04), "has 12.0 % there, a difference of +1.0 points (−2.0 to +4.0). That training brought heat "
         "there is not shown.", "not told from untrained"),
        ((-0.04, -0.02), "a difference of −3.0 points (−4.0 to −2.0). Training took heat out of the boxes.",
         "training took heat away"),
        (None, "Without the untrained network beside it, this says nothing of the training.", "cannot be said"),
    ],
)  # fmt: skip
def test_heat_in_boxes_is_read_against_the_untrained_network_alone(
    gain: tuple[float, float] | None, end: str, reading: str
) -> None:
    boxes = _boxes(gain)
    (said,) = box_sentences(boxes)
    assert said.startswith(
        "m trained on all: 33.0 % of the heat lies in the boxes, which cover 10.0 % of the area"
    )
    assert said.endswith(end)
    (control,) = box_controls(boxes)
    assert control.reading == reading


def test_an_untrained_network_with_heat_in_the_boxes_warns_of_reading_the_heat_as_evidence() -> None:
    said = untrained_warning(_boxes((0.1, 0.2)))
    assert said.startswith(
        "Untrained networks, which have learned nothing, have more heat in the boxes than evenly spread heat "
        "would in 1 of 1 training cohort (12.0 % of their heat)"
    )
    assert "no evidence that the finding is looked at" in said
    assert untrained_warning(_boxes((0.1, 0.2), before=0.0)).startswith("No untrained network has more heat")
    assert untrained_warning([]) == ""


def test_heat_spread_evenly_is_one_everywhere() -> None:
    assert times_even(np.full((8, 8), 1 / 64)) == pytest.approx(np.ones((8, 8)))


def test_a_picture_without_heat_is_the_radiograph_itself() -> None:
    picture = np.full((50, 50), 120, dtype=np.uint8)
    uri = overlay_uri(picture, np.zeros((7, 7)))
    shown = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert np.asarray(shown).mean(axis=(0, 1)) == pytest.approx([120, 120, 120], abs=2)
