"""`audit leakage`: what it prints, writes and exits with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RSNA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "rsna"


def test_a_clean_split_exits_with_0(audit, tmp_path):
    frame = pd.DataFrame(
        {"image": list("abcd"), "subject_id": [1, 1, 2, 3], "split": ["train", "train", "val", "test"]}
    )
    frame.to_csv(tmp_path / "split.csv", index=False)
    answer = audit("leakage", "split.csv")
    assert answer.code == 0
    assert "Nothing is shared; compared were persons and names of images." in answer.out
    assert "Person: 'subject_id'." in answer.out


def test_shared_persons_exit_with_1_and_are_written(audit, tmp_path):
    frame = pd.DataFrame({"file": list("abcd"), "who": [1, 1, 2, 1], "fold": ["train", "train", "test", "test"]})
    frame.to_parquet(tmp_path / "split.parquet", index=False)
    answer = audit("leakage", "split.parquet", "--person", "who", "--output", "certificate.csv")
    assert answer.code == 1
    assert "1 of 2 images of test (50.0%) show a person who is also in train." in answer.out
    written = pd.read_csv(tmp_path / "certificate.csv")
    assert written["shared_persons"].tolist() == [1]


def test_a_file_without_persons_exits_with_2(audit, tmp_path):
    pd.DataFrame({"image": list("ab"), "split": ["train", "test"]}).to_csv(tmp_path / "split.csv", index=False)
    answer = audit("leakage", "split.csv")
    assert answer.code == 2
    assert answer.message == (
        "split.csv: no column is named like a person; say --person COLUMN. It has 'image', 'split'"
    )


def test_a_random_split_of_rsna_images_leaks_two_thirds(audit, tmp_path):
    """Of the 26,684 images about 70 % of a random test fifth show a person seen in training."""
    if not RSNA.is_dir():
        pytest.skip("the real RSNA metadata are not beside the repository (rsna)")
    matches = pd.read_csv(RSNA / "nih_matches.csv", dtype="str")
    person = matches["nih_image_index"].str[:8].fillna(matches["patientId"])
    is_test = np.random.default_rng(0).random(len(matches)) < 0.2
    frame = pd.DataFrame(
        {"image_id": matches["patientId"], "patient_id": person, "split": np.where(is_test, "test", "train")}
    )
    frame.to_csv(tmp_path / "rsna.csv", index=False)
    answer = audit("leakage", "rsna.csv", "--output", "certificate.csv")
    assert answer.code == 1
    row = pd.read_csv(tmp_path / "certificate.csv").iloc[0]
    assert row["n_images"] == is_test.sum()
    assert row["share_of_seen_persons"] == pytest.approx(0.70, abs=0.015)
    assert row["shared_images"] == 0
