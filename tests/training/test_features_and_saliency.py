"""Features that enter the head, heat maps, and the same network before it learned anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training import FitSpec, features_of, heat_maps, load_fitted, predict, untrained_twin
from subgroup_audit.training.architecture import build_network
from subgroup_audit.training.feeding import Normalisation
from subgroup_audit.training.fitted import Fitted
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.saliency import MAP_SIZE, last_map

PATCH = slice(4 * MAP_SIZE // 32, 12 * MAP_SIZE // 32), slice(0, 8 * MAP_SIZE // 32)
"""Where `draw_images` of the fixtures plants the first finding, in the maps' places."""


@pytest.fixture(scope="module")
def learned(planted: object, make_spec: Callable[..., FitSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    planted.fit(make_spec(epochs=12, learning_rate=2e-3, image_size=64), folder)  # type: ignore[attr-defined]
    return folder


def _positives(planted: object) -> list[str]:
    frame = planted.frame  # type: ignore[attr-defined]
    return frame.loc[(frame["y_true"] == 1) & (frame["split"] == "test"), "image_id"].tolist()


def _built(architecture: str, size: int = 64, findings: tuple[str, ...] = ("opacity",)) -> Fitted:
    model = Model(architecture=architecture)
    built = build_network(model, n_outputs=len(findings), size=size, study_folder=".")
    compute = Compute("cpu", "fp32", is_channels_last=True, how="test")
    compute.place(built.network).eval()
    return Fitted(built.network, findings, False, size, Normalisation(0.5, 0.25), compute)


def test_the_head_makes_the_scores_from_the_features_alone(learned: Path, planted: object) -> None:
    fitted, ids = load_fitted(learned), planted.frame["image_id"].tolist()[:40]  # type: ignore[attr-defined]
    features = features_of(fitted, planted.pixels, ids)  # type: ignore[attr-defined]
    assert features.shape == (40, 512)
    with torch.no_grad():
        scores = torch.sigmoid(fitted.network.head(torch.from_numpy(features))).numpy()
    assert scores == pytest.approx(predict(fitted, planted.pixels, ids), abs=1e-5)  # type: ignore[attr-defined]


def test_features_of_nothing_are_empty(learned: Path, planted: object) -> None:
    assert len(features_of(load_fitted(learned), planted.pixels, [])) == 0  # type: ignore[attr-defined]


def test_the_untrained_twin_is_drawn_by_its_seed(learned: Path) -> None:
    fitted = load_fitted(learned)
    first, again, other = (untrained_twin(fitted, learned, seed) for seed in (0, 0, 1))
    weights = [next(twin.network.parameters()) for twin in (first, again, other, fitted)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])


def test_a_twin_needs_the_description_of_the_model(learned: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no fitted model: model\.json missing"):
        untrained_twin(load_fitted(learned), tmp_path, 0)


def test_heat_lies_on_the_planted_sign_after_training_and_not_before(learned: Path, planted: object) -> None:
    fitted, ids = load_fitted(learned), _positives(planted)
    maps = heat_maps(fitted, planted.pixels, ids)[:, 0]  # type: ignore[attr-defined]
    totals = maps.sum(axis=(1, 2))
    assert ((totals == 0) | (np.abs(totals - 1) < 1e-4)).all()
    hot = maps[totals > 0]
    assert len(hot) > 0.8 * len(ids)
    area = (MAP_SIZE // 4) ** 2 / MAP_SIZE**2
    inside = float(hot[:, PATCH[0], PATCH[1]].sum(axis=(1, 2)).mean())
    assert inside > 2 * area
    twin = heat_maps(untrained_twin(fitted, learned, 0), planted.pixels, ids)[:, 0]  # type: ignore[attr-defined]
    before = twin[twin.sum(axis=(1, 2)) > 0]
    assert float(before[:, PATCH[0], PATCH[1]].sum(axis=(1, 2)).mean()) < 1.5 * area


def test_maps_do_not_change_the_network(learned: Path, planted: object) -> None:
    fitted, ids = load_fitted(learned), _positives(planted)[:8]
    before = predict(fitted, planted.pixels, ids)  # type: ignore[attr-defined]
    heat_maps(fitted, planted.pixels, ids)  # type: ignore[attr-defined]
    assert np.array_equal(before, predict(fitted, planted.pixels, ids))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("small_cnn", "trunk.4.2"),
        ("resnet18", "trunk.layer4"),
        ("torchvision/resnet18", "trunk.layer4"),
        ("densenet121", "trunk.features"),
        ("torchvision/vgg11", "trunk.features.19"),
    ],
)
def test_the_last_map_is_taken_after_sum_and_activation_and_before_pooling(
    architecture: str, expected: str
) -> None:
    found = last_map(_built(architecture))
    assert found == expected or found.startswith(f"{expected}.")


@pytest.mark.parametrize("architecture", ["torchvision/resnet18", "torchvision/densenet121", "torchvision/vgg11"])
def test_layers_that_work_in_place_do_not_spoil_the_maps(architecture: str, planted: object) -> None:
    fitted = _built(architecture, findings=("a", "b"))
    maps = heat_maps(fitted, planted.pixels, _positives(planted)[:3])  # type: ignore[attr-defined]
    assert maps.shape == (3, 2, MAP_SIZE, MAP_SIZE)
    assert np.isfinite(maps).all()


def test_a_transformer_has_no_last_map() -> None:
    fitted = _built("test_vit", size=160)
    with pytest.raises(ModelError, match="a transformer has no last convolutional map: attention mixes"):
        last_map(fitted)


def test_a_network_without_convolutions_has_none() -> None:
    network = _built("small_cnn")
    network.network.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64 * 64, 512))
    with pytest.raises(ModelError, match="the network has no last convolutional map of more than one place"):
        last_map(network)
