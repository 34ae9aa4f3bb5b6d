"""What the splits of a file share is counted by person, name and picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from subgroup_audit.checking.split_file import has_shared, read_split_file, split_certificate
from subgroup_audit.errors import DataError, TableError

CLEAN = pd.DataFrame(
    {
        "image_id": [f"i{k}" for k in range(12)],
        "patient_id": [f"p{k // 2}" for k in range(12)],
        "split": ["train"] * 6 + ["val"] * 2 + ["test"] * 4,
    }
)


def certified(frame: pd.DataFrame, data: Path | None = None, **columns: str) -> pd.DataFrame:
    return split_certificate(read_split_file(frame, **columns), data, data).set_index(["seen", "tested"])


def test_a_split_of_persons_shares_nothing():
    found = certified(CLEAN)
    assert found.index.tolist() == [("train", "val"), ("train", "test"), ("val", "test")]
    assert not has_shared(found)
    assert found["n_images"].tolist() == [2, 4, 4]
    assert found["shared_pixels"].isna().all()


def test_persons_and_images_of_two_splits_are_counted():
    frame = CLEAN.copy()
    frame.loc[8, "patient_id"] = "p0"
    frame.loc[9, "image_id"] = "i1"
    row = certified(frame).loc[("train", "test")]
    assert has_shared(certified(frame))
    assert row[["shared_persons", "images_of_seen_persons", "shared_images"]].tolist() == [1, 1, 1]
    assert row["share_of_seen_persons"] == 0.25


def test_images_without_a_name_are_not_one_image():
    frame = CLEAN.copy()
    frame.loc[[0, 8], "image_id"] = None
    assert certified(frame)["shared_images"].tolist() == [0, 0, 0]
    assert not has_shared(certified(frame))
    assert read_split_file(frame).notes[-1] == (
        "Caution: 2 rows without an image; whether another split has it cannot be told."
    )


def test_rows_of_one_image_count_once():
    twice = pd.concat([CLEAN, CLEAN], ignore_index=True)
    pd.testing.assert_frame_equal(certified(twice), certified(CLEAN))


def test_folds_are_each_compared_with_all_the_others():
    folds = CLEAN.assign(split=[0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0, 1]).rename(columns={"split": "fold"})
    found = certified(folds).reset_index()
    assert found["seen"].tolist() == ["1 + 2", "0 + 2", "0 + 1"]
    assert found["shared_persons"].tolist() == [2, 2, 0]


def test_words_for_splits_are_understood_and_said():
    read = read_split_file(CLEAN.replace({"train": "Training", "val": "dev", "test": "holdout"}))
    assert read.splits == ("train", "val", "test")
    assert "Split: 'Training' is train, 'dev' is val, 'holdout' is test." in read.notes


def test_missing_persons_and_splits_are_said():
    frame = CLEAN.copy()
    frame.loc[[0, 6], "patient_id"] = None
    frame.loc[11, "split"] = None
    read = read_split_file(frame)
    assert "Left out: 1 row without a split." in read.notes
    assert "Caution: 2 rows without a person; each counts as a person of its own." in read.notes
    assert not has_shared(split_certificate(read))


@pytest.mark.parametrize(
    ("frame", "columns", "message"),
    [
        (
            CLEAN.rename(columns={"patient_id": "who"}),
            {},
            "the table: no column is named like a person; say --person COLUMN. It has 'image_id', 'who', 'split'",
        ),
        (
            CLEAN,
            {"person": "patient"},
            "the table: --person patient: there is no such column; nearest or first: 'patient_id'",
        ),
        (
            CLEAN.assign(subject_id="s"),
            {},
            "the table: which column is the person? By their names 'patient_id', 'subject_id': "
            "say --person COLUMN",
        ),
        (
            CLEAN.assign(split="train"),
            {},
            "the table: split column 'split' has 1 value ('train'); a split has 2 to 20. "
            "If it is another column: --split COLUMN",
        ),
        (CLEAN.head(0), {}, "the table: it has column names and no rows"),
    ],
)
def test_what_cannot_be_read_is_said(frame, columns, message):
    with pytest.raises(TableError) as caught:
        read_split_file(frame, **columns)
    assert str(caught.value) == message


def write_pictures(folder: Path, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    rough = rng.uniform(0, 255, (n, 8, 8)).astype(np.float32)
    films = [
        cv2.resize(one, (64, 64), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8) for one in rough
    ]
    for k, film in enumerate(films):
        cv2.imwrite(str(folder / f"i{k}.png"), film)
    return films


def test_pictures_are_compared_where_a_folder_is_named(tmp_path):
    films = write_pictures(tmp_path, 11)  # i11 is not there
    cv2.imwrite(str(tmp_path / "i8.png"), films[0])
    cv2.imwrite(
        str(tmp_path / "i9.png"), (films[1] + np.random.default_rng(1).normal(0, 3, (64, 64))).clip(0, 255)
    )
    row = certified(CLEAN, tmp_path).loc[("train", "test")]
    assert row[["shared_persons", "shared_images", "shared_pixels", "shared_near_pixels"]].tolist() == [0, 0, 1, 1]
    assert row["n_pictures"] == 3


def test_two_files_of_one_name_are_not_taken_for_each_other(tmp_path):
    (tmp_path / "more").mkdir()
    write_pictures(tmp_path, 12)
    write_pictures(tmp_path / "more", 1)
    assert certified(CLEAN, tmp_path).loc[("train", "test"), "n_pictures"] == 4
    paths = CLEAN.assign(image_id=["more/i0.png", *(f"i{k}.png" for k in range(1, 12))])
    assert certified(paths, tmp_path).loc[("train", "val"), "n_pictures"] == 2


def test_a_folder_without_the_images_is_named(tmp_path):
    with pytest.raises(DataError, match="none of the 12 images of the table is there; the first is 'i0'"):
        certified(CLEAN, tmp_path)
    with pytest.raises(DataError, match="no such folder; --data must name the folder of the images"):
        certified(CLEAN, tmp_path / "none")
