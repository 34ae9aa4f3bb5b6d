"""One fit by several processes, as torchrun starts them: each has its part of every batch, all have one network.

Gradients are those of the whole batch: each process sums its losses, divides by the labels of the whole batch, and
DistributedDataParallel adds the gradients up. What may differ from one process: sums are added in another order,
dropout draws other numbers, and on a CPU batch normalisation sees the images of its own process alone (on CUDA it
sees the whole batch). Every process holds all labels, so that counting and ordering need no messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as messages

from subgroup_audit.errors import TrainingError
from subgroup_audit.training.data import Batch
from subgroup_audit.training.spec import IndexArray


@dataclass(frozen=True)
class Group:
    """The processes of one fit; of one process, every method does nothing.

    Attributes
    ----------
    rank : place of this process, from 0; only 0 writes files
    """

    rank: int = 0
    size: int = 1

    @property
    def is_alone(self) -> bool:
        """Whether this process does the fit by itself."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and tells."""
        return self.rank == 0

    def parts(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """This process's part of every batch: equal shares, but for one image."""
        return batches if self.is_alone else [self._part(batch) for batch in batches]

    def _part(self, batch: Batch) -> Batch:
        places = self._places(batch)
        return Batch(batch.index[places], batch.turn[places], int((places < batch.n_real).sum()))

    def _places(self, batch: Batch) -> IndexArray:
        return np.array_split(np.arange(len(batch.index), dtype=np.int64), self.size)[self.rank]

    def in_order(self, rows: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Rows of the images that count, [n, outputs] in the order of the batches, from every process's parts."""
        if self.is_alone:
            return rows
        starts = np.cumsum([0, *(batch.n_real for batch in batches)])
        places = [
            start + (mine := self._places(batch))[mine < batch.n_real]
            for start, batch in zip(starts.tolist(), batches, strict=False)
        ]
        return self._fill(rows, np.concatenate(places), int(starts[-1]))

    def whole(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """The batches that this process does alone, where each is done by one process."""
        return batches[self.rank :: self.size]

    def in_order_of_whole(self, found: Sequence[Tensor], batches: Sequence[Batch]) -> Tensor:
        """Rows in the order of the batches, from what each process found of its own whole ones."""
        if self.is_alone:
            return torch.cat(list(found))
        starts = np.cumsum([0, *(len(batch.index) for batch in batches)])
        places = [np.arange(start, end) for start, end in pairwise(starts)]
        mine = places[self.rank :: self.size]
        rows = torch.cat(list(found)) if found else torch.empty(0)
        return self._fill(rows, np.concatenate(mine) if mine else np.empty(0, np.int64), int(starts[-1]))

    def _fill(self, rows: Tensor, places: IndexArray, n: int) -> Tensor:
        """All rows, each from the process that has it: the sum with the zeros of the others changes no bit."""
        described = torch.tensor([rows.shape[1] if rows.ndim == 2 else 0])
        width = int(self.sum(described.to(_device()), largest=True))
        filled = torch.zeros((n, width), dtype=torch.float32, device=_device())
        if len(places):
            filled[torch.from_numpy(places).to(filled.device)] = rows
        return self.sum(filled)

    def sum(self, values: Tensor, *, largest: bool = False) -> Tensor:
        """Sum over the processes, or the largest; in place."""
        if not self.is_alone:
            messages.all_reduce(values, messages.ReduceOp.MAX if largest else messages.ReduceOp.SUM)
        return values

    def wrap(self, network: nn.Module, device: str) -> nn.Module:
        """The network as training runs it: its gradients are added up over the processes."""
        if self.is_alone:
            return network
        devices = [torch.device(device)] if device.startswith("cuda") else None
        kind = nn.parallel.DistributedDataParallel
        # the switch that keeps batch statistics apart between averages has a new name in newer versions of torch
        names = signature(kind.__init__).parameters
        switch: dict[str, Any] = {name: False for name in ("forward_sync_buffers",) if name in names}
        return kind(network, device_ids=devices, **(switch or {"broadcast_buffers": False}))

    def share_statistics(self, network: nn.Module, device: str) -> None:
        """On CUDA, let batch normalisation see the whole batch; torch has no such layer for a CPU."""
        if self.is_alone or not device.startswith("cuda"):
            return
        from timm.layers import (
            convert_sync_batchnorm,  # torch's would drop the activations that timm's layers hold
        )

        for name, child in network.named_children():
            setattr(network, name, convert_sync_batchnorm(child))

    def average_statistics(self, network: nn.Module) -> None:
        """Give every process the mean of the batch statistics that each has gathered."""
        if self.is_alone:
            return
        for buffer in network.buffers():
            if buffer.is_floating_point():
                self.sum(buffer).div_(self.size)

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """A block that process 0 goes through before the others, who then find what it kept."""
        if not self.is_first:
            messages.barrier()
        yield
        if self.is_first and not self.is_alone:
            messages.barrier()

    def wait(self) -> None:
        """Go on when all have come here."""
        if not self.is_alone:
            messages.barrier()

    def tell_all(self, value: Any) -> Any:
        """What process 0 has."""
        if self.is_alone:
            return value
        held = [value]
        messages.broadcast_object_list(held, src=0)
        return held[0]

    def require_room(self, label: str, batch_size: int) -> None:
        """Raise `TrainingError` where a part of a batch would be too small to normalise."""
        if batch_size < 2 * self.size and not self.is_alone:
            raise TrainingError(
                f"fit {label}: batch_size {batch_size} gives {self.size} processes fewer than 2 images each; "
                f"start at most {max(1, batch_size // 2)}, or raise `batch_size`"
            )

    def describe(self, device: str) -> str:
        """A sentence for the fit's record; '' where the process is alone."""
        if self.is_alone:
            return ""
        norms = "the whole batch" if device.startswith("cuda") else "the images of its own process"
        return (
            f"trained by {self.size} processes, each with its part of every batch; batch normalisation saw {norms}"
        )


def current_group() -> Group:
    """The processes of the fit that this process is one of."""
    if not (messages.is_available() and messages.is_initialized()):
        return Group()
    return Group(messages.get_rank(), messages.get_world_size())


def _device() -> torch.device:
    return (
        torch.device("cuda", torch.cuda.current_device())
        if messages.get_backend() == "nccl"
        else torch.device("cpu")
    )


@contextmanager
def joined_group(device: str, local_rank: int) -> Iterator[tuple[Group, str]]:
    """The group that torchrun started, for a block, and this process's device of the kind."""
    mine = f"cuda:{local_rank}" if device == "cuda" else device
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    messages.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield current_group(), mine
    finally:
        messages.destroy_process_group()
