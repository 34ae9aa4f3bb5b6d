"""The code of others that a page carries is what its list says."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

from subgroup_audit.report.page import PLOTLY

FOLDER = files("subgroup_audit.report") / "vendored"


def test_the_library_is_the_file_that_was_listed_with_its_licence() -> None:
    listed = re.search(
        rf"`{re.escape(PLOTLY)}` .*`([0-9a-f]{{64}})`", (FOLDER / "README.md").read_text(encoding="utf-8")
    )
    assert listed is not None
    assert hashlib.sha256((FOLDER / PLOTLY).read_bytes()).hexdigest() == listed.group(1)
    assert (FOLDER / "plotly-LICENSE.txt").read_text(encoding="utf-8").startswith("MIT License")


def test_the_library_ends_no_script_element() -> None:
    text = (FOLDER / PLOTLY).read_text(encoding="utf-8").lower()
    assert "</script" not in text
    assert "<!--" not in text
