"""Slurm by submitit's local and debug executors, and Ray by a cluster of two nodes: the bytes of this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from subgroup_audit.engine import choose_engine, claims, run_fits
from subgroup_audit.engine import slurm as slurm_engine
from subgroup_audit.engine.attempts import claims_folder
from subgroup_audit.errors import EngineError, TrainingError
from subgroup_audit.store import RunFolder
from subgroup_audit.watcher import Silence

Plan = Callable[..., Any]

# submitit leaves its log files open, and its processes to be collected
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="needs submitit: pip install 'subgroup-audit[slurm]'"
)
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs ray: pip install 'subgroup-audit[ray]'"
)


class _Notes(Silence):
    """Remembers what was said; acts once, when a fit of the plan has saved its first epochs."""

    def __init__(self, planned: Any, act: Callable[[], None]) -> None:
        self.said: list[str] = []
        self.planned = planned
        self.acts = [act]

    def say(self, message: str) -> None:
        self.said.append(message)

    def fit_started(self, fit: str) -> None:
        if self.acts:
            while not list(self.planned.place.out.glob("work/fit-*/resume/state.pt")):
                time.sleep(0.02)
            self.acts.pop()()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread each, here and in what tasks inherit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def _run(planned: Any, engine: str, *options: str, watcher: Silence | None = None) -> list[str]:
    done: list[str] = []
    run_fits(
        planned.jobs,
        device="cpu",
        workers=0,
        keep_going=False,
        watcher=watcher or Silence(),
        done=lambda job, seconds: done.append(job.label),
        engine=choose_engine(engine, options),
    )
    return sorted(done)


def _resumed(planned: Any) -> list[int]:
    folder = RunFolder(planned.place.out, "")
    records = [folder.folder(job.step) / "fit.json" for job in planned.jobs]
    return [json.loads(record.read_text(encoding="utf-8"))["resumed_after"] for record in records]


def _holders(planned: Any) -> list[int]:
    """Processes that are at the fits of a plan."""
    seen = [claims.find_claim(claims_folder(planned.place.out), job.name) for job in planned.jobs]
    return [claim.holder["pid"] for claim in seen if claim is not None and claim.holder]


@needs_submitit
def test_slurm_in_this_process_gives_the_same_bytes(done_here: Any) -> None:
    planned = done_here.copy("debug")
    assert _run(planned, "slurm", "executor=debug", "tasks=1") == sorted(done_here.scores())
    assert planned.scores() == done_here.scores()


@needs_submitit
@pytest.mark.slow
def test_a_task_that_is_pre_empted_is_requeued_and_goes_on(plan_small: Plan) -> None:
    whole = plan_small("whole", epochs=40, train_on=["F", "M"])
    assert (
        run_fits(
            whole.jobs,
            device="cpu",
            workers=1,
            keep_going=False,
            watcher=Silence(),
            done=lambda job, seconds: None,
        )
        == []
    )
    planned = whole.copy("requeued")
    watcher = _Notes(planned, lambda: [os.kill(pid, signal.SIGUSR2) for pid in _holders(planned)] and None)
    assert _run(planned, "slurm", "executor=local", "tasks=1", watcher=watcher) == sorted(whole.scores())
    assert watcher.acts == []
    assert watcher.said == []
    assert max(_resumed(planned)) > 0
    assert planned.scores() == whole.scores()


@needs_submitit
@pytest.mark.slow
def test_a_task_that_is_killed_is_handed_out_again(plan_small: Plan) -> None:
    whole = plan_small("whole", epochs=40, train_on=["F", "M"])
    run_fits(
        whole.jobs, device="cpu", workers=1, keep_going=False, watcher=Silence(), done=lambda job, seconds: None
    )
    planned = whole.copy("killed")
    watcher = _Notes(planned, lambda: [os.kill(pid, signal.SIGKILL) for pid in _holders(planned)] and None)
    assert _run(planned, "slurm", "executor=local", "tasks=1", watcher=watcher) == sorted(whole.scores())
    assert "handing it out again" in watcher.said[0]
    assert max(_resumed(planned)) > 0
    assert planned.scores() == whole.scores()


@needs_submitit
def test_what_is_asked_of_slurm(done_here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch script that Slurm would get, without Slurm."""
    import submitit

    asked: dict[str, Any] = {}

    class Executor:
        def __init__(self, folder: Any, cluster: str) -> None:
            asked["cluster"] = cluster

        def update_parameters(self, **parameters: Any) -> None:
            asked.update(parameters)

        def map_array(self, task: Any, errands: list[Any]) -> list[Any]:
            asked["shares"] = [len(errand.names) for errand in errands]
            raise RuntimeError("sbatch: error: invalid partition specified: gpu")

    monkeypatch.setattr(submitit, "AutoExecutor", Executor)
    crew = slurm_engine.SlurmCrew(
        choose_engine("slurm", ["partition=gpu", "gpus=1", "tasks=2", "at_once=1", "setup=module load cuda"]),
        "cuda",
    )
    with pytest.raises(EngineError) as refused:
        crew.submit(done_here.jobs)
    assert str(refused.value) == "--engine slurm: sbatch: error: invalid partition specified: gpu"
    assert asked == {
        "cluster": "slurm",
        "name": "audit",
        "timeout_min": 240,
        "mem_gb": 16.0,
        "cpus_per_task": 4,
        "gpus_per_node": 1,
        "slurm_partition": "gpu",
        "slurm_array_parallelism": 1,
        "slurm_setup": ["module load cuda"],
        "shares": [1, 1],
    }


@needs_submitit
def test_a_requeued_task_does_the_same_errand() -> None:
    delayed = slurm_engine.Task().checkpoint("errand")  # type: ignore[arg-type]
    assert isinstance(delayed.function, slurm_engine.Task)
    assert delayed.args == ("errand",)


@needs_submitit
def test_a_fit_that_fails_elsewhere_stops_the_run(plan_small: Plan) -> None:
    recipes = {
        "wild": {"image_size": 32, "optimiser": "sgd", "learning_rate": 1e30, "precision": "fp32", "epochs": 3}
    }
    planned = plan_small("wild", train_on=["F", "M"], recipes=recipes)
    with pytest.raises(TrainingError, match=r"[FM] / small_cnn / wild / seed 0: .*not finite"):
        _run(planned, "slurm", "executor=debug", "tasks=1")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Ray cluster of a head without cores and two nodes of one core, joined by this process."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        found.add_node(num_cpus=1, num_gpus=1)
    ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
    yield found
    ray.shutdown()
    found.shutdown()


@needs_ray
def test_what_a_fit_reserves_by_ray() -> None:
    from subgroup_audit.engine.ray import resources

    assert resources(choose_engine("ray"), "cuda", 1) == {"num_cpus": 1.0, "num_gpus": 1.0}
    asked = resources(choose_engine("ray", ["gpus=0.25", "cpus=2", "mem_gb=3"]), "cuda", 1)
    assert asked == {"num_cpus": 2.0, "num_gpus": 0.25, "memory": 3.0 * 2**30}


@needs_ray
@pytest.mark.slow
def test_a_node_killed_in_the_middle_costs_no_fit(plan_small: Plan, cluster: Any) -> None:
    """Fits share GPUs by fractions; the killed node's fit resumes on the other with the same bytes."""
    whole = plan_small("whole", epochs=40, train_on=["F", "M"])
    run_fits(
        whole.jobs, device="cpu", workers=2, keep_going=False, watcher=Silence(), done=lambda job, seconds: None
    )
    planned = whole.copy("ray")
    node = next(iter(cluster.worker_nodes))
    watcher = _Notes(planned, lambda: cluster.remove_node(node, allow_graceful=False))
    assert _run(planned, "ray", "gpus=0.5", watcher=watcher) == sorted(whole.scores())
    assert watcher.acts == []
    assert max(_resumed(planned)) > 0
    assert planned.scores() == whole.scores()


@needs_ray
def test_ray_gives_the_same_bytes(done_here: Any) -> None:
    planned = done_here.copy("ray")
    assert _run(planned, "ray") == sorted(done_here.scores())
    assert planned.scores() == done_here.scores()
