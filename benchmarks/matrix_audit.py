"""Time and memory of an audit of a matrix: 30 training cohorts x 5 seeds on 30 hospitals of 26,684 images.

    python benchmarks/matrix_audit.py                                  # goal: below 60 s and 2 GB on two cores
    python benchmarks/matrix_audit.py --hospitals 3 --compared --contrasts subgroup_gap transfer_gap

What `matrix.py` does on plain arrays goes here through `audit_predictions`, the audit's own entry, from a manifest
and one table of predictions a fit: every fit is scored on all hospitals, 800,520 images. Tables are invented and
checked one at a time, as they would be read; that is clocked apart. No hospital shares persons with another.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import pandas as pd

from subgroup_audit.audit import audit_predictions
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

GOAL_SECONDS, GOAL_BYTES = 60.0, 2e9


def make_study(options: argparse.Namespace) -> Study:
    """Hospitals as cohorts, each trained on and tested on.

    Each asks for two values of its attribute unless hospitals are to be compared: cohorts of one value are groups,
    of which the audit works out the range and all pairwise differences.
    """
    names = [f"h{place:02d}" for place in range(options.hospitals)]
    return Study.model_validate(
        {
            "study": "matrix",
            "data": {"source": "table"},
            "findings": {"opacity": {"positive": ["yes"]}},
            "cohorts": {name: {"site": name if options.compared else [name, f"{name} annex"]} for name in names},
            "models": ["net"],
            "seeds": list(range(options.seeds)),
            "analysis": {
                "reference": {"site": "h00"},
                "n_resamples": options.resamples,
                "contrasts": options.contrasts,
            },
        }
    )


def make_images(options: argparse.Namespace) -> pd.DataFrame:
    """Test images of all hospitals, one a person, 22.5 % positive."""
    size = options.hospitals * options.images
    rng = np.random.default_rng(0)
    places = np.arange(size)
    keys = pd.Series(places).map("{:07d}".format)
    return pd.DataFrame(
        {
            "image_id": "i" + keys,
            "patient_id": "p" + keys,
            "site": pd.Series(places // options.images).map("h{:02d}".format),
            "split": "test",
            "finding": "opacity",
            "y_true": (rng.random(size) < 0.225).astype(np.int64),
        }
    )


class Fits(Sequence[Predictions]):
    """One table of predictions a fit, invented and checked when asked for; `seconds`: wall and CPU of that."""

    def __init__(self, study: Study, images: pd.DataFrame) -> None:
        self.fits, self.images = list(study.fit_combinations()), images
        self.seconds = np.zeros(2)

    def __len__(self) -> int:
        """Number of fits."""
        return len(self.fits)

    @overload
    def __getitem__(self, index: int) -> Predictions: ...

    @overload
    def __getitem__(self, index: slice) -> list[Predictions]: ...

    def __getitem__(self, index: int | slice) -> Predictions | list[Predictions]:
        """The table of one fit: scores of 32 bits, as a network computes them."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        started = np.array(_clocks())
        cohort, model, recipe, seed = self.fits[index]
        common, own = (np.random.default_rng(key).standard_normal(len(self.images)) for key in (1, (2, index)))
        logits = 2.0 * self.images["y_true"].to_numpy() + common + own
        fit = {
            "fit_id": f"{cohort}-{seed}",
            "train_cohort": cohort,
            "model": model,
            "recipe": recipe,
            "seed": seed,
        }
        scores = (1.0 / (1.0 + np.exp(-logits))).astype(np.float32).astype(np.float64)
        found = Predictions(self.images.assign(**fit, y_score=scores))
        self.seconds += np.array(_clocks()) - started
        return found

    def __iter__(self) -> Iterator[Predictions]:
        """All tables, none kept."""
        return (self[place] for place in range(len(self)))


def run(options: argparse.Namespace) -> None:
    """The audit, and what it took."""
    study, images = make_study(options), make_images(options)
    manifest = CohortManifest(images.assign(cohort=images["site"], weight=1.0))
    fits = Fits(study, images)
    marks = [np.array(_clocks())]

    def progress(done: int, all_cells: int) -> None:
        if done in (1, all_cells):
            marks.append(np.array(_clocks()) - fits.seconds)

    result = audit_predictions(study, manifest, fits, progress=progress)
    marks.append(np.array(_clocks()) - fits.seconds)
    print(f"{len(result.estimates)} cells of {options.seeds} seeds and {options.images:,} images,", end=" ")
    print(f"{options.resamples:,} resamples, {len(result.contrasts):,} gaps")
    steps = np.diff(np.array(marks), axis=0)
    steps[0] -= steps[1] / (len(result.estimates) - 1)
    print_piece("tables invented and checked", fits.seconds)
    print_piece("scores taken in", steps[0])
    print_piece(
        "cells: AUCs, intervals, replicates", steps[1] * len(result.estimates) / (len(result.estimates) - 1)
    )
    print_piece("gaps, bands, spreads, case mix, accuracies", steps[2])
    print_piece("all but the tables", steps.sum(axis=0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  peak memory {peak / 1e9:.2f} GB, manifest and one table included")


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def print_piece(name: str, seconds: np.ndarray) -> None:
    """One line: wall and CPU seconds."""
    print(f"  {name:<44} {seconds[0]:7.1f} s wall {seconds[1]:7.1f} s CPU")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in [("hospitals", 30), ("seeds", 5), ("images", 26_684), ("resamples", 2_000)]:
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--compared", action="store_true", help="hospitals are groups, compared with each other")
    parser.add_argument("--contrasts", nargs="*", default=[], help="kinds of gaps between compared hospitals")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
