"""Predictions in, an `AuditResult` out: cells, gaps, verdicts."""

from subgroup_audit.audit.audit import audit_predictions

__all__ = ["audit_predictions"]
