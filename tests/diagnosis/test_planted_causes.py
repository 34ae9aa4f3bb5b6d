"""Every planted cause is found by name on phantoms, from DICOM files on, and nothing else is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_planted_causes_are_found_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    import planted_causes

    monkeypatch.setattr(sys, "argv", ["planted_causes.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        planted_causes.main()
    assert ended.value.code == 0
