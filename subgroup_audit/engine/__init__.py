"""Where fits run: this machine's workers, Slurm, Ray, or workers that any scheduler starts.

The launcher prepares data and cohorts once and writes the plan of all fits (`planned`). Fits are independent jobs,
named by a digest of all that their numbers depend on. An engine only decides where they run: every process that
does one claims it first (`claims`), resumes what a dead one left, and publishes its result by one rename
(`attempts`).
"""

from subgroup_audit.engine.attempts import forget_claims
from subgroup_audit.engine.choice import ENGINES, Engine, choose_engine
from subgroup_audit.engine.devices import (
    available_cores,
    default_workers,
    device_of_fits,
    require_device,
    resolve_device,
    threads_per_fit,
)
from subgroup_audit.engine.forecast import Forecast, foresee
from subgroup_audit.engine.jobs import FitFailure, FitJob, do_fit
from subgroup_audit.engine.planned import PlannedFits, read_plan, write_plan, write_table
from subgroup_audit.engine.running import run_fits
from subgroup_audit.engine.shards import Shard, parse_shard

__all__ = [
    "ENGINES",
    "Engine",
    "FitFailure",
    "FitJob",
    "Forecast",
    "PlannedFits",
    "Shard",
    "available_cores",
    "choose_engine",
    "default_workers",
    "device_of_fits",
    "do_fit",
    "foresee",
    "forget_claims",
    "parse_shard",
    "read_plan",
    "require_device",
    "resolve_device",
    "run_fits",
    "threads_per_fit",
    "write_plan",
    "write_table",
]
