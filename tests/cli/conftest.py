"""The command line called in this process: what it printed and its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from subgroup_audit.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command said, with the test's folder cut from its paths."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The one message of a command that refused: what stands behind `audit: ` at the end of its lines."""
        before, found, message = self.err.partition("audit: ")
        assert found, self.err
        assert all(line.endswith(("...", "unchanged")) or ": done in " in line for line in before.splitlines())
        return message.rstrip("\n")


Audit = Callable[..., Answer]


@pytest.fixture
def audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, small_phantom: Path
) -> Audit:
    """Calls the command line in the test's folder, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBGROUP_AUDIT_CACHE", str(tmp_path / "cache"))

    def call(*words: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["audit", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Answer(code, _short(said.out, tmp_path, small_phantom), _short(said.err, tmp_path, small_phantom))

    return call


def _short(text: str, folder: Path, phantom: Path) -> str:
    return text.replace(str(phantom), "PHANTOM").replace(f"{folder}/", "").replace(str(folder), "HERE")
