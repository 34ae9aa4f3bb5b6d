"""A check in a model card: the section between its markers, the metadata as the hub reads them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from subgroup_audit.checking.model_card import END, START, card_section, write_model_card
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.errors import ReportError


def front(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text.split("---\n")[1]))


def test_a_new_card_has_metadata_and_the_section(result: CheckResult, tmp_path: Path) -> None:
    text = write_model_card(result, tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.index(START) < text.index("## Performance by subgroup") < text.index(END)
    entry = front(text)["model-index"][0]
    assert entry["name"] == "resnet50"
    names = [found["dataset"]["name"] for found in entry["results"]]
    assert names[:3] == ["everybody", "sex: F", "sex: M"]
    assert entry["results"][0]["metrics"][0]["type"] == "roc_auc"


def test_an_existing_card_keeps_what_is_not_ours_and_is_written_again_alike(
    result: CheckResult, tmp_path: Path
) -> None:
    path = tmp_path / "README.md"
    other = {"task": {"type": "x"}, "dataset": {"type": "nih", "name": "NIH"}, "metrics": []}
    metadata = {"license": "mit", "model-index": [{"name": "resnet50", "results": [other]}]}
    path.write_text(
        f"---\n{yaml.safe_dump(metadata)}---\n# Card\n\nBefore.\n\n{START}\nreplaced\n{END}\nAfter.\n",
        encoding="utf-8",
    )
    once = write_model_card(result, path).read_text(encoding="utf-8")
    assert "replaced" not in once
    assert once.index("Before.") < once.index("## Performance by subgroup") < once.index("After.")
    assert front(once)["license"] == "mit"
    assert front(once)["model-index"][0]["results"][0] == other
    assert write_model_card(result, path).read_text(encoding="utf-8") == once


def test_the_hub_reads_the_metadata(result: CheckResult, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hub = pytest.importorskip("huggingface_hub")
        card = hub.ModelCard.load(write_model_card(result, tmp_path / "README.md"), ignore_metadata_errors=False)
    found = {one.dataset_name: one.metric_value for one in card.data.eval_results if one.metric_type == "roc_auc"}
    auc = result.estimates[(result.estimates["metric"] == "auc") & (result.estimates["group"] == "F")]
    assert found["sex: F"] == pytest.approx(auc["estimate"].iloc[0], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"# Card\n{START}\n", "the card needs both markers"),
        (f"{END}\n{START}\n", "the card needs both markers"),
        ("---\n- a\n---\n", "must be a mapping of keys"),
        ("---\na: [\n---\n", "are not valid YAML"),
    ],
)
def test_a_card_that_cannot_be_changed_safely_is_refused(
    result: CheckResult, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        write_model_card(result, path)
    assert path.read_text(encoding="utf-8") == text


def test_hostile_names_are_escaped(hostile: CheckResult) -> None:
    section = card_section(hostile)
    assert "<script>" not in section
    assert "&lt;script&gt;" in section
    tables = [line for line in section.splitlines() if line.startswith("|")]
    bars = {line.replace("\\|", "").count("|") for line in tables}
    assert bars == {9, 7}
