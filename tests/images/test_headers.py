"""Headers are read once, again only where a file changed, and unreadable files come with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from subgroup_audit.errors import DataError
from subgroup_audit.images import batches, headers
from subgroup_audit.images.headers import scan_headers


@pytest.fixture
def root(write_dicom, ramp, tmp_path: Path) -> Path:
    for number in range(3):
        write_dicom(ramp, f"data/{number}.dcm", PatientAge=f"0{number}0Y")
    (tmp_path / "data" / "text.dcm").write_text("no image")
    return tmp_path / "data"


FILES = ["2.dcm", "0.dcm", "text.dcm", "absent.dcm", "1.dcm"]


def _count_reads(monkeypatch) -> list[str]:
    read: list[str] = []
    original = batches._read_one
    monkeypatch.setattr(batches, "_read_one", lambda path: read.append(path.name) or original(path))
    return read


def test_rows_follow_the_files_asked_for(root: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    table = scan_headers(root, FILES, cache=tmp_path, workers=1, progress=lambda *n: seen.append(n))
    assert table["path"].tolist() == FILES
    assert table["PatientAge"].fillna("-").tolist() == ["020Y", "000Y", "-", "-", "010Y"]
    assert table["reason"].tolist() == ["", "", "not a DICOM file", "file is missing", ""]
    assert seen == [(5, 5)]


def test_only_changed_and_failed_files_are_read_again(root: Path, tmp_path: Path, monkeypatch) -> None:
    first = scan_headers(root, FILES, cache=tmp_path, workers=1)
    read = _count_reads(monkeypatch)
    again = scan_headers(root, FILES, cache=tmp_path, workers=1)
    assert read == ["text.dcm", "absent.dcm"]
    assert again.equals(first)
    os.utime(root / "0.dcm", ns=(1, 1))
    scan_headers(root, FILES[:2], cache=tmp_path, workers=1)
    assert read[2:] == ["0.dcm"]
    scan_headers(root, ["1.dcm", "0.dcm", "2.dcm"], cache=tmp_path, workers=1)
    assert read[3:] == []


def test_damaged_index_is_made_anew(root: Path, tmp_path: Path) -> None:
    first = scan_headers(root, ["0.dcm"], cache=tmp_path, workers=1)
    (index,) = (tmp_path / "headers").glob("*.parquet")
    index.write_bytes(b"half an index")
    assert scan_headers(root, ["0.dcm"], cache=tmp_path, workers=1).equals(first)


def test_workers_do_not_change_the_table(root: Path, tmp_path: Path, monkeypatch) -> None:
    alone = scan_headers(root, FILES, cache=tmp_path / "one", workers=1)
    original = headers.map_batches
    monkeypatch.setattr(
        headers, "map_batches", lambda *a, **k: original(*a, **{**k, "worth_processes": 0, "batch": 2})
    )
    assert scan_headers(root, FILES, cache=tmp_path / "two", workers=2).equals(alone)


def test_cache_that_cannot_be_written_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "headers").touch()
    with pytest.raises(DataError, match="the cache cannot be written"):
        scan_headers(root, ["0.dcm"], cache=tmp_path, workers=1)


def test_marks_are_exact_nanoseconds(root: Path) -> None:
    os.utime(root / "0.dcm", ns=(5, 1_700_000_000_123_456_789))
    marks = headers.file_marks(root, ["0.dcm", "absent.dcm"])
    assert marks["mtime_ns"].tolist() == [1_700_000_000_123_456_789, -1]
    assert np.issubdtype(marks["bytes"].dtype, np.int64)
