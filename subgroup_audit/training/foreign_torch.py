"""PyTorch models of other people: networks of timm with local weights, TorchScript and torch.export files."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subgroup_audit.errors import ModelError
from subgroup_audit.training.foreign_archive import find_kind, screen_export
from subgroup_audit.training.foreign_onnx import read_shape
from subgroup_audit.training.foreign_spec import (
    CHANNELS,
    FORMS,
    TIMM,
    ModelUse,
    Opened,
    last_line,
    refuse_pickle,
    spread_levels,
)
from subgroup_audit.training.names import find_architecture, find_weights_file
from subgroup_audit.training.spec import FloatArray
from subgroup_audit.training.weights import State, read_weights


def open_archive(path: Path, device: str) -> Opened:
    """The model in a PyTorch file, whatever its ending; told apart by content.

    Raises
    ------
    ModelError
        The file holds weights alone, or would run code when opened, or is no PyTorch file.
    """
    kind = find_kind(path)
    if kind == "torchscript":
        return _open_torchscript(path, device)
    if kind == "export":
        return _open_export(path, device)
    if kind == "checkpoint":
        raise _refuse_checkpoint(path)
    raise ModelError(f"model '{path}' is no file of PyTorch. A model is {FORMS}")


def _refuse_checkpoint(path: Path) -> ModelError:
    """What to say of a pickled file: weights without a network, or more than weights."""
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return refuse_pickle(str(path))
    except (OSError, RuntimeError, EOFError) as error:
        return ModelError(f"model '{path}' is damaged or cut short: {last_line(error)}")
    return refuse_weights(path)


def refuse_weights(path: Path) -> ModelError:
    """What to say of weights that come without the network they belong to."""
    return ModelError(
        f"model '{path}' holds weights alone, not the network they belong to: say timm:NAME --weights {path} "
        "for a network of timm, or export the whole network as ONNX"
    )


def _open_torchscript(path: Path, device: str) -> Opened:
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # torch warns that TorchScript is deprecated; it is still read
            module = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"model '{path}' is not TorchScript that can be run: {last_line(error)}") from error
    channels = _first_channels(module.parameters())
    return Opened(_runner(module, device), "TorchScript file", channels)


def _first_channels(parameters: Iterable[Tensor]) -> int | None:
    """Channels that the first convolution takes, where they can be those of a radiograph."""
    first = next((int(p.shape[1]) for p in parameters if p.ndim == 4), None)
    return first if first in CHANNELS else None


def _open_export(path: Path, device: str) -> Opened:
    clean = screen_export(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            program = torch.export.load(clean)
            if device != "cpu":
                from torch.export.passes import move_to_device_pass

                program = move_to_device_pass(program, device)
            module = program.module(check_guards=False)
    except Exception as error:
        raise ModelError(
            f"model '{path}' is not a torch.export file that can be run: {last_line(error)}"
        ) from error
    batch, channels, size = read_shape(path, _image_shape(path, program))
    return Opened(_runner(module, device), "torch.export file", channels, size, batch)


def _image_shape(path: Path, program: Any) -> list[Any]:
    """The shape of the one input; what may vary is not an int."""
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise ModelError(f"model '{path}' has {len(names)} inputs; it must have one, the images")
    value = next(node.meta["val"] for node in program.graph.nodes if node.name == names[0])
    return list(value.shape)


def _runner(module: Any, device: str) -> Callable[[FloatArray], Any]:
    @torch.no_grad()
    def run(images: FloatArray) -> Any:
        found = module(torch.from_numpy(images).to(device))
        while isinstance(found, (tuple, list)) and len(found) == 1:
            found = found[0]
        return found.float().cpu().numpy() if isinstance(found, Tensor) else found

    return run


def open_timm(source: str, use: ModelUse, device: str) -> Opened:
    """A network of timm as it is published, with local weights; its outputs are as many as its weights give.

    Raises
    ------
    ModelError
        No such network, no weights, or weights that do not fit it.
    """
    name = source.removeprefix(TIMM)
    place, name = find_architecture(name)
    if place != "timm":
        raise ModelError(f"model '{source}': '{name}' is no network of timm")
    if use.weights is None:
        raise ModelError(f"model '{source}' needs its trained weights: --weights FILE (safetensors, or .pth)")
    state = read_weights(find_weights_file(str(use.weights), "."))
    network, config, channels, size = _build_timm(source, name, state, use)
    _load_strictly(network, state, source, use.weights)
    levels = None
    if use.normalise == "auto":
        levels = spread_levels("the mean and spread that timm publishes for it", config.mean, config.std, channels)
    network.to(torch.device(device)).eval()
    return Opened(
        _runner(network, device), f"{name} of timm with {use.weights.name}", channels, size, levels=levels
    )


def _build_timm(source: str, name: str, state: State, use: ModelUse) -> tuple[nn.Module, Any, int, int]:
    """The network with the channels and outputs of the weights, its published settings, channels, and side."""
    import timm

    config = timm.models.get_pretrained_cfg(name)
    if all(key.startswith(("trunk.", "head.")) for key in state):
        raise ModelError(
            f"model '{source}': '{use.weights}' belongs to a fit of this package; check that file itself, in "
            "its folder"
        )
    classifier = (
        config.classifier if isinstance(config.classifier, str) else next(iter(config.classifier or ()), "")
    )
    first = config.first_conv if isinstance(config.first_conv, str) else next(iter(config.first_conv or ()), "")
    keys = [f"{classifier}.weight", f"{first}.weight"]
    lacking = [key for key in keys if key not in state]
    if lacking:
        raise ModelError(
            f"model '{source}': weights file '{use.weights}' does not fit it: it has no '{lacking[0]}'"
        )
    n_outputs, channels = int(state[keys[0]].shape[0]), int(state[keys[1]].shape[1])
    size = use.image_size or int(config.input_size[-1])
    sized = {"img_size": size} if config.fixed_input_size else {}
    try:
        network = timm.create_model(name, num_classes=n_outputs, in_chans=channels, **sized)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(f"timm cannot build '{name}' for {size} px: {last_line(error)}") from error
    return network, config, channels, size


def _load_strictly(network: nn.Module, state: State, source: str, path: Path) -> None:
    wanted = network.state_dict()
    problems = {
        # counters of batches seen are absent from old files and change nothing
        "missing": [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")],
        "unknown": [key for key in state if key not in wanted],
        "of another shape": [key for key in wanted if key in state and wanted[key].shape != state[key].shape],
    }
    said = [f"{len(keys)} {kind} (first: {keys[0]})" for kind, keys in problems.items() if keys]
    if said:
        raise ModelError(f"model '{source}': weights file '{path}' does not fit it: weights {'; '.join(said)}")
    network.load_state_dict(state, strict=False)
