"""What a user sees of engines: the plan of one, and the commands of workers that any scheduler starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from subgroup_audit.cli.display import console, words

if TYPE_CHECKING:
    from subgroup_audit.engine import Forecast
    from subgroup_audit.pipeline import Prepared


def study_words(
    study: Path, data: Path | None, out: Path | None, cache: Path | None, split_seed: int | None, device: str
) -> dict[str, list[str]]:
    """The study and the options that other commands on it must repeat: for `run`, and for `worker`."""
    given = {"--out": out, "--cache": cache, "--split-seed": split_seed}
    shared = [
        str(study),
        *(word for name, value in given.items() if value is not None for word in (name, str(value))),
    ]
    own = [*(["--data", str(data)] if data else []), *(["--device", device] if device != "auto" else [])]
    return {"worker": shared, "run": [*shared, *own]}


def show_forecast(forecast: Forecast) -> None:
    """What the engine would do with the fits that are not stored."""
    screen = console()
    if not forecast.n_fits:
        screen.print(f"Engine {forecast.engine}: nothing to hand out, every fit is stored.")
        return
    unit = "worker" if forecast.engine == "local" else "task"
    screen.print(
        f"Engine {forecast.engine}: {_count(forecast.n_fits, 'fit')}, {_count(forecast.n_tasks, unit)}; "
        f"each: {forecast.asks_for}.",
        soft_wrap=True,
    )
    spans = ", ".join(f"{words(seconds)} with {n}" for n, seconds in forecast.seconds.items())
    screen.print(f"Expected time by fits side by side: {spans}.", soft_wrap=True)
    screen.print("The same by workers that any scheduler starts, each on a machine that sees these folders:")
    for command in forecast.commands:
        screen.print(f"  {command}", soft_wrap=True)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def show_prepared(prepared: Prepared, given: Mapping[str, Sequence[str]]) -> None:
    """That the fits are planned, and what to start now."""
    from subgroup_audit.engine.forecast import shard_commands

    screen, n_done = console(), prepared.n_fits - len(prepared.waiting)
    screen.print(
        f"{_count(prepared.n_fits, 'fit')} planned for {prepared.device}, {n_done} of them done. "
        f"The plan lies in {prepared.folder}",
        soft_wrap=True,
    )
    _, *shards, gather = shard_commands(given, min(2, max(1, len(prepared.waiting))))
    screen.print("Now, for any number of shards:")
    for command in (*shards, gather):
        screen.print(f"  {command}", soft_wrap=True)
