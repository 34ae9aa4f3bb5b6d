"""What a run ran on: versions, machine, device, folders."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from subgroup_audit.steps.place import Place

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn", "scipy", "pydicom")


def describe_environment(place: Place, device: str) -> dict[str, Any]:
    """Versions of this package and of what the numbers rest on, the machine and the device."""
    return {
        "version": version("subgroup-audit"),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "data": place.root.name,
    }


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
