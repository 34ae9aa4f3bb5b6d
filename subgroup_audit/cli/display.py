"""What a user sees on the terminal: progress, cohorts, plan, and the head of the matrix."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from subgroup_audit.cli.streams import silence
from subgroup_audit.watcher import Watcher

if TYPE_CHECKING:
    from subgroup_audit.cohort import CohortDesign
    from subgroup_audit.pipeline import RunSummary
    from subgroup_audit.plan import Plan
    from subgroup_audit.steps import Place
    from subgroup_audit.study import Study

LINE_INTERVAL_SECONDS = 15.0


def console() -> Console:
    """A console as wide as the terminal, or wide enough for a table in a log.

    Names of cohorts and labels are data: brackets and colons in them are shown, never read as markup.
    """
    return Screen(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False, emoji=False)


class Screen(Console):
    """A console that ends quietly where nobody reads on, as in `audit cohort STUDY | head`."""

    def on_broken_pipe(self) -> None:
        """Leave it to `main`, whose exit code says that nothing is wrong."""
        raise BrokenPipeError


@contextmanager
def progress() -> Iterator[Watcher]:
    """A bar on a terminal, plain lines elsewhere; the terminal is left as it was, whatever happens."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()


def words(seconds: float) -> str:
    """A duration for people.

    >>> words(3.2), words(75), words(7300)
    ('3 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Lines:
    """Plain lines, now and then: a bar would flood a log."""

    def __init__(self) -> None:
        self._step = ""
        self._said = 0.0
        self._begun = 0.0
        self._fits = [0, 0]
        self._is_heard = True

    def begin(self, step: str, total: int | None = None) -> None:
        """Say that a step begins."""
        self._step, self._said, self._begun = step, time.monotonic(), time.monotonic()
        if step.endswith("fits"):  # the study's own, and those of its controls
            self._fits = [0, total or 0]
        self._print(f"{step}" + (f" ({total})" if total else "") + " ...")

    def advance(self, done: int, total: int) -> None:
        """Say how far the step is, every quarter of a minute."""
        if self._is_time():
            self._print(f"  {self._step}: {done:,} of {total:,}")

    def reuse(self, step: str) -> None:
        """Say that a step is reused."""
        self._print(f"{step}: reused, unchanged")

    def end(self, step: str, seconds: float) -> None:
        """Say that a step ended."""
        self._print(f"{step}: done in {words(seconds)}")

    def fit_started(self, fit: str) -> None:
        """Say nothing: the end of a fit is news enough."""

    def fit_advanced(self, fit: str, epoch: float, epochs: int, images_per_second: float, note: str) -> None:
        """Say how far a fit is, every quarter of a minute."""
        if self._is_time():
            self._print(f"  {fit}: epoch {epoch:.1f} of {epochs}{_rate(images_per_second)}{_note(note)}")

    def fit_ended(self, fit: str, seconds: float, failure: str | None) -> None:
        """Say that a fit ended, and how long the rest will take."""
        self._fits[0] += 1
        done, total = self._fits
        left = (time.monotonic() - self._begun) / done * (total - done)
        outcome = f"FAILED: {failure}" if failure else f"done in {words(seconds)}"
        rest = f"; about {words(left)} left" if total > done else ""
        self._print(f"  fit {done} of {total}, {fit}: {outcome}{rest}")

    def say(self, message: str) -> None:
        """Say it."""
        self._print(message)

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now - self._said < LINE_INTERVAL_SECONDS:
            return False
        self._said = now
        return True

    def _print(self, line: str) -> None:
        if self._is_heard:
            try:
                print(line, file=sys.stderr, flush=True)
            except BrokenPipeError:  # the work matters more than that somebody reads how far it is
                self._is_heard = False
                silence(sys.stderr)


class Bars:
    """One bar for the step, and below it one for each fit under way."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._fits: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}
        self._n_ended = 0
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)

    def begin(self, step: str, total: int | None = None) -> None:
        """Show a bar for the step."""
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=4,
        )
        self._bars.start()
        self._shares, self._n_ended = {}, 0
        self._task = self._bars.add_task(step, total=total, note=f"0 of {total} done" if total else "")

    def close(self) -> None:
        """Take the bars off the terminal, which else would stay without its cursor."""
        if self._bars:
            self._bars.stop()
        self._bars, self._task, self._fits = None, None, {}

    def advance(self, done: int, total: int) -> None:
        """Move the step's bar."""
        if self._bars and self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def reuse(self, step: str) -> None:
        """Say that a step is reused."""
        self._console.print(Text(f"= {step}: reused, unchanged", style="dim"))

    def end(self, step: str, seconds: float) -> None:
        """Replace the bar by a line."""
        self.close()
        self._console.print(Text.assemble(("+", "green"), f" {step}: {words(seconds)}"))

    def fit_started(self, fit: str) -> None:
        """Show a bar for the fit."""
        if self._bars:
            self._fits[fit] = self._bars.add_task(f"  {fit}", total=None, note="")

    def fit_advanced(self, fit: str, epoch: float, epochs: int, images_per_second: float, note: str) -> None:
        """Move the fit's bar."""
        if self._bars and fit in self._fits:
            text = f"{_rate(images_per_second)}{_note(note)}".lstrip(", ")
            self._bars.update(self._fits[fit], completed=epoch, total=epochs, note=text)
            self._shares[fit] = min(1.0, epoch / max(1, epochs))
            self._move_step()

    def fit_ended(self, fit: str, seconds: float, failure: str | None) -> None:
        """Take the fit's bar away; say so where it failed."""
        if self._bars and fit in self._fits:
            self._bars.remove_task(self._fits.pop(fit))
        self._shares.pop(fit, None)
        self._n_ended += 1
        self._move_step()
        if failure:
            self._console.print(Text.assemble(("x", "red"), f" {fit}: {failure}"))

    def say(self, message: str) -> None:
        """Say it."""
        self._console.print(message)

    def _move_step(self) -> None:
        """Move the bar of all fits by parts of fits too: the first may be hours away from its end."""
        if self._bars and self._task is not None:
            total = self._bars.tasks[0].total or 0
            note = f"{self._n_ended} of {total:.0f} done"
            self._bars.update(self._task, completed=self._n_ended + sum(self._shares.values()), note=note)


def _rate(images_per_second: float) -> str:
    return f", {images_per_second:.0f} images/s" if images_per_second else ""


def _note(note: str) -> str:
    return f", {note}" if note else ""


def show_summary(study: Study, summary: RunSummary) -> None:
    """What was done, the head of the matrix, the gaps, and where the report lies."""
    screen = console()
    if summary.is_unchanged:
        screen.print(
            f"Nothing changed: {len(summary.reused)} steps and {summary.n_fits_reused} fits reused "
            f"({summary.seconds:.1f} s)."
        )
    else:
        screen.print(
            f"{summary.n_fits_done} fits done, {summary.n_fits_reused} reused, {len(summary.failures)} failed; "
            f"{words(summary.seconds)}."
        )
    for failure in summary.failures:
        screen.print(f"failed: {failure.label}: {failure.message}")
    if summary.estimates is not None:
        _print_matrix(screen, summary.estimates, study)
    if summary.contrasts is not None:
        _print_gaps(screen, summary.contrasts)
    screen.print(f"Report: {summary.report}", soft_wrap=True)


def _print_matrix(screen: Console, estimates: pd.DataFrame, study: Study) -> None:
    """The matrix of the first finding, one table per model and recipe."""
    shown = estimates[(estimates["split"] == "test") & (estimates["finding"] == estimates["finding"].iloc[0])]
    for (model, recipe), rows in shown.groupby(["model", "recipe"], sort=False):
        title = f"AUC for {rows['finding'].iloc[0]}, {model}" + (f", {recipe}" if len(study.recipes) > 1 else "")
        table = Table(title=title, title_justify="left")
        table.add_column("trained on")
        for group in study.test_cohorts:
            table.add_column(f"tested on {group}", justify="right")
        for cohort, cells in rows.groupby("train_cohort", sort=False):
            by_group = cells.set_index("test_group")
            table.add_row(str(cohort), *(_cell(by_group, group) for group in study.test_cohorts))
        screen.print(table)


def _cell(by_group: pd.DataFrame, group: str) -> str:
    if group not in by_group.index:
        return ""
    cell = by_group.loc[[group]].to_dict("records")[0]
    if pd.isna(cell["estimate"]):
        return str(cell["status"])
    return f"{cell['estimate']:.3f} ({cell['low']:.3f} to {cell['high']:.3f})"


def _print_gaps(screen: Console, contrasts: pd.DataFrame) -> None:
    """How many gaps of each kind came out how, and the largest of each kind."""
    for kind, rows in contrasts.groupby("kind", sort=False):
        counted = ", ".join(f"{n} {verdict}" for verdict, n in rows["verdict"].value_counts().items())
        screen.print(f"{str(kind).replace('_', ' ')}: {counted}")
        known = rows.dropna(subset=["estimate"])
        for top in known.sort_values("estimate", key=abs, ascending=False).head(1).to_dict("records"):
            screen.print(
                f"  largest: {top['estimate']:+.3f} ({top['low']:+.3f} to {top['high']:+.3f}), "
                f"{top['model']}: {top['minuend']} minus {top['subtrahend']}",
                markup=False,
            )


def show_plan(study: Study, place: Place, plan: Plan) -> None:
    """The plan of a run."""
    screen = console()
    screen.print(f"Study {study.study}: what `audit run` would do. Nothing was changed.")
    _print_sizes(screen, plan.sizes)
    table = Table(title="Fits", title_justify="left")
    for name in ("trained on", "model", "recipe", "seeds", "stored", "estimated time each"):
        table.add_column(name, justify="right" if name in ("seeds", "stored", "estimated time each") else "left")
    groups: dict[tuple[str, str, str], list[tuple[bool, float]]] = {}
    for fit, stored, seconds in plan.fits:
        groups.setdefault((fit.cohort, fit.model, fit.recipe), []).append((stored, seconds))
    for names, fits in groups.items():
        each = words(sum(seconds for _, seconds in fits) / len(fits))
        table.add_row(*names, str(len(fits)), str(sum(stored for stored, _ in fits)), each)
    screen.print(table)
    decoding = f"{plan.n_images_to_decode:,} images to decode (those in the cache are skipped)"
    screen.print("Pixels: stored" if not plan.n_images_to_decode else f"Pixels: {decoding}")
    screen.print(
        f"{len(plan.fits)} fits, {plan.n_stored} stored; about {words(plan.seconds)} on {plan.device} with "
        f"{plan.workers} side by side, an estimate from the size of the work. Results go to {place.out}",
        soft_wrap=True,
    )


def _print_sizes(screen: Console, sizes: pd.DataFrame) -> None:
    table = Table(title="Cohorts: images (persons; positive)", title_justify="left")
    table.add_column("cohort")
    splits = list(dict.fromkeys(sizes["split"]))
    for split in [s for s in ("train", "val", "test") if s in splits]:
        table.add_column(split, justify="right")
    for cohort, rows in sizes.groupby("cohort", sort=False):
        by_split = rows.set_index("split")
        cells = [
            f"{r.n_images:,} ({r.n_patients:,}; {r.n_positive:,})"
            for s in ("train", "val", "test")
            if s in by_split.index and (r := by_split.loc[s]) is not None
        ]
        table.add_row(str(cohort), *cells)
    screen.print(table)


def show_design(study: Study, design: CohortDesign) -> None:
    """Counts, flow, cohorts, ceiling and leakage of a design."""
    from subgroup_audit.cli.design_tables import print_design

    print_design(console(), study, design)
