"""A result as text: for a terminal, for lines, JSON, GitHub and JUnit; and back from JSON."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from subgroup_audit.checking.formats import FORMATS, render
from subgroup_audit.checking.judging import judge
from subgroup_audit.checking.measures import measure
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.result_schema import result_schema
from subgroup_audit.checking.scored import ScoredTable
from subgroup_audit.checking.settings import CheckSettings, Margin
from subgroup_audit.errors import ReportError

ROOT = Path(__file__).resolve().parents[3]
Judged = Callable[..., CheckResult]


def test_full_says_the_verdict_first_and_fits_a_terminal(result: CheckResult) -> None:
    lines = render(result, "full").splitlines()
    assert lines[0] == result.title
    assert max(map(len, lines)) <= 100
    female = next(line for line in lines if line.strip().startswith("F "))
    assert re.search(
        r"F +\d+ +\d+/\d+  0\.\d{3} \(0\.\d\d-0\.\d\d\) +-0\.\d\d \(-0\.\d\d,-0\.\d\d\) +gap$", female
    )


@pytest.mark.parametrize("name", ["full", "concise", "github", "junit", "markdown"])
def test_hostile_names_stay_one_line_and_one_cell(hostile: CheckResult, name: str) -> None:
    text = render(hostile, name)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<script>" not in text or name in ("full", "concise", "github")
    if name == "github":
        lines = text.splitlines()
        assert all(re.match(r"^::(error|warning|notice) title=[^:,]*::", line) for line in lines)
        assert len(lines) == sum(hostile.counts.values()) - hostile.counts["no gap beyond the margin"] + 1


def test_concise_has_a_line_for_each_finding_and_a_count(result: CheckResult) -> None:
    lines = render(result, "concise", file="predictions.csv").splitlines()
    n_open = sum(result.counts.values()) - result.counts["no gap beyond the margin"]
    assert len(lines) == n_open + 1
    assert lines[0].startswith("predictions.csv: gap: AUC for Pneumonia, ")
    assert lines[-1].startswith(
        f"Found {result.counts['gap']} gaps in {sum(result.counts.values())} comparisons ("
    )


def test_concise_says_what_was_not_found(judged: Judged) -> None:
    wide = (Margin("auc", 0.5), Margin("auc", None, "sex", "Unknown"), Margin("auc", None, "sex x view"))
    assert render(judged(margins=wide), "concise") == "Found no gap beyond the margin in 2 comparisons.\n"


def test_github_escapes_what_would_end_a_command(result: CheckResult) -> None:
    text = render(result, "github", file="a,b:%c.csv")
    assert text.startswith("::error file=a%2Cb%3A%25c.csv,title=Subgroup check%3A gap::AUC for Pneumonia")
    assert "95 %25 interval" in text


def test_junit_counts_what_it_holds(result: CheckResult) -> None:
    root = ET.fromstring(render(result, "junit", file="predictions.csv"))
    cases = root.findall("./testsuite/testcase")
    assert len(cases) == int(root.attrib["tests"]) == len(result.judged)
    assert len(root.findall(".//failure")) == int(root.attrib["failures"]) == result.counts["gap"]
    skipped = result.counts["inconclusive"] + result.counts["not estimable"]
    assert len(root.findall(".//skipped")) == int(root.attrib["skipped"]) == skipped
    failure = root.find(".//failure")
    assert failure is not None
    assert "there is a gap of" in failure.attrib["message"]


def test_junit_of_hostile_names_is_xml(hostile: CheckResult) -> None:
    names = [case.attrib["name"] for case in ET.fromstring(render(hostile, "junit")).iter("testcase")]
    assert any("Pneu|monia <script>,:%" in name for name in names)


@pytest.mark.parametrize("limit", [None, 10])
def test_json_keeps_to_its_schema_and_comes_back_whole(judged: Judged, limit: int | None) -> None:
    result = judged(suppress_below=limit)
    text = result.to_json()
    document = json.loads(text)
    jsonschema.validate(document, result_schema())
    back = CheckResult.from_json(text)
    assert back.to_json() == text
    assert (back.verdict, back.sentences, back.exit_code(strict=True)) == (
        result.verdict,
        result.sentences,
        result.exit_code(strict=True),
    )
    pd.testing.assert_frame_equal(back.estimates, result.estimates)
    pd.testing.assert_frame_equal(back.contrasts, result.contrasts)


def test_the_written_schemas_are_up_to_date() -> None:
    packaged = (files("subgroup_audit.checking") / "check_result.schema.json").read_text(encoding="utf-8")
    assert json.loads(packaged) == result_schema()
    assert (ROOT / "docs/check_result.schema.json").read_text(encoding="utf-8") == packaged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a check's result is JSON: "),
        ("[]", 'a check\'s result has "schema": "subgroup_audit/check/1"; this has None'),
        ('{"schema": "subgroup_audit/check/2"}', "this has 'subgroup_audit/check/2'"),
    ],
)
def test_other_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        CheckResult.from_json(text)
    assert message in str(caught.value)


def test_an_unknown_format_names_the_nearest(result: CheckResult) -> None:
    with pytest.raises(ReportError) as caught:
        render(result, "jsn")
    assert str(caught.value) == f"no such format: 'jsn'; nearest: json; formats: {', '.join(FORMATS)}"


def test_save_writes_every_table(result: CheckResult, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"check.json", *(f"{name}.csv" for name in result.tables())}
    written = pd.read_csv(folder / "contrasts.csv")
    assert len(written) == len(result.contrasts)


def test_a_notebook_shows_the_verdict_and_nothing_that_runs(hostile: CheckResult, result: CheckResult) -> None:
    shown = result._repr_html_()
    assert result.title in shown
    assert "prefers-color-scheme:dark" in shown
    odd = hostile._repr_html_()
    assert "<script>" not in odd
    assert '<b>"' not in odd
    assert "http" not in shown


def test_two_models_are_told_apart_and_compared_on_the_same_images(table: ScoredTable) -> None:
    task = table.tasks[0]
    rng = np.random.default_rng(5)
    noisy = np.clip(task.y_score + rng.normal(0, 0.2, len(task.y_score)), 0, 1)
    both = replace(table, tasks=(task, replace(task, model="other", y_score=noisy)))
    settings = CheckSettings(measures=("auc",), reference={"sex": "M", "view": "PA"})
    result = judge(measure(both, settings), both, settings)
    sentences = result.judged["sentence"]
    assert {text.split(": ")[0] for text in sentences} == {"resnet50", "other"}
    assert "Shown, not judged\n  AUC for Pneumonia: other minus resnet50 -0.0" in render(result, "full")
    assert "resnet50: AUC for Pneumonia, sex: F minus M" in render(result, "concise")
    assert render(result, "github").count("resnet50: resnet50") == 0
