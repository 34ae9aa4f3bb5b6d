"""Everything that a check measures: rows, gaps, curves, operating points, and groups that lack something."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from subgroup_audit.checking.measure_notes import under_diagnosis_metric
from subgroup_audit.checking.measured import Measured, MeasuredGap
from subgroup_audit.checking.measures import measure
from subgroup_audit.checking.scored import EVERYBODY, ScoredTable, Task
from subgroup_audit.checking.settings import MEASURES, CheckSettings, Threshold
from subgroup_audit.stats import auc_components, auc_gap, equivalence_verdict
from subgroup_audit.stats.operating_points import choose_threshold

N = 1200
NEEDS_A_CLASS = (
    "auc",
    "average_precision",
    "sensitivity",
    "ppv",
    "npv",
    "f1",
    "false_negative_rate",
    "calibration_slope",
    "calibration_intercept",
)


def _table(*, models: int = 1, findings: tuple[str, ...] = ("Pneumonia",), split: bool = False) -> ScoredTable:
    """Persons with two images, one of each view; sex is a person's, view an image's."""
    rng = np.random.default_rng(17)
    person = np.arange(N) // 2
    sex = np.array(["F", "M"])[rng.integers(0, 2, N // 2)][person]
    view = np.array(["AP", "PA"])[np.arange(N) % 2]
    both = pd.Series(sex) + ", " + pd.Series(view)
    groups = pd.DataFrame(
        {"sex": pd.Categorical(sex), "view": pd.Categorical(view), "sex x view": pd.Categorical(both)}
    )
    tasks = []
    for finding in findings:
        label = (rng.normal(size=N // 2)[person] + rng.normal(size=N) > 1.0).astype(np.int8)
        for model in range(models):
            raw = 1.3 * label + rng.normal(size=N // 2)[person] + rng.normal(size=N) - 1.5
            tasks.append(Task(f"model {model}", finding, np.arange(N), label, 1 / (1 + np.exp(-raw))))
    splits = np.array(["train", "val", "test"], dtype=object)[rng.choice(3, N // 2, p=[0.4, 0.2, 0.4])][person]
    names = np.array([f"image {i}" for i in range(N)], dtype=object)
    return ScoredTable(names, person, True, splits if split else None, groups, tuple(tasks))


@pytest.fixture(scope="module")
def table() -> ScoredTable:
    return _table()


@pytest.fixture(scope="module")
def measured(table: ScoredTable) -> Measured:
    return measure(table, CheckSettings())


def _row(found: Measured, metric: str, group: str, rule: str = "youden", **wanted: str) -> pd.Series:
    rows = found.estimates[(found.estimates["metric"] == metric) & (found.estimates["group"] == group)]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    rows = rows[rows["threshold_rule"].str.startswith(rule) | (rows["threshold_rule"] == "")]
    assert len(rows) == 1
    return rows.iloc[0]


def _gap(
    found: Measured, metric: str, group: str, kind: str = "subgroup_gap", rule: str = "youden"
) -> MeasuredGap:
    chosen = [
        gap
        for gap in found.gaps
        if (gap.kind, gap.metric, gap.group) == (kind, metric, group)
        and (not gap.threshold_rule or gap.threshold_rule.startswith(rule))
    ]
    assert len(chosen) == 1
    return chosen[0]


def test_every_measure_of_every_group_has_a_row_and_every_other_group_a_gap(measured: Measured) -> None:
    common = measured.estimates[~measured.estimates["threshold_rule"].str.startswith("per group")]
    for metric in MEASURES:
        assert (common["metric"] == metric).sum() == 1 + 2 + 2 + 4
    gaps = [gap for gap in measured.gaps if not gap.is_descriptive]
    assert len(gaps) == len(MEASURES) * (1 + 1 + 3)
    assert set(measured.references) == {"sex", "view", "sex x view"}


def test_counts_of_the_groups_add_up_to_everybody(measured: Measured) -> None:
    rows = measured.estimates[measured.estimates["metric"] == "auc"]
    everybody = rows[rows["group"] == EVERYBODY].iloc[0]
    for attribute in ("sex", "view", "sex x view"):
        groups = rows[rows["attribute"] == attribute]
        for column in ("n_images", "n_positive", "n_negative"):
            assert groups[column].sum() == everybody[column]
    assert everybody["n_patients"] == N // 2
    counts = measured.curves["confusion"]
    cells = ["true_positive", "false_positive", "false_negative", "true_negative"]
    assert (counts[counts["attribute"] == "sex"][cells].to_numpy().sum()) == 2 * N  # at two operating points


def test_numbers_are_those_of_scikit_learn_at_a_given_threshold(table: ScoredTable) -> None:
    found = measure(table, CheckSettings(threshold=Threshold(value=0.35)))
    task, rows = table.tasks[0], (table.groups["sex"] == "F").to_numpy()
    label, score = task.y_true[rows], task.y_score[rows]
    called = score >= 0.35
    for metric, expected in {
        "auc": metrics.roc_auc_score(label, score),
        "average_precision": metrics.average_precision_score(label, score),
        "sensitivity": metrics.recall_score(label, called),
        "ppv": metrics.precision_score(label, called),
        "f1": metrics.f1_score(label, called),
        "accuracy": metrics.accuracy_score(label, called),
        "selection_rate": called.mean(),
        "brier_score": metrics.brier_score_loss(label, score),
    }.items():
        row = _row(found, metric, "F", "given")
        assert row["estimate"] == pytest.approx(expected, abs=1e-12)
        assert row["low"] < row["estimate"] < row["high"]
        assert row["n_images"] == rows.sum()
    assert _row(found, "f1", "F", "given")["threshold"] == 0.35
    assert not found.estimates["threshold_rule"].str.startswith("per group").any()


def test_auc_gaps_are_those_of_an_audit(table: ScoredTable, measured: Measured) -> None:
    """Views share persons: the gap must know that."""
    task = table.tasks[0]
    sides = []
    for view in ("AP", "PA"):
        rows = (table.groups["view"] == view).to_numpy()
        sides.append(auc_components(task.y_true[rows], task.y_score[rows], person=table.person[rows]))
    reference = measured.references["view"]
    other = "PA" if reference == "AP" else "AP"
    expected = auc_gap(*(sides if other == "AP" else sides[::-1]))
    gap = _gap(measured, "auc", other).gap
    terms = (expected.estimate, expected.low, expected.high)
    assert (gap.estimate, gap.low, gap.high) == pytest.approx(terms, abs=1e-12)
    assert gap.correlation > 0.05
    assert gap.n_patients == N // 2


def test_gaps_are_minuend_minus_subtrahend_with_limits_at_any_level(measured: Measured) -> None:
    for gap in measured.gaps:
        assert gap.gap.estimate == pytest.approx(gap.minuend_estimate - gap.subtrahend_estimate, abs=1e-12)
        assert gap.gap.limits is not None
        low, high = gap.gap.limits.at_tail(0.05)
        assert gap.gap.low <= low <= gap.gap.estimate <= high <= gap.gap.high
    other = "M" if measured.references["sex"] == "F" else "F"
    verdict = equivalence_verdict(_gap(measured, "sensitivity", other).gap, margin=0.9)
    assert verdict.name == "no gap beyond the margin"


def test_a_group_with_one_class_is_not_estimable_wherever_a_class_is_needed(table: ScoredTable) -> None:
    task = table.tasks[0]
    label = np.where(table.groups["sex"] == "F", 0, task.y_true).astype(np.int8)
    one_class = replace(table, tasks=(replace(task, y_true=label),))
    found = measure(one_class, CheckSettings(reference={"sex": "M"}))
    for metric in NEEDS_A_CLASS:
        row = _row(found, metric, "F")
        assert row["status"] == "not estimable"
        assert pd.isna(row["estimate"])
        assert pd.isna(row["low"])
        assert "no positive" in row["reason"]
        gap = _gap(found, metric, "F").gap
        assert (gap.status, gap.estimate, gap.p_value) == ("not estimable", None, None)
        assert "no positive" in gap.reason
    for metric in (
        "specificity",
        "false_positive_rate",
        "selection_rate",
        "accuracy",
        "brier_score",
        "net_benefit",
    ):
        assert _row(found, metric, "F")["status"] == "ok"
    for metric in ("equalized_odds_difference", "equal_opportunity_difference", "equal_opportunity_ratio"):
        row = _row(found, metric, "all groups of sex")
        assert row["status"] == "not estimable"
        assert row["reason"].startswith("F: no positive image")
    assert _row(found, "demographic_parity_difference", "all groups of sex")["status"] == "ok"
    own = _row(found, "specificity", "F", "per group")
    assert own["reason"] == "no threshold could be chosen: the images that it is chosen on lack a class"


def test_parity_is_fairlearns_on_the_same_decisions(table: ScoredTable) -> None:
    found = measure(table, CheckSettings(threshold=Threshold(value=0.4)))
    task = table.tasks[0]
    for notion in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for form in ("difference", "ratio"):
            expected = getattr(fairlearn.metrics, f"{notion}_{form}")(
                task.y_true, task.y_score >= 0.4, sensitive_features=table.groups["sex x view"].astype(str)
            )
            row = _row(found, f"{notion}_{form}", "all groups of sex x view", "given")
            assert row["estimate"] == pytest.approx(expected, abs=1e-12)
            assert row["low"] <= row["estimate"] <= row["high"]


def test_cross_fitted_thresholds_say_so(measured: Measured) -> None:
    rules = set(measured.estimates["threshold_rule"])
    assert rules == {
        "",
        "youden, cross-fitted over 5 folds of persons",
        "per group, youden, cross-fitted over 5 folds of persons",
    }
    assert any("It was cross-fitted" in note for note in measured.notes)
    points = measured.curves["operating_points"]
    assert 1 <= (points["group"] == EVERYBODY).sum() <= 5


def test_thresholds_come_from_the_validation_split_alone() -> None:
    table = _table(split=True)
    task, split = table.tasks[0], table.split
    assert split is not None
    found = measure(table, CheckSettings(threshold=Threshold(rule="sensitivity=0.9")))
    val = split == "val"
    expected = choose_threshold(task.y_true[val], task.y_score[val], "sensitivity=0.9")
    row = _row(found, "sensitivity", EVERYBODY, "sensitivity=0.9, chosen on the validation split", split="test")
    assert row["threshold"] == expected
    test = split == "test"
    assert row["estimate"] == pytest.approx(
        metrics.recall_score(task.y_true[test], task.y_score[test] >= expected), abs=1e-12
    )
    women = val & (table.groups["sex"] == "F").to_numpy()
    own = _row(found, "sensitivity", "F", "per group", split="test")
    assert own["threshold"] == choose_threshold(task.y_true[women], task.y_score[women], "sensitivity=0.9")
    shuffled = replace(task, y_true=np.where(test, 1 - task.y_true, task.y_true).astype(np.int8))
    again = measure(replace(table, tasks=(shuffled,)), CheckSettings(threshold=Threshold(rule="sensitivity=0.9")))
    assert _row(again, "sensitivity", EVERYBODY, "sensitivity", split="test")["threshold"] == expected


def test_train_minus_test_is_there_and_descriptive() -> None:
    found = measure(_table(split=True), CheckSettings())
    gap = _gap(found, "auc", EVERYBODY, "generalization_gap")
    assert (gap.split, gap.reference, gap.is_descriptive) == ("train", "test", True)
    train, test = (_row(found, "auc", EVERYBODY, split=split)["estimate"] for split in ("train", "test"))
    assert gap.gap.estimate == pytest.approx(train - test, abs=1e-12)
    assert _gap(found, "auc", "F", "generalization_gap").gap.status == "ok"
    assert any("descriptive" in note for note in found.notes)


def test_without_a_split_there_is_no_train_minus_test(measured: Measured) -> None:
    assert not any(gap.kind == "generalization_gap" for gap in measured.gaps)
    assert measured.judged_split == "test"


def test_models_on_the_same_images_are_paired() -> None:
    found = measure(_table(models=2), CheckSettings(measures=("auc", "sensitivity", "brier_score")))
    for metric in ("auc", "sensitivity", "brier_score"):
        gap = _gap(found, metric, EVERYBODY, "model_gap")
        assert (gap.model, gap.reference) == ("model 1", "model 0")
        assert gap.gap.n_patients == N // 2
        assert gap.gap.method == "MOVER with correlation"
    assert sum(gap.kind == "model_gap" for gap in found.gaps if gap.metric == "auc") == 9


def test_models_are_compared_on_the_images_that_both_have_scored() -> None:
    table = _table(models=2)
    first, second = table.tasks
    kept = np.arange(N) >= 300
    fewer = replace(second, rows=second.rows[kept], y_true=second.y_true[kept], y_score=second.y_score[kept])
    found = measure(replace(table, tasks=(first, fewer)), CheckSettings(measures=("auc", "accuracy")))
    gap = _gap(found, "auc", EVERYBODY, "model_gap")
    expected = metrics.roc_auc_score(fewer.y_true, fewer.y_score) - metrics.roc_auc_score(
        first.y_true[kept], first.y_score[kept]
    )
    assert gap.gap.estimate == pytest.approx(expected, abs=1e-12)
    assert gap.gap.n_images == 2 * kept.sum()


def test_several_findings_have_a_macro_mean() -> None:
    found = measure(_table(findings=("Edema", "Mass")), CheckSettings(measures=("auc", "f1")))
    single = [_row(found, "auc", "F", finding=name)["estimate"] for name in ("Edema", "Mass")]
    mean = _row(found, "auc", "F", finding="macro mean")
    assert mean["estimate"] == pytest.approx(np.mean(single), abs=1e-12)
    gaps = [gap for gap in found.gaps if gap.finding == "macro mean" and gap.attribute == "view"]
    assert len(gaps) == 1
    assert gaps[0].gap.correlation > 0.0
    assert gaps[0].gap.low < gaps[0].gap.estimate < gaps[0].gap.high


def test_a_macro_mean_counts_the_fewest_positives_and_negatives_of_any_finding() -> None:
    found = measure(_table(findings=("Edema", "Mass")), CheckSettings(measures=("auc",)))
    single = pd.DataFrame([_row(found, "auc", "F", finding=name) for name in ("Edema", "Mass")])
    mean = _row(found, "auc", "F", finding="macro mean")
    assert single["n_positive"].nunique() == 2
    for count in ("n_positive", "n_negative"):
        assert mean[count] == single[count].min()
    assert mean["n_positive"] + mean["n_negative"] <= mean["n_images"]


def test_a_macro_mean_over_fewer_findings_is_none() -> None:
    table = _table(findings=("Edema", "Mass"))
    women = (table.groups["sex"] == "F").to_numpy()
    label = np.where(women, 0, table.tasks[0].y_true).astype(np.int8)
    changed = replace(table, tasks=(replace(table.tasks[0], y_true=label), table.tasks[1]))
    row = _row(measure(changed, CheckSettings(measures=("auc",))), "auc", "F", finding="macro mean")
    assert (row["status"], pd.isna(row["estimate"])) == ("not estimable", True)


def test_too_few_persons_or_positives_are_not_estimable(table: ScoredTable) -> None:
    found = measure(table, CheckSettings(min_persons=400, min_positive=300))
    row = _row(found, "auc", "F")
    assert row["status"] == "not estimable"
    assert row["reason"].endswith(f"{row['n_positive']} positive images: fewer than 300")
    assert "patients: fewer than 400" in row["reason"]
    specificity = _row(found, "specificity", "F")
    assert "positive images" not in specificity["reason"]
    assert _row(found, "accuracy", EVERYBODY)["status"] == "ok"


def test_a_handful_of_persons_gives_numbers_or_reasons_but_no_error(table: ScoredTable) -> None:
    sex = table.groups["sex"].astype(str).to_numpy().copy()
    sex[:6] = "Unknown"
    groups = pd.DataFrame({"sex": pd.Categorical(sex)})
    found = measure(replace(table, groups=groups), CheckSettings(min_persons=1))
    assert set(found.estimates[found.estimates["group"] == "Unknown"]["status"]) <= {
        "ok",
        "small",
        "not estimable",
    }
    default = measure(replace(table, groups=groups), CheckSettings())
    assert _row(default, "accuracy", "Unknown")["reason"] == "3 patients: fewer than 10"


def test_a_group_that_is_in_the_training_split_alone_says_so() -> None:
    table = _table(split=True)
    sex = table.groups["sex"].astype(str).to_numpy().copy()
    sex[np.flatnonzero(table.split == "train")[:30]] = "X"
    found = measure(replace(table, groups=pd.DataFrame({"sex": pd.Categorical(sex)})), CheckSettings())
    rows = found.estimates[(found.estimates["group"] == "X") & (found.estimates["split"] == "test")]
    assert set(rows["reason"]) == {"this split has no image of the group"}
    assert rows["estimate"].isna().all()


@pytest.mark.filterwarnings("error")
def test_scores_that_are_the_labels_are_measured_without_a_warning(table: ScoredTable) -> None:
    task = table.tasks[0]
    found = measure(replace(table, tasks=(replace(task, y_score=task.y_true.astype(float)),)), CheckSettings())
    for metric in ("auc", "average_precision", "sensitivity", "f1"):
        row = _row(found, metric, EVERYBODY)
        assert (row["estimate"], row["high"]) == (1.0, 1.0)
        assert 0.9 < row["low"] < 1.0
    assert _row(found, "calibration_slope", EVERYBODY)["status"] == "not estimable"
    assert "infinitely bad" in _row(found, "net_benefit", EVERYBODY)["reason"]


def test_only_what_is_asked_for_is_measured(table: ScoredTable) -> None:
    found = measure(table, CheckSettings(measures=("auc", "brier_score")))
    assert set(found.estimates["metric"]) == {"auc", "brier_score"}
    assert {gap.metric for gap in found.gaps} == {"auc", "brier_score"}
    assert set(found.curves) == {"roc", "reliability", "brier_decomposition"}


def test_order_of_rows_changes_nothing_at_a_given_threshold(table: ScoredTable) -> None:
    order = np.random.default_rng(0).permutation(N)
    task = table.tasks[0]
    turned = ScoredTable(
        table.image_id[order],
        table.person[order],
        True,
        None,
        table.groups.iloc[order].reset_index(drop=True),
        (replace(task, y_true=task.y_true[order], y_score=task.y_score[order]),),
    )
    settings = CheckSettings(threshold=Threshold(value=0.4))
    pd.testing.assert_frame_equal(measure(table, settings).estimates, measure(turned, settings).estimates)


def test_curves_have_limits_and_few_points(measured: Measured) -> None:
    for name, columns in {
        "roc": ("sensitivity_low", "sensitivity", "sensitivity_high"),
        "precision_recall": ("precision_low", "precision", "precision_high"),
        "net_benefit": ("low", "net_benefit", "high"),
        "reliability": ("low", "observed", "high"),
    }.items():
        frame = measured.curves[name]
        low, value, high = (frame[column] for column in columns)
        assert ((low <= value + 1e-12) & (value <= high + 1e-12)).all()
        assert frame.groupby(["attribute", "group"]).size().max() <= 101
    parts = measured.curves["brier_decomposition"]
    assert (parts["plain_expected_calibration_error"] > 0).all()


@pytest.mark.parametrize("name", ["No Finding", "no_finding", "Normal"])
def test_calling_the_sick_healthy_is_a_false_positive_of_health(name: str) -> None:
    assert under_diagnosis_metric(name) == "false_positive_rate"
    assert under_diagnosis_metric("Pneumonia") == "false_negative_rate"
    found = measure(_table(findings=(name,)), CheckSettings(measures=("false_negative_rate",)))
    assert any(f"For '{name}', which means health" in note for note in found.notes)


def test_ten_thousand_rows_need_no_heavy_import() -> None:
    code = (
        "import sys; import numpy as np, pandas as pd\n"
        "from subgroup_audit.checking.measures import measure\n"
        "from subgroup_audit.checking.scored import ScoredTable, Task\n"
        "from subgroup_audit.checking.settings import CheckSettings\n"
        "rng = np.random.default_rng(0); n = 10000; y = rng.integers(0, 2, n).astype(np.int8)\n"
        "g = pd.DataFrame({'sex': pd.Categorical(rng.choice(['F', 'M'], n))})\n"
        "t = Task('m', 'f', np.arange(n), y, rng.random(n)); names = np.arange(n).astype(str).astype(object)\n"
        "measure(ScoredTable(names, np.arange(n), True, None, g, (t,)), CheckSettings())\n"
        "print(sorted({'numba', 'sklearn', 'statsmodels', 'torch', 'fairlearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
