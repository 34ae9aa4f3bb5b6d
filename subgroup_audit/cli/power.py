"""`audit power STUDY`: the gaps that the cohorts could show, before any training."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subgroup_audit.cli.places import CacheFolder, DataRoot, StudyFile, open_study

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from subgroup_audit.audit.foresight import Assumptions
    from subgroup_audit.study import Study

KINDS = {
    "subgroup_gap": "Subgroup gaps: one model, two groups",
    "transfer_gap": "Transfer gaps: one group, two training cohorts",
    "gap_of_gaps": "Gaps of gaps",
    "generalization_gap": "Train/test gaps (described, not tested)",
}

SIDES = ("minuend", "subtrahend")


class Format(StrEnum):
    """How the result is printed."""

    full = "full"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("power")(power)


def power(
    study: StudyFile,
    data: DataRoot = None,
    auc: Annotated[
        list[float] | None,
        typer.Option("--auc", help="Assumed AUC of every cell; repeatable [default: 0.85]."),
    ] = None,
    correlation: Annotated[
        float, typer.Option("--correlation", help="Of the scores that two trainings give one image.")
    ] = 0.8,
    icc: Annotated[float, typer.Option("--icc", help="Of the scores of two images of a person and class.")] = 0.5,
    seed_sd: Annotated[
        float,
        typer.Option("--seed-sd", help="SD of the AUC from training to training, with two seeds or more."),
    ] = 0.01,
    target: Annotated[float, typer.Option("--power", help="Probability of finding the detectable gap.")] = 0.8,
    gap: Annotated[float, typer.Option("--gap", help="Gap that the persons needed are counted for.")] = 0.05,
    output: Annotated[Format, typer.Option("--format", help="How the result is printed.")] = Format.full,
    cache: CacheFolder = None,
) -> None:
    """Print the smallest gap that each comparison could show, and the persons that a given gap needs."""
    from subgroup_audit.audit.foresight import Assumptions, foresee
    from subgroup_audit.plan import design_of

    assumed = [
        Assumptions(auc=value, correlation=correlation, icc=icc, seed_sd=seed_sd, power=target, gap=gap)
        for value in auc or [0.85]
    ]
    content, place = open_study(study, data, None, cache)
    manifest = design_of(content, place, describe=False).manifest
    found = [(one, foresee(content, manifest, one)) for one in assumed]
    if output is Format.json:
        typer.echo(json.dumps(_as_json(content, found), indent=2, allow_nan=False))
        return
    for one, rows in found:
        _show(content, one, rows)


def _as_json(study: Study, found: list[tuple[Assumptions, pd.DataFrame]]) -> dict[str, Any]:
    """Numbers as they are, None where there is none."""
    return {
        "study": study.study,
        "n_seeds": len(study.seeds),
        "confidence_level": study.analysis.confidence_level,
        "results": [
            {"assumed": vars(one), "gaps": rows.astype(object).where(rows.notna(), None).to_dict("records")}
            for one, rows in found
        ],
    }


def _show(study: Study, assumed: Assumptions, rows: pd.DataFrame) -> None:
    from subgroup_audit.audit.foresight import in_sentences
    from subgroup_audit.cli.display import console
    from subgroup_audit.report.contents import rows_of

    screen = console()
    screen.print(_assumed_words(study, assumed), soft_wrap=True)
    if rows.empty:
        screen.print("The study declares no gap between cohorts that are tested on: there is nothing to plan for.")
        return
    for kind, title in KINDS.items():
        chosen = rows[rows["kind"] == kind]
        if len(chosen):
            _print_rows(screen, title, rows_of(chosen), assumed)
    for row in rows_of(rows[rows["kind"] != "generalization_gap"]):
        screen.print("- " + " ".join(in_sentences(row, assumed)), soft_wrap=True)


def _assumed_words(study: Study, assumed: Assumptions) -> str:
    n_seeds = len(study.seeds)
    seeds = (
        f"{n_seeds} seeds with an SD of {assumed.seed_sd:g} between them"
        if n_seeds > 1
        else "one seed, so for these trained models and not for the recipe"
    )
    return (
        f"Study {study.study}: what its cohorts could show. Assumed: AUC {assumed.auc:g} everywhere, normal "
        f"scores, correlation {assumed.correlation:g} between the scores of two trainings and {assumed.icc:g} "
        f"between images of a person, {seeds}."
    )


def _print_rows(screen: Console, title: str, rows: list[dict[str, Any]], assumed: Assumptions) -> None:
    from subgroup_audit.cli.design_tables import print_table

    header = [
        "minuend: +, - (persons)",
        "subtrahend: +, - (persons)",
        "design effects",
        "standard error",
        f"gap found, {100 * assumed.power:.0f} %",
        f"power at {assumed.gap:g}",
        "no gap shown, if none",
        f"persons for {assumed.gap:g}",
    ]
    print_table(screen, title, header, [_line(row) for row in rows])


def _line(row: dict[str, Any]) -> list[str]:
    is_tested = row["kind"] != "generalization_gap"
    effects = [f"{row[f'{side}_design_effect']:.2f}" for side in SIDES]
    is_reachable = not _is_missing(row["needed_times"])
    needed = [f"{int(row[f'{side}_needed_persons']):,}" for side in SIDES if is_reachable]
    if row["kind"] == "transfer_gap":
        needed = needed[:1]
    found = row["minimal_detectable_gap"]
    return [
        *(_side(row, side) for side in SIDES),
        ", ".join(effects),
        f"{row['standard_error']:.4f}",
        ("none" if _is_missing(found) else f"{found:.3f}") if is_tested else "",
        f"{row['power_at_gap']:.0%}" if is_tested else "",
        f"{row['equivalence_power']:.0%}" if is_tested else "",
        (" + ".join(needed) or "no number") if is_tested else "",
    ]


def _side(row: dict[str, Any], side: str) -> str:
    counts = f"{row[f'{side}_n_positive']:,}, {row[f'{side}_n_negative']:,} ({row[f'{side}_n_persons']:,})"
    return f"{row[side]}: {counts}"


def _is_missing(value: Any) -> bool:
    return value is None or value != value
