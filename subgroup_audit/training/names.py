"""Names of architectures and their published weights, checked without building anything."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from subgroup_audit.errors import ModelError, nearest
from subgroup_audit.study import Model

Source = Literal["own", "timm", "torchvision"]

SMALL_CNN = "small_cnn"
_INSIST = "torchvision/"
_WAY_OUT = (
    "connect once, or set HF_HOME (timm) or TORCH_HOME (torchvision) to a cache that holds them, "
    "or name a local file with `weights:`"
)


def validate_model(model: Model, *, study_folder: str | Path, fetch_weights: bool = False) -> None:
    """Check that a model can be built, without building it.

    Parameters
    ----------
    study_folder : folder that a relative `weights` starts from
    fetch_weights : also bring published weights into the local cache, so that workers find them there

    Raises
    ------
    ModelError
        The architecture is unknown (the nearest names are given), the weights file is missing, published
        weights do not exist or cannot be had offline, or both kinds of weights are asked for.
    """
    source, name = find_architecture(model.architecture)
    if model.weights is not None:
        if model.pretrained:
            raise ModelError(
                f"model '{model.architecture}': give `pretrained: true` or `weights:`, not both; "
                f"weights is '{model.weights}'"
            )
        find_weights_file(model.weights, study_folder)
    if model.pretrained:
        _require_published(source, name)
        if fetch_weights:
            fetch_published(source, name)


def find_architecture(architecture: str) -> tuple[Source, str]:
    """Where an architecture comes from and its name there: timm first, then torchvision, unless insisted."""
    if architecture == SMALL_CNN:
        return "own", SMALL_CNN
    insists = architecture.startswith(_INSIST)
    name = architecture.removeprefix(_INSIST)
    if not insists and _is_timm(name):
        return "timm", name
    if name in torchvision_names():
        return "torchvision", name
    known = torchvision_names() if insists else (*timm_names(), *torchvision_names(), SMALL_CNN)
    near = nearest(name.partition(".")[0], dict.fromkeys(known), limit=5)
    places = "torchvision" if insists else "timm, torchvision or this package"
    hint = f"nearest: {', '.join(near)}" if near else "`timm.list_models()` lists those of timm"
    raise ModelError(f"no architecture of {places} is named '{name}'; {hint}")


def _is_timm(name: str) -> bool:
    import timm

    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        return False
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")] if tag else []
    if tag and tag not in tags:
        near = ", ".join(f"{base}.{known}" for known in tags) or "none"
        raise ModelError(f"timm has no weights '{name}'; those of '{base}': {near}")
    return True


@cache
def timm_names() -> tuple[str, ...]:
    """Architectures of timm."""
    import timm

    return tuple(timm.list_models())


@cache
def torchvision_names() -> tuple[str, ...]:
    """Image classifiers of torchvision."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def find_weights_file(weights: str, study_folder: str | Path) -> Path:
    """The local file of weights.

    Raises
    ------
    ModelError
        There is no such file, or its ending is none of those that hold weights.
    """
    path = Path(study_folder) / weights
    if path.suffix not in {".safetensors", ".pth", ".pt", ".bin", ".ckpt"}:
        raise ModelError(f"weights must be a .safetensors, .pth, .pt, .bin or .ckpt file, not '{weights}'")
    if not path.is_file():
        raise ModelError(f"weights file '{path}' does not exist")
    return path


def _require_published(source: Source, name: str) -> None:
    if source == "own":
        raise ModelError(f"'{name}' has no published weights: leave `pretrained` out, or name a `weights` file")
    if source == "timm":
        import timm

        if not timm.models.is_model_pretrained(name):
            raise ModelError(f"timm publishes no weights of '{name}': leave `pretrained` out")


def fetch_published(source: Source, name: str) -> None:
    """Bring published weights into the local cache.

    Raises
    ------
    ModelError
        They are not there and cannot be downloaded.
    """
    try:
        if source == "timm":
            _fetch_from_hub(name)
        elif source == "torchvision":
            import torch
            from torchvision import models

            torch.hub.load_state_dict_from_url(models.get_model_weights(name).DEFAULT.url, progress=False)
    except OSError as error:
        raise ModelError(f"published weights of '{name}' cannot be downloaded ({error}): {_WAY_OUT}") from error


def _fetch_from_hub(name: str) -> None:
    import huggingface_hub

    config = _timm_config(name)
    if not config.hf_hub_id or any(_is_cached(config.hf_hub_id, file) for file in _HUB_FILES):
        return
    _require_connection(name)
    try:
        huggingface_hub.hf_hub_download(config.hf_hub_id, _HUB_FILES[0])
    except huggingface_hub.errors.EntryNotFoundError:
        huggingface_hub.hf_hub_download(config.hf_hub_id, _HUB_FILES[1])


_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def _timm_config(name: str) -> Any:
    from timm.models import get_pretrained_cfg

    return get_pretrained_cfg(name)


def _is_cached(repository: str, file: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, file), str)


def _require_connection(name: str) -> None:
    """Fail at once where the hub's name does not resolve: its client would retry for most of a minute."""
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return
    host = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or ""
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}
    try:
        if is_offline:
            raise OSError("HF_HUB_OFFLINE is set")
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise ModelError(
            f"published weights of '{name}' are not in the local cache and cannot be downloaded from "
            f"{host} ({error}): {_WAY_OUT}"
        ) from error
