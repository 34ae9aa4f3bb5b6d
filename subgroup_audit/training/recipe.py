"""How a network is trained: optimiser, learning rate by step, and loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from subgroup_audit.study import Recipe
from subgroup_audit.training.data import Labels

MIN_GAIN = 1e-4
"""Smallest improvement of a loss or AUC that plateau and early stopping count as one."""


def make_optimiser(recipe: Recipe, parameters: Sequence[nn.Parameter], device: str) -> torch.optim.Optimizer:
    """The recipe's optimiser; every trained parameter decays alike (decoupled for adamw, L2 for the others)."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    is_fused = device == "cpu" or device.startswith("cuda")
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay, momentum=recipe.momentum)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=recipe.momentum, fused=is_fused)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay, fused=is_fused)


@dataclass
class Schedule:
    """The learning rate by step: warmup, then constant, cosine to zero, or cut at plateaus.

    Attributes
    ----------
    factor : what plateaus have cut the rate to, as a share of the recipe's
    best, waited : best monitored value, and epochs since
    """

    recipe: Recipe
    steps_per_epoch: int
    factor: float = 1.0
    best: float = field(default=-math.inf)
    waited: int = 0

    def rate(self, step: int) -> float:
        """Learning rate of a step; the first of the fit is 0."""
        warm = self.recipe.warmup_epochs * self.steps_per_epoch
        base = self.recipe.learning_rate * self.factor
        if step < warm:
            return base * (step + 1) / math.ceil(warm)
        if self.recipe.schedule != "cosine":
            return base
        total = self.recipe.epochs * self.steps_per_epoch
        done = (step - warm) / max(1.0, total - warm)
        return base * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    def end_epoch(self, value: float) -> None:
        """Hear the monitored value, higher being better; cut the rate after `plateau_patience` without gain."""
        if self.recipe.schedule != "plateau":
            return
        self.best, self.waited, is_due = wait_for_gain(value, self.best, self.waited, self.recipe.plateau_patience)
        if is_due:
            self.factor *= self.recipe.plateau_factor
            self.waited = 0

    def state(self) -> dict[str, Any]:
        """What a resumed fit needs."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}


def wait_for_gain(value: float, best: float, waited: int, patience: int) -> tuple[float, int, bool]:
    """Best value, epochs waited, and whether `patience` epochs have passed without gain (as Keras counts)."""
    if value > best + MIN_GAIN:
        return value, 0, False
    return best, waited + 1, waited + 1 >= patience


@dataclass(frozen=True)
class Loss:
    """The sum of losses over a batch and what to divide it by.

    Attributes
    ----------
    weights : of absence and presence of each finding [2, findings], or of each class [1, findings]
    """

    is_multiclass: bool
    smoothing: float
    weights: Tensor

    def count(self, is_counted: Tensor) -> Tensor:
        """The number of labels that the loss of these images sums over, on the device."""
        return (is_counted[:, 0] if self.is_multiclass else is_counted).to(torch.float32).sum()

    def __call__(self, logits: Tensor, y_true: Tensor, is_counted: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sum of losses, and the number of labels that it sums over, both on the device.

        Parameters
        ----------
        logits, y_true : float32 [b, findings]
        is_counted : bool [b, findings]; labels not known, and images that only fill a batch, do not count
        """
        if self.is_multiclass:
            counted = is_counted[:, 0].to(torch.float32)
            single = functional.cross_entropy(
                logits, y_true.argmax(dim=1), reduction="none", label_smoothing=self.smoothing
            )
            weights = (self.weights[0] * y_true).sum(dim=1)
        else:
            counted = is_counted.to(torch.float32)
            smooth = y_true * (1.0 - self.smoothing) + 0.5 * self.smoothing
            single = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
            weights = torch.where(y_true > 0.5, self.weights[1], self.weights[0])
        return (single * weights * counted).sum(), counted.sum()


def make_loss(recipe: Recipe, labels: Labels, *, is_multiclass: bool, device: str) -> Loss:
    """The recipe's loss; balanced weights come from the training labels and average 1 over them."""
    n_findings = labels.y_true.shape[1]
    weights = torch.ones(1 if is_multiclass else 2, n_findings)
    if recipe.class_weight == "balanced":
        known = torch.from_numpy(labels.is_known).sum(dim=0).to(torch.float32)
        present = torch.from_numpy(labels.y_true).sum(dim=0)
        if is_multiclass:
            weights = (known / (n_findings * present.clamp(min=1.0))).unsqueeze(0)
        else:
            counts = torch.stack([known - present, present])
            weights = known / (2.0 * counts.clamp(min=1.0))
    return Loss(is_multiclass, recipe.label_smoothing, weights.to(device))


def to_scores(logits: Tensor, *, is_multiclass: bool) -> Tensor:
    """Probabilities float32 [n, findings]: softmax over classes, or a sigmoid each."""
    logits = logits.float()
    return torch.softmax(logits, dim=1) if is_multiclass else torch.sigmoid(logits)
