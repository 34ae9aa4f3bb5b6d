"""Networks: a trunk from timm, torchvision or this package, and a head of our own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training.checkpoint import MODEL
from subgroup_audit.training.feeding import Normalisation
from subgroup_audit.training.names import Source, fetch_published, find_architecture, find_weights_file
from subgroup_audit.training.weights import load_head, load_trunk, read_weights

PLAIN = Normalisation(mean=0.5, std=0.25)
"""For networks trained from scratch: fixed, so that no cohort's brightness enters its network."""


class Network(nn.Module):
    """A trunk that makes features of grey images [n, 1, side, side], and a head that makes logits of those."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """Features of images, shape [n, features]."""
        found = self.trunk(images)
        # networks with auxiliary outputs return a named tuple while training
        return torch.flatten(found if isinstance(found, Tensor) else found[0], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape [n, findings]."""
        logits: Tensor = self.head(self.features(images))
        return logits


class SmallCNN(nn.Sequential):
    """Five blocks of 3x3 convolution, batch norm, ReLU, 2x2 max pooling and dropout, then a dense layer of 512."""

    WIDTHS = (32, 64, 64, 128, 256)
    DROPOUT = 0.2
    DENSE = 512

    def __init__(self, size: int) -> None:
        blocks = [self._block(a, b) for a, b in zip((1, *self.WIDTHS[:-1]), self.WIDTHS, strict=True)]
        side = size
        for _ in blocks:
            side = -(-side // 2)
        dense = [nn.Flatten(), nn.Linear(self.WIDTHS[-1] * side * side, self.DENSE), nn.ReLU(inplace=True)]
        super().__init__(*blocks, *dense)

    def _block(self, n_in: int, n_out: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Dropout(self.DROPOUT),
        )


@dataclass(frozen=True)
class Trunk:
    """A trunk and what must be known of it.

    Attributes
    ----------
    classifier : names of the layers that the head replaces, as published weights call them
    is_size_fixed : whether it takes images of one size only
    """

    module: nn.Module
    classifier: tuple[str, ...]
    normalisation: Normalisation
    is_size_fixed: bool


@dataclass(frozen=True)
class Built:
    """A network with its normalisation, and sentences on what its weights are."""

    network: Network
    normalisation: Normalisation
    is_size_fixed: bool
    notes: tuple[str, ...]


def build_network(
    model: Model, *, n_outputs: int, size: int, study_folder: str | Path, with_weights: bool = True
) -> Built:
    """The network of a study's model, with its starting weights.

    Parameters
    ----------
    size : side of the input, px
    with_weights : whether published or local weights are loaded; a fitted model brings its own

    Raises
    ------
    ModelError
        Unknown architecture, weights that are missing or do not fit, or an input size it cannot take.
    """
    source, name = find_architecture(model.architecture)
    is_pretrained = model.pretrained and with_weights
    if is_pretrained:
        fetch_published(source, name)
    trunk = _build_trunk(source, name, size=size, pretrained=is_pretrained)
    n_features = _count_features(trunk.module, size, model.architecture)
    head = build_head(n_features, model.hidden, n_outputs, model.dropout)
    network = Network(trunk.module, head)
    notes: list[str] = []
    if with_weights and model.weights is not None:
        path = find_weights_file(model.weights, study_folder)
        notes = load_local(network, trunk.classifier, path)
    return Built(network, _normalisation(model, trunk, study_folder), trunk.is_size_fixed, tuple(notes))


def _normalisation(model: Model, trunk: Trunk, study_folder: str | Path) -> Normalisation:
    """What the starting weights were trained with: as a fitted model of ours says, else as published."""
    if model.weights is None:
        return trunk.normalisation if model.pretrained else PLAIN
    description = (Path(study_folder) / model.weights).with_name(MODEL)
    if not description.is_file():
        return trunk.normalisation
    record = json.loads(description.read_text(encoding="utf-8"))
    return Normalisation(float(record["mean"]), float(record["std"]))


def build_head(n_features: int, hidden: Sequence[int], n_outputs: int, dropout: float) -> nn.Sequential:
    """Hidden layers with ReLU, dropout, and the last layer."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip((n_features, *hidden[:-1]), hidden, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(inplace=True)]
    n_last = hidden[-1] if hidden else n_features
    return nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(n_last, n_outputs))


def load_local(network: Network, classifier: tuple[str, ...], path: Path) -> list[str]:
    """Load a local file, strict for the trunk; returns sentences on what it did not bring."""
    state = read_weights(path)
    rest = load_trunk(network.trunk, classifier, state, path)
    return load_head(network.head, rest, path)


def _build_trunk(source: Source, name: str, *, size: int, pretrained: bool) -> Trunk:
    if source == "own":
        return Trunk(SmallCNN(size), (), PLAIN, is_size_fixed=True)
    if source == "timm":
        return _build_timm(name, size=size, pretrained=pretrained)
    return _build_torchvision(name, size=size, pretrained=pretrained)


def _build_timm(name: str, *, size: int, pretrained: bool) -> Trunk:
    import timm

    config = timm.models.get_pretrained_cfg(name)
    is_fixed = bool(config and config.fixed_input_size)
    sized = {"img_size": size} if is_fixed else {}
    try:
        module = timm.create_model(name, pretrained=pretrained, in_chans=1, num_classes=0, **sized)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise ModelError(f"timm cannot build '{name}' for {size} px: {error}") from error
    classifier = module.pretrained_cfg.get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    if isinstance(module, timm.models.VGG):
        # its two layers of 4,096 are head, not trunk: `hidden` says which dense layers a study wants
        module.pre_logits = nn.Identity()
        names = (*names, "pre_logits")
    means, stds = module.pretrained_cfg["mean"], module.pretrained_cfg["std"]
    return Trunk(module, names, _grey_normalisation(means, stds), is_fixed)


def _grey_normalisation(means: Sequence[float], stds: Sequence[float]) -> Normalisation:
    """The mean over the colours, since the first layer sums its weights over them."""
    return Normalisation(sum(means) / len(means), sum(stds) / len(stds))


def _build_torchvision(name: str, *, size: int, pretrained: bool) -> Trunk:
    from torchvision import models

    is_fixed = name.startswith("vit_")
    options: dict[str, Any] = {"image_size": size} if is_fixed and not pretrained else {}
    if "init_weights" in inspect.signature(models.get_model_builder(name)).parameters:
        options["init_weights"] = not pretrained
    module = models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    if isinstance(module, (models.VGG, models.AlexNet)):
        module.avgpool = nn.AdaptiveAvgPool2d(1)
        module.classifier = nn.Identity()
        classifier = "classifier"
    else:
        classifier = _remove_classifier(module)
    _turn_grey(module)
    return Trunk(module, (classifier,), _grey_normalisation(*_IMAGENET), is_fixed)


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _remove_classifier(module: nn.Module) -> str:
    """Replace the last layer that has weights by nothing; returns its name."""
    layers: list[str] = [
        str(name)
        for name, layer in module.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and not name.startswith(("aux", "AuxLogits"))
    ]
    module.set_submodule(layers[-1], nn.Identity())
    return layers[-1]


def _turn_grey(module: nn.Module) -> None:
    """Sum the first convolution's weights over the colours: what it would give for equal colours."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels == 3:
            module.set_submodule(name, _grey_convolution(layer))
            # Inception and GoogLeNet reorder colours before their first layer
            if hasattr(module, "transform_input"):
                setattr(module, "transform_input", False)  # noqa: B010  nn.Module types its attributes
            return
    raise ModelError(f"{type(module).__name__} has no convolution over three colours to turn grey")


def _grey_convolution(layer: nn.Conv2d) -> nn.Conv2d:
    grey = nn.Conv2d(
        1,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    with torch.no_grad():
        grey.weight.copy_(layer.weight.sum(dim=1, keepdim=True))
        if layer.bias is not None and grey.bias is not None:
            grey.bias.copy_(layer.bias)
    return grey


def _count_features(trunk: nn.Module, size: int, architecture: str) -> int:
    """Features that the trunk gives for one image; measured, since every family keeps it elsewhere."""
    was_training = trunk.training
    trunk.eval()
    try:
        with torch.no_grad():
            found = trunk(torch.zeros(1, 1, size, size))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"'{architecture}' cannot take images of {size} px: {error}") from error
    trunk.train(was_training)
    return int(torch.flatten(found, 1).shape[1])
