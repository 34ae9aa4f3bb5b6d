"""Near copies are found and named; films of different persons are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from subgroup_audit.errors import StoreError
from subgroup_audit.images import alike
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.schema import ImageTable

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def draw_films(n: int, size: int = 128) -> np.ndarray:
    """Smooth random pictures, each its own."""
    rng = np.random.default_rng(0)
    rough = rng.uniform(0, 255, (n, 8, 8)).astype(np.float32)
    return np.array([cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in rough]).clip(0, 255)


def store_of(folder: Path, images: dict[str, np.ndarray], size: int = 128) -> PixelStore:
    root = folder / "root"
    root.mkdir()
    for name, image in images.items():
        cv2.imwrite(str(root / f"{name}.png"), image.astype(np.uint8))
    table = ImageTable(
        pd.DataFrame(
            {
                "image_id": list(images),
                "patient_id": [f"p{i}" for i in range(len(images))],
                "exam_id": None,
                "path": [f"{name}.png" for name in images],
                "sex": "F",
                "view": "PA",
                "age_years": 50.0,
                "photometric": "",
                "source": "table",
            }
        )
    )
    return build_pixel_store(table, root, size=size, cache=folder / "cache", workers=1)[0]


def altered(film: np.ndarray) -> dict[str, np.ndarray]:
    """The film saved anew, made smaller and back, with noise, and with other contrast."""
    film = film.astype(np.uint8)
    half = cv2.resize(cv2.resize(film, (64, 64), interpolation=cv2.INTER_AREA), film.shape)
    rng = np.random.default_rng(1)
    return {
        "jpeg": cv2.imdecode(cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 0),
        "half": half,
        "noise": (film + rng.normal(0, 4, film.shape)).clip(0, 255),
        "contrast": 255 * (film / 255.0) ** 1.1,
    }


def test_copies_of_other_pixels_are_paired_and_others_are_not(tmp_path):
    films = draw_films(40)
    images = {f"film{i}": film for i, film in enumerate(films)}
    images |= {f"{name} of film3": picture for name, picture in altered(films[3]).items()}
    found = alike.find_near_copies(store_of(tmp_path, images))
    assert tuple(found.columns) == alike.COLUMNS
    family = {"film3", *(f"{name} of film3" for name in altered(films[3]))}
    assert {*found["image_id"], *found["other_id"]} == family
    assert len(found) == 10  # each of the five with each other
    assert (found["distance"] <= alike.MAX_DISTANCE).all()
    assert (found["correlation"] >= alike.MIN_CORRELATION).all()


def test_identical_pixels_are_no_near_copy(tmp_path):
    films = draw_films(2)
    found = alike.find_near_copies(store_of(tmp_path, {"a": films[0], "b": films[0], "c": films[1]}))
    assert len(found) == 0


def test_a_blank_picture_is_like_nothing(tmp_path):
    blank = np.zeros((128, 128))
    dotted = blank.copy()
    dotted[0, 0] = 1
    found = alike.find_near_copies(store_of(tmp_path, {"a": blank, "b": dotted}))
    assert len(found) == 0


def test_hashes_are_kept_by_the_pixels(tmp_path, monkeypatch):
    store = store_of(tmp_path, {f"film{i}": film for i, film in enumerate(draw_films(5))})
    first = alike.perceptual_hashes(store)
    monkeypatch.setattr(alike, "_hash_rows", lambda *_: pytest.fail("hashed again"))
    assert (alike.perceptual_hashes(store) == first).all()


def test_a_damaged_file_of_hashes_is_named(tmp_path):
    store = store_of(tmp_path, {"a": draw_films(1)[0]})
    (store.path.parent / alike.HASHES).write_bytes(b"no database, and longer than the mark of one " * 40)
    with pytest.raises(StoreError, match=r"hashes\.sqlite: cannot be used .* delete this file"):
        alike.perceptual_hashes(store)


def test_all_near_pairs_are_found():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 16, 300, dtype=np.uint64)
    found = set(zip(*(side.tolist() for side in alike.near_pairs(hashes, 3)), strict=True))
    wanted = {
        (i, j) for i in range(300) for j in range(i + 1, 300) if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= 3
    }
    assert found == wanted
    assert wanted


def test_no_near_pairs_of_nothing():
    assert len(alike.near_pairs(np.empty(0, dtype=np.uint64), 6)[0]) == 0


def test_real_films_of_different_persons_are_no_copies(tmp_path):
    folder = SHARED / "nih_pneumonia_1000"
    if not folder.is_dir():
        pytest.skip("the real radiographs are not beside the repository (nih_pneumonia_1000)")
    rows = pd.read_csv(folder / "metadata.csv").head(250)
    frame = pd.DataFrame(
        {
            "image_id": rows["file"],
            "patient_id": rows["patient_id"],
            "exam_id": None,
            "path": rows["file"],
            "sex": "F",
            "view": "PA",
            "age_years": 50.0,
            "photometric": "",
            "source": "table",
        }
    )
    store = build_pixel_store(ImageTable(frame), folder, size=128, cache=tmp_path, workers=1)[0]
    hashes = alike.perceptual_hashes(store)
    first, second = alike.near_pairs(hashes, alike.MAX_DISTANCE)
    person = rows["patient_id"].to_numpy()
    assert (person[first] != person[second]).any()  # hashes alone would flag different persons
    found = alike.find_near_copies(store)
    of = dict(zip(rows["file"], person, strict=True))
    assert [
        pair for pair in zip(found["image_id"], found["other_id"], strict=True) if of[pair[0]] != of[pair[1]]
    ] == []
