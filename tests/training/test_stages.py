"""What a fit says of its own training images: as they were seen, and with batch statistics recomputed."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from subgroup_audit.stats import auc
from subgroup_audit.training import load_fitted

Make = Callable[..., Any]


def stage_auc(folder: Path, labels: pd.DataFrame, stage: str, split: str = "train") -> float:
    frame = pd.read_parquet(folder / "stages.parquet")
    rows = frame[(frame["stage"] == stage) & (frame["split"] == split)]
    joined = rows.merge(labels[["image_id", "finding", "y_true"]], on=["image_id", "finding"], validate="m:1")
    assert len(joined) == len(rows)
    found = [auc(part["y_true"], part["y_score"]) for _, part in joined.groupby("finding")]
    return float(np.mean(found))


def eval_auc(folder: Path, split: str) -> float:
    frame = pd.read_parquet(folder / "predictions.parquet")
    rows = frame[frame["split"] == split]
    return auc(rows["y_true"], rows["y_score"])


@pytest.mark.parametrize("sampling", ["plain", "balanced"])
@pytest.mark.parametrize("restore_best", [True, False])
def test_scores_while_training_give_the_logged_auc(
    planted: Any, make_spec: Make, tmp_path: Path, sampling: str, restore_best: bool
) -> None:
    spec = make_spec(epochs=3, sampling=sampling, restore_best=restore_best, augmentation={"shift": 0.05})
    planted.fit(spec, tmp_path)
    history = pd.read_parquet(tmp_path / "history.parquet")
    kept = history[history["is_best"] & (history["phase"] == "train")]
    assert stage_auc(tmp_path, planted.frame, "while training") == pytest.approx(kept["auc"].item(), abs=1e-12)


def test_statistics_that_were_never_stored_are_found_out(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    """As in frozen layers of old Keras: good while training, chance afterwards, good again when recomputed.

    The network starts from one that knew other images, fainter ones here, and keeps the statistics of those.
    """
    make_data(160, seed=5).fit(make_spec(epochs=4), tmp_path / "other")
    data = make_data(160)
    faint = replace(data, pixels=copy(data.pixels))
    faint.pixels.images = (data.pixels.images * 0.3 + 150.0).astype(np.uint8)
    weights = str(tmp_path / "other" / "checkpoint.safetensors")
    found = {}
    for name, momentum in (("stale", 0.0), ("usual", 0.5)):
        model = {"weights": weights, "batch_norm_momentum": momentum}
        faint.fit(make_spec(epochs=5, model=model, restore_best=False), tmp_path / name)
        seen = stage_auc(tmp_path / name, data.frame, "while training")
        recomputed = stage_auc(tmp_path / name, data.frame, "recomputed")
        found[name] = (seen, eval_auc(tmp_path / name, "train"), recomputed)
    seen, evaluated, recomputed = found["stale"]
    assert seen > 0.9
    assert evaluated < 0.7
    assert recomputed > 0.9
    assert min(found["usual"]) > 0.9


def test_recomputing_leaves_the_kept_model_as_it_was(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    planted.fit(make_spec(epochs=2, model={"batch_norm_momentum": 0.0}), tmp_path)
    network = load_fitted(tmp_path).network
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))
        assert torch.equal(norm.running_var, torch.ones_like(norm.running_var))


def test_a_trunk_that_stays_still_has_nothing_to_recompute(planted: Any, make_spec: Make, tmp_path: Path) -> None:
    planted.fit(make_spec(epochs=1, model={"trainable": "head"}), tmp_path)
    frame = pd.read_parquet(tmp_path / "stages.parquet")
    assert set(frame["stage"]) == {"while training"}


def test_every_finding_and_both_splits_are_there(make_data: Make, make_spec: Make, tmp_path: Path) -> None:
    data = make_data(160, findings=("opacity", "effusion"))
    data.fit(make_spec(epochs=1, findings=("opacity", "effusion")), tmp_path)
    frame = pd.read_parquet(tmp_path / "stages.parquet")
    counts = frame.groupby(["stage", "split", "finding"]).size()
    sizes = data.frame.drop_duplicates("image_id")["split"].value_counts()
    for finding in ("opacity", "effusion"):
        assert counts["while training", "train", finding] == sizes["train"]
        assert counts["recomputed", "train", finding] == sizes["train"]
        assert counts["recomputed", "val", finding] == sizes["val"]
