"""Phantom data sets, as `audit phantom` writes them: RSNA's layout, with persons and lesions that are known."""

from __future__ import annotations

from typing import ClassVar

from subgroup_audit.datasets.rsna import MAPPING_FILE, RSNA


class Phantom(RSNA):
    """A synthetic data set with a planted, known gap."""

    name: ClassVar[str] = "phantom"
    label_source: ClassVar[str] = "phantom design"
    uses_shipped_map: ClassVar[bool] = False
    expects: ClassVar[str] = f"what `audit phantom DIR` writes: RSNA's layout with {MAPPING_FILE}"
