"""Which part of a network is trained: everything, the head, or from the last layer down to a feature-map size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training.architecture import Network

LEVELS = {"7x7": 7, "14x14": 14, "28x28": 28}
_REFERENCE_SIDE = 224


@dataclass(frozen=True)
class TrainablePart:
    """What is trained, and which layers keep their stored batch statistics.

    Attributes
    ----------
    still : modules that stay in evaluation mode while the rest trains
    is_trunk_constant : whether the trunk gives the same features in every epoch
    """

    still: tuple[nn.Module, ...]
    is_trunk_constant: bool
    n_parameters: int
    n_trainable: int


def select_trainable(network: Network, model: Model, *, side: int = _REFERENCE_SIDE) -> TrainablePart:
    """Mark the parameters that are trained, and say which layers stay still.

    Parameters
    ----------
    side : of the images that feature maps are measured with, px: 224 unless the network takes one size only

    Raises
    ------
    ModelError
        The network has no feature map as small as asked for.
    """
    frozen = _frozen_modules(network, model, side)
    for module in frozen:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
    is_constant = model.trainable == "head" and model.freeze_batch_norm
    still: tuple[nn.Module, ...] = ()
    if model.freeze_batch_norm:
        norms = tuple(module for module in frozen if isinstance(module, _BatchNorm))
        still = (network.trunk,) if is_constant else norms
    counts = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return TrainablePart(still, is_constant, sum(n for n, _ in counts), sum(n for n, yes in counts if yes))


def set_training(network: nn.Module, part: TrainablePart) -> None:
    """Training mode for the network, evaluation mode for what stays still."""
    network.train()
    for module in part.still:
        module.eval()


def _frozen_modules(network: Network, model: Model, side: int) -> list[nn.Module]:
    if model.trainable == "all":
        return []
    everything = [module for module in network.trunk.modules() if _has_own_weights(module)]
    if model.trainable == "head":
        return everything
    largest = LEVELS[model.trainable] * side / _REFERENCE_SIDE
    sides = measure_maps(network.trunk, side)
    too_large = [i for i, (_, map_side) in enumerate(sides) if map_side > largest + 1e-6]
    if not too_large:
        return []
    # what the trunk itself holds, as a transformer's tokens and positions, enters before its first layer
    trained = {id(module) for module, _ in sides[too_large[-1] + 1 :]} - {id(network.trunk)}
    if not trained:
        raise ModelError(
            f"'{model.architecture}' has no layer after its last feature map larger than {model.trainable} at "
            f"224 px: choose `trainable: head`, `all`, or a larger map"
        )
    return [module for module in everything if id(module) not in trained]


def _has_own_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def measure_maps(trunk: nn.Module, side: int) -> list[tuple[nn.Module, int]]:
    """Every layer with weights in the order of its last run, and the side of the map it gave for `side` px.

    Order, and not size alone, decides: a squeeze-and-excite layer gives a 1x1 map in the middle of a large one.
    """
    runs: dict[int, tuple[nn.Module, int]] = {}

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            runs.pop(id(module), None)
            runs[id(module)] = (module, _map_side(output))

    hooks = [m.register_forward_hook(note) for m in trunk.modules() if _has_own_weights(m)]
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.no_grad():
            trunk(torch.zeros(1, 1, side, side))
    finally:
        for hook in hooks:
            hook.remove()
        trunk.train(was_training)
    return list(runs.values())


def _map_side(output: Tensor) -> int:
    """Side of a feature map: [n, c, h, w] or [n, h, w, c], tokens [n, t, c], or 1 for a vector."""
    shape = output.shape
    if output.ndim == 4:
        return int(shape[2] if shape[2] == shape[3] else shape[1])
    return math.isqrt(int(shape[1])) if output.ndim == 3 else 1
