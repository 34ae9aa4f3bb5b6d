"""Made-up runs, their reports, and a browser to look at them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fabricated import HOSTILE, fabricated_contents

from subgroup_audit.report import RunContents, render_report


@pytest.fixture(scope="session")
def contents() -> RunContents:
    """A whole run."""
    return fabricated_contents()


@pytest.fixture(scope="session")
def hostile() -> RunContents:
    """A whole run whose names try to be markup."""
    return fabricated_contents(hostile=True)


@pytest.fixture(scope="session")
def hostile_name() -> str:
    """The name that tries to be markup, as the study holds it."""
    return HOSTILE[:200]


@pytest.fixture(scope="session")
def make_contents() -> Callable[..., RunContents]:
    """Make a run with other settings."""
    return fabricated_contents


@pytest.fixture(scope="session")
def report(contents: RunContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered report of the whole run."""
    return render_report(contents, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def hostile_report(hostile: RunContents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered report of the run with hostile names."""
    return render_report(hostile, tmp_path_factory.mktemp("hostile"))
