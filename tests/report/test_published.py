"""Published figures beside ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.published import ALONE, published_line, published_table
from subgroup_audit.study import Reference


def _with(contents: RunContents, *references: Reference) -> RunContents:
    return replace(contents, study=contents.study.model_copy(update={"reference": references}))


def _cell(contents: RunContents) -> dict[str, object]:
    assert contents.result is not None
    rows = contents.result.estimates
    known = rows[
        (rows["split"] == "test") & rows["estimate"].notna() & (rows["train_cohort"] != rows["test_group"])
    ]
    return {str(name): value for name, value in known.iloc[0].to_dict().items()}


def test_a_study_without_published_figures_has_no_table(contents: RunContents) -> None:
    assert published_table(_with(contents)) is None


def test_a_published_value_is_set_against_our_interval(contents: RunContents) -> None:
    cell = _cell(contents)
    names = {name: cell[name] for name in ("train_cohort", "test_group", "model", "recipe")}
    inside = Reference(label="A", value=(cell["low"] + cell["high"]) / 2, **names)  # type: ignore[operator]
    above = Reference(label="B", value=min(1.0, float(cell["high"]) + 0.01), **names)  # type: ignore[arg-type]
    table = published_table(_with(contents, inside, above))
    assert table is not None
    ours = table[table["finding"] == cell["finding"]]
    assert ours["label"].tolist() == ["A", "B"]
    assert ours["is_inside"].tolist() == [True, False]
    assert ours["difference"].tolist() == pytest.approx(
        [float(cell["estimate"]) - inside.value, float(cell["estimate"]) - above.value]  # type: ignore[arg-type]
    )
    lines = [published_line(row) for row in ours.to_dict("records")]
    assert [line["Inside our interval"] for line in lines] == ["yes", "no"]


def test_a_figure_that_belongs_to_no_fit_says_so(contents: RunContents) -> None:
    table = published_table(_with(contents, Reference(label="C", value=0.9, model="nobody's", train_cohort="x")))
    assert table is not None
    assert table["note"].tolist() == [ALONE]
    assert table["estimate"].isna().all()
    assert published_line(table.to_dict("records")[0])["Inside our interval"] == "–"


def test_an_accuracy_is_set_against_the_fits_of_its_cohort(contents: RunContents) -> None:
    assert contents.result is not None
    stored = contents.result.accuracies
    if stored is None:
        pytest.skip("the made-up run holds no accuracies")
    first = stored[stored["split"] == "test"].iloc[0]
    reference = Reference(
        label="D", value=0.5, metric="accuracy", train_cohort=first["train_cohort"], model=first["model"]
    )
    table = published_table(_with(contents, reference))
    assert table is not None
    own = stored[
        (stored["split"] == "test")
        & (stored["train_cohort"] == first["train_cohort"])
        & (stored["model"] == first["model"])
    ]
    expected = own.groupby("recipe", sort=False)["accuracy"].mean().tolist()
    assert table["estimate"].tolist() == pytest.approx(expected)
