"""Engines, options and shards by name: what is wrong is said at once, with the nearest word."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.engine import Engine, choose_engine, foresee, parse_shard
from subgroup_audit.engine.forecast import makespan
from subgroup_audit.engine.shards import Shard, deal
from subgroup_audit.errors import EngineError


def _refused(name: str, *options: str) -> str:
    with pytest.raises(EngineError) as found:
        choose_engine(name, options)
    return str(found.value)


def test_an_unknown_engine_is_told_the_nearest() -> None:
    assert _refused("slrum") == "--engine must be local, slurm or ray, not 'slrum'; did you mean 'slurm'?"
    assert _refused("kubernetes") == "--engine must be local, slurm or ray, not 'kubernetes'"


def test_all_that_is_wrong_with_options_is_said_at_once() -> None:
    assert _refused("ray", "gpu=1", "gpus=1.5", "cpus").splitlines() == [
        "engine ray has no option 'gpu'; nearest: gpus (its options: address, gpus, cpus, mem_gb)",
        "engine ray: gpus must be a share of one GPU such as 0.25, or a whole number, not '1.5'",
        "--engine-option must be name=value, not 'cpus'",
    ]
    assert _refused("local", "gpus=1") == "engine local has no option 'gpus' (it has none)"
    assert "partition must be one word, not 'a; rm -rf /'" in _refused("slurm", "partition=a; rm -rf /")


def test_a_package_that_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = "--engine ray needs the package ray, which is not installed: pip install 'subgroup-audit[ray]'"
    assert _refused("ray") == said
    assert "needs the package submitit" in _refused("slurm")


def test_options_are_read() -> None:
    words = ["partition=gpu", "gpus=1", "time=1-00:30:00", "mem_gb=2.5", "setup=module load a", "setup=b"]
    assert choose_engine("slurm", words).options == {
        "partition": "gpu",
        "gpus": 1,
        "time": 24 * 60 + 30,
        "mem_gb": 2.5,
        "setup": ("module load a", "b"),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2/2", "--shard 2/2 is out of range: shards are counted from 0, 0/2 to 1/2"),
        ("0/0", "--shard 0/0 is out of range: shards are counted from 0, 0/1 for all"),
        ("1", "--shard must be i/n, such as 0/4 for the first of four; it is '1'"),
        ("-1/2", "--shard must be i/n, such as 0/4 for the first of four; it is '-1/2'"),
    ],
)
def test_a_shard_out_of_range(text: str, said: str) -> None:
    with pytest.raises(EngineError) as found:
        parse_shard(text)
    assert str(found.value) == said


@dataclass(frozen=True)
class _Job:
    name: str
    seconds: float


@given(st.lists(st.floats(0, 1e4), max_size=30), st.integers(1, 8))
def test_shards_share_out_all_fits_and_share_none(seconds: list[float], n: int) -> None:
    jobs: list[Any] = [_Job(f"fit-{i}", value) for i, value in enumerate(seconds)]
    shares = [Shard(i, n).share(jobs) for i in range(n)]
    assert sorted(job.name for share in shares for job in share) == sorted(job.name for job in jobs)
    longest = max((sum(job.seconds for job in share) for share in shares), default=0.0)
    # the shard that ends last began its last fit when no shard had less than it: at most a mean share before it
    assert longest <= sum(seconds) / n + max(seconds, default=0.0) + 1e-6
    assert deal(list(reversed(jobs)), n) == deal(jobs, n)


def test_a_forecast_says_what_each_task_asks_for_and_how_long_it_takes() -> None:
    slurm = choose_engine("slurm", ["gpus=1", "partition=gpu", "tasks=3", "time=2:00:00"])
    plan = foresee(slurm, [60.0] * 8, device="cuda", workers=0, threads=1)
    assert (plan.n_fits, plan.n_tasks) == (8, 3)
    assert plan.asks_for == "4 cores, 1 GPU, 16 GB, 120 min, partition gpu"
    assert plan.seconds == {1: 480.0, 2: 240.0, 4: 120.0, 8: 60.0}
    ray = choose_engine("ray", ["gpus=0.25"])
    assert foresee(ray, [60.0] * 8, device="cuda", workers=0, threads=1).asks_for == "1 core, 0.25 GPU"
    here = foresee(
        Engine(), [60.0], device="cpu", workers=4, threads=4, words={"run": ["s.yaml"], "worker": ["s.yaml"]}
    )
    assert (here.n_tasks, here.asks_for) == (1, "cpu, 4 threads")
    assert here.commands == ("audit run s.yaml --prepare", "audit worker s.yaml --shard 0/1", "audit run s.yaml")


def test_the_longest_fit_bounds_the_time() -> None:
    assert makespan([10.0, 1.0, 1.0], 8) == 10.0
    assert makespan([], 2) == 0.0
