"""Why there is a gap: controls that stand beside the fits."""

from subgroup_audit.diagnosis.metadata import METADATA_MODEL, metadata_predictions

__all__ = ["METADATA_MODEL", "metadata_predictions"]
