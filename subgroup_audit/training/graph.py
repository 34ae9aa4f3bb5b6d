"""A network whose training pass is one CUDA graph: small networks else wait for kernels to be launched.

Forward and backward are recorded once for the fit's one batch shape and replayed; loss, optimiser and evaluation
stay as they are. It computes with the same kernels. Off unless `SUBGROUP_AUDIT_CUDA_GRAPH=1`, since no GPU was at
hand to measure what it gains: `benchmarks/gpu.py` does, and a test marked `gpu` compares the results.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from subgroup_audit.training.precision import Compute

Capture = Callable[..., Any]


def wants_graph(compute: Compute) -> bool:
    """Whether the training pass is to be recorded: asked for, on a CUDA device, and without a loss scaler."""
    is_asked = os.environ.get("SUBGROUP_AUDIT_CUDA_GRAPH") == "1"
    return is_asked and compute.device.startswith("cuda") and compute.precision != "fp16"


def record_training(
    network: nn.Module, compute: Compute, shape: tuple[int, ...], capture: Capture | None = None
) -> None:
    """Record the network's forward and backward pass in training mode, in place, for inputs of this shape.

    Parameters
    ----------
    network : on its device, in the training mode that it will train in
    shape : of a batch, [b, 1, side, side] or [b, features]
    capture : `torch.cuda.make_graphed_callables`, or what stands in for it where there is no GPU

    Notes
    -----
    Recording runs the network a few times. What that leaves in batch statistics, gradients and the random numbers
    is taken back, in place: the graph holds the addresses.
    """
    buffers = {name: buffer.detach().clone() for name, buffer in network.named_buffers()}
    devices = [torch.device(compute.device)] if compute.device.startswith("cuda") else []
    sample = _sample(shape, compute.device)
    with (
        torch.random.fork_rng(devices=devices),
        torch.autocast(
            compute.device.partition(":")[0],
            dtype=torch.bfloat16,
            enabled=compute.precision == "bf16",
            cache_enabled=False,
        ),
    ):
        (capture or torch.cuda.make_graphed_callables)(network, (sample,), allow_unused_input=True)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
    network.zero_grad(set_to_none=True)


def _sample(shape: tuple[int, ...], device: str) -> Tensor:
    """An input strided as the feed strides it."""
    if len(shape) != 4:
        return torch.zeros(shape, device=device)
    n, _, height, width = shape
    return torch.zeros((n, height, width, 1), device=device).permute(0, 3, 1, 2)
