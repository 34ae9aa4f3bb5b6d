"""Recording a training pass: what it leaves of the network, on a stand-in here and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

from subgroup_audit.study import Model
from subgroup_audit.training.architecture import build_network
from subgroup_audit.training.graph import record_training, wants_graph
from subgroup_audit.training.loop import seeded
from subgroup_audit.training.precision import Compute

CPU = Compute("cpu", "bf16", is_channels_last=True, how="")


def warm_up(network: nn.Module, samples: tuple[torch.Tensor], *, allow_unused_input: bool) -> None:
    """What the real one does before it records: passes that move statistics, gradients and random numbers."""
    assert allow_unused_input
    for _ in range(3):
        found = network(samples[0])
        assert found.dtype == torch.bfloat16
        found.float().square().sum().backward()


def test_recording_leaves_the_network_as_it_was() -> None:
    with seeded(0, 0, "cpu"):
        model = Model(architecture="test_resnet", dropout=0.5)
        network = build_network(model, n_outputs=1, size=32, study_folder=".").network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    addresses = {name: buffer.data_ptr() for name, buffer in network.named_buffers()}
    state = torch.random.get_rng_state()
    record_training(network, CPU, (8, 1, 32, 32), warm_up)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    assert {name: buffer.data_ptr() for name, buffer in network.named_buffers()} == addresses
    assert all(parameter.grad is None for parameter in network.parameters())
    torch.testing.assert_close(torch.random.get_rng_state(), state, rtol=0, atol=0)
    assert network.training


def test_the_sample_is_strided_as_batches_are() -> None:
    seen: list[torch.Tensor] = []

    def look(network: nn.Module, samples: tuple[torch.Tensor], **_: object) -> None:
        seen.append(samples[0])

    record_training(nn.Flatten(), CPU, (4, 1, 6, 6), look)
    record_training(nn.Flatten(), CPU, (4, 7), look)
    assert seen[0].stride() == (36, 1, 6, 1)
    assert seen[1].shape == (4, 7)


def test_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, half = (Compute("cuda:0", p, is_channels_last=True, how="") for p in ("bf16", "fp16"))  # type: ignore[arg-type]
    assert not wants_graph(gpu)
    monkeypatch.setenv("SUBGROUP_AUDIT_CUDA_GRAPH", "1")
    assert wants_graph(gpu)
    assert not wants_graph(half)
    assert not wants_graph(CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_recorded_fit_has_the_same_scores(
    planted: Any, make_spec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(epochs=3, precision="bf16", model={"architecture": "test_resnet"})
    scores = []
    for name, asked in (("eager", "0"), ("recorded", "1")):
        monkeypatch.setenv("SUBGROUP_AUDIT_CUDA_GRAPH", asked)
        planted.fit(spec, tmp_path / name, device="cuda")
        scores.append(pd.read_parquet(tmp_path / name / "predictions.parquet")["y_score"].to_numpy())
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
