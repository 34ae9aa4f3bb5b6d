"""Fixtures that several packages share: a small phantom data set, and a study over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import start_chromium
from hypothesis import settings

from subgroup_audit.datasets.phantom_design import PhantomDesign
from subgroup_audit.datasets.phantom_writer import write_phantom

# Timings vary on a shared machine, so no example is judged by its own; derandomised, a green run stays green.
settings.register_profile("here", deadline=None, derandomize=True)
settings.load_profile("here")

STUDY = """
study: small
question: Does the whole job run?
data: {source: phantom, root: phantom, stored_size: 64}
findings:
  opacity: {positive: [Lung Opacity], negative: [Normal, No Lung Opacity / Not Normal]}
cohorts:
  all: {}
  F: {sex: F}
  M: {sex: M}
balance: {over: [label], size: equal}
split: {train: 0.5, val: 0.2, test: 0.3, seed: 1}
models: [small_cnn]
recipes:
  default: {image_size: 32, batch_size: 8, epochs: 3, learning_rate: 1.0e-3, precision: fp32}
seeds: [0]
analysis: {reference: {sex: M}, n_resamples: 200}
"""


@pytest.fixture(scope="session")
def small_phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom folder of 170 radiographs, eight of them with the defects that a reader must cope with."""
    folder = tmp_path_factory.mktemp("data") / "phantom"
    design = PhantomDesign(
        n_images=170,
        size=64,
        prevalence=0.5,
        contrast=1.0,
        opacity_cm=(8.0, 14.0),
        seed=3,
        n_truncated=1,
        n_text_files=1,
        n_age_151=1,
        n_missing_sex=1,
        n_lateral=2,
        n_monochrome1=1,
        n_sixteen_bit=1,
    )
    write_phantom(folder, design, workers=1)
    return folder


@pytest.fixture(scope="session")
def write_small_study() -> Callable[[Path, Path], Path]:
    """Writes the small study over a phantom into a folder."""

    def write(folder: Path, phantom: Path) -> Path:
        path = folder / "study.yaml"
        path.write_text(STUDY.replace("root: phantom", f"root: '{phantom}'"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def study_file(small_phantom: Path, tmp_path: Path, write_small_study: Callable[[Path, Path], Path]) -> Path:
    """A study file over the small phantom, in a folder of its own."""
    return write_small_study(tmp_path, small_phantom)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a screen, for all tests that look at a page."""
    with start_chromium() as started:
        yield started
