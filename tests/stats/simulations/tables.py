"""The tables of docs/statistics.md: which rows there are, how they are run, printed and put into the page."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from simulations.diagnoses import share_of_view, turned_labels
from simulations.gaps import clustered_gap, clustered_pair, group_gap, paired_gap, shared_person_gap
from simulations.intervals import clustered_auc, single_auc
from simulations.judged import Rates
from simulations.seeds import matrix_bands, seed_average, seed_gaps
from simulations.trade_off import stretched_gap, stretched_pair

SIZES = ((10, 10), (20, 100), (50, 50), (200, 200))
VALUES = (0.6, 0.8, 0.95, 0.99)
GROUPS = (((200, 800), (10, 40)), ((200, 800), (50, 200)), ((50, 50), (20, 100)), ((10, 10), (10, 10)))
PAIRS_OF_VALUES = ((0.8, 0.8), (0.95, 0.95), (0.95, 0.85), (0.99, 0.99))
EQUAL = PAIRS_OF_VALUES[:2]
BETWEEN = ((20, 400), (50, 200), (100, 400), (200, 800))
NEIGHBOURS = ((0.95, 0.95), (0.95, 0.85), (0.99, 0.99), (0.99, 0.9))
CLUSTERS = ((3, 3), (6, 29), (14, 14), (57, 57))
CLUSTERED_GROUPS = (((57, 57), (20, 60)), ((57, 57), (30, 30)), ((40, 120), (40, 120)))
ROOT_SEED = 2024


@dataclass(frozen=True)
class Row:
    """One row: its first columns, and what simulates it from a generator and a number of data sets."""

    labels: tuple[object, ...]
    simulate: Callable[[np.random.Generator, int], Rates]


@dataclass(frozen=True)
class Table:
    """One table: its title, first columns, rows, and the part of the data sets asked for that it uses."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    part: float = 1.0


def rows_of_single() -> Iterator[Row]:
    for spread, (m, n), value in product((1.0, 2.0, 0.5), SIZES, VALUES):
        simulate = partial(single_auc, m=m, n=n, value=value, spread=spread)
        yield Row((f"{m}, {n}", value, spread), simulate)


def rows_of_tied() -> Iterator[Row]:
    for levels, (m, n), value in product((5, 10), SIZES, VALUES):
        simulate = partial(single_auc, m=m, n=n, value=value, levels=levels)
        yield Row((f"{m}, {n}", value, levels), simulate)


def rows_of_clustered() -> Iterator[Row]:
    plain = product(("patient", "image"), CLUSTERS, VALUES, (None,))
    tied = product(("patient", "image"), CLUSTERS[1:], (0.8, 0.95), (5,))
    for per, (a, b), value, levels in (*plain, *tied):
        simulate = partial(clustered_auc, clusters=(a, b), value=value, labels_per=per, levels=levels)
        yield Row((per, f"{a}+{b}", value, levels or "-"), simulate)


def rows_of_groups() -> Iterator[Row]:
    kinds = (
        *product(GROUPS, PAIRS_OF_VALUES, [("", {})]),
        *product(GROUPS, EQUAL, [("moved, doubled", {"is_shifted": True})]),
        *product(GROUPS, EQUAL, [("B's positives spread 2", {"spread": 2.0})]),
        *product(GROUPS, EQUAL, [("5 levels", {"levels": 5}), ("10 levels", {"levels": 10})]),
    )
    for (a, b), values, (note, options) in kinds:
        labels = f"{a[0]}+{a[1]}", f"{b[0]}+{b[1]}", f"{values[0]}, {values[1]}", note
        yield Row(labels, partial(group_gap, sizes=(a, b), values=values, **options))


def rows_of_clustered_groups() -> Iterator[Row]:
    for (a, b), per, (value, levels) in product(
        CLUSTERED_GROUPS, ("patient", "image"), ((0.8, None), (0.95, None), (0.8, 5))
    ):
        labels = f"{a[0]}+{a[1]}", f"{b[0]}+{b[1]}", per, value, levels or "-"
        yield Row(labels, partial(clustered_gap, clusters=(a, b), labels_per=per, value=value, levels=levels))


def rows_of_pairs() -> Iterator[Row]:
    plain = product(SIZES, PAIRS_OF_VALUES, (0.5, 0.9, 0.99), (None,))
    tied = product(SIZES, EQUAL, (0.5, 0.9), (5, 10))
    for (m, n), values, r, levels in (*plain, *tied):
        labels = f"{m}+{n}", f"{values[0]}, {values[1]}", r, levels or "-"
        yield Row(labels, partial(paired_gap, m=m, n=n, values=values, correlation=r, levels=levels))


def rows_of_clustered_pairs() -> Iterator[Row]:
    for (a, b), value, r in product(((14, 14), (20, 60), (57, 57)), (0.8, 0.95), (0.5, 0.9)):
        simulate = partial(clustered_pair, clusters=(a, b), value=value, correlation=r)
        yield Row((f"{a}+{b}", value, r), simulate)


def rows_of_overlap() -> Iterator[Row]:
    for n_persons, shared, value, levels in product((60, 200), (1.0, 0.5), (0.6, 0.8, 0.95), (None, 5)):
        simulate = partial(shared_person_gap, n_persons=n_persons, shared=shared, value=value, levels=levels)
        yield Row((n_persons, f"{100 * shared:.0f} %", value, levels or "-"), simulate)


def rows_of_seeds() -> Iterator[Row]:
    for n, tau, n_seeds in product((500, 2000), (0.0, 0.005, 0.01, 0.02), (3, 5)):
        yield Row((f"{n:,}", tau, n_seeds), partial(seed_average, n=n, tau=tau, n_seeds=n_seeds))


def rows_of_large_seeds() -> Iterator[Row]:
    for tau in (0.0, 0.005, 0.01, 0.02):
        yield Row(("26,684", tau, 5), partial(seed_average, n=26_684, tau=tau, n_seeds=5, n_resamples=200))


def rows_of_seed_gaps() -> Iterator[Row]:
    for kind, tau, n_seeds in product(("subgroup", "transfer"), (0.0, 0.02), (3, 5)):
        yield Row((kind, tau, n_seeds), partial(seed_gaps, n=2000, tau=tau, n_seeds=n_seeds, kind=kind))


def rows_of_matrices() -> Iterator[Row]:
    for n_models, r in ((8, 0.5), (8, 0.8), (8, 0.95), (20, 0.8)):
        yield Row((f"4 x {n_models}", r), partial(matrix_bands, correlation=r, n_models=n_models))


def rows_of_between() -> Iterator[Row]:
    for (m, n), spread, value in product(BETWEEN, (1.0, 2.0), (0.9, 0.95, 0.99)):
        simulate = partial(single_auc, m=m, n=n, value=value, spread=spread)
        yield Row((f"{m}, {n}", value, spread), simulate)


def rows_of_trade_off() -> Iterator[Row]:
    for (a, b), values in product((GROUPS[3], GROUPS[2]), NEIGHBOURS):
        labels = f"groups {a[0]}+{a[1]}, {b[0]}+{b[1]}", f"{values[0]}, {values[1]}"
        yield Row(labels, partial(stretched_gap, sizes=(a, b), values=values))
    for (m, n), values in product(SIZES[:3], NEIGHBOURS):
        simulate = partial(stretched_pair, m=m, n=n, values=values, correlation=0.5)
        yield Row((f"models {m}+{n}", f"{values[0]}, {values[1]}"), simulate)


def rows_of_shares() -> Iterator[Row]:
    one_seed = product((60, 200, 600), (0.0, 0.5, 1.5), (1,), (0.0,))
    for n_persons, lift, n_seeds, tau in (*one_seed, *product((200,), (0.5, 1.5), (3,), (0.0, 0.15))):
        simulate = partial(share_of_view, n_persons=n_persons, lift=lift, n_seeds=n_seeds, tau=tau)
        yield Row((n_persons, lift, n_seeds, tau), simulate)


def rows_of_turned_labels() -> Iterator[Row]:
    for (n, value), rate in product(((150, 0.9), (500, 0.75), (500, 0.9), (500, 0.98)), (0.0, 0.1, 0.25)):
        yield Row((n, value, f"{100 * rate:.0f} %"), partial(turned_labels, n=n, value=value, rate=rate))


TABLES = (
    Table("single", "One AUC", ("m, n", "AUC", "spread of positives"), rows_of_single),
    Table("tied", "One AUC, scores of a few levels", ("m, n", "AUC", "levels"), rows_of_tied),
    Table(
        "between",
        "One AUC, sizes that the tables above leave out",
        ("m, n", "AUC", "spread of positives"),
        rows_of_between,
    ),
    Table("clustered", "Several images a person", ("labels per", "persons", "AUC", "levels"), rows_of_clustered),
    Table("overlap", "Groups that share persons", ("persons", "in both", "AUC", "levels"), rows_of_overlap),
    Table("groups", "Gap of two groups of different persons", ("A", "B", "AUCs", "scores"), rows_of_groups),
    Table(
        "clustered-groups",
        "Gap of two groups, several images a person",
        ("persons A", "persons B", "labels per", "AUC", "levels"),
        rows_of_clustered_groups,
    ),
    Table("pairs", "Two models on the same images", ("m+n", "AUCs", "correlation", "levels"), rows_of_pairs),
    Table(
        "clustered-pairs",
        "Two models, several images a person",
        ("persons", "AUC", "correlation"),
        rows_of_clustered_pairs,
    ),
    Table("trade-off", "What a narrower gap would cost", ("cells", "AUCs"), rows_of_trade_off),
    Table("matrix", "All cells of a matrix together, 60+240 images", ("cells", "correlation"), rows_of_matrices),
    Table("seed-gaps", "Gap of seed means, 2,000 images", ("gap", "tau", "seeds"), rows_of_seed_gaps),
    Table("seeds", "Mean over training seeds", ("images", "tau", "seeds"), rows_of_seeds),
    Table("seeds-large", "Mean over training seeds, large", ("images", "tau", "seeds"), rows_of_large_seeds),
    Table(
        "shares",
        "Share of the AUC that goes with the view",
        ("persons", "lift of AP", "seeds", "tau"),
        rows_of_shares,
        part=0.25,
    ),
    Table(
        "turned-labels", "Rate of turned labels", ("images", "AUC", "turned"), rows_of_turned_labels, part=0.0625
    ),
)


def run_row(name: str, place: int, n_sets: int) -> Rates:
    """One row's rates, from a generator of its own: the same whatever other rows are run, and in what order."""
    row = list(table_of(name).rows())[place]
    key = zlib.crc32(repr((name, row.labels)).encode())
    return row.simulate(np.random.default_rng([ROOT_SEED, key]), n_sets)


def table_of(name: str) -> Table:
    """The table of this name."""
    return next(table for table in TABLES if table.name == name)


def print_tables(n_sets: int, chosen: list[str], *, jobs: int = 1, into: Path | None = None) -> None:
    """The named tables, or all, each as Markdown and, if asked for, into their place in a page."""
    known = [table.name for table in TABLES]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise SystemExit(f"no table is called {', '.join(unknown)} (there are {', '.join(known)})")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for table in TABLES:
            if not chosen or table.name in chosen:
                found = _print_table(table, max(int(n_sets * table.part), 1), pool.map if jobs > 1 else map)
                if into is not None:
                    put_into(into, table.name, found)


def _print_table(table: Table, n_sets: int, apply: Callable[..., Iterator[Rates]]) -> str:
    rows = list(table.rows())
    places = range(len(rows))
    rates = apply(run_row, [table.name] * len(rows), places, [n_sets] * len(rows))
    lines = [f"**{table.title}, {n_sets:,} data sets a row**", ""]
    print("\n" + lines[0] + "\n")
    for row, found in zip(rows, rates, strict=True):
        new = [] if len(lines) > 2 else _header(table.columns, found)
        new.append("| " + " | ".join([*map(str, row.labels), *(_text(*item) for item in found.items())]) + " |")
        print("\n".join(new), flush=True)
        lines += new
    return "\n".join(lines)


def _header(columns: tuple[str, ...], found: Rates) -> list[str]:
    return ["| " + " | ".join([*columns, *found]) + " |", "|---" * (len(columns) + len(found)) + "|"]


def _text(column: str, value: float) -> str:
    """Rates in per cent; ratios, widths and critical values as they are; a dash for what is no rate of error."""
    if math.isnan(value):
        return "-"
    if column.endswith("ratio"):
        return f"{value:.2f}"
    return f"{value:.3f}" if "width" in column or "critical" in column else f"{100 * value:.1f}"


def put_into(page: Path, name: str, table: str) -> None:
    """Replace what stands between the two markers of this table in a page."""
    start, end = f"<!-- coverage {name} -->", f"<!-- end of {name} -->"
    text = page.read_text()
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"{page} must have the lines {start} and {end} once each")
    before, rest = text.split(start)
    page.write_text(f"{before}{start}\n{table}\n{end}{rest.split(end)[1]}")
