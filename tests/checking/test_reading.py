"""Prediction tables of every common shape are understood, and the notes say how."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgroup_audit.checking.columns import ColumnChoice
from subgroup_audit.checking.reading import read_scored
from subgroup_audit.checking.scored import ScoredTable
from subgroup_audit.errors import TableError


def invent(n: int = 40, seed: int = 0) -> pd.DataFrame:
    """Images of persons with two each."""
    rng = np.random.default_rng(seed)
    person = np.arange(n) // 2
    y_true = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "image_id": [f"img{i:03d}" for i in range(n)],
            "patient_id": [f"{i:03d}" for i in person],
            "sex": np.where(person % 3 == 0, "F", "M"),
            "view": rng.choice(["AP", "PA"], n),
            "y_true": y_true,
            "y_score": np.round(rng.random(n) * 0.5 + y_true * 0.4, 3),
        }
    )


def write(folder: Path, frame: pd.DataFrame, **how: object) -> Path:
    """The frame as a CSV file."""
    path = folder / "predictions.csv"
    frame.to_csv(path, index=False, **how)  # type: ignore[call-overload]
    return path


def same(one: ScoredTable, other: ScoredTable) -> bool:
    """Whether two tables hold the same images, persons, groups and scores."""
    pd.testing.assert_frame_equal(one.groups, other.groups)
    for left, right in zip(one.tasks, other.tasks, strict=True):
        assert (left.model, left.finding) == (right.model, right.finding)
        np.testing.assert_array_equal(left.rows, right.rows)
        np.testing.assert_array_equal(left.y_true, right.y_true)
        np.testing.assert_array_equal(left.y_score, right.y_score)
    return one.image_id.tolist() == other.image_id.tolist() and one.person.tolist() == other.person.tolist()


def test_the_order_of_rows_changes_no_person() -> None:
    frame = invent()
    table = read_scored(frame)
    shuffled = read_scored(frame.sample(frac=1.0, random_state=3))
    found = [dict(zip(one.image_id, one.person.tolist(), strict=True)) for one in (table, shuffled)]
    assert found[0] == found[1]


def test_a_crossing_that_is_asked_for_twice_is_made_once() -> None:
    table = read_scored(invent(), ColumnChoice(intersect=(("sex", "view"), ("sex", "view"))))
    assert list(table.groups) == ["sex", "view", "sex x view"]


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    frame = invent()
    table = read_scored(write(tmp_path, frame))
    (task,) = table.tasks
    assert (task.model, task.finding) == ("model", "finding")
    assert task.rows.tolist() == list(range(40))
    assert task.y_true.tolist() == frame["y_true"].tolist()
    assert task.y_score.tolist() == frame["y_score"].tolist()
    assert table.person.tolist() == [i // 2 for i in range(40)]
    assert table.image_id.tolist() == frame["image_id"].tolist()
    assert table.groups["sex"].astype(str).tolist() == frame["sex"].tolist()
    assert table.split is None
    assert table.notes == (
        'Label: column "y_true" (by its name).',
        'Score: column "y_score" (by its name).',
        'Groups: columns "sex", "view" (by their names).',
        'Person: column "patient_id" (by its name).',
        'Image: column "image_id" (by its name).',
        "Scores are taken as probabilities: all lie in [0, 1].",
        "40 images of 20 persons.",
    )


def test_every_way_in_gives_the_same_table(tmp_path: Path) -> None:
    frame = invent()
    expected = read_scored(write(tmp_path, frame))
    parquet, packed = tmp_path / "p.parquet", tmp_path / "p.csv.gz"
    frame.to_parquet(parquet)
    packed.write_bytes(gzip.compress((tmp_path / "predictions.csv").read_bytes()))
    mapping = {name: frame[name].to_numpy() for name in frame}
    for source in (parquet, packed, str(parquet), frame, mapping, pa.Table.from_pandas(frame)):
        assert same(read_scored(source), expected)


@pytest.mark.parametrize(
    ("how", "note"),
    [
        ({"sep": ";", "decimal": ","}, "Fields are separated by semicolons."),
        ({"sep": "\t"}, "Fields are separated by tabs."),
        ({"sep": "|"}, "Fields are separated by vertical bars."),
        ({"sep": ";", "decimal": ","}, "Score column 'y_score' has decimal commas: 0,5 was read as 0.5."),
        ({"decimal": ","}, "Score column 'y_score' has decimal commas: 0,5 was read as 0.5."),
    ],
)
def test_other_dialects_are_understood_and_noted(tmp_path: Path, how: dict[str, str], note: str) -> None:
    expected = read_scored(invent())
    table = read_scored(write(tmp_path, invent(), **how))
    assert same(table, expected)
    assert note in table.notes


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings_are_read_when_they_are_said(tmp_path: Path, encoding: str) -> None:
    frame = invent().assign(sex=lambda f: f["sex"].map({"F": "weiblich", "M": "männlich"}))
    table = read_scored(write(tmp_path, frame, encoding=encoding), ColumnChoice(encoding=encoding))
    assert table.groups["sex"].cat.categories.tolist() == ["männlich", "weiblich"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert same(read_scored(write(tmp_path, invent(), encoding="utf-8-sig")), read_scored(invent()))


def test_quoted_line_breaks_and_commas_stay_in_their_fields(tmp_path: Path) -> None:
    frame = invent().assign(report=["no change,\nas before"] * 40)
    assert same(read_scored(write(tmp_path, frame)), read_scored(invent()))


@pytest.mark.parametrize("empty", ["\n", "\n\n", "\r\n", "\r\n\r\n\r\n"])
def test_empty_lines_before_the_header_are_no_rows(tmp_path: Path, empty: str) -> None:
    end = "\r\n" if "\r" in empty else "\n"
    text = empty + invent().to_csv(index=False, lineterminator=end) + empty
    (tmp_path / "p.csv").write_bytes(text.encode())
    assert same(read_scored(tmp_path / "p.csv"), read_scored(invent()))


def test_leading_zeros_are_part_of_a_person() -> None:
    frame = invent().assign(patient_id=["7", "07"] * 20, sex="F")
    assert len(set(read_scored(frame).person.tolist())) == 2


def test_whole_numbers_are_the_same_persons_with_and_without_decimals(tmp_path: Path) -> None:
    frame = invent().assign(patient_id=lambda f: f["patient_id"].astype(float))
    path = tmp_path / "p.parquet"
    frame.to_parquet(path)
    assert read_scored(path).person.tolist() == read_scored(invent()).person.tolist()


def test_logits_pass_through_the_sigmoid() -> None:
    logits = np.concatenate([[-800.0], np.linspace(-8, 8, 398), [800.0]])
    table = read_scored(invent(400).assign(y_score=logits), ColumnChoice(scores="logits"))
    (task,) = table.tasks
    assert task.y_score[0] == 0.0
    assert task.y_score[-1] == 1.0
    np.testing.assert_allclose(task.y_score[1:-1], 1 / (1 + np.exp(-logits[1:-1])))
    assert "Caution: 2 logits of 'y_score' above 36 or below -700 count as ties." in table.notes


def test_scores_that_the_sigmoid_would_make_ties_are_refused() -> None:
    frame = invent(400).assign(y_score=np.arange(400) % 101)
    with pytest.raises(TableError) as caught:
        read_scored(frame, ColumnChoice(scores="logits"))
    assert str(caught.value) == (
        "the table: score column 'y_score' goes from 0 to 100; 252 values are above 36 or below -700, where the "
        "sigmoid is 1 or 0, so that these images would tie and the AUC not be that of the scores. Logits do not "
        "lie so far out: divide the scores by a number first, such as 10, which leaves their order"
    )
    divided = frame.assign(y_score=frame["y_score"] / 10)
    (task,) = read_scored(divided, ColumnChoice(scores="logits")).tasks
    assert len(np.unique(task.y_score)) == 101


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=40, max_size=40, unique=True))
def test_the_sigmoid_keeps_the_order(logits: list[float]) -> None:
    (task,) = read_scored(invent().assign(y_score=logits), ColumnChoice(scores="logits")).tasks
    order = np.argsort(np.array(logits)[task.rows], kind="stable")
    assert (np.diff(task.y_score[order]) >= 0).all()


def test_percent_is_divided() -> None:
    table = read_scored(invent().assign(y_score=invent()["y_score"] * 100), ColumnChoice(scores="percent"))
    np.testing.assert_allclose(table.tasks[0].y_score, invent()["y_score"])
    assert "Scores are percent, as was said." in table.notes


def test_images_without_a_label_are_left_out_and_counted() -> None:
    frame = invent().assign(y_true=lambda f: f["y_true"].where(f.index > 2))
    table = read_scored(frame)
    assert table.tasks[0].rows.tolist() == list(range(3, 40))
    assert table.n_images == 40
    assert "Left out: 3 rows without a label." in table.notes


def test_missing_scores_are_left_out_when_that_was_said() -> None:
    frame = invent().assign(y_score=lambda f: f["y_score"].where(f.index > 1))
    table = read_scored(frame, ColumnChoice(allows_missing_scores=True))
    assert len(table.tasks[0].rows) == 38
    assert "Caution: 2 images without a score in 'y_score' left out." in table.notes


def test_a_missing_score_of_an_unlabelled_image_is_not_asked_for() -> None:
    frame = invent()
    frame = frame.assign(
        y_true=frame["y_true"].where(frame.index > 1), y_score=frame["y_score"].where(frame.index > 1)
    )
    assert len(read_scored(frame).tasks[0].rows) == 38


def test_words_are_labels_when_their_meaning_is_said() -> None:
    frame = invent().assign(y_true=lambda f: f["y_true"].map({1: "Yes", 0: "No"}))
    table = read_scored(frame, ColumnChoice(positive=("yes",)))
    assert table.tasks[0].y_true.tolist() == invent()["y_true"].tolist()
    assert "Label 'y_true': positive 'yes', negative 'No'." in table.notes


def test_words_of_neither_meaning_are_left_out_and_counted() -> None:
    words = ["yes", "no", "unclear", "film lost"] * 10
    table = read_scored(invent().assign(y_true=words), ColumnChoice(positive=("yes",), negative=("no",)))
    assert len(table.tasks[0].rows) == 20
    left = "20 rows with other values ('unclear', 'film lost') left out."
    assert f"Label 'y_true': positive 'yes', negative 'no'; {left}" in table.notes


@pytest.mark.parametrize(("meant", "n_positive", "n"), [("omit", 1, 38), ("positive", 3, 40), ("negative", 1, 40)])
def test_uncertain_labels_count_as_was_said(meant: str, n_positive: int, n: int) -> None:
    labels = [-1, -1, 1] + [0] * 37
    choice = ColumnChoice(uncertain=meant)  # type: ignore[arg-type]
    (task,) = read_scored(invent().assign(y_true=labels), choice).tasks
    assert (int(task.y_true.sum()), len(task.y_true)) == (n_positive, n)


def test_two_findings_are_found_by_their_names() -> None:
    frame = invent().rename(columns={"y_true": "y_pneumonia", "y_score": "p_pneumonia"})
    frame["Pleural Effusion"] = 1 - frame["y_pneumonia"]
    frame["Pleural Effusion_prob"] = 1 - frame["p_pneumonia"]
    table = read_scored(frame)
    assert table.findings == ("pneumonia", "Pleural Effusion")
    np.testing.assert_array_equal(table.tasks[1].y_true, 1 - table.tasks[0].y_true)
    assert 'Label: columns "y_pneumonia", "Pleural Effusion" (by their names).' in table.notes


@pytest.mark.parametrize(
    ("label", "score", "findings"),
    [
        (("a:y_a", "b:y_b"), ("b:p_b", "a:p_a"), ("a", "b")),
        (("y_a", "y_b"), ("p_a", "p_b"), ("a", "b")),
        (("y_b",), (), ("b",)),
        ((), ("p_b", "p_a"), ("b", "a")),
    ],
)
def test_labels_and_scores_find_each_other(
    label: tuple[str, ...], score: tuple[str, ...], findings: tuple[str, ...]
) -> None:
    frame = invent().rename(columns={"y_true": "y_a", "y_score": "p_a"})
    frame["y_b"], frame["p_b"] = 1 - frame["y_a"], frame["p_a"] / 2
    table = read_scored(frame, ColumnChoice(label=label, score=score))
    assert table.findings == findings
    of_b = next(task for task in table.tasks if task.finding == "b")
    np.testing.assert_array_equal(of_b.y_true, frame["y_b"])
    np.testing.assert_array_equal(of_b.y_score, frame["p_b"])


def classes() -> pd.DataFrame:
    """A label of three classes, with logits of each."""
    rng = np.random.default_rng(1)
    frame = invent().drop(columns=["y_true", "y_score"])
    frame["label"] = rng.choice(["Normal", "Lung Opacity", "Other"], 40)
    for name in ("p_other", "p_normal", "p_lung_opacity"):
        frame[name] = rng.normal(size=40)
    return frame


def test_classes_are_findings_against_the_rest_and_their_logits_a_softmax() -> None:
    frame = classes()
    table = read_scored(frame, ColumnChoice(scores="logits"))
    assert sorted(table.findings) == ["Lung Opacity", "Normal", "Other"]
    assert np.allclose(sum(task.y_score for task in table.tasks), 1.0)
    for task in table.tasks:
        assert task.y_true.tolist() == (frame["label"] == task.finding).astype(int).tolist()
    opacity = next(task for task in table.tasks if task.finding == "Lung Opacity")
    powers = np.exp(frame[["p_other", "p_normal", "p_lung_opacity"]].to_numpy())
    np.testing.assert_allclose(opacity.y_score, powers[:, 2] / powers.sum(axis=1))


def test_a_score_for_each_of_two_classes_is_one_finding() -> None:
    frame = invent().rename(columns={"y_score": "p_1"}).assign(p_0=lambda f: 1 - f["p_1"])
    table = read_scored(frame)
    assert [task.finding for task in table.tasks] == ["1"]
    np.testing.assert_array_equal(table.tasks[0].y_score, invent()["y_score"])


def test_integer_classes_are_matched_by_their_names() -> None:
    frame = classes().assign(label=lambda f: f["label"].map({"Normal": 0, "Lung Opacity": 1, "Other": 2}))
    choice = ColumnChoice(score=("2:p_other", "0:p_normal", "1:p_lung_opacity"), scores="logits")
    assert [task.finding for task in read_scored(frame, choice).tasks] == ["2", "0", "1"]


def test_several_scores_of_one_label_are_models() -> None:
    frame = invent().assign(other=lambda f: f["y_score"] / 2)
    table = read_scored(frame, ColumnChoice(score=("y_score", "half:other")))
    assert table.models == ("y_score", "half")
    assert table.findings == ("finding",)
    assert "2 models are compared on the same images: 'y_score', 'half'." in table.notes


def test_a_long_file_has_a_task_for_every_model_and_finding() -> None:
    wide = invent()
    parts = [
        wide.assign(model=m, finding=f, y_score=wide["y_score"] * k, y_true=wide["y_true"] if f == "a" else 1)
        for m, f, k in (("x", "a", 1.0), ("x", "b", 0.9), ("y", "a", 0.8), ("y", "b", 0.7))
    ]
    long = pd.concat(parts).sample(frac=1.0, random_state=0).reset_index(drop=True)
    table = read_scored(long)
    assert table.n_images == 40
    assert {(task.model, task.finding) for task in table.tasks} == {("x", "a"), ("x", "b"), ("y", "a"), ("y", "b")}
    for task in table.tasks:
        k = {("x", "a"): 1.0, ("x", "b"): 0.9, ("y", "a"): 0.8, ("y", "b"): 0.7}[task.model, task.finding]
        named = dict(zip(table.image_id[task.rows].tolist(), task.y_score.tolist(), strict=True))
        assert named == pytest.approx(dict(zip(wide["image_id"], wide["y_score"] * k, strict=True)))
        assert (np.diff(task.rows) > 0).all()


def test_several_columns_tell_models_apart() -> None:
    long = pd.concat([invent().assign(model="net", run=run) for run in (1, 2)])
    assert read_scored(long, ColumnChoice(model=("model", "run"))).models == ("net, 1", "net, 2")


def test_our_own_predictions_have_a_model_for_every_fit() -> None:
    own = {"recipe": "default", "model": "net", "finding": "opacity", "split": "test"}
    fits = [
        invent().assign(**own, fit_id=f"{cohort}{seed}", train_cohort=cohort, seed=seed)
        for cohort in ("F", "M")
        for seed in (0, 1)
    ]
    table = read_scored(pd.concat(fits))
    assert table.models == (
        "net, trained on F, seed 0",
        "net, trained on F, seed 1",
        "net, trained on M, seed 0",
        "net, trained on M, seed 1",
    )
    assert "Every fit counts as a model of its own; scores of several seeds are not averaged." in table.notes


def test_words_of_splits_are_understood_and_shown() -> None:
    words = ["Training"] * 10 + ["valid"] * 10 + ["hold-out"] * 20
    table = read_scored(invent().assign(Partition=words))
    assert table.split is not None
    assert table.split.tolist() == ["train"] * 10 + ["val"] * 10 + ["test"] * 20
    assert "Split: 'Training' is train, 'valid' is val, 'hold-out' is test." in table.notes


def test_persons_in_train_and_test_are_a_caution() -> None:
    table = read_scored(invent().assign(split=["train", "test"] * 20))
    assert (
        "Caution: 20 persons are in both train and test. The model has seen them, "
        "so the figures on the test images are too good." in table.notes
    )


def test_without_persons_every_image_is_its_own_and_that_is_said() -> None:
    table = read_scored(invent().drop(columns="patient_id"))
    assert not table.has_persons
    assert table.person.tolist() == list(range(40))
    assert any(note.startswith("Caution: no column says who an image is of") for note in table.notes)


def test_an_image_without_a_person_is_a_person_of_its_own() -> None:
    frame = invent().assign(patient_id=lambda f: f["patient_id"].where(f.index > 2))
    table = read_scored(frame)
    assert len(set(table.person[:3].tolist())) == 3
    assert not set(table.person[:3].tolist()) & set(table.person[3:].tolist())
    assert "Caution: 3 images without a person; each counts as a person of its own." in table.notes


def test_decisions_in_place_of_scores_are_a_caution() -> None:
    table = read_scored(invent().assign(y_score=lambda f: f["y_true"]))
    assert (
        "Caution: score column 'y_score' has only 0 and 1: decisions, not scores. "
        "Its AUC is that of one operating point." in table.notes
    )


def test_rows_in_another_order_give_the_same_images() -> None:
    frame = invent()
    shuffled = frame.sample(frac=1.0, random_state=3).reset_index(drop=True)
    one, other = read_scored(frame), read_scored(shuffled)
    by_image = dict(zip(one.image_id.tolist(), one.tasks[0].y_score.tolist(), strict=True))
    assert by_image == dict(zip(other.image_id.tolist(), other.tasks[0].y_score.tolist(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(sex=f["sex"].astype("category")),
        lambda f: f.assign(y_true=f["y_true"].astype("Int64"), y_score=f["y_score"].astype("Float64")),
        lambda f: f.assign(y_true=f["y_true"].astype(bool)),
        lambda f: f.assign(y_true=f["y_true"].astype("int8")),
        lambda f: f.assign(y_score=f["y_score"].astype(str)),
        lambda f: f.assign(sex=f["sex"].astype(object), patient_id=f["patient_id"].astype(object)),
        lambda f: {name: iter(f[name].tolist()) for name in f},
    ],
)
def test_every_type_of_column_gives_the_same_table(change: Callable[[pd.DataFrame], object]) -> None:
    assert same(read_scored(change(invent())), read_scored(invent()))


def _long(models: str = "AB", findings: tuple[str, ...] = ("Edema",)) -> pd.DataFrame:
    """Every image by every model for every finding."""
    parts = [invent().assign(model=model, finding=finding) for finding in findings for model in models]
    return pd.concat(parts, ignore_index=True)


def test_models_that_have_scored_other_images_are_not_said_to_have_the_same() -> None:
    frame = _long()
    fewer = frame[(frame["model"] == "A") | (frame["image_id"] > "img009")]
    said = (
        "2 models were not scored on the same images: 'A', 'B'. Each one's numbers are of its own images; "
        "differences between models are of those that both have scored."
    )
    notes = read_scored(fewer).notes
    assert said in notes
    assert not any(note.startswith("Caution: no image of") for note in notes)
    apart = frame[(frame["model"] == "A") == (frame["image_id"] < "img020")]
    assert "Caution: no image of 'B' was scored by the first model too." in read_scored(apart).notes


def test_a_finding_without_any_label_is_named() -> None:
    frame = _long("A", ("Edema", "Mass"))
    frame["y_true"] = frame["y_true"].where(frame["finding"] == "Edema")
    table = read_scored(frame)
    assert table.findings == ("Edema",)
    assert "Caution: 'Mass' left out: no image has both a label and a score." in table.notes
