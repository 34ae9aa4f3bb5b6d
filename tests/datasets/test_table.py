"""Any CSV or Parquet file, and the rules that hold for every source."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from subgroup_audit.datasets import load_source
from subgroup_audit.errors import DataError, StudyError
from subgroup_audit.images.store import build_pixel_store
from subgroup_audit.study import Data

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
COLUMNS = {
    "path": "file",
    "patient_id": "person",
    "sex": "sex",
    "view": "view",
    "age_years": "age",
    "label": "label",
}
HEAD = "file,person,sex,view,age,label,race\n"
ROWS = "images/a.png,007,Female,AP,58,Mass|Edema,Asian\nimages/b.png,008,m,pa,151,None,\n"


@pytest.fixture
def pictures(put) -> None:
    put("images/a.png")
    put("images/b.png")


def _load(load, **more):
    return load("table", **{"file": "meta.csv", "columns": COLUMNS, "label_separator": "|", **more})


def test_columns_are_mapped(load, put, pictures) -> None:
    put("meta.csv", HEAD + ROWS)
    tables = _load(load, attributes=["race"], label_source="three readers", name="clinic")
    first, second = tables.images.frame.to_dict("records")
    assert first == {
        "image_id": "images/a.png",
        "patient_id": "007",
        "exam_id": first["exam_id"],
        "path": "images/a.png",
        "sex": "F",
        "view": "AP",
        "age_years": 58.0,
        "photometric": first["photometric"],
        "source": "clinic",
        "race": "Asian",
    }
    assert (second["sex"], second["view"], second["age_years"]) == ("M", "PA", 151.0)
    labels = tables.labels.frame
    assert labels[labels["label"] == 1][["image_id", "finding"]].to_numpy().tolist() == [
        ["images/a.png", "Edema"],
        ["images/a.png", "Mass"],
        ["images/b.png", "None"],
    ]
    assert set(labels["label_source"]) == {"three readers"}
    assert tables.notes == ()


def test_parquet_and_csv_are_the_same(load, put, root, pictures) -> None:
    pd.read_csv(put("meta.csv", HEAD + ROWS), dtype="str", keep_default_na=False).to_parquet(root / "meta.parquet")
    csv, parquet = _load(load), _load(load, file="meta.parquet")
    assert csv.images.frame.equals(parquet.images.frame)
    assert csv.labels.frame.equals(parquet.labels.frame)


def test_delimiter_folder_and_label_columns(load, put, pictures) -> None:
    put("meta.csv", "\ufefff;p;Edema;Mass\na.png;1;1;-1\nb.png;2;;0\n")
    tables = load(
        "table",
        file="meta.csv",
        delimiter=";",
        image_folder="images",
        columns={"path": "f", "patient_id": "p"},
        label_columns=["Edema", "Mass"],
    )
    assert tables.labels.frame[["image_id", "finding", "label"]].to_numpy().tolist() == [
        ["images/a.png", "Edema", 1],
        ["images/a.png", "Mass", -1],
        ["images/b.png", "Mass", 0],
    ]


def test_rows_that_cannot_be_used_are_listed(load, put, pictures) -> None:
    put(
        "meta.csv",
        HEAD
        + ROWS
        + ROWS.splitlines()[0]
        + "\nimages/c.png,9,F,AP,1,Mass,\nimages/a.png,,F,AP,1,Mass,\n,9,F,AP,1,Mass,\n"
        + "../secret.png,9,F,AP,1,Mass,\n"
        + "images/d.png,1,F,AP,1,Mass,\nimages/d.png,1,F,AP,2,Mass,\nimages/d.png,1,M,AP,2,Mass,\n",
    )
    put("images/d.png")
    tables = _load(load)
    assert tables.images.frame["image_id"].tolist() == ["images/b.png"]
    assert sorted(tables.exclusions.frame.set_index("image_id")["reason"].to_dict().items()) == [
        ("../secret.png", "the path leaves the data folder"),
        ("images/a.png", "the rows of this image differ in patient_id, sex, age_years"),
        ("images/c.png", "file is missing"),
        ("images/d.png", "the rows of this image differ in sex, age_years"),
        ("row 7", "no file is named"),
    ]
    assert set(tables.exclusions.frame["step"]) == {"read"}
    assert set(tables.labels.frame["image_id"]) == {"images/b.png"}


def test_equal_rows_count_once(load, put, pictures) -> None:
    put("meta.csv", HEAD + ROWS + ROWS)
    tables = _load(load)
    assert len(tables.images) == 2
    assert len(tables.exclusions) == 0
    assert tables.notes == ("2 rows repeated an image with the same values and were counted once.",)


def test_contradicting_labels_exclude_the_image(load, put, pictures) -> None:
    put("meta.csv", HEAD + ROWS + "images/a.png,007,Female,AP,58,Mass,\n")
    tables = _load(load)
    assert tables.exclusions.frame["reason"].tolist() == ["its labels contradict each other"]
    assert set(tables.labels.frame["image_id"]) == {"images/b.png"}


def test_person_must_be_named(load, put, pictures) -> None:
    put("meta.csv", HEAD + "images/a.png,,F,AP,1,Mass,\nimages/b.png,2,F,AP,1,Mass,\n")
    assert _load(load).exclusions.frame["reason"].tolist() == ["no patient is named"]


def test_metadata_without_pixels_are_read(load, put) -> None:
    put("meta.csv", HEAD + ROWS)
    tables = _load(load)
    assert len(tables.images) == 2
    assert tables.notes == (
        "There are no pixels below the data folder, only metadata: nothing can be trained on it.",
    )


def test_no_image_that_matches_is_an_error(load, put, root) -> None:
    put("meta.csv", HEAD + ROWS)
    put("images/other.png")
    with pytest.raises(DataError) as caught:
        _load(load)
    assert str(caught.value) == (
        f"{root}/meta.csv: no image that it names can be used below {root} (2 x file is missing); "
        "the first file named is 'images/a.png'"
    )


def test_missing_columns_are_all_named(load, put, root) -> None:
    put("meta.csv", "fille,person,gender\nx,y,z\n")
    with pytest.raises(DataError) as caught:
        load("table", file="meta.csv", columns={"path": "file", "patient_id": "person", "sex": "sex"})
    assert str(caught.value) == (
        f"{root}/meta.csv: column 'file' is missing; nearest present: fille; "
        "column 'sex' is missing; nearest present: fille, person, gender"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "meta.csv: the table has no rows"),
        ("a,b\n1,2,3,4\n1,2,3,4,5\n", "meta.csv: column 'file' is missing; nearest present: a, b"),
        (
            HEAD + ROWS.replace("\n", ",extra\n"),
            "meta.csv: rows have more fields than the header, so it is unclear",
        ),
        (HEAD + ROWS + "a,b,c,d,e,f,g,h,i\n", "meta.csv: cannot be read as a table in UTF-8: Error tokenizing"),
        ("\0", "meta.csv: column 'file' is missing"),
    ],
)
def test_hopeless_tables(load, put, text: str, message: str) -> None:
    put("meta.csv", text)
    with pytest.raises(DataError) as caught:
        _load(load)
    assert message in str(caught.value)


def test_table_that_is_not_utf8_is_refused(load, root) -> None:
    (root / "meta.csv").write_bytes(HEAD.encode() + b"images/\xe4.png,1,F,AP,1,Mass,\n")
    with pytest.raises(DataError, match=r"meta\.csv: cannot be read as a table in UTF-8"):
        _load(load)


def test_missing_table_names_the_nearest(load, put, root) -> None:
    put("metadata.csv", HEAD)
    with pytest.raises(DataError) as caught:
        _load(load)
    assert str(caught.value) == f"{root}/meta.csv: no such file; there lie metadata.csv"


def test_damaged_parquet_is_refused(load, put) -> None:
    put("meta.parquet", "this is no parquet")
    with pytest.raises(DataError, match=r"meta\.parquet: cannot be read as Parquet"):
        _load(load, file="meta.parquet")


def test_options_are_checked_with_the_nearest_key(load) -> None:
    with pytest.raises(StudyError) as caught:
        load(
            "table",
            file="../meta.csv",
            columns={"pth": "file", "patient_id": "p"},
            delimeter=";",
            attributes=["sex"],
        )
    assert str(caught.value).splitlines() == [
        "source 'table': data.options.file: must lie below the data folder; it is '../meta.csv'",
        "data.options.columns.path: this key is required",
        "data.options.columns.pth: no such key; allowed: age_years, exam_id, image_id, label, path, patient_id, "
        "photometric, sex, view; nearest: path",
        "data.options.attributes: ['sex'] are set by `columns`, not as attributes; it is ['sex']",
        "data.options.delimeter: no such key; allowed: attributes, blank_is_negative, columns, delimiter, file, "
        "image_folder, image_suffix, label_columns, label_separator, label_source, name; nearest: delimiter",
    ]


def test_two_kinds_of_label_are_refused(load, put) -> None:
    with pytest.raises(
        StudyError, match=r"^data\.options: give either `columns\.label` or `label_columns`, not both$"
    ):
        _load(load, label_columns=["Edema"])


def test_a_table_without_labels_says_so(load, put, pictures) -> None:
    put("meta.csv", HEAD + ROWS)
    tables = load("table", file="meta.csv", columns={"path": "file", "patient_id": "person"})
    assert len(tables.labels) == 0
    assert tables.notes == ("The table states no labels.",)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize(
    ("pack", "n_images", "n_persons", "findings"),
    [
        ("nih_pneumonia_1000", 1000, 682, {"Pneumonia", "No Finding"}),
        ("rsna_lung_masked", 6192, 3357, {"Lung Opacity", "Normal", "No Lung Opacity / Not Normal"}),
    ],
)
def test_real_packs(tmp_path: Path, pack: str, n_images: int, n_persons: int, findings: set[str]) -> None:
    columns = {**COLUMNS, "patient_id": "patient_id"}
    data = Data(source="table", options={"file": "metadata.csv", "columns": columns})
    tables = load_source(data, SHARED / pack, cache=tmp_path)
    assert len(tables.images) == n_images
    assert tables.images.frame["patient_id"].nunique() == n_persons
    assert set(tables.labels.frame["finding"]) == findings
    assert tables.labels.frame.groupby("image_id")["label"].sum().eq(1).all()
    assert len(tables.exclusions) == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
def test_real_twins_are_found_by_their_pixels(tmp_path: Path) -> None:
    columns = {"path": "file", "patient_id": "patient_id", "label": "label"}
    data = Data(source="table", options={"file": "metadata.csv", "columns": columns})
    root = SHARED / "nih_pneumonia_1000"
    images = load_source(data, root, cache=tmp_path).images
    store, exclusions = build_pixel_store(images, root, size=64, cache=tmp_path, workers=1)
    digests = store.digests()
    twins = digests[digests["pixel_digest"].duplicated(keep=False)]["image_id"]
    assert set(twins) == {"images/00002658_001.jpg", "images/00002658_002.jpg"}
    assert len(exclusions) == 0
