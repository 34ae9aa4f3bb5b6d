"""Figures beside their goals: kept in `measured.json`, written into the table of `RESULTS.md`."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

from goals import GOALS, Goal
from turns import Figures

HERE = Path(__file__).parent
KEPT, PAGE = HERE / "measured.json", HERE / "RESULTS.md"
PROFILES = "profiles"


def describe_machine() -> str:
    """Processor, cores and memory."""
    from subgroup_audit.training.device import cpu_name, has_native_bf16

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    native = ", native bfloat16" if has_native_bf16() else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    return f"{cpu_name()}, {cores} cores{native}, {memory:.0f} GiB"


def load_average() -> float:
    """Processes that wanted a core over the last minute, this one included."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def keep(figures: Figures, machine: str, load: float, kept: Path = KEPT, page: Path = PAGE) -> None:
    """Replace what was kept of these goals, and write the table anew."""
    records = _read(kept)
    for key, figure in figures.items():
        records[key] = {"value": figure.value, "detail": figure.detail, **_place(machine, load)}
    _write(records, kept)
    _replace(page, "measured", render({key: value for key, value in records.items() if key != PROFILES}))


def keep_profile(
    title: str, seconds: dict[str, float], machine: str, load: float, kept: Path = KEPT, page: Path = PAGE
) -> None:
    """Replace the profile of this title, and write all profiles anew."""
    records = _read(kept)
    profiles = records.setdefault(PROFILES, {})
    rounded = {name: round(value, 1) for name, value in seconds.items()}
    profiles[title] = {"seconds": rounded, **_place(machine, load)}
    _write(records, kept)
    _replace(page, "profiles", "\n".join(_profile(name, found) for name, found in sorted(profiles.items())))


def _read(kept: Path) -> dict[str, Any]:
    records: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    return records


def _write(records: dict[str, Any], kept: Path) -> None:
    kept.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _place(machine: str, load: float) -> dict[str, Any]:
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    return {"machine": machine, "date": date, "load": round(load, 1)}


def _replace(page: Path, name: str, text: str) -> None:
    """Put the text between the marks of this name, which the page must have."""
    begin, end = f"<!-- {name}: begin, written by the benchmarks -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"{page} has no place for figures: add the lines '{begin}' and '{end}'")
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def _profile(title: str, found: dict[str, Any]) -> str:
    total = found["seconds"]["in all"]
    lines = [f"\n{title} ({found['date']}, load {found['load']:g}):\n", "| step | s | share |", "|---|---|---|"]
    lines += [f"| {name} | {value:,.1f} | {value / total:.0%} |" for name, value in found["seconds"].items()]
    return "\n".join([*lines, ""])


def render(records: dict[str, Any]) -> str:
    """The table in Markdown, with the machines it was measured on."""
    machines = list(dict.fromkeys(record["machine"] for _, record in sorted(records.items())))
    lines = ["", "| what | measured | goal | met | of what | date, machine, load |", "|---|---|---|---|---|---|"]
    lines += [_row(goal, records.get(goal.key), machines) for goal in GOALS]
    names = [f"Machine {number}: {name}." for number, name in enumerate(machines, start=1)]
    return "\n".join([*lines, "", *names, ""])


def _row(goal: Goal, record: dict[str, Any] | None, machines: list[str]) -> str:
    limit = "-" if goal.limit is None else f"{goal.sense} {goal.limit:g}{goal.unit}"
    if record is None:
        return f"| {goal.what} | not measured | {limit} | - | | |"
    met = {True: "yes", False: "**no**", None: "-"}[goal.is_met(record["value"])]
    where = f"{record['date']}, {machines.index(record['machine']) + 1}, {record['load']:g}"
    return f"| {goal.what} | {show(record['value'])}{goal.unit} | {limit} | {met} | {record['detail']} | {where} |"


def show(value: float) -> str:
    """A figure with three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_figures(figures: Figures) -> None:
    """Each figure beside its goal."""
    for goal in GOALS:
        if goal.key not in figures:
            continue
        figure = figures[goal.key]
        verdict = {True: "met", False: "MISSED", None: ""}[goal.is_met(figure.value)]
        limit = "" if goal.limit is None else f" (goal {goal.sense} {goal.limit:g}{goal.unit}) {verdict}"
        detail = f"; {figure.detail}" if figure.detail else ""
        print(f"  {goal.what}: {show(figure.value)}{goal.unit}{limit}{detail}", flush=True)
