"""Features of a frozen trunk: each image through it once, whichever fit asks first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from subgroup_audit.errors import StoreError
from subgroup_audit.study import Model
from subgroup_audit.training.architecture import Network, build_network
from subgroup_audit.training.feeding import ImageFeed, Normalisation
from subgroup_audit.training.loop import seeded
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.trunk_features import trunk_features

GREY = Normalisation(0.5, 0.25)


class CountingNetwork(Network):
    """A network that counts the images its trunk sees."""

    n_seen = 0

    def features(self, images: torch.Tensor) -> torch.Tensor:
        self.n_seen += len(images)
        return super().features(images)


def make_network(seed: int = 0) -> CountingNetwork:
    with seeded(seed, 0, "cpu"):
        built = build_network(Model(architecture="test_resnet"), n_outputs=1, size=32, study_folder=".")
    return CountingNetwork(built.network.trunk, built.network.head).eval()


def ask(
    data: Any,
    ids: list[int],
    folder: Path,
    *,
    network: Network | None = None,
    precision: str = "fp32",
    first: int = 0,
) -> torch.Tensor:
    compute = Compute("cpu", precision, is_channels_last=True, how="")  # type: ignore[arg-type]
    placed = network or make_network()
    compute.place(placed)
    feed = ImageFeed(data.pixels, [f"{i:05d}" for i in ids], 32, GREY, "cpu", "warped")
    return trunk_features(placed, feed, compute, folder=folder, batch_size=16, first=first)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_order_of_asking_changes_no_bit(make_data: Callable[..., Any], tmp_path: Path, precision: str) -> None:
    data, ids = make_data(), list(range(150))
    whole = ask(data, ids, tmp_path / "whole", precision=precision)
    ask(data, ids[90:103], tmp_path / "parts", precision=precision)
    ask(data, ids[::-7], tmp_path / "parts", precision=precision)
    parts = ask(data, ids, tmp_path / "parts", precision=precision, first=77)
    assert whole.shape[0] == 150
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_they_are_those_of_the_network(make_data: Callable[..., Any], tmp_path: Path) -> None:
    data, network = make_data(), make_network()
    made = ask(data, [3, 1, 99], tmp_path, network=network)
    feed = ImageFeed(data.pixels, ["00003", "00001", "00099"], 32, GREY, "cpu", "warped")
    levels = torch.from_numpy(data.pixels.images[[3, 1, 99]]).float().div(255).sub(0.5).div(0.25).unsqueeze(1)
    with torch.no_grad():
        torch.testing.assert_close(made, network.features(levels), rtol=1e-4, atol=1e-4)
    assert feed.stored_size == 32


def test_each_image_is_computed_once(make_data: Callable[..., Any], tmp_path: Path) -> None:
    data, network = make_data(), make_network()
    ask(data, list(range(64)), tmp_path, network=network)
    assert network.n_seen == 64
    ask(data, list(range(0, 96)), tmp_path, network=network)
    assert network.n_seen == 96
    data.pixels.images[5] = data.pixels.images[4]  # equal pixels are one picture
    ask(data, [4, 5, 6], tmp_path, network=network)
    assert network.n_seen == 96


def test_other_weights_have_other_features(make_data: Callable[..., Any], tmp_path: Path) -> None:
    data = make_data()
    a = ask(data, [0, 1], tmp_path)
    b = ask(data, [0, 1], tmp_path, network=make_network(seed=1))
    assert (a - b).abs().max() > 1e-3
    assert len(list(tmp_path.iterdir())) == 2


def test_a_cache_that_is_only_read_keeps_none_and_changes_no_bit(
    make_data: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = make_data(), tmp_path / "cache" / "features"
    expected = ask(data, [5, 7, 2], tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    torch.testing.assert_close(ask(data, [5, 7, 2], folder), expected, rtol=0, atol=0)
    assert not folder.exists()


def test_a_damaged_file_is_named(make_data: Callable[..., Any], tmp_path: Path) -> None:
    data = make_data()
    ask(data, [0], tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StoreError) as caught:
        ask(data, [0], tmp_path)
    assert str(caught.value) == f"{path}: kept features cannot be used (file is not a database); delete this file"
