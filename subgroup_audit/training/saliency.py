"""Where in an image a network's score comes from: activation maps weighted by gradients.

HiResCAM (Draelos & Carin 2020, arXiv:2011.08891): the last convolutional map times the gradient of the finding's
logit with respect to it, place by place, summed over channels, and what is below zero cut off. Where a mean over
places follows the map, as in nearly all networks, the gradient is the same at every place and this is Grad-CAM
(Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74). Where a dense layer reads the places one by one, as in the small
CNN, Grad-CAM's mean gradient would put heat where the network does not look; this does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from subgroup_audit.errors import ModelError
from subgroup_audit.training.data import cut_in_order
from subgroup_audit.training.fitted import Fitted
from subgroup_audit.training.precision import same_kernels
from subgroup_audit.training.spec import BatchCallback, FloatArray, Pixels

MAP_SIZE = 56
"""Side of the maps that are handed out, px: finer than any last convolutional map, coarse enough to be kept."""

_BATCH = 32


def heat_maps(
    fitted: Fitted,
    pixels: Pixels,
    image_ids: Sequence[str],
    *,
    on_batch: BatchCallback | None = None,
) -> FloatArray:
    """Heat maps of every finding, float32 [n, findings, MAP_SIZE, MAP_SIZE], in the order of `image_ids`.

    A map covers the whole padded square and sums to 1, so that each image weighs the same in a mean; one that is
    zero everywhere, where no channel speaks for the finding, stays zero. In float32 whatever the precision of the
    fit, since small gradients vanish in half precision.

    Raises
    ------
    ModelError
        The network has no last convolutional map; the message says why.
    """
    name = last_map(fitted)
    fitted.network.requires_grad_(False)  # gradients are wanted of the map alone, so only what follows it is kept
    batches = cut_in_order(len(image_ids), _BATCH)
    found = []
    with same_kernels(), torch.enable_grad():
        for done, levels in enumerate(fitted.feed(pixels, image_ids).batches(batches), start=1):
            found.append(_maps(fitted.network, name, levels, len(fitted.findings)))
            if on_batch is not None:
                on_batch(0, done, len(batches))
    shape = (0, len(fitted.findings), MAP_SIZE, MAP_SIZE)
    return np.concatenate(found) if found else np.empty(shape, dtype=np.float32)


def _maps(network: nn.Module, name: str, levels: Tensor, n_findings: int) -> FloatArray:
    with _kept_output(network.get_submodule(name)) as kept:
        logits = network(levels)
    activation = kept[0]
    maps = []
    for finding in range(n_findings):
        (gradient,) = torch.autograd.grad(logits[:, finding].sum(), activation, retain_graph=True)
        maps.append(_weigh(activation.detach(), gradient))
    return torch.stack(maps, dim=1).cpu().numpy()


def _weigh(activation: Tensor, gradient: Tensor) -> Tensor:
    """Maps [n, MAP_SIZE, MAP_SIZE] that sum to 1 or are zero."""
    coarse = functional.relu((gradient * activation).sum(dim=1, keepdim=True))
    fine = functional.interpolate(coarse, size=(MAP_SIZE, MAP_SIZE), mode="bilinear", align_corners=False)[:, 0]
    total = fine.sum(dim=(1, 2), keepdim=True)
    return torch.where(total > 0, fine / total.clamp_min(torch.finfo(fine.dtype).tiny), torch.zeros_like(fine))


@contextmanager
def _kept_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """What the module gives while the block runs; later layers get a copy, since some work in place."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()

    handle = module.register_forward_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


@dataclass
class _Trace:
    """Outputs of a network's modules in the order in which they end."""

    names: list[str] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    is_convolution: list[bool] = field(default_factory=list)

    def last_map(self) -> str | None:
        """The last module that ends with a map of the last convolution's size; None after tokens or without."""
        maps = [len(shape) == 4 and min(shape[2:]) > 1 for shape in self.shapes]
        convolutions = [place for place, is_map in enumerate(maps) if is_map and self.is_convolution[place]]
        if not convolutions:
            return None
        size = self.shapes[convolutions[-1]][2:]
        place = max(place for place, is_map in enumerate(maps) if is_map and self.shapes[place][2:] == size)
        if any(len(shape) == 3 for shape in self.shapes[place:]):
            return None
        return self.names[place]


def last_map(fitted: Fitted) -> str:
    """Name of the module whose output is the network's last convolutional map.

    It is the last one, of whatever kind, whose map is as large as that of the last convolution: after the
    residual sum, the normalisation and the activation, before any pooling.

    Raises
    ------
    ModelError
        A transformer, or a network whose last convolution does not leave a map of more than one place.
    """
    network = fitted.network
    if any("Attention" in type(module).__name__ for module in network.trunk.modules()):
        raise ModelError(
            "a transformer has no last convolutional map: attention mixes the whole image before the last layer"
        )
    name = _trace(network, fitted.size, fitted.compute.device).last_map()
    if name is None:
        raise ModelError("the network has no last convolutional map of more than one place")
    return name


def _trace(network: nn.Module, size: int, device: str) -> _Trace:
    trace = _Trace()

    def note(name: str, module: nn.Module) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                trace.names.append(name)
                trace.shapes.append(tuple(output.shape))
                trace.is_convolution.append(isinstance(module, nn.Conv2d))

        return module.register_forward_hook(hook)

    handles = [note(name, module) for name, module in network.named_modules() if name.startswith("trunk.")]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 1, size, size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return trace
