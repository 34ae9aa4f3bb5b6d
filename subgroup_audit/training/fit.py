"""One fit from manifest to predictions: build, train, keep the best epoch, predict every target once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from subgroup_audit.errors import TrainingError
from subgroup_audit.schema import History, Predictions, Stages
from subgroup_audit.training.architecture import Built, Network, build_network
from subgroup_audit.training.augment import is_off
from subgroup_audit.training.batch_norm import moving_norms, recomputed_norms, set_momentum
from subgroup_audit.training.checkpoint import (
    CHECKPOINT,
    MODEL,
    load_resume,
    remove_resume,
    save_json,
    save_resume,
    save_weights,
)
from subgroup_audit.training.data import Labels, cut_batches, cut_in_order, read_labels, select_split
from subgroup_audit.training.distributed import current_group
from subgroup_audit.training.feeding import FeatureFeed, Feeding, ImageFeed, choose_feeding
from subgroup_audit.training.fitted import describe_model, eval_batch_size
from subgroup_audit.training.graph import record_training, wants_graph
from subgroup_audit.training.loop import Examples, Phase, Progress, Task, draw_epoch, infer, seeded, train_epochs
from subgroup_audit.training.measured import default_cache
from subgroup_audit.training.precision import Compute, choose_compute, same_kernels
from subgroup_audit.training.recipe import Schedule, make_loss, make_optimiser, to_scores
from subgroup_audit.training.room import Room, with_room
from subgroup_audit.training.spec import BatchCallback, EpochReport, FitOutcome, FitSpec, FloatArray, Pixels
from subgroup_audit.training.trainable import TrainablePart, select_trainable, set_training
from subgroup_audit.training.trunk_features import trunk_features

EpochCallback = Callable[[EpochReport], None]

STAGES = "stages.parquet"

SAVE_SHARE = 0.05
"""Largest share of training time that saving for a resume may take; below it, every epoch is saved."""


@dataclass
class _Fit:
    """One fit under way: what was built and chosen for it."""

    spec: FitSpec
    pixels: Pixels
    device: str
    folder: Path
    built: Built
    part: TrainablePart
    compute: Compute
    feeding: Feeding
    notes: list[str]
    cache: Path
    room: Room
    on_epoch: EpochCallback | None = None
    on_batch: BatchCallback | None = None
    resumed_after: int = 0
    train_seconds: float = 0.0
    save_seconds: float = 0.0
    last_save: float = 0.0

    @property
    def network(self) -> Network:
        return self.built.network


def run_fit(
    spec: FitSpec,
    cohort: pd.DataFrame,
    targets: pd.DataFrame,
    pixels: Pixels,
    *,
    device: str,
    folder: Path,
    on_epoch: EpochCallback | None = None,
    on_batch: BatchCallback | None = None,
    cache: Path | None = None,
) -> FitOutcome:
    """Train one model, and leave its weights, history, predictions and record in the folder.

    Parameters
    ----------
    cohort : manifest rows of the training cohort; its train and val splits are used. With several findings,
        absent rows are labels not known, and do not count
    targets : manifest rows to predict (image_id, patient_id, split, finding, y_true and group columns), each
        image and finding once
    device : cpu, mps, cuda or cuda:N
    folder : is made; an unfinished run of the same fit in it is resumed
    on_epoch : called after each epoch
    on_batch : called with epoch (0 while predicting), batches done, and batches in all
    cache : folder of measured precisions and of features of frozen trunks; absent: the user's cache

    Raises
    ------
    ModelError
        The model cannot be built.
    TrainingError
        Labels that do not fit, a loss that is not finite, or a device that ran out of memory.

    Notes
    -----
    Writes `checkpoint.safetensors`, `model.json`, `history.parquet`, `predictions.parquet`, `stages.parquet` (what
    the images of the cohort scored while training, and with batch statistics recomputed) and `fit.json`, the last
    one last. The same spec, data and device give the same numbers, whether or not the fit was interrupted.
    """
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    with same_kernels():
        _check_targets(spec, targets)
        train, val = _read_splits(spec, cohort)

        def attempt(room: Room) -> tuple[_Fit, Progress, tuple[FloatArray, tuple[str, ...]], pd.DataFrame]:
            fit = _build(spec, pixels, len(train) + len(val), room, device=device, folder=folder, cache=cache)
            fit.on_epoch, fit.on_batch = on_epoch, on_batch
            progress = _train(fit, train, val, _data_digest(cohort, targets))
            return fit, progress, _predict_targets(fit, targets), _score_stages(fit, train, val, progress)

        fit, progress, (scores, asked), stages = with_room(spec, device, attempt)
    outcome = _outcome(fit, progress, (len(train), len(val), len(asked)), time.perf_counter() - start)
    if not current_group().is_first:
        return outcome
    _write_predictions(fit, targets, scores, asked)
    stages.to_parquet(folder / STAGES, index=False)
    _write_history(fit, progress)
    save_weights(fit.network.state_dict(), folder / CHECKPOINT)
    save_json(describe_model(spec, fit.built, fit.compute), folder / MODEL)
    outcome.save(folder)
    remove_resume(folder)
    return outcome


def _check_targets(spec: FitSpec, targets: pd.DataFrame) -> None:
    strange = targets.loc[~targets["finding"].isin(spec.findings), "finding"]
    if len(strange):
        known = ", ".join(spec.findings)
        raise TrainingError(f"targets of fit {spec.label} have the finding '{strange.iloc[0]}'; it knows {known}")


def _read_splits(spec: FitSpec, cohort: pd.DataFrame) -> tuple[Labels, Labels]:
    origin = f"cohort '{spec.train_cohort}'"
    train, val = (
        read_labels(select_split(cohort, split), spec.findings, is_multiclass=spec.is_multiclass, origin=origin)
        for split in ("train", "val")
    )
    return train, val


def _build(
    spec: FitSpec,
    pixels: Pixels,
    n_images: int,
    room: Room,
    *,
    device: str,
    folder: Path,
    cache: Path | None,
) -> _Fit:
    """The fit with its network built and placed, and everything chosen that can be chosen."""
    size = spec.recipe.image_size
    with seeded(spec.seed, 0, device):
        built = build_network(spec.model, n_outputs=len(spec.findings), size=size, study_folder=spec.study_folder)
    group = current_group()
    group.require_room(spec.label, spec.recipe.batch_size)
    group.share_statistics(built.network, device)
    part = select_trainable(built.network, spec.model, side=size if built.is_size_fixed else 224)
    set_momentum(built.network, spec.model.batch_norm_momentum)
    with group.first_alone():
        compute = choose_compute(spec.model, spec.recipe, built.network, device, cache=cache)
    compute.place(built.network)
    feeding, note = choose_feeding(device, n_images, pixels.size, is_short=room.is_short)
    notes = [
        *built.notes,
        *(sentence for sentence in (note, room.describe(spec.recipe), group.describe(device)) if sentence),
    ]
    if size > pixels.size:
        notes.append(f"images are stored at {pixels.size} px and enlarged to {size} px")
    return _Fit(spec, pixels, device, folder, built, part, compute, feeding, notes, cache or default_cache(), room)


def _image_feed(fit: _Fit, labels: Labels, *, is_training: bool) -> ImageFeed:
    recipe = fit.spec.recipe
    return ImageFeed(
        fit.pixels,
        labels.image_ids,
        size=recipe.image_size,
        normalisation=fit.built.normalisation,
        device=fit.device,
        feeding=fit.feeding,
        augmentation=recipe.augmentation if is_training else None,
        seed=fit.spec.seed,
    )


def _examples(fit: _Fit, labels: Labels, *, is_training: bool) -> Examples:
    """Images, or where trunk and images never change, the trunk's features of them."""
    feed = _image_feed(fit, labels, is_training=is_training)
    if not _uses_features(fit):
        return Examples.on(fit.device, feed, labels)
    return Examples.on(fit.device, FeatureFeed(_features(fit, feed)), labels)


def _uses_features(fit: _Fit) -> bool:
    is_alone = current_group().is_alone  # several processes would find different parts of the kept features
    return is_alone and fit.part.is_trunk_constant and is_off(fit.spec.recipe.augmentation)


def _features(fit: _Fit, feed: ImageFeed) -> torch.Tensor:
    return trunk_features(
        fit.network,
        feed,
        fit.compute,
        folder=fit.cache / "features",
        batch_size=eval_batch_size(fit.device),
        first=int(fit.spec.digest[:8], 16),
        on_batch=fit.on_batch,
    )


def _train(fit: _Fit, train: Labels, val: Labels, data_digest: str) -> Progress:
    """Train, resuming where an earlier run was stopped; the network holds the kept weights afterwards."""
    task = _make_task(fit, train, val)
    _record_graph(fit, task)
    progress = Progress()
    kind = fit.device.partition(":")[0]  # another device of the kind may go on with it
    digest = f"{fit.spec.digest} {data_digest} {kind} {fit.compute.precision} {fit.compute.layout}"
    if fit.room.parts > 1:
        digest += f" {fit.room.parts} parts"
    if not current_group().is_alone:
        digest += f" {current_group().size} processes"
    saved = load_resume(fit.folder, digest, fit.device)
    if saved is not None:
        progress = _restore(task, saved)
        fit.resumed_after = progress.epoch
        fit.notes.append(f"resumed after epoch {progress.epoch}")

    def after_epoch(reached: Progress, train_phase: Phase, val_phase: Phase) -> None:
        _save_progress(fit, task, reached, digest, train_phase.seconds + val_phase.seconds)
        if fit.on_epoch is not None:
            fit.on_epoch(_report(fit, reached, train_phase, val_phase))

    train_epochs(task, progress, after_epoch)
    if fit.spec.recipe.restore_best:
        task.network.load_state_dict(progress.best_weights)
    if progress.best_value <= 0 and fit.spec.recipe.monitor == "val_auc":
        fit.notes.append("validation has one class only: the loss picked the epoch instead of the AUC")
    return progress


def _make_task(fit: _Fit, train: Labels, val: Labels) -> Task:
    spec, recipe = fit.spec, fit.spec.recipe
    network = fit.network.head if _uses_features(fit) else fit.network
    part = replace(fit.part, still=()) if _uses_features(fit) else fit.part
    parameters = [p for p in network.parameters() if p.requires_grad]
    return Task(
        label=spec.label,
        network=network,
        part=part,
        optimiser=make_optimiser(recipe, parameters, fit.device),
        schedule=Schedule(recipe, steps_per_epoch=-(-len(train) // recipe.batch_size)),
        loss=make_loss(recipe, train, is_multiclass=spec.is_multiclass, device=fit.device),
        train=_examples(fit, train, is_training=True),
        val=_examples(fit, val, is_training=False),
        compute=fit.compute,
        scaler=fit.compute.make_scaler(),
        recipe=recipe,
        seed=spec.seed,
        eval_batch_size=eval_batch_size(fit.device),
        on_batch=fit.on_batch,
        parts=fit.room.parts,
        wrapped=None if current_group().is_alone else current_group().wrap(network, fit.device),
    )


def _record_graph(fit: _Fit, task: Task) -> None:
    """Record the training pass where that is asked for, and batches are whole and all here."""
    if wants_graph(fit.compute) and fit.room.parts == 1 and task.wrapped is None:
        set_training(task.network, task.part)
        record_training(task.network, fit.compute, _batch_shape(fit, task))


def _batch_shape(fit: _Fit, task: Task) -> tuple[int, ...]:
    """Of every training batch."""
    size = len(cut_batches(draw_epoch(task, 1), fit.spec.recipe.batch_size)[0].index)
    if isinstance(task.train.feed, FeatureFeed):
        return size, task.train.feed.features.shape[1]
    return size, 1, fit.spec.recipe.image_size, fit.spec.recipe.image_size


def _save_progress(fit: _Fit, task: Task, progress: Progress, digest: str, seconds: float) -> None:
    """Save what a resume needs, unless saving would take more than its share of the time."""
    fit.train_seconds += seconds
    fit.last_save += seconds
    if fit.save_seconds > SAVE_SHARE * fit.last_save or not current_group().is_first:
        return
    start = time.perf_counter()
    state = {
        "digest": digest,
        "network": task.network.state_dict(),
        "optimiser": task.optimiser.state_dict(),
        "scaler": task.scaler.state_dict(),
        "schedule": task.schedule.state(),
        "progress": {**vars(progress)},
        "train_seconds": fit.train_seconds,
    }
    save_resume(fit.folder, state)
    fit.save_seconds, fit.last_save = time.perf_counter() - start, 0.0


def _restore(task: Task, saved: dict[str, Any]) -> Progress:
    task.network.load_state_dict(saved["network"])
    task.optimiser.load_state_dict(saved["optimiser"])
    if saved["scaler"]:
        task.scaler.load_state_dict(saved["scaler"])
    for name, value in saved["schedule"].items():
        setattr(task.schedule, name, value)
    return Progress(**saved["progress"])


def _report(fit: _Fit, progress: Progress, train: Phase, val: Phase) -> EpochReport:
    row = progress.history[-1]
    return EpochReport(
        fit_id=fit.spec.fit_id,
        epoch=progress.epoch,
        epochs=fit.spec.recipe.epochs,
        train_loss=train.loss,
        train_auc=train.auc,
        val_loss=val.loss,
        val_auc=val.auc,
        learning_rate=row["learning_rate"],
        seconds=train.seconds + val.seconds,
        images_per_second=train.images_per_second,
        is_best=progress.best_epoch == progress.epoch,
        note=progress.stopped,
    )


def _predict_targets(fit: _Fit, targets: pd.DataFrame) -> tuple[FloatArray, tuple[str, ...]]:
    """Scores of every target image, [n, findings], and the images in their order."""
    image_ids = tuple(dict.fromkeys(targets["image_id"].astype(str)))
    if not image_ids:
        return np.empty((0, len(fit.spec.findings)), dtype=np.float32), ()
    fit.feeding, _ = choose_feeding(fit.device, len(image_ids), fit.pixels.size, is_short=fit.room.is_short)
    nothing = np.zeros((len(image_ids), len(fit.spec.findings)), dtype=np.float32)
    feed = _image_feed(fit, Labels(image_ids, nothing, nothing > 0), is_training=False)
    scores = to_scores(_logits(fit, feed, fit.on_batch), is_multiclass=fit.spec.is_multiclass)
    return scores.cpu().numpy(), image_ids


def _logits(fit: _Fit, feed: ImageFeed, on_batch: BatchCallback | None = None) -> torch.Tensor:
    """Of the images as the network is now, in evaluation mode, float32 [n, findings] on the device."""
    batches = cut_in_order(len(feed.image_ids), eval_batch_size(fit.device))
    if _uses_features(fit):
        known = FeatureFeed(_features(fit, feed))
        return infer(fit.network.head, known, batches, fit.compute, on_batch)
    return infer(fit.network, feed, batches, fit.compute, on_batch)


def _score_stages(fit: _Fit, train: Labels, val: Labels, progress: Progress) -> pd.DataFrame:
    """What explains a gap between the AUC while training and that of the kept model, on the same images.

    One row per stage, draw and finding: `while training` as the kept epoch saw it (an image drawn twice has two
    rows), and `recomputed` in evaluation mode with the batch statistics of the training images.
    """
    seen = progress.seen
    drawn = [train.image_ids[place] for place in seen["order"].tolist()]
    frames = [_stage(fit, "while training", "train", drawn, seen["scores"].cpu().numpy())]
    norms = moving_norms(fit.network, fit.part)
    if norms:
        batches = cut_in_order(len(train), -(-fit.spec.recipe.batch_size // fit.room.parts))
        with recomputed_norms(
            fit.network, norms, _image_feed(fit, train, is_training=False), batches, fit.compute
        ):
            for split, labels in (("train", train), ("val", val)):
                frames.append(_stage(fit, "recomputed", split, labels.image_ids, _score(fit, labels)))
    return Stages(pd.concat(frames, ignore_index=True), origin=f"stages of fit {fit.spec.label}").frame


def _stage(fit: _Fit, stage: str, split: str, image_ids: Sequence[str], scores: FloatArray) -> pd.DataFrame:
    wide = pd.DataFrame(scores.astype(np.float64), columns=list(fit.spec.findings))
    wide = wide.assign(
        fit_id=fit.spec.fit_id, stage=stage, split=split, image_id=list(image_ids), draw=np.arange(len(wide))
    )
    return wide.melt(["fit_id", "stage", "split", "image_id", "draw"], var_name="finding", value_name="y_score")


def _score(fit: _Fit, labels: Labels) -> FloatArray:
    """Scores of the images as the network is now, in evaluation mode, [n, findings]."""
    logits = _logits(fit, _image_feed(fit, labels, is_training=False))
    return to_scores(logits, is_multiclass=fit.spec.is_multiclass).cpu().numpy()


def _write_predictions(fit: _Fit, targets: pd.DataFrame, scores: FloatArray, image_ids: tuple[str, ...]) -> None:
    spec = fit.spec
    columns = pd.Index(spec.findings).get_indexer(pd.Index(targets["finding"]))
    rows = pd.Index(image_ids).get_indexer(pd.Index(targets["image_id"].astype(str)))
    frame = targets.drop(columns=["cohort", "weight"], errors="ignore").reset_index(drop=True)
    frame = frame.assign(
        fit_id=spec.fit_id,
        train_cohort=spec.train_cohort,
        model=spec.model_name,
        recipe=spec.recipe_name,
        seed=spec.seed,
        y_score=scores[rows, columns].astype(np.float64),
    )
    table = Predictions(frame, origin=f"predictions of fit {spec.label}")
    table.frame.to_parquet(fit.folder / "predictions.parquet", index=False)


def _write_history(fit: _Fit, progress: Progress) -> None:
    frame = pd.DataFrame(progress.history)
    kept = progress.best_epoch if fit.spec.recipe.restore_best else progress.epoch
    frame = frame.assign(fit_id=fit.spec.fit_id, is_best=frame["epoch"] == kept)
    History(frame).frame.to_parquet(fit.folder / "history.parquet", index=False)


def _outcome(fit: _Fit, progress: Progress, counts: tuple[int, int, int], seconds: float) -> FitOutcome:
    recipe = fit.spec.recipe
    n_seen = progress.epoch * (counts[0] + counts[1])
    spent = sum(row["seconds"] for row in progress.history)
    is_finite = np.isfinite(progress.best_value)
    return FitOutcome(
        fit_id=fit.spec.fit_id,
        best_epoch=progress.best_epoch if recipe.restore_best else progress.epoch,
        n_epochs=progress.epoch,
        stopped=progress.stopped,
        resumed_after=fit.resumed_after,
        device=fit.device,
        precision=fit.compute.precision,
        layout=fit.compute.layout,
        compute_choice=fit.compute.how,
        feeding="features of the frozen trunk" if _uses_features(fit) else fit.feeding,
        seconds=seconds,
        images_per_second=n_seen / max(spent, 1e-9),
        n_train=counts[0],
        n_val=counts[1],
        n_targets=counts[2],
        n_parameters=fit.part.n_parameters,
        n_trainable=fit.part.n_trainable,
        best_value=abs(progress.best_value) if is_finite else None,
        monitor=recipe.monitor,
        notes=tuple(fit.notes),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    versions = {name: version(name) for name in ("torchvision", "timm", "opencv-python-headless", "numpy")}
    return versions | {"torch": str(torch.__version__), "threads": str(torch.get_num_threads())}


def _data_digest(cohort: pd.DataFrame, targets: pd.DataFrame) -> str:
    """A digest of the rows that a fit sees."""
    sums = [
        pd.util.hash_pandas_object(frame[["image_id", "split", "finding", "y_true"]], index=False).to_numpy()
        for frame in (cohort, targets)
    ]
    return hashlib.sha256(b"".join(values.tobytes() for values in sums)).hexdigest()
