"""How long a fit will take, before it is run: cheap, stated as an estimate, and good to a factor of two."""

from __future__ import annotations

import os

from subgroup_audit.training.device import choose_device, has_native_bf16
from subgroup_audit.training.measured import read_measured
from subgroup_audit.training.spec import FitSpec

GIGAFLOPS_AT_224 = {
    "small_cnn": 1.0,
    "resnet18": 3.6,
    "resnet34": 7.3,
    "resnet50": 8.2,
    "resnet101": 15.7,
    "resnet152": 23.1,
    "densenet121": 5.7,
    "densenet169": 6.7,
    "densenet201": 8.6,
    "vgg11": 15.2,
    "vgg16": 31.0,
    "vgg16_bn": 31.0,
    "vgg19": 39.3,
    "mobilenetv3_large_100": 0.43,
    "mobilenet_v3_large": 0.43,
    "efficientnet_b0": 0.78,
    "efficientnet_b3": 3.7,
    "convnext_atto": 1.1,
    "convnext_tiny": 8.9,
    "vit_tiny_patch16_224": 2.2,
    "vit_small_patch16_224": 9.2,
    "vit_base_patch16_224": 35.1,
}
"""Operations of one image's forward pass, multiply and add counted apart; others are taken as `_TYPICAL`."""

_TYPICAL = 8.0
_TRAIN_FACTOR = 3.0
# sustained gigaflops of training: measured per core of a CPU with and without bfloat16; GPUs as published
_RATES = {"cpu_bf16": 250.0, "cpu": 90.0, "cuda": 60_000.0, "mps": 2_500.0}
_START_SECONDS = 5.0


def estimate_seconds(spec: FitSpec, n_train: int, n_val: int, n_targets: int, device: str = "cpu") -> float:
    """Seconds that a fit is expected to take, all epochs done.

    Parameters
    ----------
    n_train, n_val, n_targets : images trained on, validated on each epoch, and predicted at the end
    """
    if device == "auto":  # a named one may be another machine's
        device = choose_device(device)
    forward = _forward_seconds(spec, device)
    epochs, part = spec.recipe.epochs, spec.model.trainable
    if part == "head" and spec.recipe.augmentation == type(spec.recipe.augmentation)():
        return _START_SECONDS + forward * (n_train + n_val + n_targets)
    factor = _TRAIN_FACTOR if part == "all" else 1.0 if part == "head" else 2.0
    return _START_SECONDS + forward * (epochs * (factor * n_train + n_val) + n_targets)


def _forward_seconds(spec: FitSpec, device: str) -> float:
    """Seconds of one image's forward pass."""
    measured = read_measured(spec.model, spec.recipe) if device == "cpu" else None
    if measured:
        return 1.0 / (_TRAIN_FACTOR * measured)
    name = spec.model.architecture.removeprefix("torchvision/").partition(".")[0]
    work = GIGAFLOPS_AT_224.get(name, _TYPICAL) * (spec.recipe.image_size / 224) ** 2
    return work / _rate(device)


def _rate(device: str) -> float:
    if device != "cpu":
        return _RATES[device.partition(":")[0]]
    return (os.cpu_count() or 1) * _RATES["cpu_bf16" if has_native_bf16() else "cpu"]
