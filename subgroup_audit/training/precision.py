"""The numbers a device computes with: float32, bfloat16 or float16, and the layout of feature maps.

On a CPU what is fastest depends on processor, architecture and size, so it is measured: a few seconds, once,
and the answer is kept, since rerunning a study must use the same numbers.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from subgroup_audit.errors import TrainingError
from subgroup_audit.study import Model, Recipe
from subgroup_audit.training.device import cpu_name, has_native_bf16
from subgroup_audit.training.measured import answer_path, default_cache, keep_answer, read_answer

Precision = Literal["fp32", "bf16", "fp16"]

_VERSION = 2
"""Of the way to measure: answers found in another way are not used."""

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BUDGET_SECONDS, _FEWEST_STEPS = 0.4, 3
_BF16_GAIN, _CONTIGUOUS_GAIN = 1.1, 1.05
"""How many times faster bfloat16, or the contiguous layout, must be to be chosen: small gains are noise."""


@dataclass(frozen=True)
class Compute:
    """Where and in which numbers a fit computes.

    Attributes
    ----------
    how : why this precision and layout, for the record
    """

    device: str
    precision: Precision
    is_channels_last: bool
    how: str

    @property
    def layout(self) -> str:
        """Name of the layout of feature maps."""
        return "channels_last" if self.is_channels_last else "contiguous"

    def autocast(self) -> AbstractContextManager[Any]:
        """Context in which matrix products run in the chosen precision."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=_DTYPES[self.precision])

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, in the layout."""
        form = torch.channels_last if self.is_channels_last else torch.contiguous_format
        return network.to(device=torch.device(self.device)).to(memory_format=form)

    def make_scaler(self) -> torch.amp.GradScaler:
        """Keeps float16 gradients from vanishing; does nothing otherwise."""
        return torch.amp.GradScaler(self.device.partition(":")[0], enabled=self.precision == "fp16")


def choose_compute(
    model: Model, recipe: Recipe, network: nn.Module, device: str, *, cache: Path | None = None
) -> Compute:
    """The precision and layout of a fit.

    Parameters
    ----------
    network : placed nowhere yet; measured on a copy
    cache : folder of measured choices; absent: `$SUBGROUP_AUDIT_CACHE`, else the user's cache folder

    Raises
    ------
    TrainingError
        float16 is asked for on a CPU.
    """
    if recipe.precision == "fp16" and device == "cpu":
        raise TrainingError("precision fp16 needs a GPU: use auto, bf16 or fp32 on a CPU")
    if recipe.precision != "auto":
        return Compute(device, recipe.precision, is_channels_last=True, how="asked for")
    if device != "cpu":
        return _default_of_gpu(device)
    return _probed(model, recipe, network, cache or default_cache())


@contextmanager
def same_kernels() -> Iterator[None]:
    """Let cuDNN use only kernels that repeat their results, the same ones every time; restored afterwards.

    Float32 stays float32: by default cuDNN rounds what it multiplies to the 10 bits of TF32.
    """
    backend = torch.backends.cudnn
    before = backend.deterministic, backend.benchmark, backend.allow_tf32
    backend.deterministic, backend.benchmark, backend.allow_tf32 = True, False, False
    try:
        yield
    finally:
        backend.deterministic, backend.benchmark, backend.allow_tf32 = before


def _default_of_gpu(device: str) -> Compute:
    if device == "mps":
        return Compute(device, "fp32", is_channels_last=False, how="usual on mps")
    capability = torch.cuda.get_device_capability(device)
    precision: Precision = "bf16" if capability >= (8, 0) else "fp16" if capability >= (7, 0) else "fp32"
    how = f"usual for compute capability {capability[0]}.{capability[1]}"
    return Compute(device, precision, is_channels_last=True, how=how)


def _probed(model: Model, recipe: Recipe, network: nn.Module, cache: Path) -> Compute:
    question = {
        "version": _VERSION,
        "architecture": model.architecture,
        "trainable": model.trainable,
        "image_size": recipe.image_size,
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }
    path = answer_path(cache, question)
    answer = read_answer(path)
    if answer is None:
        measured = {"question": question, "images_per_second": _measure(network, recipe)}
        answer = keep_answer(path, measured)
    precision, is_last = pick_fastest(answer["images_per_second"])
    speeds = ", ".join(f"{name} {v:.0f}" for name, v in sorted(answer["images_per_second"].items()))
    return Compute("cpu", precision, is_last, how=f"measured images/s: {speeds}")


def pick_fastest(speeds: dict[str, float]) -> tuple[Precision, bool]:
    """Precision and whether channels-last, of measured images per second: bfloat16 only for a clear gain."""

    def weigh(name: str) -> float:
        precision = _BF16_GAIN if name.startswith("bf16") else 1.0
        return speeds[name] / precision / (1.0 if name.endswith("channels_last") else _CONTIGUOUS_GAIN)

    best = max(speeds, key=weigh)
    return ("bf16" if best.startswith("bf16") else "fp32"), best.endswith("channels_last")


def _measure(network: nn.Module, recipe: Recipe) -> dict[str, float]:
    """Training images per second of every precision and layout worth trying."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if has_native_bf16() else ("fp32",)
    speeds = {}
    with torch.random.fork_rng(devices=[]):
        for precision in precisions:
            for is_last in (False, True):
                compute = Compute("cpu", precision, is_last, how="")
                speeds[f"{precision} {compute.layout}"] = _time_steps(network, recipe, compute)
    return speeds


def _time_steps(network: nn.Module, recipe: Recipe, compute: Compute) -> float:
    """Training images per second of the fastest step, after one that prepares what all others use again."""
    probe = compute.place(copy.deepcopy(network)).train()
    side, n = recipe.image_size, min(recipe.batch_size, 8)
    levels = torch.zeros(n, side, side, 1).permute(0, 3, 1, 2)
    spent: list[float] = []
    _step(probe, levels, compute)
    while len(spent) < _FEWEST_STEPS or sum(spent) < _BUDGET_SECONDS:
        started = _clock()
        _step(probe, levels, compute)
        spent.append(_clock() - started)
        if spent[0] > _BUDGET_SECONDS:
            break
    return n / min(spent)


def _clock() -> float:
    """Seconds of this process alone where it has one thread: other workers measure at the same time."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _step(probe: nn.Module, levels: torch.Tensor, compute: Compute) -> None:
    with compute.autocast():
        value = probe(levels).float().square().mean()
    value.backward()
    probe.zero_grad()
