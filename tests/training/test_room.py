"""A device short of memory: what a fit gives up, in which order, and what of its numbers that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from subgroup_audit.study import Model, Recipe
from subgroup_audit.training import FitOutcome
from subgroup_audit.training.architecture import Network, build_network
from subgroup_audit.training.data import cut_batches, draw_plain, read_labels
from subgroup_audit.training.feeding import ImageFeed, Normalisation, choose_feeding
from subgroup_audit.training.loop import Examples, Task, add_gradients, seeded, train_one_epoch
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.recipe import Schedule, make_loss, make_optimiser
from subgroup_audit.training.room import Room, rooms
from subgroup_audit.training.trainable import select_trainable

Make = Callable[..., Any]


class Plain(nn.Sequential):
    """A trunk without batch normalisation."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def make_task(data: Any, network: Network, parts: int) -> Task:
    recipe = Recipe(image_size=32, batch_size=24, precision="fp32", class_weight="balanced")
    rows = data.frame[data.frame["split"] == "train"]
    rows = rows[rows["image_id"] != "00008"]  # a label that is not known
    labels = read_labels(rows, ("opacity",), is_multiclass=False, origin="")
    compute = Compute("cpu", "fp32", is_channels_last=True, how="")
    feed = ImageFeed(data.pixels, labels.image_ids, 32, Normalisation(0.5, 0.25), "cpu", "warped")
    examples = Examples.on("cpu", feed, labels)
    part = select_trainable(network, Model(architecture="small_cnn"))
    return Task(
        label="", network=network, part=part,
        optimiser=make_optimiser(recipe, list(network.parameters()), "cpu"),
        schedule=Schedule(recipe, 1), loss=make_loss(recipe, labels, is_multiclass=False, device="cpu"),
        train=examples, val=examples, compute=compute, scaler=compute.make_scaler(), recipe=recipe, seed=0,
        eval_batch_size=16, parts=parts,
    )  # fmt: skip


def gradients(data: Any, network: Network, parts: int) -> tuple[float, torch.Tensor, torch.Tensor]:
    task = make_task(data, network, parts)
    batches = cut_batches(draw_plain(len(task.train.labels), np.random.default_rng(0)), 24)
    batch = next(batch for batch in batches if batch.n_real < len(batch.index))
    levels = torch.rand(len(batch.index), 1, 32, 32, generator=torch.Generator().manual_seed(0))
    total, count, logits = add_gradients(task, batch, levels)
    assert int(count) == batch.n_real
    flat = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
    return float(total), flat.clone(), logits


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_have_the_gradients_of_the_whole(make_data: Make, parts: int) -> None:
    with seeded(0, 0, "cpu"):
        network = Network(Plain(), nn.Sequential(nn.Linear(32, 1)))
    whole, split = gradients(make_data(), network, 1), gradients(make_data(), network, parts)
    assert split[0] == pytest.approx(whole[0], rel=1e-5)
    torch.testing.assert_close(split[1], whole[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(split[2], whole[2], rtol=1e-5, atol=1e-6)


def test_batch_normalisation_sees_parts(make_data: Make) -> None:
    with seeded(0, 0, "cpu"):
        built = build_network(Model(architecture="test_resnet"), n_outputs=1, size=32, study_folder=".")
    whole, split = (gradients(make_data(), built.network.train(), parts)[1] for parts in (1, 2))
    similarity = float(torch.cosine_similarity(whole, split, dim=0))
    assert 0.5 < similarity < 0.9999


def test_what_is_given_up_first() -> None:
    assert list(rooms("cpu", 8)) == [Room(), Room(is_short=True, parts=2), Room(is_short=True, parts=4)]
    assert list(rooms("cuda:0", 4)) == [Room(), Room(is_short=True), Room(is_short=True, parts=2)]


def limit_memory(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    """Let the network run out of memory with more images than these."""
    forward = Network.forward

    def checked(self: Network, levels: torch.Tensor) -> torch.Tensor:
        if len(levels) > images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, levels)

    monkeypatch.setattr(Network, "forward", checked)


def read_scores(folder: Path) -> np.ndarray:
    return pd.read_parquet(folder / "predictions.parquet")["y_score"].to_numpy()


def test_a_fit_goes_on_in_parts_and_says_so(
    planted: Any, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(epochs=1)
    limit_memory(monkeypatch, 4)
    outcome: FitOutcome = planted.fit(spec, tmp_path / "short")
    assert outcome.notes == (
        "memory ran out: each batch of 16 was computed in 4 parts of at most 4 images, their gradients added; "
        "batch normalisation saw one part at a time",
    )
    again = planted.fit(spec, tmp_path / "again")
    assert replace(again, seconds=0, images_per_second=0) == replace(outcome, seconds=0, images_per_second=0)
    np.testing.assert_array_equal(read_scores(tmp_path / "short"), read_scores(tmp_path / "again"))


def test_evaluation_in_halves_changes_no_score(
    planted: Any, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.fit(make_spec(epochs=1), tmp_path / "whole")
    limit_memory(monkeypatch, 16)  # of evaluation's 64
    outcome = planted.fit(make_spec(epochs=1), tmp_path / "halves")
    assert outcome.notes == ()
    np.testing.assert_allclose(read_scores(tmp_path / "whole"), read_scores(tmp_path / "halves"), atol=1e-6)


def test_a_small_card_keeps_images_in_host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * 2**30, 8 * 2**30))
    assert choose_feeding("cuda", 1000, 256) == ("resident", "")
    assert choose_feeding("cuda", 26_684, 256) == (
        "streamed",
        "26684 images of 256 px take 1.6 GB, more than 40% of the 2.0 GB free on cuda: they stay in host memory "
        "and are sent batch by batch",
    )
    assert choose_feeding("cuda", 1000, 256, is_short=True) == (
        "streamed",
        "memory of cuda ran out: images stay in host memory and are sent batch by batch",
    )


class Reads(TorchDispatchMode):
    """Counts what makes a host wait for its device: a tensor's value, or where it is not zero."""

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_no_value_is_read_back_before_an_epoch_ends(make_data: Make) -> None:
    with seeded(0, 0, "cpu"):
        network = Network(Plain(), nn.Sequential(nn.Linear(32, 1)))
    task, counts = make_task(make_data(), network, 1), []
    for batch_size in (79, 8):
        update = {"batch_size": batch_size, "clip_norm": 1.0}
        with Reads() as reads:
            train_one_epoch(replace(task, recipe=task.recipe.model_copy(update=update)), 1)
        counts.append(reads.n)
    assert counts[0] == counts[1] > 0
