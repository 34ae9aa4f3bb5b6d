"""Training and inference on a CPU as our workers do them, against the plain way: eager float32, contiguous.

Each way has a process of its own that waits for its turn, since the allocator is a setting of the process. The
precision and layout of ours are those that the probe chooses on this machine. What a whole machine trains is
measured by the clock: fits of one thread side by side, as workers run them, against one fit with a thread a core,
which is PyTorch's default. What one thread trains is measured in CPU time. Batches of 32.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from turns import Effort, Figure, Figures, per_cpu_second, per_second, take_turns

NETWORKS = (
    ("resnet18", 224),
    ("resnet50", 224),
    ("densenet121", 224),
    ("resnet18", 128),
    ("resnet50", 128),
    ("densenet121", 128),
    ("mobilenetv3_large_100", 128),
    ("convnext_atto", 128),
)
"""Architectures, and the sizes of their images; 224 px is what recipes use where they say nothing."""
UNIT = "images/s of CPU, one thread"
CLOCK = "images/s by the clock"


@dataclass(frozen=True)
class Way:
    """How one process computes.

    Attributes
    ----------
    is_worker : whether the process starts as our workers do, with their allocator
    choice : `probed`, or a precision with a layout such as `fp32 contiguous`
    """

    architecture: str
    is_worker: bool
    choice: str
    is_training: bool = True
    size: int = 128
    batch: int = 32
    steps: int = 2
    threads: int = 1

    @property
    def n_images(self) -> int:
        """Images of one measurement."""
        return self.batch * self.steps


def measure(effort: Effort) -> Figures:
    """Everything on computing with a CPU; quickly, without processes of their own."""
    if effort.is_quick:
        ways = {
            "ours": Way("resnet18", is_worker=True, choice="fp32 channels_last", size=32, batch=4, steps=1),
            "plain": Way("resnet18", is_worker=False, choice="fp32 contiguous", size=32, batch=4, steps=1),
        }
        turns = take_turns({name: clocked(way, make_work(way)[1]) for name, way in ways.items()}, 1)
        return {"resnet18_128_thread": turns.figure("ours", "plain", UNIT)}
    rounds = effort.rounds(7)
    found: Figures = {}
    for architecture, size in NETWORKS:
        found |= measure_training(architecture, size, rounds)
    memory = {
        "ours": Way("resnet18", is_worker=True, choice="fp32 channels_last"),
        "plain": Way("resnet18", is_worker=False, choice="fp32 channels_last"),
    }
    found["allocator"] = compare(memory, rounds)
    found["inference"] = compare(plain_and_ours("resnet50", is_training=False), rounds)
    return {**found, "side_by_side": measure_side_by_side(rounds)}


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure_training(architecture: str, size: int, rounds: int) -> Figures:
    """Our workers on all cores against one plain fit on all cores, and one thread of each."""
    cores = count_cores()
    steps = 2 if size < 224 else 1
    one = {name: replace(way, size=size, steps=steps) for name, way in plain_and_ours(architecture).items()}
    ways = {f"ours {i}": one["ours"] for i in range(cores)}
    ways |= {"plain": one["plain"], "plain on all": replace(one["plain"], threads=cores)}
    n_images = one["ours"].n_images
    with serving(ways) as (ends, names):
        ours = [ends[f"ours {i}"] for i in range(cores)]
        turns = take_turns(
            {
                "ours on all": lambda: per_second(cores * n_images, lambda: ask(ours)),
                "plain on all": lambda: per_second(n_images, lambda: ask([ends["plain on all"]])),
                "ours": lambda: ask(ours[:1])[0],
                "plain": lambda: ask([ends["plain"]])[0],
            },
            rounds,
        )
    whole, thread = turns.figure("ours on all", "plain on all", CLOCK), turns.figure("ours", "plain", UNIT)
    return {
        f"{architecture}_{size}": Figure(whole.value, f"{whole.detail}, {cores} cores; {names['ours 0']}"),
        f"{architecture}_{size}_thread": Figure(thread.value, f"{thread.detail}; {names['ours 0']}"),
    }


def plain_and_ours(architecture: str, *, is_training: bool = True) -> dict[str, Way]:
    """Our workers' way of computing, and the plain one."""
    return {
        "ours": Way(architecture, is_worker=True, choice="probed", is_training=is_training),
        "plain": Way(architecture, is_worker=False, choice="fp32 contiguous", is_training=is_training),
    }


def compare(ways: dict[str, Way], rounds: int) -> Figure:
    """How many times faster our way is than the plain one."""
    with serving(ways) as (ends, names):
        turns = take_turns({name: lambda end=end: ask([end])[0] for name, end in ends.items()}, rounds)
    ratio = turns.figure("ours", "plain", UNIT)
    return Figure(ratio.value, f"{ratio.detail}; {names['ours']}")


def measure_side_by_side(rounds: int) -> Figure:
    """Whole fits: one with one thread on every core, against one after the other with a thread a core."""
    cores = count_cores()
    context = multiprocessing.get_context("spawn")
    ends: list[Connection] = []
    processes = []
    with tempfile.TemporaryDirectory() as cache:
        for threads in (*[1] * cores, cores):
            ours, theirs = context.Pipe()
            ends.append(ours)
            processes.append(context.Process(target=serve_fits, args=(theirs, threads, cache), daemon=True))
            processes[-1].start()
        for end in ends:
            end.recv()
        turns = take_turns(
            {
                "alone": lambda: per_second(60 * cores, lambda: ask(ends[:-1])),
                "together": lambda: per_second(60, lambda: ask(ends[-1:])),
            },
            rounds,
        )
        for end, process in zip(ends, processes, strict=True):
            end.send("stop")
            process.join(timeout=30)
    return turns.figure("alone", "together", f"fits a minute by the clock, {cores} cores, ResNet-18 at 128 px")


def serve_fits(connection: Connection, threads: int, cache: str) -> None:
    """The life of a worker that fits the same small cohort whenever it is asked."""
    from feeding import ArrayPixels
    from fits import draw_cohorts

    from subgroup_audit.study import Model, Recipe
    from subgroup_audit.training import FitSpec, run_fit, use_threads

    use_threads(threads)
    pixels, (cohort, *_) = ArrayPixels(400, 144), draw_cohorts(400)
    spec = FitSpec("0", "c", "m", Model(architecture="resnet18"), "r", Recipe(image_size=128, epochs=2), 0, ("x",))

    def fit() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_fit(spec, cohort, cohort, pixels, device="cpu", folder=Path(folder), cache=Path(cache))

    fit()
    connection.send("ready")
    while connection.recv() == "go":
        fit()
        connection.send(1.0)


@contextmanager
def serving(ways: dict[str, Way]) -> Iterator[tuple[dict[str, Connection], dict[str, str]]]:
    """A process for each way, warmed up: where to ask it for work, and what it computes with."""
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    processes = []
    for name, way in ways.items():
        ends[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, way), daemon=True))
        processes[-1].start()
    names = {name: str(end.recv()) for name, end in ends.items()}
    try:
        yield ends, names
    finally:
        for end, process in zip(ends.values(), processes, strict=True):
            end.send("stop")
            process.join(timeout=30)


def ask(ends: Sequence[Connection]) -> list[float]:
    """Let these processes work at the same time; their rates when all have answered."""
    for end in ends:
        end.send("go")
    return [float(end.recv()) for end in ends]


def serve(connection: Connection, way: Way) -> None:
    """The life of such a process: images per second of CPU time whenever it is asked."""
    import torch

    from subgroup_audit.training import use_threads

    torch.set_num_threads(way.threads)
    if way.is_worker:
        use_threads(way.threads)
    name, work = make_work(way)
    work()
    connection.send(name)
    rate = clocked(way, work)
    while connection.recv() == "go":
        connection.send(rate())


def clocked(way: Way, work: Callable[[], None]) -> Callable[[], float]:
    """Images per second of CPU time of the way's work."""
    return lambda: per_cpu_second(way.n_images, lambda: [work() for _ in range(way.steps)])


def make_work(way: Way) -> tuple[str, Callable[[], None]]:
    """What the way computes with, and one batch of its work."""
    import torch
    from feeding import make_steps

    from subgroup_audit.study import Model
    from subgroup_audit.training.architecture import build_network

    model = Model(architecture=way.architecture)
    network = build_network(model, n_outputs=1, size=way.size, study_folder=".").network
    compute = choose(way, model, network)
    levels = torch.rand(way.batch, way.size, way.size, 1).permute(0, 3, 1, 2)
    name = f"{compute.precision} {compute.layout}"
    if way.is_training:
        step = make_steps(way.architecture, way.size, compute)
        return name, lambda: step(levels)
    compute.place(network).eval()

    @torch.inference_mode()
    def infer() -> None:
        with compute.autocast():
            network(levels)

    return name, infer


def choose(way: Way, model: object, network: object) -> object:
    """The precision and layout of a way."""
    from subgroup_audit.study import Recipe
    from subgroup_audit.training.precision import Compute, choose_compute

    if way.choice != "probed":
        precision, _, layout = way.choice.partition(" ")
        return Compute("cpu", precision, layout == "channels_last", how="")  # type: ignore[arg-type]
    recipe = Recipe(image_size=way.size, batch_size=way.batch, precision="auto")
    with tempfile.TemporaryDirectory() as cache:
        return choose_compute(model, recipe, network, "cpu", cache=Path(cache))  # type: ignore[arg-type]
