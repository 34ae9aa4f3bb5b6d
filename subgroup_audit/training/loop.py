"""The training loop, in the open: epochs, batches, validation, the best epoch, and stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from subgroup_audit.errors import TrainingError
from subgroup_audit.stats import auc
from subgroup_audit.study import Recipe
from subgroup_audit.training.data import (
    Batch,
    Draw,
    Labels,
    cut_batches,
    cut_in_order,
    draw_balanced,
    draw_plain,
    label_strata,
)
from subgroup_audit.training.distributed import current_group
from subgroup_audit.training.feeding import Feed, send
from subgroup_audit.training.precision import Compute
from subgroup_audit.training.recipe import Loss, Schedule, to_scores, wait_for_gain
from subgroup_audit.training.spec import BatchCallback, FloatArray
from subgroup_audit.training.trainable import TrainablePart, set_training

State = dict[str, Tensor]


@dataclass(frozen=True)
class Examples:
    """Images to train or judge on: where their input comes from, and their labels."""

    feed: Feed
    labels: Labels
    y_true: Tensor
    is_known: Tensor

    @classmethod
    def on(cls, device: str, feed: Feed, labels: Labels) -> Examples:
        """The examples with their labels on the device."""
        y_true, is_known = torch.from_numpy(labels.y_true), torch.from_numpy(labels.is_known)
        return cls(feed, labels, y_true.to(device), is_known.to(device))


@dataclass(frozen=True)
class Task:
    """All that an epoch needs and that no epoch changes but the weights.

    Attributes
    ----------
    parts : pieces that a batch is computed in, one after the other, their gradients added: for little memory
    wrapped : the network as training runs it where several processes share the fit
    """

    label: str
    network: nn.Module
    part: TrainablePart
    optimiser: torch.optim.Optimizer
    schedule: Schedule
    loss: Loss
    train: Examples
    val: Examples
    compute: Compute
    scaler: torch.amp.GradScaler
    recipe: Recipe
    seed: int
    eval_batch_size: int
    on_batch: BatchCallback | None = None
    parts: int = 1
    wrapped: nn.Module | None = None


@dataclass
class Progress:
    """Where training stands after its last finished epoch; all of it is resumed.

    `seen` is what the kept epoch saw while training: `order` [m], the training images in the order of their
    batches, and `scores` [m, findings], what each got at its turn, augmented and with its batch's statistics.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = -math.inf
    best_loss: float = math.inf
    stop_best: float = -math.inf
    stop_waited: int = 0
    stopped: str = ""
    best_weights: State = field(default_factory=dict)
    seen: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Phase:
    """What one pass over the examples gave: its metrics, and the images with their scores in its order."""

    loss: float
    auc: float | None
    accuracy: float | None
    seconds: float
    order: np.ndarray[Any, Any]
    scores: FloatArray

    @property
    def n_images(self) -> int:
        """Images of the pass; one drawn twice counts twice."""
        return len(self.order)

    @property
    def images_per_second(self) -> float:
        """Throughput."""
        return self.n_images / max(self.seconds, 1e-9)


EpochHook = Callable[[Progress, Phase, Phase], None]


def train_epochs(task: Task, progress: Progress, after_epoch: EpochHook) -> None:
    """Train until the last epoch or early stopping; `progress` holds the best weights in the end."""
    while progress.epoch < task.recipe.epochs and not progress.stopped:
        epoch = progress.epoch + 1
        with seeded(task.seed, epoch, task.compute.device, rank=current_group().rank):
            train = train_one_epoch(task, epoch)
        val = judge(task, task.val)
        value = monitored_value(task.recipe, val)
        # small validation sets often give the same AUC twice: the lower loss decides then
        is_best = epoch == 1 or (value, -val.loss) > (progress.best_value, -progress.best_loss)
        if is_best:
            progress.best_epoch, progress.best_value, progress.best_loss = epoch, value, val.loss
            progress.best_weights = copy_weights(task.network) if task.recipe.restore_best else {}
        if is_best or not task.recipe.restore_best:
            progress.seen = {"order": torch.from_numpy(train.order), "scores": torch.from_numpy(train.scores)}
        task.schedule.end_epoch(value)
        progress.stopped = _reason_to_stop(task.recipe, progress, value)
        progress.history += _history_rows(task, epoch, train, val)
        progress.epoch = epoch
        after_epoch(progress, train, val)
    progress.stopped = progress.stopped or f"all {task.recipe.epochs} epochs done"


def train_one_epoch(task: Task, epoch: int) -> Phase:
    """One pass over the training images; metrics are those seen while training, augmentation included."""
    start = time.perf_counter()
    set_training(task.network, task.part)
    batches = cut_batches(draw_epoch(task, epoch), task.recipe.batch_size)
    parameters = [p for p in task.network.parameters() if p.requires_grad]
    sums, counts, logits = [], [], []
    processes = current_group()
    mine = processes.parts(batches)
    inputs = task.train.feed.batches(mine, epoch)
    for done, (batch, part, levels) in enumerate(zip(batches, mine, inputs, strict=True), start=1):
        for group in task.optimiser.param_groups:
            group["lr"] = task.schedule.rate((epoch - 1) * len(batches) + done - 1)
        total, count, found = add_gradients(task, part, levels, whole=batch)
        if task.recipe.clip_norm is not None:
            task.scaler.unscale_(task.optimiser)
            nn.utils.clip_grad_norm_(parameters, task.recipe.clip_norm)
        task.scaler.step(task.optimiser)
        task.scaler.update()
        # nothing is read back before the epoch ends: the device is never waited for
        sums.append(total)
        counts.append(count)
        logits.append(found[: part.n_real])
        if task.on_batch is not None:
            task.on_batch(epoch, done, len(batches))
    totals = processes.sum(torch.stack(sums))
    _require_finite(task, epoch, totals, len(batches))
    processes.average_statistics(task.network)
    loss = float(totals.sum() / torch.stack(counts).sum())
    order = np.concatenate([batch.index[: batch.n_real] for batch in batches])
    return _phase(task, task.train.labels, order, processes.in_order(torch.cat(logits), batches), loss, start)


def add_gradients(
    task: Task, batch: Batch, levels: Tensor, *, whole: Batch | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The batch's sum of losses, what it was divided by, and its logits; gradients lie in the parameters.

    Where other processes have the rest of the `whole` batch, gradients are those of the whole.

    In parts the gradients are those of the whole batch, but that batch normalisation sees one part at a time.
    """
    y_true, is_counted = _batch_labels(task.train, batch)
    if whole is not None and whole is not batch:
        count = task.loss.count(_batch_labels(task.train, whole)[1])
    else:
        count = task.loss.count(is_counted)
    n_processes = current_group().size
    task.optimiser.zero_grad(set_to_none=True)
    sums, logits = [], []
    pieces = (tensor.tensor_split(task.parts) for tensor in (levels, y_true, is_counted))
    for part, truth, counted in zip(*pieces, strict=True):
        with task.compute.autocast():
            found = (task.wrapped or task.network)(part)
        found = found.float()
        total, _ = task.loss(found, truth, counted)
        due = total if n_processes == 1 else total * n_processes  # gradients are averaged over processes
        task.scaler.scale(due / count.clamp(min=1.0)).backward()  # type: ignore[no-untyped-call]
        sums.append(total.detach())
        logits.append(found.detach())
    return torch.stack(sums).sum(), count, torch.cat(logits)


def judge(task: Task, examples: Examples) -> Phase:
    """One pass in evaluation mode, without augmentation."""
    start = time.perf_counter()
    batches = cut_in_order(len(examples.labels), task.eval_batch_size)
    logits = infer(task.network, examples.feed, batches, task.compute)
    with torch.inference_mode():
        total, count = task.loss(logits, examples.y_true, examples.is_known)
    order = np.arange(len(examples.labels))
    return _phase(task, examples.labels, order, logits, float(total / count), start)


@torch.inference_mode()
def infer(
    network: nn.Module,
    feed: Feed,
    batches: list[Batch],
    compute: Compute,
    on_batch: BatchCallback | None = None,
) -> Tensor:
    """What the network gives in evaluation mode, float32 [n, outputs] on the device, in the batches' order.

    Where memory runs out, batches are done in smaller pieces, which changes a score by its last bits at most.
    """
    network.eval()
    group = current_group()
    mine = group.whole(batches)
    found, most = [], max((len(batch.index) for batch in batches), default=1)
    for done, levels in enumerate(feed.batches(mine), start=1):
        scores, most = _infer_with_room(network, levels, compute, most)
        found.append(scores)
        if on_batch is not None:
            on_batch(0, done, len(mine))
    return group.in_order_of_whole(found, batches)


def _infer_with_room(network: nn.Module, levels: Tensor, compute: Compute, most: int) -> tuple[Tensor, int]:
    """What the network gives, float32, and the most images at a time that memory had room for, at first `most`."""
    while True:
        try:
            with compute.autocast():
                return torch.cat([network(part).float() for part in torch.split(levels, most)]), most
        except torch.OutOfMemoryError:
            most = min(most, len(levels)) // 2
            if most == 0:
                raise
        # here, not above: an error that is being handled keeps its tensors alive
        free_memory(compute.device)


def free_memory(device: str) -> None:
    """Give back what no tensor uses any more."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def draw_epoch(task: Task, epoch: int) -> Draw:
    """The order of an epoch: the same for every device and batch size."""
    rng = np.random.default_rng([task.seed, epoch])
    if task.recipe.sampling == "plain":
        return draw_plain(len(task.train.labels), rng)
    return draw_balanced(label_strata(task.train.labels, is_multiclass=task.loss.is_multiclass), rng)


@contextmanager
def seeded(seed: int, epoch: int, device: str, *, rank: int = 0) -> Iterator[None]:
    """Random numbers of torch (dropout, initial weights) that depend on seed and epoch; restored afterwards.

    `rank` tells the processes of one fit apart, whose dropout must differ.
    """
    devices = [torch.device(device)] if device.startswith("cuda") else []
    keys = [seed, epoch, rank] if rank else [seed, epoch]
    mixed = int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(mixed)
        yield


def copy_weights(network: nn.Module) -> State:
    """A copy of all weights and batch statistics, on their device."""
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


def monitored_value(recipe: Recipe, val: Phase) -> float:
    """What picks the best epoch, higher being better; the loss stands in where validation has no AUC."""
    if recipe.monitor == "val_auc" and val.auc is not None:
        return val.auc
    return -val.loss if math.isfinite(val.loss) else -math.inf


def macro_auc(labels: Labels, order: np.ndarray[Any, Any], scores: FloatArray) -> float | None:
    """Mean AUC over the findings that have both a positive and a negative; None if none has."""
    y_true, is_known = labels.y_true[order], labels.is_known[order]
    found = []
    for column in range(y_true.shape[1]):
        known = is_known[:, column]
        truth = y_true[known, column]
        if 0 < truth.sum() < len(truth):
            found.append(auc(truth.astype(np.int64), scores[known, column]))
    return float(np.mean(found)) if found else None


def share_right(
    labels: Labels, order: np.ndarray[Any, Any], scores: FloatArray, *, is_multiclass: bool
) -> float | None:
    """Share of images (classes) or of known labels (findings, at 0.5) that are right; None without any."""
    y_true, is_known = labels.y_true[order], labels.is_known[order]
    if is_multiclass:
        return float((scores.argmax(axis=1) == y_true.argmax(axis=1)).mean())
    return float(((scores >= 0.5) == (y_true > 0.5))[is_known].mean()) if is_known.any() else None


def _batch_labels(examples: Examples, batch: Batch) -> tuple[Tensor, Tensor]:
    index = send(batch.index, examples.y_true.device)
    is_counted = examples.is_known.index_select(0, index)
    if batch.n_real < len(batch.index):
        is_counted[batch.n_real :] = False
    return examples.y_true.index_select(0, index), is_counted


def _phase(
    task: Task, labels: Labels, order: np.ndarray[Any, Any], logits: Tensor, loss: float, start: float
) -> Phase:
    is_multiclass = task.loss.is_multiclass
    scores = to_scores(logits, is_multiclass=is_multiclass).cpu().numpy()
    is_finite = bool(np.isfinite(scores).all())
    return Phase(
        loss=loss,
        auc=macro_auc(labels, order, scores) if is_finite else None,
        accuracy=share_right(labels, order, scores, is_multiclass=is_multiclass),
        seconds=time.perf_counter() - start,
        order=order,
        scores=scores,
    )


def _require_finite(task: Task, epoch: int, sums: Tensor, n_batches: int) -> None:
    strange = torch.nonzero(~torch.isfinite(sums))
    if len(strange) == 0:
        return
    batch = int(strange[0]) + 1
    rate = task.schedule.rate((epoch - 1) * n_batches + batch - 1)
    raise TrainingError(
        f"fit {task.label}: the loss is not finite in epoch {epoch}, batch {batch} of {n_batches}, at learning "
        f"rate {rate:g} and precision {task.compute.precision}; lower `learning_rate`, set `clip_norm`, or use "
        f"`precision: fp32`"
    )


def _reason_to_stop(recipe: Recipe, progress: Progress, value: float) -> str:
    if recipe.early_stopping is None:
        return ""
    patience = recipe.early_stopping.patience
    progress.stop_best, progress.stop_waited, is_due = wait_for_gain(
        value, progress.stop_best, progress.stop_waited, patience
    )
    return f"no gain of {recipe.monitor} in {patience} epochs" if is_due else ""


def _history_rows(task: Task, epoch: int, train: Phase, val: Phase) -> list[dict[str, Any]]:
    rate = float(task.optimiser.param_groups[0]["lr"])
    return [
        {
            "epoch": epoch,
            "phase": name,
            "loss": phase.loss,
            "auc": phase.auc,
            "accuracy": phase.accuracy,
            "learning_rate": rate,
            "seconds": phase.seconds,
            "images_per_second": phase.images_per_second,
        }
        for name, phase in (("train", train), ("val", val))
    ]
