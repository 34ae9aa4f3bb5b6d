"""Does a chest-radiograph classifier work equally well for everyone?

>>> from subgroup_audit import check  # doctest: +SKIP
>>> check("predictions.csv", group="sex", person="patient_id")  # doctest: +SKIP
>>> from subgroup_audit import compare  # doctest: +SKIP
>>> compare("reports/old", "reports/new")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subgroup_audit.checking.check import check as check
    from subgroup_audit.comparison.compare import compare as compare

__all__ = ["check", "compare"]

# What the package offers to training scripts and notebooks, imported when it is asked for. By name, since a module
# of a low layer that imports the package would else point up.
_OFFERED = {"check": "subgroup_audit.checking.check", "compare": "subgroup_audit.comparison.compare"}


def __getattr__(name: str) -> Any:
    """One of the names above; raises `AttributeError` for any other."""
    if name in _OFFERED:
        return getattr(import_module(_OFFERED[name]), name)
    raise AttributeError(f"module 'subgroup_audit' has no attribute '{name}'")
