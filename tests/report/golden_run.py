"""The run that the repository keeps, as the report's contents: a real run with every section."""

from __future__ import annotations

import json
from pathlib import Path

from subgroup_audit.report import RunContents
from subgroup_audit.steps.page import RunParts, gather_contents
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Study

GOLDEN = Path(__file__).resolve().parents[2] / "reports" / "golden"


def golden_contents() -> RunContents:
    """Its stored numbers; nothing is rendered, and nothing is written into its folder."""
    record = json.loads((GOLDEN / "run.json").read_text(encoding="utf-8"))
    study = Study.model_validate(record["definition"])
    folder = RunFolder(GOLDEN, study.study)
    return gather_contents(
        RunParts(study, [folder.find(name) for name in record["steps"]], []), record["provenance"]
    )
