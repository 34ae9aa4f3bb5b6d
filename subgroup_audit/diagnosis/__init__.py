"""Why there is a gap: the waterfall of each fit, and controls that stand beside the fits."""

from subgroup_audit.diagnosis.metadata import METADATA_MODEL, metadata_predictions
from subgroup_audit.diagnosis.waterfall import gap_waterfall

__all__ = ["METADATA_MODEL", "gap_waterfall", "metadata_predictions"]
