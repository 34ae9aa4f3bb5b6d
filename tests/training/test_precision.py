"""The choice of precision and layout: measured once, kept, and the same for everybody after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from subgroup_audit.errors import TrainingError
from subgroup_audit.study import Model, Recipe
from subgroup_audit.training import precision
from subgroup_audit.training.architecture import SmallCNN
from subgroup_audit.training.measured import keep_answer, read_measured
from subgroup_audit.training.precision import choose_compute, pick_fastest, same_kernels

MODEL = Model(architecture="small_cnn")
RECIPE = Recipe(image_size=32, batch_size=4)


@pytest.mark.parametrize(
    ("bf16", "contiguous", "expected"),
    [(130.0, 90.0, ("bf16", True)), (105.0, 90.0, ("fp32", True)), (90.0, 120.0, ("fp32", False))],
)
def test_small_gains_are_noise(bf16: float, contiguous: float, expected: tuple[str, bool]) -> None:
    speeds = {"fp32 contiguous": contiguous, "fp32 channels_last": 100.0, "bf16 channels_last": bf16}
    assert pick_fastest(speeds) == expected


def test_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_BUDGET_SECONDS", 0.05)
    network = nn.Sequential(SmallCNN(32), nn.Linear(512, 1))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    first = choose_compute(MODEL, RECIPE, network, "cpu", cache=tmp_path)
    assert first.how.startswith("measured images/s: ")
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    monkeypatch.setattr(precision, "_measure", lambda network, recipe: pytest.fail("measured again"))
    assert choose_compute(MODEL, RECIPE, network, "cpu", cache=tmp_path) == first
    assert read_measured(MODEL, RECIPE, tmp_path) > 0.0
    assert read_measured(MODEL, Recipe(image_size=64), tmp_path) is None


def test_the_first_answer_holds(tmp_path: Path) -> None:
    path = tmp_path / "precision" / "x.json"
    first = keep_answer(path, {"question": {}, "images_per_second": {"fp32 contiguous": 1.0}})
    second = keep_answer(path, {"question": {}, "images_per_second": {"bf16 contiguous": 2.0}})
    assert first == second
    assert list(path.parent.iterdir()) == [path]


def test_the_first_answer_holds_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_the_first_answer_holds(tmp_path)


def test_a_cache_that_cannot_be_written_costs_the_answer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    measured = {"question": {}, "images_per_second": {"fp32 contiguous": 1.0}}
    assert keep_answer(tmp_path / "precision" / "x.json", measured) == measured


def test_bf16_is_not_tried_where_it_is_not_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_native_bf16", lambda: False)
    monkeypatch.setattr(precision, "_time_steps", lambda network, recipe, compute: 1.0)
    assert list(precision._measure(nn.Linear(1, 1), RECIPE)) == ["fp32 contiguous", "fp32 channels_last"]


def test_asked_for_is_taken_and_fp16_needs_a_gpu(tmp_path: Path) -> None:
    asked = Recipe(precision="bf16")
    assert choose_compute(MODEL, asked, nn.Linear(1, 1), "cpu", cache=tmp_path).precision == "bf16"
    with pytest.raises(TrainingError) as caught:
        choose_compute(MODEL, Recipe(precision="fp16"), nn.Linear(1, 1), "cpu", cache=tmp_path)
    assert str(caught.value) == "precision fp16 needs a GPU: use auto, bf16 or fp32 on a CPU"


def test_float32_is_not_rounded_to_tf32_and_settings_come_back() -> None:
    backend = torch.backends.cudnn

    def settings() -> tuple[bool, bool, bool]:
        return backend.deterministic, backend.benchmark, backend.allow_tf32

    before = settings()
    with same_kernels():
        assert settings() == (True, False, False)
    assert settings() == before == (False, False, True)
