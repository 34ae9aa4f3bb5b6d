"""Columns are guessed from common names, confirmed, and asked for where two are as likely."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from subgroup_audit.checking.columns import Attribute, ColumnChoice, Columns, choose_columns
from subgroup_audit.checking.names import plain
from subgroup_audit.errors import TableError


def choose(names: Sequence[str], **said: object) -> Columns:
    """The columns of a file with these names."""
    return choose_columns(names, ColumnChoice(**said), "a.csv")  # type: ignore[arg-type]


def refuse(names: Sequence[str], **said: object) -> str:
    """What is said where columns cannot be chosen."""
    with pytest.raises(TableError) as caught:
        choose(names, **said)
    return str(caught.value)


@pytest.mark.parametrize(
    ("label", "score"),
    [
        ("y_true", "y_score"),
        ("label", "prob"),
        ("target", "logit"),
        ("ground_truth", "Probability"),
        ("GT", "pred_prob"),
        ("truth", "risk score"),
        ("actual", "y_pred"),
        ("Outcome", "output"),
        ("y_pneumonia", "p_pneumonia"),
        ("Edema_true", "Edema_score"),
        ("Edema", "Edema_prob"),
        ("true_Edema", "pred_Edema"),
        ("y_true_edema", "y_score_edema"),
    ],
)
def test_common_names_of_labels_and_scores(label: str, score: str) -> None:
    (pair,) = choose(["id", "sex", score, "noise", label]).pairs
    assert (pair.label, [one.column for one in pair.scores]) == (label, [score])


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("person", "PatientID"),
        ("person", "Patient ID"),
        ("person", "subject_id"),
        ("person", "mrn"),
        ("image", "image_id"),
        ("image", "Image Index"),
        ("image", "dicom_id"),
        ("image", "SOPInstanceUID"),
        ("image", "path"),
        ("split", "Split"),
        ("split", "partition"),
        ("finding", "finding"),
    ],
)
def test_common_names_of_the_rest(role: str, name: str) -> None:
    assert getattr(choose(["sex", "y_true", "y_score", name]), role) == name


@pytest.mark.parametrize(
    "name",
    ["sex", "Patient Gender", "ViewPosition", "race", "PRIMARY_RACE", "PatientAge", "AP/PA", "age_band", "Site"],
)
def test_common_names_of_groups(name: str) -> None:
    assert choose(["y_true", "y_score", name]).groups == (Attribute(name, name, is_guessed=True),)


def test_what_was_guessed_is_confirmed_and_what_was_said_is_not_called_a_guess() -> None:
    columns = choose(["target", "prob", "sex", "view", "pid"], label=("target",))
    assert columns.describe() == (
        'Label: column "target".',
        'Score: column "prob" (by its name).',
        'Groups: columns "sex", "view" (by their names).',
        'Person: column "pid" (by its name).',
    )


def test_the_better_name_is_taken_and_the_other_left() -> None:
    (pair,) = choose(["sex", "y_true", "label", "y_score", "prob", "pred"]).pairs
    assert (pair.label, pair.scores[0].column) == ("y_true", "y_score")


def test_none_means_that_nothing_is_guessed() -> None:
    columns = choose(
        ["sex", "y_true", "y_score", "pid", "id", "split", "model", "finding"],
        person="none",
        image="none",
        split="none",
        model=("none",),
        finding="none",
        group=("none",),
    )
    assert columns.used == ("y_true", "y_score")


def test_two_names_as_likely_are_a_question() -> None:
    assert refuse(["sex", "label", "target", "score"]) == (
        "a.csv: which column is the label? By their names 'label', 'target' could be. Say --label COLUMN"
    )
    assert refuse(["sex", "y_true", "score", "prob"]) == (
        "a.csv: which column is the score? By their names 'score', 'prob' could be. Say --score COLUMN"
    )
    assert refuse(["sex", "y_true", "score", "patient_id", "subject_id"]) == (
        "a.csv: which column is the person? By their names 'patient_id', 'subject_id' could be. "
        "Say --person COLUMN, or --person none"
    )
    assert refuse(["sex", "y_edema", "edema_label", "p_edema"]) == (
        "a.csv: which column is the label? By their names 'y_edema', 'edema_label' could be. Say --label COLUMN"
    )


def test_a_wide_file_of_features_is_asked_about() -> None:
    names = ["sex", "diagnosis", *(f"feature_{i}" for i in range(200))]
    assert refuse(names) == (
        "a.csv: no column has the name of a label (y_true, label, target, truth, ground_truth, ...). "
        "Say --label COLUMN; its columns: 'sex', 'diagnosis', 'feature_0', 'feature_1', 'feature_2', 'feature_3', "
        "'feature_4', 'feature_5', 'feature_6', 'feature_7', 'feature_8', 'feature_9' and 190 more"
    )
    assert refuse(names, label=("diagnosis",)).startswith(
        "a.csv: no column has the name of a score (y_score, score, prob, probability, pred, logit, ...). "
        "Say --score COLUMN; its columns: 'sex', 'diagnosis',"
    )


def test_columns_that_are_not_there_are_all_told_with_the_nearest() -> None:
    assert refuse(
        ["sex", "view", "y_true", "y_score"], label=("y_tru",), group=("gender", "veiw"), person="who"
    ) == (
        "a.csv: there is no column 'y_tru' (--label); nearest: 'y_true'; "
        "there is no column 'gender' (--group); nearest: 'sex', 'view'; "
        "there is no column 'veiw' (--group); nearest: 'view'; "
        "there is no column 'who' (--person); its columns: 'sex', 'view', 'y_true', 'y_score'"
    )


def test_no_groups_are_a_question() -> None:
    assert refuse(["y_true", "y_score", "kind"]) == (
        "a.csv: no column has the name of a group (sex, view, race, age, site, ...). Name one: --group COLUMN; "
        "its columns: 'y_true', 'y_score', 'kind'. Without groups: --group none"
    )


def test_labels_and_scores_that_do_not_match_are_refused() -> None:
    names = ["sex", "a", "b", "p1", "p2", "p3"]
    assert refuse(names, label=("a", "b"), score=("p1", "p2", "p3")) == (
        "a.csv: 2 label columns and 3 score columns do not match. Give one --score for each --label, in the same "
        "order, or as FINDING:COLUMN in both. Several models of several findings need a long file: one row per "
        "image and model, --model COLUMN"
    )
    one = refuse(names, label=("a", "b"), score=("p1",))
    assert one.startswith("a.csv: 2 label columns and 1 score column do not match. ")
    assert refuse(names, label=("a", "b")).startswith("a.csv: which columns are the scores of 'a', 'b'? Give one")


def test_names_for_columns() -> None:
    columns = choose(
        ["Patient Gender", "odd:name", "y", "p"],
        group=("sex:Patient Gender", "odd:name"),
        label=("edema:y",),
        score=("p",),
    )
    assert [(one.name, one.column) for one in columns.groups] == [
        ("sex", "Patient Gender"),
        ("odd:name", "odd:name"),
    ]
    assert columns.pairs[0].finding == "edema"


def test_what_is_crossed_or_banded_is_read_too() -> None:
    columns = choose(
        ["sex", "view", "bmi", "y_true", "y_score"],
        group=("sex",),
        intersect=(("sex", "view"),),
        bands={"bmi": (25.0, 30.0)},
    )
    assert columns.groups == (
        Attribute("sex", "sex"),
        Attribute("bmi", "bmi"),
        Attribute("view", "view", is_shown=False),
    )


def test_a_column_has_one_part() -> None:
    names = ["sex", "view", "y_true", "y_score"]
    assert refuse(names, label=("y_true",), score=("y_true",)) == (
        "a.csv: 'y_true' cannot be label and score at once"
    )
    assert refuse(names, group=("y_score",)) == "a.csv: 'y_score' cannot be score and group at once"
    assert refuse(names, group=("sex", "sex:view")) == (
        "a.csv: two groups are called 'sex'; give one another name: --group NAME:COLUMN"
    )
    assert len(choose(names, group=("sex", "sex")).groups) == 1


def test_what_is_crossed_or_banded_has_to_be_there() -> None:
    names = ["sex", "age_years", "y_true", "y_score"]
    assert refuse(names, bands={"age": (18.0,)}) == (
        "a.csv: there is no column 'age' (--bands); nearest: 'age_years'"
    )
    assert refuse(names, intersect=(("sex", "ward"),)) == (
        "a.csv: there is no column 'ward' (--intersect); groups: 'sex', 'age_years'"
    )


def test_plain_names_have_no_signs() -> None:
    assert plain("  Patient_ID (new) ") == "patientidnew"
