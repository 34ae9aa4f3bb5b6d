"""Class folders, with and without split folders."""

from __future__ import annotations

import pytest

from subgroup_audit.errors import DataError, StudyError


def test_class_folders(load, put) -> None:
    for name in ("NORMAL/a.png", "NORMAL/deeper/b.png", "PNEUMONIA/c.png", "stray.png", "PNEUMONIA/.hidden.png"):
        put(name)
    tables = load("folder", constants={"view": "AP"})
    frame = tables.images.frame
    assert frame["image_id"].tolist() == ["NORMAL/a.png", "NORMAL/deeper/b.png", "PNEUMONIA/c.png"]
    assert (frame["patient_id"] == frame["image_id"]).all()
    assert set(frame["view"]) == {"AP"}
    assert "official_split" not in frame
    positive = tables.labels.frame.query("label == 1")
    assert positive["finding"].tolist() == ["NORMAL", "NORMAL", "PNEUMONIA"]
    assert tables.notes == (
        "Each file counts as a person of its own, since file names were not read for persons (name_pattern).",
    )


def test_split_folders_and_persons(load, put) -> None:
    put("train/NORMAL/IM-1.png")
    put("test/PNEUMONIA/person7_virus_2.png")
    put("val/PNEUMONIA/person7_bacteria_3.png")
    tables = load("folder", name_pattern=r"^(?P<patient_id>person\d+)_(?P<organism>[a-z]+)")
    frame = tables.images.frame.set_index("image_id")
    assert frame["official_split"].to_dict() == {
        "test/PNEUMONIA/person7_virus_2.png": "test",
        "train/NORMAL/IM-1.png": "train",
        "val/PNEUMONIA/person7_bacteria_3.png": "val",
    }
    assert frame["patient_id"].tolist() == ["person7", "train/NORMAL/IM-1.png", "person7"]
    assert frame["organism"].fillna("-").tolist() == ["virus", "-", "bacteria"]
    assert tables.notes[0].endswith("; 1 files where it finds nothing count as a person each.")


def test_nothing_there(load, put, root) -> None:
    put("notes.txt", "nothing")
    with pytest.raises(DataError, match="no class folder with images; source 'folder' expects there CLASS/"):
        load("folder")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name_pattern": "("}, "is not a regular expression"),
        ({"name_pattern": "person"}, "needs named groups"),
        ({"name_pattern": "(?P<path>x)"}, "needs named groups"),
        ({"constants": {"path": "x"}}, r"\['path'\] come from the files themselves"),
        ({"pattern": "x"}, "no such key; allowed: constants, name, name_pattern; nearest: name_pattern"),
    ],
)
def test_options_are_checked(load, options: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load("folder", **options)
