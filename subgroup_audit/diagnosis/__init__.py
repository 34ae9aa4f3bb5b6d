"""Why there is a gap: the waterfall of each fit, controls beside the fits, and what the networks have learned."""

from subgroup_audit.diagnosis.advantage import advantage_frame
from subgroup_audit.diagnosis.causes import Evidence, name_causes
from subgroup_audit.diagnosis.controls import (
    Control,
    control_combinations,
    control_rows,
    declared_controls,
    measure_controls,
    split_by_image,
)
from subgroup_audit.diagnosis.encoding import Probed, ProbeRows, encoding_frame, probe_rows
from subgroup_audit.diagnosis.metadata import METADATA_MODEL, metadata_predictions
from subgroup_audit.diagnosis.saliency import Heat, box_masks, draw_cells, find_errors, heat_in_boxes
from subgroup_audit.diagnosis.waterfall import gap_waterfall

__all__ = [
    "METADATA_MODEL",
    "Control",
    "Evidence",
    "Heat",
    "ProbeRows",
    "Probed",
    "advantage_frame",
    "box_masks",
    "control_combinations",
    "control_rows",
    "declared_controls",
    "draw_cells",
    "encoding_frame",
    "find_errors",
    "gap_waterfall",
    "heat_in_boxes",
    "measure_controls",
    "metadata_predictions",
    "name_causes",
    "probe_rows",
    "split_by_image",
]
