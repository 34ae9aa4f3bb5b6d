"""The steps of a study: what each depends on, and how it is done from the steps before it."""

from subgroup_audit.steps.causes import causes_step, find_causes
from subgroup_audit.steps.data import (
    build_cohorts,
    cohorts_step,
    copies_step,
    decode_pixels,
    draw_samples,
    find_copies,
    pixels_step,
    read_manifest,
    read_source,
    samples_step,
    source_step,
)
from subgroup_audit.steps.diagnosis import diagnose, diagnosis_step
from subgroup_audit.steps.differences import compare_cohorts, differences_step
from subgroup_audit.steps.environment import describe_environment, timestamp
from subgroup_audit.steps.errors import count_errors, errors_step
from subgroup_audit.steps.fits import (
    PlannedFit,
    check_models,
    count_images,
    expected_seconds,
    fit_spec,
    plan_controls,
    plan_fits,
    prepare_jobs,
)
from subgroup_audit.steps.looks import LOOKS, looks_inside
from subgroup_audit.steps.order import check_fits, order_step
from subgroup_audit.steps.page import (
    RunParts,
    StepFailure,
    count_cohorts,
    publish_data,
    publish_report,
    report_step,
    write_report,
)
from subgroup_audit.steps.performance import measure_performance, performance_step
from subgroup_audit.steps.place import Doing, Place
from subgroup_audit.steps.results import (
    audit_cells,
    audit_step,
    gather_predictions,
    predictions_step,
    read_result_frames,
)

__all__ = [
    "LOOKS",
    "Doing",
    "Place",
    "PlannedFit",
    "RunParts",
    "StepFailure",
    "audit_cells",
    "audit_step",
    "build_cohorts",
    "causes_step",
    "check_fits",
    "check_models",
    "cohorts_step",
    "compare_cohorts",
    "copies_step",
    "count_cohorts",
    "count_errors",
    "count_images",
    "decode_pixels",
    "describe_environment",
    "diagnose",
    "diagnosis_step",
    "differences_step",
    "draw_samples",
    "errors_step",
    "expected_seconds",
    "find_causes",
    "find_copies",
    "fit_spec",
    "gather_predictions",
    "looks_inside",
    "measure_performance",
    "order_step",
    "performance_step",
    "pixels_step",
    "plan_controls",
    "plan_fits",
    "predictions_step",
    "prepare_jobs",
    "publish_data",
    "publish_report",
    "read_manifest",
    "read_result_frames",
    "read_source",
    "report_step",
    "samples_step",
    "source_step",
    "timestamp",
    "write_report",
]
