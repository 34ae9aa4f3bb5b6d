"""The cohort design as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from subgroup_audit.cohort import CohortDesign
from subgroup_audit.study import Study

SPLITS = ("train", "val", "test")


def print_design(screen: Console, study: Study, design: CohortDesign) -> None:
    """Print counts, flow, cohorts, ceiling, Table 1, leakage and notes."""
    screen.print(f"Study {study.study}: {study.question}", soft_wrap=True)
    _print_counts(screen, design.counts)
    _print_flow(screen, design.flow)
    _print_cohorts(screen, design)
    _print_ceiling(screen, design.ceiling)
    _print_table1(screen, design.table1)
    _print_leakage(screen, design)
    for note in design.notes:
        screen.print(f"- {note}", soft_wrap=True)


def print_table(screen: Console, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose first column is words and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


def _print_counts(screen: Console, counts: pd.DataFrame) -> None:
    """Images by source label, sex and view, before anything is left out."""
    groups = counts.assign(group=counts["sex"] + " " + counts["view"])
    wide = groups.pivot_table(index="finding", columns="group", values="n_images", aggfunc="sum", fill_value=0)
    rows = [[str(label), *(f"{n:,}" for n in row)] for label, row in zip(wide.index, wide.to_numpy(), strict=True)]
    print_table(screen, "Images found, by label, sex and view", ["label", *map(str, wide.columns)], rows)


def _print_flow(screen: Console, flow: pd.DataFrame) -> None:
    shared = flow[(flow["cohort"] == "") & ((flow["reason"] != "") | (flow["step"] != flow["step"].shift(-1)))]
    rows = []
    for row in shared.to_dict("records"):
        is_loss = bool(row["reason"])
        what = f"  {row['reason']}" if is_loss else str(row["step"])
        change = f"-{row['n_images']:,}" if is_loss else ""
        rows.append([what, change, f"{row['left_images']:,}", _count(row["left_patients"])])
    print_table(screen, "Flow, shared by all cohorts", ["step", "left out", "images", "persons"], rows)


def _count(number: int | None) -> str:
    """A number, or `unknown`: of files that cannot be read, nobody says whose they are."""
    return "unknown" if pd.isna(number) else f"{number:,}"


def _print_cohorts(screen: Console, design: CohortDesign) -> None:
    manifest = design.manifest.frame
    first = manifest[manifest["finding"] == manifest["finding"].iloc[0]]
    grouped = first.groupby(["cohort", "split"], sort=False)
    n_images, n_persons = grouped["image_id"].nunique(), grouped["patient_id"].nunique()
    n_positive = grouped["y_true"].sum()
    rows = []
    for cohort in dict.fromkeys(first["cohort"]):
        present = [(cohort, split) for split in SPLITS if (cohort, split) in n_images.index]
        cells = [f"{n_images[key]:,} ({n_persons[key]:,}; {n_positive[key]:,})" for key in present]
        rows.append([str(cohort), *cells])
    print_table(screen, "Cohorts: images (persons; positive)", ["cohort", *SPLITS], rows)


def _print_ceiling(screen: Console, ceiling: pd.DataFrame) -> None:
    """What each cohort could have had at most, and the cell that sets it."""
    rows = []
    for cohort, cells in ceiling.groupby("cohort", sort=False):
        short = cells.sort_values("ceiling", kind="stable").to_dict("records")[0]
        used = int(cells["used"].sum())
        cell = f"{short['cell']} ({short['split']}: {int(short['available']):,} images)"
        rows.append([str(cohort), f"{used:,}", f"{int(short['ceiling']):,}", cell])
    title = "Balance ceiling: the largest cohort each could be, and the short cell that sets it"
    print_table(screen, title, ["cohort", "images", "ceiling", "short cell"], rows)


def _print_table1(screen: Console, table1: pd.DataFrame) -> None:
    """Age, and the largest difference between training and test set, of each cohort."""
    whole = table1[(table1["variable"] == "age_years") & (table1["split"] == "all")]
    ages = {str(row["cohort"]): f"{row['mean']:.1f} ({row['sd']:.1f})" for row in whole.to_dict("records")}
    rows = []
    for cohort, cells in table1.groupby("cohort", sort=False):
        differences = cells[cells["split"] == "test"].dropna(subset=["smd"])
        ordered = differences.sort_values("smd", ascending=False, kind="stable").to_dict("records")
        said = f"{ordered[0]['smd']:.3f} ({ordered[0]['variable']})" if ordered else ""
        rows.append([str(cohort), ages.get(str(cohort), ""), said])
    title = "Table 1 in short (all of it: --out FOLDER)"
    print_table(screen, title, ["cohort", "age, mean (SD)", "largest SMD, test against train"], rows)


def _print_leakage(screen: Console, design: CohortDesign) -> None:
    shared = design.leakage[["shared_persons", "shared_files"]].sum()
    pixels = design.leakage["shared_pixels"]
    is_known = bool(pixels.notna().all())
    pictures = (
        f"{int(pixels.sum()):,} identical pictures" if is_known else "pictures not compared (no pixels read)"
    )
    near = design.leakage["shared_near_pixels"]
    pictures += f", {int(near.sum()):,} near copies" if near.notna().all() else ""
    screen.print(
        f"Leakage certificate over {len(design.leakage)} train/test pairs: {int(shared['shared_persons']):,} "
        f"persons, {int(shared['shared_files']):,} files shared; {pictures}.",
        soft_wrap=True,
    )
    whole = design.image_level_leakage[design.image_level_leakage["train_cohort"] == ""]
    for share in whole["share_of_test_images_of_seen_persons"]:
        screen.print(
            f"An image-level split of the same images would leak: {share:.1%} of its test images would show a "
            "person seen in training.",
            soft_wrap=True,
        )
    _print_image_level(screen, design.image_level_leakage)


def _print_image_level(screen: Console, leak: pd.DataFrame) -> None:
    pairs = leak[leak["train_cohort"] != ""]
    if pairs.empty:
        return
    groups = list(dict.fromkeys(pairs["test_cohort"]))
    share = pairs.set_index(["train_cohort", "test_cohort"])["share_of_test_images_of_seen_persons"]
    rows = [
        [str(cohort), *(f"{share[cohort, group]:.0%}" for group in groups)]
        for cohort in dict.fromkeys(pairs["train_cohort"])
    ]
    print_table(screen, "Where it would leak", ["trained on", *(f"tested on {g}" for g in groups)], rows)
