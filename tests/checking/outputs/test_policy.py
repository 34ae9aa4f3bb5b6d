"""A policy file: what it changes, and what it says of every broken rule."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from subgroup_audit.checking.policy import margin_for, parse_threshold, policy_schema, read_policy
from subgroup_audit.checking.settings import CheckSettings, Margin, Threshold
from subgroup_audit.errors import PolicyError

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_goes_over_the_settings_and_leaves_the_rest(tmp_path: Path) -> None:
    path = written(tmp_path, "margins: {auc: 0.03}\nthreshold: specificity=0.8\nreference: {sex: 1}\n")
    settings = read_policy(path, CheckSettings(seed=7))
    assert settings.margins == (Margin("auc", 0.03),)
    assert settings.threshold == Threshold(rule="specificity=0.8")
    assert settings.reference == {"sex": "1"}
    assert (settings.seed, settings.confidence_level) == (7, 0.95)


def test_every_broken_rule_is_listed_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "margins:\n  - {measure: acu, margin: -1}\n  - {measur: auc, margin: .1}\nconfidence: 0.9\n"
        "threshold: yuden\nmultiplicity: hollm\n",
    )
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert str(caught.value).splitlines() == [
        f"{path}:2: margins.0.measure: no such measure: 'acu'; nearest: auc",
        f"{path}:2: margins.0.margin: must be greater than 0; it is -1",
        f"{path}:3: margins.1.measure: this key is required",
        f"{path}:3: margins.1.measur: no such key; nearest: measure",
        f"{path}:5: threshold: must be youden, f1, sensitivity=0.9 or specificity=0.9 (any share), or a "
        "probability from 0 to 1; it is 'yuden'",
        f"{path}:6: multiplicity: must be 'holm', 'benjamini-hochberg' or 'none'; it is 'hollm'; nearest: holm",
        f"{path}:4: confidence: no such key; nearest: confidence_level",
        "7 problems in the policy file",
    ]


def test_two_margins_for_the_same_comparison_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "margins:\n- {measure: auc, margin: 0.1}\n- {measure: auc, margin: 0.2}\n")
    with pytest.raises(PolicyError, match=r"two margins for the same comparison \(auc\); one stands"):
        read_policy(path)


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    written(tmp_path, "margins: {auc: 0.1}")
    with pytest.raises(PolicyError, match=r"polcy\.yaml: no such policy file; policy files there: policy\.yaml"):
        read_policy(tmp_path / "polcy.yaml")


def test_the_most_specific_margin_judges() -> None:
    rules = (
        Margin("auc", 0.05),
        Margin("auc", 0.1, "sex"),
        Margin("auc", 0.2, "sex", "F"),
        Margin("auc", 0.3, None, "F"),
    )
    asked = [("sex", "F"), ("sex", "X"), ("view", "AP"), ("view", "F")]
    assert [margin_for(rules, "auc", *one) for one in asked] == [0.2, 0.1, 0.05, 0.3]
    assert margin_for(rules, "ppv", "sex", "F") is None


@pytest.mark.parametrize("rule", [1.2, -0.1, "sensitivity=0", "sensitivity=x", "recall=0.9", "", True])
def test_a_threshold_that_is_no_rule_is_refused(rule: object) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        parse_threshold(rule)  # type: ignore[arg-type]


def test_the_example_and_the_written_schema_are_up_to_date() -> None:
    schema = json.loads((ROOT / "docs/policy.schema.json").read_text(encoding="utf-8"))
    assert schema == policy_schema()
    example = ROOT / "examples/policy.yaml"
    jsonschema.validate(yaml.safe_load(example.read_text(encoding="utf-8")), schema)
    settings = read_policy(example)
    assert settings.min_persons == 20
    assert margin_for(settings.margins, "auc", "sex", "Unknown") is None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"margins": {"acu": 0.1}}, schema)
