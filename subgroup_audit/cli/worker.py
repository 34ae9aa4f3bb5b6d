"""`audit worker STUDY`: a share of a planned study's fits, for any scheduler."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from subgroup_audit.cli.places import CacheFolder, OutFolder, StudyFile, at_least_one, find_run


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("worker")(worker)


def worker(
    study: StudyFile,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Share I of N of the fits, counted from 0.")
    ] = "0/1",
    fit: Annotated[
        list[str] | None,
        typer.Option("--fit", metavar="LABEL", help="This fit only; may be repeated. Under torchrun: one fit."),
    ] = None,
    out: OutFolder = None,
    cache: CacheFolder = None,
    workers: Annotated[
        int | None,
        typer.Option(callback=at_least_one, help="Fits side by side [default: one per core or GPU]."),
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(min=0, help="As given to `audit run`: it is part of the run's name.")
    ] = None,
) -> None:
    """Do a share of the fits that `audit run STUDY --prepare` planned.

    Any number of workers may share a run folder. A fit is done once, by whichever claims it first; that of a
    worker that died is taken over and resumed. `audit run` gathers.
    """
    from subgroup_audit.cli import display
    from subgroup_audit.engine import parse_shard
    from subgroup_audit.engine.jobs import end_by_signal
    from subgroup_audit.engine.working import find_plan, work_on

    chosen = parse_shard(shard)
    content, study_folder, run, pixels = find_run(study, out, cache, split_seed)
    plan = find_plan(content, study_folder, run, pixels)
    jobs = chosen.share(plan.select(fit or []))
    signal.signal(signal.SIGTERM, end_by_signal)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # started by torchrun
        from subgroup_audit.engine.together import work_together

        with display.progress() as watcher:
            said = work_together(plan, jobs, watcher)
    else:
        with display.progress() as watcher:
            work = work_on(plan, jobs, workers, watcher)
        work.require()
        said = work.words
    if said:
        display.console().print(said, soft_wrap=True)
