"""Study files: what is accepted, and how what is not is said."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from subgroup_audit.errors import StudyError
from subgroup_audit.study import Study, study_schema
from subgroup_audit.study_file import load_study

ROOT = Path(__file__).parents[1]
STUDIES = sorted((ROOT / "cohorts").glob("*.yaml"))

GOOD = """\
study: tiny
data: {source: table}
findings:
  opacity: {positive: [Lung Opacity]}
cohorts:
  all:
  F: {sex: F}
models: [resnet18]
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _complaint(tmp_path: Path, text: str) -> str:
    path = _write(tmp_path, text)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    return str(caught.value).replace(str(path), "s.yaml")


def test_short_forms_are_read(tmp_path: Path) -> None:
    study = load_study(_write(tmp_path, GOOD))
    assert study.cohorts["F"].where == {"sex": "F"}
    assert study.models["resnet18"].architecture == "resnet18"
    assert study.train_cohorts == study.test_cohorts == ("all", "F")
    assert study.fit_combinations() == [("all", "resnet18", "default", 0), ("F", "resnet18", "default", 0)]


def test_a_reference_of_truth_values_and_numbers_is_its_cohort_s_value(tmp_path: Path) -> None:
    cohorts = "  yes: {smoker: true}\n  no: {smoker: false}\n  low: {grade: 3.0}\n  high: {grade: 4}"
    text = GOOD.replace("  all:\n  F: {sex: F}", cohorts) + "analysis: {reference: {smoker: false, grade: 3}}\n"
    assert load_study(
        _write(tmp_path, text.replace("yes:", "'yes':").replace("no:", "'no':"))
    ).analysis.reference == {
        "smoker": "false",
        "grade": "3",
    }


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
study: bad
data: {source: rsna, rot: x}
findings:
  opacity: {positive: [Lung Opacity]}
cohorts:
  all:
  F: {sex: F}
  F: {sex: M}
train_on: [al]
models: [resnet18]
recipes:
  default: {optimiser: adams, epochs: 0}
split: {train: 0.5, val: 0.1, test: 0.2}
"""
    assert _complaint(tmp_path, text).splitlines() == [
        "s.yaml:8: key 'F' repeats line 7; a key stands once",
        "s.yaml:2: data.rot: no such key; nearest: root",
        "s.yaml:13: split: train, val and test must sum to 1; they sum to 0.8",
        "s.yaml:12: recipes.default.epochs: must be greater than 0; it is 0",
        "s.yaml:12: recipes.default.optimiser: must be 'sgd', 'adam', 'adamw' or 'rmsprop'; it is 'adams'; "
        "nearest: adam, adamw",
        "s.yaml:9: train_on: no cohort is named 'al'; nearest: all",
        "6 problems in the study file",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("study: tiny", "study: tiny\nfindngs: {}"), "s.yaml:2: findngs: no such key; nearest: findings"),
        (("models: [resnet18]", ""), "s.yaml:1: models: this key is required"),
        (
            ("models: [resnet18]", "models: [resnet18]\nfits: [{models: [resnet19]}]"),
            "no model is named 'resnet19'; nearest: resnet18",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nseeds: [1, 1]"),
            "s.yaml:9: seeds: seeds must differ; they are [1, 1]",
        ),
        (("F: {sex: F}", "m: {mix: {sex: {F: 0.5, M: 0.4}}}"), "shares of 'sex' must sum to 1; they sum to 0.9"),
        (
            ("F: {sex: F}", "c: {counts: {label: {1: 5, 0: 5}, sex: {F: 6, M: 6}}}"),
            "counts of every attribute must sum to the same number of images; they sum to label 10, sex 12",
        ),
        (
            ("F: {sex: F}", "c: {size: 10, counts: {sex: {F: 6, M: 4}}}"),
            "give either `counts`, whose sum is the size, or `size`, not both",
        ),
        (
            ("F: {sex: F}", "c: {shares: {sex: {F: 0.5, M: 0.5}}, counts: {sex: {F: 6, M: 4}}}"),
            "counts and shares both speak of sex; give one of them",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nbalance: {over: [age_band]}"),
            "`age_bands` must say where the bands start",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nclasses: {a: [x], b: [y]}"),
            "give either `findings` (binary) or `classes`",
        ),
        (
            ("{positive: [Lung Opacity]}", "{positive: [a, b], negative: [b]}"),
            "s.yaml:3: findings: finding 'opacity' calls b both positive and negative",
        ),
        (("models: [resnet18]", "models: [resnet18]\ntrain_on: []"), "s.yaml:9: train_on: "),
        (("study: tiny", "study: ../up"), "study: String should match pattern"),
        (
            ("models: [resnet18]", "models: [resnet18]\nanalysis: {reference: {sex: Female}}"),
            "s.yaml:9: analysis.reference.sex: no cohort has the value 'Female'; nearest: F",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nanalysis: {reference: {vew: PA}}"),
            "s.yaml:9: analysis.reference.vew: no cohort is told apart by 'vew'; nearest: view",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\ntrain_on: [all]\nfits: [{cohorts: [F]}]"),
            "s.yaml:10: fits.0.cohorts: cohort 'F' is not in train_on, which lists what is trained on",
        ),
        (
            ("  all:\n  F: {sex: F}", "  q: {mix: {sex: {F: 0.5, M: 0.5}}}"),
            "s.yaml:5: cohorts: all are mixes, so there is none to test on; add one without a mix, e.g. all: {}",
        ),
        (("models: [resnet18]", "models: [resnet18]\nfits: []"), "s.yaml:9: fits: Tuple should have at least"),
        (
            ("models: [resnet18]", "models: [resnet18]\nseeds: [4294967296]"),
            "s.yaml:9: seeds.0: must be less than or equal to 4294967295; it is 4294967296",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nrecipes: {default: {epochs: yes}}"),
            "s.yaml:9: recipes.default.epochs: must be a number, not true",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nrecipes: {default: {clip_norm: off}}"),
            "s.yaml:9: recipes.default.clip_norm: must be a number, not false",
        ),
        (
            ("models: [resnet18]", "models: [resnet18]\nrecipes: {default: {learning_rate: .inf}}"),
            "s.yaml:9: recipes.default.learning_rate: must be a finite number; it is inf",
        ),
    ],
)
def test_each_rule_says_its_sentence(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in _complaint(tmp_path, GOOD.replace(*change))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "s.yaml:1: not valid YAML"),
        ("- a\n- b", "a study file is a mapping of keys"),
        ("", "a study file is a mapping of keys"),
        ("a: !!python/object/apply:os.system ['true']", "s.yaml:1: only plain YAML values are read"),
        ("a: 1\n? [b, c]\n: 2", "s.yaml:2: only plain YAML values are read: found unhashable key"),
        ("a: &a {b: *a}", "s.yaml: not valid YAML: it is nested too deep, or an alias holds itself"),
        ("a: &a\n  <<: *a", "s.yaml: not valid YAML: it is nested too deep, or an alias holds itself"),
        ("a: " + "[" * 3000 + "]" * 3000, "s.yaml: not valid YAML: it is nested too deep"),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, said: str) -> None:
    assert said in _complaint(tmp_path, text)


def test_a_missing_file_offers_its_neighbours(tmp_path: Path) -> None:
    _write(tmp_path, GOOD)
    with pytest.raises(StudyError, match=r"no such study file; study files there: s\.yaml"):
        load_study(tmp_path / "S1.yaml")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_valid_and_open_with_command_time_and_expectation(path: Path) -> None:
    study = load_study(path)
    assert study.study == path.stem
    text = path.read_text(encoding="utf-8")
    assert f"cohorts/{path.name}" in text
    assert "Run time:" in text
    assert "Expect:" in text
    jsonschema.validate(yaml.safe_load(text), study_schema())


def test_the_template_is_a_valid_study(tmp_path: Path) -> None:
    template = ROOT / "subgroup_audit" / "cli" / "study_template.yaml"
    assert load_study(template).study == "my_study"


def test_the_schema_that_editors_read_is_current() -> None:
    """Written by `audit schema -o docs/study.schema.json`; every shipped study points at it."""
    assert json.loads((ROOT / "docs" / "study.schema.json").read_text(encoding="utf-8")) == study_schema()
    for path in STUDIES:
        assert path.read_text(encoding="utf-8").startswith(
            "# yaml-language-server: $schema=../docs/study.schema.json\n"
        )


def test_the_schema_refuses_what_the_models_refuse() -> None:
    content = yaml.safe_load(GOOD)
    jsonschema.validate(content, study_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "modls": []}, study_schema())


def test_a_study_is_frozen() -> None:
    study = Study.model_validate(yaml.safe_load(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        study.study = "other"  # type: ignore[misc]
