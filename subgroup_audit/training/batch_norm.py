"""Batch normalisation: which layers' statistics move while training, and what they are for given images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from subgroup_audit.training.data import Batch
from subgroup_audit.training.feeding import ImageFeed
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.trainable import TrainablePart


def set_momentum(network: nn.Module, momentum: float | None) -> None:
    """Give every batch normalisation this share of each batch in its stored statistics; None changes nothing."""
    if momentum is None:
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.momentum = momentum


def moving_norms(network: nn.Module, part: TrainablePart) -> list[_BatchNorm]:
    """Layers that normalise by their batch while training, and by stored statistics afterwards."""
    still = {id(inner) for module in part.still for inner in module.modules()}
    return [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and id(module) not in still
    ]


@contextmanager
def recomputed_norms(
    network: nn.Module,
    norms: Sequence[_BatchNorm],
    feed: ImageFeed,
    batches: Sequence[Batch],
    compute: Compute,
) -> Iterator[None]:
    """Within the block these layers' statistics are the mean over the batches; afterwards they are as before.

    Dropout is off while they are taken. A last batch that is smaller than the others does not count, since all
    batches weigh the same.
    """
    kept = [{name: value.detach().clone() for name, value in norm.state_dict().items()} for norm in norms]
    momenta = [norm.momentum for norm in norms]
    try:
        _take_statistics(network, norms, feed, batches, compute)
        yield
    finally:
        for norm, state, momentum in zip(norms, kept, momenta, strict=True):
            norm.load_state_dict(state)
            norm.momentum = momentum
        network.eval()


@torch.no_grad()
def _take_statistics(
    network: nn.Module, norms: Sequence[_BatchNorm], feed: ImageFeed, batches: Sequence[Batch], compute: Compute
) -> None:
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    is_last_short = len(batches) > 1 and batches[-1].n_real < batches[0].n_real
    used = list(batches[:-1] if is_last_short else batches)
    for levels in feed.batches(used):
        with compute.autocast():
            network(levels)
