"""Feeding: three ways with one result, and a prefetch thread that ends with its block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from subgroup_audit.study import Augmentation
from subgroup_audit.training.data import cut_batches, cut_in_order, draw_plain
from subgroup_audit.training.feeding import (
    FeatureFeed,
    ImageFeed,
    Normalisation,
    choose_feeding,
    prefetch,
)

CHANGES = Augmentation(rotation_degrees=10, shift=0.05, zoom=0.1, brightness=0.2, contrast=0.2)


def make_feed(data: Any, feeding: str, size: int, augmentation: Augmentation | None = None) -> ImageFeed:
    ids = [f"{i:05d}" for i in reversed(range(40))]
    grey = Normalisation(0.5, 0.25)
    return ImageFeed(data.pixels, ids, size, grey, "cpu", feeding, augmentation, seed=1)  # type: ignore[arg-type]


def collect(feed: ImageFeed, batch_size: int = 7, epoch: int = 3) -> np.ndarray:
    batches = cut_in_order(40, batch_size)
    return torch.cat(list(feed.batches(batches, epoch))).numpy()


@pytest.mark.parametrize("feeding", ["warped", "resident", "streamed"])
def test_unchanged_images_are_the_stored_ones(make_data: Callable[..., Any], feeding: str) -> None:
    data = make_data()
    fed = collect(make_feed(data, feeding, size=32))
    stored = data.pixels.images[39::-1][:40]
    assert fed.dtype == np.float32
    np.testing.assert_allclose(fed[:, 0], (stored / 255.0 - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize("size", [16, 28, 32, 40])
@pytest.mark.parametrize("augmentation", [None, CHANGES])
def test_ways_agree(make_data: Callable[..., Any], size: int, augmentation: Augmentation | None) -> None:
    data = make_data()
    reference = collect(make_feed(data, "warped", size, augmentation))
    resident = collect(make_feed(data, "resident", size, augmentation))
    streamed = collect(make_feed(data, "streamed", size, augmentation))
    np.testing.assert_array_equal(resident, streamed)
    # OpenCV rounds to whole grey levels, of 255 / 0.25 to the unit; noise images are the hardest to interpolate
    assert np.abs(reference - resident).mean() < 1.5 / 255 / 0.25


@pytest.mark.parametrize("feeding", ["resident", "streamed"])
def test_only_cuda_is_sent_arrays_without_waiting(
    make_data: Callable[..., Any], feeding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other devices read an array later, when it may be gone."""
    feed, asked, to = make_feed(make_data(), feeding, 28, CHANGES), [], torch.Tensor.to

    def note(tensor: torch.Tensor, *args: Any, **named: Any) -> torch.Tensor:
        asked.append(named.get("non_blocking", False))
        return to(tensor, *args, **named)

    monkeypatch.setattr(torch.Tensor, "to", note)
    collect(feed)
    assert asked
    assert not any(asked)


def test_batch_size_does_not_change_what_is_fed(make_data: Callable[..., Any]) -> None:
    feed = make_feed(make_data(), "warped", 28, CHANGES)
    np.testing.assert_array_equal(collect(feed, 7), collect(feed, 40))


def test_epochs_differ(make_data: Callable[..., Any]) -> None:
    feed = make_feed(make_data(), "warped", 28, CHANGES)
    assert np.abs(collect(feed, epoch=1) - collect(feed, epoch=2)).mean() > 0.05


def test_buffers_are_not_overwritten_while_in_use(make_data: Callable[..., Any]) -> None:
    feed = make_feed(make_data(), "warped", 28, CHANGES)
    batches = cut_batches(draw_plain(40, np.random.default_rng(0)), 4)
    at_once = [levels.clone() for levels in feed.batches(batches, 1)]
    kept = list(feed.batches(batches, 1))
    for a, b in zip(at_once, kept, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_much_larger_images_are_averaged_first(make_data: Callable[..., Any]) -> None:
    feed = make_feed(make_data(), "warped", 16)
    assert feed.stored_size == 16
    fed = collect(feed)
    averages = make_data().pixels.images[39::-1][:40].reshape(40, 16, 2, 16, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(fed[:, 0] * 0.25 * 255 + 127.5, averages, atol=0.51)


def test_one_channel_is_strided_channels_last(make_data: Callable[..., Any]) -> None:
    feed = make_feed(make_data(), "warped", 32)
    levels = next(iter(feed.batches(cut_in_order(40, 8))))
    assert levels.stride() == (32 * 32, 1, 32, 1)


def test_errors_of_the_thread_are_raised_where_batches_are_read() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"), prefetch(broken()) as items:
        list(items)


def test_the_thread_ends_when_reading_stops_early() -> None:
    before = threading.active_count()
    with prefetch(iter(range(1000))) as items:
        assert next(items) == 0
    assert threading.active_count() == before


def test_features_are_picked() -> None:
    feed = FeatureFeed(torch.arange(6.0).view(3, 2))
    (batch,) = feed.batches(cut_batches(draw_plain(3, np.random.default_rng(0)), 8))
    assert sorted(batch[:, 0].tolist()) == [0.0, 2.0, 4.0]


def test_a_cpu_warps() -> None:
    assert choose_feeding("cpu", 10**9, 1024) == ("warped", "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_short_gpu_streams() -> None:
    feeding, note = choose_feeding("cuda", 10**9, 1024)
    assert feeding == "streamed"
    assert "they stay in host memory and are sent batch by batch" in note
    assert choose_feeding("cuda", 1000, 64) == ("resident", "")
