"""`audit run STUDY`: the whole job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from subgroup_audit.cli.places import CacheFolder, DataRoot, OutFolder, StudyFile, at_least_one, open_study


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("run")(run)


def run(
    study: StudyFile,
    data: DataRoot = None,
    out: OutFolder = None,
    cache: CacheFolder = None,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = "auto",
    workers: Annotated[
        int | None,
        typer.Option(callback=at_least_one, help="Fits side by side [default: one per core or GPU]."),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave failed fits out instead of stopping.")
    ] = False,
    split_seed: Annotated[
        int | None,
        typer.Option(min=0, help="Divide the persons another way; a run of its own, named after the seed."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Where fits run: local, slurm or ray.")] = "local",
    engine_option: Annotated[
        list[str] | None,
        typer.Option(
            "--engine-option", metavar="NAME=VALUE", help="Of the engine; may be repeated: docs/engines.md."
        ),
    ] = None,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Make data and cohorts ready, plan the fits for `audit worker`, stop."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done; change nothing.")] = False,
) -> None:
    """Split, train, cross-evaluate and report; resumes by itself."""
    from subgroup_audit.cli import display, engines
    from subgroup_audit.engine import choose_engine

    chosen = choose_engine(engine, engine_option or [])
    content, place = open_study(study, data, out, cache, split_seed)
    words = engines.study_words(study, data, out, cache, split_seed, device)
    if dry_run:
        from subgroup_audit.plan import plan_run

        plan = plan_run(content, place, device, workers, chosen, words)
        display.show_plan(content, place, plan)
        engines.show_forecast(plan.forecast)
        return
    from subgroup_audit.pipeline import RunOptions, prepare_study, run_study
    from subgroup_audit.plan import check_before_run

    check_before_run(content, place, device, chosen, is_elsewhere=prepare)
    options = RunOptions(device, workers, keep_going, command=_command(), engine=chosen)
    with display.progress() as watcher:
        if prepare:
            engines.show_prepared(prepare_study(content, place, options, watcher), words)
            return
        summary = run_study(content, place, options, watcher)
    display.show_summary(content, summary)


def _command() -> str:
    """What was typed, with folders cut to their names: a report must not tell where a machine keeps its files."""
    return shlex.join(["audit", *map(_without_folders, sys.argv[1:])])


def _without_folders(word: str) -> str:
    """An absolute path's name, also in `--data=/home/me/rsna`; any other word as it is."""
    option, equals, value = word.partition("=")
    if option.startswith("-") and equals:
        return f"{option}={_without_folders(value)}"
    return Path(word).name if word.startswith("/") else word
