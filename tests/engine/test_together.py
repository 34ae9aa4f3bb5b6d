"""One fit by two processes under torchrun: the gradients of the whole batch, one writer, one result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.engine import run_fits
from subgroup_audit.stats import auc
from subgroup_audit.store import RunFolder
from subgroup_audit.study import Model
from subgroup_audit.watcher import Silence

Plan = Callable[..., Any]


def _torchrun(planned: Any, study_file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    place = planned.place
    own = ["-m", "subgroup_audit", "worker", "again.yaml", "--out", str(place.out), "--cache", str(place.cache)]
    (study_file.parent / "again.yaml").write_text(planned.study.model_dump_json(exclude_none=True))
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *own, *words],
        cwd=study_file.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def _scores(planned: Any) -> pd.DataFrame:
    (job,) = planned.jobs
    return pd.read_parquet(RunFolder(planned.place.out, "").folder(job.step) / "predictions.parquet")


def _notes(planned: Any) -> list[str]:
    (job,) = planned.jobs
    record = RunFolder(planned.place.out, "").folder(job.step) / "fit.json"
    return list(json.loads(record.read_text(encoding="utf-8"))["notes"])


def _do_alone(planned: Any) -> None:
    run_fits(
        planned.jobs, device="cpu", workers=1, keep_going=False, watcher=Silence(), done=lambda job, seconds: None
    )


def _auc(frame: pd.DataFrame, split: str) -> float:
    rows = frame[frame["split"] == split]
    return float(auc(rows["y_true"].to_numpy(), rows["y_score"].to_numpy()))


def test_two_processes_without_batch_statistics_differ_by_the_order_of_sums(
    plan_small: Plan, study_file: Path
) -> None:
    models = {"plain": Model(architecture="test_convnext").model_dump(mode="json")}
    alone = plan_small("alone", epochs=2, train_on=["F"], models=models)
    both = alone.copy("both")
    _do_alone(alone)
    said = _torchrun(both, study_file, "--fit", both.jobs[0].label)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == f"{both.jobs[0].label}: done"
    left, right = _scores(alone), _scores(both)
    assert left["image_id"].tolist() == right["image_id"].tolist()
    np.testing.assert_allclose(right["y_score"], left["y_score"], atol=1e-4)
    assert _notes(both)[0].startswith("trained by 2 processes")
    assert not [path for path in (both.place.out / "work").iterdir() if path.is_dir()]


@pytest.mark.slow
def test_two_processes_with_their_own_batch_statistics_learn_as_well(plan_small: Plan, study_file: Path) -> None:
    alone = plan_small("alone", epochs=30, train_on=["F"])
    both = alone.copy("both")
    _do_alone(alone)
    said = _torchrun(both, study_file)
    assert said.returncode == 0, said.stderr
    assert abs(_auc(_scores(both), "train") - _auc(_scores(alone), "train")) < 0.1


def test_a_torchrun_without_a_fit_is_one_message(done_here: Any, study_file: Path) -> None:
    from subgroup_audit.engine.together import work_together
    from subgroup_audit.errors import EngineError

    with pytest.raises(
        EngineError, match=r"a worker does one fit: name it by --fit; 2 are chosen. Fits are: F / "
    ):
        work_together(done_here.plan, done_here.jobs, Silence())
