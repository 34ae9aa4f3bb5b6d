"""Where a run's files lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from subgroup_audit.cli.places import find_run


def test_all_folders_are_absolute_since_workers_of_a_cluster_start_elsewhere(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, *folders = find_run(Path(study_file.name), Path("out"), Path("cache"))
    assert folders == [tmp_path, tmp_path / "out", tmp_path / "cache"]
