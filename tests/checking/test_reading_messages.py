"""What is wrong with a prediction table: one message that names the file, the place, the rule and the way out."""

# ruff: noqa: E501  messages stand here as they are printed

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subgroup_audit.checking.columns import ColumnChoice
from subgroup_audit.checking.reading import read_scored
from subgroup_audit.errors import AuditError

Change = Callable[[pd.DataFrame], pd.DataFrame]


def invent() -> pd.DataFrame:
    """Eight images of four persons."""
    return pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(8)],
            "patient_id": [f"p{i // 2}" for i in range(8)],
            "sex": ["F", "F", "M", "M", "F", "F", "M", "M"],
            "y_true": [1, 0, 1, 0, 1, 0, 1, 0],
            "y_score": [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4],
        }
    )


def message(folder: Path, source: object, choice: ColumnChoice | None = None) -> str:
    """What reading the source says, with the test's folder cut from it."""
    with pytest.raises(AuditError) as caught:
        read_scored(source, choice)
    return str(caught.value).replace(f"{folder}/", "").replace(str(folder), "HERE")


BYTES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "a.csv: the file is empty"),
    "blank": ("a.csv", b"\n \n", "a.csv: the file is empty"),
    "a mark only": ("a.csv", b"\xef\xbb\xbf", "a.csv: the file is empty"),
    "header only": ("a.csv", b"sex,y_true,y_score\n", "a.csv: it has column names and no rows"),
    "no header": (
        "a.csv",
        b"i1,F,1,0.83\ni2,M,0,0.11\n",
        "a.csv: line 1 looks like data, not like column names (i1, F, 1, 0.83). "
        "Add a first line that names the columns",
    ),
    "one column": (
        "a.csv",
        b"y_true\n1\n0\n",
        "a.csv: no commas, semicolons or tabs cut the first line into columns; it reads 'y_true'",
    ),
    "twice the same name": (
        "a.csv",
        b"sex,sex,y_true,y_score\nF,F,1,0.5\n",
        "a.csv: several columns have the same name: 'sex'. Rename or remove them",
    ),
    "a short row": (
        "a.csv",
        b"sex,y_true,y_score\nF,1,0.5\nM,0\n",
        "a.csv: line 3 has 2 fields, the header has 3. Every row needs as many fields as the header; a field with "
        "a separator in it needs quotes. A first column without a name is written by R: row.names = FALSE leaves "
        "it out",
    ),
    "another encoding": (
        "a.csv",
        "sex,y_true,y_score\nF,1,0.5\nmännlich,0,0.2\n".encode("cp1252"),
        "a.csv: line 3 is not UTF-8 (byte 0xe4). As cp1252 it reads 'männlich'; if that is right, "
        "say --encoding cp1252",
    ),
    "UTF-16": (
        "a.csv",
        "sex,y_true,y_score\nF,1,0.5\n".encode("utf-16"),
        "a.csv: the text is UTF-16, not UTF-8. Say --encoding utf-16",
    ),
    "not text": (
        "a.csv",
        b"abc\x00\x01\x02,\x00",
        "a.csv: this is no text file (it has zero bytes). A check reads CSV or Parquet",
    ),
    "an Excel workbook": (
        "a.xlsx",
        b"PK\x03\x04....xl/workbook.xml",
        "a.xlsx: this is an Excel workbook; save it as CSV. A check reads CSV or Parquet",
    ),
    "a pickle": (
        "a.csv",
        b"\x80\x04\x95",
        "a.csv: this is a Python pickle, which is never opened; write the table as CSV or Parquet. "
        "A check reads CSV or Parquet",
    ),
    "no Parquet": (
        "a.parquet",
        b"sex,y_true\nF,1\n",
        "a.parquet: this is no Parquet file (it begins with 'sex,y_true'). "
        "If it is a CSV file, give it a name that ends in .csv",
    ),
    "broken Parquet": (
        "a.parquet",
        b"PAR1aaaaaaaaPAR1",
        "a.parquet: this is no Parquet file (it begins with 'PAR1aaaaaaaaPAR1'). "
        "If it is a CSV file, give it a name that ends in .csv",
    ),
    "no gzip": ("a.csv.gz", b"sex,y_true\n", "a.csv.gz: cannot be read (Not a gzipped file (b'se'))"),
}


@pytest.mark.parametrize("case", BYTES)
def test_a_file_that_is_no_table(tmp_path: Path, case: str) -> None:
    name, content, expected = BYTES[case]
    (tmp_path / name).write_bytes(content)
    assert message(tmp_path, tmp_path / name) == expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("a,b\n")
    assert (
        message(tmp_path, tmp_path / "prediction.csv")
        == "prediction.csv: no such file; there lie 'predictions.csv'"
    )


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    assert (
        message(tmp_path, tmp_path)
        == "HERE: this is a folder; a check reads one file, for example one of 'a.csv' in it"
    )


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/predictions.parquet").touch()
    assert message(tmp_path, tmp_path) == (
        "HERE: this is a folder; a check reads one file; the predictions of this run are data/predictions.parquet"
    )


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert message(tmp_path, path) == "a.csv: cannot be read (Permission denied)"


def test_encodings_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"sex,y_true,y_score\nF\xe4,1,0.5\n")
    assert (
        message(tmp_path, path, ColumnChoice(encoding="ascii"))
        == "a.csv: line 2 is not ascii; try another --encoding"
    )
    assert message(tmp_path, path, ColumnChoice(encoding="cp12520")) == (
        "--encoding: no encoding is named 'cp12520'. Common ones: utf-8, cp1252, latin-1, utf-16"
    )


TABLES: dict[str, tuple[Change, ColumnChoice, str]] = {
    "an image twice": (
        lambda f: pd.concat([f, f.iloc[[3]]]),
        ColumnChoice(),
        "a.csv: 1 image comes more than once: 'i3' in column 'image_id' is on line 5 and on line 10. A model has one "
        "row per image. If a column tells the rows apart, say --model COLUMN (repeat it for several). If the column "
        "does not name images, say --image none",
    ),
    "an image twice of a model": (
        lambda f: pd.concat([f.assign(model="a"), f.assign(model="b"), f.iloc[[3]].assign(model="b")]),
        ColumnChoice(),
        "a.csv: 1 image comes more than once of model 'b': 'i3' in column 'image_id' is on line 13 and on line 18. A "
        "model has one row per image. If a column tells the rows apart, say --model COLUMN (repeat it for several). "
        "If the column does not name images, say --image none",
    ),
    "an image without a name": (
        lambda f: f.assign(image_id=f["image_id"].where(f.index != 4)),
        ColumnChoice(),
        "a.csv: image column 'image_id' is empty in 1 row, the first on line 6. Every row needs its image; without "
        "image names: --image none",
    ),
    "labels in words": (
        lambda f: f.assign(y_true=f["y_true"].map({1: "yes", 0: "no"})),
        ColumnChoice(),
        "a.csv: label column 'y_true' has the values 'yes', 'no' (the first on line 2); labels are 1 and 0. Say which "
        "value means that the finding is there, for example --positive yes",
    ),
    "labels in three words": (
        lambda f: f.assign(y_true=["yes", "no", "unclear", "no"] * 2),
        ColumnChoice(positive=("yes",)),
        "a.csv: label column 'y_true' has further values ('no', 'unclear'). Say which of them mean that the finding "
        "is absent: --negative WORD; the others are then left out",
    ),
    "a positive word that is not there": (
        lambda f: f.assign(y_true=f["y_true"].map({1: "yes", 0: "no"})),
        ColumnChoice(positive=("yess",)),
        "a.csv: no label of 'y_true' is 'yess' (--positive); nearest: 'yes'",
    ),
    "uncertain labels": (
        lambda f: f.assign(y_true=[1, 0, -1, 0, 1, -1, 1, 0]),
        ColumnChoice(),
        "a.csv: label column 'y_true' has 2 labels of -1 (the first on line 4), which CheXpert and MIMIC-CXR use for "
        "'uncertain'. Say what they count as: --uncertain omit, positive or negative",
    ),
    "labels of 1 and -1": (
        lambda f: f.assign(y_true=[1, -1] * 4),
        ColumnChoice(),
        "a.csv: label column 'y_true' has the values '1', '-1' (the first on line 3); labels are 1 and 0. Say which "
        "value means that the finding is there, for example --positive 1",
    ),
    "three classes and one score": (
        lambda f: f.assign(y_true=[0, 1, 2, 0] * 2),
        ColumnChoice(),
        "a.csv: label column 'y_true' has 3 values: '0', '1', '2' (the first that is not 0 or 1 on line 4). Either "
        "say what is positive and what is negative (--positive 2 --negative WORD), or, for a model of several "
        "classes, give a score column for each class (--score CLASS:COLUMN)",
    ),
    "a score for a label": (
        lambda f: f,
        ColumnChoice(label=("y_score",), score=("y_true",)),
        "a.csv: label column 'y_score' has 8 different values ('0.9', '0.1', '0.8' and 5 more): that is no label. "
        "Labels are 1 and 0; is it the score? Say --label COLUMN",
    ),
    "no label at all": (
        lambda f: f.assign(y_true=None),
        ColumnChoice(),
        "a.csv: no row has both a label and a score; are the label and score columns the right ones?",
    ),
    "logits": (
        lambda f: f.assign(y_score=f["y_score"] * 10 - 5),
        ColumnChoice(),
        "a.csv: score column 'y_score' goes from -4 to 4; 7 values are outside [0, 1], the first 4 on line 2. If they "
        "are logits, or any score that is higher where the finding is likelier, say --scores logits: they pass "
        "through the sigmoid, which leaves the AUC as it is; calibration means something for true logits only",
    ),
    "percent": (
        lambda f: f.assign(y_score=f["y_score"] * 100),
        ColumnChoice(),
        "a.csv: score column 'y_score' goes from 10 to 90; 8 values are outside [0, 1], the first 90 on line 2. If "
        "they are percent, say --scores percent. If they are logits, or any score that is higher where the finding "
        "is likelier, say --scores logits: they pass through the sigmoid, which leaves the AUC as it is; calibration "
        "means something for true logits only",
    ),
    "logits that were said to be percent": (
        lambda f: f.assign(y_score=f["y_score"] * 10 - 5),
        ColumnChoice(scores="percent"),
        "a.csv: score column 'y_score' goes from -4 to 4; 4 values are outside [0, 100], the first -4 on line 3. "
        "--scores percent does not fit; for logits say --scores logits",
    ),
    "missing scores": (
        lambda f: f.assign(y_score=f["y_score"].where(~f.index.isin([2, 5]))),
        ColumnChoice(),
        "a.csv: score column 'y_score' has no score in 2 rows of 8 (empty or NaN), the first on line 4. Images that "
        "a model could not score are part of how well it works. To leave them out, say --allow-missing-scores; they "
        "are then counted in every output",
    ),
    "infinite scores": (
        lambda f: f.assign(y_score=f["y_score"].where(f.index != 3, np.inf)),
        ColumnChoice(scores="logits"),
        "a.csv: score column 'y_score' has 1 infinite value, the first on line 5; scores are finite numbers",
    ),
    "a word for a score": (
        lambda f: f.assign(y_score=["high", *f["y_score"].tolist()[1:]]),
        ColumnChoice(),
        "a.csv: score column 'y_score' has 'high' on line 2; scores are numbers",
    ),
    "two values of sex": (
        lambda f: f.assign(sex=["F", "M", "M", "M", "F", "F", "F", "M"]),
        ColumnChoice(),
        "a.csv: 2 persons have two values of 'sex', the first on line 3. Either the values or the person column are "
        "wrong; --person none counts every image as a person of its own",
    ),
    "words that are no split": (
        lambda f: f.assign(split=["a", "b"] * 4),
        ColumnChoice(),
        "a.csv: split column 'split' has 'a', 'b' (first on line 2); understood are train, training, val, valid, "
        "validation, dev, test, testing, holdout and the like. If it is no split of the data: --split none",
    ),
    "a row without a split": (
        lambda f: f.assign(split=["train", None] * 4),
        ColumnChoice(),
        "a.csv: split column 'split' is empty in 4 rows, the first on line 3. Every row needs its split; without "
        "splits: --split none",
    ),
    "a long file without images": (
        lambda f: pd.concat([f.assign(model="a"), f.assign(model="b")]).drop(columns="image_id"),
        ColumnChoice(),
        "a.csv: it has several rows per image ('model'), but no column says which image a row is of. "
        "Say --image COLUMN",
    ),
    "a row without a model": (
        lambda f: f.assign(model=["a", None] * 4),
        ColumnChoice(),
        "a.csv: column 'model' is empty in 4 rows, the first on line 3. Every row needs a value there",
    ),
    "labels that differ between models": (
        lambda f: pd.concat([f.assign(model="a"), f.assign(model="b", y_true=[0, *f["y_true"].tolist()[1:]])]),
        ColumnChoice(),
        "a.csv: 1 image has another label for 'finding' in the rows of 'b' than in earlier ones, the first 'i0'. An "
        "image has one label, whatever the model",
    ),
    "groups that differ between models": (
        lambda f: pd.concat([f.assign(model="a"), f.assign(model="b", sex="M")]),
        ColumnChoice(),
        "a.csv: image 'i0' has several values of 'sex'; on line 10 it differs from the image's first row. What "
        "describes an image is the same in all its rows",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_checked(tmp_path: Path, case: str) -> None:
    change, choice, expected = TABLES[case]
    path = tmp_path / "a.csv"
    change(invent()).to_csv(path, index=False)
    assert message(tmp_path, path, choice) == expected


def test_rows_are_counted_where_lines_and_rows_differ(tmp_path: Path) -> None:
    frame = invent().assign(note="two\nlines", y_score=lambda f: f["y_score"].where(f.index != 3))
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert "the first on row 4 below the header." in message(tmp_path, tmp_path / "a.csv")


def test_a_table_in_memory_is_called_the_table(tmp_path: Path) -> None:
    frame = invent().assign(y_score=lambda f: f["y_score"].where(f.index != 3))
    assert message(tmp_path, frame).startswith(
        "the table: score column 'y_score' has no score in 1 row of 8 (empty or NaN), the first on row 4."
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ([1, 2], "check: list is no table; give a path, a DataFrame or a mapping of columns"),
        ({}, "the table: it has no columns"),
        ({"a": [1], "b": [1, 2]}, "the table: the columns have unequal lengths: 'a' 1, 'b' 2"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the table: several columns have the same name"),
        (
            {"y_true": [[1], [0]], "b": [0, 1]},
            "the table: 'y_true' holds lists or records; a check needs a value per row",
        ),
        ({"y_true": np.zeros((2, 2)), "b": [1, 2]}, "the table: column 'y_true' has 2 dimensions; one is needed"),
    ],
)
def test_what_is_no_table_in_memory(tmp_path: Path, source: object, expected: str) -> None:
    choice = ColumnChoice(label=("y_true",), score=("b",), group=("none",))
    assert message(tmp_path, source, choice) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=4)
)
def test_a_damaged_file_is_read_or_refused_and_never_an_accident(
    tmp_path: Path, cuts: list[tuple[int, int, bytes]]
) -> None:
    content = invent().to_csv(index=False).encode()
    for place, n, put in cuts:
        start = place % (len(content) + 1)
        content = content[:start] + put + content[start + n :]
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    try:
        table = read_scored(path)
    except AuditError:
        return
    for task in table.tasks:
        assert ((task.y_score >= 0) & (task.y_score <= 1)).all()
        assert set(task.y_true.tolist()) <= {0, 1}
