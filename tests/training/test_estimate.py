"""Estimates of a fit's time: they grow with the work, and measured speeds come before the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from subgroup_audit.training import estimate_seconds
from subgroup_audit.training.device import cpu_name
from subgroup_audit.training.measured import answer_path, keep_answer

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBGROUP_AUDIT_CACHE", str(tmp_path))


def test_more_work_takes_longer(make_spec: Make) -> None:
    def seconds(**recipe: Any) -> float:
        model = {"architecture": "resnet50", "trainable": recipe.pop("trainable", "all")}
        return estimate_seconds(make_spec(model=model, **recipe), 1000, 200, 2000, "cpu")

    base = seconds(image_size=224, epochs=10)
    assert seconds(image_size=448, epochs=10) > 3 * base
    assert seconds(image_size=224, epochs=20) > 1.5 * base
    assert seconds(image_size=224, epochs=10, trainable="head") < base / 5


def test_a_measured_speed_is_used(make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(model={"architecture": "resnet18"}, image_size=64, epochs=1)
    question = {"architecture": "resnet18", "trainable": "all", "image_size": 64, "cpu": cpu_name()}
    speeds = {"fp32 contiguous": 50.0, "bf16 channels_last": 100.0}
    answer = {"question": question, "images_per_second": speeds}
    keep_answer(answer_path(tmp_path, question), json.loads(json.dumps(answer)))
    # 1,000 images trained on at 100 images/s, and 5 s to start
    assert estimate_seconds(spec, 1000, 0, 0, "cpu") == pytest.approx(15.0)


def test_unknown_architectures_are_estimated_too(make_spec: Make) -> None:
    spec = make_spec(model={"architecture": "regnety_002"})
    assert estimate_seconds(spec, 100, 10, 10, "cpu") > 5.0
