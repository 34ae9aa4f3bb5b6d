"""Why there is a gap: the waterfall of each fit, and controls that stand beside the fits."""

from subgroup_audit.diagnosis.controls import (
    Control,
    control_combinations,
    control_rows,
    declared_controls,
    measure_controls,
    split_by_image,
)
from subgroup_audit.diagnosis.metadata import METADATA_MODEL, metadata_predictions
from subgroup_audit.diagnosis.waterfall import gap_waterfall

__all__ = [
    "METADATA_MODEL",
    "Control",
    "control_combinations",
    "control_rows",
    "declared_controls",
    "gap_waterfall",
    "measure_controls",
    "metadata_predictions",
    "split_by_image",
]
