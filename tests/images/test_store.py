"""Each file is decoded once, a killed build goes on, and what fails is an exclusion."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from subgroup_audit.errors import DataError, StoreError
from subgroup_audit.images import batches
from subgroup_audit.images import store as store_module
from subgroup_audit.images.store import PixelStore, build_pixel_store, leaves_root
from subgroup_audit.schema import ImageTable

N = 12


def _table(names: list[str]) -> ImageTable:
    ids = [name.rsplit(".", 1)[0] for name in names]
    fixed = {"exam_id": None, "sex": "F", "view": "AP", "age_years": 50.0, "photometric": "", "source": "test"}
    return ImageTable(pd.DataFrame({"image_id": ids, "patient_id": ids, "path": names}).assign(**fixed))


def _names(count: int) -> list[str]:
    return [f"{number:03d}.png" for number in range(count)]


def _write_images(root: Path, count: int, side: int = 32) -> None:
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    for name in _names(count):
        Image.fromarray(rng.integers(0, 255, (side, side)).astype(np.uint8)).save(root / name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write_images(tmp_path / "data", N)
    return tmp_path / "data"


def _build(root: Path, names: list[str], cache: Path, **settings) -> PixelStore:
    store, exclusions = build_pixel_store(
        _table(names), root, **{"size": 32, "cache": cache, "workers": 1, **settings}
    )
    assert len(exclusions) == 0
    return store


def _count_decodes(monkeypatch) -> list[str]:
    decoded: list[str] = []
    original = batches.decode_file
    monkeypatch.setattr(
        batches, "decode_file", lambda path, size: decoded.append(path.name) or original(path, size)
    )
    return decoded


def test_rows_and_pixels_go_by_image_id(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    wanted = ["007", "000", "007"]
    images = store.gather(store.rows(wanted))
    for image, name in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(root / f"{name}.png")))
    assert store.rows(wanted).tolist() == [7, 0, 7]
    assert store.image_ids == [f"{n:03d}" for n in range(N)]


def test_gather_fills_what_it_is_given(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    out = np.empty((2, 32, 32), dtype=np.uint8)
    assert store.gather(np.array([3, 4]), out) is out
    np.testing.assert_array_equal(out, store.gather(np.array([3, 4])))
    with pytest.raises(
        ValueError, match=r"^`out` must be contiguous uint8 \[1, 32, 32\]; it is uint8 \[2, 32, 32\]$"
    ):
        store.gather(np.array([3]), out)


def test_rows_outside_and_unknown_images_are_refused(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    with pytest.raises(IndexError, match=r"^rows must lie in \[0, 11\]$"):
        store.gather(np.array([-1]))
    with pytest.raises(DataError, match=r"^1 images are not in the pixel store; the first is 'nobody'$"):
        store.rows(["001", "nobody"])


def test_memory_map_holds_the_same_pixels(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    mapped = store.open_memory_map()[store.table["slot"].to_numpy()]
    np.testing.assert_array_equal(mapped, store.gather(np.arange(N)))


def test_a_store_can_be_sent_to_another_process(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    sent = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(sent.gather(np.array([5])), store.gather(np.array([5])))


def test_studies_share_a_store(root: Path, tmp_path: Path, monkeypatch) -> None:
    decoded = _count_decodes(monkeypatch)
    first = _build(root, _names(8), tmp_path)
    second = _build(root, _names(N)[4:][::-1], tmp_path)
    assert len(decoded) == N
    assert first.path == second.path
    np.testing.assert_array_equal(first.gather(first.rows(["006"])), second.gather(second.rows(["006"])))


def test_only_changed_files_are_decoded_again(root: Path, tmp_path: Path, monkeypatch) -> None:
    before = _build(root, _names(N), tmp_path)
    decoded = _count_decodes(monkeypatch)
    Image.fromarray(np.zeros((32, 32), dtype=np.uint8)).save(root / "004.png")
    after = _build(root, _names(N), tmp_path)
    assert decoded == ["004.png"]
    assert after.gather(after.rows(["004"])).sum() == 0
    assert after.digest != before.digest


def test_size_and_root_have_stores_of_their_own(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)  # keeps names, sizes and times
    Image.fromarray(np.zeros((32, 32), dtype=np.uint8)).save(tmp_path / "zero.png")
    paths = {_build(folder, _names(N), tmp_path, size=size).path for folder in (root, other) for size in (16, 32)}
    assert len(paths) == 4


def test_equal_pictures_have_equal_digests(root: Path, tmp_path: Path) -> None:
    Image.open(root / "002.png").save(root / "011.png", compress_level=1)
    digests = _build(root, _names(N), tmp_path).digests().set_index("image_id")["pixel_digest"]
    assert digests["002"] == digests["011"]
    assert digests.nunique() == N - 1


def test_digest_ignores_the_order(root: Path, tmp_path: Path) -> None:
    names = _names(N)
    assert _build(root, names, tmp_path).digest == _build(root, names[::-1], tmp_path).digest
    assert _build(root, names, tmp_path).digest != _build(root, names[1:], tmp_path).digest


def test_what_cannot_be_decoded_is_excluded_and_tried_again(root: Path, tmp_path: Path) -> None:
    good = (root / "001.png").read_bytes()
    (root / "001.png").write_bytes(good[:-40])
    (root / "002.dcm").write_text("no image")
    names = ["000.png", "001.png", "002.dcm", "absent.png", "../outside.png"]
    (tmp_path / "outside.png").write_bytes(good)
    store, exclusions = build_pixel_store(_table(names), root, size=32, cache=tmp_path, workers=1)
    assert store.image_ids == ["000"]
    assert exclusions.frame[["image_id", "step", "reason"]].to_numpy().tolist() == [
        ["001", "pixels", "the image data are damaged or cut short"],
        ["002", "pixels", "not a DICOM file"],
        ["absent", "pixels", "file is missing"],
        ["../outside", "pixels", "the path leaves the data folder"],
    ]
    (root / "001.png").write_bytes(good)
    store, exclusions = build_pixel_store(_table(names), root, size=32, cache=tmp_path, workers=1)
    assert store.image_ids == ["000", "001"]
    assert len(exclusions) == 3


def test_no_decodable_image_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 1 images could be decoded; the first: file is missing$"):
        build_pixel_store(_table(["absent.png"]), root, size=32, cache=tmp_path, workers=1)


def test_lost_pixels_are_decoded_again(root: Path, tmp_path: Path, monkeypatch) -> None:
    store = _build(root, _names(N), tmp_path)
    whole = store.gather(np.arange(N))
    os.truncate(store.path, 5 * 32 * 32 + 10)
    with pytest.raises(StoreError, match=r"shorter than its ledger says; delete"):
        store.gather(np.arange(N))
    decoded = _count_decodes(monkeypatch)
    again = _build(root, _names(N), tmp_path)
    assert len(decoded) == N - 5
    np.testing.assert_array_equal(again.gather(np.arange(N)), whole)


def test_damaged_ledger_is_named(root: Path, tmp_path: Path) -> None:
    store = _build(root, _names(N), tmp_path)
    (store.path.parent / "ledger.sqlite").write_bytes(b"this is no database, but long enough to be read" * 99)
    with pytest.raises(StoreError, match=r"the pixel store is damaged"):
        _build(root, _names(N), tmp_path)


def test_cache_that_cannot_be_written_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "pixels").touch()
    with pytest.raises(StoreError, match=r"the pixel cache cannot be written"):
        _build(root, _names(N), tmp_path)


def test_workers_do_not_change_the_pixels(root: Path, tmp_path: Path, monkeypatch) -> None:
    alone = _build(root, _names(N), tmp_path / "one")
    original = store_module.map_batches
    monkeypatch.setattr(
        store_module, "map_batches", lambda *a, **k: original(*a, **{**k, "worth_processes": 0, "batch": 2})
    )
    together = _build(root, _names(N), tmp_path / "two", workers=2)
    assert together.digest == alone.digest
    np.testing.assert_array_equal(together.gather(np.arange(N)), alone.gather(np.arange(N)))


BUILD = """
import sys
from pathlib import Path
import pandas as pd
from subgroup_audit.images import store
from subgroup_audit.schema import ImageTable
store.CHUNK = 32
root, cache = Path(sys.argv[1]), Path(sys.argv[2])
names = sorted(path.name for path in root.iterdir())
fixed = dict(exam_id=None, sex="F", view="AP", age_years=50.0, photometric="", source="test")
table = ImageTable(pd.DataFrame(dict(image_id=names, patient_id=names, path=names)).assign(**fixed))
built, _ = store.build_pixel_store(table, root, size=64, cache=cache, workers=1,
    progress=lambda d, n: print(d, flush=True))
"""


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_build_goes_on_and_gives_the_same(tmp_path: Path, after: int) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    _write_images(root, 400, side=256)
    process = subprocess.Popen([sys.executable, "-c", BUILD, root, cache], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(after):
        process.stdout.readline()
    time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    to_do: list[int] = []
    names = _names(400)
    resumed = _build(root, names, cache, size=64, progress=lambda done, total: to_do.append(total))
    assert to_do[0] <= 400 - 32 * (after - 1)
    whole = _build(root, names, tmp_path / "other", size=64)
    assert resumed.digest == whole.digest
    np.testing.assert_array_equal(resumed.gather(np.arange(400)), whole.gather(np.arange(400)))


def test_claims_on_a_deleted_pixel_file_are_given_up(root: Path, tmp_path: Path) -> None:
    before = _build(root, _names(N), tmp_path)
    whole = before.gather(np.arange(N))
    before.path.unlink()
    _build(root, _names(N)[::-1][:9], tmp_path)
    after = _build(root, _names(N), tmp_path)
    np.testing.assert_array_equal(after.gather(np.arange(N)), whole)


def test_no_two_builds_write_the_same_slots(root: Path, tmp_path: Path) -> None:
    first = _build(root, _names(N), tmp_path)
    with closing(sqlite3.connect(first.path.parent / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM stored")  # as if it had been killed before it could claim them
    second = _build(root, _names(N), tmp_path)
    assert not set(first.table["slot"]) & set(second.table["slot"])
    assert first.digest == second.digest


HALF_WRITTEN = """
import os, signal, sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
ledger.execute("PRAGMA cache_size = 1")
ledger.execute("UPDATE stored SET pixel_digest = 'wrong'")
ledger.executemany("INSERT INTO stored VALUES (?, 1, 1, 1, 'x')", [(str(n) * 200,) for n in range(5000)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_ledger_half_written_when_killed_is_rolled_back(root: Path, tmp_path: Path) -> None:
    before = _build(root, _names(N), tmp_path)
    ledger = before.path.parent / "ledger.sqlite"
    subprocess.run([sys.executable, "-c", HALF_WRITTEN, ledger], check=False)
    assert ledger.with_name("ledger.sqlite-journal").is_file()
    assert _build(root, _names(N), tmp_path).digest == before.digest
    assert not ledger.with_name("ledger.sqlite-journal").exists()


@pytest.mark.parametrize(
    ("path", "leaves"),
    [("a/b.png", False), ("a/../b.png", True), ("..\\b.png", True), ("/b.png", True), ("a..b/c.png", False)],
)
def test_paths_that_leave_the_root(path: str, leaves: bool) -> None:
    assert leaves_root(path) is leaves
