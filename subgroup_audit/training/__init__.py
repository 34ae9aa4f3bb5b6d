"""Training: a manifest and its pixels go in, a fitted model with its history and predictions comes out.

The only part of the package that imports torch, torchvision and timm, and none of them before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from subgroup_audit.training.spec import EpochReport, FitOutcome, FitSpec, Pixels

if TYPE_CHECKING:
    from subgroup_audit.training.device import choose_device, describe_device, tune_allocator, use_threads
    from subgroup_audit.training.estimate import estimate_seconds
    from subgroup_audit.training.features import features_of, untrained_twin
    from subgroup_audit.training.fit import run_fit
    from subgroup_audit.training.fitted import Fitted, load_fitted, predict
    from subgroup_audit.training.names import validate_model
    from subgroup_audit.training.saliency import heat_maps

_HOMES = {
    "Fitted": "fitted",
    "choose_device": "device",
    "describe_device": "device",
    "estimate_seconds": "estimate",
    "features_of": "features",
    "heat_maps": "saliency",
    "load_fitted": "fitted",
    "predict": "fitted",
    "run_fit": "fit",
    "tune_allocator": "device",
    "untrained_twin": "features",
    "use_threads": "device",
    "validate_model": "names",
}

__all__ = [
    "EpochReport",
    "FitOutcome",
    "FitSpec",
    "Fitted",
    "Pixels",
    "choose_device",
    "describe_device",
    "estimate_seconds",
    "features_of",
    "heat_maps",
    "load_fitted",
    "predict",
    "run_fit",
    "tune_allocator",
    "untrained_twin",
    "use_threads",
    "validate_model",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that light commands do not pay for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
