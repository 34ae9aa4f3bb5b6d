"""Scored images with a planted gap between the sexes, measured and judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.checking.judging import judge
from subgroup_audit.checking.measured import Measured
from subgroup_audit.checking.measures import measure
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.scored import ScoredTable, Task
from subgroup_audit.checking.settings import CheckSettings

N_IMAGES = 1500
SETTINGS = CheckSettings(reference={"sex": "M", "view": "PA"})


def scored_table(*, tiny: int = 2, seed: int = 3, finding: str = "Pneumonia", female: str = "F") -> ScoredTable:
    """Two images a person; in women positives score closer to negatives; `tiny` images without a sex."""
    rng = np.random.default_rng(seed)
    person = np.arange(N_IMAGES) // 2
    sex = np.where(rng.random(N_IMAGES // 2) < 0.5, female, "M")[person].astype(object)
    sex[:tiny] = "Unknown"
    view = np.where(rng.random(N_IMAGES) < 0.45, "AP", "PA").astype(object)
    crossed = [f"{a}, {b}" for a, b in zip(sex, view, strict=True)]
    y_true = (rng.random(N_IMAGES) < 0.4).astype(np.int8)
    strength = np.where(sex == "M", 2.0, 1.0)
    y_score = 1 / (1 + np.exp(1.2 - strength * y_true - rng.normal(size=N_IMAGES)))
    groups = pd.DataFrame({"sex": sex, "view": view, "sex x view": crossed}).astype("category")
    ids = np.array([f"image {place}" for place in range(N_IMAGES)], dtype=object)
    task = Task("resnet50", finding, np.arange(N_IMAGES), y_true, y_score)
    return ScoredTable(ids, person, True, None, groups, (task,), ("Column 'p' was read as the score.", "2 rows."))


@pytest.fixture(scope="session")
def table() -> ScoredTable:
    """The scored images."""
    return scored_table()


@pytest.fixture(scope="session")
def measured(table: ScoredTable) -> Measured:
    """Everything that is measured of them."""
    return measure(table, SETTINGS)


@pytest.fixture(scope="session")
def judged(table: ScoredTable, measured: Measured) -> Callable[..., CheckResult]:
    """Judges the same measures under changed settings."""

    def under(**changes: Any) -> CheckResult:
        return judge(measured, table, replace(SETTINGS, **changes))

    return under


@pytest.fixture(scope="session")
def result(judged: Callable[..., CheckResult]) -> CheckResult:
    """The result under the default policy."""
    return judged()


@pytest.fixture(scope="session")
def hostile() -> CheckResult:
    """A result whose names are written to break every format."""
    name = 'F</td>\n::error::x, \x1b[31m|`%0A` \u202e]]> "q" & <b>'
    odd = scored_table(female=name, finding="Pneu|monia\r\n<script>,:%")
    settings = CheckSettings(measures=("auc",))
    return judge(measure(odd, settings), odd, settings)
