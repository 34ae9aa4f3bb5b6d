"""The controls on the page: whether they hold, in words, never beyond their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis import Control, measure_controls
from subgroup_audit.report import RunContents
from subgroup_audit.report.controls import (
    Controls,
    amounts_sentence,
    asked_controls,
    controls,
    image_level_sentences,
    shuffled_sentences,
)
from subgroup_audit.report.page import render_page
from subgroup_audit.report.paper_figures import figure_makers, write_figures
from subgroup_audit.report.tables import paper_table, report_tables
from subgroup_audit.schema import CONTROL_COLUMNS, CohortManifest, Predictions
from subgroup_audit.study import Study

Row = dict[str, Any]
KINDS = ("shuffled_labels", "image_level_split", "learning_curve", "label_noise")
ASKED = (
    Control("shuffled_labels", 1.0),
    Control("image_level_split", 1.0),
    Control("learning_curve", 0.25),
    Control("learning_curve", 0.5),
    Control("label_noise", 0.1),
    Control("label_noise", 0.2),
)


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "data": {"source": "phantom"},
            "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
            "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
            "models": {"small": {"architecture": "small_cnn"}},
            "seeds": [0, 1],
            "diagnose": list(KINDS),
        }
    )


def predicted(frame: pd.DataFrame, separation: float, seeds: Sequence[int] = (0, 1)) -> Predictions:
    """Made-up predictions of fits trained on F and on M, for every image of both."""
    parts = []
    for place, (cohort, seed) in enumerate([(cohort, seed) for cohort in "FM" for seed in seeds]):
        rng = np.random.default_rng([place, round(100 * separation)])
        linear = rng.standard_normal(len(frame)) + separation * frame["y_true"]
        named = {"train_cohort": cohort, "model": "small", "recipe": "default", "seed": seed}
        scored = frame.drop(columns=["cohort", "weight"]).assign(
            fit_id=f"{cohort}{seed}{separation}", **named, y_score=1.0 / (1.0 + np.exp(-linear))
        )
        parts.append(scored)
    return Predictions(pd.concat(parts, ignore_index=True))


@pytest.fixture(scope="module")
def measured(study: Study) -> pd.DataFrame:
    """Controls as the step measures them, of made-up predictions: nothing, the same, then less and less."""
    rng = np.random.default_rng(3)
    rows = [
        {"cohort": sex, "image_id": f"{sex}{split}{i}", "patient_id": f"{sex}{split}{i // 2}", "split": split}
        for sex in "FM"
        for split, number in (("train", 40), ("val", 20), ("test", 120))
        for i in range(number)
    ]
    frame = pd.DataFrame(rows).assign(finding="opacity", weight=1.0, sex=lambda found: found["cohort"])
    frame["y_true"] = rng.integers(0, 2, len(frame))
    separations = (0.0, 2.01, 0.8, 1.5, 1.4, 0.6)
    found = {control: predicted(frame, value) for control, value in zip(ASKED, separations, strict=True)}
    return measure_controls(study, CohortManifest(frame), predicted(frame, 2.0), found)


@pytest.fixture(scope="module")
def shown(study: Study, measured: pd.DataFrame) -> Controls:
    found = controls(measured, None, study)
    assert found is not None
    return found


def cell(train: str, test: str, auc: float = 0.5, change: float = 0.0, half: float = 0.04, **changes: Any) -> Row:
    """One row of `CONTROL_COLUMNS` with intervals `half` to either side."""
    known: Row = {column.name: None for column in CONTROL_COLUMNS}
    known |= {"train_cohort": train, "test_group": test, "finding": "opacity", "model": "net", "recipe": "default"}
    known |= {"auc": auc, "auc_low": auc - half, "auc_high": auc + half, "usual_auc": auc - change, "amount": 1.0}
    known |= {
        "change": change,
        "low": change - half,
        "high": change + half,
        "confidence_level": 0.95,
        "n_seeds": 3,
    }
    return {**known, "status": "ok", "reason": "", **changes}


def test_shuffled_labels_hold_one_half_or_do_not() -> None:
    holding = [cell("F", "F", 0.51), cell("F", "M", 0.48)]
    assert shuffled_sentences(holding) == (
        "The control holds: the interval of all 2 cells holds 0.5 (AUC 0.480 to 0.510).",
    )
    assert shuffled_sentences([*holding, cell("M", "M"), cell("M", "F", 0.58)]) == (
        "The control does not hold everywhere: the interval leaves out 0.5 in 1 of 4 cells: trained on M, test of "
        "F (0.540 to 0.620).",
        "By chance alone about 0.2 of 4 intervals would. Cells of one training cohort share their fits, so they "
        "stray together.",
    )


def test_one_seed_of_shuffled_labels_says_what_its_interval_leaves_out() -> None:
    said = shuffled_sentences([cell("F", "F", 0.58, n_seeds=1)])
    assert said[1].endswith("With one seed the interval does not count the luck of the training in.")


def test_what_cannot_be_estimated_is_no_holding_control() -> None:
    limits = ("auc_low", "auc_high", "change", "low", "high")
    none = cell("F", "F") | dict.fromkeys(limits)
    assert shuffled_sentences([none]) == ("Whether the AUC holds 0.5 cannot be told: no cell could be estimated.",)
    assert image_level_sentences([none]) == (
        "What a split by image adds cannot be told: no cell could be estimated.",
    )
    assert amounts_sentence("label_noise", [none]) == "The change cannot be told: no cell could be estimated."


LEAKS = [
    ([0.10, 0.12], [0.01, -0.01], "A split by image overstates the AUC of these models."),
    ([0.10, 0.01], [0.01, -0.01], "A split by image overstates the AUC of the models trained on F at least."),
    (
        [0.10, 0.12],
        [0.06, -0.01],
        "A split by image overstates the AUC of these models. It reaches other groups too, as where cohorts share "
        "persons.",
    ),
    (
        [0.01, 0.02],
        [0.06, 0.0],
        (
            "Only on other groups does the interval of a gain leave out zero, which persons in two "
            "splits do not explain well."
        ),
    ),
    (
        [0.01, 0.02],
        [0.01, 0.0],
        (
            "No gain has an interval that leaves out zero, which is not evidence that persons in two "
            "splits do no harm."
        ),
    ),
]


@pytest.mark.parametrize(("diagonal", "off", "text"), LEAKS)
def test_leakage_is_said_of_the_cells_where_it_is_shown(
    diagonal: list[float], off: list[float], text: str
) -> None:
    rows = [cell("F", "F", 0.8, diagonal[0]), cell("F", "M", 0.8, off[0])]
    rows += [cell("M", "M", 0.8, diagonal[1]), cell("M", "F", 0.8, off[1])]
    assert image_level_sentences(rows)[1] == text


def test_diagonal_and_off_diagonal_are_named() -> None:
    rows = [cell("F", "F", 0.8, 0.1), cell("M", "M", 0.8, 0.02), cell("F", "M", 0.8, -0.01)]
    assert image_level_sentences(rows)[0] == (
        "On the group that was trained on (the diagonal) the split by image changes the AUC by +0.020 to +0.100 "
        "(the interval leaves out zero in 1 of 2 cells); on other groups the split by image changes the AUC by "
        "−0.010 (the interval leaves out zero in 0 of 1 cell)."
    )


def test_fewer_persons_and_wrong_labels_say_what_is_told_from_zero() -> None:
    quarter, half = cell("F", "F", 0.7, -0.1, amount=0.25), cell("F", "F", 0.76, -0.03, amount=0.5)
    assert amounts_sentence("learning_curve", [half, quarter]) == (
        "50 % of the persons against all of them: −0.030, interval −0.070 to +0.010. The interval "
        "includes zero: whether "
        "more persons would help is open."
    )
    assert amounts_sentence("learning_curve", [quarter]).endswith("The further persons helped, and more may.")
    assert amounts_sentence("learning_curve", [cell("F", "F", 0.9, 0.1)]).endswith("have to confirm.")
    little, more = cell("F", "F", 0.76, -0.03, amount=0.1), cell("F", "F", 0.7, -0.1, amount=0.2)
    assert amounts_sentence("label_noise", [little, more]) == (
        "20 % wrong labels: −0.100, interval −0.140 to −0.060. They cost AUC."
    )
    assert amounts_sentence("label_noise", [little]).endswith(
        "The interval includes zero: what wrong labels cost is open."
    )


def test_the_controls_are_drawn_in_the_studys_order_with_its_own_fits_beside_them(
    shown: Controls, measured: pd.DataFrame
) -> None:
    assert [figure.kind for figure in shown.figures] == list(KINDS)
    persons, noise = (figure.parts[0].blocks[0].dots for figure in shown.figures[2:])
    assert [(dot.label, dot.is_usual) for dot in persons] == [("25 %", False), ("50 %", False), ("100 %", True)]
    assert [(dot.label, dot.is_usual) for dot in noise] == [("0 %", True), ("10 %", False), ("20 %", False)]
    own = measured[(measured["train_cohort"] == "F") & (measured["test_group"] == "F")]["usual_auc"].iloc[0]
    assert persons[-1].text == noise[0].text == f"{own:.3f}"
    assert persons[-1].low_at is None
    lines = shown.figures[1].parts[0].cells
    assert [(train, [found.is_same for found in cells]) for train, cells in lines] == [
        ("F", [True, False]), ("M", [False, True]),
    ]  # fmt: skip


def test_the_studys_own_dot_has_the_interval_that_the_audit_stored(study: Study, measured: pd.DataFrame) -> None:
    first = measured.iloc[0]
    names = ("finding", "train_cohort", "model", "recipe", "test_group")
    known = {name: first[name] for name in names}
    estimates = pd.DataFrame([{**known, "metric": "auc", "split": "test", "low": 0.81, "high": 0.93}])
    found = controls(measured, estimates, study)
    assert found is not None
    own = found.figures[2].parts[0].blocks[0].dots[-1]
    assert own.reading == f"100 %: AUC {first['usual_auc']:.3f}, interval 0.810 to 0.930."
    assert own.low_at is not None


def test_shuffled_labels_that_learned_nothing_hold(shown: Controls) -> None:
    assert shown.figures[0].parts[0].sentences[0].startswith("The control holds")
    assert shown.figures[0].chance_at == shown.figures[0].axis.place(0.5)


def with_controls(contents: RunContents, frame: pd.DataFrame | None, asked: Sequence[str] = KINDS) -> RunContents:
    study = contents.study.model_copy(update={"diagnose": tuple(asked)})
    return replace(contents, study=study, controls=frame, problems=(), history=None)


def render(run: RunContents) -> str:
    return render_page(run, report_tables(run))


def test_controls_are_shown_only_where_the_study_asked(contents: RunContents, measured: pd.DataFrame) -> None:
    page = render(with_controls(contents, measured))
    assert '<h3 id="controls">Controls</h3>' in page
    assert 'download="controls.csv"' in page
    assert page.count('class="test-mark other"') == 4 + 2 * 2 * 2
    assert 'id="controls"' not in render(with_controls(contents, None, asked=()))
    assert asked_controls(contents.study) == ()


def test_controls_that_are_not_there_are_named(contents: RunContents, measured: pd.DataFrame) -> None:
    assert "The controls are missing: this run has not stored any." in render(with_controls(contents, None))
    some = measured[measured["control"] != "label_noise"]
    assert "Asked for, but not measured in this run: wrong labels." in render(with_controls(contents, some))


def test_names_stay_text_and_figures_are_written(
    contents: RunContents, measured: pd.DataFrame, tmp_path: Path
) -> None:
    hostile = "<script>alert('x')</script> $x^2$"
    frame = measured.assign(
        train_cohort=measured["train_cohort"].replace("F", hostile),
        test_group=measured["test_group"].replace("F", hostile),
        finding=hostile,
    )
    run = replace(with_controls(contents, frame), result=None, waterfall=None)
    page = render(run)
    assert hostile not in page
    assert "&lt;script&gt;" in page
    names = {path.name.split("_")[0] for path in write_figures(figure_makers(run), tmp_path)}
    assert "control" in names
    assert not any("<" in name for name in names)
    assert len([name for name in figure_makers(run) if name.startswith("control_")]) == 4


def test_the_paper_table_has_every_row(measured: pd.DataFrame) -> None:
    table = paper_table("controls", measured)
    assert len(table) == len(measured)
    assert table["Control"].tolist()[0] == "shuffled labels"
    assert table["Change"].str.fullmatch(r"[+−]?0\.\d{3}").all()
