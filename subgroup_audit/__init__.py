"""Does a chest-radiograph classifier work equally well for everyone?

>>> from subgroup_audit import check  # doctest: +SKIP
>>> check("predictions.csv", group="sex", person="patient_id")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subgroup_audit.checking.check import check as check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    """What the package offers to training scripts and notebooks, imported when it is asked for."""
    if name == "check":
        from subgroup_audit.checking.check import check

        return check
    raise AttributeError(f"module 'subgroup_audit' has no attribute '{name}'")
